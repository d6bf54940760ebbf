"""Telegram's updates through the door to the real bot: each counts once, and only with its effect."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from doors import Knocker, open_doors
from getpro.bot.app import ShopBot
from getpro.bot.message_log import MessageLog
from getpro.platform.settings import PanelSettings, Settings, TelegramSettings
from getpro.platform.telegram import make_bot
from getpro.sandbox.serving import serving
from getpro.sandbox.telegram import TelegramSimulator
from getpro.webhooks.deps import Doors
from moments import broken_at
from shop import CAST, Shop

TOKEN = "7000000001:test"
SECRET = "telegram-secret"


@pytest.fixture
def telegram() -> TelegramSimulator:
    telegram = TelegramSimulator(TOKEN)
    telegram.state.add_person(CAST["alice"], "Alice").has_started = True
    return telegram


@pytest.fixture
async def door(shop: Shop, telegram: TelegramSimulator) -> AsyncIterator[Knocker]:
    """The shop's door and the bot behind it; what the bot sends goes to a simulated Telegram."""
    async with serving(telegram.app) as url:
        settings = Settings(
            telegram=TelegramSettings(bot_token=SecretStr(TOKEN), api_url=url),
            panel=PanelSettings(url="http://127.0.0.1:9", token=SecretStr("t")),
        )
        client = make_bot(settings.telegram)
        bot = ShopBot(bot=client, sales=shop.deps, settings=settings, log=MessageLog(shop.db))
        doors = Doors(
            sales=shop.deps,
            handle_update=bot.handle,
            telegram_secret=SecretStr(SECRET),
            panel_secret=None,
            trusted_proxies=[],
        )
        async with open_doors(doors) as knocker:
            yield knocker
        await client.session.close()


def alice_buys(update_id: int, shop: Shop, **pressed: Any) -> dict[str, Any]:
    """She presses the button of a month and a way to pay; on a message so old that it is not told."""
    person = {"id": CAST["alice"], "is_bot": False, "first_name": "Alice"}
    query = {"id": "1", "from": person, "chat_instance": "1", "data": f"buy:1:{shop.provider.code}"}
    return {"update_id": update_id, "callback_query": query | pressed}


async def send(door: Knocker, update: dict[str, Any]) -> int:
    return await door.post("/webhooks/telegram", update, X_Telegram_Bot_Api_Secret_Token=SECRET)


async def orders(shop: Shop) -> int:
    async with shop.db.begin("test") as session:
        return int(await session.scalar(text("SELECT count(*) FROM payments")) or 0)


async def test_an_update_that_comes_again_has_its_effect_once(door: Knocker, shop: Shop) -> None:
    for _ in range(3):
        assert await send(door, alice_buys(1, shop)) == 200
    assert await orders(shop) == 1
    assert await send(door, alice_buys(2, shop)) == 200
    assert await orders(shop) == 2


async def test_an_update_whose_effect_was_lost_has_it_when_it_comes_again(door: Knocker, shop: Shop) -> None:
    with broken_at("checkout: before commit"):
        assert await send(door, alice_buys(1, shop)) == 503
    assert await orders(shop) == 0
    assert await send(door, alice_buys(1, shop)) == 200
    assert await orders(shop) == 1


async def test_the_provider_is_asked_for_an_order_that_is_written_already(
    door: Knocker, shop: Shop, telegram: TelegramSimulator
) -> None:
    shop.provider.before_answer = asyncio.Event()
    menu = telegram.state.post(telegram.state.people[CAST["alice"]], by=None, text="Plans")
    pressing = asyncio.create_task(send(door, alice_buys(1, shop, message=menu)))
    while not shop.provider.asked:
        await asyncio.sleep(0.01)
    written = await orders(shop)
    shop.provider.before_answer.set()
    assert await pressing == 200
    assert written == 1
