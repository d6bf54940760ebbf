"""Copies off this machine: what the catalogue claims is there, and comes back as it was."""

import asyncio
import contextlib
import io
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from folders import open_up
from getpro.backups import claims, fetching, jobs, sending, service, store
from getpro.backups.bucket import Bucket
from getpro.backups.deps import Deps
from getpro.backups.errors import BackupError, Busy, Damaged, NotThere, OffsiteError, OffsiteRefused
from getpro.backups.folder import ARCHIVE, BASE, LATEST, MANIFEST, SETTINGS, UNFINISHED, archive_of, held
from getpro.backups.keys import keys
from getpro.backups.manifest import Facts, Manifest, Physical
from getpro.backups.mirror import Mirror
from getpro.backups.retention import Keep
from getpro.backups.states import BackupState
from getpro.backups.store import Backup
from getpro.backups.wal import Log
from getpro.platform.postgres import tools_for
from getpro.sandbox.shop.world import free_port
from shop import Shop
from storage import PART_BYTES, WRITING, Counting, Place, Storage

SHIPPING = Path(__file__).with_name("shipping.py")
BRINGING = Path(__file__).with_name("bringing.py")
SEGMENT_BYTES = 2**24


@pytest.fixture
def place(s3: Storage) -> Place:
    return s3.make()


@pytest.fixture
def deps(shop: Shop, database_url: str, tmp_path: Path, place: Place) -> Iterator[Deps]:
    open_up(tmp_path)
    with contextlib.closing(place.bucket()) as bucket:
        yield Deps(
            db=shop.db,
            clock=shop.clock,
            zone=ZoneInfo("Europe/Moscow"),
            database_url=database_url,
            tools=tools_for,
            folder=tmp_path / "backups",
            trials=tmp_path / "trials",
            spool=tmp_path / "spool",
            keys=keys(tmp_path, tmp_path / "backups"),
            keep=Keep(daily=1, weekly=0, monthly=0, yearly=0),
            window=timedelta(days=7),
            use=lambda _: None,
            bucket=bucket,
        )


async def copy_of(deps: Deps, *, size: int = 1000, physical: Physical | None = None) -> Backup:
    """A copy as the catalogue and the folder have it, without the work of making one."""
    deps.folder.mkdir(exist_ok=True)
    now = deps.clock()
    name, body = f"2getpro-{now:%Y%m%d-%H%M%S}", os.urandom(size)
    manifest = Manifest(
        name,
        now.isoformat(),
        "2",
        "18",
        size,
        size,
        sha256(body).hexdigest(),
        Facts("1", {"users": 2}, {}),
        physical,
    )
    archive_of(deps.folder, name, manifest.kind).write_bytes(body)
    (deps.folder / f"{name}{MANIFEST}").write_text(manifest.as_json())
    (deps.folder / LATEST).write_bytes(b"in clear")
    async with deps.db.begin("test") as session:
        number = await store.begin(session, name, manifest.kind, asked_by="olga", now=now)
        await store.made(session, number, manifest, now=now)
    return await known(deps, name)


async def fetched(deps: Deps, name: str | None = None) -> Manifest:
    assert deps.bucket is not None
    return await fetching.fetch(deps.bucket, deps.folder, name, catalogue=deps.db, clock=deps.clock)


async def copies_a_day_apart(deps: Deps, shop: Shop, count: int) -> list[Backup]:
    """Oldest first."""
    made = []
    for _ in range(count):
        shop.clock.now += timedelta(days=1)
        made.append(await copy_of(deps))
    return made


async def known(deps: Deps, name: str) -> Backup:
    async with deps.db.read("test") as session:
        return next(one for one in await store.newest_first(session) if one.name == name)


def lying(deps: Deps, *copies: Backup) -> dict[str, bytes]:
    """These copies as they lie in the folder, by the keys that they have off-site."""
    names = [f"{copy.name}{ending}" for copy in copies for ending in (ARCHIVE, MANIFEST)]
    return {f"copies/{name}": (deps.folder / name).read_bytes() for name in names}


async def test_every_copy_is_sent_with_its_manifest_once_and_the_plain_one_never(
    deps: Deps, shop: Shop, place: Place
) -> None:
    made = await copies_a_day_apart(deps, shop, 3)
    assert (deps.folder / LATEST).exists()
    done = await sending.send(deps)
    assert [copy.name for copy in done.copies] == [copy.name for copy in reversed(made)]
    assert place.objects() == lying(deps, *made)
    for copy in made:
        seen = await known(deps, copy.name)
        assert seen.offsite_at == shop.clock()
        assert seen.offsite_place == f"s3://{place.name}/2getpro/copies/{copy.name}"
    assert isinstance(deps.bucket, Counting)
    assert deps.bucket.asked.count("PutObject") == 6
    assert await sending.send(deps) == sending.Sent([], [])
    assert deps.bucket.asked.count("PutObject") == 6


async def test_a_copy_that_postgres_was_asked_for_leaves_whole_and_closed(deps: Deps, place: Place) -> None:
    made = await service.create(deps, asked_by="olga")
    await sending.send(deps)
    assert place.objects() == lying(deps, made)
    assert place.objects()[f"copies/{made.name}{ARCHIVE}"].startswith(b"age-encryption.org/v1\n")


async def test_one_that_cannot_be_sent_stops_no_other_and_is_told(
    deps: Deps, shop: Shop, place: Place
) -> None:
    first, gone, altered, last = await copies_a_day_apart(deps, shop, 4)
    (deps.folder / f"{gone.name}{ARCHIVE}").unlink()
    (deps.folder / f"{altered.name}{ARCHIVE}").write_bytes(b"other bytes")
    done = await sending.send(deps)
    assert [copy.name for copy in done.copies] == [last.name, first.name]
    assert [one.copy.name for one in done.failed] == [altered.name, gone.name]
    assert place.objects() == lying(deps, first, last)
    assert "не те байты" in ((await known(deps, altered.name)).offsite_trouble or "")
    assert (await known(deps, gone.name)).offsite_trouble == "такого пути нет"
    assert (await known(deps, gone.name)).offsite_at is None


async def test_nobody_who_answers_is_asked_once_and_the_next_round_sends_all(
    deps: Deps, shop: Shop, place: Place
) -> None:
    made = await copies_a_day_apart(deps, shop, 2)
    with contextlib.closing(place.bucket(s3_endpoint=f"http://127.0.0.1:{free_port()}")) as nobody:
        done = await sending.send(replace(deps, bucket=nobody))
    [failed] = done.failed
    assert (done.copies, failed.copy.name) == ([], made[1].name)
    assert "BACKUP_S3_ENDPOINT" in failed.remedy
    assert (await known(deps, made[1].name)).offsite_trouble == failed.why
    assert len((await sending.send(deps)).copies) == 2
    assert (await known(deps, made[1].name)).offsite_trouble is None


async def test_another_bucket_gets_them_all(deps: Deps, shop: Shop, s3: Storage) -> None:
    made = await copies_a_day_apart(deps, shop, 2)
    await sending.send(deps)
    other = s3.make()
    with contextlib.closing(other.bucket()) as bucket:
        assert len((await sending.send(replace(deps, bucket=bucket))).copies) == 2
    assert other.objects() == lying(deps, *made)


async def test_what_was_sent_before_a_kill_is_found_and_not_sent_again(deps: Deps) -> None:
    """The server had it, and we did not write that down any more."""
    made = await copy_of(deps)
    await sending.send(deps)
    async with deps.db.begin("test") as session:
        await session.execute(text("UPDATE backups SET offsite_at = NULL"))
    assert isinstance(deps.bucket, Counting)
    deps.bucket.asked.clear()
    await sending.send(deps)
    assert (await known(deps, made.name)).offsite_at is not None
    assert set(deps.bucket.asked) == {"ListMultipartUploads", "HeadObject"}


async def test_an_upload_of_a_copy_that_is_no_more_is_given_up(deps: Deps, shop: Shop, place: Place) -> None:
    [made] = await copies_a_day_apart(deps, shop, 1)
    assert isinstance(deps.bucket, Counting)
    deps.bucket._begin(f"copies/2getpro-gone{ARCHIVE}", {})
    deps.bucket._begin("wal/another", {})
    await sending.send(deps)
    assert place.unfinished() == ["wal/another"]
    assert place.objects() == lying(deps, made)


async def test_a_shop_that_stops_does_not_wait_for_a_large_copy(deps: Deps, place: Place) -> None:
    await copy_of(deps, size=3 * PART_BYTES)
    begun, is_over = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    threads = ThreadPoolExecutor()
    loop.set_default_executor(threads)

    def tell(_: str) -> None:
        loop.call_soon_threadsafe(begun.set)
        is_over.wait()

    task = asyncio.create_task(sending.send(deps, on_progress=tell))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    is_over.set()
    threads.shutdown(wait=True)
    loop.set_default_executor(ThreadPoolExecutor())
    assert place.objects() == {}
    assert len(place.unfinished()) == 1


async def test_two_do_not_send_at_once(deps: Deps) -> None:
    deps.folder.mkdir()
    with held(deps.folder, lock=".sending"):
        with pytest.raises(Busy):
            await sending.send(deps)
        await service.prune(deps)  # what is here does not wait for what is there
    with held(deps.folder):  # a copy is being made
        assert await sending.send(deps) == sending.Sent([], [])


async def test_what_is_lost_comes_back_as_it_was(deps: Deps, shop: Shop) -> None:
    made = (await copies_a_day_apart(deps, shop, 2))[0]
    await sending.send(deps)
    before = lying(deps, made)
    for ending in (ARCHIVE, MANIFEST):
        (deps.folder / f"{made.name}{ending}").unlink()
    await service.tidy(deps)
    assert (await known(deps, made.name)).state is BackupState.LOST
    await fetched(deps, made.name)
    assert lying(deps, made) == before
    assert (deps.folder / f"{made.name}{ARCHIVE}").stat().st_mode & 0o777 == 0o600
    await service.tidy(deps)
    assert (await known(deps, made.name)).state is BackupState.MADE


async def test_the_newest_of_the_bucket_is_none_of_a_day_to_come_nor_of_no_day(
    deps: Deps, place: Place
) -> None:
    copy = await copy_of(deps)
    await sending.send(deps)
    assert deps.bucket is not None
    for name in ("2getpro-20991231-000000", "2getpro-20261332-000000"):
        for ending in (ARCHIVE, MANIFEST):
            deps.bucket.put(deps.folder / f"{copy.name}{MANIFEST}", f"copies/{name}{ending}")
    assert [one.name for one in (await fetching.find(deps.bucket)).copies] == [
        "2getpro-20991231-000000",
        copy.name,
    ]
    assert (await fetched(deps)).name == copy.name


async def test_what_a_link_in_the_folder_leads_to_does_not_leave(
    deps: Deps, place: Place, tmp_path: Path
) -> None:
    copy = await copy_of(deps)
    beside, secret = deps.folder / f"{copy.name}{MANIFEST}", tmp_path / "secret"
    secret.write_text("of this machine")
    beside.unlink()
    beside.symlink_to(secret)
    done = await sending.send(deps)
    assert [(one.copy.name, "это ссылка" in one.why) for one in done.failed] == [(copy.name, True)]
    assert not [one for one in place.objects() if one.endswith(MANIFEST)]


async def test_settings_leave_with_their_copy_come_back_with_it_and_go_with_it(
    deps: Deps, shop: Shop, place: Place
) -> None:
    made = await service.create(replace(deps, environment="A=b\n"), asked_by="olga")
    await sending.send(deps)
    settings = deps.folder / f"{made.name}{SETTINGS}"
    before = settings.read_bytes()
    assert place.objects() == lying(deps, made) | {f"copies/{settings.name}": before}
    for path in deps.folder.glob(f"{made.name}*"):
        path.unlink()
    await fetched(deps, made.name)
    assert settings.read_bytes() == before
    [later] = await copies_a_day_apart(deps, shop, 1)
    await sending.send(deps)
    assert [copy.name for copy in await service.prune(deps)] == [made.name]
    assert place.objects() == lying(deps, later)
    assert not settings.exists()


async def test_a_copy_comes_back_without_settings_that_are_not_there(deps: Deps, place: Place) -> None:
    made = await service.create(replace(deps, environment="A=b\n"), asked_by="olga")
    settings = deps.folder / f"{made.name}{SETTINGS}"
    settings.unlink()
    await sending.send(deps)
    assert place.objects() == lying(deps, made)
    (deps.folder / f"{made.name}{ARCHIVE}").unlink()
    await service.tidy(deps)
    await fetched(deps, made.name)
    assert ((await known(deps, made.name)).state, settings.exists()) == (BackupState.MADE, False)


def physical(parent: Backup | None, *, start: str = "0/1") -> Physical:
    name = None if parent is None else parent.name
    return Physical(
        "7", "2getpro", SEGMENT_BYTES, start, start, start, "2026-03-01T00:00:00+00:00", 1, "postgres", name
    )


async def test_base_backups_leave_too_and_come_back_with_what_they_build_on(
    deps: Deps, shop: Shop, place: Place
) -> None:
    full = await copy_of(deps, physical=physical(None))
    shop.clock.now += timedelta(days=1)
    changes = await copy_of(deps, physical=physical(full))
    await sending.send(deps)
    assert set(place.objects()) == {
        f"copies/{copy.name}{ending}" for copy in (full, changes) for ending in (BASE, MANIFEST)
    }
    before = {path.name: path.read_bytes() for path in deps.folder.glob("2getpro-*")}
    for path in deps.folder.glob("2getpro-*"):
        path.unlink()
    await fetched(deps, changes.name)
    assert {path.name: path.read_bytes() for path in deps.folder.glob("2getpro-*")} == before
    with pytest.raises(NotThere, match="нет ни одной"):
        await fetched(deps)  # of dumps


async def test_the_newest_comes_back_to_a_machine_that_knows_of_none(deps: Deps, shop: Shop) -> None:
    made = await service.create(deps, asked_by="olga")
    await sending.send(deps)
    async with deps.db.begin("test") as session:
        await session.execute(text("DELETE FROM backups"))
    for path in deps.folder.iterdir():
        path.unlink()
    got = await fetched(deps)
    assert got == made.manifest
    tried = await service.verify(deps)
    assert (tried.name, tried.is_good) == (made.name, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../../root/x"},
        {"name": "2getpro-20260301-120000/x"},
        {"system": "/root/.ssh"},
        {"system": ".."},
        {"parent": "../2getpro-20260301-120000-full"},
    ],
)
async def test_a_manifest_that_names_other_places_is_none(deps: Deps, changes: dict[str, str]) -> None:
    made = await copy_of(deps, physical=physical(None))
    assert made.manifest is not None
    found = asdict(made.manifest)
    assert Manifest.of(found) == made.manifest
    inside = found if "name" in changes else found["physical"]
    inside |= changes
    with pytest.raises(ValueError, match=r"no name of a copy|no identifier"):
        Manifest.of(found)


async def test_a_copy_that_its_own_database_takes_for_failed_comes_back(deps: Deps) -> None:
    """A database that was restored from it knows it as begun, and finds nothing of it on a new machine."""
    made = await copy_of(deps)
    await sending.send(deps)
    async with deps.db.begin("test") as session:
        await session.execute(text("UPDATE backups SET state = 'making', bytes = NULL, manifest = NULL"))
    for path in deps.folder.iterdir():
        path.unlink()
    await service.tidy(deps)
    assert (await known(deps, made.name)).state is BackupState.FAILED
    await fetched(deps, made.name)
    assert (await known(deps, made.name)).state is BackupState.MADE


async def test_a_byte_that_is_altered_where_it_lies_is_found(deps: Deps, place: Place) -> None:
    made = await copy_of(deps)
    await sending.send(deps)
    place.tamper(f"copies/{made.name}{ARCHIVE}")
    before = lying(deps, made)
    with pytest.raises(Damaged, match="не те байты"):
        await fetched(deps, made.name)
    assert lying(deps, made) == before
    assert not list(deps.folder.glob(".making-*"))


async def test_what_the_catalogue_says_of_a_copy_lies_beside_it_whatever_the_place_says(
    deps: Deps, place: Place
) -> None:
    made = await copy_of(deps)
    await sending.send(deps)
    before = lying(deps, made)
    place.tamper(f"copies/{made.name}{MANIFEST}")
    await fetched(deps, made.name)
    assert lying(deps, made) == before


async def test_what_is_not_there_is_told(deps: Deps) -> None:
    with pytest.raises(NotThere, match="нет ни одной"):
        await fetched(deps)
    with pytest.raises(NotThere, match="no-such"):
        await fetched(deps, "no-such")
    with pytest.raises(OffsiteError, match="бакет не задан"):
        await sending.send(replace(deps, bucket=None))


async def test_what_no_count_keeps_goes_there_too(deps: Deps, shop: Shop, place: Place) -> None:
    old, new = await copies_a_day_apart(deps, shop, 2)
    await sending.send(deps)
    assert [copy.name for copy in await service.prune(deps)] == [old.name]
    assert place.objects() == lying(deps, new)
    gone = await known(deps, old.name)
    assert (gone.state, gone.offsite_at, gone.offsite_place) == (BackupState.DELETED, None, None)


async def test_what_is_only_there_goes_by_the_same_counts(deps: Deps, shop: Shop, place: Place) -> None:
    old, new = await copies_a_day_apart(deps, shop, 2)
    await sending.send(deps)
    lost = lying(deps, new)
    for copy in (old, new):
        (deps.folder / f"{copy.name}{ARCHIVE}").unlink()
    await service.prune(deps)
    assert place.objects() == lost
    assert (await known(deps, new.name)).offsite_at is not None


async def test_by_a_clock_that_is_ahead_no_minute_of_the_past_goes(deps: Deps, shop: Shop) -> None:
    bases = []
    for days in (6, 0.5, 40):
        bases.append(await copy_of(deps, physical=physical(None)))
        shop.clock.forward(days=days)
    bases.append(await copy_of(deps, physical=physical(None)))
    assert await service.prune(deps) == []
    shop.clock.forward(days=1)  # it was right, and the shop away
    assert [one.name for one in await service.prune(deps)] == [one.name for one in bases[:2]]


async def log_off_the_machine(deps: Deps, *systems: str) -> None:
    """Four segments of the log of each, here and there; the shop lives on the last."""
    deps.spool.mkdir()
    assert deps.bucket is not None
    for system in systems:
        log = Log(deps.folder, system, SEGMENT_BYTES)
        for number in range(4):
            log.keep(f"{number:024}", segment_of(b"segment"), deps.keys.recipients)
        Mirror(deps.bucket, log, deps.spool).follow()
    async with deps.db.begin("test") as session:
        now = deps.clock()
        await store.note_stream(session, systems[-1], safe_until=now, trouble=None, now=now)


def segments(deps: Deps, place: Place, system: str) -> list[int]:
    """Of the log, which must be the same here and there."""
    here = Log(deps.folder, system, SEGMENT_BYTES).names()
    there = [key for key in place.objects() if key.startswith(f"wal/{system}/")]
    assert there == [f"wal/{system}/{name}" for name in here]
    return [int(name.partition(".")[0]) for name in here]


async def test_the_log_after_a_base_backup_that_is_only_there_stays(
    deps: Deps, shop: Shop, place: Place
) -> None:
    deps = replace(deps, keep=Keep(daily=9, weekly=0, monthly=0, yearly=0))
    full = await copy_of(deps, physical=physical(None, start="0/1000000"))
    shop.clock.forward(days=1)
    await copy_of(deps, physical=physical(None, start="0/3000000"))
    await log_off_the_machine(deps, "7")
    await sending.send(deps)
    archive_of(deps.folder, full.name, full.kind).unlink()
    assert await service.prune(deps) == []
    assert segments(deps, place, "7") == [1, 2, 3]
    for _ in range(8):
        shop.clock.forward(days=1)
        await copy_of(deps)
        await service.prune(deps)
    assert (await known(deps, full.name)).state is BackupState.DELETED
    assert segments(deps, place, "7") == [3]


async def test_the_log_of_a_cluster_that_was_left_goes_with_its_last_base_backup(
    deps: Deps, place: Place
) -> None:
    full = await copy_of(deps, physical=physical(None))
    await log_off_the_machine(deps, "7", "8")
    await service.prune(deps)
    assert [len(segments(deps, place, system)) for system in ("7", "8")] == [4, 4]
    archive_of(deps.folder, full.name, full.kind).unlink()
    refusing: Bucket = Refusing()
    await service.prune(replace(deps, bucket=refusing))
    assert [len(segments(deps, place, system)) for system in ("7", "8")] == [4, 4]
    await service.prune(deps)
    assert [len(segments(deps, place, system)) for system in ("7", "8")] == [0, 4]
    assert not (deps.folder / "wal/7").exists()


async def test_what_is_locked_there_stays_is_told_and_prune_goes_on(
    deps: Deps, shop: Shop, s3: Storage
) -> None:
    place = s3.make(lock=True)
    with contextlib.closing(place.bucket(s3_lock_days=30)) as bucket:
        deps = replace(deps, bucket=bucket)
        *old, younger, new = await copies_a_day_apart(deps, shop, 5)
        await sending.send(deps)
        before = place.objects()
        assert len(await service.prune(deps)) == 4
        assert place.objects() == before
        for copy in old:
            seen = await known(deps, copy.name)
            assert seen.state is BackupState.DELETED
            assert seen.offsite_at is None
            assert "заперт" in (seen.offsite_trouble or "")
            assert not (deps.folder / f"{copy.name}{ARCHIVE}").exists()
        assert (await known(deps, younger.name)).offsite_trouble is None  # not even tried: locked for longer
        await fetched(deps, old[0].name)  # as long as it lies there
        assert (await known(deps, old[0].name)).state is BackupState.MADE
        assert (await known(deps, new.name)).offsite_at is not None


class Refusing:
    """A bucket to which nothing can be sent."""

    def __getattr__(self, _: str) -> Callable[..., Any]:
        def refuse(*_: Any, **__: Any) -> Any:
            raise OffsiteError("нельзя", "никак")

        return refuse

    def address(self, key: str) -> str:
        return f"s3://refusing/{key}"


async def test_every_night_it_goes_off_the_machine_and_what_did_not_goes_within_the_hour(
    deps: Deps, place: Place
) -> None:
    refusing: Bucket = Refusing()
    away = {kind.name: kind for kind in jobs.job_kinds(lambda: replace(deps, bucket=refusing))}
    await away["make_backup"].run()  # the copy is made all the same
    with pytest.raises(BackupError, match="нельзя"):
        await away["send_backups"].run()
    assert place.objects() == {}
    kinds = {kind.name: kind for kind in jobs.job_kinds(lambda: deps)}
    await kinds["send_backups"].run()
    assert len(place.objects()) == 2
    hourly = {one.name for one in jobs.schedules("UTC", sends=True)} - {
        one.name for one in jobs.schedules("UTC", sends=False)
    }
    assert hourly == {"send_backups"}


async def test_a_claim_that_does_not_hold_is_withdrawn_and_the_copy_goes_again(
    deps: Deps, shop: Shop, place: Place
) -> None:
    gone, short, unknown, whole = await copies_a_day_apart(deps, shop, 4)
    await sending.send(deps)
    with contextlib.closing(place.storage.client()) as owner:
        at = f"2getpro/copies/{{}}{ARCHIVE}"
        owner.delete_object(Bucket=place.name, Key=at.format(gone.name))
        owner.put_object(Bucket=place.name, Key=at.format(short.name), Body=b"short")
        owner.delete_object(Bucket=place.name, Key=f"2getpro/copies/{unknown.name}{MANIFEST}")
    found = await claims.compare(deps)
    assert (found.copies, sorted(found.gone)) == (
        4,
        [
            f"{gone.name}: в хранилище нет {gone.name}{ARCHIVE}",
            f"{short.name}: в хранилище {short.name}{ARCHIVE} другого размера",
            f"{unknown.name}: в хранилище нет {unknown.name}{MANIFEST}",
        ],
    )
    for copy in (gone, short, unknown):
        seen = await known(deps, copy.name)
        assert (seen.offsite_at, f"{copy.name}: {seen.offsite_trouble}" in found.gone) == (None, True)
    assert (await known(deps, whole.name)).offsite_at is not None
    assert len((await sending.send(deps)).copies) == 3
    assert place.objects() == lying(deps, gone, short, unknown, whole)
    assert (await claims.compare(deps)).gone == []


async def test_what_is_let_go_while_it_is_compared_was_never_a_false_claim(deps: Deps) -> None:
    made = await copy_of(deps)
    await sending.send(deps)
    before = await known(deps, made.name)
    async with deps.db.begin("test") as session:
        await store.leaving(session, made.backup_id)
        assert not await store.withdrawn(session, before, "в хранилище нет")
    assert (await known(deps, made.name)).offsite_trouble is None


async def test_a_key_needs_to_see_the_list_to_compare_and_nothing_more(
    deps: Deps, s3: Storage, place: Place
) -> None:
    made = await copy_of(deps)
    await sending.send(deps)
    for more, may in (((), False), (("s3:ListBucket",), True)):
        with s3.with_rights(place, *WRITING, *more) as writer, contextlib.closing(writer.bucket()) as bucket:
            narrow = replace(deps, bucket=bucket)
            if may:
                assert await claims.compare(narrow) == claims.Compared(1, [])
            else:
                with pytest.raises(OffsiteRefused, match="смотреть список"):
                    await claims.compare(narrow)
        assert (await known(deps, made.name)).offsite_at is not None


def segment_of(begin: bytes) -> io.BytesIO:
    return io.BytesIO(begin.ljust(SEGMENT_BYTES, b"\0"))


async def test_of_the_log_what_is_gone_is_claimed_no_more_and_goes_again(deps: Deps, place: Place) -> None:
    log = Log(deps.folder, "7", SEGMENT_BYTES)
    names = []
    for number in range(3):
        log.keep(f"{number:024}", segment_of(b"segment"), deps.keys.recipients)
        names.append(f"{number:024}.zst.age")
        os.utime(log.folder / names[-1], (number, number))
    async with deps.db.begin("test") as session:
        now = deps.clock()
        await store.note_stream(session, "7", safe_until=now, has_offsite=True, trouble=None, now=now)
    deps.spool.mkdir()
    assert deps.bucket is not None
    mirror = Mirror(deps.bucket, log, deps.spool)
    mirror.follow()
    before = place.objects()
    assert (await claims.compare(deps)).gone == []
    with contextlib.closing(place.storage.client()) as owner:
        owner.delete_object(Bucket=place.name, Key=f"2getpro/wal/7/{names[1]}")
        owner.put_object(Bucket=place.name, Key=f"2getpro/wal/7/{names[2]}", Body=b"short")
    assert (await claims.compare(deps)).gone == [f"журнал: пропало файлов 2, первый {names[1]}"]
    async with deps.db.read("test") as session:
        flows = await store.newest_stream(session)
    assert flows is not None
    assert flows.offsite_until == datetime.fromtimestamp(0, UTC)  # when the one before had come
    mirror.follow()
    assert place.objects() == before


KILLS = 20


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_killed_while_it_sends_and_deletes_the_catalogue_claims_nothing_that_is_not_there(
    deps: Deps, shop: Shop, place: Place, figure: Callable[[str], None]
) -> None:
    chance = random.Random(5)
    claims = 0
    for _ in range(KILLS):
        _ship_and_be_killed(deps, place, after=chance.uniform(0.0, 1.5))
        claims += await _require_claims_true(deps, place)
    shop.clock.forward(days=400)
    made = await service.create(deps, asked_by="olga")
    await sending.send(deps)
    await service.prune(deps)
    assert place.objects() == lying(deps, made)
    assert place.unfinished() == []
    assert claims
    figure(f"{KILLS} kills while sending, {claims} claims looked at")


def _ship_and_be_killed(deps: Deps, place: Place, *, after: float) -> None:
    command = (sys.executable, SHIPPING, deps.database_url, deps.folder.parent, place.storage.url, place.name)
    here = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=here) as process:
        assert process.stdout is not None
        begun = (line for line in process.stdout if line == b"begun\n")  # between them it logs
        for _ in range(2):  # a round, and some of the next
            assert next(begun)
        time.sleep(after)
        process.kill()


async def _require_claims_true(deps: Deps, place: Place) -> int:
    """How many copies the catalogue claims to be off-site; each of them is, whole."""
    async with deps.db.read("test") as session:
        claimed = [one for one in await store.newest_first(session) if one.offsite_at is not None]
    objects = place.objects()
    for one in claimed:
        assert one.manifest is not None
        assert sha256(objects[f"copies/{one.name}{ARCHIVE}"]).hexdigest() == one.manifest.sha256
        assert f"copies/{one.name}{MANIFEST}" in objects
    return len(claimed)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_killed_while_it_brings_copies_back_none_is_claimed_that_is_not_whole(
    deps: Deps, shop: Shop, place: Place, figure: Callable[[str], None]
) -> None:
    """A base backup, the one it builds on, and the log after it."""
    full = await copy_of(deps, size=24 * 2**20, physical=physical(None))
    shop.clock.now += timedelta(days=1)
    changes = await copy_of(deps, size=24 * 2**20, physical=physical(full))
    log = Log(deps.folder, "7", SEGMENT_BYTES)
    for number in range(3):
        log.keep(f"{number:024}", segment_of(os.urandom(2**20)), deps.keys.recipients)
    await sending.send(deps)
    deps.spool.mkdir()
    assert deps.bucket is not None
    Mirror(deps.bucket, log, deps.spool).follow()
    before = files_in(deps.folder)
    chance = random.Random(5)
    in_the_middle = 0
    for _ in range(KILLS):
        for name in files_in(deps.folder):
            (deps.folder / name).unlink()
        await service.tidy(deps)
        _bring_and_be_killed(deps, place, changes, after=chance.uniform(0.0, 0.6))
        in_the_middle += bool(list(deps.folder.glob(f"{UNFINISHED}*")))
        assert not list(deps.folder.glob(f"wal/7/{UNFINISHED}*"))
        for one in (full, changes):
            if (await known(deps, one.name)).state is BackupState.MADE:
                archive = archive_of(deps.folder, one.name, one.kind)
                assert archive.read_bytes() == before[archive.name]
        assert files_in(deps.folder).items() <= before.items()
    await fetched(deps, changes.name)
    assert files_in(deps.folder) == before
    assert not list(deps.folder.rglob(f"{UNFINISHED}*"))
    assert {(await known(deps, one.name)).state for one in (full, changes)} == {BackupState.MADE}
    assert in_the_middle
    figure(f"{KILLS} kills while bringing copies back, {in_the_middle} in the middle of a file")


def files_in(folder: Path) -> dict[str, bytes]:
    """What is whole there, of copies and of the log."""
    found = [*folder.glob("2getpro-*"), *folder.glob("wal/*/*.age")]
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in found
        if not path.name.startswith(UNFINISHED)
    }


def _bring_and_be_killed(deps: Deps, place: Place, copy: Backup, *, after: float) -> None:
    command = (sys.executable, BRINGING, deps.database_url, deps.folder, place.storage.url, place.name)
    here = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([*command, copy.name], stdout=subprocess.PIPE, env=here) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        time.sleep(after)
        process.kill()
