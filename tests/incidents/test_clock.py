"""The escalation clock, moved: exactly the policy's pages, by the books of Telegram and a mail server."""

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

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


@dataclass(frozen=True)
class Case:
    """``calls``: who is called, by the minutes after the beginning, until ``end``; in between nobody is."""

    level: Level
    calls: dict[int, list[str]]
    end: int
    deeds: dict[int, Deed] = field(default_factory=dict)
    before: Deed | None = None
    killed: bool = False
    """The process that sends the first page dies before that is written down."""


CASES = {
    "L1 taken in time": Case(Level.L1, {0: TO_ENGINEER}, 600, {100: taken}),
    "L1 taken late": Case(Level.L1, {0: TO_ENGINEER, 120: TO_ENGINEER, 240: TO_LEAD}, 600, {250: taken}),
    "L1 never taken": Case(
        Level.L1,
        {0: TO_ENGINEER, 120: TO_ENGINEER, 240: TO_LEAD, 270: TO_LEAD}
        | dict.fromkeys(range(300, 321, 5), TO_ALL),
        322,
    ),
    "L1 taken and dropped": Case(
        Level.L1,
        {0: TO_ENGINEER, 50: TO_ENGINEER, 170: TO_ENGINEER, 290: TO_LEAD},
        310,
        {10: taken, 50: dropped},
    ),
    "L1 nobody on call": Case(Level.L1, {0: TO_LEAD, 120: TO_LEAD, 240: TO_LEAD}, 260, before=gone("olga")),
    "L1 Telegram down": Case(
        Level.L1,
        {0: ["mail olga"], 60: TO_ENGINEER, 120: TO_ENGINEER},
        200,
        {60: telegram_back},
        before=telegram_down,
    ),
    "L1 all routes down": Case(
        Level.L1, {60: TO_ENGINEER, 120: TO_ENGINEER}, 200, {60: all_back}, before=all_down
    ),
    "L1 killed": Case(Level.L1, {0: ["chat", "chat повтор", "olga"], 120: TO_ENGINEER}, 200, killed=True),
    "L2 taken in time": Case(Level.L2, {0: TO_LEAD}, 200, {20: taken}),
    "L2 taken late": Case(Level.L2, {0: TO_LEAD, 30: TO_LEAD, 60: TO_ALL}, 200, {62: taken}),
    "L2 never taken": Case(Level.L2, {0: TO_LEAD, 30: TO_LEAD} | dict.fromkeys(range(60, 91, 5), TO_ALL), 92),
    "L2 taken and dropped": Case(
        Level.L2, {0: TO_LEAD, 50: TO_LEAD, 80: TO_LEAD, 110: TO_ALL}, 113, {10: taken, 50: dropped}
    ),
    "L2 nobody in charge": Case(
        Level.L2,
        {
            0: ["chat", "dima", "olga"],
            30: ["chat", "dima", "olga"],
            60: ["chat", "dima", "mail olga", "olga"],
        },
        62,
        before=gone("timur"),
    ),
    "L2 Telegram down": Case(
        Level.L2,
        {0: ["mail timur"], 30: ["mail timur"], 40: TO_LEAD},
        50,
        {40: telegram_back},
        before=telegram_down,
    ),
    "L2 all routes down": Case(Level.L2, {40: TO_LEAD}, 50, {40: all_back}, before=all_down),
    "L2 killed": Case(Level.L2, {0: ["chat", "chat повтор", "timur"], 30: TO_LEAD}, 50, killed=True),
    "L3 taken in time": Case(Level.L3, {0: TO_ALL}, 60, {4: taken}),
    "L3 taken late": Case(Level.L3, dict.fromkeys((0, 5, 10, 15), TO_ALL), 60, {17: taken}),
    "L3 never taken": Case(Level.L3, dict.fromkeys(range(0, 31, 5), TO_ALL), 32),
    "L3 taken and dropped": Case(Level.L3, dict.fromkeys((0, 50, 55), TO_ALL), 57, {2: taken, 50: dropped}),
    "L3 nobody at all": Case(
        Level.L3, {0: ["chat"], 5: ["chat"], 10: ["chat"]}, 12, before=gone("olga", "timur", "dima")
    ),
    "L3 Telegram down": Case(
        Level.L3,
        {0: ["mail olga", "mail timur"], 5: ["mail olga", "mail timur"]}
        | {7: ["chat", "dima", "olga", "timur"], 10: TO_ALL},
        12,
        {7: telegram_back},
        before=telegram_down,
    ),
    "L3 all routes down": Case(Level.L3, {7: TO_ALL, 10: TO_ALL}, 12, {7: all_back}, before=all_down),
    "L3 killed": Case(Level.L3, {0: sorted([*TO_ALL, "chat повтор"]), 5: TO_ALL}, 7, killed=True),
}


@pytest.mark.parametrize("name", CASES)
async def test_exactly_those_are_called_whom_the_policy_names(name: str, staffed: Watch) -> None:
    case = CASES[name]
    if case.before is not None:
        await case.before(staffed)
    await opened(staffed, case.level)
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
