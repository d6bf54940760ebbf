"""Points of a way through the shop: which are passed, and a shop that dies at one of them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
from forked import forked, preloaded
from test_kills import settled_books

from folders import open_up
from getpro.sandbox.shop.actor import Actor
from getpro.sandbox.shop.world import World, world
from getpro.sandbox.telegram.state import Person


@contextlib.asynccontextmanager
async def a_shop(directory: Path, **kind: Any) -> AsyncIterator[World]:
    """The real shop among the simulators, of a ``kind`` as the sandbox's world knows them."""
    async with (
        preloaded() as parent,
        world(
            open_up(directory), durable=False, retry_scale=0.05, make_product=forked(parent), **kind
        ) as here,
    ):
        here.telegram.limits.are_on = False
        yield here


@contextlib.asynccontextmanager
async def killed_at(here: World, point: str) -> AsyncIterator[None]:
    """Begin the shop anew and have it die at the point, of what the block does or of what was left over.

    It is for the caller to start it again.
    """
    await here.product.kill()
    await here.product.start("--crash-at", point)
    yield
    assert await here.product.died(within_seconds=30), f"not hit: {point}"


async def passed(trace: Path, *ways: str, at_least: set[str]) -> list[str]:
    """The points passed whose names begin like one of ``ways``, each once, in their order.

    Waits for ``at_least``: the last points follow what can be seen from outside.
    """
    points: list[str] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(10):
            while not at_least <= set(points):
                await asyncio.sleep(0.1)
                points = list(dict.fromkeys((await asyncio.to_thread(trace.read_text)).splitlines()))
    assert at_least <= set(points)
    return [point for point in points if point.startswith(ways)]


async def bought(here: World, user_id: int, provider: str = "yookassa", *, asked_after: int = 0) -> Person:
    """Somebody has bought a month, was told so, and all books know it.

    ``asked_after``: seconds until the provider is asked, where it brings no notice; they pass at once.
    """
    person = here.telegram.state.add_person(user_id, f"Покупатель {user_id}")
    await pay(await order(here, person, provider), person, provider)
    await let_pass(here, asked_after)
    assert await settled_books(here, seconds=60) == []
    async with asyncio.timeout(30):
        while await asyncio.to_thread(_is_told_later, here, user_id):
            await asyncio.sleep(0.05)
    return person


async def let_pass(here: World, seconds: int) -> None:
    """Have so much time passed, none of it waited for."""
    if seconds:
        await here.move_clock(seconds)


def _is_told_later(here: World, user_id: int) -> bool:
    with psycopg.connect(here.database_url) as connection:
        query = "SELECT FROM notices WHERE user_id = %s AND sent_at IS NULL AND dropped_at IS NULL"
        return connection.execute(query, [user_id]).fetchone() is not None


async def order(here: World, person: Person, provider: str) -> Actor:
    """Come to the payment page."""
    actor = Actor(here)
    here.telegram.people.send(person, "/plans")
    await actor.press(person, "plan:1")
    await actor.press(person, f"buy:1:{provider}")
    await actor.until(lambda: _has_page(person), "no page to pay on")
    return actor


def _has_page(person: Person) -> bool:
    newest = list(person.messages.values())[-1]
    rows = newest.get("reply_markup", {}).get("inline_keyboard", [])
    return any(button.get("url") for row in rows for button in row)


async def pay(actor: Actor, person: Person, provider: str) -> None:
    """Pay what was ordered last; Stars again and again, for the shop is asked and may be dead."""
    here = actor.world
    if provider == "yookassa":
        here.yookassa.books.pay(actor.newest_payment())
    elif provider == "cryptopay":
        here.cryptopay.books.pay(actor.newest_invoice())
    else:
        assert provider == "stars"
        link = actor.pay_link(person)
        async with asyncio.timeout(60):
            while not (await here.telegram.pay(person, link=link))[0]:
                await asyncio.sleep(0.2)
