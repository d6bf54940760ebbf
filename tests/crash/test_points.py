"""Each named moment at which the shop can die between a notice and the delivery, one after another."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from forked import forked, preloaded
from test_kills import settled_books

from folders import open_up
from getpro.sandbox.shop.actor import Actor
from getpro.sandbox.shop.world import World, world
from getpro.sandbox.telegram.state import Person

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("points")]

PROVIDERS = ("yookassa", "cryptopay", "stars")
WAY_OF_MONEY = (
    *("notice", "stars notice", "settle", "deliver", "yookassa.read_payment"),
    *("panel.create_user", "panel.find_user", "panel.change_user"),
)
"""How the names of points between a notice and the delivery begin."""
MUST_BE_THERE = {
    "notice: before commit",
    "notice: after commit",
    "stars notice: before commit",
    "stars notice: after commit",
    "settle: read",
    "settle: before commit",
    "settle: after commit",
    "yookassa.read_payment: before call",
    "yookassa.read_payment: after call",
    "deliver: read",
    "panel.create_user: before call",
    "panel.create_user: after call",
    "panel.change_user: before call",
    "panel.change_user: after call",
    "deliver: mark: before commit",
    "deliver: mark: after commit",
}


async def order(here: World, person: Person, provider: str) -> Actor:
    """Come to the payment page."""
    actor = Actor(here)
    here.telegram.people.send(person, "/plans")
    await actor.press(person, "plan:1")
    await actor.press(person, f"buy:1:{provider}")
    await actor.until(lambda: has_page(person), "no page to pay on")
    return actor


def has_page(person: Person) -> bool:
    newest = list(person.messages.values())[-1]
    rows = newest.get("reply_markup", {}).get("inline_keyboard", [])
    return any(button.get("url") for row in rows for button in row)


async def pay(here: World, person: Person, actor: Actor, provider: str) -> None:
    if provider == "yookassa":
        here.yookassa.books.pay(actor.newest_payment())
    elif provider == "cryptopay":
        here.cryptopay.books.pay(actor.newest_invoice())
    else:
        assert provider == "stars"
        paid, said = await here.telegram.pay(person, link=actor.pay_link(person))
        assert paid, said


async def test_death_at_every_point_between_notice_and_delivery_loses_and_doubles_nothing(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    trace = open_up(tmp_path) / "trace"
    async with (
        preloaded() as parent,
        world(tmp_path, durable=False, retry_scale=0.05, make_product=forked(parent)) as here,
    ):
        here.telegram.limits.are_on = False
        await here.product.stop()
        await here.product.start("--trace", str(trace))
        traced = here.telegram.state.add_person(3000, "Первый")
        for provider in PROVIDERS:  # the second one finds the user there and changes it
            await pay(here, traced, await order(here, traced, provider), provider)
            assert await settled_books(here, seconds=20) == []
        points = [p for p in dict.fromkeys(trace.read_text().splitlines()) if p.startswith(WAY_OF_MONEY)]
        assert set(points) >= MUST_BE_THERE
        hit = []
        for number, point in enumerate(points):
            person = here.telegram.state.add_person(3001 + number, f"У точки {point}")
            hit.append(await die_at(here, person, point))
        missed = [point for point, was_hit in zip(points, hit, strict=True) if not was_hit]
        figure(f"{len(points)} crash points between notice and delivery, not hit: {missed or 'none'}")
        assert missed == []
        assert here.telegram.state.unknown_parameters == []
        assert await settled_books(here, seconds=60) == []


async def die_at(here: World, person: Person, point: str) -> bool:
    """Buy, and have the shop die at the point; whether it did. It is up again when this returns."""
    provider = next((one for one in PROVIDERS if point.startswith(one)), "yookassa")
    if "change_user" in point:
        await pay(here, person, await order(here, person, provider), provider)
        assert await settled_books(here, seconds=30) == []
    actor = await order(here, person, provider)
    await here.product.kill()
    await here.product.start("--crash-at", point)
    await pay_when_it_answers(here, person, actor, provider)
    has_died = await here.product.died(within_seconds=20)
    await here.product.kill()
    await here.product.start()
    return has_died


async def pay_when_it_answers(here: World, person: Person, actor: Actor, provider: str) -> None:
    """Stars need the shop's answer before they are taken; it may die of something that was left over."""
    if provider == "stars":
        await here.product.wait_ready()
    await pay(here, person, actor, provider)


WAY_BACK = ("refund: ", "yookassa.create_refund", "yookassa.list_refunds", "panel.disable_user")
"""How the names of points begin that a refund passes."""


async def test_death_at_every_point_of_a_refund_gives_the_money_back_once(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    trace = open_up(tmp_path) / "trace"
    async with (
        preloaded() as parent,
        world(
            tmp_path,
            durable=False,
            retry_scale=0.05,
            make_product=forked(parent),
            shop={"operators": [OPERATOR]},
        ) as here,
    ):
        here.telegram.limits.are_on = False
        operator = here.telegram.state.add_person(OPERATOR, "Ольга")
        await here.product.stop()
        await here.product.start("--trace", str(trace))
        await bought(here, 3000)
        await give_back(here, operator, 3000)
        await Actor(here).sees(operator, "✅ Возвращено")
        assert await settled_books(here, seconds=20) == []
        points = [p for p in dict.fromkeys(trace.read_text().splitlines()) if p.startswith(WAY_BACK)]
        assert {"refund: ask: after commit", "yookassa.create_refund: after call"} < set(points)
        hit = 0
        for number, point in enumerate(points):
            await bought(here, 3001 + number)
            await here.product.kill()
            await here.product.start("--crash-at", point)
            asking = asyncio.create_task(give_back(here, operator, 3001 + number))
            hit += await here.product.died(within_seconds=30)  # perhaps of the refund before this one
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await here.product.kill()
            await here.product.start()
            if not await asyncio.to_thread(is_asked, here, 3001 + number):
                await give_back(here, operator, 3001 + number)  # the operator has seen no answer
        figure(f"{len(points)} crash points of a refund, hit: {hit}")
        assert hit == len(points)
        refunds = here.yookassa.books.refunds
        await Actor(here).until(lambda: len(refunds) > len(points), f"{len(refunds)} refunds")
        assert await settled_books(here, seconds=60) == []
        assert len(refunds) == len({refund["payment_id"] for refund in refunds.values()}) == 1 + len(points)


OPERATOR = 2999


async def bought(here: World, user_id: int) -> None:
    """Somebody has bought a month by card."""
    person = here.telegram.state.add_person(user_id, f"Покупатель {user_id}")
    await pay(here, person, await order(here, person, "yookassa"), "yookassa")
    assert await settled_books(here, seconds=30) == []


def is_asked(here: World, user_id: int) -> bool:
    with psycopg.connect(here.database_url) as connection:
        rows = connection.execute(
            "SELECT 1 FROM refunds JOIN payments USING (payment_id) WHERE user_id = %s", [user_id]
        )
        return rows.fetchone() is not None


async def give_back(here: World, operator: Person, user_id: int) -> None:
    """The operator finds the customer and gives all the money back; whether that ends is another matter."""
    actor = Actor(here)
    await here.product.wait_ready()
    here.telegram.people.send(operator, f"/admin {user_id}")
    await actor.press(operator, f"cust:payments:{user_id}")
    await actor.press(operator, "pay:show:")
    await actor.press(operator, "pay:refund:")
    here.telegram.people.send(operator, "просили вернуть")
