"""Kill -9 at each moment of a reminder: it never comes twice, and what is lost is written down as lost."""

import asyncio
import json
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from points import a_shop, bought, killed_at, passed

from getpro.sales.reminders import due_for
from getpro.sandbox.shop.world import World
from getpro.sandbox.telegram.state import Person

pytestmark = [pytest.mark.long, pytest.mark.timeout(600), pytest.mark.xdist_group("points")]

WAY_OF_REMINDER = ("remind: ", "notice: ", "telegram.sendMessage")
"""How the names of points begin that a reminder passes."""
NEVER_SENT = {"notice: claim: after commit", "telegram.sendMessage: before call"}
NOT_NOTED = {"telegram.sendMessage: after call", "notice: sent: before commit"}
"""Between the claim and the note: nobody who comes later can know whether it went out."""
MUST_BE_THERE = {
    *("remind: before commit", "remind: after commit", "notice: read", "notice: claim: before commit"),
    *NEVER_SENT,
    *NOT_NOTED,
    "notice: sent: after commit",
}
TITLE = "Подписка закончится через 3 дня"
SOON = 2
"""Seconds after its moment."""


async def test_death_at_every_point_of_a_reminder_sends_it_once_or_counts_it_as_lost(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    trace = tmp_path / "trace"
    async with a_shop(tmp_path) as here:
        first = await bought(here, 3000)
        await here.product.stop()
        tell_operators_nothing(here)
        await come_to_its_moment(here, first)
        await here.product.start("--trace", str(trace))
        assert await ended(here, first) == (True, None)
        points = await passed(trace, *WAY_OF_REMINDER, at_least=MUST_BE_THERE)
        lost = 0  # counted as it goes: in the night, the shop forgets what is three months old
        for number, point in enumerate(points):
            person = await bought(here, 3001 + number)
            await here.product.stop()  # an answer that a kill cut off would be sent first, and meet the point
            moment = await come_to_its_moment(here, person)
            async with killed_at(here, point):
                pass  # it finds the reminder by itself
            await here.move_clock(60)  # the dead worker has been silent for long
            await here.product.start()
            was_sent, trouble = await ended(here, person)
            is_lost = point in NEVER_SENT | NOT_NOTED
            assert (was_sent, trouble) == ((False, "lost on its way") if is_lost else (True, None)), point
            assert times_reminded(person) == (0 if point in NEVER_SENT else 1), point
            assert here.clock() - moment < timedelta(hours=1), point
            lost += trouble == "lost on its way"
        figure(f"{len(points)} crash points of a reminder, {lost} of them counted as lost")
        assert lost == len(NEVER_SENT | NOT_NOTED)


def tell_operators_nothing(here: World) -> None:
    """A month's reports are due with each reminder, and go out by the same call."""
    file = here.product.settings_file
    settings = json.loads(file.read_text(encoding="utf-8"))
    settings["operations"]["chat"] = None
    file.write_text(json.dumps(settings), encoding="utf-8")


async def come_to_its_moment(here: World, person: Person) -> datetime:
    """Move the clock until the person's first reminder is due; return when that is."""
    [(end_date, changed_at)] = ask(
        here,
        "SELECT end_date, changed_at FROM subscriptions JOIN subscription_changes USING (subscription_id)"
        " WHERE user_id = %s",
        person.user_id,
    )
    due = next(due_for(end_date, changed_at=changed_at, zone=ZoneInfo(here.time_zone)))
    await here.move_clock(math.ceil((due.at - here.clock()).total_seconds()) + SOON)
    return due.at


async def ended(here: World, person: Person) -> tuple[bool, str | None]:
    """Whether the reminder was sent, and why not, once that is known."""
    async with asyncio.timeout(40):
        while True:
            rows = await asyncio.to_thread(
                ask,
                here,
                "SELECT sent_at IS NOT NULL, trouble FROM notices WHERE kind = 'reminder' AND user_id = %s"
                " AND (sent_at IS NOT NULL OR dropped_at IS NOT NULL)",
                person.user_id,
            )
            if rows:
                assert len(rows) == 1
                return rows[0][0], rows[0][1]
            await asyncio.sleep(0.1)


def times_reminded(person: Person) -> int:
    return sum(TITLE in message.get("text", "") for message in person.messages.values())


def ask(here: World, query: str, *values: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(here.database_url) as connection:
        return connection.execute(query, values).fetchall()
