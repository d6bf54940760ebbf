"""The operators' day and week, lived by moving the clock: each report in their group, at its hour, once."""

import asyncio
import math
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from folders import open_up
from getpro.operations.routines import ROUTINES
from getpro.sandbox.shop.actor import Actor
from getpro.sandbox.shop.world import World, world
from getpro.sandbox.telegram import FIRST_GROUP, FIRST_PERSON

ABSENT = "Нет в песочнице: "
OF_A_MONTH = {name for name, routine in ROUTINES.items() if routine.rule.split()[2] != "*"}
"""Those that come on a day of the month: of one week of four."""
_FIRST_LINE = re.compile(r"(🟢|🟡|🔴|⚪) (.+), (\d\d\.\d\d \d\d:\d\d)")
_AT_WORK = (
    "SELECT FROM procrastinate_jobs WHERE (task_name ^@ 'ops_' OR task_name = 'tell_operators')"
    " AND status IN ('todo', 'doing') LIMIT 1"
)


@dataclass(frozen=True)
class Report:
    routine: str
    light: str
    at: str
    """``dd.mm hh:mm`` in the operator's zone, as the operators read it."""
    text: str


@dataclass
class Operators:
    """Who reads the group, and moves the clock."""

    here: World
    zone: ZoneInfo
    read: int = 0
    """How many of the bot's messages."""

    @property
    def now(self) -> datetime:
        return self.here.clock().astimezone(self.zone)

    async def at(self, moment: datetime) -> list[Report]:
        """Move the clock to ``moment`` and read what comes by itself."""
        return await self.after(math.ceil((moment - self.here.clock()).total_seconds()))

    async def after(self, seconds: int | None = None, *, to: str | None = None) -> list[Report]:
        moved = (await self.here.move_clock(seconds, to=to)).astimezone(self.zone)
        await self.until(lambda: self._all_is_told(since=moved))
        fresh = self.messages[self.read :]
        self.read += len(fresh)
        return [_report(message.get("text") or message["caption"]) for message in fresh]

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(90):
            while not await condition():
                await asyncio.sleep(0.05)

    async def are_routines_planned(self) -> bool:
        """A shop that has just begun may not have come to that."""
        async with await psycopg.AsyncConnection.connect(self.here.database_url) as connection:
            found = await connection.execute("SELECT FROM schedules WHERE name ^@ 'ops_' LIMIT 1")
            return await found.fetchone() is not None

    async def _all_is_told(self, *, since: datetime) -> bool:
        """Whether the schedules have seen that moment, and nothing is left to be done or sent."""
        async with await psycopg.AsyncConnection.connect(self.here.database_url) as connection:
            due = await connection.execute("SELECT FROM schedules WHERE next_run_at <= %s LIMIT 1", [since])
            at_work = await connection.execute(_AT_WORK)
            return await due.fetchone() is None and await at_work.fetchone() is None

    @property
    def messages(self) -> list[dict[str, Any]]:
        group = self.here.telegram.state.groups[FIRST_GROUP]
        return [message for message in group.messages.values() if message["from"]["is_bot"]]


def _report(text: str) -> Report:
    found = _FIRST_LINE.match(text)
    assert found is not None, text
    [routine] = [routine.name for routine in ROUTINES.values() if routine.title == found[2]]
    return Report(routine, found[1], found[3], text)


@pytest.fixture
async def operators(tmp_path: Path) -> AsyncIterator[Operators]:
    """On a Monday, early, in a shop that has sold something."""
    async with world(open_up(tmp_path), durable=False, retry_scale=0.05) as here:
        anna, actor = here.telegram.state.people[FIRST_PERSON], Actor(here)
        made = Operators(here, ZoneInfo(here.time_zone))
        await made.until(made.are_routines_planned)
        await made.at(next_monday(made.now) + timedelta(hours=8, minutes=5))
        await actor.start(anna)
        await actor.buy(anna, plan=1, provider="yookassa")
        here.yookassa.books.pay(actor.newest_payment())
        await actor.has_access(anna, "Доступ открыт")
        yield made


def next_monday(now: datetime) -> datetime:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(days=7 - now.weekday())


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_every_routine_reports_in_the_group_at_its_hour_and_after_a_leap_once(
    operators: Operators, figure: Callable[[str], None]
) -> None:
    monday = next_monday(operators.now) - timedelta(days=7)
    hours = {
        (0, "09:00"): ["morning"],
        (0, "09:30"): ["monday"],
        (0, "18:00"): ["evening", "watch"],
        (2, "09:30"): ["evening", "morning", "watch", "wednesday"],
        (3, "04:30"): ["evening", "thursday", "watch"],
        (4, "10:00"): ["evening", "friday", "morning", "watch"],
    }
    said: dict[str, str] = {}
    for (day, hour), due in hours.items():
        moment = datetime.combine(monday.date() + timedelta(days=day), datetime.min.time(), operators.zone)
        moment = moment.replace(hour=int(hour[:2]), minute=int(hour[3:]))
        reports = await operators.at(moment)
        assert {report.at for report in reports} == {f"{moment:%d.%m %H:%M}"}, hour
        for report in reports:
            said.setdefault(report.routine, report.text)
            assert report.light in "🟢⚪", report.text
        # A Tuesday's has its own hour: between Monday evening and Wednesday it may come with the others.
        # What comes on a day of the month comes whatever day of the week that is.
        others = (report.routine for report in reports if report.routine not in {"tuesday", *OF_A_MONTH})
        assert sorted(others) == due, hour
    assert "выручка 199\N{NO-BREAK SPACE}₽" in said["evening"]
    assert "Ошибки в журнале: ни одной" in said["morning"]
    assert ABSENT in said["morning"]
    assert "Уборка таблиц: таблиц" in said["thursday"]
    assert said["friday"].startswith("⚪")

    began = time.monotonic()
    reports = await operators.after(7 * 86400)
    figure(f"a week of the operators: {len(reports)} reports {time.monotonic() - began:.1f} s after the leap")
    weekly = Counter(report.routine for report in reports if report.routine not in OF_A_MONTH)
    assert weekly == dict.fromkeys(ROUTINES.keys() - OF_A_MONTH, 1)
    await a_command_is_answered_in_a_sentence(operators)
    await who_puts_the_bot_out_reads_again_when_it_is_back(operators)
    assert operators.here.telegram.limits.refused <= 2  # told to wait a moment, and sent again: all have come
    assert operators.here.telegram.state.unknown_parameters == []


async def a_command_is_answered_in_a_sentence(operators: Operators) -> None:
    here, group = operators.here, operators.here.telegram.state.groups[FIRST_GROUP]
    [anna] = group.members
    before = len(operators.messages)
    here.telegram.people.send(anna, "всем доброе утро", to=group)
    async with asyncio.timeout(70):  # a group takes twenty messages a minute, and has just had its reports
        while len(operators.messages) == before:  # asked again, as people do: such an answer is given once
            here.telegram.people.send(anna, "/admin", to=group)
            await asyncio.sleep(5)
    answer = operators.messages[-1]
    assert answer["text"].startswith("Сюда приходят отчёты")
    assert "reply_markup" not in answer
    operators.read += 1


async def who_puts_the_bot_out_reads_again_when_it_is_back(operators: Operators) -> None:
    here, group = operators.here, operators.here.telegram.state.groups[FIRST_GROUP]
    [anna] = group.members
    here.telegram.people.remove_bot(anna, group)
    assert await operators.after(to="next_routine") == []
    async with await psycopg.AsyncConnection.connect(here.database_url) as connection:
        kept = await connection.execute("SELECT trouble FROM operator_messages WHERE sent_at IS NULL")
        assert await kept.fetchall() == [("403 Forbidden: bot was kicked from the supergroup chat",)]
    here.telegram.people.add_bot(anna, group)
    assert await operators.after(to="next_routine")


@pytest.mark.long
@pytest.mark.timeout(1200)
async def test_a_whole_week_goes_by_from_one_routine_to_the_next(
    operators: Operators, figure: Callable[[str], None]
) -> None:
    began = time.monotonic()
    end = operators.now + timedelta(days=7, minutes=-10)  # the watch at eight is the last
    told: Counter[str] = Counter()
    while operators.now < end:
        reports = await operators.after(to="next_routine")
        assert reports
        for report in reports:
            told[report.routine] += 1
            assert report.at == f"{operators.now:%d.%m %H:%M}"
            assert report.light in "🟢⚪", report.text
    figure(f"a week from routine to routine: {told.total()} reports in {time.monotonic() - began:.0f} s")
    a_day = {"morning": 7, "watch": 84, "evening": 7}
    for routine in OF_A_MONTH:
        del told[routine]
    assert told == dict.fromkeys(ROUTINES.keys() - OF_A_MONTH, 1) | a_day
