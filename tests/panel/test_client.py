import contextlib
from collections.abc import AsyncIterator
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web
from pydantic import SecretStr

from gateway import sick_gateway
from getpro.panel.client import PanelClient
from getpro.panel.dialect import dialect_of
from getpro.panel.errors import PanelError, PanelGone, PanelRefused, PanelUnavailable
from getpro.panel.service import KnownAccount, PanelAccount, Usage, UsernameTaken, WantedAccess, put
from getpro.platform.settings import PanelSettings, ShopSettings
from getpro.sales.reconcile import Difference, differences
from getpro.sandbox.faults import Faults
from getpro.sandbox.panel import PanelSimulator
from getpro.sandbox.panel.state import User
from getpro.sandbox.serving import serving

TOKEN = "panel-token"
ALICE = 101
END = datetime(2030, 5, 1, 12, 30, 15, tzinfo=UTC)
GIGABYTE = 1024**3


def wanted(*, end_date: datetime = END) -> WantedAccess:
    return WantedAccess(subscription_id=7, user_id=ALICE, end_date=end_date)


@dataclass
class Place:
    """A simulated panel and the shop's client that speaks to it."""

    panel: PanelSimulator
    url: str
    client: PanelClient

    @property
    def users(self) -> list[User]:
        return list(self.panel.state.users.values())

    @property
    def nobody(self) -> str:
        """How a user would be called who is not there."""
        return "999" if self.panel.state.edition.key == "id" else str(uuid4())

    def name_of(self, user: User) -> str:
        """What the client calls the user."""
        return str(getattr(user, self.panel.state.edition.key))

    def user(self, number: str) -> User:
        return next(user for user in self.users if self.name_of(user) == number)

    def foreign_user(self, username: str, **fields: Any) -> User:
        """Somebody whom an operator or another shop has made."""
        return self.panel.state.create({"username": username, "expireAt": "2031-01-01T00:00:00Z"} | fields)

    def switch(self, **faults: Any) -> None:
        self.panel.faults.now = Faults(**faults)


@contextlib.asynccontextmanager
async def client_of(url: str, **settings: Any) -> AsyncIterator[PanelClient]:
    usual = {"url": url, "token": SecretStr(TOKEN)}
    group = PanelSettings.model_validate(usual | settings)
    client = PanelClient(group, ShopSettings(traffic_limit_gb=100, device_limit=3), owner="shop")
    yield client
    await client.close()


@pytest.fixture(params=["3.3.2", "2.8.1"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    panel = PanelSimulator(TOKEN, version=request.param, public_url="http://panel.example")
    async with serving(panel.app) as url, client_of(url) as client:
        yield Place(panel, url, client)


async def test_a_user_is_made_with_what_was_bought(place: Place) -> None:
    made = await place.client.create(wanted(), "tg_101")
    (user,) = place.users
    assert (user.username, user.telegramId, user.expireAt, user.status) == ("tg_101", ALICE, END, "ACTIVE")
    assert (user.trafficLimitBytes, user.trafficLimitStrategy) == (100 * GIGABYTE, "MONTH")
    assert (user.hwidDeviceLimit, user.description) == (3, "shop:7")
    assert [place.panel.state.squads[squad] for squad in user.squads] == ["Default-Squad"]
    assert made.account == PanelAccount(
        place.name_of(user), "tg_101", user.shortUuid, f"http://panel.example/api/sub/{user.shortUuid}"
    )
    assert (made.expire_at, made.status, made.telegram_id) == (END, "ACTIVE", ALICE)
    assert place.client.owns(made, wanted())


async def test_an_end_in_another_zone_is_the_same_moment_on_the_panel(place: Place) -> None:
    made = await place.client.create(wanted(end_date=END.astimezone(timezone(timedelta(hours=3)))), "tg_101")
    assert place.user(made.account.panel_user_id).expireAt == END


async def test_a_change_writes_our_fields_and_leaves_all_others(place: Place) -> None:
    number = (await place.client.create(wanted(), "tg_101")).account.panel_user_id
    user, state = place.user(number), place.panel.state
    state.update(user, {"tag": "VIP", "email": "a@shop.example", "telegramId": 555})
    state.update(user, {"description": "shop:7", "trafficLimitBytes": 1})
    state.use_traffic(user, 4096)
    user.devices.append({"hwid": "device-000000001"})
    before = state.json(user)
    changed = await place.client.change(number, wanted(end_date=END + timedelta(days=30)))
    assert changed.expire_at == user.expireAt == END + timedelta(days=30)
    ours = {
        "expireAt",
        "trafficLimitBytes",
        "trafficLimitStrategy",
        "hwidDeviceLimit",
        "activeInternalSquads",
    }
    after = state.json(user)
    assert {name for name in after if after[name] != before[name]} <= ours | {"updatedAt"}
    assert user.trafficLimitBytes == 100 * GIGABYTE
    assert (user.traffic["usedTrafficBytes"], user.devices) == (4096, [{"hwid": "device-000000001"}])


async def test_an_expired_user_becomes_active_by_a_change(place: Place) -> None:
    past = datetime(2020, 1, 1, tzinfo=UTC)
    number = (await place.client.create(wanted(end_date=past), "tg_101")).account.panel_user_id
    place.panel.state.run_jobs()
    assert place.user(number).status == "EXPIRED"
    assert (await place.client.change(number, wanted())).status == "ACTIVE"


async def test_enabling_twice_is_no_trouble(place: Place) -> None:
    number = (await place.client.create(wanted(), "tg_101")).account.panel_user_id
    place.user(number).status = "DISABLED"
    for _ in range(2):
        await place.client.enable(number)
        assert place.user(number).status == "ACTIVE"
    with pytest.raises(PanelGone):
        await place.client.enable(place.nobody)


async def test_a_user_is_found_by_name_or_is_none(place: Place) -> None:
    made = await place.client.create(wanted(), "tg_101")
    assert await place.client.by_username("tg_101") == made
    assert await place.client.by_username("tg_102") is None


async def test_what_a_user_has_used_is_read_with_what_they_may_use(place: Place) -> None:
    number = (await place.client.create(wanted(), "tg_101")).account.panel_user_id
    place.panel.state.use_traffic(place.user(number), 4096)
    assert await place.client.usage(number) == Usage(4096, 100 * GIGABYTE, 3)
    place.user(number).hwidDeviceLimit = None
    assert await place.client.usage(number) == Usage(4096, 100 * GIGABYTE, None)
    assert await place.client.usage(place.nobody) is None


async def test_the_devices_of_a_user_are_counted(place: Place) -> None:
    number = (await place.client.create(wanted(), "tg_101")).account.panel_user_id
    assert await place.client.devices(number) == 0
    place.user(number).devices = [{"hwid": "device-000000001"}, {"hwid": "device-000000002"}]
    assert await place.client.devices(number) == 2
    with pytest.raises(PanelGone):
        await place.client.devices(place.nobody)


async def test_all_users_of_several_pages_are_read(place: Place) -> None:
    names = [f"user_{number}" for number in range(501)]
    for name in names:
        place.foreign_user(name)
    found = [user async for user in place.client.users()]
    assert sorted(user.account.username for user in found) == sorted(names)
    assert not any(place.client.is_ours(user) for user in found)


@pytest.mark.parametrize("version", ["2.7.0", "2.7.4", "2.8.1", "3.0.0", "3.12.1", "3.4", "3.4.0-rc.1"])
def test_every_supported_version_has_a_dialect(version: str) -> None:
    assert dialect_of(version).key == ("id" if version.startswith("3") else "uuid")


@pytest.mark.parametrize(
    "version", ["1.6.4", "2.5.0", "2.6.9", "2.9.0", "2.70", "4.0.0", "30.1", "3", "v3.3.2", "latest", ""]
)
async def test_a_panel_of_an_unknown_version_is_refused_and_not_touched(place: Place, version: str) -> None:
    as_recorded = place.panel.state.edition
    place.panel.state.edition = copy(as_recorded)
    place.panel.state.edition.version = version
    for _ in range(2):
        with pytest.raises(
            PanelRefused, match=f"^Панель версии '{version}' магазину незнакома.*2.7, 2.8 и 3.x"
        ):
            await put(place.client, wanted(), None)
    assert place.panel.state.changes == []
    place.panel.state.edition = as_recorded
    await put(place.client, wanted(), None)


async def test_a_panel_that_does_not_name_its_version_is_refused_with_the_supported_ones() -> None:
    async with serving(web.Application()) as url, client_of(url) as client:
        with pytest.raises(PanelRefused, match=r"не назвала свою версию: 404.*2\.7, 2\.8 и 3\.x"):
            await client.by_username("tg_101")


async def test_the_version_is_asked_once_and_again_after_trouble() -> None:
    asked: list[str] = []
    statuses = [200, 200, 503, 200, 404, 200]

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path.rpartition("/")[2])
        if asked[-1] == "metadata":
            return web.json_response({"response": {"version": "3.3.2"}})
        return web.json_response({"response": {"total": 1}}, status=statuses.pop(0))

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with serving(app) as url, client_of(url) as client:
        while statuses:
            with pytest.raises(PanelError) if statuses[0] > 200 else contextlib.nullcontext():
                await client.devices("5")
    assert asked == ["metadata", "5", "5", "5", "metadata", "5", "5", "metadata", "5"]


async def test_the_panels_version_is_read(place: Place) -> None:
    assert await place.client.version() == place.panel.state.edition.version


async def test_squads_are_taken_by_name_or_uuid(place: Place) -> None:
    first, second, third = (str(uuid4()) for _ in range(3))
    place.panel.state.squads = {first: "Basic", second: "Fast", third: "Other"}
    async with client_of(place.url, squads=["Fast", first]) as client:
        await client.create(wanted(), "tg_101")
    assert place.users[0].squads == [second, first]


async def test_a_squad_that_the_panel_lacks_is_a_refusal_that_names_it(place: Place) -> None:
    async with client_of(place.url, squads=["Default-Squad", "Missing"]) as client:
        with pytest.raises(PanelRefused, match="Missing"):
            await client.create(wanted(), "tg_101")
    assert place.users == []


async def test_a_squad_made_anew_under_its_name_is_found_after_one_refusal(place: Place) -> None:
    number = (await place.client.create(wanted(), "tg_101")).account.panel_user_id
    place.panel.state.squads = {str(uuid4()): "Default-Squad"}
    place.user(number).squads = []
    with pytest.raises(PanelRefused, match="A039"):
        await place.client.change(number, wanted())
    await place.client.change(number, wanted())
    assert place.user(number).squads == list(place.panel.state.squads)


PLAIN = "Forbidden resource"
ANSWERS: list[tuple[int, Any, type[PanelError]]] = [
    # What an application error, a failed validation, the framework and a proxy in front answer.
    (404, {"errorCode": "A025", "message": "User not found"}, PanelGone),
    (404, {"errorCode": "A062", "message": "Users not found"}, PanelGone),
    (404, {"errorCode": "A063", "message": "User with specified params not found"}, PanelGone),
    (404, {"errorCode": "A118", "message": "Internal squad not found"}, PanelRefused),
    (404, {"message": "Cannot PATCH /api/users", "error": "Not Found", "statusCode": 404}, PanelRefused),
    (404, "<html>not here</html>", PanelRefused),
    (400, {"errorCode": "A019", "message": "User username already exists"}, UsernameTaken),
    (400, {"errorCode": "A020", "message": "User short UUID already exists"}, PanelRefused),
    (400, {"errorCode": "A029", "message": "User already disabled"}, PanelRefused),
    (400, {"errorCode": "A089", "message": "not allowed to be set manually"}, PanelRefused),
    (400, {"statusCode": 400, "message": "Validation failed", "errors": []}, PanelRefused),
    (401, {"message": "Unauthorized", "statusCode": 401}, PanelRefused),
    (403, {"message": PLAIN, "error": "Forbidden", "statusCode": 403}, PanelRefused),
    (403, {"errorCode": "A068", "message": "Forbidden"}, PanelRefused),
    (403, {"errorCode": "E000", "message": "Forbidden"}, PanelRefused),
    (500, {"errorCode": "A018", "message": "Failed to create user"}, PanelRefused),
    (500, {"errorCode": "A039", "message": "Update user error"}, PanelRefused),
    (500, {"errorCode": "A001", "message": "Server error"}, PanelUnavailable),
    (500, {"errorCode": "A026", "message": "Get user failed"}, PanelUnavailable),
    (500, {"errorCode": "A031", "message": "Enable user error"}, PanelUnavailable),
    (500, {"message": "Internal server error", "statusCode": 500}, PanelUnavailable),
    (502, "<html>Bad Gateway</html>", PanelUnavailable),
    (503, "", PanelUnavailable),
    (504, "", PanelUnavailable),
    (522, "", PanelUnavailable),
    (429, {"message": "Too many requests"}, PanelUnavailable),
    (408, "", PanelUnavailable),
    (302, "", PanelUnavailable),
    (308, "", PanelUnavailable),
    (200, "<html>The panel is being moved</html>", PanelUnavailable),
    (200, "", PanelUnavailable),
    (200, {"unexpected": True}, PanelUnavailable),
    (200, [], PanelUnavailable),
    (200, {"response": {"uuid": "a user of another version"}}, PanelRefused),
]


@pytest.mark.parametrize(("status", "body", "decision"), ANSWERS)
async def test_every_answer_of_the_panel_is_a_decision(
    status: int, body: Any, decision: type[PanelError]
) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path == "/api/system/metadata":
            return web.json_response({"response": {"version": "3.3.2"}})
        if request.path == "/api/internal-squads":
            squads = [{"name": "Default-Squad", "uuid": str(uuid4())}]
            return web.json_response({"response": {"total": 1, "internalSquads": squads}})
        if isinstance(body, str):
            return web.Response(status=status, text=body, content_type="text/html")
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with serving(app) as url, client_of(url) as client:
        with pytest.raises(PanelError) as caught:
            await client.change("5", wanted())
    assert type(caught.value) is decision


@pytest.mark.parametrize(
    "faults",
    [
        {"away": True},
        {"slow_seconds": 2},
        {"error_rate": 1},
        {"error_rate": 1, "error_status": 502},
        {"too_many_requests_rate": 1},
        {"lose_answer_rate": 1},
    ],
    ids="_".join,
)
async def test_a_panel_in_trouble_is_unavailable(place: Place, faults: dict[str, Any]) -> None:
    async with client_of(place.url, timeout_seconds=0.3) as client:
        await client.allowance()
        place.switch(**faults)
        with pytest.raises(PanelUnavailable):
            await client.create(wanted(), "tg_101")
        with pytest.raises(PanelUnavailable):
            await client.by_username("tg_101")
        with pytest.raises(PanelUnavailable):
            _ = [user async for user in client.users()]


async def test_a_panel_that_nobody_listens_for_is_unavailable() -> None:
    async with client_of("http://127.0.0.1:9") as client:
        with pytest.raises(PanelUnavailable):
            await client.version()


async def test_a_wrong_token_is_a_refusal(place: Place) -> None:
    async with client_of(place.url, token=SecretStr("other")) as client:
        with pytest.raises(PanelRefused, match="401"):
            await client.version()


async def test_the_secrets_of_a_proxy_in_front_go_with_every_call() -> None:
    seen: dict[str, str] = {}

    async def answer(request: web.Request) -> web.Response:
        seen.update(request.headers)
        return web.json_response({"response": {"version": "3.3.2"}})

    app = web.Application()
    app.router.add_get("/api/system/metadata", answer)
    async with (
        serving(app) as url,
        client_of(url, cookie=SecretStr("door=open"), api_key=SecretStr("caddy")) as client,
    ):
        await client.version()
    assert (seen["Cookie"], seen["X-Api-Key"]) == ("door=open", "caddy")
    assert (seen["X-Forwarded-Proto"], seen["X-Forwarded-For"]) == ("https", "127.0.0.1")
    assert seen["Authorization"] == f"Bearer {TOKEN}"


def remembered(account: PanelAccount) -> KnownAccount:
    return KnownAccount(account.panel_user_id, account.username, account.fingerprint, encrypted_url=None)


async def test_a_user_who_was_deleted_on_the_panel_is_made_again(place: Place) -> None:
    known = remembered(await put(place.client, wanted(), None))
    place.panel.state.delete(place.user(known.panel_user_id))
    again = await put(place.client, wanted(), known)
    assert again.panel_user_id != known.panel_user_id
    assert [(user.username, user.expireAt) for user in place.users] == [("tg_101", END)]


async def test_on_a_panel_set_up_anew_a_number_that_now_is_somebody_elses_is_left_alone(place: Place) -> None:
    stranger = await place.client.create(replace(wanted(), user_id=555), "tg_555")
    before = place.user(stranger.account.panel_user_id).expireAt
    known = remembered(replace(stranger.account, username="tg_101"))
    again = await put(place.client, wanted(end_date=END + timedelta(days=9)), known)
    assert again.panel_user_id != known.panel_user_id
    assert place.user(stranger.account.panel_user_id).expireAt == before


async def test_a_user_who_was_taken_out_of_the_squad_is_seen_to_lack_it(place: Place) -> None:
    known = remembered(await put(place.client, wanted(), None))
    assert await differing(place, known) == []
    place.user(known.panel_user_id).squads.clear()
    assert await differing(place, known) == [Difference.SQUADS]
    await put(place.client, wanted(), known)
    assert await differing(place, known) == []


async def differing(place: Place, known: KnownAccount) -> list[Difference]:
    """How the user differs from what we give: 100 GB and 3 devices."""
    user = await place.client.by_username(known.username)
    return [kind for kind, _, _ in differences(user, END, await place.client.allowance())]


@pytest.mark.parametrize(
    ("traffic", "devices", "found", "repaired"),
    [
        (50, 3, [Difference.LESS_TRAFFIC], (100, 3)),
        (500, 3, [Difference.MORE_TRAFFIC], (500, 3)),
        (0, 3, [Difference.MORE_TRAFFIC], (0, 3)),
        (100, 1, [Difference.FEWER_DEVICES], (100, 3)),
        (100, 5, [Difference.OTHER_DEVICES], (100, 5)),
        (100, 0, [Difference.OTHER_DEVICES], (100, 0)),
        (100, None, [Difference.OTHER_DEVICES], (100, None)),
        (50, 5, [Difference.LESS_TRAFFIC, Difference.OTHER_DEVICES], (100, 5)),
    ],
)
async def test_a_repair_raises_limits_and_lowers_none(
    place: Place, traffic: int, devices: int | None, found: list[Difference], repaired: tuple[int, int | None]
) -> None:
    known = remembered(await put(place.client, wanted(), None))
    user, extra = place.user(known.panel_user_id), str(uuid4())
    place.panel.state.squads[extra] = "Gift"
    user.squads = [extra]
    user.trafficLimitBytes, user.hwidDeviceLimit = traffic * GIGABYTE, devices
    assert await differing(place, known) == [Difference.SQUADS, *found]
    await put(place.client, wanted(end_date=END - timedelta(days=1)), known, takes_nothing=True)
    assert (user.trafficLimitBytes // GIGABYTE, user.hwidDeviceLimit) == repaired
    assert (user.expireAt, set(user.squads)) == (END, set(place.panel.state.squads))
    await put(place.client, wanted(), known)
    assert (user.trafficLimitBytes // GIGABYTE, user.hwidDeviceLimit) == (100, 3)


async def test_putting_twice_changes_the_one_user(place: Place) -> None:
    known = remembered(await put(place.client, wanted(), None))
    assert remembered(await put(place.client, wanted(end_date=END + timedelta(days=1)), known)) == known
    assert [user.expireAt for user in place.users] == [END + timedelta(days=1)]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"telegramId": ALICE},
        {"telegramId": ALICE, "description": "other:7"},
        {"telegramId": ALICE, "description": "shop:8"},
        {"telegramId": 555, "description": "shop:7"},
    ],
)
async def test_a_foreign_user_with_our_name_is_left_alone(place: Place, fields: dict[str, Any]) -> None:
    foreign = place.foreign_user("tg_101", **fields)
    before = place.panel.state.json(foreign)
    account = await put(place.client, wanted(), None)
    assert account.username == "tg_101_7"
    assert place.panel.state.json(foreign) == before


async def test_when_both_names_are_foreign_somebody_must_look(place: Place) -> None:
    for name in ("tg_101", "tg_101_7"):
        place.foreign_user(name)
    with pytest.raises(PanelRefused, match="tg_101_7"):
        await put(place.client, wanted(), None)
    assert len(place.users) == 2


async def test_an_end_in_the_past_is_refused_by_a_change_and_changes_nothing(place: Place) -> None:
    known = remembered(await put(place.client, wanted(), None))
    with pytest.raises(PanelRefused, match="400 Validation failed"):
        await put(place.client, wanted(end_date=datetime(2020, 1, 1, tzinfo=UTC)), known)
    assert [user.expireAt for user in place.users] == [END]


async def test_a_user_whose_making_was_never_answered_is_found_among_strangers(place: Place) -> None:
    stranger = place.foreign_user("stranger", telegramId=555)
    before = place.panel.state.json(stranger)
    place.switch(lose_answer_rate=1, only="/api/users")
    with pytest.raises(PanelUnavailable):
        await put(place.client, wanted(), None)
    place.switch()
    later = wanted(end_date=END + timedelta(days=30))
    account = await put(place.client, later, None)
    _, user = place.users
    assert (place.name_of(user), user.expireAt) == (account.panel_user_id, later.end_date)
    assert place.panel.state.json(stranger) == before


async def test_access_that_was_paid_for_is_opened_even_if_it_was_disabled(place: Place) -> None:
    known = remembered(await put(place.client, wanted(), None))
    place.user(known.panel_user_id).status = "DISABLED"
    await put(place.client, wanted(), known)
    assert place.user(known.panel_user_id).status == "ACTIVE"


async def test_a_page_of_a_gateway_says_nothing_and_is_not_repeated() -> None:
    async with sick_gateway() as (url, _), client_of(url) as client:
        with pytest.raises(PanelUnavailable) as told:
            await client.by_username("tg_101")
    assert str(told.value) == "502"


async def test_a_repair_takes_nothing_from_a_user_of_ours_who_has_another_number(place: Place) -> None:
    known = remembered(await put(place.client, wanted(), None))
    user = place.user(known.panel_user_id)
    user.expireAt, user.hwidDeviceLimit = END + timedelta(days=9), 5
    lost = replace(known, panel_user_id=place.nobody, fingerprint=b"revoked")
    assert remembered(await put(place.client, wanted(), lost, takes_nothing=True)) == known
    assert (user.expireAt, user.hwidDeviceLimit) == (END + timedelta(days=9), 5)
    assert remembered(await put(place.client, wanted(), lost)) == known
    assert (user.expireAt, user.hwidDeviceLimit) == (END, 3)
