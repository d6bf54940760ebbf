"""Plans, ways to pay, the waiting screen, Telegram's last question before it takes Stars."""

import contextlib
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from aiogram import F, Router
from aiogram.filters import Command
from aiogram.methods import TelegramMethod
from aiogram.types import CallbackQuery, Message, PreCheckoutQuery

from getpro.bot.context import Context
from getpro.bot.orders import screen_of, show_newest
from getpro.bot.screens import buying as screens
from getpro.bot.screens.screen import AboutOrder, Buy, ChoosePlan, Go, Screen
from getpro.bot.showing import message_id_of, nothing, say, send, show
from getpro.bot.turn import Turn
from getpro.catalog import closures
from getpro.catalog import store as catalog
from getpro.catalog.closures import Closure, Closures
from getpro.catalog.store import PlanGone
from getpro.customers import store as customers
from getpro.customers.store import CustomerGone
from getpro.payments import store as payments
from getpro.payments.provider import Provider
from getpro.payments.states import PaymentStatus
from getpro.payments.store import Payment
from getpro.platform.database import Session
from getpro.sales import checkout, polling, precheckout, reads
from getpro.sales.errors import EmailNeeded, ShopClosed, UnknownProvider, WayClosed
from getpro.sales.reads import OnScreen

router = Router(name="buying")

_EMAIL: Final = re.compile(
    r"[A-Za-z0-9_%+-]+(?:\.[A-Za-z0-9_%+-]+)*@(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,24}"
)
_LONGEST_EMAIL: Final = 254
_ASKING_TAKES: Final = timedelta(seconds=20)
"""Longer than a provider is waited for."""
_SAME_ORDER_FOR: Final = timedelta(minutes=10)
"""Payment pages live longer than this."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """The order is written."""

    payment: Payment


@dataclass(frozen=True, slots=True)
class Instead:
    """No order could be written; the screen leads on."""

    screen: Screen


@dataclass(frozen=True, slots=True)
class EmailFor:
    """The dialog in which the next message is an address for the receipt, and what is bought with it."""

    plan_id: int
    provider: str

    def pack(self) -> str:
        return f"email:{self.plan_id}:{self.provider}"

    @classmethod
    def parse(cls, dialog: str | None) -> "EmailFor | None":
        """None for any other dialog, such as one of another version."""
        match (dialog or "").split(":"):
            case ["email", plan_id, provider] if plan_id.isdecimal():
                return cls(int(plan_id), provider)
        return None


@router.callback_query(Go.filter(F.to == "plans"))
async def plans(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    async with turn.look("plans") as session:
        screen = await _plans(session, turn, context)
    return await show(query, screen)


@router.message(Command("plans"))
async def plans_command(message: Message, turn: Turn, context: Context) -> TelegramMethod[Message]:
    async with turn.look("plans") as session:
        screen = await _plans(session, turn, context)
    return say(message, screen)


@router.callback_query(ChoosePlan.filter())
async def ways(
    query: CallbackQuery, callback_data: ChoosePlan, turn: Turn, context: Context
) -> TelegramMethod[bool]:
    async with turn.look("ways") as session:
        screen = await _ways(session, callback_data.plan_id, turn, context)
    return await show(query, screen)


@router.callback_query(Go.filter(F.to == "renew"))
async def renew(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    """Last time's plan and way at once: the reminder, one press, the payment page."""
    return await _buy(query, None, turn, context)


@router.callback_query(Buy.filter())
async def buy(query: CallbackQuery, callback_data: Buy, turn: Turn, context: Context) -> TelegramMethod[bool]:
    return await _buy(query, callback_data, turn, context)


async def _buy(
    query: CallbackQuery, wanted: Buy | None, turn: Turn, context: Context
) -> TelegramMethod[bool]:
    """Write the order, then ask the provider: what is committed is found again after any crash.

    ``wanted`` is None for what was bought last time. A second tap while the provider is being asked does
    nothing; a later one shows the order that waits.
    """
    message_id, waiting = message_id_of(query), None
    async with turn.begin("checkout") as session:
        wanted = wanted or await _last_time(session, turn)
        if wanted is None:
            result: Ordered | Instead = Instead(await _plans(session, turn, context))
        elif (waiting := await _same_order(session, wanted, message_id, turn, context)) is not None:
            result = Ordered(waiting)
        else:
            result = await _order(session, wanted, turn, context)
        if isinstance(result, Ordered) and message_id is not None:
            await payments.set_screen(session, result.payment.payment_id, message_id)
    if isinstance(result, Instead):
        return await show(query, result.screen)
    if message_id is None:
        await show_new_order(query.from_user.id, result.payment, turn, context)
        return nothing(query)
    if waiting is None:
        await checkout.ask_provider(context.sales, result.payment)
    elif waiting.pay_url is None and context.now - waiting.created_at < _ASKING_TAKES:
        return nothing(query)
    return await show_order(query, result.payment, turn, context)


@router.callback_query(AboutOrder.filter(F.do == "check"))
async def check(
    query: CallbackQuery, callback_data: AboutOrder, turn: Turn, context: Context
) -> TelegramMethod[bool]:
    async with turn.begin("check") as session:
        t = context.texts(turn.customer)
        payment = await own_order(session, turn, callback_data)
    if payment is None:
        return nothing(query)
    fresh = await polling.check_now(context.sales, payment.payment_id) or payment
    async with turn.begin("found") as session:
        is_kept = await reads.is_money_kept(session, fresh)
    is_waiting = fresh.status is PaymentStatus.PENDING and not is_kept
    return await show_order(query, fresh, turn, context, t("waiting-not-yet") if is_waiting else None)


@router.callback_query(AboutOrder.filter(F.do == "cancel"))
async def cancel(
    query: CallbackQuery, callback_data: AboutOrder, turn: Turn, context: Context
) -> TelegramMethod[bool]:
    async with turn.begin("cancel") as session:
        payment = await own_order(session, turn, callback_data)
        if payment is None:
            return nothing(query)
        user_id = turn.customer.user_id
        await checkout.give_up(session, context.sales, user_id=user_id, payment_id=payment.payment_id)
        payment = await payments.by_id(session, payment.payment_id) or payment
    return await show_order(query, payment, turn, context, _paid_meanwhile(payment, turn, context))


@router.callback_query(AboutOrder.filter(F.do == "another"))
async def another_way(
    query: CallbackQuery, callback_data: AboutOrder, turn: Turn, context: Context
) -> TelegramMethod[bool]:
    """Offer the ways again; the old order stays, for its money may be on its way."""
    async with turn.begin("another way") as session:
        payment = await own_order(session, turn, callback_data)
        if payment is None:
            return nothing(query)
        is_kept = await reads.is_money_kept(session, payment)
        is_over = is_kept or payment.status is PaymentStatus.SUCCEEDED
        ways = None if is_over else await _ways(session, payment.plan_id, turn, context)
    if ways is not None:
        return await show(query, ways)
    return await show_order(query, payment, turn, context, _paid_meanwhile(payment, turn, context))


@router.pre_checkout_query()
async def pre_checkout(query: PreCheckoutQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    refusal = await precheckout.approve(
        context.sales,
        payload=query.invoice_payload,
        payer_id=query.from_user.id,
        amount=query.total_amount,
        currency=query.currency,
    )
    if refusal is None:
        return query.answer(ok=True)
    language = turn.language
    async with context.sales.db.begin("refusal") as session:
        with contextlib.suppress(CustomerGone):
            language = (await customers.customer(session, query.from_user.id)).language
    return query.answer(ok=False, error_message=context.texts_in(language)(f"precheckout-{refusal}"))


async def take_email(
    session: Session, text: str, asked: EmailFor, turn: Turn, context: Context
) -> Ordered | Instead:
    """The answer to the question for an e-mail: keep it and write the order for which it was asked."""
    address = text.strip()
    if len(address) > _LONGEST_EMAIL or not _EMAIL.fullmatch(address):
        return Instead(screens.ask_email(context.texts(turn.customer), is_wrong=True))
    await customers.set_email(session, turn.customer.user_id, address)
    return await _order(session, Buy(plan_id=asked.plan_id, provider=asked.provider), turn, context)


async def show_new_order(chat_id: int, payment: Payment, turn: Turn, context: Context) -> None:
    """Show an order on a message of its own, which turns when the money comes."""
    payment = await checkout.ask_provider(context.sales, payment)
    async with turn.begin("new order") as session:
        screen = screen_of(await _as_it_stands(session, payment), context)
    sent = await send(context.bot, chat_id, screen)
    async with turn.begin("screen") as session:
        await payments.set_screen(session, payment.payment_id, sent)


async def order_made(
    session: Session, wanted: Buy | None, query: CallbackQuery, turn: Turn, context: Context
) -> Payment | None:
    """The order that this press, come again, has made; ``wanted`` is None for what was bought last time."""
    wanted = wanted or await _last_time(session, turn)
    if wanted is None:
        return None
    return await _same_order(session, wanted, message_id_of(query), turn, context)


async def own_order(session: Session, turn: Turn, about: AboutOrder) -> Payment | None:
    """The order, if it is the customer's own."""
    payment = await payments.by_id(session, about.payment_id)
    return payment if payment is not None and payment.user_id == turn.customer.user_id else None


async def show_order(
    query: CallbackQuery, payment: Payment, turn: Turn, context: Context, toast: str | None = None
) -> TelegramMethod[bool]:
    """Show the order as it stands now."""

    async def read() -> Screen:
        async with turn.begin("order") as session:
            return screen_of(await _as_it_stands(session, payment), context)

    return await show_newest(await read(), read, lambda screen: show(query, screen, toast))


async def _as_it_stands(session: Session, payment: Payment) -> OnScreen:
    fresh = await reads.on_screen(session, payment.payment_id)
    assert fresh is not None
    return fresh


async def _order(session: Session, wanted: Buy, turn: Turn, context: Context) -> Ordered | Instead:
    try:
        payment = await checkout.write_order(
            session,
            context.sales,
            user_id=turn.customer.user_id,
            plan_id=wanted.plan_id,
            provider_code=wanted.provider,
        )
    except EmailNeeded:
        dialog = EmailFor(wanted.plan_id, wanted.provider)
        await customers.set_dialog(session, turn.customer.user_id, dialog.pack())
        return Instead(screens.ask_email(context.texts(turn.customer)))
    except (UnknownProvider, WayClosed):
        return Instead(await _ways(session, wanted.plan_id, turn, context, note="ways-gone"))
    except ShopClosed:
        return Instead(await _plans(session, turn, context))
    except PlanGone:
        return Instead(await _plans(session, turn, context, note="plans-gone"))
    return Ordered(payment)


async def _same_order(
    session: Session, wanted: Buy, message_id: int | None, turn: Turn, context: Context
) -> Payment | None:
    """The order that this message has shown a moment ago, if the same is wanted again."""
    if message_id is None:
        return None
    return await reads.order_on_screen(
        session,
        turn.customer.user_id,
        message_id=message_id,
        plan_id=wanted.plan_id,
        provider=wanted.provider,
        since=context.now - _SAME_ORDER_FOR,
    )


async def _last_time(session: Session, turn: Turn) -> Buy | None:
    last = await reads.last_purchase(session, turn.customer.user_id)
    return Buy(plan_id=last.plan_id, provider=last.provider) if last is not None and last.plan_id else None


async def _plans(session: Session, turn: Turn, context: Context, *, note: str | None = None) -> Screen:
    t = context.texts(turn.customer)
    closed = await closures.read(session)
    if closed.shop is not None:
        return screens.closed_shop(t, closed.shop)
    offered = await catalog.active_plans(session)
    ways, shut = _open(context, closed)
    return screens.plans(t, offered, ways=ways, closed=shut, note=t(note) if note else None)


async def _ways(
    session: Session, plan_id: int | None, turn: Turn, context: Context, *, note: str | None = None
) -> Screen:
    t = context.texts(turn.customer)
    closed = await closures.read(session)
    if closed.shop is not None:
        return screens.closed_shop(t, closed.shop)
    try:
        plan = await catalog.active_plan(session, plan_id or 0)
    except PlanGone:
        return await _plans(session, turn, context, note="plans-gone")
    ways, shut = _open(context, closed)
    return screens.ways_to_pay(t, plan, ways, closed=shut, note=t(note) if note else None)


def _open(context: Context, closed: Closures) -> tuple[list[Provider], dict[str, Closure]]:
    """The ways in which a payment can be begun, and those of the shop's that are shut just now."""
    every = context.sales.providers.active
    shut = {way.code: closed.ways[way.code] for way in every if way.code in closed.ways}
    return [way for way in every if way.code not in shut], shut


def _paid_meanwhile(payment: Payment, turn: Turn, context: Context) -> str | None:
    """A quiet word where the button stood on a screen that the money has overtaken."""
    is_paid = payment.status is PaymentStatus.SUCCEEDED
    return context.texts(turn.customer)("screen-old") if is_paid else None
