"""Two updates of one customer at the same moment: neither is lost, the second sees what the first wrote."""

import asyncio

import pytest
from aiogram.types import User
from sqlalchemy import func, select

from getpro.bot.turn import SeenBefore, Turn
from getpro.customers import store as customers
from getpro.customers.models import users
from getpro.messaging.models import telegram_updates
from getpro.platform.restores import mark_restored, release
from getpro.sales.errors import ShopHeld
from moments import until_it_waits
from shop import Shop


def turn(shop: Shop, update_id: int, user_id: int, *, is_answer: bool = False) -> Turn:
    person = User(id=user_id, is_bot=False, first_name="Alice")
    return Turn(shop.deps, update_id, person, is_answer=is_answer)


async def begin(turn: Turn) -> Turn:
    async with turn.begin("test"):
        return turn


async def test_a_newcomers_second_press_waits_for_the_first_and_is_not_lost(shop: Shop) -> None:
    async with turn(shop, 1, 7).begin("first"):
        second = asyncio.create_task(begin(turn(shop, 2, 7)))
        await until_it_waits(shop.db, second)
    assert (await second).customer.user_id == 7


async def test_the_second_press_reads_the_customer_as_the_first_has_left_them(shop: Shop) -> None:
    alice = await shop.customer("alice")
    async with shop.db.begin("test") as session:
        await customers.set_dialog(session, alice, "email:1:fakepay")
    first = turn(shop, 1, alice, is_answer=True)
    async with first.begin("first") as session:
        second = asyncio.create_task(begin(turn(shop, 2, alice, is_answer=True)))
        await until_it_waits(shop.db, second)
        await customers.set_email(session, alice, "alice@example.ru")
    assert first.customer.dialog == "email:1:fakepay"
    seen = (await second).customer
    assert (seen.dialog, seen.email) == (None, "alice@example.ru")


async def test_the_same_update_twice_at_once_counts_once(shop: Shop) -> None:
    alice = await shop.customer("alice")
    async with turn(shop, 1, alice).begin("first"):
        copy = asyncio.create_task(begin(turn(shop, 1, alice)))
        await until_it_waits(shop.db, copy)
    with pytest.raises(SeenBefore):
        await copy


async def test_what_only_shows_is_marked_at_once_and_counts_once_too(shop: Shop) -> None:
    first = turn(shop, 1, 7)
    async with first.look("first"):
        assert first.customer.user_id == 7
        with pytest.raises(SeenBefore):  # and waits for nobody: the mark stands
            async with turn(shop, 1, 7).look("copy"):
                pass
    assert (await begin(turn(shop, 2, 7))).customer.user_id == 7


async def test_of_a_shop_that_is_held_nothing_stands(shop: Shop) -> None:
    async with shop.db.begin("test") as session:
        await mark_restored(session, shop.clock(), now=shop.clock())
    for opened in (turn(shop, 1, 7).look, turn(shop, 2, 7).begin):
        with pytest.raises(ShopHeld):
            async with opened("held"):
                pass
    async with shop.db.begin("test") as session:
        await release(session, now=shop.clock())
        known = await session.scalar(select(func.count()).select_from(users))
        marked = await session.scalar(select(func.count()).select_from(telegram_updates))
    assert (known, marked) == (0, 0)
