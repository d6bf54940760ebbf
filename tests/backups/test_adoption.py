"""Copies that the database does not know: it is a new one, or restored, or they were brought there."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import text

from copies import newest
from getpro.backups import service, store
from getpro.backups.deps import Deps
from getpro.backups.errors import Damaged, NotThere
from getpro.backups.folder import ARCHIVE, LATEST, written
from getpro.backups.restore import require_whole
from getpro.backups.states import BackupState
from getpro.backups.store import Backup
from shop import Shop

OTHER = "2getpro-20250101-000000"
Description = dict[str, Any]


async def catalogue(deps: Deps) -> dict[str, Backup]:
    async with deps.db.read("test") as session:
        return {one.name: one for one in await store.newest_first(session)}


async def run(deps: Deps, statement: str) -> None:
    async with deps.db.begin("test") as session:
        await session.execute(text(statement))


async def test_a_restored_database_knows_the_copy_it_is_from_and_those_made_later(
    deps: Deps, shop: Shop
) -> None:
    made = []
    for _ in range(3):
        made.append(await service.create(deps, asked_by="olga"))
        shop.clock.now += timedelta(days=1)
    first, *later = made
    await run(deps, "DELETE FROM backups WHERE backup_id > 1")
    await run(deps, "UPDATE backups SET state = 'making', finished_at = NULL, bytes = NULL, manifest = NULL")
    await service.tidy(deps)
    seen = await catalogue(deps)
    assert {name: one.state for name, one in seen.items()} == {one.name: BackupState.MADE for one in made}
    for one in later:
        found = seen[one.name]
        assert (found.started_at, found.bytes, found.manifest) == (one.started_at, one.bytes, one.manifest)
        assert found.asked_by == "olga"
    assert (await service.verify(deps)).name == later[-1].name
    assert [one.name for one in await service.prune(deps)] == [first.name]


async def test_a_manifest_of_the_first_form_is_read(deps: Deps) -> None:
    made = await service.create(deps, asked_by="olga")
    said = json.loads(described(deps, made.name).read_text(encoding="utf-8"))
    del said["asked_by"], said["signature"]
    described(deps, made.name).write_text(json.dumps(said | {"form": 1}), encoding="utf-8")
    await run(deps, "DELETE FROM backups")
    await service.tidy(deps)
    found = (await catalogue(deps))[made.name]
    assert (found.state, found.asked_by, found.bytes) == (BackupState.MADE, "folder", made.bytes)
    assert (await service.verify(deps)).is_good


def of_another_name(said: Description) -> Description:
    return said


def later_form(said: Description) -> Description:
    return said | {"name": OTHER, "form": 99, "more": "than we know"}


def no_moment(said: Description) -> Description:
    return said | {"name": OTHER, "made_at": "yesterday"}


def no_zone(said: Description) -> Description:
    return said | {"name": OTHER, "made_at": "2025-01-01T00:00:00"}


def wrong_kinds(said: Description) -> Description:
    return said | {"name": OTHER, "facts": said["facts"] | {"rows": "many"}}


def still_on_its_way(said: Description) -> Description:
    return said | {"name": OTHER, "file_bytes": said["file_bytes"] + 1}


@pytest.mark.parametrize(
    "tells", [of_another_name, later_form, no_moment, no_zone, wrong_kinds, still_on_its_way]
)
async def test_what_is_not_ours_or_not_whole_is_left_where_it_lies(
    deps: Deps, tells: Callable[[Description], Description]
) -> None:
    made = await service.create(deps, asked_by="olga")
    said = json.loads(described(deps, made.name).read_text(encoding="utf-8"))
    del said["signature"]  # for that alone it would be left
    described(deps, OTHER).write_text(json.dumps(tells(said)), encoding="utf-8")
    shutil.copy(deps.folder / f"{made.name}{ARCHIVE}", deps.folder / f"{OTHER}{ARCHIVE}")
    await service.tidy(deps)
    assert set(await catalogue(deps)) == {made.name}
    assert described(deps, OTHER).exists()


async def test_an_old_copy_that_is_passed_off_as_a_new_one_is_not_adopted_and_is_told(deps: Deps) -> None:
    made = await service.create(deps, asked_by="olga")
    assert made.manifest is not None
    moment = (made.started_at + timedelta(days=1)).isoformat()
    replace(made.manifest, name=OTHER, made_at=moment).write(deps.folder)
    shutil.copy(deps.folder / f"{made.name}{ARCHIVE}", deps.folder / f"{OTHER}{ARCHIVE}")
    with structlog.testing.capture_logs() as told:
        await service.tidy(deps)
    assert set(await catalogue(deps)) == {made.name}
    assert [(one["event"], one["backup"]) for one in told] == [("backup.not_as_signed", OTHER)]


async def test_links_pipes_and_what_is_too_deep_hinder_nothing_and_are_not_followed(
    deps: Deps, tmp_path: Path
) -> None:
    made = await service.create(deps, asked_by="olga")
    shutil.move(described(deps, made.name), tmp_path / "elsewhere")
    described(deps, made.name).symlink_to(tmp_path / "elsewhere")
    os.mkfifo(described(deps, "2getpro-20250101-000001"))
    described(deps, "2getpro-20250101-000002").write_text("[" * 100_000, encoding="utf-8")
    described(deps, "2getpro-20250101-000003").write_bytes(b" " * 2**21)
    with pytest.raises(NotThere):
        newest(deps)
    described(deps, made.name).unlink()
    shutil.move(tmp_path / "elsewhere", described(deps, made.name))
    assert newest(deps).name == made.name
    archive = deps.folder / f"{made.name}{ARCHIVE}"
    shutil.move(archive, tmp_path / "elsewhere")
    for is_link in (True, False):
        if is_link:
            archive.symlink_to(tmp_path / "elsewhere")
        else:
            os.mkfifo(archive)
        with pytest.raises(Damaged, match=r"это ссылка|это не обычный файл"):
            require_whole(deps.folder, newest(deps), deps.keys.identity)
        archive.unlink()
    victim = tmp_path / "victim"
    victim.write_text("whole")
    (deps.folder / f".making-{LATEST}").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic"), written(deps.folder / LATEST):
        pass
    assert victim.read_text() == "whole"


async def test_a_copy_that_had_failed_and_lies_there_whole_counts_again(deps: Deps) -> None:
    made = await service.create(deps, asked_by="olga")
    for state in ("failed", "lost"):
        await run(deps, f"UPDATE backups SET state = '{state}', manifest = NULL")  # noqa: S608 -- ours
        await service.tidy(deps)
        found = (await catalogue(deps))[made.name]
        assert (found.state, found.manifest) == (BackupState.MADE, made.manifest), state


async def test_rubbish_and_strangers_in_the_folder_hinder_nothing(deps: Deps) -> None:
    deps.folder.mkdir()
    for name, content in {
        OTHER: b'{"name": "2getp',
        "2getpro-20250101-000001": b"[]",
        "2getpro-20250101-000002": b"\xff\xfe",
        "2getpro-20250101-000003": b"null",
        "another-shop": b"{}",
        "2getpro-20250101-0000": b"{}",
    }.items():
        described(deps, name).write_bytes(content)
    (deps.folder / "2getpro-20250101-000004.json").mkdir()
    made = await service.create(deps, asked_by="olga")
    assert await service.prune(deps) == []
    assert set(await catalogue(deps)) == {made.name}


def described(deps: Deps, name: str) -> Path:
    return deps.folder / f"{name}.json"
