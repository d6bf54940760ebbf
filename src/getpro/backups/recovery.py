"""Out of base backups and the log into a cluster of its own, as it was at a moment."""

import contextlib
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql
from pyrage import x25519

from getpro.backups.errors import Damaged, LogBroken, NoTransaction, NotRestored
from getpro.backups.folder import PASSED_THROUGH, Sink
from getpro.backups.interruption import ended_by, go_on
from getpro.backups.manifest import Manifest, Physical
from getpro.backups.progress import OnStep, silent
from getpro.backups.proof import proof_of
from getpro.backups.reach import last_commit_before, log_of, major_of
from getpro.backups.restore import require_whole
from getpro.backups.sealed import unseal
from getpro.backups.signature import Seal
from getpro.backups.wal import Log, Way, position, words
from getpro.kit.trouble import Trouble
from getpro.platform.postgres import Cluster
from getpro.platform.postgres.cluster import SUPERUSER
from getpro.platform.postgres.tools import tools_of

_START_SECONDS: Final = 6 * 3600
"""A day of a busy shop's log is followed within minutes; a week of it may take hours."""
_LAST_COMMIT: Final = re.compile(r"last completed transaction was at log time (\S+ \S+)$")
_LINKS_SINCE: Final = 18
"""pg_combinebackup can take files over instead of copying them."""
_ONLY_US: Final = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
_EVERYBODY: Final = "".join(
    f"host {whatever} all 127.0.0.1/32 scram-sha-256\n" for whatever in ("all", "replication")
)
"""Whoever takes the log, too: "all" is databases alone."""


@dataclass(frozen=True, slots=True)
class Target:
    """Up to where the log is followed; to its end where nothing is said."""

    at: datetime | None = None
    """All that was committed up to this moment."""
    before_transaction: int | None = None
    """All that was committed before this one, which is not."""
    lsn: str | None = None
    """All that stands before this place in the log."""

    def settings(self) -> dict[str, str]:
        """As PostgreSQL takes it."""
        if self.at is not None:
            return {"recovery_target_time": f"{self.at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00"}
        if self.before_transaction is not None:
            return {
                "recovery_target_xid": str(self.before_transaction),
                "recovery_target_inclusive": "off",
            }
        if self.lsn is not None:
            return {"recovery_target_lsn": self.lsn, "recovery_target_inclusive": "off"}
        return {}


def chain_for(
    folder: Path, bases: Iterable[Manifest], target: Target, identity: x25519.Identity
) -> list[Manifest]:
    """A full base backup and what builds on it, oldest first, from which the target is nearest.

    One that is not surely ours, or whose trial has failed, only where no other leads there. Raises
    NotRestored where none does, and Damaged.
    """
    by_name = {base.name: base for base in bases}
    newest_first = sorted(by_name.values(), key=lambda base: base.moment, reverse=True)
    for base in sorted(newest_first, key=lambda base: _doubts(folder, base, identity)):
        chain = down_to_full(base, by_name)
        if chain is None or base.physical is None or not _is_before(base.physical, target):
            continue
        line = _line_to(target, base.physical, log_of(folder, base.physical), identity)
        if line.passes(base.physical.timeline, position(base.physical.end)):
            return chain
    raise NotRestored("такой давней базовой копии нет: смотрите 2getpro backup list")


def _doubts(folder: Path, base: Manifest, identity: x25519.Identity) -> tuple[bool, bool]:
    """Whether it may not be ours, and whether its trial has failed: what others may write counts less."""
    proof = proof_of(folder, base, identity)
    return base.seal(identity) is not Seal.OURS, proof is not None and not proof.is_good


def _line_to(target: Target, physical: Physical, log: Log, identity: x25519.Identity) -> Way:
    """The way that is gone to the target: a place in the log is one of the base backup's own timeline.

    A number of a transaction is one of the newest: another may have used it, too.
    """
    if target.lsn is not None:
        return log.line(physical.timeline, identity)
    return log.living(target.at, identity)


def chains_of(bases: Iterable[Manifest]) -> list[list[Manifest]]:
    """Each base backup after those that it builds on, oldest first; none of what lacks one of these."""
    by_name = {base.name: base for base in bases}
    return [chain for base in by_name.values() if (chain := down_to_full(base, by_name)) is not None]


def down_to_full(base: Manifest, by_name: Mapping[str, Manifest]) -> list[Manifest] | None:
    """``base`` after those that it builds on, oldest first; None where one of them is missing."""
    chain = [base]
    while (physical := chain[0].physical) is not None and physical.parent is not None:
        if (parent := by_name.get(physical.parent)) is None or parent in chain:
            return None
        chain.insert(0, parent)
    return chain


def _is_before(physical: Physical, target: Target) -> bool:
    if target.at is not None:
        return datetime.fromisoformat(physical.usable_from) <= target.at
    if target.before_transaction is not None:
        return physical.next_transaction <= target.before_transaction
    return target.lsn is None or position(physical.end) <= position(target.lsn)


def recover(
    folder: Path,
    chain: Sequence[Manifest],
    target: Target,
    identity: x25519.Identity,
    place: Path,
    *,
    durable: bool = True,
    on_progress: OnStep = silent,
) -> Cluster:
    """Bring a cluster up in ``place`` from ``chain``, a full base backup and what builds on it, oldest first.

    It runs, has a password of its own, and takes part in nothing of the old one's. Raises BackupError where
    the copies or the log do not reach, and Trouble where the server does not start.
    """
    last = chain[-1].physical
    assert last is not None
    log = log_of(folder, last)
    line, start = _line_to(target, last, log, identity), position(last.start)
    needed = max(position(last.end), position(target.lsn or "0/0"))
    if (there := log.until(start, line)) < needed:
        raise NotRestored(f"в журнале пропуск: он есть до {words(there)}, а нужен до {words(needed)}")
    major = major_of(chain[-1].server)
    gap = None if log.is_unbroken(start, line) else f"в журнале пропуск после {words(there)}"
    if gap is not None and target == Target():
        raise LogBroken(gap, last_commit_before(there, log, line, identity, major))
    place.mkdir(parents=True, exist_ok=True, mode=PASSED_THROUGH)
    cluster = Cluster(place / "postgres", durable=durable, tools=tools_of(major))
    cluster.folder(cluster.directory)
    try:
        on_progress("Файлы")
        _put_files(folder, chain, identity, cluster)
        on_progress("Журнал")
        spool = cluster.folder(cluster.directory / "log")
        out = log.write_out(start, line, spool, identity)
        if out.broken_at is not None:
            if out.broken_at < needed:
                raise Damaged(out.why)
            gap = out.why
            if target == Target():
                raise LogBroken(gap, last_commit_before(out.broken_at, log, line, identity, major))
        for segment in out.files:
            go_on()
            cluster.own(segment)
        on_progress("До нужной минуты")
        with ended_by(cluster.kill):
            _follow(cluster, spool, target, line.timeline, last.superuser, gap=gap)
        shutil.rmtree(spool)
        go_on()
        cluster.start()
    except BaseException:
        cluster.stop()
        raise
    return cluster


def _put_files(folder: Path, chain: Sequence[Manifest], identity: x25519.Identity, cluster: Cluster) -> None:
    """The cluster's data directory, as the last of the chain says it."""
    parts = [cluster.folder(cluster.directory / f"part{number}") for number in range(len(chain))]
    for manifest, part in zip(chain, parts, strict=True):
        _unpack(require_whole(folder, manifest, identity), identity, part, cluster)
    if len(parts) == 1:
        parts[0].rename(cluster.data)
        return
    by_link = ["--link"] if major_of(chain[-1].server) >= _LINKS_SINCE else []
    cluster.run("pg_combinebackup", *by_link, f"--output={cluster.data}", *map(str, parts))
    for part in parts:
        shutil.rmtree(part)


def _unpack(archive: Path, identity: x25519.Identity, part: Path, cluster: Cluster) -> None:
    """By the system's own tar, which is quick, and as the server's user, whose files they are to be."""
    with tempfile.TemporaryFile() as told:  # a pipe that nobody reads meanwhile would hold tar up
        with subprocess.Popen(  # noqa: S603 -- constants, and a path of ours
            ["tar", "-x", "-C", str(part)],  # noqa: S607 -- the system's
            stdin=subprocess.PIPE,
            stderr=told,
            cwd="/",
            **cluster.as_user(),
        ) as tar:
            assert tar.stdin is not None
            with ended_by(tar.kill), contextlib.suppress(BrokenPipeError):  # tar says why
                unseal(archive, identity, Sink(tar.stdin))
            with contextlib.suppress(BrokenPipeError):
                tar.stdin.close()
        told.seek(0)
        complaints = told.read().decode(errors="replace").strip().splitlines()
    if tar.returncode != 0:
        raise NotRestored(f"tar: {complaints[-1] if complaints else tar.returncode}")


def _follow(
    cluster: Cluster, spool: Path, target: Target, timeline: int, superuser: str, *, gap: str | None
) -> None:
    """Start the server, let it follow the log to the target, and give it a password of its own.

    It meets nobody before that: who it listens to then comes through a folder that is closed to others.
    """
    for name in ("postgresql.conf", "postgresql.auto.conf", "pg_ident.conf", "recovery.signal"):
        cluster.write(cluster.data / name, "")
    cluster.write(cluster.data / "pg_hba.conf", _ONLY_US)
    password = secrets.token_urlsafe(24)
    cluster.write(cluster.directory / "password", password)
    with _private_folder(cluster) as sockets:
        settings = {
            "restore_command": f'cp "{str(spool).replace("%", "%%")}/%f" "%p"',
            "unix_socket_directories": str(sockets),
            "hot_standby": "off",
            "recovery_target_timeline": str(timeline),
            "recovery_target_action": "promote",
            "archive_mode": "off",
        }
        try:
            cluster.launch(settings | target.settings(), seconds=_START_SECONDS)
        except Trouble:
            if target.lsn is not None or not _ended_before_target(cluster):
                raise
            if gap is not None:
                raise LogBroken(gap, last_commit(cluster)) from None
            if target.before_transaction is not None:
                raise NoTransaction(
                    f"транзакции {target.before_transaction} в журнале нет до самого его конца"
                ) from None
            # Nothing is known to have been written between the end of the log and that moment.
            cluster.launch(settings, seconds=_START_SECONDS)
        where = {"host": str(sockets), "port": cluster.port, "dbname": "postgres", "user": superuser}
        with psycopg.connect(**where, autocommit=True) as connection:  # type: ignore[arg-type] # a dict of str
            _give_password(connection, password)
            cluster.write(cluster.data / "pg_hba.conf", _EVERYBODY)
            connection.execute("SELECT pg_reload_conf()")


def _give_password(connection: "psycopg.Connection[Any]", password: str) -> None:
    found = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [SUPERUSER]).fetchone()
    verb = "CREATE" if found is None else "ALTER"
    connection.execute(
        sql.SQL(verb + " ROLE {} SUPERUSER LOGIN PASSWORD {}").format(
            sql.Identifier(SUPERUSER), sql.Literal(password)
        )
    )


def last_commit(cluster: Cluster) -> datetime | None:
    """When what was committed last was, as the server has told while it followed the log; None: unknown."""
    told = [_LAST_COMMIT.search(line) for line in cluster.log_path.read_text(errors="replace").splitlines()]
    found = [match[1] for match in told if match is not None]
    return datetime.fromisoformat(found[-1]) if found else None


def _ended_before_target(cluster: Cluster) -> bool:
    said = cluster.log_path.read_text(errors="replace").splitlines()
    return any("recovery ended before configured recovery target" in line for line in said[-10:])


@contextlib.contextmanager
def _private_folder(cluster: Cluster) -> Iterator[Path]:
    """A short path: the name of a socket has room for a hundred characters."""
    with tempfile.TemporaryDirectory(prefix="getpro-") as parent:
        Path(parent).chmod(PASSED_THROUGH)
        yield cluster.folder(Path(parent) / "s")
