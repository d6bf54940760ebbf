"""Rules of calling, by tables of examples: the policy's clock, the night, the rota."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from duty import MOSCOW, NO_NIGHT, Watch
from getpro.incidents.escalation import GUIDES, Night, Reason, answer_within, call
from getpro.incidents.rota import Override, Rota, Turn, turn_at
from getpro.incidents.states import MOVES, PAGE_MOVES, IncidentState, Level, PageState, Role
from getpro.incidents.store import policy
from shop import NOW

NIGHT = Night(MOSCOW, 23, 8)


def moscow(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=MOSCOW).astimezone(UTC)


def test_every_state_has_its_moves() -> None:
    assert set(MOVES) == set(IncidentState)
    assert set(PAGE_MOVES) == set(PageState)


async def test_the_policy_of_the_database_is_the_guides(watch: Watch) -> None:
    async with watch.deps.db.read("test") as session:
        found = await policy(session)
    assert {level: tuple(steps) for level, steps in found.items()} == GUIDES
    limits = {level: answer_within(found, level) for level in Level}
    assert limits == {
        Level.L1: timedelta(hours=4),
        Level.L2: timedelta(hours=1),
        Level.L3: timedelta(minutes=15),
    }


@pytest.mark.parametrize(
    ("level", "step", "called", "reason", "minutes"),
    [
        (Level.L1, 0, (Level.L1, 1, Role.ON_CALL), Reason.PAGE, 120),
        (Level.L1, 1, (Level.L1, 2, Role.ON_CALL), Reason.REMINDER, 120),
        (Level.L1, 2, (Level.L2, 1, Role.TECH_LEAD), Reason.ESCALATED, 30),
        (Level.L2, 1, (Level.L2, 2, Role.TECH_LEAD), Reason.REMINDER, 30),
        (Level.L2, 2, (Level.L3, 1, Role.EVERYONE), Reason.ESCALATED, 5),
        (Level.L3, 0, (Level.L3, 1, Role.EVERYONE), Reason.PAGE, 5),
        (Level.L3, 2, (Level.L3, 3, Role.EVERYONE), Reason.REMINDER, 5),
        (Level.L3, 3, (Level.L3, 3, Role.EVERYONE), Reason.REMINDER, 5),
        (Level.L3, 99, (Level.L3, 3, Role.EVERYONE), Reason.REMINDER, 5),
    ],
)
def test_what_is_due_follows_from_what_was_done(
    level: Level, step: int, called: tuple[Level, int, Role], reason: Reason, minutes: int
) -> None:
    due = call(GUIDES, level, step, now=NOW, night=NO_NIGHT)
    assert (due.level, due.step, due.whom.role) == called
    assert (due.reason, due.next_at) == (reason, NOW + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("night", "level", "moment", "held_until"),
    [
        (NIGHT, Level.L1, "2026-03-01 22:59", "2026-03-01 22:59"),
        (NIGHT, Level.L1, "2026-03-01 23:00", "2026-03-02 08:00"),
        (NIGHT, Level.L1, "2026-03-02 03:30", "2026-03-02 08:00"),
        (NIGHT, Level.L1, "2026-03-02 08:00", "2026-03-02 08:00"),
        (NIGHT, Level.L2, "2026-03-02 03:30", "2026-03-02 03:30"),
        (NIGHT, Level.L3, "2026-03-02 03:30", "2026-03-02 03:30"),
        (Night(MOSCOW, 0, 7), Level.L1, "2026-03-02 00:30", "2026-03-02 07:00"),
        (Night(MOSCOW, 0, 7), Level.L1, "2026-03-02 07:30", "2026-03-02 07:30"),
        (NO_NIGHT, Level.L1, "2026-03-02 03:30", "2026-03-02 03:30"),
    ],
)
def test_the_night_holds_back_the_least_grave_only(
    night: Night, level: Level, moment: str, held_until: str
) -> None:
    assert night.over(level, moscow(moment)) == moscow(held_until)


ROTA = Rota((1, 2, 3), moscow("2026-03-02 10:00"), 7)


@pytest.mark.parametrize(
    ("moment", "turn"),
    [
        ("2026-03-02 09:59", None),
        ("2026-03-02 10:00", (1, "2026-03-09 10:00")),
        ("2026-03-09 09:59", (1, "2026-03-09 10:00")),
        ("2026-03-09 10:00", (2, "2026-03-16 10:00")),
        ("2026-03-20 00:00", (3, "2026-03-23 10:00")),
        ("2026-03-23 10:00", (1, "2026-03-30 10:00")),
    ],
)
def test_turns_change_at_the_hour_of_the_hand_over(moment: str, turn: tuple[int, str] | None) -> None:
    found = turn_at(ROTA, [], moscow(moment), MOSCOW)
    assert found == (None if turn is None else Turn(turn[0], moscow(turn[1])))


def test_whoever_stands_in_does_so_from_the_minute_to_the_minute() -> None:
    evening = Override(3, moscow("2026-03-03 18:00"), moscow("2026-03-03 23:00"))
    later = Override(2, moscow("2026-03-03 20:00"), moscow("2026-03-03 21:00"))

    def at(moment: str) -> Turn | None:
        return turn_at(ROTA, [evening, later], moscow(moment), MOSCOW)

    assert at("2026-03-03 17:59") == Turn(1, evening.since)
    assert at("2026-03-03 18:00") == Turn(3, evening.until)
    assert at("2026-03-03 20:30") == Turn(2, later.until)
    assert at("2026-03-03 23:00") == Turn(1, moscow("2026-03-09 10:00"))


def test_the_hour_on_the_wall_stays_when_the_clocks_change() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    since = datetime(2026, 3, 23, 10, tzinfo=berlin)
    found = turn_at(Rota((1, 2), since.astimezone(UTC), 7), [], datetime(2026, 3, 28, tzinfo=UTC), berlin)
    assert found == Turn(1, datetime(2026, 3, 30, 8, tzinfo=UTC))
