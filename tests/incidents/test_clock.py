"""The escalation clock, moved: exactly the policy's pages, by the books of Telegram and a mail server."""

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import product

import pytest

from duty import Watch
from getpro.incidents import service, team
from getpro.incidents.states import Level
from getpro.incidents.team import Actor
from moments import Broken, broken_at

OLGA = Actor("Ольга")
TO_ENGINEER, TO_LEAD = ["chat", "olga"], ["chat", "timur"]
TO_ALL = ["chat", "dima", "mail olga", "mail timur", "olga", "timur"]
Deed = Callable[[Watch], Awaitable[object]]


async def opened(watch: Watch, level: Level) -> int:
    async with watch.deps.db.begin("test") as session:
        return await service.open_by_hand(session, watch.deps, "Беда", level=level, by=OLGA)


async def taken(watch: Watch) -> None:
    async with watch.deps.db.begin("test") as session:
        await service.take(session, watch.deps, 1, by=OLGA)


async def dropped(watch: Watch) -> None:
    async with watch.deps.db.begin("test") as session:
        await service.drop(session, watch.deps, 1, by=OLGA)


def gone(*names: str) -> Deed:
    async def remove(watch: Watch) -> None:
        async with watch.deps.db.begin("test") as session:
            for name in names:
                await team.remove_person(session, name, now=watch.now)

    return remove


async def telegram_down(watch: Watch) -> None:
    watch.telegram.faults.change({"error_rate": 1, "error_status": 502})


async def telegram_back(watch: Watch) -> None:
    watch.telegram.faults.clear()


async def telegram_loses_answers(watch: Watch) -> None:
    watch.telegram.faults.change({"lose_answer_rate": 1})


async def all_down(watch: Watch) -> None:
    await telegram_down(watch)
    watch.mail.is_away = True


async def all_back(watch: Watch) -> None:
    await telegram_back(watch)
    watch.mail.is_away = False


async def killed_unrecorded(watch: Watch) -> None:
    with broken_at("page: delivered: before commit"), contextlib.suppress(Broken):
        await watch.run_jobs()


class Met(StrEnum):
    """What an incident meets."""

    TAKEN_IN_TIME = "taken in time"
    TAKEN_LATE = "taken late"
    NEVER_TAKEN = "never taken"
    DROPPED = "taken and dropped"
    NOBODY = "nobody on call"
    """Of those whom the level calls; at the highest nobody at all."""
    TELEGRAM_DOWN = "telegram down"
    ALL_DOWN = "all routes down"
    KILLED = "killed between page and record"


@dataclass(frozen=True)
class Case:
    """``calls``: who is called, by the minutes after the beginning, until ``end``; in between nobody is."""

    calls: dict[int, list[str]]
    end: int
    deeds: dict[int, Deed] = field(default_factory=dict)
    before: Deed | None = None
    killed: bool = False
    """The process that sends the first page dies before that is written down."""


CASES = {
    (Level.L1, Met.TAKEN_IN_TIME): Case({0: TO_ENGINEER}, 600, {100: taken}),
    (Level.L1, Met.TAKEN_LATE): Case({0: TO_ENGINEER, 120: TO_ENGINEER, 240: TO_LEAD}, 600, {250: taken}),
    (Level.L1, Met.NEVER_TAKEN): Case(
        {0: TO_ENGINEER, 120: TO_ENGINEER, 240: TO_LEAD, 270: TO_LEAD}
        | dict.fromkeys(range(300, 321, 5), TO_ALL),
        322,
    ),
    (Level.L1, Met.DROPPED): Case(
        {0: TO_ENGINEER, 50: TO_ENGINEER, 170: TO_ENGINEER, 290: TO_LEAD},
        310,
        {10: taken, 50: dropped},
    ),
    (Level.L1, Met.NOBODY): Case({0: TO_LEAD, 120: TO_LEAD, 240: TO_LEAD}, 260, before=gone("olga")),
    (Level.L1, Met.TELEGRAM_DOWN): Case(
        {0: ["mail olga"], 60: TO_ENGINEER, 120: TO_ENGINEER},
        200,
        {60: telegram_back},
        before=telegram_down,
    ),
    (Level.L1, Met.ALL_DOWN): Case({60: TO_ENGINEER, 120: TO_ENGINEER}, 200, {60: all_back}, before=all_down),
    (Level.L1, Met.KILLED): Case({0: ["chat", "chat повтор", "olga"], 120: TO_ENGINEER}, 200, killed=True),
    (Level.L2, Met.TAKEN_IN_TIME): Case({0: TO_LEAD}, 200, {20: taken}),
    (Level.L2, Met.TAKEN_LATE): Case({0: TO_LEAD, 30: TO_LEAD, 60: TO_ALL}, 200, {62: taken}),
    (Level.L2, Met.NEVER_TAKEN): Case(
        {0: TO_LEAD, 30: TO_LEAD} | dict.fromkeys(range(60, 91, 5), TO_ALL), 92
    ),
    (Level.L2, Met.DROPPED): Case(
        {0: TO_LEAD, 50: TO_LEAD, 80: TO_LEAD, 110: TO_ALL}, 113, {10: taken, 50: dropped}
    ),
    (Level.L2, Met.NOBODY): Case(
        {
            0: ["chat", "dima", "olga"],
            30: ["chat", "dima", "olga"],
            60: ["chat", "dima", "mail olga", "olga"],
        },
        62,
        before=gone("timur"),
    ),
    (Level.L2, Met.TELEGRAM_DOWN): Case(
        {0: ["mail timur"], 30: ["mail timur"], 40: TO_LEAD},
        50,
        {40: telegram_back},
        before=telegram_down,
    ),
    (Level.L2, Met.ALL_DOWN): Case({40: TO_LEAD}, 50, {40: all_back}, before=all_down),
    (Level.L2, Met.KILLED): Case({0: ["chat", "chat повтор", "timur"], 30: TO_LEAD}, 50, killed=True),
    (Level.L3, Met.TAKEN_IN_TIME): Case({0: TO_ALL}, 60, {4: taken}),
    (Level.L3, Met.TAKEN_LATE): Case(dict.fromkeys((0, 5, 10, 15), TO_ALL), 60, {17: taken}),
    (Level.L3, Met.NEVER_TAKEN): Case(dict.fromkeys(range(0, 31, 5), TO_ALL), 32),
    (Level.L3, Met.DROPPED): Case(dict.fromkeys((0, 50, 55), TO_ALL), 57, {2: taken, 50: dropped}),
    (Level.L3, Met.NOBODY): Case(
        {0: ["chat"], 5: ["chat"], 10: ["chat"]}, 12, before=gone("olga", "timur", "dima")
    ),
    (Level.L3, Met.TELEGRAM_DOWN): Case(
        {0: ["mail olga", "mail timur"], 5: ["mail olga", "mail timur"]}
        | {7: ["chat", "dima", "olga", "timur"], 10: TO_ALL},
        12,
        {7: telegram_back},
        before=telegram_down,
    ),
    (Level.L3, Met.ALL_DOWN): Case({7: TO_ALL, 10: TO_ALL}, 12, {7: all_back}, before=all_down),
    (Level.L3, Met.KILLED): Case({0: sorted([*TO_ALL, "chat повтор"]), 5: TO_ALL}, 7, killed=True),
}


def test_every_level_meets_everything() -> None:
    assert set(CASES) == set(product(Level, Met))


@pytest.mark.parametrize(("level", "met"), CASES)
async def test_exactly_those_are_called_whom_the_policy_names(level: Level, met: Met, staffed: Watch) -> None:
    case = CASES[level, met]
    if case.before is not None:
        await case.before(staffed)
    await opened(staffed, level)
    if case.killed:
        await killed_unrecorded(staffed)
    called: dict[float, list[str]] = {}
    for minute in sorted({*case.calls, *case.deeds, case.end}):
        for moment in (minute - 0.1, minute):
            if moment == minute and (deed := case.deeds.get(minute)):
                await staffed.go_to(minute)
                await deed(staffed)
            if moment >= 0:
                await staffed.until(moment)
            if moment >= 0 and (calls := staffed.calls()):
                called[moment] = calls
    assert called == case.calls


DEATHS = {
    "incidents: step: before commit": TO_ALL,
    "incidents: step: after commit": TO_ALL,
    "page: claimed: before commit": TO_ALL,
    # Nobody can know that the message had not left yet.
    "page: claimed: after commit": sorted(["chat повтор", *TO_ALL[1:]]),
    "page: delivered: before commit": sorted(["chat повтор", *TO_ALL]),
    "page: delivered: after commit": TO_ALL,
}


async def test_wherever_the_process_dies_on_its_way_a_call_is_neither_lost_nor_doubled_in_silence(
    staffed: Watch,
) -> None:
    await opened(staffed, Level.L3)
    await staffed.work()
    assert staffed.calls() == TO_ALL
    for number, (point, calls) in enumerate(DEATHS.items(), 1):
        await staffed.go_to(5 * number)
        with broken_at(point), pytest.raises(Broken):
            await staffed.work()
        await staffed.work()
        assert (point, staffed.calls()) == (point, calls)


async def test_a_mail_whose_record_was_lost_comes_once_more_and_says_so(staffed: Watch) -> None:
    await gone("timur", "dima")(staffed)
    await staffed.rows("DELETE FROM contact_ways WHERE telegram_id IS NOT NULL RETURNING way_id")
    staffed.deps = replace(staffed.deps, chat_id=None)
    await opened(staffed, Level.L3)
    await killed_unrecorded(staffed)
    await staffed.until(4)
    assert staffed.calls() == ["mail olga", "mail olga повтор"]
