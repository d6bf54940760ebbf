"""Which copies stay: a table, and what holds whatever the counts say."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from getpro.backups.retention import Keep, Kept, KeptBase, borne_out, outdated, outdated_bases
from getpro.backups.states import MOVES, BackupState

MOSCOW = ZoneInfo("Europe/Moscow")
NIGHT = datetime(2026, 11, 27, 23, 30, tzinfo=UTC)
"""Of a Friday, which in Moscow is a Saturday."""


def nightly(nights: int) -> list[Kept]:
    return [Kept(f"{ago}", NIGHT - timedelta(days=ago), is_proven=False) for ago in range(nights)]


@pytest.mark.parametrize(
    ("keep", "stay"),
    [
        (Keep(3, 0, 0, 0), {"0", "1", "2"}),
        (Keep(1, 2, 0, 0), {"0", "6"}),  # the night to Sunday the 22nd is the newest of the week before
        (Keep(1, 0, 3, 0), {"0", "28", "59"}),
        (Keep(2, 0, 0, 2), {"0", "1", "332"}),
    ],
)
def test_each_count_keeps_the_newest_of_its_periods(keep: Keep, stay: set[str]) -> None:
    copies = nightly(400)
    gone = {copy.name for copy in outdated(copies, keep, zone=MOSCOW)}
    assert {copy.name for copy in copies} - gone == stay


@given(
    st.lists(st.tuples(st.integers(0, 800), st.booleans()), min_size=1, max_size=40),
    st.builds(Keep, *(st.integers(0, 3) for _ in range(4))),
)
def test_neither_the_newest_nor_the_newest_proven_one_ever_goes(
    days: list[tuple[int, bool]], keep: Keep
) -> None:
    copies = [
        Kept(f"{at}", NIGHT - timedelta(days=ago, minutes=at), is_proven)
        for at, (ago, is_proven) in enumerate(days)
    ]
    stay = set(copies) - set(outdated(copies, keep, zone=MOSCOW))
    assert max(copies, key=lambda copy: copy.moment) in stay
    if proven := [copy for copy in copies if copy.is_proven]:
        assert max(proven, key=lambda copy: copy.moment) in stay


def test_every_state_has_its_moves() -> None:
    assert set(MOVES) == set(BackupState)


@st.composite
def chains(draw: st.DrawFn) -> list[KeptBase]:
    """Base backups a day apart, the first of them full."""
    kinds = draw(st.lists(st.booleans(), min_size=1, max_size=30))
    proven = draw(st.lists(st.booleans(), min_size=len(kinds), max_size=len(kinds)))
    found: list[KeptBase] = []
    for day, (is_full, is_proven) in enumerate(zip(kinds, proven, strict=True)):
        parent = None if is_full or not found else found[-1].name
        found.append(KeptBase(f"{day}", parent, ("7", 1), NIGHT + timedelta(days=day), is_proven))
    return found


@given(chains(), st.integers(min_value=0, max_value=40))
def test_whatever_goes_every_moment_of_the_window_has_a_base_backup_before_it(
    bases: list[KeptBase], window: int
) -> None:
    now = bases[-1].moment + timedelta(hours=5)
    since = now - timedelta(days=window)
    gone = {base.name for base in outdated_bases(bases, since=since)}
    stays = [base for base in bases if base.name not in gone]
    assert stays[0].parent is None
    assert [base.name for base in bases[len(gone) :]] == [base.name for base in stays]  # the oldest go
    if bases[0].moment <= since:
        assert stays[0].moment <= since
    assert bases[-1] in stays
    if any(base.is_proven for base in bases):
        assert any(base.is_proven for base in stays)


def test_by_a_clock_that_was_put_back_a_chain_is_still_what_hangs_together() -> None:
    def base(name: str, parent: str | None, day: float) -> KeptBase:
        return KeptBase(name, parent, ("7", 1), NIGHT + timedelta(days=day), is_proven=True)

    bases = [
        base("a", None, 0),
        base("a1", "a", 4),
        base("x", None, 3),  # a day late, by a clock that is two behind
        base("a2", "a1", 3.5),
        base("x1", "x", 6),
        base("lost", "nowhere", 5),
    ]
    for since, gone in ((2.9, []), (3, ["a", "a2", "a1"]), (5, ["a", "a2", "a1"])):
        found = outdated_bases(bases, since=NIGHT + timedelta(days=since))
        assert [one.name for one in found] == gone


def test_what_goes_round_in_forged_files_ends() -> None:
    bases = [KeptBase(name, parent, ("7", 1), NIGHT, is_proven=True) for name, parent in ("ab", "ba")]
    assert outdated_bases(bases, since=NIGHT) == []


def test_what_was_left_for_another_timeline_goes_when_that_one_reaches_back() -> None:
    def base(day: int, timeline: int) -> KeptBase:
        return KeptBase(f"{day}", None, ("7", timeline), NIGHT + timedelta(days=day), is_proven=True)

    bases = [base(0, 1), base(7, 1), base(8, 2)]
    for since, gone in ((7.5, []), (8, ["0", "7"])):
        found = outdated_bases(bases, since=NIGHT + timedelta(days=since))
        assert [one.name for one in found] == gone


@pytest.mark.parametrize(
    ("days", "now", "borne"),
    [
        ([], 40.0, 40.0),
        ([39.9], 40.0, 40.0),
        ([0.0, 1.0, 2.0], 3.1, 3.1),
        ([0.0, 1.0, 3.0], 3.1, 3.0),  # a night was missed
        ([0.0, 1.0, 40.0], 40.1, 3.0),  # the clock has jumped, or the shop was away
        ([0.0, 1.0, 40.0, 40.9], 40.9, 3.0),
        ([0.0, 1.0, 40.0, 40.9], 41.0, 41.0),  # it was not the clock
        ([0.0, 1.0, 40.0], 2.1, 2.1),  # it was, and is right again
    ],
)
def test_a_time_is_believed_where_copies_lead_to_it_or_a_day_later(
    days: list[float], now: float, borne: float
) -> None:
    moments = [NIGHT + timedelta(days=day) for day in days]
    assert borne_out(moments, now=NIGHT + timedelta(days=now)) == NIGHT + timedelta(days=borne)
