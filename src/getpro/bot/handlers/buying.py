"""Plans, ways to pay, the waiting screen, Telegram's last question before it takes Stars."""

import re

from aiogram import F, Router
from aiogram.filters import Command
from aiogram.methods import TelegramMethod
from aiogram.types import CallbackQuery, Message, PreCheckoutQuery
from sqlalchemy.ext.asyncio import AsyncSession

from getpro.bot.context import Context
from getpro.bot.screens import buying as screens
from getpro.bot.screens.screen import AboutOrder, Buy, ChoosePlan, Go, Screen
from getpro.bot.showing import message_id_of, nothing, say, show
from getpro.bot.texts import Texts, language_of, texts_of
from getpro.bot.turn import Turn
from getpro.catalog import store as catalog
from getpro.catalog.store import PlanGone
from getpro.customers import store as customers
from getpro.payments import store as payments
from getpro.payments.states import PaymentStatus
from getpro.payments.store import Payment
from getpro.sales import checkout, polling, precheckout, reads
from getpro.sales.errors import EmailNeeded, UnknownProvider
from getpro.subscriptions import store as subscriptions

router = Router(name="buying")

_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}")


@router.callback_query(Go.filter(F.to == "plans"))
async def plans(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    async with turn.begin("plans") as session:
        screen = await _plans(session, turn, context)
    return await show(query, screen)


@router.message(Command("plans"))
async def plans_command(message: Message, turn: Turn, context: Context) -> TelegramMethod[Message]:
    async with turn.begin("plans") as session:
        screen = await _plans(session, turn, context)
    return say(message, screen)


@router.callback_query(ChoosePlan.filter())
async def ways(
    query: CallbackQuery, callback_data: ChoosePlan, turn: Turn, context: Context
) -> TelegramMethod[bool]:
    async with turn.begin("ways") as session:
        t = context.texts(turn.customer)
        try:
            plan = await catalog.active_plan(session, callback_data.plan_id)
            screen = screens.ways_to_pay(t, plan, context.sales.providers.active)
        except PlanGone:
            screen = await _plans(session, turn, context)
    return await show(query, screen)


@router.callback_query(Go.filter(F.to == "renew"))
async def renew(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    """Last time's plan and way at once: the reminder, one press, the payment page."""
    async with turn.begin("renew") as session:
        last = await reads.last_purchase(session, turn.customer.user_id)
    if last is None or last.plan_id is None or last.provider not in context.sales.providers.by_code:
        async with turn.begin("plans") as session:
            screen = await _plans(session, turn, context)
        return await show(query, screen)
    return await _buy(query, Buy(plan_id=last.plan_id, provider=last.provider), turn, context)


@router.callback_query(Buy.filter())
async def buy(query: CallbackQuery, callback_data: Buy, turn: Turn, context: Context) -> TelegramMethod[bool]:
    return await _buy(query, callback_data, turn, context)


async def _buy(query: CallbackQuery, wanted: Buy, turn: Turn, context: Context) -> TelegramMethod[bool]:
    """Write the order, then ask the provider: what is committed is found again after any crash."""
    try:
        async with turn.begin("checkout") as session:
            payment = await checkout.write_order(
                session,
                context.sales,
                user_id=turn.customer.user_id,
                plan_id=wanted.plan_id,
                provider_code=wanted.provider,
            )
            if (message_id := message_id_of(query)) is not None:
                await payments.set_screen(session, payment.payment_id, message_id)
    except EmailNeeded:
        async with turn.begin("ask email") as session:
            dialog = f"email:{wanted.plan_id}:{wanted.provider}"
            await customers.set_dialog(session, query.from_user.id, dialog)
            t = texts_of(language_of(query.from_user.language_code), context.zone)
        return await show(query, screens.ask_email(t))
    except (PlanGone, UnknownProvider):
        async with turn.begin("plans") as session:
            t, screen = context.texts(turn.customer), await _plans(session, turn, context)
        return await show(query, screen, t("plans-gone"))
    asked = await checkout.ask_provider(context.sales, payment)
    return await show(query, screens.order(context.texts(turn.customer), asked, None))


@router.callback_query(AboutOrder.filter(F.do == "check"))
async def check(
    query: CallbackQuery, callback_data: AboutOrder, turn: Turn, context: Context
) -> TelegramMethod[bool]:
    async with turn.begin("check") as session:
        t = context.texts(turn.customer)
        payment = await _own(session, turn, callback_data)
    if payment is None:
        return nothing(query)
    fresh = await polling.check_now(context.sales, payment.payment_id) or payment
    toast = t("waiting-not-yet") if fresh.status is PaymentStatus.PENDING else None
    return await show(query, await _order_screen(turn, context, fresh), toast)


@router.callback_query(AboutOrder.filter(F.do == "cancel"))
async def cancel(
    query: CallbackQuery, callback_data: AboutOrder, turn: Turn, context: Context
) -> TelegramMethod[bool]:
    async with turn.begin("cancel") as session:
        payment = await _own(session, turn, callback_data)
        if payment is not None:
            await checkout.give_up(
                session, context.sales, user_id=turn.customer.user_id, payment_id=payment.payment_id
            )
            payment = await payments.by_id(session, payment.payment_id)
    if payment is None:
        return nothing(query)
    return await show(query, await _order_screen(turn, context, payment))


@router.callback_query(AboutOrder.filter(F.do == "another"))
async def another_way(
    query: CallbackQuery, callback_data: AboutOrder, turn: Turn, context: Context
) -> TelegramMethod[bool]:
    """Offer the ways again; the old order stays, for its money may be on its way."""
    async with turn.begin("another way") as session:
        t = context.texts(turn.customer)
        payment = await _own(session, turn, callback_data)
        try:
            plan = await catalog.active_plan(session, payment.plan_id or 0 if payment else 0)
            screen = screens.ways_to_pay(t, plan, context.sales.providers.active)
        except PlanGone:
            screen = await _plans(session, turn, context)
    return await show(query, screen)


@router.pre_checkout_query()
async def pre_checkout(query: PreCheckoutQuery, context: Context) -> TelegramMethod[bool]:
    refusal = await precheckout.approve(
        context.sales,
        payload=query.invoice_payload,
        payer_id=query.from_user.id,
        amount=query.total_amount,
        currency=query.currency,
    )
    if refusal is None:
        return query.answer(ok=True)
    t = texts_of(language_of(query.from_user.language_code), context.zone)
    return query.answer(ok=False, error_message=t(f"precheckout-{refusal}"))


async def take_email(
    message: Message, dialog: str, turn: Turn, context: Context
) -> TelegramMethod[Message] | None:
    """The answer to the question for an e-mail: keep it and go on buying where it was asked."""
    t = context.texts(turn.customer)
    address = (message.text or "").strip()
    if not _EMAIL.fullmatch(address):
        return say(message, screens.ask_email(t, is_wrong=True))
    _, plan_id, provider = dialog.split(":")
    async with turn.begin("email") as session:
        await customers.set_email(session, turn.customer.user_id, address)
        payment = await checkout.write_order(
            session,
            context.sales,
            user_id=turn.customer.user_id,
            plan_id=int(plan_id),
            provider_code=provider,
        )
    asked = await checkout.ask_provider(context.sales, payment)
    screen = screens.order(t, asked, None)
    sent = await context.bot.send_message(message.chat.id, screen.text, reply_markup=screen.keyboard())
    async with turn.begin("screen") as session:
        await payments.set_screen(session, payment.payment_id, sent.message_id)
    return None


async def _plans(session: AsyncSession, turn: Turn, context: Context) -> Screen:
    t: Texts = context.texts(turn.customer)
    return screens.plans(t, await catalog.active_plans(session), ways=context.sales.providers.active)


async def _own(session: AsyncSession, turn: Turn, about: AboutOrder) -> Payment | None:
    """The order, if it is the customer's own."""
    payment = await payments.by_id(session, about.payment_id)
    return payment if payment is not None and payment.user_id == turn.customer.user_id else None


async def _order_screen(turn: Turn, context: Context, payment: Payment) -> Screen:
    async with turn.begin("order") as session:
        subscription = await subscriptions.of_customer(session, payment.user_id)
    return screens.order(context.texts(turn.customer), payment, subscription)
