"""What the operators are told: written first, then sent to their chat until it has arrived.

One plain sender for everything that is not an incident yet: the routines' reports and Prometheus's alerts.
"""

from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from getpro.operations.deps import Deps
from getpro.operations.models import operator_messages
from getpro.platform.bot_api import BotApiRefused
from getpro.platform.database import Session
from getpro.platform.jobs import NOTICES, JobName, Jobs

log = structlog.get_logger(__name__)

TELL: Final = JobName("tell_operators", NOTICES)
_LONGEST: Final = 4000
"""Telegram takes 4096 characters after reading the HTML; the whole of a report stands in ``check_runs``."""

_LONGEST_CAPTION: Final = 1024
"""Of what Telegram shows; the HTML itself is longer, so this errs to the safe side."""


async def say(
    session: Session, jobs: Jobs, *, key: str, text: str, now: datetime, picture: bytes | None = None
) -> bool:
    """Write a message once per ``key`` and defer its sending; a step. False if it was written before.

    ``picture`` is a PNG; the text is its caption, or, too long for one, a message before it.
    """
    if picture is None or utf16_length(text) <= _LONGEST_CAPTION:
        return await _write(session, jobs, key=key, text=text, now=now, picture=picture)
    is_new = await _write(session, jobs, key=key, text=text, now=now)
    await _write(session, jobs, key=f"{key}:picture", text="", now=now, picture=picture)
    return is_new


async def _write(
    session: Session, jobs: Jobs, *, key: str, text: str, now: datetime, picture: bytes | None = None
) -> bool:
    message_id = await session.scalar(
        insert(operator_messages)
        .values(key=key, text=_short(text), picture=picture, created_at=now)
        .on_conflict_do_nothing()
        .returning(operator_messages.c.message_id)
    )
    if message_id is None:
        return False
    await jobs.defer(session, TELL, lock="operators", message_id=message_id)
    return True


def utf16_length(text: str) -> int:
    """As Telegram counts: an emoji is two."""
    return len(text.encode("utf-16-le")) // 2


def _short(text: str) -> str:
    """What Telegram takes, cut between two lines: half a tag or half an entity would be refused."""
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST].rpartition(chr(10))[0]}\n…"


async def send(deps: Deps, message_id: int) -> None:
    """Send one message; a flow, run as a job. Killed before it is noted, it is sent once more."""
    async with deps.db.read("operators") as session:
        found = await session.execute(
            select(operator_messages.c.text, operator_messages.c.picture).where(
                operator_messages.c.message_id == message_id,
                operator_messages.c.sent_at.is_(None),
                operator_messages.c.trouble.is_(None),
            )
        )
        message = found.one_or_none()
    if message is None:
        return
    if deps.chat is None:
        await _note(deps, message_id, trouble="no chat is set")
        return
    try:
        await deps.chat.send(message.text, message.picture)
    except BotApiRefused as error:
        log.error("operators.refused", message_id=message_id, error=str(error))
        await _note(deps, message_id, trouble=str(error))
        return
    await _note(deps, message_id, sent_at=deps.clock())


async def _note(
    deps: Deps, message_id: int, *, sent_at: datetime | None = None, trouble: str | None = None
) -> None:
    async with deps.db.begin("operators: noted") as session:
        await session.execute(
            update(operator_messages)
            .where(operator_messages.c.message_id == message_id)
            .values(sent_at=sent_at, trouble=trouble, picture=None)
        )
