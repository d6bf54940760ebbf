"""Incidents in Telegram: the buttons of a page, a reply to it, ``/incident``; in the group and in private.

Apart from the customers' way: who presses here buys nothing, and a group is nobody's shop.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from html import escape
from typing import Any, Final

import structlog
from aiogram.methods import TelegramMethod
from aiogram.types import CallbackQuery, Message, Update, User

from getpro.bot import helping
from getpro.incidents import documents, paging, screens, service, store, team
from getpro.incidents.deps import Deps
from getpro.incidents.errors import CannotDo, IncidentError, NotAllowed
from getpro.incidents.service import Ending
from getpro.incidents.states import Level
from getpro.incidents.store import Incident
from getpro.incidents.team import Actor
from getpro.incidents.words import STATES, clock
from getpro.kit.numbers import BIGGEST_BIGINT

log = structlog.get_logger(__name__)

Answer = tuple[str, TelegramMethod[Any] | None]
"""How it went, in a word for the metrics, and what is answered."""

_COMMAND: Final = "/incident"
_PAPERS: Final = {f"/{command}": kind for kind, command in documents.COMMANDS.items()}
_DEEDS: Final[dict[str, Callable[..., Awaitable[Incident]]]] = {
    "take": service.take,
    "drop": service.drop,
    "later": service.snooze,
    "still": service.still,
    "wait": service.not_over_yet,
    "up": service.raise_level,
    **{f"up{level}": partial(service.raise_level, seen=level) for level in Level},
}
_ENDS: Final[dict[str, Callable[..., Awaitable[Ending]]]] = {
    "done": service.ask_how_it_ended,
    "force": service.ask_why_not_wait,
}
_TRIED: Final = {
    "take": "взять",
    "drop": "отпустить",
    "later": "отложить",
    "still": "сказать, что занимается",
    "wait": "не закрывать",
    "up": "поднять",
    **{f"up{level}": "поднять" for level in Level},
    "done": "закрыть",
    "force": "закрыть, хотя не тихо",
}
_STRANGER: Final = "Эта кнопка для команды магазина. Вас в ней нет."
_LONGEST_ALERT: Final = 200
"""Of what Telegram shows after a press."""
_OLD: Final = "Кнопка от другой версии: откройте новое сообщение."


async def handle(deps: Deps, update: Update) -> Answer | None:
    """None where it is no matter of the team's: then it goes the customers' way.

    Raises what says that the database is away.
    """
    query, message = update.callback_query, update.message
    if query is not None:
        return await _press(deps, query)
    if message is None or message.from_user is None or message.from_user.is_bot or not message.text:
        return None
    command, _, rest = message.text.partition(" ")
    if command.partition("@")[0] == _COMMAND:
        return await _command(deps, message, rest.strip(), key=f"update:{update.update_id}")
    if (kind := _PAPERS.get(command.partition("@")[0])) is not None:
        return await _paper(deps, message, kind, rest.strip())
    if message.reply_to_message is not None and not message.text.startswith("/"):
        words = await helping.reply(deps, message, partial(_actor, deps, message.from_user))
        return words or await _reply(deps, message, key=f"update:{update.update_id}")
    return None


async def _press(deps: Deps, query: CallbackQuery) -> Answer | None:
    match (query.data or "").split(":"):
        case [helping.PREFIX, *_] | [screens.PREFIX, "help", _]:
            return await helping.press(deps, query, await _actor(deps, query.from_user))
        case [screens.PREFIX, "got", code]:
            return await _got(deps, query, code)
        case [screens.PREFIX, deed, number] if (
            deed in _TRIED and number.isdecimal() and int(number) <= BIGGEST_BIGINT
        ):
            return await _act(deps, query, deed, int(number))
        case [screens.PREFIX, *_]:
            return "ignored", query.answer(_OLD)
    return None


async def _act(deps: Deps, query: CallbackQuery, deed: str, incident_id: int) -> Answer:
    by = await _actor(deps, query.from_user)
    try:
        async with deps.db.begin(f"incident: {deed}") as session:
            if (end := _ENDS.get(deed)) is not None:
                said = _asked(deed, await end(session, deps, incident_id, by=by))
            else:
                said = _done(deps, deed, await _DEEDS[deed](session, deps, incident_id, by=by))
    except NotAllowed:
        await service.refused(deps, incident_id, _TRIED[deed], by=by)
        return "refused", query.answer(_STRANGER, show_alert=True)
    except IncidentError as error:
        return "ok", query.answer(_sentence(error))
    return "ok", query.answer(said, show_alert=end is not None)


def _done(deps: Deps, deed: str, found: Incident) -> str:
    match deed:
        case "take":
            return f"№{found.incident_id} ваш. Дальше никого не зовём."
        case "drop":
            return f"№{found.incident_id} отпущен, зовём заново."
        case "still":
            return "Записано: занимаетесь."
        case "wait":
            return "Хорошо, не закрываем. Ответ на сообщение будет заметкой."
        case "later":
            assert found.snoozed_until is not None
            return f"Отложено до {clock(found.snoozed_until, deps.zone, now=deps.clock())}."
    return f"Зовём: {found.level}."


def _asked(deed: str, ending: Ending) -> str:
    if ending.is_over:
        return f"№{ending.incident.incident_id} решён."
    if ending.against:
        return _not_yet(ending)[:_LONGEST_ALERT]
    why = "почему закрыть, хотя не тихо" if deed == "force" else "причина; что сделано"
    return f"Ответьте на это сообщение: {why}."


def _not_yet(ending: Ending) -> str:
    lines = "".join(f"\n• {line}" for line in ending.against)
    return f"№{ending.incident.incident_id} ещё не закрыт:{lines}\nСтанет тихо — закрою сам."


async def _got(deps: Deps, query: CallbackQuery, code: str) -> Answer:
    """Whoever was asked whether they can be reached; nobody else's press counts."""
    try:
        async with deps.db.begin("contacts: answered") as session:
            await team.answer_test(session, code, now=deps.clock(), telegram_id=query.from_user.id)
    except CannotDo:
        return "refused", query.answer("Эта проверка уже отвечена или не ваша.")
    return "ok", query.answer("Отмечено: до вас доходит.")


async def _command(deps: Deps, message: Message, said: str, *, key: str) -> Answer | None:
    """``/incident`` shows what is not resolved, ``/incident L2 what has happened`` opens one."""
    assert message.from_user is not None
    by = await _actor(deps, message.from_user)
    try:
        async with deps.db.begin("incident: command") as session:
            await team.require(session, deps, by)
            if not said:
                return "ok", message.answer(_listed(await store.newest(session, most=10, is_unresolved=True)))
            level, title = _level(said)
            number = await service.open_by_hand(session, deps, title, level=level, by=by, key=key)
    except NotAllowed:
        log.warning("incidents.refused", user_id=by.telegram_id, deed=said[:64] or "посмотреть")
        return None
    except IncidentError as error:
        return "ok", message.answer(_sentence(error))
    return "ok", message.answer(f"№{number} заведён, {level}. Зовём.", disable_notification=True)


async def _paper(deps: Deps, message: Message, kind: str, said: str) -> Answer | None:
    """``/report 12``: its PDF to read and its Markdown to edit come as files."""
    assert message.from_user is not None
    by = await _actor(deps, message.from_user)
    number = said.removeprefix("№")
    try:
        async with deps.db.begin("incident: paper") as session:
            await team.require(session, deps, by)
            if not number.isdecimal() or int(number) > BIGGEST_BIGINT:
                return "ok", message.answer(f"Какого инцидента? Например: /{documents.COMMANDS[kind]} 12")
            await documents.ask_for(session, deps, int(number), kind, chat_id=message.chat.id)
    except NotAllowed:
        return None
    except IncidentError as error:
        return "ok", message.answer(_sentence(error))
    return "ok", None


def _level(said: str) -> tuple[Level, str]:
    """``L3 всё лежит``; without a level it is L2."""
    word, _, rest = said.partition(" ")
    return (Level(word.upper()), rest) if word.upper() in list(Level) else (Level.L2, said)


def _listed(found: list[Incident]) -> str:
    lines = [
        f"№{one.incident_id} {one.level}, {STATES[one.state]}"
        f"{f' {escape(one.taken_by)}' if one.taken_by else ''}: {escape(one.title)}"
        for one in found
    ]
    return "\n".join(lines) or "Нерешённых инцидентов нет. Завести: /incident L2 что случилось"


async def _reply(deps: Deps, message: Message, *, key: str) -> Answer | None:
    """A note for the time line, or how it ended; what answers no page of ours is not for us."""
    assert message.from_user is not None
    assert message.reply_to_message is not None
    async with deps.db.read("incident: replied to") as session:
        replied_to = message.reply_to_message.message_id
        incident_id = await paging.incident_of(session, message.chat.id, replied_to)
    if incident_id is None:
        return None
    by = await _actor(deps, message.from_user)
    try:
        async with deps.db.begin("incident: reply") as session:
            done = await service.reply(session, deps, incident_id, message.text or "", by=by, key=key)
    except NotAllowed:
        await service.refused(deps, incident_id, "написать в хронику", by=by)
        return "refused", None
    except IncidentError as error:
        return "ok", message.reply(_sentence(error), disable_notification=True)
    return "ok", message.reply(_replied(incident_id, done.ending), disable_notification=True)


def _replied(incident_id: int, ending: Ending | None) -> str:
    if ending is None:
        return f"Записано в хронику №{incident_id}."
    if ending.is_over:
        return f"№{incident_id} решён."
    return f"{escape(_not_yet(ending))} Не ждать: «Закрыть всё равно» под сообщением инцидента."


async def _actor(deps: Deps, person: User) -> Actor:
    """By the team's name, else by the name that people know, and by the number that nobody can take over."""
    async with deps.db.read("incident: who") as session:
        known = await team.name_of(session, person.id)
    name = f"@{person.username}" if person.username else person.first_name[:64]
    return Actor(known or f"{name} ({person.id})", person.id)


def _sentence(error: IncidentError) -> str:
    said = str(error)
    return f"{said[:1].upper()}{said[1:]}."
