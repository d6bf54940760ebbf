"""What a copy holds, written beside it: a trial knows what to find, and a catalogue can be rebuilt."""

import json
import re
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

import psycopg
from psycopg import sql
from pydantic import TypeAdapter
from pyrage import x25519

from getpro.backups.folder import MANIFEST, NAMED, written
from getpro.backups.signature import Seal, seal_of, sign
from getpro.backups.states import BackupKind
from getpro.backups.wal import FIRST_TIMELINE
from getpro.kit.files import open_plain
from getpro.platform.audit import Head

FORM: Final = 2
"""What is older is read, too: it says less."""
_LARGEST: Final = 2**20
"""In bytes; of our tables a description takes some thousands."""
_TABLES: Final = (
    "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace"
    " AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1"
)
_SYSTEM: Final = re.compile(r"\d{1,20}", re.ASCII)
_MONEY: Final = {
    "payments": "SELECT status, sum(amount)::text FROM payments GROUP BY 1",
    "refunds": "SELECT status, sum(amount)::text FROM refunds GROUP BY 1",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is counted in a database: rows by table, and money by table and status, as decimal text."""

    revision: str
    rows: dict[str, int]
    money: dict[str, dict[str, str]]
    audit: str = ""
    """The head of the audit log's chain; "" where an older program did not say."""

    def differences(self, other: "Facts") -> list[str]:
        """What ``other`` has otherwise, in words for an operator; empty where all agrees."""
        schema = [f"версия схемы {other.revision} вместо {self.revision}"]
        rows = [
            f"{table}: строк {_or_none(other.rows.get(table))} вместо {_or_none(self.rows.get(table))}"
            for table in sorted(self.rows.keys() | other.rows.keys())
            if self.rows.get(table) != other.rows.get(table)
        ]
        money = [
            f"{table}: суммы {other.money.get(table)} вместо {self.money.get(table)}"
            for table in sorted(self.money.keys() | other.money.keys())
            if self.money.get(table) != other.money.get(table)
        ]
        chain = [f"журнал решений кончается на {other.audit}, а не на {self.audit}"]
        return [
            *(schema if self.revision != other.revision else []),
            *rows,
            *money,
            *(chain if self.audit and self.audit != other.audit else []),
        ]


@dataclass(frozen=True, slots=True)
class Physical:
    """What a base backup is besides. Places in the log are PostgreSQL's own words, like 0/3000028."""

    system: str
    """The cluster's identifier."""
    database: str
    segment_bytes: int
    start: str
    """From here on the log is needed."""
    end: str
    """Up to here at least: before, the files do not fit together."""
    counted_at: str
    """Where the facts were true."""
    usable_from: str
    """ISO 8601, UTC: from this moment on any can be gone back to."""
    next_transaction: int
    """The lowest number that no transaction had had by then."""
    superuser: str
    """The role that made the cluster."""
    parent: str | None
    """The name of the base backup that it builds on; None for a full one."""
    timeline: int = FIRST_TIMELINE
    """The one of the log that leads on from it; the first where an older program did not say."""
    role: str = ""
    """As whom the shop works; "" where an older program did not say."""
    files_bytes: int = 0
    """Of what it holds, unpacked; 0 where an older program did not say."""


@dataclass(frozen=True, slots=True)
class File:
    """One that lies beside the copy."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """Of one copy. Sizes in bytes; ``sha256`` is of the file as it lies there, in hex."""

    name: str
    made_at: str
    """ISO 8601, UTC: all that was committed before this moment is in it."""
    program: str
    server: str
    database_bytes: int
    file_bytes: int
    sha256: str
    facts: Facts
    physical: Physical | None = None
    """None for a dump."""
    asked_by: str = ""
    """Who wanted it; since form 2."""
    settings: File | None = None
    """What a rebuild reads as ``.env``, closed; since form 2. None: they were not kept."""
    form: int = FORM
    signature: str = ""
    """Of all the rest but ``form``; "" where an older program has written it."""

    def as_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, indent=2)

    @classmethod
    def of(cls, found: dict[str, Any]) -> Self:
        """From JSON, read; raises ValueError for what is none of ours, or of a later form.

        It may come from where others can write, and names files and folders.
        """
        read = TypeAdapter(cls).validate_python(found)
        if read.form > FORM:
            raise ValueError(f"a manifest of form {read.form}")
        if read.moment.tzinfo is None:
            raise ValueError("a moment without its zone")
        physical = read.physical
        names = [read.name, *([physical.parent] if physical is not None and physical.parent else [])]
        if not all(NAMED.fullmatch(name) for name in names):
            raise ValueError("no name of a copy")
        if physical is not None and _SYSTEM.fullmatch(physical.system) is None:
            raise ValueError("no identifier of a cluster")
        return read

    def signed(self, identity: x25519.Identity) -> Self:
        return replace(self, signature=sign(_said(self), identity))

    def seal(self, identity: x25519.Identity | None) -> Seal:
        return seal_of(_said(self), self.signature, identity)

    def write(self, folder: Path) -> None:
        """Beside the copy, after it: what has a manifest is whole."""
        with written(folder / f"{self.name}{MANIFEST}") as beside:
            beside.write(self.as_json().encode())

    @classmethod
    def beside(cls, folder: Path, name: str) -> Self | None:
        """As it was written after the copy, and so a sign that this is whole; None without a readable one."""
        return cls.at(folder / f"{name}{MANIFEST}")

    @classmethod
    def at(cls, path: Path) -> Self | None:
        """None where the file is not there, or is none of ours."""
        found = described(path)
        try:
            return cls.of(found) if isinstance(found, dict) else None
        except ValueError:
            return None

    @property
    def kind(self) -> BackupKind:
        if self.physical is None:
            return BackupKind.DUMP
        return BackupKind.FULL if self.physical.parent is None else BackupKind.INCREMENTAL

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.made_at)


def described(path: Path) -> Any:
    """What JSON beside a copy says; None where there is none that can be read.

    Others may be able to write there: no link, no pipe, and nothing that is too large or too deep.
    """
    try:
        with open_plain(path) as file:
            said = file.read(_LARGEST + 1)
        return json.loads(said) if len(said) <= _LARGEST else None
    except (OSError, ValueError, RecursionError):
        return None


def _said(part: Any) -> Any:
    """What is signed: not what is as by default, for a later program knows of more that may be said."""
    if not is_dataclass(part):
        return part
    told = {field.name: (getattr(part, field.name), field.default) for field in fields(part)}
    return {
        name: _said(value)
        for name, (value, default) in told.items()
        if value != default and name not in {"form", "signature"}
    }


def facts_of(connection: "psycopg.Connection[Any]") -> Facts:
    """Count everything; in a snapshot of the caller's, the whole is of one moment."""
    tables = [row[0] for row in connection.execute(_TABLES).fetchall()]
    rows = {table: _count(connection, table) for table in tables}
    money = {
        table: {row[0]: row[1] for row in connection.execute(query.encode()).fetchall()}
        for table, query in _MONEY.items()
        if table in rows
    }
    revision = ""
    if "alembic_version" in rows:
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        revision = "" if found is None else str(found[0])
    return Facts(revision, rows, money, _chain(connection) if "audit_chain" in rows else "")


def _chain(connection: "psycopg.Connection[Any]") -> str:
    found = connection.execute(
        "SELECT position, encode(digest, 'hex') FROM audit_chain ORDER BY position DESC LIMIT 1"
    ).fetchone()
    return str(Head() if found is None else Head(*found))


def _count(connection: "psycopg.Connection[Any]", table: str) -> int:
    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
    assert row is not None
    return int(row[0])


def _or_none(count: int | None) -> str:
    return "нет таблицы" if count is None else str(count)
