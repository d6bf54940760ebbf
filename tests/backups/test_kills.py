"""Killed at any moment, copying leaves no lie: neither in the folder nor in the catalogue."""

import gzip
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from copies import copies_in
from getpro.backups import service, store
from getpro.backups.deps import Deps
from getpro.backups.folder import ARCHIVE, LATEST, UNFINISHED, hash_of
from getpro.backups.states import BackupState
from shop import Shop

KILLS = 20
COPYING = Path(__file__).parent / "copying.py"


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_killed_while_it_copies_and_prunes_nothing_is_claimed_that_is_not_there(
    shop: Shop, database_url: str, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    await shop.purchase(await shop.customer("alice"))
    deps = copies_in(tmp_path, db=shop.db, database_url=database_url, clock=shop.clock, daily=1)
    chance = random.Random(5)
    in_the_middle = 0
    for _ in range(KILLS):
        _copy_and_be_killed(database_url, tmp_path, after=chance.uniform(0.0, 1.5))
        in_the_middle += bool(list(deps.folder.glob(f"{UNFINISHED}*")))
        _require_latest_whole(deps.folder / LATEST)
        await _require_catalogue_true(deps)
    shop.clock.forward(days=400)
    made = await service.create(deps, asked_by="olga")
    await service.prune(deps)
    assert not list(deps.folder.glob(f"{UNFINISHED}*"))
    async with deps.db.read("test") as session:
        left = await store.newest_first(session, BackupState.MAKING, BackupState.MADE)
    assert [one.name for one in left] == [made.name]
    assert {path.name for path in deps.folder.glob(f"*{ARCHIVE}")} == {f"{made.name}{ARCHIVE}"}
    assert (await service.verify(deps)).is_good
    assert in_the_middle
    figure(f"{KILLS} kills while copying, {in_the_middle} in the middle of a file")


def _copy_and_be_killed(url: str, folder: Path, *, after: float) -> None:
    here = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, COPYING, url, folder], stdout=subprocess.PIPE, env=here
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        time.sleep(after)
        process.kill()


def _require_latest_whole(latest: Path) -> None:
    if latest.exists():
        last = gzip.decompress(latest.read_bytes()).decode().splitlines()[-1]
        assert last.startswith("\\echo 2GETPRO: восстановлено целиком")


async def _require_catalogue_true(deps: Deps) -> None:
    async with deps.db.read("test") as session:
        for one in await store.newest_first(session, BackupState.MADE):
            assert one.manifest is not None
            assert hash_of(deps.folder / f"{one.name}{ARCHIVE}") == one.manifest.sha256
