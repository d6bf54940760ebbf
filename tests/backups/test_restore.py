"""Moments of the past: brought up in a new place, over the living database, and in part."""

import contextlib
import csv
import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from pyrage import x25519

from folders import open_up
from getpro.backups import live, places, plan, room, tables, traces
from getpro.backups.choice import Choice, choose, dumps_in
from getpro.backups.errors import Busy, Damaged, InUse, NoRoom, NotRestored, NotThere, Unsuitable, WrongKey
from getpro.backups.folder import ARCHIVE, MANIFEST, PROOF, held
from getpro.backups.manifest import Manifest, Physical
from getpro.backups.progress import OnProgress, silent
from getpro.backups.proof import note
from getpro.backups.recovery import Target, chain_for
from getpro.backups.restore import require_whole
from getpro.backups.signature import Seal
from getpro.backups.sources import SERVER, Copy, Minute, Source
from getpro.backups.wal import Log, words
from getpro.kit.money import Money
from getpro.platform.database import Database
from getpro.platform.postgres import Cluster
from getpro.platform.postgres.address import name_of
from past import DAVE, Past, customers, facts
from shop import NOW, rub

LATER = NOW + timedelta(days=1)
THEN = {101: "Alice", 102: "Bob"}
GONE_ON = {101: "Alicia", 102: "Bob", DAVE: "Dave"}


class Moment(Source):
    """Of something that can only be brought up as a cluster, such as base backups and the log after them."""

    def __init__(self, copy: Copy) -> None:
        self._copy = copy

    @property
    def name(self) -> str:
        return "moment"

    @property
    def moment(self) -> datetime:
        return self._copy.moment

    def require_key(self) -> None:
        self._copy.require_key()

    @property
    def seal(self) -> Seal:
        return self._copy.seal

    @property
    def database_bytes(self) -> int:
        return self._copy.database_bytes

    @property
    def restored_bytes(self) -> int:
        return self._copy.restored_bytes

    @property
    def server(self) -> str:
        return self._copy.server

    @property
    def revision(self) -> str:
        return ""

    def restored(
        self, place: Path, on_progress: OnProgress = silent, *, durable: bool = False
    ) -> AbstractContextManager[tuple[Cluster, str]]:
        return self._copy.restored(place, on_progress, durable=durable)


def scratch(tmp_path: Path) -> Path:
    place = open_up(tmp_path) / "scratch"
    place.mkdir(mode=0o711, exist_ok=True)
    return place


def sibling(url: str, name: str) -> str:
    return f"{url.rpartition('/')[0]}/{name}"


def databases(url: str) -> set[str]:
    """Those on the server that were made for the living one."""
    with psycopg.connect(sibling(url, "postgres")) as connection:
        rows = connection.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [name_of(url)]
        )
        return {row[0] for row in rows}


def test_a_new_place_is_a_data_directory_with_everything(past: Past, tmp_path: Path) -> None:
    directory = open_up(tmp_path) / "restored"
    left = directory / ".making-restored" / SERVER
    left.mkdir(parents=True)  # by who was killed
    shares: list[float] = []
    steps: list[str] = []

    def told(step: str, share: float | None = None, /) -> None:
        steps.append(step) if share is None else shares.append(share)

    places.into_new_place(past.source, directory, told)
    assert {path.name for path in directory.iterdir()} == {SERVER, ".lock"}
    assert steps[:3] == ["Контрольная сумма", "Расшифровка", "Восстановление"]
    assert shares
    assert all(0 <= share <= 1 for share in shares)
    with Cluster.running(directory / SERVER) as url:
        assert facts(url) == past.facts
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) > 0 FROM synthetic.plans").fetchone() == (True,)
            said = "SELECT count(col_description('users'::regclass, attnum)) > 0 FROM pg_attribute"
            assert connection.execute(said.encode()).fetchone() == (True,)
    with pytest.raises(Unsuitable, match="там уже есть база"):
        places.into_new_place(past.source, directory)


def test_a_new_place_that_fails_leaves_nothing_there(past: Past, copies: Path, tmp_path: Path) -> None:
    stranger = x25519.Identity.generate()
    with pytest.raises(WrongKey):
        places.into_new_place(Copy(copies, past.manifest, stranger), tmp_path / "restored")
    assert not (tmp_path / "restored").exists()
    (copies / f"{past.manifest.name}{ARCHIVE}").write_bytes(b"rubbish")
    with pytest.raises(Damaged, match="не те байты"):
        places.into_new_place(Copy(copies, past.manifest, past.keys.identity), tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


def test_two_do_not_restore_into_one_place(past: Past, tmp_path: Path) -> None:
    with held(tmp_path / "restored"), pytest.raises(Busy):
        places.into_new_place(past.source, tmp_path / "restored")


def test_over_the_living_one_and_back_and_the_old_one_dropped(
    past: Past, living: str, tmp_path: Path
) -> None:
    """By a source that is no dump, and with a stranger who is connected."""
    name = name_of(living)
    marked: list[tuple[str, datetime]] = []

    def mark(url: str, moment: datetime) -> None:
        marked.append((name_of(url), moment))
        assert customers(living) == (GONE_ON if len(marked) == 1 else THEN)  # not swapped yet

    with psycopg.connect(living, autocommit=True) as inside:
        inside.execute(f"ALTER DATABASE \"{name}\" SET timezone TO 'Asia/Tomsk'")
        inside.execute(f'ALTER DATABASE "{name}" SET search_path TO "$user", public')
    with psycopg.connect(living, application_name="exporter", autocommit=True) as stranger:
        kept = live.over_live(Moment(past.source), living, scratch(tmp_path), now=LATER, mark=mark)
        with pytest.raises(psycopg.OperationalError):
            stranger.execute("SELECT 1")
    assert kept == f"{name}_before_20260302_120000"
    assert databases(living) == {name, kept}
    assert customers(living) == THEN
    assert facts(living) == past.facts
    assert customers(sibling(living, kept)) == GONE_ON
    with psycopg.connect(living) as inside:
        assert inside.execute("SHOW timezone").fetchone() == ("Asia/Tomsk",)
        assert inside.execute("SHOW search_path").fetchone() == ('"$user", public',)
        assert inside.execute("SELECT count(*) > 0 FROM synthetic.plans").fetchone() == (True,)
    assert not list(scratch(tmp_path).iterdir())
    assert [(one.name, one.until) for one in live.kept(living)] == [(kept, LATER)]

    come, leaving = live.back(living, now=LATER + timedelta(hours=1), mark=mark)
    assert (come, customers(living)) == (kept, GONE_ON)
    assert marked == [(f"{name}_restoring", past.source.moment), (kept, LATER)]
    assert customers(sibling(living, leaving)) == THEN
    for stranger_to_us in ("postgres", past.database, name):
        with pytest.raises(NotThere):
            live.drop(living, stranger_to_us)
    live.drop(living, leaving)
    assert databases(living) == {name}
    with pytest.raises(NotThere, match="прежней базы нет"):
        live.back(living, now=LATER)


def test_where_nothing_lives_any_more_it_comes_alone(past: Past, living: str, tmp_path: Path) -> None:
    name = name_of(living)
    with psycopg.connect(sibling(living, "postgres"), autocommit=True) as server:
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    assert live.over_live(past.source, living, scratch(tmp_path), now=LATER) == ""
    assert databases(living) == {name}
    assert facts(living) == past.facts


WORKER = "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '{}') RETURNING id"
JOB = (
    "INSERT INTO procrastinate_jobs (queue_name, task_name, status, worker_id)"
    " VALUES ('money', 'settle', 'doing', %s)"
)


async def test_while_the_product_is_connected_it_refuses_and_changes_nothing(
    past: Past, living: str, tmp_path: Path
) -> None:
    db = Database(living, pool_size=1)
    async with db.read("test"):
        with pytest.raises(InUse, match="соединений 1"):
            live.over_live(past.source, living, scratch(tmp_path), now=LATER)
        with pytest.raises(InUse):
            live.require_ready(living, past.source)
    await db.close()
    assert databases(living) == {name_of(living)}
    assert customers(living) == GONE_ON


@pytest.mark.parametrize(
    ("heard", "doing", "said"),
    [("3 seconds", False, "работы отзывались"), ("3 seconds", True, "не закончено работ 1")],
)
def test_while_a_worker_lives_it_refuses(
    past: Past, living: str, tmp_path: Path, heard: str, said: str, *, doing: bool
) -> None:
    with psycopg.connect(living, autocommit=True) as inside:
        worker = inside.execute(WORKER.format(heard).encode()).fetchone()
        if doing:
            inside.execute(JOB, worker)
    with pytest.raises(InUse, match=said):
        live.over_live(past.source, living, scratch(tmp_path), now=LATER)
    with psycopg.connect(living, autocommit=True) as inside:
        inside.execute("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'")
    live.require_ready(living, past.source)  # it was killed: nobody is at its jobs


def test_a_product_that_comes_meanwhile_keeps_the_living_one(past: Past, living: str, tmp_path: Path) -> None:
    with contextlib.ExitStack() as product:

        def told(step: str, _: float | None = None, /) -> None:
            if step == "Замена":
                product.enter_context(psycopg.connect(living, application_name="2getpro"))

        with pytest.raises(InUse, match="соединений 1"):
            live.over_live(past.source, living, scratch(tmp_path), now=LATER, on_progress=told)
    assert databases(living) == {name_of(living)}
    assert customers(living) == GONE_ON


def test_rows_that_are_missing_never_come_to_live(past: Past, living: str, tmp_path: Path) -> None:
    rows = past.facts.rows | {"users": 3}
    told_otherwise = replace(past.manifest, facts=replace(past.facts, rows=rows))
    source = Copy(past.folder, told_otherwise.signed(past.keys.identity), past.keys.identity)
    with pytest.raises(NotRestored, match="users: строк 2 вместо 3"):
        live.over_live(source, living, scratch(tmp_path), now=LATER)
    assert databases(living) == {name_of(living)}


def test_a_role_that_may_not_is_told_before_anything_is_done(past: Past, living: str, tmp_path: Path) -> None:
    with psycopg.connect(sibling(living, "postgres"), autocommit=True) as server:
        server.execute("CREATE ROLE poor LOGIN PASSWORD 'poor'")
        try:
            poor = re.sub("//[^@]*@", "//poor:poor@", living)
            with pytest.raises(Unsuitable, match="роли poor нельзя создавать базы"):
                live.over_live(past.source, poor, scratch(tmp_path), now=LATER)
            server.execute("ALTER ROLE poor CREATEDB")
            with pytest.raises(Unsuitable, match="принадлежит не роли poor"):
                live.over_live(past.source, poor, scratch(tmp_path), now=LATER)
        finally:
            server.execute("DROP ROLE poor")


def harmed(folder: Path, manifest: Manifest, **changes: object) -> Manifest:
    """As an older program would have written it: without a signature."""
    changed = asdict(manifest) | changes | {"signature": ""}
    (folder / f"{manifest.name}{MANIFEST}").write_text(json.dumps(changed), encoding="utf-8")
    return next(one for one in dumps_in(folder) if one.name == manifest.name)


def test_a_server_or_a_program_older_than_the_copy_is_told(
    past: Past, living: str, copies: Path, tmp_path: Path
) -> None:
    newer = Copy(copies, harmed(copies, past.manifest, server="99.1"), past.keys.identity)
    with pytest.raises(Unsuitable, match=r"старше того, с которого копия: 99\.1"):
        live.over_live(newer, living, scratch(tmp_path), now=LATER)
    facts_of_newer = asdict(replace(past.facts, revision="9999"))
    unknown = Copy(copies, harmed(copies, past.manifest, facts=facts_of_newer), past.keys.identity)
    with pytest.raises(Unsuitable, match="программой новее этой"):
        plan.require_known(unknown)
    plan.require_known(past.source)


def test_copies_are_known_by_their_manifests_alone(past: Past, copies: Path) -> None:
    later = replace(past.manifest, name="2getpro-20260302-000000", made_at=LATER.isoformat())
    later.signed(past.keys.identity).write(copies)
    (copies / f"half{MANIFEST}").write_text("{", encoding="utf-8")
    assert [one.name for one in dumps_in(copies)] == [later.name, past.manifest.name]
    assert chosen(past, copies).manifest.name == later.name
    with pytest.raises(NotThere, match="копии no-such нет"):
        chosen(past, copies, "no-such")
    with pytest.raises(NotThere, match="копий нет"):
        chosen(past, copies / "nowhere")


def chosen(past: Past, folder: Path, name: str | None = None) -> Choice:
    return choose(folder, name, past.keys.identity, now=LATER)


def test_an_old_copy_under_a_newer_name_and_moment_is_not_taken_for_a_new_one(
    past: Past, copies: Path
) -> None:
    newer = replace(past.manifest, name="2getpro-20260302-000000", made_at=LATER.isoformat())
    other = newer.signed(x25519.Identity.generate())
    for forged, why in [
        (newer, "печать не сходится"),
        (replace(newer, signature=""), "без печати"),
        (other, "печать другого ключа"),
    ]:
        forged.write(copies)
        choice = chosen(past, copies)
        assert (choice.manifest, choice.seal) == (past.manifest, Seal.OURS)
        assert [why in one for one in choice.passed_over] == [True], choice.passed_over
    assert chosen(past, copies, newer.name).seal is Seal.OTHER
    newer.write(copies)
    with pytest.raises(Damaged, match="печать не сходится"):
        chosen(past, copies, newer.name)
    with pytest.raises(Damaged, match="печать не сходится"):
        require_whole(copies, newer, past.keys.identity)


def test_copies_of_before_there_were_seals_are_taken_and_said_to_have_none(past: Past, copies: Path) -> None:
    older = replace(past.manifest, signature="")
    older.write(copies)
    choice = chosen(past, copies)
    assert (choice.manifest, choice.seal, choice.passed_over) == (older, Seal.NONE, ())
    require_whole(copies, older, past.keys.identity)
    later = replace(older, name="2getpro-20990101-000000", made_at="2099-01-01T00:00:00+00:00")
    later.write(copies)
    choice = chosen(past, copies)
    assert choice.manifest == older
    assert ["её время ещё не наступило" in one for one in choice.passed_over] == [True]


def copies_of_days(past: Past, folder: Path, *days: int) -> list[Manifest]:
    made = [
        replace(
            past.manifest, name=f"2getpro-2026030{day}-000000", made_at=f"2026-03-0{day}T00:00:00+00:00"
        ).signed(past.keys.identity)
        for day in days
    ]
    for one in made:
        one.write(folder)
    return made


def test_of_copies_whose_newest_has_failed_its_trial_the_newest_good_one_is_taken(
    past: Past, tmp_path: Path
) -> None:
    identity, now = past.keys.identity, NOW + timedelta(days=9)
    good, untried, newer = copies_of_days(past, tmp_path, 1, 2, 3)

    def taken() -> tuple[Manifest, tuple[str, ...]]:
        choice = choose(tmp_path, None, identity, now=now)
        return choice.manifest, choice.passed_over

    note(tmp_path, good, None, identity, now=NOW)
    assert taken() == (newer, ())
    note(tmp_path, newer, "pg_amcheck: нет", identity, now=NOW)
    assert taken() == (
        good,
        (
            "2getpro-20260303-000000: её проба 01.03.2026 не прошла: pg_amcheck: нет",
            "2getpro-20260302-000000: её ещё не пробовали, а проба новейшей не прошла",
        ),
    )
    (tmp_path / f"{good.name}{PROOF}").unlink()
    assert taken()[0] == untried
    note(tmp_path, newer, "не нами сказано", x25519.Identity.generate(), now=NOW)
    assert taken() == (newer, ())


def test_a_base_backup_whose_trial_has_failed_leads_nowhere_while_another_does(
    past: Past, tmp_path: Path
) -> None:
    identity, target = past.keys.identity, Target(at=NOW + timedelta(days=9))
    older, newer = (base_of(one, None, files=1) for one in copies_of_days(past, tmp_path, 1, 2))

    def leading() -> list[Manifest]:
        return chain_for(tmp_path, [older, newer], target, identity)

    assert leading() == [newer]
    note(tmp_path, newer, "испорчена", identity, now=NOW)
    assert leading() == [older]
    note(tmp_path, older, "испорчена", identity, now=NOW)
    assert leading() == [newer]


def test_a_signature_holds_through_the_catalogue_and_a_program_that_says_more(past: Past) -> None:
    said = json.loads(json.dumps(asdict(past.manifest)))
    assert Manifest.of(said).seal(past.keys.identity) is Seal.OURS
    del said["form"], said["physical"]
    assert Manifest.of(said).seal(past.keys.identity) is Seal.OURS
    assert Manifest.of(said).seal(None) is Seal.OTHER
    for field in ("made_at", "sha256", "program"):
        assert Manifest.of(said | {field: "2026-03-01T00:00:00Z"}).seal(past.keys.identity) is Seal.BROKEN


def test_no_room_is_told_before_anything_is_written(
    past: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = past.source.restored_bytes
    assert needed > 2 * past.manifest.database_bytes
    assert past.source.archived_bytes < needed == Moment(past.source).archived_bytes
    monkeypatch.setattr(room, "free_bytes", lambda _: needed - 1)
    with pytest.raises(NoRoom, match="нужно"):
        room.require_room(tmp_path, needed)
    monkeypatch.setattr(room, "free_bytes", lambda _: needed)
    room.require_room(tmp_path, needed)


MIB = 2**20
SEGMENT = 16 * MIB


def base_of(manifest: Manifest, parent: str | None, *, files: int) -> Manifest:
    """Of a database of a hundred MiB, so much of which changes."""
    lsn = words(2 * SEGMENT)
    physical = Physical(
        "7",
        "2getpro",
        SEGMENT,
        lsn,
        lsn,
        lsn,
        manifest.made_at,
        1,
        "postgres",
        parent,
        files_bytes=files * MIB,
    )
    return replace(manifest, physical=physical, database_bytes=100 * MIB)


@pytest.mark.parametrize(
    ("changes", "segments", "needed"),
    [
        ([], 1, 110),  # the files
        ([], 4, 100 + 2 * 3 * 16),  # the log from the second segment on, written out and followed
        ([5, 7], 4, 110 + 5 + 7 + 100),  # all parts, and what is put together from them
        ([5], 21, 100 + 2 * 20 * 16),
        ([5], 1001, 100 + 1000 * 16 + 1024),  # of much, a server keeps some
    ],
)
def test_a_minute_needs_room_for_what_it_unpacks_and_for_the_log(
    past: Past, tmp_path: Path, changes: list[int], segments: int, needed: int
) -> None:
    log = Log(tmp_path, "7", SEGMENT)
    log.make_folder()
    for number in range(1, segments + 1):
        segment = f"{1:08X}{number // 256:08X}{number % 256:08X}"
        (log.folder / f"{segment}.zst.age").touch()
        (log.folder / f"{segment}.00000000-00000010.zst.age").touch()  # left of it
    chain = [base_of(past.manifest, None, files=110)]
    chain += [base_of(past.manifest, past.manifest.name, files=changed) for changed in changes]
    minute = Minute(tmp_path, chain, Target(), past.keys.identity)
    assert minute.restored_bytes == needed * MIB + room.CLUSTER_BYTES


def test_what_going_back_loses_is_counted(past: Past, living: str) -> None:
    with psycopg.connect(living, autocommit=True) as inside:
        inside.execute(
            "UPDATE payments SET paid_at = %s, created_at = %s WHERE user_id = 101", [LATER, LATER]
        )
    found = plan.since(living, NOW + timedelta(minutes=1))
    assert found is not None
    assert (found.payments, found.money) == (1, rub("199.00"))
    assert (found.refunds, found.money_back, found.customers) == (0, Money(0, "RUB"), 1)
    assert plan.since("postgresql://nobody@127.0.0.1:1/nothing", NOW) is None
    assert plan.seconds_of_last_trial(living) is None


@pytest.fixture
def was(past: Past) -> Iterator[str]:
    """A database of the past that may be written to."""
    name = f"was_{past.database}"
    with psycopg.connect(sibling(f"{past.server}/x", "postgres"), autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{past.database}"')
        yield f"{past.server}/{name}"
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_a_table_is_written_as_it_was_and_compared(was: str, living: str, tmp_path: Path) -> None:
    with psycopg.connect(living, autocommit=True) as inside:
        inside.execute("ALTER TABLE users ADD COLUMN came_later text DEFAULT 'x'")
    before = facts(living)
    file = tmp_path / "users.csv"
    done = tables.export(was, "users", file, living_url=living)
    assert (done.rows, done.differences) == (2, tables.Differences(gone=0, changed=1, added=1))
    assert file.stat().st_mode & 0o777 == 0o600
    lines = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    assert [(line["user_id"], line["first_name"]) for line in lines] == [("101", "Alice"), ("102", "Bob")]
    assert facts(living) == before


def test_only_what_is_otherwise_and_as_lines_of_json(was: str, living: str, tmp_path: Path) -> None:
    awkward = 'x"\\,\n\x7f'
    with psycopg.connect(was, autocommit=True) as inside:
        inside.execute("UPDATE users SET username = %s WHERE user_id = 101", [awkward])
    with psycopg.connect(living, autocommit=True) as inside:
        inside.execute("DELETE FROM payment_moves WHERE move_id = (SELECT min(move_id) FROM payment_moves)")
    file = tmp_path / "users.jsonl"
    assert tables.export(was, "users", file, living_url=living, only_different=True).rows == 1
    [line] = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    assert (line["user_id"], line["first_name"], line["username"]) == (101, "Alice", awkward)


def test_a_table_whose_rows_have_no_key_is_compared_as_a_whole(was: str, living: str, tmp_path: Path) -> None:
    row = "INSERT INTO message_logs (user_id, timestamp, kind) VALUES (101, date_trunc('month', now()), 'x')"
    with psycopg.connect(was, autocommit=True) as inside:
        inside.execute(row.encode())
        inside.execute(row.encode())
    with psycopg.connect(living, autocommit=True) as inside:
        inside.execute(row.encode())
    file = tmp_path / "message_logs.csv"
    done = tables.export(was, "message_logs", file, living_url=living, only_different=True)
    assert (done.rows, done.differences) == (1, tables.Differences(gone=1, changed=None, added=0))


def test_rows_without_a_key_are_written_whole_also_where_the_living_table_has_lost_a_column(
    was: str, living: str, tmp_path: Path
) -> None:
    for url, values in ((was, "(1, 'a', '{}'), (2, 'b', '{}'), (3, 'b', '{}')"), (living, "(0, 'b', '{}')")):
        with psycopg.connect(url, autocommit=True) as inside:
            inside.execute("CREATE TABLE notes (number int, said text, more json)")  # json has no equality
            inside.execute(f"INSERT INTO notes VALUES {values}".encode())  # noqa: S608 -- constants
            if url == living:
                inside.execute("ALTER TABLE notes DROP COLUMN number")
    file = tmp_path / "notes.jsonl"
    done = tables.export(was, "notes", file, living_url=living, only_different=True)
    assert (done.rows, done.differences) == (2, tables.Differences(gone=2, changed=None, added=0))
    written = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert written[0] == {"number": 1, "said": "a", "more": {}}
    assert written[1]["said"] == "b"
    assert written[1]["number"] in {2, 3}


def test_a_table_that_was_not_or_is_not_any_more(was: str, living: str, tmp_path: Path) -> None:
    with pytest.raises(NotThere, match=r"таблицы moneys в копии нет; есть: .*payments"):
        tables.export(was, "moneys", tmp_path / "x.csv", living_url=None)
    with psycopg.connect(living, autocommit=True) as inside:
        inside.execute("DROP TABLE provider_looks")
    done = tables.export(was, "provider_looks", tmp_path / "x.csv", living_url=living)
    assert done.differences is None
    with pytest.raises(NotRestored, match="не с чем сравнить"):
        tables.export(was, "provider_looks", tmp_path / "x.csv", living_url=living, only_different=True)
    dead = "postgresql://nobody@127.0.0.1:1/nothing"
    with pytest.raises(NotRestored, match="живой таблицы не прочитать"):
        tables.export(was, "users", tmp_path / "x.csv", living_url=dead)
    with pytest.raises(NotRestored, match="туда не записать"):
        tables.require_writable(tmp_path / "nowhere" / "x.csv")


def test_a_customer_is_shown_with_everything_and_nobody_else_is(was: str) -> None:
    with psycopg.connect(was, autocommit=True) as inside:
        inside.execute(
            "INSERT INTO audit_log (at, actor, action, subject, reason, outcome) SELECT now(), 'olga', 'x',"
            " subject, 'y', 'z' FROM (SELECT 'p' || payment_id FROM payments UNION SELECT 'u' || user_id"
            " FROM users UNION SELECT 'd' || subscription_id FROM subscriptions) found (subject)"
        )
    found = {rows.table: rows.rows for rows in traces.of_customer(was, 101)}
    counts = {table: len(rows) for table, rows in found.items()}
    assert counts == {
        "users": 1,
        "payments": 1,
        "payment_moves": counts["payment_moves"],
        "subscriptions": 1,
        "subscription_changes": 1,
        "panel_accounts": 1,
        "provider_events": 1,
        "notices": counts["notices"],
        "audit_log": 3,
    }
    assert next(iter(found)) == "users"
    assert {row["user_id"] for rows in found.values() for row in rows if "user_id" in row} == {101}
    with pytest.raises(NotThere, match="клиента 404 тогда ещё не было"):
        traces.of_customer(was, 404)
