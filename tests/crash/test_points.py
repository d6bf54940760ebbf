"""Each named moment at which the shop can die between a payment and the delivery, one after another."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg
import pytest
from points import a_shop, bought, killed_at, let_pass, order, passed, pay
from test_kills import settled_books

from getpro.sandbox.shop.actor import Actor
from getpro.sandbox.shop.world import World
from getpro.sandbox.telegram.state import Person

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("points")]

Ways = Mapping[str, tuple[str, ...]]
"""By provider: how the names of the points begin at which the shop dies of its purchase."""

NOTICE = ("notice: ", "yookassa.read_payment")
DELIVERY = ("settle: ", "deliver", "panel.create_user", "panel.find_user", "panel.change_user")
ASKED = ("poll: claim", "poll: read", "poll: done")
FETCHED = ("telegram.getUpdates", "pre-checkout: ", "telegram.answerPreCheckoutQuery", "stars notice: ")

BY_NOTICE: Ways = {"yookassa": NOTICE + DELIVERY, "stars": ("stars notice: ",)}
ALL_BY_NOTICE: Ways = {
    "yookassa": NOTICE + DELIVERY,
    "cryptopay": ("notice: ", *DELIVERY),  # which is signed, so that nothing is asked
    "stars": ("pre-checkout: ", "stars notice: ", *DELIVERY),
}
BY_POLLING: Ways = {
    "yookassa": (*ASKED, "yookassa.read_payment", *DELIVERY),
    "cryptopay": (*ASKED, "cryptopay.read_invoices", *DELIVERY),
    "stars": FETCHED + DELIVERY,
}
MUST_BE_THERE = {
    *("notice: before commit", "notice: after commit"),
    *("stars notice: before commit", "stars notice: after commit"),
    *("settle: read", "settle: before commit", "settle: after commit"),
    *("yookassa.read_payment: before call", "yookassa.read_payment: after call"),
    *("deliver: read", "deliver: mark: before commit", "deliver: mark: after commit"),
    *("panel.create_user: before call", "panel.create_user: after call"),
    *("panel.change_user: before call", "panel.change_user: after call"),
}
MUST_BE_POLLED = {
    *("telegram.getUpdates: before call", "telegram.getUpdates: after call"),
    "pre-checkout: read",
    *("telegram.answerPreCheckoutQuery: before call", "telegram.answerPreCheckoutQuery: after call"),
    *("stars notice: before commit", "stars notice: after commit"),
    *("poll: claim: before commit", "poll: claim: after commit"),
    "poll: read",
    *("poll: done: before commit", "poll: done: after commit"),
    *("yookassa.read_payment: before call", "yookassa.read_payment: after call"),
    *("cryptopay.read_invoices: before call", "cryptopay.read_invoices: after call"),
}
STARS_ARE_TAKEN = "telegram.answerPreCheckoutQuery: after call"
ASKED_AFTER = 20
"""Seconds; by then a worker that was killed has been silent for long enough, too."""


@pytest.mark.long
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("ways", [BY_NOTICE, ALL_BY_NOTICE])
async def test_death_at_every_point_between_notice_and_delivery_loses_and_doubles_nothing(
    tmp_path: Path, ways: Ways, figure: Callable[[str], None]
) -> None:
    async with a_shop(tmp_path) as here:
        points = await points_of_purchases(here, ways, tmp_path / "trace")
        assert {point for _, point in points} >= MUST_BE_THERE
        for number, (provider, point) in enumerate(points):
            await buy_through(here, point, 3100 + number, provider)
        figure(f"{len(points)} crash points between notice and delivery, all hit")
        assert here.telegram.state.unknown_parameters == []
        assert await settled_books(here, seconds=60) == []


@pytest.mark.long
@pytest.mark.timeout(2400)
async def test_death_at_every_point_of_polling_loses_and_doubles_nothing(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    async with a_shop(tmp_path, by_polling=True) as here:
        here.yookassa.faults.now.notices_lost_rate = 1
        here.cryptopay.faults.now.notices_lost_rate = 1
        points = await points_of_purchases(here, BY_POLLING, tmp_path / "trace", asked_after=ASKED_AFTER)
        assert {point for _, point in points} >= MUST_BE_POLLED
        for number, (provider, point) in enumerate(points):
            await buy_through(here, point, 3100 + number, provider, asked_after=ASKED_AFTER)
        figure(f"{len(points)} crash points of polling, all hit")
        assert here.telegram.state.unknown_parameters == []
        assert await settled_books(here, seconds=60) == []


async def points_of_purchases(
    here: World, ways: Ways, trace: Path, *, asked_after: int = 0
) -> list[tuple[str, str]]:
    """Each provider with each point of its way that its purchases pass, in their order."""
    await here.product.stop()
    await here.product.start("--trace", str(trace))
    found = []
    for number, (provider, way) in enumerate(ways.items()):
        await asyncio.to_thread(trace.write_text, "")
        for _ in ("makes the user on the panel", "changes it"):
            await bought(here, 3000 + number, provider, asked_after=asked_after)
        points = await passed(trace, *way, at_least={"deliver: mark: after commit"})
        found += [(provider, point) for point in points]
    return found


async def buy_through(here: World, point: str, user_id: int, provider: str, *, asked_after: int = 0) -> None:
    """Buy, and have the shop die at the point. It is up again when this returns."""
    person = here.telegram.state.add_person(user_id, f"Покупатель {user_id}")
    if point.startswith(("panel.find_user", "panel.change_user")):  # of a user who is there already
        await bought(here, user_id, provider, asked_after=asked_after)
    actor = await order(here, person, provider)
    paying: asyncio.Task[None] | None = None
    for deadly in [STARS_ARE_TAKEN, point] if "getUpdates" in point else [point]:  # what it fetches is money
        async with killed_at(here, deadly):
            paying = paying or asyncio.create_task(pay(actor, person, provider))
            await let_pass(here, asked_after)
        await let_pass(here, asked_after)
    await here.product.start()
    assert paying is not None
    await paying


WAY_BACK = ("refund: ", "yookassa.create_refund", "yookassa.list_refunds", "panel.disable_user")
"""How the names of points begin that a refund passes."""


@pytest.mark.long
async def test_death_at_every_point_of_a_refund_gives_the_money_back_once(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    trace = tmp_path / "trace"
    async with a_shop(tmp_path, shop={"operators": [OPERATOR]}) as here:
        operator = here.telegram.state.add_person(OPERATOR, "Ольга")
        await here.product.stop()
        await here.product.start("--trace", str(trace))
        await bought(here, 3000)
        await give_back(here, operator, 3000)
        await Actor(here).sees(operator, "✅ Возвращено")
        assert await settled_books(here, seconds=20) == []
        surely = {"refund: ask: after commit", "yookassa.create_refund: after call"}
        points = await passed(trace, *WAY_BACK, at_least=surely)
        for number, point in enumerate(points):
            await bought(here, 3001 + number)
            async with killed_at(here, point):
                asking = asyncio.create_task(give_back(here, operator, 3001 + number))
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await here.product.start()
            if not await asyncio.to_thread(is_asked, here, 3001 + number):
                await give_back(here, operator, 3001 + number)  # the operator has seen no answer
        figure(f"{len(points)} crash points of a refund, all hit")
        refunds = here.yookassa.books.refunds
        await Actor(here).until(lambda: len(refunds) > len(points), f"{len(refunds)} refunds")
        assert await settled_books(here, seconds=60) == []
        assert len(refunds) == len({refund["payment_id"] for refund in refunds.values()}) == 1 + len(points)


OPERATOR = 2999


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
