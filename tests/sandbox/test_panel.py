import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web

from fakes import FakeClock
from getpro.sandbox.faults import Faults
from getpro.sandbox.panel import PanelSimulator
from getpro.sandbox.panel.webhooks import signature
from getpro.sandbox.serving import NotLoopback, serving

ROOT = Path(__file__).parents[2]
TOKEN = "panel-token"
SECRET = "s" * 64
PROXY = {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https"}
BROKEN = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PAST, SOON, LATER = "2020-01-01T00:00:00.000Z", "2026-03-02T12:00:00.000Z", "2026-05-01T12:00:00.000Z"
DEFAULT_SQUAD = "Default-Squad"
UNKNOWN_SQUAD = "11111111-1111-4111-8111-111111111111"
OLDER = pytest.mark.parametrize("caller", ["2.8.1"], indirect=True)
BOTH = pytest.mark.parametrize("caller", ["3.3.2", "2.8.1"], indirect=True)


def key_of(user: dict[str, Any]) -> dict[str, Any]:
    """What names the user in a change: a uuid where the panel has them."""
    name = "uuid" if "uuid" in user else "id"
    return {name: user[name]}


def path_of(user: dict[str, Any]) -> str:
    return f"/api/users/{user.get('uuid', user['id'])}"


@dataclass
class Receiver:
    """Stands where a shop's webhook is: keeps what comes, answers with ``statuses`` and then 200."""

    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)

    async def events(self, count: int) -> list[dict[str, Any]]:
        """The first ``count`` bodies, once they have come."""
        async with asyncio.timeout(5):
            while len(self.got) < count:
                await asyncio.sleep(0.005)
        return [json.loads(raw) for _, raw in self.got[:count]]


@dataclass
class Caller:
    """Speaks to a panel as a shop does."""

    session: aiohttp.ClientSession
    url: str
    panel: PanelSimulator
    clock: FakeClock
    receiver: Receiver

    async def ask(
        self, method: str, path: str, body: Any = None, *, token: str = TOKEN, **headers: str
    ) -> tuple[int, Any]:
        sent = PROXY | {"Authorization": f"Bearer {token}"} | headers
        async with self.session.request(method, self.url + path, json=body, headers=sent) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def create(self, username: str = "alice", **fields: Any) -> dict[str, Any]:
        status, body = await self.ask(
            "POST", "/api/users", {"username": username, "expireAt": LATER} | fields
        )
        assert status == 201, body
        user: dict[str, Any] = body["response"]
        return user

    async def update(self, user: dict[str, Any], **fields: Any) -> dict[str, Any]:
        status, body = await self.ask("PATCH", "/api/users", key_of(user) | fields)
        assert status == 200, body
        changed: dict[str, Any] = body["response"]
        return changed

    async def read(self, user: dict[str, Any]) -> dict[str, Any]:
        status, body = await self.ask("GET", path_of(user))
        assert status == 200, body
        found: dict[str, Any] = body["response"]
        return found

    async def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        status, answer = await self.ask(method, path, body)
        return status, answer["errorCode"]

    async def default_squad(self) -> str:
        _, body = await self.ask("GET", "/api/internal-squads")
        return str(body["response"]["internalSquads"][0]["uuid"])

    async def download(self, user: dict[str, Any], **headers: str) -> tuple[Any, str]:
        """A client application opens the subscription link, with no token and no proxy."""
        agent = {"User-Agent": "Happ/3.0"}
        async with self.session.get(user["subscriptionUrl"], headers=agent | headers) as answer:
            assert answer.status == 200
            return answer.headers, base64.b64decode(await answer.text()).decode()

    def switch(self, **faults: Any) -> None:
        self.panel.faults.now = Faults(**faults)


@pytest.fixture
async def caller(request: pytest.FixtureRequest) -> AsyncIterator[Caller]:
    """Speaks to 3.3.2, unless a test is for the older panel or for both."""
    receiver, clock = Receiver(), FakeClock(NOW)
    webhook = web.Application()
    webhook.router.add_post("/hook", receiver.handle)
    async with serving(webhook) as shop_url:
        panel = PanelSimulator(
            TOKEN,
            version=getattr(request, "param", "3.3.2"),
            webhook_url=f"{shop_url}/hook",
            webhook_secret=SECRET,
            webhook_pause_seconds=0.01,
            clock=clock,
        )
        async with serving(panel.app) as url, aiohttp.ClientSession() as session:
            yield Caller(session, url, panel, clock, receiver)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-Proto": "https"},
        {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http"},
        {"X-Forwarded-For": "", "X-Forwarded-Proto": "https"},
    ],
)
async def test_without_a_proxy_in_front_the_connection_is_closed_unanswered(
    caller: Caller, headers: dict[str, str]
) -> None:
    with pytest.raises(BROKEN):
        await caller.session.post(
            f"{caller.url}/api/users", headers={"Authorization": f"Bearer {TOKEN}"} | headers
        )


async def test_a_wrong_token_is_unauthorized_and_a_persons_token_is_for_browsers(caller: Caller) -> None:
    assert await caller.ask("GET", "/api/users", token="") == (
        401,
        {"message": "Unauthorized", "statusCode": 401},
    )
    assert (await caller.ask("GET", "/api/users", token="other"))[0] == 401
    admin = caller.panel.access.admin_token
    status, body = await caller.ask("GET", "/api/users", token=admin)
    assert (status, body["message"]) == (
        403,
        "For API requests you must create own API-token in the admin dashboard.",
    )
    browser = {"X-Remnawave-Client-Type": "browser"}
    assert (await caller.ask("GET", "/api/users", token=admin, **browser))[0] == 200


async def test_an_api_token_may_do_what_its_scopes_say_until_it_is_deleted(caller: Caller) -> None:
    admin, browser = caller.panel.access.admin_token, {"X-Remnawave-Client-Type": "browser"}
    wanted = {"name": "reader", "expiresInDays": 30, "scopes": ["users:read"]}
    status, body = await caller.ask("POST", "/api/tokens", wanted, token=admin, **browser)
    made = body["response"]
    assert status == 201
    assert (await caller.ask("GET", "/api/users", token=made["token"]))[0] == 200
    forbidden = (403, {"message": "Forbidden resource", "statusCode": 403, "error": "Forbidden"})
    new = {"username": "alice", "expireAt": LATER}
    assert await caller.ask("POST", "/api/users", new, token=made["token"]) == forbidden
    assert await caller.ask("GET", "/api/hwid/devices/1", token=made["token"]) == forbidden
    assert await caller.refused("GET", "/api/tokens") == (403, "E000")
    assert (await caller.ask("DELETE", f"/api/tokens/{made['uuid']}", token=admin, **browser))[0] == 204
    assert await caller.ask("GET", "/api/users", token=made["token"]) == forbidden


async def test_a_new_panel_has_one_internal_squad_and_no_users(caller: Caller) -> None:
    _, squads = await caller.ask("GET", "/api/internal-squads")
    assert squads["response"]["total"] == 1
    assert [squad["name"] for squad in squads["response"]["internalSquads"]] == [DEFAULT_SQUAD]
    assert await caller.ask("GET", "/api/users") == (200, {"response": {"users": [], "total": 0}})
    _, told = await caller.ask("GET", "/api/system/metadata")
    assert told["response"]["version"] == "3.3.2"
    _, configured = await caller.ask("GET", "/api/system/configuration")
    domain = configured["response"]["misc"]["subPublicDomain"]
    assert (await caller.create())["subscriptionUrl"].startswith(f"http://{domain}/")


async def test_a_user_is_made_with_what_was_named_and_found_by_every_name(caller: Caller) -> None:
    squad = await caller.default_squad()
    alice = await caller.create(
        telegramId=101, tag="PAID", email="a@shop.example", trafficLimitBytes=5, activeInternalSquads=[squad]
    )
    await caller.create("bob", telegramId=102)
    assert (alice["status"], alice["expireAt"], alice["trafficLimitBytes"]) == ("ACTIVE", LATER, 5)
    assert alice["activeInternalSquads"] == [{"uuid": squad, "name": DEFAULT_SQUAD}]
    for path in (
        f"/api/users/{alice['id']}",
        "/api/users/by-username/alice",
        f"/api/users/by-short-uuid/{alice['shortUuid']}",
    ):
        assert await caller.ask("GET", path) == (200, {"response": alice})
    for query in ("telegramId=101", "tag=PAID", "email=a@shop.example"):
        _, found = await caller.ask("GET", f"/api/users/stream?{query}")
        assert [user["username"] for user in found["response"]["users"]] == ["alice"]


@BOTH
@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("2030-01-01T03:00:00+03:00", "2030-01-01T00:00:00.000Z"),
        ("2030-01-01T03:00:00", "2030-01-01T03:00:00.000Z"),
        ("2030-01-01T03:00:00.5Z", "2030-01-01T03:00:00.500Z"),
    ],
)
async def test_dates_are_read_with_and_without_a_zone_and_shown_in_utc(
    caller: Caller, written: str, shown: str
) -> None:
    assert (await caller.create(expireAt=written))["expireAt"] == shown


@BOTH
@pytest.mark.parametrize(
    ("field_name", "value"),
    [
        ("username", "ab"),
        ("username", "a" * 37),
        ("username", "имя"),
        ("expireAt", "tomorrow"),
        ("expireAt", None),
        ("telegramId", "101"),
        ("tag", "lower"),
        ("trafficLimitBytes", -1),
        ("trafficLimitStrategy", "YEAR"),
        ("hwidDeviceLimit", 1.5),
        ("activeInternalSquads", ["nope"]),
    ],
)
async def test_a_field_that_does_not_fit_is_named_and_nothing_is_made(
    caller: Caller, field_name: str, value: object
) -> None:
    body = {"username": "alice", "expireAt": LATER} | {field_name: value}
    status, answer = await caller.ask("POST", "/api/users", body)
    assert (status, answer["message"], "errorCode" in answer) == (400, "Validation failed", False)
    assert [error["path"][0] for error in answer["errors"]] == [field_name]
    assert caller.panel.state.users == {}


@BOTH
async def test_a_name_is_taken_once_but_counts_its_case(caller: Caller) -> None:
    alice = await caller.create()
    body = {"username": "alice", "expireAt": LATER}
    assert await caller.refused("POST", "/api/users", body) == (400, "A019")
    body = {"username": "bob", "expireAt": LATER, "shortUuid": alice["shortUuid"]}
    assert await caller.refused("POST", "/api/users", body) == (400, "A020")
    await caller.create("ALICE", telegramId=alice["telegramId"])


@BOTH
async def test_an_unknown_squad_is_an_error_500_and_changes_nothing(caller: Caller) -> None:
    unknown = {"activeInternalSquads": [UNKNOWN_SQUAD]}
    body = {"username": "alice", "expireAt": LATER} | unknown
    assert await caller.refused("POST", "/api/users", body) == (500, "A018")
    alice = await caller.create()
    body = key_of(alice) | {"description": "changed", "expireAt": SOON} | unknown
    assert await caller.refused("PATCH", "/api/users", body) == (500, "A039")
    assert await caller.read(alice) == alice


@BOTH
async def test_what_a_change_does_not_name_stays(caller: Caller) -> None:
    squad = await caller.default_squad()
    alice = await caller.create(tag="PAID", telegramId=101, activeInternalSquads=[squad])
    changed = await caller.update(alice, expireAt=SOON)
    assert changed | {"expireAt": LATER, "updatedAt": alice["updatedAt"]} == alice
    assert (await caller.update(alice, activeInternalSquads=[]))["activeInternalSquads"] == []
    assert (await caller.update(alice, username="renamed"))["username"] == "alice"


@BOTH
async def test_a_user_may_be_made_in_the_past_and_expires_but_not_moved_there(caller: Caller) -> None:
    alice = await caller.create(expireAt=PAST)
    assert alice["status"] == "ACTIVE"
    caller.panel.state.run_jobs()
    assert (await caller.read(alice))["status"] == "EXPIRED"
    told = {event["event"] for event in await caller.receiver.events(2)}
    assert told == {"user.created", "user.expired"}
    status, answer = await caller.ask("PATCH", "/api/users", key_of(alice) | {"expireAt": PAST})
    assert (status, answer["errors"][0]["message"]) == (400, "Expiration date cannot be in the past")


@BOTH
async def test_time_makes_a_user_expired_and_a_future_end_makes_him_active(caller: Caller) -> None:
    alice = await caller.create(expireAt=SOON)
    caller.clock.forward(days=2)
    caller.panel.state.run_jobs()
    assert (await caller.read(alice))["status"] == "EXPIRED"
    assert (await caller.update(alice, expireAt=LATER))["status"] == "ACTIVE"


@BOTH
async def test_a_disabled_user_stays_disabled_until_he_is_enabled(caller: Caller) -> None:
    alice = await caller.create()
    path = f"{path_of(alice)}/actions"
    assert (await caller.ask("POST", f"{path}/disable"))[1]["response"]["status"] == "DISABLED"
    assert await caller.refused("POST", f"{path}/disable") == (400, "A029")
    assert (await caller.update(alice, expireAt=SOON))["status"] == "DISABLED"
    assert (await caller.ask("POST", f"{path}/enable"))[1]["response"]["status"] == "ACTIVE"
    assert await caller.refused("POST", f"{path}/enable") == (400, "A030")


async def test_enabling_an_expired_user_leaves_his_end_and_extending_counts_from_now(caller: Caller) -> None:
    alice = await caller.create(expireAt=PAST)
    caller.panel.state.run_jobs()
    path = f"/api/users/{alice['id']}/actions"
    _, enabled = await caller.ask("POST", f"{path}/enable")
    assert (enabled["response"]["status"], enabled["response"]["expireAt"]) == ("ACTIVE", PAST)
    _, extended = await caller.ask("POST", f"{path}/extend", {"days": 5})
    assert datetime.fromisoformat(extended["response"]["expireAt"]) == NOW + timedelta(days=5)
    _, again = await caller.ask("POST", f"{path}/extend", {"days": 5})
    assert datetime.fromisoformat(again["response"]["expireAt"]) == NOW + timedelta(days=10)


@BOTH
async def test_states_that_the_panel_sets_itself_cannot_be_set(caller: Caller) -> None:
    alice = await caller.create()
    for status in ("EXPIRED", "LIMITED"):
        body = key_of(alice) | {"status": status}
        assert (await caller.ask("PATCH", "/api/users", body))[0] == 400
    assert (await caller.update(alice, status="DISABLED"))["status"] == "DISABLED"


@BOTH
async def test_traffic_that_is_used_up_limits_a_user_until_he_may_use_more(caller: Caller) -> None:
    alice = await caller.create(trafficLimitBytes=100)
    caller.panel.state.use_traffic(caller.panel.state.users[alice["id"]], 100)
    caller.panel.state.run_jobs()
    limited = await caller.read(alice)
    assert (limited["status"], limited["userTraffic"]["usedTrafficBytes"]) == ("LIMITED", 100)
    assert (await caller.update(alice, trafficLimitBytes=50))["status"] == "LIMITED"
    assert (await caller.update(alice, trafficLimitBytes=200))["status"] == "ACTIVE"
    _, reset = await caller.ask("POST", f"{path_of(alice)}/actions/reset-traffic")
    assert reset["response"]["userTraffic"]["usedTrafficBytes"] == 0
    assert reset["response"]["userTraffic"]["lifetimeUsedTrafficBytes"] == 100


async def test_a_deleted_user_is_not_found_by_looking_nor_by_doing(caller: Caller) -> None:
    alice = await caller.create()
    path = f"/api/users/{alice['id']}"
    assert await caller.ask("DELETE", path) == (204, None)
    assert await caller.refused("GET", path) == (404, "A063")
    assert await caller.refused("GET", "/api/users/by-username/alice") == (404, "A063")
    assert await caller.refused("POST", f"{path}/actions/enable") == (404, "A025")
    assert await caller.refused("DELETE", path) == (404, "A025")
    body = {"id": alice["id"], "expireAt": LATER}
    assert await caller.refused("PATCH", "/api/users", body) == (404, "A025")


@BOTH
async def test_the_stream_goes_page_by_page_and_the_list_newest_first(caller: Caller) -> None:
    for name in ("alice", "bob", "charlie"):
        await caller.create(name)
    _, first = await caller.ask("GET", "/api/users/stream?size=2")
    page = first["response"]
    assert ([user["username"] for user in page["users"]], page["hasMore"]) == (["alice", "bob"], True)
    _, second = await caller.ask("GET", f"/api/users/stream?size=2&cursor={page['nextCursor']}")
    page = second["response"]
    assert [user["username"] for user in page["users"]] == ["charlie"]
    assert (page["hasMore"], page["nextCursor"]) == (False, None)
    _, listed = await caller.ask("GET", "/api/users?size=2")
    assert [user["username"] for user in listed["response"]["users"]] == ["charlie", "bob"]
    assert (await caller.ask("GET", "/api/users/stream?size=1001"))[0] == 400


async def test_what_is_done_to_many_is_done_to_each_who_exists(caller: Caller) -> None:
    squad = await caller.default_squad()
    alice, bob = await caller.create("alice"), await caller.create("bob")
    named = {"userIds": [alice["id"], bob["id"], 999]}
    bulk = "/api/users/bulk"
    assert await caller.ask("POST", f"{bulk}/extend-expiration-date", named | {"extendDays": 3}) == (
        204,
        None,
    )
    assert await caller.ask("POST", f"{bulk}/update", named | {"fields": {"tag": "BULK"}}) == (202, None)
    joined = f"/api/internal-squads/{squad}/bulk-actions"
    assert await caller.ask("POST", f"{joined}/add-many-users", named) == (202, None)
    changed = await caller.read(bob)
    assert (changed["tag"], changed["expireAt"]) == ("BULK", "2026-05-04T12:00:00.000Z")
    assert [known["uuid"] for known in changed["activeInternalSquads"]] == [squad]
    assert await caller.ask("POST", f"{bulk}/delete", {"userIds": [alice["id"]]}) == (204, None)
    assert list(caller.panel.state.users) == [bob["id"]]


async def test_the_paths_of_2x_and_unknown_ones_are_not_found(caller: Caller) -> None:
    for path in ("/api/users/by-telegram-id/101", "/api/no-such-route"):
        body = {"message": f"Cannot GET {path}", "statusCode": 404, "error": "Not Found"}
        assert await caller.ask("GET", path) == (404, body)
    assert (await caller.ask("GET", f"/api/users/{uuid4()}"))[0] == 400


@OLDER
async def test_a_panel_281_knows_a_user_by_a_uuid_and_finds_them_by_more(caller: Caller) -> None:
    alice = await caller.create(telegramId=101, tag="PAID", email="a@shop.example")
    newer = await caller.create("alice_2", telegramId=101)
    await caller.create("bob", telegramId=102)
    assert await caller.read(alice) == alice
    by_number = f"/api/users/by-id/{alice['id']}"
    assert await caller.ask("GET", by_number) == (200, {"response": alice})
    for path, found in (
        ("by-telegram-id/101", [newer, alice]),
        ("by-telegram-id/555", []),
        ("by-email/a@shop.example", [alice]),
        ("by-tag/PAID", [alice]),
    ):
        assert await caller.ask("GET", f"/api/users/{path}") == (200, {"response": found})
    assert await caller.refused("GET", "/api/users/by-telegram-id/abc") == (500, "A026")
    _, resolved = await caller.ask("POST", "/api/users/resolve", {"username": "alice"})
    assert resolved["response"] == {name: alice[name] for name in ("uuid", "id", "shortUuid", "username")}


@OLDER
async def test_a_panel_281_streams_everybody_whatever_is_filtered(caller: Caller) -> None:
    await caller.create("alice", telegramId=101)
    await caller.create("bob", telegramId=102)
    _, found = await caller.ask("GET", "/api/users/stream?telegramId=101")
    assert [user["username"] for user in found["response"]["users"]] == ["alice", "bob"]


@OLDER
async def test_a_panel_281_does_not_know_the_ways_of_3x(caller: Caller) -> None:
    alice = await caller.create()
    assert (await caller.ask("POST", f"{path_of(alice)}/actions/extend", {"days": 5}))[0] == 404
    assert (await caller.ask("GET", f"/api/users/{alice['id']}"))[0] == 400
    status, body = await caller.ask("PATCH", "/api/users", {"id": alice["id"], "expireAt": SOON})
    assert (status, body["errors"][0]["message"]) == (400, "Either uuid or username must be provided")
    device = {"userId": alice["id"], "hwid": "device-000000001"}
    assert (await caller.ask("POST", "/api/hwid/devices", device))[0] == 400
    assert await caller.read(alice) == alice


@OLDER
async def test_a_panel_281_tells_what_became_of_a_deletion_and_of_a_bulk_call(caller: Caller) -> None:
    alice, bob = await caller.create(), await caller.create("bob")
    named, bulk = {"uuids": [alice["uuid"], bob["uuid"], UNKNOWN_SQUAD]}, "/api/users/bulk"
    twice = (200, {"response": {"affectedRows": 2}})
    assert await caller.ask("POST", f"{bulk}/extend-expiration-date", named | {"extendDays": 3}) == twice
    assert (await caller.read(bob))["expireAt"] == "2026-05-04T12:00:00.000Z"
    assert await caller.ask("DELETE", path_of(alice)) == (200, {"response": {"isDeleted": True}})
    assert await caller.refused("GET", path_of(alice)) == (404, "A063")
    assert await caller.refused("DELETE", path_of(alice)) == (404, "A025")
    once = (200, {"response": {"affectedRows": 1}})
    assert await caller.ask("POST", f"{bulk}/delete", named) == once
    assert caller.panel.state.users == {}


@OLDER
async def test_a_device_of_a_panel_281_is_named_by_uuid_and_shown_with_a_number(caller: Caller) -> None:
    alice = await caller.create()
    new = {"userUuid": alice["uuid"], "hwid": "device-000000001"}
    _, made = await caller.ask("POST", "/api/hwid/devices", new)
    _, listed = await caller.ask("GET", f"/api/hwid/devices/{alice['uuid']}")
    assert made == listed
    assert [device["userId"] for device in listed["response"]["devices"]] == [alice["id"]]


@OLDER
async def test_a_panel_281_refuses_fields_in_the_words_of_its_time(caller: Caller) -> None:
    body = {"username": "a", "tag": "x", "expireAt": LATER, "telegramId": "101"}
    _, answer = await caller.ask("POST", "/api/users", body)
    told = {error["path"][0]: error for error in answer["errors"]}
    assert told["telegramId"]["message"] == "Expected number, received string"
    assert (told["username"]["type"], told["username"]["exact"]) == ("string", False)
    assert (told["tag"]["code"], told["tag"]["validation"]) == ("invalid_string", "regex")


@OLDER
async def test_an_event_of_a_panel_281_names_both_uuid_and_number(caller: Caller) -> None:
    alice = await caller.create()
    (event,) = await caller.receiver.events(1)
    assert (event["data"]["uuid"], event["data"]["id"]) == (alice["uuid"], alice["id"])


async def test_a_body_that_is_no_json_is_refused(caller: Caller) -> None:
    headers = PROXY | {"Authorization": f"Bearer {TOKEN}"}
    for content_type, raw in (("application/json", "{"), ("application/json", ""), ("text/plain", "{}")):
        sent = headers | {"Content-Type": content_type}
        async with caller.session.post(f"{caller.url}/api/users", data=raw, headers=sent) as answer:
            assert answer.status == 400


async def test_devices_are_counted_and_limited_only_when_the_panel_limits_them(caller: Caller) -> None:
    alice = await caller.create(hwidDeviceLimit=1)
    new = {"userId": alice["id"], "hwid": "device-000000001"}
    assert (await caller.ask("POST", "/api/hwid/devices", new))[1]["response"]["total"] == 1
    assert await caller.refused("POST", "/api/hwid/devices", new) == (400, "A098")
    second = new | {"hwid": "device-000000002"}
    assert (await caller.ask("POST", "/api/hwid/devices", second))[1]["response"]["total"] == 2
    caller.panel.state.device_limit = 5
    third = new | {"hwid": "device-000000003"}
    assert await caller.refused("POST", "/api/hwid/devices", third) == (400, "A099")
    assert await caller.refused("POST", "/api/hwid/devices/delete", third) == (404, "A204")
    assert (await caller.ask("POST", "/api/hwid/devices/delete", new))[1]["response"]["total"] == 1
    _, none = await caller.ask("POST", "/api/hwid/devices/delete-all", {"userId": alice["id"]})
    assert none["response"] == {"total": 0, "devices": []}


async def test_a_client_application_shows_its_device_when_devices_are_limited(caller: Caller) -> None:
    alice = await caller.create()
    headers, links = await caller.download(alice)
    assert ("x-hwid-active" in headers, links.startswith(f"vless://{alice['vlessUuid']}@")) == (False, True)
    caller.panel.state.device_limit = 1
    headers, links = await caller.download(alice)
    assert (headers["x-hwid-not-supported"], "@0.0.0.0:1" in links) == ("true", True)
    headers, links = await caller.download(alice, **{"x-hwid": "device-000000001"})
    assert ("x-hwid-limit" in headers, "@0.0.0.0:1" in links) == (False, False)
    headers, links = await caller.download(alice, **{"x-hwid": "device-000000002"})
    assert (headers["x-hwid-max-devices-reached"], "@0.0.0.0:1" in links) == ("true", True)
    _, listed = await caller.ask("GET", f"/api/hwid/devices/{alice['id']}")
    assert [device["hwid"] for device in listed["response"]["devices"]] == ["device-000000001"]
    assert await caller.ask("GET", "/api/hwid/devices?size=1") == (200, listed)
    unlimited = await caller.create("bob", hwidDeviceLimit=0)
    assert "@0.0.0.0:1" not in (await caller.download(unlimited))[1]


async def test_a_subscription_link_is_public_and_tells_the_end(caller: Caller) -> None:
    alice = await caller.create(expireAt=SOON, trafficLimitBytes=100)
    headers, _ = await caller.download(alice)
    ends = int(datetime.fromisoformat(SOON).timestamp())
    assert headers["subscription-userinfo"] == f"upload=0; download=0; total=100; expire={ends}"
    _, asked = await caller.ask("GET", f"/api/users/{alice['id']}/subscription-request-history")
    assert [request["userAgent"] for request in asked["response"]["records"]] == ["Happ/3.0"]
    caller.clock.forward(days=2)
    caller.panel.state.run_jobs()
    _, links = await caller.download(alice)
    assert "@0.0.0.0:1" in links
    async with caller.session.get(alice["subscriptionUrl"], headers={"User-Agent": "Mozilla/5.0"}) as page:
        shown = await page.json()
    assert (shown["user"]["userStatus"], shown["user"]["expiresAt"]) == ("EXPIRED", SOON)
    async with caller.session.get(f"{caller.url}/api/sub/unknown") as missing:
        assert missing.status == 404


@BOTH
async def test_a_revoked_subscription_has_another_link(caller: Caller) -> None:
    alice = await caller.create()
    path = f"{path_of(alice)}/actions/revoke"
    _, revoked = await caller.ask("POST", path)
    assert revoked["response"]["subscriptionUrl"] != alice["subscriptionUrl"]
    assert revoked["response"]["subRevokedAt"] == "2026-03-01T12:00:00.000Z"
    _, again = await caller.ask("POST", path, {"revokeOnlyPasswords": True})
    assert again["response"]["subscriptionUrl"] == revoked["response"]["subscriptionUrl"]
    assert again["response"]["vlessUuid"] != revoked["response"]["vlessUuid"]


def test_a_webhook_is_signed_as_the_contract_says() -> None:
    raw = (
        b'{"scope":"user","event":"user.expired","timestamp":"2026-01-01T00:00:00.000Z",'
        b'"data":{"id":1},"meta":null}'
    )
    assert signature("a" * 64, raw) == "7a7fa76516d0d4aadfefb0132f0d544d9a94bbe7cf6e905def624d841cc484b6"


async def test_every_change_is_told_with_a_signature_over_the_raw_body(caller: Caller) -> None:
    alice = await caller.create()
    await caller.update(alice, expireAt=SOON)
    await caller.ask("DELETE", f"/api/users/{alice['id']}")
    events = await caller.receiver.events(3)
    assert {event["event"] for event in events} == {"user.created", "user.modified", "user.deleted"}
    for (headers, raw), event in zip(caller.receiver.got, events, strict=True):
        assert headers["X-Remnawave-Signature"] == signature(SECRET, raw)
        assert headers["X-Remnawave-Timestamp"] == event["timestamp"]
        assert (headers["User-Agent"], event["scope"], event["meta"]) == ("Remnawave", "user", None)
        assert event["data"]["id"] == alice["id"]


@pytest.mark.parametrize(("failures", "tries"), [(0, 1), (3, 4), (9, 4)])
async def test_a_webhook_is_tried_four_times_and_then_lost(caller: Caller, failures: int, tries: int) -> None:
    caller.receiver.statuses = [500] * failures
    await caller.create()
    await caller.receiver.events(tries)
    await asyncio.sleep(0.05)
    assert len({raw for _, raw in caller.receiver.got}) == 1
    assert len(caller.receiver.got) == tries


def test_webhooks_go_to_this_machine_only() -> None:
    with pytest.raises(NotLoopback):
        PanelSimulator(TOKEN, webhook_url="http://203.0.113.5/hook")


async def test_a_panel_that_is_away_does_nothing_and_says_nothing(caller: Caller) -> None:
    caller.switch(away=True)
    with pytest.raises(BROKEN):
        await caller.create()
    assert caller.panel.state.users == {}


async def test_a_lost_answer_means_that_the_work_was_done(caller: Caller) -> None:
    caller.switch(lose_answer_rate=1)
    with pytest.raises(BROKEN):
        await caller.create()
    assert [user.username for user in caller.panel.state.users.values()] == ["alice"]


async def test_a_slow_panel_answers_after_its_time(caller: Caller) -> None:
    caller.switch(slow_seconds=0.1)
    started = asyncio.get_running_loop().time()
    await caller.create()
    assert asyncio.get_running_loop().time() - started >= 0.1


@pytest.mark.parametrize(
    ("faults", "status"),
    [
        ({"error_rate": 1}, 500),
        ({"error_rate": 1, "error_status": 503}, 503),
        ({"too_many_requests_rate": 1}, 429),
    ],
)
async def test_a_panel_in_trouble_says_so_and_does_nothing(
    caller: Caller, faults: dict[str, Any], status: int
) -> None:
    caller.switch(**faults)
    assert (await caller.ask("POST", "/api/users", {"username": "alice", "expireAt": LATER}))[0] == status
    assert caller.panel.state.users == {}


async def test_faults_are_switched_by_http_and_may_touch_one_path_only(caller: Caller) -> None:
    control = f"{caller.url}/_sandbox/faults"
    async with caller.session.post(control, json={"away": True, "only": "/api/users"}) as answer:
        assert answer.status == 200
    assert (await caller.ask("GET", "/api/internal-squads"))[0] == 200
    with pytest.raises(BROKEN):
        await caller.ask("POST", "/api/users")
    async with caller.session.delete(control):
        await caller.create()
    async with caller.session.post(control, json={"unknown": 1}) as answer:
        assert answer.status == 400


@pytest.mark.parametrize(("faults", "copies"), [({"notices_lost_rate": 1}, 0), ({"notice_copies": 3}, 3)])
async def test_webhooks_can_be_lost_and_doubled(caller: Caller, faults: dict[str, Any], copies: int) -> None:
    caller.switch(**faults)
    await caller.create()
    await caller.receiver.events(copies)
    await asyncio.sleep(0.05)
    assert len(caller.receiver.got) == copies


async def test_a_webhook_is_forged_on_request_and_its_answer_told(caller: Caller) -> None:
    caller.receiver.statuses = [401]
    forged = b'{"scope":"user","event":"user.deleted"}'
    async with caller.session.post(f"{caller.url}/_sandbox/notices/forge", data=forged) as answer:
        assert await answer.json() == {"status": 401}
    [(headers, raw)] = caller.receiver.got
    assert raw == forged
    assert len(headers["X-Remnawave-Signature"]) == 64
    assert headers["X-Remnawave-Signature"] != signature(SECRET, raw)
    caller.panel.webhooks.url = "http://127.0.0.1:9/"
    async with caller.session.post(f"{caller.url}/_sandbox/notices/forge", data=forged) as answer:
        assert await answer.json() == {"status": None}


async def test_the_record_of_changes_tells_each_end_before_and_after(caller: Caller) -> None:
    alice = await caller.create(telegramId=101)
    await caller.update(alice, expireAt=SOON)
    async with caller.session.get(f"{caller.url}/_sandbox/changes") as answer:
        changes = await answer.json()
    assert [(change["what"], change["before"], change["after"]) for change in changes] == [
        ("create", None, LATER),
        ("update", LATER, SOON),
    ]


def exchange(
    number: int, method: str, path: str, *, status: int, answer: Any, body: Any = None, version: str = "3.3.2"
) -> str:
    """A line of a recording, in which the panel gave other ids than the simulator will."""
    headers = PROXY | {"Authorization": "Bearer TOKEN", "Content-Type": "application/json"}
    return json.dumps(
        {
            "panel_version": version,
            "n": number,
            "name": f"step_{number}",
            "at": "2026-03-01T12:00:00.000Z",
            "request": {"method": method, "path": path, "headers": headers}
            | ({} if body is None else {"body": body}),
            "response": {"status": status, "headers": {}, "body": answer},
        }
    )


def replayed(directory: Path, *lines: str, version: str = "3.3.2") -> subprocess.CompletedProcess[str]:
    recording = directory / "recording.jsonl"
    recording.write_text("\n".join(lines))
    command = [sys.executable, "tools/replay_panel.py", str(recording), "--panel-version", version]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=ROOT, env={"PYTHONPATH": "src"}
    )


RESOLVED = {"response": {"id": 77, "username": "alice", "shortUuid": "RecordedShort0001"}}
GONE = {"timestamp": "t", "path": "/api/users/77", "message": "User with specified params not found"}


async def recorded_user(caller: Caller) -> dict[str, Any]:
    return (await caller.create()) | {"id": 77, "shortUuid": "RecordedShort0001"}


async def test_a_recording_that_the_simulator_can_repeat_agrees(caller: Caller, tmp_path: Path) -> None:
    user = {"response": await recorded_user(caller)}
    unanswered = json.loads(exchange(5, "GET", "/api/users", status=0, answer=None))
    unanswered["request"]["headers"] = {}
    unanswered |= {"response": None, "transport_error": "closed"}
    done = replayed(
        tmp_path,
        exchange(
            1, "POST", "/api/users", status=201, answer=user, body={"username": "alice", "expireAt": LATER}
        ),
        exchange(2, "GET", "/api/users/by-short-uuid/RecordedShort0001", status=200, answer=user),
        exchange(3, "DELETE", "/api/users/77", status=204, answer=None),
        exchange(4, "GET", "/api/users/77", status=404, answer=GONE | {"errorCode": "A063"}),
        json.dumps(unanswered),
        exchange(6, "GET", "/api/nodes", status=200, answer={"response": []}),
    )
    assert done.stdout == "5 of 5 exchanges agree; not played: 1 (nodes 1)\n", done.stderr
    assert done.returncode == 0


@OLDER
async def test_a_recording_of_a_panel_281_is_replayed_by_uuid(caller: Caller, tmp_path: Path) -> None:
    uuid = str(uuid4())
    user = {"response": (await recorded_user(caller)) | {"uuid": uuid}}
    new = {"username": "alice", "expireAt": LATER}
    done = replayed(
        tmp_path,
        exchange(1, "DELETE", f"/api/tokens/{uuid}", status=403, answer=None, version="3.3.2"),
        exchange(2, "POST", "/api/users", status=201, answer=user, body=new, version="2.8.1"),
        exchange(3, "GET", f"/api/users/{uuid}", status=200, answer=user, version="2.8.1"),
        exchange(4, "GET", "/api/users/by-id/77", status=200, answer=user, version="2.8.1"),
        version="2.8.1",
    )
    assert done.stdout == "3 of 3 exchanges agree\n", done.stderr


async def test_a_recording_that_differs_is_told_line_by_line(caller: Caller, tmp_path: Path) -> None:
    user = await recorded_user(caller)
    wrong_type, wrong_code = user | {"telegramId": 1}, GONE | {"errorCode": "A025"}
    done = replayed(
        tmp_path,
        exchange(
            1, "POST", "/api/users", status=200, answer=None, body={"username": "bob", "expireAt": LATER}
        ),
        exchange(
            2,
            "POST",
            "/api/users",
            status=201,
            answer={"response": wrong_type},
            body={"username": "alice", "expireAt": LATER},
        ),
        exchange(3, "GET", "/api/users/78", status=404, answer=wrong_code),
        exchange(4, "GET", "/api/users/77", status=200, answer={"response": user | {"uuid": "u"}}),
        exchange(5, "POST", "/api/users/resolve", status=200, answer=RESOLVED, body={"username": "alice"}),
    )
    assert done.stdout.splitlines() == [
        "1 step_1 POST /api/users: answered 200, ours 201",
        "2 step_2 POST /api/users: $.response.telegramId is number, ours null",
        "3 step_3 GET /api/users/78: $.errorCode is 'A025', ours 'A063'",
        "4 step_4 GET /api/users/77: $.response.uuid is missing in ours",
        "1 of 5 exchanges agree",
    ]
    assert done.returncode == 1


def test_a_file_that_holds_no_recording_is_told_from_one_that_differs(tmp_path: Path) -> None:
    done = replayed(tmp_path, '{"panel_version": "2.7.4"}')
    assert (done.returncode, done.stdout) == (2, "")
    assert "holds no exchange with panel 3.3.2" in done.stderr
