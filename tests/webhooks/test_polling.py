"""Telegram's door by long polling: an update is confirmed only when it is kept, and one process polls."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from gateway import sick_gateway
from getpro.bot.mailbox import Mailbox
from getpro.platform.settings import TelegramSettings
from getpro.platform.telegram import make_bot
from getpro.running import ALLOWED_UPDATES
from getpro.sandbox.serving import serving
from getpro.sandbox.telegram import TelegramSimulator
from getpro.sandbox.telegram.state import Person
from getpro.webhooks import polling
from getpro.webhooks.deps import Doors
from moments import broken_at
from shop import Shop
from waiting import until

TOKEN = "42:TEST"


class Post:
    """Telegram's side as a list: updates stay until a later offset is asked for."""

    def __init__(self) -> None:
        self.waiting: list[dict[str, Any]] = []
        self.offsets: list[int] = []
        self.answered: list[dict[str, Any]] = []

    def put(self, *updates: dict[str, Any]) -> None:
        self.waiting += updates

    async def fetch(self, offset: int) -> list[dict[str, Any]]:
        self.offsets.append(offset)
        self.waiting = [update for update in self.waiting if update["update_id"] >= offset]
        await asyncio.sleep(0.01)
        return list(self.waiting)

    async def answer(self, reply: dict[str, Any]) -> None:
        self.answered.append(reply)


class Bot:
    """Stands where the bot is: remembers what it was fed, and can break or hang on a text."""

    def __init__(self) -> None:
        self.fed: list[str] = []
        self.errors: dict[str, list[Exception]] = {}
        self.hangs = asyncio.Event()

    async def handle(self, update: dict[str, Any]) -> dict[str, Any] | None:
        said = str(update["message"]["text"])
        if said == "hang":
            await self.hangs.wait()
        self.fed.append(said)
        if self.errors.get(said):
            raise self.errors[said].pop()
        return {"method": "sendMessage", "chat_id": update["message"]["from"]["id"], "text": "hi"}


def message(update_id: int, said: str, sender: int = 1, **more: Any) -> dict[str, Any]:
    return {"update_id": update_id, "message": {"text": said, "from": {"id": sender}} | more}


def money(update_id: int) -> dict[str, Any]:
    paid = {"telegram_payment_charge_id": "stx1", "total_amount": 1, "currency": "XTR", "invoice_payload": ""}
    return message(update_id, "", date=0, successful_payment=paid)


@pytest.fixture
def bot() -> Bot:
    return Bot()


@pytest.fixture
def doors(shop: Shop, bot: Bot) -> Doors:
    return Doors(
        sales=shop.deps,
        handle_update=bot.handle,
        telegram_secret=SecretStr("s"),
        panel_secret=None,
        trusted_proxies=[ip_network("127.0.0.1/32")],
    )


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "_AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(polling, "_LOCK_TRIED_AGAIN_SECONDS", 0.05)


@contextlib.asynccontextmanager
async def polled(doors: Doors, post: Any, url: str) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(polling.poll_for_ever(doors, post, database_url=url))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def kept(shop: Shop) -> list[str]:
    async with shop.db.begin("test") as session:
        return list(await session.scalars(text("SELECT object_id FROM provider_events")))


async def test_an_update_is_handled_answered_and_confirmed(doors: Doors, bot: Bot, database_url: str) -> None:
    post = Post()
    post.put(message(7, "/start"), message(8, "hello"))
    async with polled(doors, post, database_url):
        await until(lambda: 9 in post.offsets)
    assert bot.fed == ["/start", "hello"]
    assert [reply["text"] for reply in post.answered] == ["hi", "hi"]


async def test_money_is_confirmed_only_when_it_is_stored(doors: Doors, shop: Shop, database_url: str) -> None:
    post = Post()
    post.put(money(7))
    async with polled(doors, post, database_url):
        with broken_at("stars notice: before commit"):
            await until(lambda: len(post.offsets) > 2)
            assert max(post.offsets) == 7
            assert await kept(shop) == []
        await until(lambda: 8 in post.offsets)
    assert await kept(shop) == ["stx1"]


async def test_an_update_is_given_again_while_the_database_is_away(
    doors: Doors, bot: Bot, database_url: str
) -> None:
    post = Post()
    bot.errors["/start"] = [OperationalError("SELECT 1", {}, OSError("gone"))]
    post.put(message(7, "/start"))
    async with polled(doors, post, database_url):
        await until(lambda: 8 in post.offsets)
    assert bot.fed == ["/start", "/start"]


@pytest.mark.parametrize("poison", [RuntimeError("poison"), OSError("no space left"), TimeoutError()])
async def test_a_poison_update_blocks_nobody(
    doors: Doors, bot: Bot, database_url: str, poison: Exception
) -> None:
    post = Post()
    bot.errors["poison"] = [poison] * 9
    post.put(message(7, "poison"), message(8, "after it"))
    async with polled(doors, post, database_url):
        await until(lambda: 9 in post.offsets)
    assert bot.fed == ["poison", "after it"]


async def test_nobody_waits_for_somebody_elses_update_and_a_slow_one_is_not_confirmed(
    doors: Doors, bot: Bot, database_url: str
) -> None:
    post = Post()
    post.put(message(7, "hang", sender=1), message(8, "second", sender=1), message(9, "other", sender=2))
    async with polled(doors, post, database_url):
        await until(lambda: bot.fed == ["other"])
        post.put(message(10, "later", sender=3))
        await until(lambda: bot.fed == ["other", "later"])
        assert max(post.offsets) == 7
        bot.hangs.set()
        await until(lambda: 11 in post.offsets)
    assert bot.fed == ["other", "later", "hang", "second"]


async def test_of_two_processes_one_polls_and_the_other_takes_over(doors: Doors, database_url: str) -> None:
    first, second = Post(), Post()
    async with polled(doors, first, database_url) as polling_first:
        await until(lambda: first.offsets)
        async with polled(doors, second, database_url):
            await asyncio.sleep(0.3)
            assert second.offsets == []
            polling_first.cancel()
            await until(lambda: second.offsets)


async def test_who_has_lost_the_lock_handles_nothing(doors: Doors, bot: Bot, database_url: str) -> None:
    post = Post()
    async with polled(doors, post, database_url):
        await until(lambda: post.offsets)
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
            connection.execute("SELECT pg_advisory_lock(%s)", [polling._LOCK])
            post.put(message(7, "/start"))
            await asyncio.sleep(0.3)
            assert bot.fed == []
        await until(lambda: bot.fed == ["/start"])


async def test_the_bots_own_mailbox_fetches_and_answers(doors: Doors, bot: Bot, database_url: str) -> None:
    telegram = TelegramSimulator(TOKEN)
    async with serving(telegram.app) as url:
        alice: Person = telegram.state.add_person(101, "Алиса")
        client = make_bot(TelegramSettings(bot_token=SecretStr(TOKEN), api_url=url))
        async with polled(doors, Mailbox(client, allowed_updates=ALLOWED_UPDATES), database_url):
            telegram.people.send(alice, "/start")
            await until(lambda: any(m.get("text") == "hi" for m in alice.messages.values()))
        await client.session.close()
    assert bot.fed == ["/start"]
    assert telegram.state.unknown_parameters == []


async def test_a_telegram_behind_a_sick_gateway_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpro.bot.mailbox._AGAIN_SECONDS", 0.02)
    async with sick_gateway() as (url, gateway):
        client = make_bot(TelegramSettings(bot_token=SecretStr(TOKEN), api_url=url))
        fetching = asyncio.create_task(Mailbox(client, allowed_updates=[]).fetch(0))
        await until(lambda: len(gateway.asked) > 2)
        assert not fetching.done()
        fetching.cancel()
        await asyncio.gather(fetching, return_exceptions=True)
        await client.session.close()
