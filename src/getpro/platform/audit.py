"""Table ``audit_log``: what people did to the shop, when and why; written in the transaction of the deed.

Each row is a link of a chain that the database closes when the deed commits: whoever changes, deletes or
slips in a row afterwards is found. See ``docs/decisions/0029-audit.md``.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    Table,
    Text,
    insert,
    select,
)

from getpro.platform.database import Session, metadata

audit_log = Table(
    "audit_log",
    metadata,
    Column("audit_id", BigInteger, Identity(), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("actor", Text, nullable=False, comment="who: the operator's name"),
    Column("action", Text, nullable=False, comment="e.g. payments.credit"),
    Column("subject", Text, nullable=False, comment="to what, e.g. s12"),
    Column("reason", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Index("audit_log_at_idx", "at"),
)

audit_chain = Table(
    "audit_chain",
    metadata,
    Column(
        "position",
        BigInteger,
        primary_key=True,
        autoincrement=False,
        comment="in the order of commits, without gaps",
    ),
    Column("audit_id", BigInteger, nullable=False, unique=True),
    Column("digest", LargeBinary, nullable=False, comment="SHA-256 of the digest before and of the row"),
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_BEFORE_THE_FIRST: Final = b"\0" * 32
_BATCH: Final = 2000
_SHORT: Final = 16


@dataclass(frozen=True, slots=True)
class Head:
    """How far the chain goes: a place in it, and the digest there, in hex, whole or its beginning."""

    position: int = 0
    digest: str = _BEFORE_THE_FIRST.hex()

    def __str__(self) -> str:
        return f"{self.position}:{self.digest[:_SHORT]}"

    @classmethod
    def parse(cls, text: str) -> "Head":
        """Raises ValueError for what no head is written like."""
        position, _, digest = text.strip().lower().partition(":")
        if not position.isdecimal() or len(digest) < _SHORT or not set(digest) <= set("0123456789abcdef"):
            raise ValueError(f"no head of the chain: {text!r}")
        return cls(int(position), digest)


@dataclass(frozen=True, slots=True)
class Claim:
    """What was the head once, and is known from elsewhere."""

    head: Head
    source: str


@dataclass(slots=True)
class Verified:
    """What was found; numbers are those of ``audit_log``, but of ``gaps`` and ``belied`` the chain's own."""

    head: Head = field(default_factory=Head)
    changed: list[int] = field(default_factory=list)
    """Rows that are not what they were when they were written, or not at their place."""
    gone: list[int] = field(default_factory=list)
    """Rows that were deleted."""
    slipped_in: list[int] = field(default_factory=list)
    """Rows of no link: written past the database's own rule."""
    gaps: list[int] = field(default_factory=list)
    """Places whose link is not there."""
    belied: list[Claim] = field(default_factory=list)
    """Heads that the chain has had, and has no more: its end was cut off, or all of it was made anew."""

    @property
    def is_whole(self) -> bool:
        return not (self.changed or self.gone or self.slipped_in or self.gaps or self.belied)


async def note(
    session: Session,
    *,
    actor: str,
    action: str,
    subject: str,
    reason: str,
    outcome: str,
    now: datetime,
) -> int:
    """Keep who did what and why; a step, deed and record commit together. Return its number."""
    statement = insert(audit_log).values(
        at=now, actor=actor, action=action, subject=subject, reason=reason, outcome=outcome
    )
    noted: int = (await session.execute(statement.returning(audit_log.c.audit_id))).scalar_one()
    return noted


async def head(session: Session) -> Head:
    """The end of the chain as it stands."""
    newest = select(audit_chain).order_by(audit_chain.c.position.desc()).limit(1)
    row = (await session.execute(newest)).one_or_none()
    return Head() if row is None else Head(row.position, bytes(row.digest).hex())


async def verified(session: Session, claims: Sequence[Claim] = ()) -> Verified:
    """Go through the whole chain; a step that only reads.

    The digests are computed here: who may change the table may change the database's functions, too.
    """
    found = Verified()
    waiting: dict[int, list[Claim]] = {}
    for claim in claims:
        waiting.setdefault(claim.head.position, []).append(claim)
    found.belied += [one for one in waiting.pop(0, []) if not _agrees(one, _BEFORE_THE_FIRST)]
    previous, position = _BEFORE_THE_FIRST, 0
    while rows := await _links(session, after=position):
        for row in rows:
            found.gaps += range(position + 1, row.position)
            if row.at is None:
                found.gone.append(row.linked)
            elif row.position == position + 1 and digest_of(previous, row) != bytes(row.digest):
                found.changed.append(row.linked)
            # What follows is held against the link that is kept: one changed row is told once.
            previous, position = bytes(row.digest), row.position
            found.belied += [one for one in waiting.pop(position, []) if not _agrees(one, previous)]
    found.head = Head(position, previous.hex())
    found.belied += [one for those in waiting.values() for one in those]
    unlinked = (
        select(audit_log.c.audit_id)
        .outerjoin(audit_chain, audit_chain.c.audit_id == audit_log.c.audit_id)
        .where(audit_chain.c.audit_id.is_(None))
        .order_by(audit_log.c.audit_id)
    )
    found.slipped_in += list(await session.scalars(unlinked))
    return found


async def _links(session: Session, *, after: int) -> Sequence[Any]:
    linked = audit_chain.c.audit_id.label("linked")
    rows = await session.execute(
        select(audit_chain.c.position, linked, audit_chain.c.digest, audit_log)
        .outerjoin(audit_log, audit_log.c.audit_id == audit_chain.c.audit_id)
        .where(audit_chain.c.position > after)
        .order_by(audit_chain.c.position)
        .limit(_BATCH)
    )
    return rows.all()


def digest_of(previous: bytes, row: Any) -> bytes:
    """Of a row of ``audit_log`` at its place; migration 0020 has the same in SQL."""
    said = [
        row.audit_id,
        (row.at - _EPOCH) // _MICROSECOND,
        row.actor,
        row.action,
        row.subject,
        row.reason,
        row.outcome,
    ]
    return hashlib.sha256(previous + json.dumps(said, ensure_ascii=False).encode()).digest()


def _agrees(claim: Claim, digest: bytes) -> bool:
    return digest.hex().startswith(claim.head.digest)
