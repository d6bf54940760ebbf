"""Secrets and personal text through every door of the real product; then everything it wrote is read."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest

from commanded import Commanded
from envelopes import Envelopes, envelopes
from folders import open_up
from getpro.operations.monitoring import DOOR as ALERTS
from getpro.sandbox.shop import world as sandbox
from getpro.sandbox.shop.actor import Actor
from getpro.sandbox.shop.world import World, world
from getpro.sandbox.telegram.state import Person

ALERTS_TOKEN = "alerts-token-of-a-test"
API_TOKEN = "api-token-of-a-test"
FIRST_NAME, USERNAME, EMAIL = "Аделаида-Несравненная", "adelaida_secret", "adelaida.secret@example.ru"
PHONE, CARD = "79161234567", "4111111111111111"
SAID = "мой личный вопрос никому не показывать"
PERSONAL = (FIRST_NAME, USERNAME, EMAIL, PHONE, f"{CARD[:4]} {CARD[4:8]}", CARD, SAID)
TOKENS = (
    sandbox.BOT_TOKEN.partition(":")[2],
    sandbox.SECRET_KEY,
    sandbox.CRYPTOPAY_TOKEN.partition(":")[2],
    sandbox.PANEL_TOKEN,
    sandbox.PANEL_SECRET,
    sandbox.WEBHOOK_SECRET,
    ALERTS_TOKEN,
    API_TOKEN,
)

pytestmark = pytest.mark.timeout(300)


class Doors:
    """A shop with a customer who has much to hide, a stranger who knocks, and a database that can break."""

    def __init__(self, here: World, tracker: Envelopes) -> None:
        self.here, self.tracker, self.actor = here, tracker, Actor(here)
        assert isinstance(here.product, Commanded)
        self.product = here.product

    @property
    def files(self) -> str:
        return "".join(path.read_text(encoding="utf-8") for path in sorted(self.product.logs.iterdir()))

    @property
    def everything(self) -> str:
        """Standard output, the files, and what went to the errors' server."""
        return self.product.log_file.read_text(encoding="utf-8") + self.files + "".join(self.tracker.raw)

    @property
    def links(self) -> list[str]:
        return [user.shortUuid for user in self.here.panel.state.users.values()]

    def lines(self, event: str) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self.files.splitlines()]
        return [line for line in found if line["event"] == event]

    async def logged(self, event: str) -> dict[str, Any]:
        """The newest line about ``event``, once there is one."""
        await self.actor.until(lambda: self.lines(event), f"нет события {event}")
        return self.lines(event)[-1]

    @contextlib.contextmanager
    def broken(self, table: str) -> Iterator[None]:
        """Every row that is written there is refused; PostgreSQL then quotes it."""
        with psycopg.connect(self.here.database_url, autocommit=True) as connection:
            connection.execute(f"ALTER TABLE {table} ADD CONSTRAINT broken CHECK (false) NOT VALID")
            yield
            connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT broken")

    async def post(self, path: str, body: Any, **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with (
            aiohttp.ClientSession() as http,
            http.post(self.product.url + path, json=body, headers=named) as answer,
        ):
            await answer.read()
            return answer.status


@contextlib.asynccontextmanager
async def opened(directory: Path, *, by_polling: bool) -> AsyncIterator[Doors]:
    async with envelopes() as tracker:
        more = {
            "GETPRO_LOG_LEVEL": "DEBUG",
            "SENTRY_DSN": tracker.dsn,
            "SENTRY_API_TOKEN": API_TOKEN,
            "OPERATIONS_ALERTS_TOKEN": ALERTS_TOKEN,
            "YOOKASSA_RECEIPTS": "true",
        }
        making = partial(Commanded, more=more)
        running = world(
            open_up(directory), durable=False, retry_scale=0.05, by_polling=by_polling, make_product=making
        )
        async with running as here:
            yield Doors(here, tracker)


def adelaida(doors: Doors) -> Person:
    person = doors.here.telegram.state.add_person(1001, FIRST_NAME)
    person.username = USERNAME
    return person


async def tells_all(doors: Doors, person: Person) -> None:
    """Words, a contact; an order whose writing fails; an e-mail for the receipt."""
    state, telegram = doors.here.telegram.state, doors.here.telegram
    await doors.actor.start(person)
    telegram.people.send(person, SAID)
    contact = {"phone_number": PHONE, "first_name": FIRST_NAME, "user_id": person.user_id}
    message = state.post(person, by=person, contact=contact)
    telegram.delivery.add(state.update(message=message))
    await doors.actor.press(person, "go:plans")
    await doors.actor.press(person, "plan:1")
    await doors.actor.press(person, "buy:1:yookassa")
    with doors.broken("payments"):
        telegram.people.send(person, EMAIL)
        line = await doors.logged("bot.update_failed")
    assert (line["user_id"], line["update_kind"]) == (person.user_id, "message")
    assert line["update_id"] > 0
    telegram.people.send(person, EMAIL)
    await doors.actor.until(lambda: doors.here.yookassa.books.payments, "нет заказа")


async def pays(doors: Doors, person: Person) -> None:
    """The notice cannot be kept, then the job cannot be done, then access opens."""
    with doors.broken("subscriptions"):
        with doors.broken("provider_events"):
            doors.here.yookassa.books.pay(doors.actor.newest_payment())
            line = await doors.logged("Exception in ASGI application\n")
        assert (line["door"], line["level"]) == ("yookassa", "ERROR")
        assert line["charge_id"] == doors.actor.newest_payment()
        failed = await doors.logged("jobs.failed")
    assert {"job_id", "event_id", "payment_id", "attempt"} <= failed.keys()
    assert (failed["job"], failed["user_id"]) == ("settle", person.user_id)
    await doors.actor.has_access(person, "Доступ открыт")


async def strangers_knock(doors: Doors) -> None:
    """With somebody's data, with secrets that are nearly right, and with what nobody can read."""
    body = {
        "object": {"id": CARD, "card": {"number": CARD}, "email": EMAIL},
        "name": FIRST_NAME,
        "text": SAID,
    }
    wrong = f"{sandbox.PANEL_SECRET}x"
    assert await doors.post("/webhooks/yookassa", body, X_Forwarded_For="203.0.113.7") == 403
    assert await doors.post("/webhooks/cryptopay", body, crypto_pay_api_signature=wrong) == 403
    assert await doors.post("/webhooks/panel", body, X_Remnawave_Signature=wrong) == 401
    secret = {"X_Telegram_Bot_Api_Secret_Token": sandbox.WEBHOOK_SECRET}
    assert await doors.post("/webhooks/telegram", body | {"update_id": 7}, **secret) == 200
    assert (
        await doors.post("/webhooks/telegram", {"update_id": 8, "message": {"text": SAID}}, **secret) == 200
    )
    assert await doors.post("/webhooks/telegram", body, X_Telegram_Bot_Api_Secret_Token="x") == 401
    assert await doors.post(ALERTS, body, Authorization=f"Bearer {ALERTS_TOKEN}") == 400
    assert await doors.post(ALERTS, body, Authorization=f"Bearer {ALERTS_TOKEN}x") == 401


async def the_outside_fails(doors: Doors, person: Person) -> None:
    """Each service answers with errors and not at all, while it is asked with our tokens in the call."""
    for name, faults in doors.here.faults.items():
        faults.change({"away": True} if name == "telegram" else {"error_rate": 1.0})
    doors.here.telegram.people.send(person, "/plans")
    doors.here.telegram.people.send(person, f"/start {SAID}")
    await asyncio.sleep(1.5)
    for faults in doors.here.faults.values():
        faults.clear()


@pytest.mark.parametrize("brought_by", ["webhook", pytest.param("polling", marks=pytest.mark.long)])
async def test_nothing_secret_or_personal_stands_in_what_the_product_writes(
    tmp_path: Path, brought_by: str
) -> None:
    by_polling = brought_by == "polling"
    async with opened(tmp_path, by_polling=by_polling) as doors:
        person = adelaida(doors)
        await tells_all(doors, person)
        await pays(doors, person)
        await strangers_knock(doors)
        await the_outside_fails(doors, person)
        said = [
            await doors.product.command(*line) for line in (["doctor"], ["ops", "watch"], ["nonsense", CARD])
        ]
        links = doors.links
    written = doors.everything
    assert links
    assert [one for one in (*PERSONAL, *TOKENS, *links) if one in written] == []
    assert [one for one in (*TOKENS, *links, CARD) for text in said if one in text] == []
    reported = {event["tags"]["event"] for event in doors.tracker.events}
    assert {"bot.update_failed", "jobs.failed", "uvicorn.error"} <= reported
    assert written.count("DETAIL=***") >= 3  # PostgreSQL has quoted her rows
    levels = {json.loads(line)["level"] for line in doors.files.splitlines()}
    assert {"INFO", "WARNING", "ERROR"} <= levels <= {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}
