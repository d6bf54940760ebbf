"""Something does not work: asked in a press, answered with what we see, kept for the team."""

from html import escape
from typing import Final

from aiogram import F, Router
from aiogram.methods import TelegramMethod
from aiogram.types import CallbackQuery

from getpro.bot.context import Context
from getpro.bot.screens import trouble as screens
from getpro.bot.screens.screen import Go, Screen, Trouble
from getpro.bot.showing import show
from getpro.bot.turn import Turn
from getpro.customers import store as customers
from getpro.incidents import complaints
from getpro.incidents.complaints import Made, TooManyComplaints
from getpro.incidents.states import Complaint
from getpro.incidents.words import COMPLAINTS
from getpro.operations.chat import say
from getpro.platform.database import Session
from getpro.sales import reads
from getpro.subscriptions import store as subscriptions

router = Router(name="trouble")

DIALOG: Final = "trouble"
"""The next text says what does not work."""


@router.callback_query(Go.filter(F.to == "trouble"))
async def choose(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    async with turn.look("trouble"):
        t = context.texts(turn.customer)
    return await show(query, screens.choose(t))


@router.callback_query(Trouble.filter(F.kind == Complaint.OTHER))
async def other(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    async with turn.begin("trouble: ask") as session:
        t = context.texts(turn.customer)
        await customers.set_dialog(session, turn.customer.user_id, DIALOG)
    return await show(query, screens.ask_words(t))


@router.callback_query(Trouble.filter(F.kind == Complaint.PAID))
async def paid(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    async with turn.begin("trouble: paid") as session:
        t, user_id = context.texts(turn.customer), turn.customer.user_id
        try:
            made = await _complain(session, turn, context, Complaint.PAID)
        except TooManyComplaints:
            return await show(query, screens.too_many(t, contact=context.shop.support))
        found = await subscriptions.of_customer(session, user_id)
        last = next(iter(await reads.history(session, user_id, most=1)), None)
        screen = screens.about_payment(
            t,
            found,
            last,
            contact=context.shop.support,
            is_waiting=made is not None and made.is_proved,
            is_known=_is_known(made),
        )
    return await show(query, screen)


@router.callback_query(Trouble.filter(F.kind == Complaint.CONNECTION))
async def connection(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    async with turn.begin("trouble: connection") as session:
        t = context.texts(turn.customer)
        try:
            made = await _complain(session, turn, context, Complaint.CONNECTION)
        except TooManyComplaints:
            return await show(query, screens.too_many(t, contact=context.shop.support))
        found = await subscriptions.of_customer(session, turn.customer.user_id)
        screen = screens.about_connection(t, found, contact=context.shop.support, is_known=_is_known(made))
    return await show(query, screen)


async def take_words(session: Session, said: str, turn: Turn, context: Context) -> Screen:
    """The answer to the question what does not work."""
    t, contact = context.texts(turn.customer), context.shop.support
    if not said.strip():
        return screens.ask_words(t)
    await customers.set_dialog(session, turn.customer.user_id, None)
    try:
        made = await _complain(session, turn, context, Complaint.OTHER, said)
    except TooManyComplaints:
        return screens.too_many(t, contact=contact)
    return screens.thanks(t, contact=contact, is_known=_is_known(made))


def _is_known(made: Made | None) -> bool:
    return made is not None and made.incident_id is not None


async def _complain(
    session: Session, turn: Turn, context: Context, kind: Complaint, said: str = ""
) -> Made | None:
    """Keep it, and show it to the operators where it makes no incident of its own; no phone sounds.

    None where nobody is called. Raises TooManyComplaints.
    """
    if (deps := context.incidents) is None:
        return None
    made = await complaints.complain(session, deps, turn.customer.user_id, kind, said)
    if made.incident_id is None and deps.chat_id is not None and (said or not made.is_repeat):
        await say(
            session,
            deps.jobs,
            key=f"complaint:{made.complaint_id}:{turn.update_id}",
            text=_for_operators(turn, kind, made, said),
            now=context.now,
            is_silent=True,
        )
    return made


def _for_operators(turn: Turn, kind: Complaint, made: Made, said: str) -> str:
    who = f"{escape(turn.customer.first_name)} · {turn.customer.user_id}"
    proof = ""
    if kind is Complaint.PAID:
        proof = ": так и есть, ждёт" if made.is_proved else ": оплаченного и не выданного не видим"
    words = [f"«{escape(said.strip())}»"] if said.strip() else []
    card = f"Клиент: /admin {turn.customer.user_id} в личном чате со мной"
    return "\n".join((f"💬 <b>Жалоба</b> · {who}", f"{COMPLAINTS[kind]}{proof}", *words, card))
