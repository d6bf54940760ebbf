"""The operators' desk: find a customer, act for them, see the day and what is stuck.

Whoever is no operator gets here by no command and no button; each use case looks once more by itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from aiogram import F, Router
from aiogram.filters import BaseFilter, Command, CommandObject
from aiogram.methods import TelegramMethod
from aiogram.types import CallbackQuery, Message, User

from getpro.bot.context import Context
from getpro.bot.screens import desk as screens
from getpro.bot.screens.screen import Button, Desk, OnCustomer, OnPayment, OnStuck, Screen
from getpro.bot.showing import say, show
from getpro.bot.texts import Texts
from getpro.bot.turn import Turn
from getpro.catalog.store import PlanGone
from getpro.customers import store as customers
from getpro.customers.store import CustomerGone
from getpro.panel.errors import PanelError
from getpro.payments.provider import ProviderError
from getpro.sales import decisions, desk, refunds
from getpro.sales.desk import Match
from getpro.sales.errors import CannotDo, SaleError
from getpro.sales.staff import Operator, is_operator

router = Router(name="desk")


class ByOperator(BaseFilter):
    """Only whom the settings name; for all others the desk does not exist."""

    async def __call__(self, event: Message | CallbackQuery, context: Context) -> bool:
        return event.from_user is not None and is_operator(context.sales, event.from_user.id)


router.message.filter(ByOperator())
router.callback_query.filter(ByOperator())

_LONGEST_FIGURE: Final = 9
_ON_CUSTOMER: Final = frozenset({"extend", "message", "block", "unblock"})
_ON_PAYMENT: Final = frozenset({"refund", "part", "hand"})
_ON_STUCK: Final = frozenset({"retry", "credit", "refunded", "dismiss"})


@dataclass(frozen=True, slots=True)
class Asked:
    """What the bot has asked the operator, kept as the dialog: ``desk:extend:101``."""

    deed: str
    subject: str

    def pack(self) -> str:
        return f"desk:{self.deed}:{self.subject}"

    @classmethod
    def parse(cls, dialog: str | None) -> "Asked | None":
        match (dialog or "").split(":", 2):
            case ["desk", deed, subject]:
                return cls(deed, subject)
        return None


class Answers(BaseFilter):
    """A text while a question of the desk's is open; a command answers none."""

    async def __call__(self, message: Message, context: Context) -> bool | dict[str, Any]:
        if message.from_user is None or not message.text or message.text.startswith("/"):
            return False
        async with context.sales.db.read("desk: asked") as session:
            dialog = await customers.dialog_of(session, message.from_user.id)
        asked = Asked.parse(dialog)
        return False if asked is None else {"asked": asked}


@router.message(Command("admin"))
async def admin(
    message: Message, command: CommandObject, turn: Turn, context: Context
) -> TelegramMethod[Any]:
    by = _operator(turn.person)
    if not command.args:
        return say(message, await _day(turn, context, by))
    async with turn.begin("desk: find") as session:
        found = await desk.find(session, context.sales, command.args, by=by)
        t = context.texts(turn.customer)
    return say(message, await _found(t, found, context, by))


@router.callback_query(Desk.filter(F.to == "day"))
async def day(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    return await show(query, await _day(turn, context, _operator(query.from_user)))


@router.callback_query(Desk.filter(F.to == "find"))
async def find(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    return await _ask(query, turn, context, Asked("find", ""), screens.home)


@router.callback_query(Desk.filter(F.to == "stuck"))
async def stuck(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    async with turn.begin("desk: stuck"):
        t = context.texts(turn.customer)
    items = await desk.stuck(context.sales, by=_operator(query.from_user))
    return await show(query, screens.stuck(t, items))


@router.callback_query(OnCustomer.filter(F.do == "show"))
async def customer(
    query: CallbackQuery, callback_data: OnCustomer, turn: Turn, context: Context
) -> TelegramMethod[bool]:
    async with turn.begin("desk: customer"):
        t = context.texts(turn.customer)
    by = _operator(query.from_user)
    return await show(query, await _customer(t, callback_data.user_id, context, by))


@router.callback_query(OnCustomer.filter(F.do == "payments"))
async def payments(
    query: CallbackQuery, callback_data: OnCustomer, turn: Turn, context: Context
) -> TelegramMethod[bool]:
    async with turn.begin("desk: payments"):
        t = context.texts(turn.customer)
    try:
        card = await desk.card(context.sales, callback_data.user_id, by=_operator(query.from_user))
    except CustomerGone:
        return await show(query, screens.found(t, []))
    return await show(query, screens.payments(t, card))


@router.callback_query(OnCustomer.filter(F.do.in_(_ON_CUSTOMER)))
async def act_on_customer(
    query: CallbackQuery, callback_data: OnCustomer, turn: Turn, context: Context
) -> TelegramMethod[bool]:
    number = callback_data.user_id
    asked = Asked(callback_data.do, str(number))
    return await _ask(query, turn, context, asked, lambda t: screens.to_customer(t, number), id=str(number))


@router.callback_query(OnPayment.filter(F.do == "show"))
async def payment(
    query: CallbackQuery, callback_data: OnPayment, turn: Turn, context: Context
) -> TelegramMethod[bool]:
    async with turn.begin("desk: payment") as session:
        by = _operator(query.from_user)
        one = await desk.payment(session, context.sales, callback_data.payment_id, by=by)
        t = context.texts(turn.customer)
    if one is None:
        return await show(query, screens.found(t, []))
    provider = context.sales.providers.by_code.get(one.payment.provider)
    return await show(query, screens.payment(t, one, provider.gives_back if provider else None))


@router.callback_query(OnPayment.filter(F.do.in_(_ON_PAYMENT)))
async def act_on_payment(
    query: CallbackQuery, callback_data: OnPayment, turn: Turn, context: Context
) -> TelegramMethod[bool]:
    number = callback_data.payment_id
    async with turn.begin("desk: refund") as session:
        one = await desk.payment(session, context.sales, number, by=_operator(query.from_user))
        t = context.texts(turn.customer)
    if one is None:
        return await show(query, screens.found(t, []))
    left = t.money(one.left)
    back = Button(t("button-back"), OnPayment(do="show", payment_id=number))
    return await _ask(
        query, turn, context, Asked(callback_data.do, str(number)), lambda _: back, id=number, sum=left
    )


@router.callback_query(OnStuck.filter(F.do == "show"))
async def entry(
    query: CallbackQuery, callback_data: OnStuck, turn: Turn, context: Context
) -> TelegramMethod[bool]:
    async with turn.begin("desk: entry"):
        t = context.texts(turn.customer)
    items = await desk.stuck(context.sales, by=_operator(query.from_user))
    item = next((one for one in items if one.reference == callback_data.reference), None)
    if item is None:
        return await show(query, screens.stuck(t, items), t("desk-stuck-gone"))
    return await show(query, screens.entry(t, item))


@router.callback_query(OnStuck.filter(F.do.in_(_ON_STUCK)))
async def act_on_entry(
    query: CallbackQuery, callback_data: OnStuck, turn: Turn, context: Context
) -> TelegramMethod[bool]:
    reference = callback_data.reference
    asked = Asked(callback_data.do, reference)
    return await _ask(query, turn, context, asked, lambda t: screens.to_entry(t, reference), id=reference)


@router.message(Answers())
async def answer(message: Message, asked: Asked, turn: Turn, context: Context) -> TelegramMethod[Message]:
    """Do what was asked about, and show how things stand then; a refusal leaves the question open."""
    by, said = _operator(turn.person), (message.text or "").strip()
    try:
        return say(message, await _answered(asked, said, turn, context, by))
    except (SaleError, CustomerGone, PlanGone) as error:
        name, why = "desk-failed", _why(error)
    except (ProviderError, PanelError) as error:
        name, why = "desk-away", str(error)[:300]
    async with context.sales.db.begin("desk: ask again") as session:
        await customers.ask_again(session, turn.customer.user_id, asked.pack())
    t = context.texts(turn.customer)
    return say(message, Screen(t(name, why=why), ((screens.home(t),),)))


async def _answered(asked: Asked, said: str, turn: Turn, context: Context, by: Operator) -> Screen:
    """A deed of ours alone is done with the update's mark; what asks outside comes after it.

    The question is closed first: a kill may leave a deed undone, and the operator asks once more, but the
    next text never does for the second time what a kill had left done and unsaid.
    """
    sales, number = context.sales, int(asked.subject) if asked.subject.isdecimal() else 0
    note, found = "", None
    async with turn.begin("desk: answer") as session:
        t = context.texts(turn.customer)
        await customers.set_dialog(session, turn.customer.user_id, None)
        match asked.deed:
            case "find":
                found = await desk.find(session, sales, said, by=by)
            case "extend":
                days, reason = _figure(said)
                after = await desk.give_days(session, sales, number, days=days, by=by, reason=reason)
                note = t("desk-extended", end=t.moment(after.end_date))
            case "block":
                await desk.block(session, sales, number, by=by, reason=said)
            case "unblock":
                await desk.unblock(session, sales, number, by=by, reason=said)
            case "message":
                await desk.write_to(session, sales, number, said, by=by)
    if found is not None:
        return await _found(t, found, context, by)
    if asked.deed in _ON_CUSTOMER:
        return await _customer(t, number, context, by, note=note or t(f"desk-done-{asked.deed}"))
    if asked.deed in _ON_PAYMENT:
        return await _give_back(t, asked.deed, number, said, context, by)
    return await _decide(t, asked, said, context, by)


async def _give_back(
    t: Texts, deed: str, payment_id: int, said: str, context: Context, by: Operator
) -> Screen:
    amount, reason = (None, said) if deed == "refund" else _first_word(said)
    made = await refunds.ask_refund(
        context.sales, payment_id, by=by, reason=reason, amount=amount, by_hand=deed == "hand"
    )
    async with context.sales.db.read("desk: refunded") as session:
        one = await desk.payment(session, context.sales, payment_id, by=by)
    assert one is not None
    return await _customer(t, one.payment.user_id, context, by, note=screens.refunded(t, made))


async def _decide(t: Texts, asked: Asked, said: str, context: Context, by: Operator) -> Screen:
    """A decision about an entry of the list, then what is left of that."""
    sales, reference = context.sales, asked.subject
    match asked.deed:
        case "retry":
            outcome = await decisions.retry(sales, reference, by=by, reason=said)
            ending = outcome.ending.replace(" ", "-")
            note = t("desk-done-retry", outcome=t(f"ending-{ending}"))
        case "credit":
            user_id, plan_id, reason = _for_whom(said)
            paid = await decisions.credit(
                sales, reference, by=by, reason=reason, user_id=user_id, plan_id=plan_id
            )
            note = t("desk-done-credit", id=paid.payment_id)
        case "refunded":
            await decisions.mark_refunded(sales, reference, by=by, reason=said)
            note = t("desk-done-refunded")
        case _:
            await decisions.dismiss(sales, reference, by=by, reason=said)
            note = t("desk-done-dismiss")
    listed = screens.stuck(t, await desk.stuck(sales, by=by))
    return Screen(f"{t('desk-note', note=note)}\n\n{listed.text}", listed.rows)


async def _ask(
    query: CallbackQuery,
    turn: Turn,
    context: Context,
    asked: Asked,
    back: Callable[[Texts], Button],
    **values: str | int,
) -> TelegramMethod[bool]:
    async with turn.begin("desk: ask") as session:
        t = context.texts(turn.customer)
        await customers.set_dialog(session, turn.customer.user_id, asked.pack())
    return await show(query, screens.ask(t, asked.deed, back=back(t), **values))


async def _day(turn: Turn, context: Context, by: Operator) -> Screen:
    async with turn.begin("desk: day") as session:
        t = context.texts(turn.customer)
        today = await desk.today(session, context.sales, context.zone, by=by)
    return screens.day(t, today, len(await desk.stuck(context.sales, by=by)))


async def _found(t: Texts, found: list[Match], context: Context, by: Operator) -> Screen:
    if len(found) == 1:
        return await _customer(t, found[0].user_id, context, by)
    return screens.found(t, found)


async def _customer(
    t: Texts, user_id: int, context: Context, by: Operator, *, note: str | None = None
) -> Screen:
    try:
        card = await desk.card(context.sales, user_id, by=by)
    except CustomerGone:
        return screens.found(t, [])
    return screens.customer(t, card, note=note)


def _operator(person: User) -> Operator:
    """By the name that people know, and by the number, which nobody can change or take over."""
    name = f"@{person.username} ({person.id})" if person.username else str(person.id)
    return Operator(name, person.id)


def _first_word(said: str) -> tuple[str, str]:
    word, _, rest = said.partition(" ")
    return word, rest.strip()


def _figure(said: str) -> tuple[int, str]:
    word, rest = _first_word(said)
    if not word.isdecimal() or len(word) > _LONGEST_FIGURE:
        raise CannotDo("сначала число дней, потом причина, например: 7 сбой 24 ноября")
    return int(word), rest


def _for_whom(said: str) -> tuple[int | None, int | None, str]:
    """Customer, plan and reason, where the first two are named."""
    match said.split(" ", 2):
        case [user, plan, reason] if user.isdecimal() and plan.isdecimal():
            return int(user), int(plan), reason
    return None, None, said


def _why(error: Exception) -> str:
    if isinstance(error, CustomerGone):
        return f"клиента {error} нет"
    return f"тарифа {error} нет" if isinstance(error, PlanGone) else str(error)
