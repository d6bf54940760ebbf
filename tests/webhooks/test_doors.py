import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from doors import Knocker, open_doors
from getpro.payments.provider import Knock, NoticeRefused, ProviderUnavailable
from getpro.payments.providers.stars.provider import Stars
from getpro.payments.providers.yookassa.client import YooKassaClient
from getpro.payments.providers.yookassa.provider import YooKassa
from getpro.platform.settings import YooKassaSettings
from getpro.sales import checkout, stuck
from getpro.webhooks.deps import Doors
from moments import broken_at
from shop import ONE_MONTH, Shop, days

TELEGRAM = "/webhooks/telegram"
YOOKASSA = "/webhooks/yookassa"
PANEL = "/webhooks/panel"
SECRET = "telegram-secret"
PANEL_SECRET = "a" * 64
YOOKASSA_ADDRESS = "185.71.76.1"
NOTICE = {"type": "notification", "event": "payment.succeeded", "object": {"id": "abc-123"}}


class FakeStarsApi:
    async def create_invoice_link(self, invoice: dict[str, Any]) -> str:
        return "https://t.me/$invoice"

    async def star_transactions(self, *, offset: int, limit: int) -> list[dict[str, Any]]:
        return []

    async def refund(self, *, user_id: int, charge_id: str) -> None:
        raise NotImplementedError

    async def star_balance(self) -> int:
        return 0


class Bot:
    """Stands where the bot is: remembers what it was fed, and can break."""

    def __init__(self) -> None:
        self.fed: list[dict[str, Any]] = []
        self.error: Exception | None = None

    async def handle(self, update: dict[str, Any]) -> dict[str, Any] | None:
        self.fed.append(update)
        if self.error is not None:
            raise self.error
        return {"method": "sendMessage", "chat_id": 1, "text": "hi"}


@pytest.fixture
def bot() -> Bot:
    return Bot()


@pytest.fixture
async def door(shop: Shop, bot: Bot) -> AsyncIterator[Knocker]:
    group = YooKassaSettings(shop_id="1", secret_key=SecretStr("k"), api_url="http://127.0.0.1:9")
    client = YooKassaClient(group)
    shop.more_providers = (YooKassa(group, client), Stars(FakeStarsApi()))
    doors = Doors(
        sales=shop.deps,
        handle_update=bot.handle,
        telegram_secret=SecretStr(SECRET),
        panel_secret=SecretStr(PANEL_SECRET),
        trusted_proxies=[ip_network("127.0.0.1/32")],
    )
    async with open_doors(doors) as knocker:
        yield knocker
    await client.close()


async def kept(shop: Shop) -> list[Any]:
    async with shop.db.begin("test") as session:
        return list((await session.execute(text("SELECT * FROM provider_events ORDER BY event_id"))).all())


async def waiting_jobs(shop: Shop) -> int:
    async with shop.db.begin("test") as session:
        return int(await session.scalar(text("SELECT count(*) FROM procrastinate_jobs")) or 0)


async def test_a_notice_from_the_provider_is_kept_raw_and_settled_later(door: Knocker, shop: Shop) -> None:
    assert await door.post(YOOKASSA, NOTICE, X_Forwarded_For=YOOKASSA_ADDRESS) == 200
    (event,) = await kept(shop)
    assert (event.object_id, event.event, json.loads(event.body)) == ("abc-123", "payment.succeeded", NOTICE)
    assert await waiting_jobs(shop) == 1


async def test_a_notice_that_cannot_be_kept_is_not_acknowledged(door: Knocker, shop: Shop) -> None:
    with broken_at("notice: before commit"):
        assert await door.post(YOOKASSA, NOTICE, X_Forwarded_For=YOOKASSA_ADDRESS) == 503
    assert await kept(shop) == []
    assert await door.post(YOOKASSA, NOTICE, X_Forwarded_For=YOOKASSA_ADDRESS) == 200
    assert len(await kept(shop)) == 1


@pytest.mark.parametrize(
    ("forwarded_for", "why"),
    [
        ("8.8.8.8", "another network"),
        (f"{YOOKASSA_ADDRESS}, 8.8.8.8", "the true address was written by a stranger"),
        (f"{YOOKASSA_ADDRESS}, 8.8.8.8, 127.0.0.1", "a stranger in front of two proxies"),
        ("nonsense", "no address at all"),
        ("", "an empty header"),
    ],
)
async def test_a_notice_from_elsewhere_is_refused(
    door: Knocker, shop: Shop, forwarded_for: str, why: str
) -> None:
    assert await door.post(YOOKASSA, NOTICE, X_Forwarded_For=forwarded_for) == 403
    assert await kept(shop) == []
    assert door.counted["yookassa: address"] == 1


async def test_a_refused_notice_without_an_address_is_logged_with_the_proxy_that_told_none(
    door: Knocker,
) -> None:
    with structlog.testing.capture_logs() as lines:
        assert await door.post(YOOKASSA, NOTICE) == 403
    (line,) = [line for line in lines if line["event"] == "webhook.refused"]
    assert (line["address"], line["peer"]) == ("unknown", "127.0.0.1")


async def test_without_a_trusted_proxy_the_forwarded_address_is_not_believed(
    door: Knocker, shop: Shop
) -> None:
    door.doors.trusted_proxies.clear()
    assert await door.post(YOOKASSA, NOTICE, X_Forwarded_For=YOOKASSA_ADDRESS) == 403
    assert await kept(shop) == []


async def test_a_body_of_ten_megabytes_is_refused(door: Knocker, shop: Shop) -> None:
    body = b'{"event":"' + b"x" * 10_000_000 + b'"}'
    headers = {"X_Forwarded_For": YOOKASSA_ADDRESS}
    assert await door.post(YOOKASSA, body, **headers) == 413
    assert await door.post(TELEGRAM, body, X_Telegram_Bot_Api_Secret_Token=SECRET) == 413
    assert await door.post(PANEL, body) == 413
    assert await kept(shop) == []


async def test_a_body_that_hides_its_length_is_refused(door: Knocker, shop: Shop) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 65536

    async with door.session.post(
        door.url + YOOKASSA, data=endless(), headers={"X-Forwarded-For": YOOKASSA_ADDRESS}
    ) as response:
        assert response.status in {400, 413}
    assert await kept(shop) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"event":1,"object":{"id":"x"}}',
        b'{"event":"payment.succeeded","object":{"id":""}}',
        b'{"event":"payment.succeeded","object":{"id":"' + b"x" * 65 + b'"}}',
        b'{"event":"payment.succeeded","object":[]}',
        b'{"event":"payment.succeeded"}',
    ],
)
async def test_what_is_no_notice_is_refused(door: Knocker, shop: Shop, body: bytes) -> None:
    assert await door.post(YOOKASSA, body, X_Forwarded_For=YOOKASSA_ADDRESS) == 400
    assert await kept(shop) == []


async def test_nobody_knocks_for_stars_or_for_a_provider_that_is_off(door: Knocker, shop: Shop) -> None:
    assert await door.post("/webhooks/stars", stars_update(1)) == 404
    assert await door.post("/webhooks/cryptopay", NOTICE) == 404
    assert await kept(shop) == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=12,
    ),
    event=st.sampled_from(["payment.succeeded", "payment.canceled", "refund.succeeded", "x"]),
    object_id=st.text(max_size=70) | st.integers() | st.none(),
)
def test_no_input_breaks_the_reading_of_a_notice(body: Any, event: str, object_id: Any) -> None:
    group = YooKassaSettings(shop_id="1", secret_key=SecretStr("k"))
    provider = YooKassa(group, YooKassaClient(group))
    for value in (body, {"event": event, "object": {"id": object_id}}, {"event": event, "object": body}):
        knock = Knock(json.dumps(value).encode(), {}, ip_address(YOOKASSA_ADDRESS))
        try:
            notice = provider.read(knock)
        except NoticeRefused:
            continue
        assert 0 < len(notice.object_id) <= 64


def stars_update(update_id: int, charge: str = "stx1", payload: str = "none") -> dict[str, Any]:
    person = {"id": 101, "is_bot": False, "first_name": "Alice"}
    return {
        "update_id": update_id,
        "message": {
            "message_id": 5,
            "date": 1767225600,
            "from": person,
            "chat": {"id": 101, "type": "private"},
            "successful_payment": {
                "currency": "XTR",
                "total_amount": 120,
                "invoice_payload": payload,
                "telegram_payment_charge_id": charge,
                "provider_payment_charge_id": "p",
            },
        },
    }


async def test_stars_are_stored_before_the_bot_sees_anything(door: Knocker, shop: Shop, bot: Bot) -> None:
    for update_id in (1, 1, 2):
        status = await door.post(TELEGRAM, stars_update(update_id), X_Telegram_Bot_Api_Secret_Token=SECRET)
        assert status == 200
    (event,) = await kept(shop)
    assert (event.provider, event.object_id, event.copies) == ("stars", "stx1", 3)
    assert bot.fed == []


@pytest.mark.parametrize(
    "odd",
    ["stx\0one", "stx\ud800one", "stx" + "".join(map(str, range(9000)))],
    ids=["a NUL", "half a character", "no end"],
)
async def test_stars_with_an_odd_number_are_kept_and_settled_once(
    door: Knocker, shop: Shop, odd: str
) -> None:
    alice = await shop.customer("alice")
    async with shop.db.begin("test") as session:
        order = await checkout.write_order(
            session, shop.deps, user_id=alice, plan_id=ONE_MONTH, provider_code="stars"
        )
    for update_id in (1, 2):
        update = stars_update(update_id, odd, str(order.order_key))
        assert await door.post(TELEGRAM, update, X_Telegram_Bot_Api_Secret_Token=SECRET) == 200
        assert await shop.run_jobs() == []
    (event,) = await kept(shop)
    assert event.object_id.startswith("stx")
    assert json.loads(event.body)["message"]["successful_payment"]["telegram_payment_charge_id"] == odd
    assert shop.panel.expiry_of(alice) == shop.clock() + days(30)


async def test_stars_whose_message_cannot_be_read_are_kept_and_shown(door: Knocker, shop: Shop) -> None:
    update = stars_update(1)
    update["message"]["successful_payment"]["currency"] = "X\0R"
    del update["message"]["successful_payment"]["total_amount"]
    assert await door.post(TELEGRAM, update, X_Telegram_Bot_Api_Secret_Token=SECRET) == 200
    (failed,) = await shop.run_jobs()
    assert isinstance(failed, ProviderUnavailable)
    shop.clock.forward(minutes=6)
    (item,) = await stuck.list_stuck(shop.deps)
    assert (item.kind, item.provider) == ("notice_disproved", "stars")
    assert "не читается" in item.details


async def test_stars_that_cannot_be_kept_are_not_acknowledged(door: Knocker, shop: Shop) -> None:
    with broken_at("stars notice: before commit"):
        status = await door.post(TELEGRAM, stars_update(1), X_Telegram_Bot_Api_Secret_Token=SECRET)
        assert status == 503
    assert await kept(shop) == []
    assert await door.post(TELEGRAM, stars_update(1), X_Telegram_Bot_Api_Secret_Token=SECRET) == 200
    assert len(await kept(shop)) == 1


async def test_an_update_with_a_wrong_secret_is_refused(door: Knocker, shop: Shop, bot: Bot) -> None:
    assert await door.post(TELEGRAM, stars_update(1), X_Telegram_Bot_Api_Secret_Token="guess") == 401
    assert await door.post(TELEGRAM, stars_update(1)) == 401
    assert await kept(shop) == []
    assert door.counted["telegram: secret"] == 2


@pytest.mark.parametrize(
    "body",
    [b"{}", b"[]", b"{", b'{"update_id":"1"}', b'{"update_id":9223372036854775808}', b"[" * 50_000],
)
async def test_what_is_no_update_is_refused(door: Knocker, bot: Bot, body: bytes) -> None:
    assert await door.post(TELEGRAM, body, X_Telegram_Bot_Api_Secret_Token=SECRET) == 400
    assert bot.fed == []


async def test_telegram_is_asked_to_send_again_while_the_database_is_away(door: Knocker, bot: Bot) -> None:
    bot.error = OperationalError("SELECT 1", {}, OSError("gone"))
    update = {"update_id": 7, "message": {"text": "/start"}}
    assert await door.post(TELEGRAM, update, X_Telegram_Bot_Api_Secret_Token=SECRET) == 503


async def test_the_answer_to_an_update_carries_the_bots_reply(door: Knocker) -> None:
    async with door.session.post(
        door.url + TELEGRAM,
        json={"update_id": 8, "message": {"text": "/start"}},
        headers={"X-Telegram-Bot-Api-Secret-Token": SECRET},
    ) as response:
        assert (await response.json())["method"] == "sendMessage"


def signed(event: dict[str, Any], secret: str = PANEL_SECRET) -> tuple[bytes, str]:
    body = json.dumps(event).encode()
    return body, hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("named", [{"id": 7}, {"uuid": "9b239725-dd22-41b2-a162-f8ca3294c748", "id": 7}])
async def test_an_event_of_a_panel_of_any_version_is_a_hint_to_compare(
    door: Knocker, shop: Shop, named: dict[str, Any]
) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    shop.panel.users_by_id.clear()
    for username in ("tg_102", f"tg_{alice}"):
        assert shop.panel.expiry_of(alice) is None
        body, signature = signed({"event": "user.deleted", "data": named | {"username": username}})
        assert await door.post(PANEL, body, X_Remnawave_Signature=signature) == 200
        await shop.run_jobs()
    assert shop.panel.expiry_of(alice) == shop.clock() + days(30)


async def test_an_unsigned_event_of_the_panel_is_refused(door: Knocker, shop: Shop) -> None:
    body, signature = signed({"event": "user.deleted", "data": {"id": 1}}, secret="q" * 64)
    assert await door.post(PANEL, body, X_Remnawave_Signature=signature) == 401
    assert await door.post(PANEL, body) == 401
    assert await waiting_jobs(shop) == 0


async def test_the_signature_of_the_panels_documentation_is_accepted(door: Knocker) -> None:
    body = (
        b'{"scope":"user","event":"user.expired","timestamp":"2026-01-01T00:00:00.000Z",'
        b'"data":{"id":1},"meta":null}'
    )
    signature = "7a7fa76516d0d4aadfefb0132f0d544d9a94bbe7cf6e905def624d841cc484b6"
    assert await door.post(PANEL, body, X_Remnawave_Signature=signature) == 200


async def test_twenty_copies_of_a_notice_knocking_at_once_are_one_event(door: Knocker, shop: Shop) -> None:
    statuses = await asyncio.gather(
        *(door.post(YOOKASSA, NOTICE, X_Forwarded_For=YOOKASSA_ADDRESS) for _ in range(20))
    )
    assert set(statuses) == {200}
    (event,) = await kept(shop)
    assert event.copies == 20


async def test_the_shop_says_that_it_lives_and_is_ready(door: Knocker) -> None:
    assert (await door.get("/health/live"), await door.get("/health/ready")) == (200, 200)
