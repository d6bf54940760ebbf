"""What the operators are told: written first, then sent to their chat until it has arrived.

One plain sender for everything that is not an incident yet: the routines' reports and Prometheus's alerts.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from getpro.operations.deps import Deps
from getpro.operations.models import operator_messages
from getpro.platform.bot_api import BotApi, BotApiRefused, Document, TooManyRequests
from getpro.platform.database import Session
from getpro.platform.jobs import NOTICES, JobName, Jobs, RetryLater

log = structlog.get_logger(__name__)

TELL: Final = JobName("tell_operators", NOTICES)
_LONGEST: Final = 4000
"""Telegram takes 4096 characters after reading the HTML; the whole of a report stands in ``check_runs``."""

_LONGEST_CAPTION: Final = 1024
"""Of what Telegram shows; the HTML itself is longer, so this errs to the safe side."""
_PICTURE_PATIENCE: Final = timedelta(minutes=15)
_KEPT: Final = timedelta(days=90)
"""Longer than any alert fires: its key stands for that it was told."""


class OperatorsChat:
    """The operators' chat, by plain calls."""

    def __init__(self, api: BotApi, chat_id: int) -> None:
        self._api, self._chat_id = api, chat_id

    async def send(
        self,
        text: str,
        picture: bytes | None = None,
        *,
        document: Document | None = None,
        is_silent: bool = False,
    ) -> None:
        """As :class:`getpro.operations.deps.Chat` says. A group that has moved is followed."""
        how: dict[str, Any] = {"parse_mode": "HTML", "disable_notification": is_silent}
        if picture is not None:
            await self._ask("sendPhoto", files={"photo": picture}, caption=text, **how)
        elif document is not None:
            await self._ask("sendDocument", files={"document": document}, caption=text, **how)
        else:
            await self._ask("sendMessage", text=text, link_preview_options={"is_disabled": True}, **how)

    async def _ask(self, method: str, **parameters: Any) -> None:
        try:
            await self._api.ask(method, chat_id=self._chat_id, **parameters)
        except BotApiRefused as error:
            if error.moved_to is None:
                raise
            log.error("operators.chat_moved", setting="OPERATIONS_CHAT", to=error.moved_to)
            self._chat_id = error.moved_to
            await self._api.ask(method, chat_id=self._chat_id, **parameters)


async def say(
    session: Session,
    jobs: Jobs,
    *,
    key: str,
    text: str,
    now: datetime,
    picture: bytes | None = None,
    is_silent: bool = False,
) -> bool:
    """Write a message once per ``key`` and defer its sending; a step. False if it was written before.

    Written is not sent: one that Telegram has refused is tried again with what is said now. ``picture`` is a
    PNG; the text is its caption, or, too long for one, a message before it. ``is_silent``: no phone sounds.
    """
    how = {"created_at": now, "is_silent": is_silent}
    if picture is None or utf16_length(text) <= _LONGEST_CAPTION:
        return await _write(session, jobs, key, text=text, picture=picture, **how)
    is_new = await _write(session, jobs, key, text=text, picture=None, **how)
    await _write(session, jobs, f"{key}:picture", text="", picture=picture, **how)
    return is_new


async def attach(session: Session, jobs: Jobs, files: Sequence[Document], *, key: str, now: datetime) -> None:
    """Have files follow the message of that ``key``, each once, without a sound; a step.

    PNGs are sent as pictures, the rest as documents.
    """
    for number, file in enumerate(files, 1):
        is_picture = file.name.endswith(".png")
        await _write(
            session,
            jobs,
            f"{key}:file:{number}",
            text="",
            picture=file.content if is_picture else None,
            document=None if is_picture else file.content,
            document_name=None if is_picture else file.name,
            created_at=now,
            is_silent=True,
        )


async def _write(session: Session, jobs: Jobs, key: str, *, text: str, **values: Any) -> bool:
    values["text"] = _short(text)
    message_id = await session.scalar(
        insert(operator_messages)
        .values(key=key, **values)
        .on_conflict_do_update(
            index_elements=["key"],
            set_=values | {"trouble": None},
            where=and_(operator_messages.c.sent_at.is_(None), operator_messages.c.trouble.is_not(None)),
        )
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
    """What Telegram and the table take, cut between two lines: half a tag or entity would be refused."""
    text = text.replace("\0", "")
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST].rpartition(chr(10))[0]}\n…"


async def send(deps: Deps, message_id: int) -> None:
    """Send one message; a flow, run as a job. Killed before it is noted, it is sent once more.

    Those behind it wait for it, so that they come in their order; for a picture not for ever.
    """
    async with deps.db.read("operators") as session:
        found = await session.execute(
            select(operator_messages).where(
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
    picture = message.picture
    document = None if message.document is None else Document(message.document_name, message.document)
    is_with = picture is not None or document is not None
    if is_with and deps.clock() - message.created_at > _PICTURE_PATIENCE:
        log.warning("operators.picture_given_up", message_id=message_id)
        picture = document = None
    if picture is None and document is None and not message.text:
        await _note(deps, message_id, trouble="its picture or file could not be sent")
        return
    try:
        await deps.chat.send(message.text, picture, document=document, is_silent=message.is_silent)
    except TooManyRequests as error:
        raise RetryLater(error.seconds, str(error)) from error
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
            .values(sent_at=sent_at, trouble=trouble, picture=None, document=None)
        )


async def forget_old(session: Session, *, now: datetime) -> None:
    """Delete what was sent, or refused, long ago; what still waits to be sent stays."""
    is_over = or_(operator_messages.c.sent_at.is_not(None), operator_messages.c.trouble.is_not(None))
    await session.execute(
        delete(operator_messages).where(is_over, operator_messages.c.created_at < now - _KEPT)
    )
