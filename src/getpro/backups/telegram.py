"""An encrypted copy in a chat: a place away from this machine that needs no account.

Telegram takes 50 MB from a bot (https://core.telegram.org/bots/faq): what is larger goes in parts, up to a
number that a person would still put together.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import structlog

from getpro.backups import store
from getpro.backups.deps import Deps
from getpro.backups.errors import NotSent, NotThere, TooLarge
from getpro.backups.folder import ARCHIVE, MANIFEST, SETTINGS
from getpro.backups.states import BackupKind, BackupState
from getpro.kit.files import open_plain
from getpro.platform.bot_api import BotApi, BotApiRefused, Document, TooManyRequests
from getpro.platform.http import ServiceUnavailable

log = structlog.get_logger(__name__)

PART_BYTES: Final = 45 * 2**20
MOST_PARTS: Final = 20
_TIMES: Final = 5
_LONGEST_WAIT_SECONDS: Final = 900
_MIB: Final = 2**20


class TelegramChat:
    """By the Bot API's plain calls: waits when Telegram asks for it, follows a group that has moved."""

    def __init__(self, api: BotApi, chat_id: int) -> None:
        self._api, self._chat_id = api, chat_id

    async def send(self, document: Document, caption: str) -> None:
        await self._ask(
            "sendDocument",
            files={"document": document},
            caption=caption,
            disable_content_type_detection=True,
        )

    async def say(self, text: str) -> None:
        await self._ask("sendMessage", text=text)

    async def _ask(self, method: str, **parameters: object) -> None:
        for _ in range(_TIMES):
            try:
                await self._api.ask(method, chat_id=self._chat_id, **parameters)  # type: ignore[arg-type]
            except TooManyRequests as error:
                if error.seconds > _LONGEST_WAIT_SECONDS:
                    raise NotSent(f"Telegram просит подождать {error.seconds:.0f} с") from error
                await asyncio.sleep(error.seconds)
            except BotApiRefused as error:
                if error.moved_to is None:
                    raise NotSent(f"Telegram отказал: {error}") from error
                log.error("backup.chat_moved", setting="BACKUP_TELEGRAM_CHAT", to=error.moved_to)
                self._chat_id = error.moved_to
            except ServiceUnavailable as error:
                raise NotSent(f"Telegram не ответил: {error}") from error
            else:
                return
        raise NotSent(f"Telegram не взял и за {_TIMES} раз")


async def send(deps: Deps, name: str | None = None, *, part_bytes: int = PART_BYTES) -> tuple[str, int]:
    """Send a copy, the newest without a name; its name and how many files it took. A flow.

    The encrypted files only. Raises NotThere, TooLarge (the chat is told) and NotSent. Killed, or tried
    again, it begins anew: the chat has some parts twice.
    """
    if deps.telegram is None:
        raise NotSent("чат не задан: BACKUP_TELEGRAM_CHAT")
    async with deps.db.read("backup: to telegram") as session:
        made = await store.newest_first(session, BackupState.MADE)
    dumps = (one for one in made if one.kind is BackupKind.DUMP)
    chosen = next((one for one in dumps if name in {None, one.name}), None)
    if chosen is None:
        raise NotThere("нет ни одной копии" if name is None else f"копии {name} нет")
    archive = deps.folder / f"{chosen.name}{ARCHIVE}"
    try:
        async with deps.telegram() as chat:
            parts = -(-archive.stat().st_size // part_bytes)
            if parts > MOST_PARTS:
                why = too_large(chosen.name, archive.stat().st_size, part_bytes)
                await chat.say(f"⚠️ {why}")
                raise TooLarge(why)
            sent, source = 0, _parts(archive, part_bytes)
            for number in range(1, parts + 1):
                part = await asyncio.to_thread(next, source)
                await chat.send(_document(archive, part, number, parts), _caption(archive, number, parts))
                sent += 1
            for beside in (f"{chosen.name}{SETTINGS}", f"{chosen.name}{MANIFEST}"):
                content = await asyncio.to_thread(_content, deps.folder / beside)
                if content is not None:
                    await chat.send(Document(beside, content), "К той же копии.")
                    sent += 1
    except FileNotFoundError as error:
        raise NotThere(f"{archive}: файла нет") from error
    log.info("backup.in_telegram", backup=chosen.name, files=sent)
    return chosen.name, sent


def too_large(name: str, size: int, part_bytes: int = PART_BYTES) -> str:
    """In words for an operator."""
    most = MOST_PARTS * part_bytes
    return (
        f"копия {name} в Telegram не помещается: в ней {size // _MIB} МБ, "
        f"а частями отсылается до {most // _MIB} МБ; держите её вне сервера в другом месте"
    )


def _content(path: Path) -> bytes | None:
    try:
        with open_plain(path) as file:
            return file.read()
    except FileNotFoundError:
        return None


def _parts(path: Path, size: int) -> Iterator[bytes]:
    with open_plain(path) as file:
        while part := file.read(size):
            yield part


def _document(archive: Path, part: bytes, number: int, parts: int) -> Document:
    return Document(archive.name if parts == 1 else f"{archive.name}.part{number:02}", part)


def _caption(archive: Path, number: int, parts: int) -> str:
    if parts == 1:
        return f"Копия базы {archive.name}: зашифрована, откроет её backup.key."
    return (
        f"Копия базы, часть {number} из {parts}. Скачайте все в одну папку и соберите:\n"
        f"cat {archive.name}.part* > {archive.name}"
    )
