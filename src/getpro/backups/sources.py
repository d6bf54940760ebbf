"""Moments of the past that can be brought up as a database: today of a copy, or of whatever has them."""

import contextlib
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql
from pyrage import x25519

from getpro.backups.choice import bases_in
from getpro.backups.errors import Damaged, NotThere, Unsuitable
from getpro.backups.folder import archive_of
from getpro.backups.interruption import ended_by
from getpro.backups.manifest import Manifest
from getpro.backups.plain_role import address_for, given_away
from getpro.backups.progress import OnProgress, growing, silent
from getpro.backups.reach import major_of
from getpro.backups.recovery import Target, chain_for, last_commit, recover
from getpro.backups.restore import decrypt, require_the_same, require_whole, restore, unload
from getpro.backups.room import CLUSTER_BYTES
from getpro.backups.sealed import require_opens
from getpro.backups.signature import Seal
from getpro.backups.wal import Log, position
from getpro.kit.trouble import system_words
from getpro.platform.postgres import Cluster, embedded_major
from getpro.platform.postgres.cluster import DATABASE

SERVER: Final = "postgres"
"""The cluster's folder in the place where a source is brought up; also in a data directory of the product."""
_DUMP: Final = "dump"
_REPLAYED_BYTES: Final = 2**30
"""Of the log that it follows a server keeps so much: its max_wal_size, unless it is told otherwise."""


class Source(ABC):
    """The database as it was at a moment.

    A place is a folder of the caller's, who throws it away or keeps it: see :func:`scratch`. Nothing else
    is written to.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """For people, and for a file or folder that is named after it."""

    @property
    @abstractmethod
    def moment(self) -> datetime:
        """Everything that was committed before it is there."""

    @property
    def knows_moment(self) -> bool:
        """Whether that is known already; if not, it is not earlier than ``moment``."""
        return True

    @property
    @abstractmethod
    def database_bytes(self) -> int:
        """How much room the database takes, as far as is known."""

    @property
    @abstractmethod
    def restored_bytes(self) -> int:
        """How much room :meth:`restored` takes at most, as far as is known."""

    @property
    def archived_bytes(self) -> int:
        """How much room :meth:`archived` takes at most: a cluster, and what it says."""
        return max(self.restored_bytes, 2 * self.database_bytes + CLUSTER_BYTES)

    @property
    @abstractmethod
    def server(self) -> str:
        """The version of the server that it comes from, like ``18.6``."""

    @property
    @abstractmethod
    def revision(self) -> str:
        """The version of its tables; "" where that is not known before it is brought up."""

    @abstractmethod
    def require_key(self) -> None:
        """That the key at hand opens it; raises WrongKey, Damaged and NotThere."""

    @property
    @abstractmethod
    def seal(self) -> Seal:
        """Whether what is told of it is surely ours."""

    @abstractmethod
    def restored(
        self, place: Path, on_progress: OnProgress = silent, *, durable: bool = False
    ) -> AbstractContextManager[tuple[Cluster, str]]:
        """A cluster in ``place / SERVER`` on which the database runs while the block does, and its address.

        After the block the server has stopped, and its data lie there. Raises BackupError and Trouble.
        ``durable`` is for a cluster that is to stay; whatever is planted in another's database may do no more
        there than a plain role.
        """

    @contextlib.contextmanager
    def archived(self, place: Path, on_progress: OnProgress = silent) -> Iterator[Path]:
        """A file in ``place`` from which pg_restore makes the database, while the block runs."""
        file = place / _DUMP
        try:
            with self.restored(place, on_progress) as (cluster, url):
                on_progress("Выгрузка")
                unload(cluster.tools, url, file)
            shutil.rmtree(cluster.directory)
            yield file
        finally:
            file.unlink(missing_ok=True)

    def require_the_same(self, url: str) -> None:  # noqa: B027 -- not every source has counted
        """See that the database at ``url`` is what was to be restored; raises NotRestored."""


class Copy(Source):
    """A copy as ``backup create`` makes it: known by its manifest, opened by a key."""

    def __init__(self, folder: Path, manifest: Manifest, identity: x25519.Identity) -> None:
        self._folder = folder
        self._manifest = manifest
        self._identity = identity

    @property
    def name(self) -> str:
        return self._manifest.name

    @property
    def moment(self) -> datetime:
        return self._manifest.moment

    @property
    def database_bytes(self) -> int:
        return self._manifest.database_bytes

    @property
    def restored_bytes(self) -> int:
        """The database, and beside it the dump in clear while it is read."""
        return 2 * self.database_bytes + CLUSTER_BYTES

    @property
    def archived_bytes(self) -> int:
        return self.database_bytes

    @property
    def server(self) -> str:
        return self._manifest.server

    @property
    def revision(self) -> str:
        return self._manifest.facts.revision

    def require_key(self) -> None:
        _require_key(self._folder, self._manifest, self._identity)

    @property
    def seal(self) -> Seal:
        return self._manifest.seal(self._identity)

    @contextlib.contextmanager
    def restored(
        self, place: Path, on_progress: OnProgress = silent, *, durable: bool = False
    ) -> Iterator[tuple[Cluster, str]]:
        require_new_enough(embedded_major(), self)
        cluster = Cluster(place / SERVER, durable=durable)
        try:
            with self.archived(place, on_progress) as file:
                on_progress("Восстановление")
                cluster.start()
                url = cluster.url() if durable else given_away(cluster, file)
                with ended_by(cluster.kill):
                    restore(
                        file,
                        cluster.tools,
                        url,
                        with_comments=durable,
                        on_bytes=growing(on_progress, "Восстановление", self.database_bytes),
                    )
            yield cluster, url
        finally:
            cluster.stop()

    @contextlib.contextmanager
    def archived(self, place: Path, on_progress: OnProgress = silent) -> Iterator[Path]:
        on_progress("Контрольная сумма")
        closed = require_whole(self._folder, self._manifest, self._identity)
        file = place / _DUMP
        try:
            on_progress("Расшифровка")
            decrypt(
                closed,
                self._identity,
                file,
                on_bytes=growing(on_progress, "Расшифровка", self._manifest.file_bytes),
            )
            yield file
        finally:
            file.unlink(missing_ok=True)

    def require_the_same(self, url: str) -> None:
        require_the_same(self._manifest.facts, url)


class Minute(Source):
    """A place in the log after base backups: any minute of the window, or right before a transaction."""

    def __init__(
        self, folder: Path, chain: Sequence[Manifest], target: Target, identity: x25519.Identity
    ) -> None:
        """``chain`` is a full base backup and what builds on it, oldest first, made before the target."""
        physical = chain[-1].physical
        assert physical is not None
        self._folder = folder
        self._chain = chain
        self._physical = physical
        self._target = target
        self._identity = identity
        self._reached: datetime | None = None

    @property
    def name(self) -> str:
        if self._target.before_transaction is not None:
            return f"2getpro-before-transaction-{self._target.before_transaction}"
        if self._target == Target():
            return f"{self._chain[-1].name}-and-log"
        return f"2getpro-{self._asked:%Y%m%d-%H%M%S}"

    @property
    def base(self) -> Manifest:
        """The base backup from which the log leads there."""
        return self._chain[-1]

    @property
    def _asked(self) -> datetime:
        """Before a transaction: the moment of the base backup, which is surely earlier."""
        return self._target.at or self._chain[-1].moment

    @property
    def moment(self) -> datetime:
        """What was asked for; brought up, of the last that was committed: the log may end before."""
        if self._reached is None:
            return self._asked
        if self._target.at is not None:
            return min(self._target.at, self._reached)
        return self._reached if self._target == Target() else self._asked

    @property
    def knows_moment(self) -> bool:
        """The end of the log, and a transaction in it, have no time until it is read."""
        return self._target.at is not None or (self._reached is not None and self._target == Target())

    @property
    def database_bytes(self) -> int:
        return self._chain[-1].database_bytes

    @property
    def restored_bytes(self) -> int:
        """First what is unpacked of the chain, and what is put together from it; then all log after it."""
        unpacked = sum(one.physical.files_bytes for one in self._chain if one.physical is not None)
        together = self.database_bytes if len(self._chain) > 1 else 0
        files = max(unpacked, self._chain[0].database_bytes) + together
        log = Log(self._folder, self._physical.system, self._physical.segment_bytes)
        written = log.bytes_after(position(self._physical.start))
        return max(files, self.database_bytes + written + min(written, _REPLAYED_BYTES)) + CLUSTER_BYTES

    @property
    def server(self) -> str:
        return self._chain[-1].server

    @property
    def revision(self) -> str:
        return self._chain[-1].facts.revision

    def require_key(self) -> None:
        for one in self._chain:
            _require_key(self._folder, one, self._identity)

    @property
    def seal(self) -> Seal:
        return max((one.seal(self._identity) for one in self._chain), key=lambda seal: seal.value)

    @contextlib.contextmanager
    def restored(
        self, place: Path, on_progress: OnProgress = silent, *, durable: bool = False
    ) -> Iterator[tuple[Cluster, str]]:
        cluster = recover(
            self._folder,
            self._chain,
            self._target,
            self._identity,
            place,
            durable=durable,
            on_progress=on_progress,
        )
        self._reached = last_commit(cluster)
        try:
            _call_as_ours(cluster, self._physical.database)
            yield cluster, cluster.url() if durable else address_for(cluster, self._physical.role)
        finally:
            cluster.stop()

    def require_the_same(self, url: str) -> None:
        """Only where it was counted can it be compared."""
        if self._target.lsn == self._physical.counted_at:
            require_the_same(self._chain[-1].facts, url)


def _require_key(folder: Path, manifest: Manifest, identity: x25519.Identity) -> None:
    path = archive_of(folder, manifest.name, manifest.kind)
    try:
        require_opens(path, identity)
    except FileNotFoundError as error:
        raise NotThere(f"{path}: файла нет") from error
    except OSError as error:
        raise Damaged(f"{path}: {system_words(error)}") from error


def _call_as_ours(cluster: Cluster, name: str) -> None:
    """A cluster of ours has the shop's database under one name; another server may have had another.

    And that one for something else, which then steps aside.
    """
    if name == DATABASE:
        return
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        for old, new in ((DATABASE, f"{DATABASE}_other"), (name, DATABASE)):
            found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [old]).fetchone()
            if found is not None:
                connection.execute(
                    sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new))
                )


def proven_as(folder: Path, chain: Sequence[Manifest], identity: x25519.Identity) -> Source:
    """The last of ``chain`` as a source: a dump, or a base backup where it was counted."""
    physical = chain[-1].physical
    if physical is None:
        return Copy(folder, chain[-1], identity)
    return Minute(folder, chain, Target(lsn=physical.counted_at), identity)


def minute_of(folder: Path, target: Target, identity: x25519.Identity) -> Minute:
    """By the nearest base backup before the target; raises NotRestored where there is none, and Damaged."""
    chain = chain_for(folder, bases_in(folder, identity), target, identity)
    return Minute(folder, chain, target, identity)


def require_new_enough(major: int, source: Source) -> None:
    """That a server of this version can take what another one had; raises Unsuitable."""
    if major < major_of(source.server):
        raise Unsuitable(f"сервер PostgreSQL {major} старше того, с которого копия: {source.server}")
