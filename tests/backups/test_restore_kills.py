"""Killed at any moment, restoring leaves a whole database under the living name; the next run cleans up."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from folders import open_up
from getpro.backups import live, places
from getpro.backups.folder import UNFINISHED
from getpro.backups.sources import SERVER
from getpro.backups.trial import thrown_away
from getpro.platform.postgres import Cluster
from getpro.platform.postgres.address import name_of
from past import DAVE, Past, customers, facts
from shop import NOW

RESTORING = Path(__file__).parent / "restoring.py"
KILLS = 30
POINTS = {
    "restore: created": False,
    "restore: filled": False,
    "restore: half swapped": False,
    "restore: after swap": True,
}
"""Whether the past lives after a kill there."""


def begun(past: Past, url: str, place: Path, *point: str) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, RESTORING, url, past.folder, past.key_file, place, *point], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    return process


def names(url: str) -> set[str]:
    with psycopg.connect(url.rpartition("/")[0] + "/postgres") as connection:
        rows = connection.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [name_of(url)]
        )
        return {row[0] for row in rows}


@pytest.mark.long
def test_killed_at_each_point_of_the_way(past: Past, living: str, tmp_path: Path) -> None:
    place = open_up(tmp_path) / "scratch"
    for point, is_past in POINTS.items():
        with begun(past, living, place, point) as process:
            assert process.wait(30) == -signal.SIGKILL, point
        assert (DAVE not in customers(living)) is is_past, point
        assert (name_of(living) + "_restoring" in names(living)) is not is_past, point
    assert facts(living) == past.facts
    come, _ = live.back(living, now=NOW)  # the old one is kept, as whole
    assert DAVE in customers(living)
    assert come not in names(living)
    with thrown_away(place):
        kept = live.over_live(past.source, living, place, now=NOW.replace(year=2027))
    assert facts(living) == past.facts
    assert {name_of(living), kept} < names(living)
    assert not [name for name in names(living) if name.endswith("_restoring")]


@pytest.mark.long
@pytest.mark.timeout(600)
def test_killed_at_random_moments(
    past: Past, living: str, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    place, chance = open_up(tmp_path) / "scratch", random.Random(7)
    old = facts(living)
    with begun(past, living, place) as process:
        began = time.monotonic()
        assert process.wait(60) == 0
    seconds = time.monotonic() - began
    swapped = 0
    for _ in range(KILLS):
        lives = facts(living)
        assert lives in (old, past.facts)
        if lives == past.facts:
            swapped += 1
            live.back(living, now=NOW)
            live.drop(living, f"{name_of(living)}_before_{NOW:%Y%m%d_%H%M%S}")
            assert live.kept(living) == []
        with begun(past, living, place) as process:
            time.sleep(chance.uniform(0.0, 1.2 * seconds))
            process.kill()
    assert facts(living) in (old, past.facts)
    with thrown_away(place):
        live.over_live(past.source, living, place, now=NOW)
    assert facts(living) == past.facts
    assert not [name for name in names(living) if name.endswith("_restoring")]
    assert 0 < swapped < KILLS
    figure(f"{KILLS} kills while restoring over a living database, {swapped} after the swap")


def test_what_a_killed_one_has_left_in_a_new_place_is_swept_with_its_server(
    past: Past, tmp_path: Path
) -> None:
    half = open_up(tmp_path) / "restored" / "earlier" / f"{UNFINISHED}restored"
    half.mkdir(parents=True, mode=0o711)
    open_up(half)
    left = Cluster(half / SERVER, durable=False)
    left.start()
    places.sweep(tmp_path / "restored")
    assert left.server_pid() is None
    left.stop()  # whoever started it is not dead here, and must forget it
    assert not (tmp_path / "restored" / "earlier").exists()
