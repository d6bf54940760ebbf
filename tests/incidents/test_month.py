"""A month in figures, and who answered in time: by tables of examples."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from duty import MOSCOW, NO_NIGHT, TIMUR, Watch
from getpro.incidents import month, policy, service
from getpro.incidents.escalation import GUIDES, Night, Step
from getpro.incidents.month import Case, Times, figures
from getpro.incidents.response import Response, response
from getpro.incidents.states import EventKind, Level, Reach, Role
from getpro.incidents.store import Event
from getpro.incidents.team import Actor
from getpro.operations.budget import Budget
from shop import NOW

MINUTE = timedelta(minutes=1)


def at(minutes: float) -> datetime:
    return NOW + minutes * MINUTE


def called(minutes: float, level: str = "L2", reason: str = "page") -> Event:
    return Event(at(minutes), "магазин", EventKind.PAGED, "Позвали", {"level": level, "reason": reason})


def said(minutes: float, kind: EventKind = EventKind.TAKEN, who: str = "timur") -> Event:
    return Event(at(minutes), who, kind, "")


LONG_NIGHT = Night(MOSCOW, 16, 20)
"""The examples begin at three in the afternoon."""


@pytest.mark.parametrize(
    ("line", "night", "took", "is_kept"),
    [
        ([called(0), said(59)], NO_NIGHT, 59, True),
        ([called(0), said(60)], NO_NIGHT, 60, True),
        ([called(0), called(30, reason="reminder"), said(61)], NO_NIGHT, 61, False),
        ([called(0, "L1"), said(239)], NO_NIGHT, 239, True),
        ([called(0, "L3"), said(16)], NO_NIGHT, 16, False),
        # A level let its time pass: the one above answered at once, and the limit was not kept.
        ([called(0), called(60, "L3", "escalated"), said(61)], NO_NIGHT, 61, False),
        # Grown graver by a signal, its time begins anew.
        ([called(0, "L1"), called(200, "L2"), said(250)], NO_NIGHT, 250, True),
        # Calls after the answer, as of a dropped one, are another matter.
        ([called(0), said(5), called(50), called(120, "L3", "escalated")], NO_NIGHT, 5, True),
        # At five it is night until eight: the reminder comes then, and its two hours begin.
        ([called(0, "L1"), said(419)], LONG_NIGHT, 419, True),
        ([called(0, "L1"), said(421)], LONG_NIGHT, 421, False),
        ([called(0), said(9, EventKind.RESOLVED)], NO_NIGHT, 9, True),
        ([called(0), said(9, EventKind.CLOSING)], NO_NIGHT, 9, True),
        ([called(0), said(9, EventKind.RESOLVED, "магазин")], NO_NIGHT, None, None),
        ([called(0), called(60, "L3", "escalated")], NO_NIGHT, None, False),
        ([said(3)], NO_NIGHT, None, True),
        ([], NO_NIGHT, None, None),
    ],
)
def test_the_limit_is_kept_by_who_answers_before_the_escalation_goes_on(
    line: Sequence[Event], night: Night, took: float | None, *, is_kept: bool | None
) -> None:
    found = response(line, GUIDES, night)
    assert found.is_kept is is_kept
    if took is not None:
        assert found.answered_at is not None
        assert found.called_at is not None
        assert found.answered_at - found.called_at == took * MINUTE


def case(level: Level, *, took: float | None, lasted: float | None, escalated: bool = False) -> Case:
    answered = None if took is None else at(took)
    answer = Response(NOW, level, at(60), answered, None if took is None else "timur", escalated)
    return Case(level, NOW, None if lasted is None else at(lasted), answer)


def test_a_month_is_counted_by_level_and_together() -> None:
    found = figures(
        [
            case(Level.L2, took=4, lasted=70),
            case(Level.L2, took=10, lasted=30),
            case(Level.L2, took=90, lasted=None),
            case(Level.L3, took=2, lasted=40, escalated=True),
        ]
    )
    assert [(one.level, one.count, one.open, one.kept, one.judged) for one in found] == [
        (Level.L1, 0, 0, 0, 0),
        (Level.L2, 3, 1, 2, 3),
        (Level.L3, 1, 0, 0, 1),
        (None, 4, 1, 2, 4),
    ]
    assert found[0].to_take is None
    assert found[1].to_take == Times(median=10 * MINUTE, worst=90 * MINUTE)
    assert found[1].to_resolve == Times(median=50 * MINUTE, worst=70 * MINUTE)
    assert found[3].to_take == Times(median=7 * MINUTE, worst=90 * MINUTE)


async def test_a_months_incidents_are_those_that_became_known_in_it(staffed: Watch) -> None:
    by = Actor("timur", TIMUR)

    async def lived_through(length: float) -> None:
        async with staffed.deps.db.begin("test") as session:
            number = await service.open_by_hand(session, staffed.deps, "Беда", level=Level.L2, by=by)
        staffed.shop.clock.forward(minutes=3)
        async with staffed.deps.db.begin("test") as session:
            await service.take(session, staffed.deps, number, by=by)
        staffed.shop.clock.forward(minutes=length)
        async with staffed.deps.db.begin("test") as session:
            await service.resolve(session, staffed.deps, number, by=by, cause="а", fix="б")

    since = staffed.now
    await lived_through(17)
    until = staffed.now
    await lived_through(17)
    async with staffed.deps.db.read("test") as session:
        found = await month.cases(session, staffed.deps, since=since, until=until)
    everything = figures(found)[-1]
    assert (everything.count, everything.kept, everything.judged) == (1, 1, 1)
    assert everything.to_take == Times(3 * MINUTE, 3 * MINUTE)
    assert everything.to_resolve == Times(20 * MINUTE, 20 * MINUTE)


def test_the_budget_of_thirty_days_is_216_minutes() -> None:
    days: dict[str, Any] = {"allowed": timedelta(days=30) * 0.005, "measured": timedelta(days=30)}
    assert days["allowed"] == timedelta(minutes=216)
    assert Budget(down=timedelta(minutes=54), **days).used == 0.25


async def test_a_lowered_level_and_another_policy_do_not_change_what_was(staffed: Watch) -> None:
    by = Actor("timur", TIMUR)
    since = staffed.now
    async with staffed.deps.db.begin("test") as session:
        number = await service.open_by_hand(session, staffed.deps, "Беда", level=Level.L3, by=by)
    staffed.shop.clock.forward(minutes=10)
    async with staffed.deps.db.begin("test") as session:
        await service.take(session, staffed.deps, number, by=by)
        await service.set_level(session, staffed.deps, number, Level.L1, by=by)
        await policy.set_steps(
            session,
            staffed.deps,
            Level.L3,
            [Step(Role.EVERYONE, Reach.ALL, timedelta(minutes=1))],
            by=by,
            reason="строже",
        )
    async with staffed.deps.db.read("test") as session:
        [found] = await month.cases(session, staffed.deps, since=since, until=staffed.now)
    assert (found.level, found.response.is_kept) == (Level.L3, True)
