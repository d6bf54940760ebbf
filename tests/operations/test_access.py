"""Who acted for the shop, and what of it is unusual: seen by what the shop keeps of it anyway."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, text, update

from duty import DIMA, OLGA, TIMUR, Watch, staffed, watch
from getpro.bot import helping
from getpro.bot.screens.screen import Desk, OnCustomer, OnPayment, OnStuck
from getpro.checks.check import Finding, Level
from getpro.incidents import documents, screens, team
from getpro.incidents.models import incidents, people
from getpro.messaging import partitions
from getpro.messaging.models import message_logs
from getpro.operations.looks import access
from getpro.operations.looks.access import STAFF_BUTTONS, STAFF_COMMANDS, Act, Call
from getpro.platform import audit
from getpro.platform.changes import ChangeKind, note
from shop import NOW

__all__ = ["staffed", "watch"]

MOSCOW = ZoneInfo("Europe/Moscow")
DAY = timedelta(days=1)
STRANGER = 666


def test_the_staffs_commands_and_buttons_are_those_of_the_bot() -> None:
    prefixes = [one.__prefix__ for one in (Desk, OnCustomer, OnPayment, OnStuck)]
    assert sorted(STAFF_BUTTONS) == sorted(
        f"{prefix}:" for prefix in (*prefixes, screens.PREFIX, helping.PREFIX)
    )
    assert set(STAFF_COMMANDS) >= {f"/{command}" for command in documents.COMMANDS.values()}


@pytest.mark.parametrize(
    ("actor", "name"),
    [
        ("@olga (104)", "olga"),
        ("104", "olga"),
        ("Ольга (104)", "olga"),
        ("olga", "olga"),
        ("@eve (999999)", "Telegram 999999"),
        ("root", "root"),
        ("backup-2", "backup-2"),
    ],
)
def test_one_person_has_one_name_by_whatever_door(actor: str, name: str) -> None:
    assert access.name_of(actor, {104: "olga"}) == name


def at(hour: int, *, ago: int = 0) -> datetime:
    """An hour of Moscow's day, some days ago."""
    return datetime(2026, 3, 1, hour, tzinfo=MOSCOW).astimezone(UTC) - ago * DAY


def test_an_hour_is_unusual_where_nobody_has_seen_them_near_it() -> None:
    usual = [Act("olga", at(hour, ago=ago)) for ago in range(2, 12) for hour in (10, 23)]
    since = at(0)

    def hours(*those: int) -> dict[str, list[int]]:
        acts = [*usual, *(Act("olga", at(hour)) for hour in those)]
        return access.unusual_hours(acts, since=since, zone=MOSCOW)

    assert hours(10, 12, 23, 1, 21) == {}  # two hours apart, around midnight too
    assert hours(4, 10) == {"olga": [4]}
    assert hours(13, 4, 4) == {"olga": [4, 13]}
    fetched = [Call(at(3), at(4))]
    by_night = [*usual, Act("olga", at(4)), Act("olga", at(5))]
    assert access.unusual_hours(by_night, fetched, since=since, zone=MOSCOW) == {"olga": [5]}
    few = [*usual[:19], Act("olga", at(4))]
    assert access.unusual_hours(few, since=since, zone=MOSCOW) == {}  # too little is known of her


def test_who_acts_first_is_new_only_where_others_have_acted_before() -> None:
    old, new = Act("olga", NOW - 9 * DAY), Act("eve", NOW)
    assert access.newcomers([old, new, Act("olga", NOW)], since=NOW - DAY) == ["eve"]
    assert access.newcomers([new], since=NOW - DAY) == []  # a shop's first day


async def deed(watch: Watch, actor: str, *, ago: timedelta = timedelta()) -> None:
    async with watch.deps.db.begin("test") as session:
        await audit.note(
            session,
            actor=actor,
            action="customers.extend",
            subject="u1",
            reason="x",
            outcome="y",
            now=NOW - ago,
        )


async def pressed(watch: Watch, number: int, content: str, times: int = 1) -> None:
    row = {"user_id": number, "timestamp": NOW - timedelta(hours=1), "kind": "button", "content": content}
    async with watch.deps.db.begin("test") as session:
        for statement in partitions.statements(NOW):
            await session.execute(text(statement))
        await session.execute(insert(message_logs), [row] * times)


async def looked(watch: Watch) -> dict[str, tuple[Level, str]]:
    found: AsyncIterator[Finding] = access.look_at_anomalies(
        watch.deps.db, [OLGA], now=NOW, span=DAY, zone=MOSCOW
    )
    return {one.name: (one.level, one.seen) async for one in found}


@pytest.fixture
async def quiet(staffed: Watch) -> Watch:
    """The team was there long ago, and Olga has worked since."""
    staffed.shop.clock.now = NOW
    async with staffed.deps.db.begin("test") as session:
        await session.execute(update(people).values(added_at=NOW - 100 * DAY))  # by now they are known
    await deed(staffed, f"@olga ({OLGA})", ago=50 * DAY)
    return staffed


async def test_what_is_as_ever_is_green(quiet: Watch) -> None:
    await deed(quiet, str(OLGA))
    assert await looked(quiet) == {"access.anomalies": (Level.OK, "действий 1, все обычные; отказов нет")}


async def test_somebody_who_has_never_acted_is_seen_by_each_door(quiet: Watch) -> None:
    await deed(quiet, f"@timur ({TIMUR})")
    async with quiet.deps.db.begin("test") as session:
        await note(session, ChangeKind.COMMAND, "Команда: 2getpro query", now=NOW, who="backdoor")
        await note(session, ChangeKind.RESTARTED, "Перезапущен", now=NOW)
    await pressed(quiet, DIMA, "desk:day")
    found = await looked(quiet)
    assert sorted(found) == ["access.new.backdoor", "access.new.dima", "access.new.timur"]
    assert {level for level, _ in found.values()} == {Level.ATTENTION}


async def test_an_unusual_hour_is_seen(quiet: Watch) -> None:
    for day in range(2, 24):
        await deed(quiet, "olga", ago=day * DAY)
    await deed(quiet, "olga", ago=timedelta(hours=9))
    hour = (NOW - timedelta(hours=9)).astimezone(MOSCOW).hour
    words = f"действовал около {hour}:00, раньше в это время никогда"
    assert await looked(quiet) == {"access.hours.olga": (Level.ATTENTION, words)}


async def test_whoever_was_called_at_night_is_not_unusual(quiet: Watch) -> None:
    for day in range(2, 24):
        await deed(quiet, "olga", ago=day * DAY)
    night = NOW - timedelta(hours=9)
    await deed(quiet, "olga", ago=timedelta(hours=9))
    async with quiet.deps.db.begin("test") as session:
        row = {"level": "L2", "state": "open", "title": "x", "opened_at": night, "called_at": None}
        await session.execute(insert(incidents).values(row))
    assert "access.hours.olga" in await looked(quiet)
    async with quiet.deps.db.begin("test") as session:
        await session.execute(update(incidents).values(called_at=night))
    assert list(await looked(quiet)) == ["access.anomalies"]


async def test_rights_that_were_just_given_are_seen(quiet: Watch) -> None:
    async with quiet.deps.db.begin("test") as session:
        await team.add_person(session, "eve", [], now=NOW - timedelta(hours=2))
    found = await looked(quiet)
    assert found == {"access.granted.eve": (Level.ATTENTION, "в команде с 01.03.2026")}


async def test_whoever_acts_without_rights_any_more_is_red(quiet: Watch) -> None:
    await deed(quiet, "timur", ago=40 * DAY)
    async with quiet.deps.db.begin("test") as session:
        await team.remove_person(session, "timur", now=NOW - timedelta(hours=5))
    assert (await looked(quiet))["access.anomalies"][0] is Level.OK
    await deed(quiet, f"@timur ({TIMUR})", ago=timedelta(hours=1))
    assert (await looked(quiet))["access.removed.timur"][0] is Level.WRONG


async def test_a_stranger_who_tries_what_only_operators_have_is_seen(quiet: Watch) -> None:
    await pressed(quiet, STRANGER, "desk:day", times=2)
    await pressed(quiet, 667, "go:menu", times=50)
    assert list(await looked(quiet)) == ["access.anomalies"]  # a slip, and a customer
    await pressed(quiet, STRANGER, "/admin")
    assert await looked(quiet) == {
        "access.refused.Telegram 666": (
            Level.ATTENTION,
            "пробовал команды и кнопки операторов, раз: 3",
        )
    }


async def test_who_acted_is_told_with_how_often(quiet: Watch) -> None:
    await deed(quiet, "olga")
    await deed(quiet, str(OLGA))
    await deed(quiet, "timur")
    [found] = [one async for one in access.look_at_review(quiet.deps.db, [OLGA], now=NOW, span=DAY)]
    assert (found.level, found.seen) == (Level.OK, "olga 2, timur 1")
