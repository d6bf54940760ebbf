"""What can be done about an incident, by button: chosen on a message of its own, confirmed, undone.

It is shown before as customers will see it; a reply to that message is the words for them.
"""

from collections.abc import Awaitable, Callable, Sequence
from html import escape
from typing import Any, Final

import structlog
from aiogram.exceptions import TelegramAPIError, TelegramBadRequest
from aiogram.types import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message

from getpro.bot.screens.notices import status_words
from getpro.bot.texts import LANGUAGES, texts_of
from getpro.catalog import closures
from getpro.incidents import deeds, impact, service, store, tellings
from getpro.incidents.closed import closed_in_words, title
from getpro.incidents.deeds import Deed
from getpro.incidents.deps import Deps
from getpro.incidents.errors import CannotDo, IncidentError, NotAllowed
from getpro.incidents.states import DeedKind, IncidentState, Level
from getpro.incidents.team import Actor, require
from getpro.incidents.tellings import Text
from getpro.kit.numbers import BIGGEST_BIGINT
from getpro.platform.database import Session

log = structlog.get_logger(__name__)

PREFIX: Final = "help"
_OVER: Final = "over"
_SEPARATOR: Final = "---"
_STRANGER: Final = "Эта кнопка для команды магазина. Вас в ней нет."
_TEXTS: Final = {
    Text.DELAY: "Доступ открывается с задержкой",
    Text.CONNECTION: "VPN не подключается",
    Text.PAYMENTS: "Оплата не проходит",
    Text.OTHER: "Работает не всё",
}
_OWN_WORDS: Final = (
    "Сказать иначе: ответьте на это сообщение своим текстом, английский — после строки <code>---</code>."
)
_TRIED: Final = {
    "menu": "открыть помощь",
    "back": "открыть помощь",
    "retry": "повторить выдачу",
    "restart": "узнать, как перезапустить",
    "lower": "снизить уровень",
    "tell": "написать клиентам",
    "works": "написать клиентам",
    "say": "написать клиентам",
    "ways": "выключить оплату",
    "off": "выключить оплату",
    "on": "включить оплату",
    "stop": "закрыть магазин",
    "open": "открыть магазин",
    "yes": "подтвердить",
    "no": "отменить",
}

Row = list[tuple[str, str]]
"""Of buttons: a label, and what its press says."""
View = tuple[str, list[Row]]
"""A text and rows."""


async def press(deps: Deps, query: CallbackQuery, by: Actor) -> tuple[str, Any]:
    """A button of help's; how it went, in a word for the metrics, and what is answered."""
    prefix, deed, *rest = (query.data or "").split(":")
    if prefix != PREFIX:
        deed = "menu"  # the button of the page itself
    number = int(rest[0]) if rest and rest[0].isdecimal() and len(rest[0]) < len(str(BIGGEST_BIGINT)) else 0
    if deed not in _TRIED or not number:
        return "ignored", query.answer("Кнопка от другой версии: откройте новое сообщение.")
    argument = rest[1] if len(rest) > 1 else ""
    try:
        view, toast = await _act(deps, query, deed, number, argument, by)
    except NotAllowed:
        incident_id = await _incident_of(deps, deed, number)
        if incident_id is not None:
            await service.refused(deps, incident_id, _TRIED[deed], by=by)
        return "refused", query.answer(_STRANGER, show_alert=True)
    except IncidentError as error:
        return "ok", query.answer(_sentence(error), show_alert=True)
    if isinstance(query.message, Message):
        try:
            await (_send if deed == "menu" else _turn)(query.message, view)
        except TelegramAPIError as error:
            # It is done, whatever the message shows: nobody is told that it was not.
            log.warning("incidents.help_not_shown", deed=deed, error=type(error).__name__)
            return "ok", query.answer(toast or "Сообщение не обновилось: нажмите ещё раз.")
    return "ok", query.answer(toast)


async def _incident_of(deps: Deps, deed: str, number: int) -> int | None:
    """Of which incident a button is that somebody may not press; None where there is no such."""
    async with deps.db.read("help: whose") as session:
        try:
            if deed in {"yes", "no"}:
                return (await deeds.deed(session, number)).incident_id
            return (await store.incident(session, number)).incident_id
        except IncidentError:
            return None


async def _act(
    deps: Deps, query: CallbackQuery, deed: str, number: int, argument: str, by: Actor
) -> tuple[View, str | None]:
    """Do what a button says; the view that its message turns into, and what its presser is told."""
    message = query.message
    place = None if message is None else (message.chat.id, message.message_id)
    async with deps.db.begin(f"help: {deed}") as session:
        await require(session, deps, by)
        if deed in _VIEWS:
            return await _VIEWS[deed](session, deps, number), None
        if deed in _PROPOSED:
            kind = _PROPOSED[deed]
            about = _about(argument) if kind is DeedKind.TELL else None
            made = await deeds.propose(
                session, deps, number, kind, by=by, provider=argument, about=about, message=place
            )
            return await _preview(session, deps, made), None
        if deed in _AT_ONCE:
            done = await deeds.do(session, deps, number, _AT_ONCE[deed], by=by, provider=argument)
            return await _after(session, deps, done), f"{done.outcome}."
        if deed == "lower":
            level = _level(argument)
            await service.set_level(session, deps, number, level, by=by)
            return await _menu(session, deps, number), f"Теперь {level}."
        if deed == "yes":
            return _done(await deeds.confirm(session, deps, number, by=by)), "Сделано."
        dropped = await deeds.drop(session, deps, number, by=by)
        return await _menu(session, deps, dropped.incident_id), None


async def _after(session: Session, deps: Deps, done: Deed) -> View:
    match done.kind:
        case DeedKind.RESTART:
            return _restart(done.incident_id)
        case DeedKind.WAY_ON:
            return await _ways(session, deps, done.incident_id)
    return await _menu(session, deps, done.incident_id)


async def reply(
    deps: Deps, message: Message, actor: Callable[[], Awaitable[Actor]]
) -> tuple[str, Any] | None:
    """Words for customers, where what is replied to asks whether to say something; None for all else."""
    assert message.reply_to_message is not None
    async with deps.db.read("help: replied to") as session:
        asked = await deeds.of_message(session, message.chat.id, message.reply_to_message.message_id)
    if asked is None or asked.kind not in deeds.WITH_WORDS:
        return None
    by = await actor()
    try:
        async with deps.db.begin("help: words") as session:
            words = _in_languages(message.text or "")
            made = await deeds.set_words(session, deps, asked.deed_id, words, by=by)
            view = await _preview(session, deps, made)
    except NotAllowed:
        await service.refused(deps, asked.incident_id, "написать клиентам", by=by)
        return "refused", None
    except IncidentError as error:
        return "ok", message.reply(_sentence(error), disable_notification=True)
    await _turn(message.reply_to_message, view)
    return "ok", None


def _in_languages(said: str) -> dict[str, str]:
    """The text before the line ``---`` is Russian, the one after it English."""
    parts = [part.strip() for part in f"\n{said}\n".split(f"\n{_SEPARATOR}\n", 1)]
    return dict(zip(LANGUAGES, parts, strict=False))


async def _menu(session: Session, deps: Deps, number: int) -> View:
    """What can be done now, and only that."""
    found, now = await store.incident(session, number), deps.clock()
    closed = await closures.read(session)
    shut = closed_in_words(deps, closed, now=now)
    text = [f"<b>Чем помочь · №{number}</b>", *(f"⛔ {escape(what)}" for what in shut)]
    ways = ("Способы оплаты", f"ways:{number}")
    shop = ("Открыть магазин", f"open:{number}") if closed.shop else ("Закрыть на работы", f"stop:{number}")
    if found.state is IncidentState.RESOLVED:
        text.append("Инцидент решён: можно открыть закрытое и сказать клиентам, что снова работает.")
        opening = [*([[ways]] if closed.ways else []), *([[shop]] if closed.shop else [])]
        if owed := await tellings.owed(session, number):
            opening.append([(f"Написать, что работает: {owed}", f"works:{number}")])
        return "\n".join(text), opening
    waiting, whom = await impact.everybody(session), await tellings.audience(session, found)
    if waiting is None:
        text.append("Оплаченного и не выданного нет.")
    else:
        text.append(f"Заплатили и ждут: {waiting.customers}, на {waiting.roubles}.")
    rows: list[Row] = []
    if waiting is not None:
        rows.append([(f"Повторить выдачу: {waiting.customers}", f"retry:{number}")])
    if whom:
        rows.append([(f"Написать клиентам: {whom}", f"tell:{number}")])
    below = {Level.L3: Level.L2, Level.L2: Level.L1}.get(found.level)
    lower = [(f"Снизить до {below}", f"lower:{number}:{below}")] if below else []
    return "\n".join(text), [*rows, [ways, shop], [("Перезапуск", f"restart:{number}"), *lower]]


async def _ways(session: Session, deps: Deps, number: int) -> View:
    found, closed = await store.incident(session, number), await closures.read(session)
    may_close = found.state is not IncidentState.RESOLVED
    codes = dict.fromkeys((*(deps.sales.providers.by_code if may_close else ()), *closed.ways))
    rows = [
        [(f"Включить: {title(deps, code)}", f"on:{number}:{code}")]
        if code in closed.ways
        else [(f"Выключить: {title(deps, code)}", f"off:{number}:{code}")]
        for code in codes
    ]
    text = f"<b>Способы оплаты · №{number}</b>\nВыключенным не начать новую оплату. Начатые дойдут до конца."
    return text, [*rows, _back(number)]


async def _choose_text(session: Session, _: Deps, number: int) -> View:
    whom = await tellings.audience(session, await store.incident(session, number))
    if not whom:
        raise CannotDo("писать некому: никто не ждёт, или им уже написали")
    rows = [[(label, f"say:{number}:{about}")] for about, label in _TEXTS.items()]
    text = f"<b>Написать клиентам: {whom} · №{number}</b>\nО чём? Текст покажем перед отправкой."
    return text, [*rows, _back(number)]


async def _preview(session: Session, deps: Deps, made: Deed) -> View:
    """Word for word what customers will see, in each language."""
    no = [("‹ Отмена", f"no:{made.deed_id}")]
    if made.kind is DeedKind.TELL:
        whom = await tellings.audience(session, await store.incident(session, made.incident_id))
        what, yes = f"Напишем клиентам: {whom}", f"Отправить: {whom}"
        after = ["Когда инцидент решат, им же придёт:", *_said(deps, made.argument["over"], _OVER)]
    elif made.kind is DeedKind.OVER:
        whom = await tellings.owed(session, made.incident_id)
        what, yes = f"Напишем тем, кому писали о сбое: {whom}", f"Отправить: {whom}"
        text = [
            f"<b>{escape(what)}</b>",
            *_said(deps, await tellings.over_of(session, made.incident_id), _OVER),
        ]
        return "\n".join(text), [[(yes, f"yes:{made.deed_id}")], no]
    elif made.kind is DeedKind.WAY_OFF:
        what = f"Выключим новые оплаты: {title(deps, made.argument['provider'])}"
        yes, after = "Выключить", ["Начатые оплаты дойдут до конца."]
    else:
        what, yes = "Закроем магазин на работы", "Закрыть"
        after = ["Оплаченное работает и выдаётся, начатые оплаты дойдут до конца."]
    text = [f"<b>{escape(what)}</b>", *_shown_words(deps, made), "", *after, "", _OWN_WORDS]
    return "\n".join(text), [[(yes, f"yes:{made.deed_id}")], no]


def _shown_words(deps: Deps, made: Deed) -> list[str]:
    if made.kind is DeedKind.TELL:
        return _said(deps, made.words, made.argument["about"])
    lines = []
    for language in LANGUAGES:
        t = texts_of(language, deps.zone, now=deps.clock())
        if made.kind is DeedKind.SHOP_OFF:
            said = made.words.get(language)
            words = t("closed-shop") if said is None else escape(said)
        else:
            provider = t.provider(made.argument["provider"])
            own = made.words.get(language)
            words = (
                t("closed-way", provider=provider)
                if own is None
                else t("closed-way-words", provider=provider, words=own)
            )
        lines.append(_quoted(language, words))
    return lines


def _said(deps: Deps, words: Any, about: str) -> list[str]:
    lines = []
    for language in LANGUAGES:
        t = texts_of(language, deps.zone, now=deps.clock())
        own = words.get(language)
        lines.append(_quoted(language, status_words(t, about) if own is None else escape(own)))
    return lines


def _quoted(language: str, words: str) -> str:
    return f"{language}: <i>{words}</i>"


def _restart(number: int) -> View:
    text = "\n".join((f"<b>Перезапуск · №{number}</b>", *map(escape, deeds.RESTART_ADVICE)))
    return text, [_back(number)]


_VIEWS: Final[dict[str, Callable[[Session, Deps, int], Awaitable[View]]]] = {
    "menu": _menu,
    "back": _menu,
    "ways": _ways,
    "tell": _choose_text,
}
_PROPOSED: Final = {
    "say": DeedKind.TELL,
    "works": DeedKind.OVER,
    "off": DeedKind.WAY_OFF,
    "stop": DeedKind.SHOP_OFF,
}
"""Shown first, and confirmed."""
_AT_ONCE: Final = {
    "retry": DeedKind.RETRY,
    "restart": DeedKind.RESTART,
    "on": DeedKind.WAY_ON,
    "open": DeedKind.SHOP_ON,
}


def _done(done: Deed) -> View:
    """What came of it, and the button that undoes it where something does."""
    undo: list[Row] = []
    if done.kind is DeedKind.WAY_OFF:
        undo = [[("Включить снова", f"on:{done.incident_id}:{done.argument['provider']}")]]
    elif done.kind is DeedKind.SHOP_OFF:
        undo = [[("Открыть магазин", f"open:{done.incident_id}")]]
    text = f"✅ <b>{escape(done.outcome or '')}</b>\n№{done.incident_id} · {escape(done.done_by or '')}"
    return text, [*undo, _back(done.incident_id)]


def _back(number: int) -> Row:
    return [("‹ Чем помочь", f"back:{number}")]


def _level(argument: str) -> Level:
    if argument not in list(Level):
        raise CannotDo("такого уровня нет")
    return Level(argument)


def _about(argument: str) -> Text:
    if argument not in list(Text):
        raise CannotDo("такого текста нет")
    return Text(argument)


def _markup(rows: Sequence[Row]) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(
        inline_keyboard=[
            [InlineKeyboardButton(text=label, callback_data=f"{PREFIX}:{data}") for label, data in row]
            for row in rows
        ]
    )


async def _send(page: Message, view: View) -> None:
    """Below the page, which stays as it is."""
    text, rows = view
    await page.reply(text, reply_markup=_markup(rows), disable_notification=True)


async def _turn(message: Message, view: View) -> None:
    text, rows = view
    try:
        await message.edit_text(text, reply_markup=_markup(rows))
    except TelegramBadRequest as error:
        if "message is not modified" not in error.message:
            log.warning("help.not_shown", error=error.message)


def _sentence(error: IncidentError) -> str:
    said = str(error)
    return f"{said[:1].upper()}{said[1:]}."
