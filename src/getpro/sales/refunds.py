"""Giving money back: asked for by a person, or found at the provider's; access follows.

A refund has happened when the provider's books have it, whoever asked for it, and each is recorded once.
Source: docs/decisions/0010-refunds.md.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import uuid4

import structlog

from getpro.customers import store as customers
from getpro.kit.money import Money, NotMoney
from getpro.messaging.states import NoticeKind
from getpro.messaging.store import add_notice
from getpro.payments import inbox, refunds
from getpro.payments import store as payments
from getpro.payments.provider import (
    Charge,
    GivesBack,
    NoSuchCharge,
    Provider,
    ProviderRefused,
    ProviderUnavailable,
    Refund,
)
from getpro.payments.refunds import RefundRow
from getpro.payments.rules import days_back, overpaid, share
from getpro.payments.states import Actor, PaymentStatus, RefundOrigin, RefundStatus, StuckMoney
from getpro.payments.store import Payment
from getpro.platform import audit
from getpro.platform.database import Session
from getpro.platform.jobs import RetryLater
from getpro.sales.checkout import turn_screen
from getpro.sales.delivery import defer_delivery
from getpro.sales.deps import Deps
from getpro.sales.errors import CannotRefund, UnknownProvider
from getpro.sales.names import REFUND
from getpro.sales.staff import Operator, require
from getpro.subscriptions import store as subscriptions

log = structlog.get_logger(__name__)

_WORKING_SECONDS: Final = 30
"""How long a provider that is still at it is left alone."""


async def ask_refund(
    deps: Deps,
    payment_id: int,
    *,
    by: Operator,
    reason: str,
    amount: str | None = None,
    by_hand: bool = False,
) -> RefundRow:
    """Give back ``amount`` of a payment, or all that is left of it; a flow. Return how the refund stands.

    The amount is a text in the currency that was paid, as an operator writes it: ``100`` or ``99,50``.

    ``by_hand``: a person has given it back past the provider, and only tells us; one that can give back
    itself is asked first, for the money may have gone back there. A provider that does not answer a refund
    is asked again by the job until it has. Raises CannotRefund, ProviderUnavailable.
    """
    require(deps, by)
    if not reason.strip():
        raise CannotRefund("причина пуста: она остаётся в записи")
    payment = await _paid_payment(deps, payment_id)
    assert payment.paid is not None
    money = None if amount is None else _read(amount, payment.paid.currency)
    charge = await (_look_by_hand(deps, payment) if by_hand else _look(deps, payment, money))
    if charge is not None:
        async with deps.db.begin("refund: look") as session:  # by itself: it stays, also if we then say no
            await customers.lock(session, payment.user_id)
            await note_refunded(session, deps, payment, charge)
    async with deps.db.begin("refund: ask") as session:
        await customers.lock(session, payment.user_id)
        refund = await _write(
            session, deps, payment, charge, money=money, by=by, reason=reason, by_hand=by_hand
        )
    if not by_hand:
        await _try_at_once(deps, refund.refund_id)
    async with deps.db.begin("refund: read") as session:
        return await _again(session, refund.refund_id)


async def _paid_payment(deps: Deps, payment_id: int) -> Payment:
    async with deps.db.begin("refund: payment") as session:
        payment = await payments.by_id(session, payment_id)
    if payment is None:
        raise CannotRefund(f"платежа {payment_id} нет")
    if payment.status is not PaymentStatus.SUCCEEDED:
        raise CannotRefund(f"платёж {payment_id} не оплачен, возвращать нечего")
    return payment


async def _look(deps: Deps, payment: Payment, money: Money | None) -> Charge:
    """The charge as the provider has it: part of it may have been given back in its cabinet."""
    assert payment.charge_id is not None
    provider = deps.provider(payment.provider)
    if provider.gives_back is GivesBack.NOTHING:
        raise CannotRefund(
            f"{payment.provider} сам денег не возвращает: верните их покупателю и повторите с --by-hand"
        )
    if provider.gives_back is GivesBack.WHOLE and money not in {None, payment.paid}:
        raise CannotRefund(f"{payment.provider} возвращает только всю сумму: {payment.paid}")
    try:
        return await provider.find(payment.charge_id)
    except NoSuchCharge as error:
        raise CannotRefund(f"провайдер не знает платежа {payment.charge_id}") from error


async def _look_by_hand(deps: Deps, payment: Payment) -> Charge | None:
    """The charge as the provider has it; None from one that cannot give back, is off, or knows it no more."""
    assert payment.charge_id is not None
    try:
        provider = deps.provider(payment.provider)
        return None if provider.gives_back is GivesBack.NOTHING else await provider.find(payment.charge_id)
    except (UnknownProvider, NoSuchCharge):
        return None


async def _write(
    session: Session,
    deps: Deps,
    payment: Payment,
    charge: Charge | None,
    *,
    money: Money | None,
    by: Operator,
    reason: str,
    by_hand: bool,
) -> RefundRow:
    """Write the refund that is asked for, and have it made; a step, under the customer's lock."""
    left = await _left(session, payment)
    money = money or left
    _check_amount(money, left)
    key, now = uuid4(), deps.clock()
    request = None
    if charge is not None and not by_hand:
        provider = deps.provider(payment.provider)
        customer = await customers.customer(session, payment.user_id)
        request = provider.refund_request(
            Refund(
                refund_key=key,
                charge_id=charge.charge_id,
                payer_id=charge.payer_id or payment.user_id,
                amount=money,
                email=customer.email,
                receipt_line=deps.rules.receipt_line(payment.days),
            )
        )
    refund = await refunds.add(
        session,
        payment_id=payment.payment_id,
        refund_key=key,
        money=money,
        origin=RefundOrigin.BY_HAND if by_hand else RefundOrigin.SHOP,
        request=request,
        by=by.name,
        reason=reason,
        now=now,
    )
    await audit.note(
        session,
        actor=by.name,
        action="payments.refund",
        subject=f"p{payment.payment_id}",
        reason=reason,
        outcome=f"r{refund.refund_id}: {money}",
        now=now,
    )
    if by_hand:
        await _complete(session, deps, payment, refund, now=now)
    else:
        await defer_refund(session, deps, refund.refund_id)
    return refund


async def _left(session: Session, payment: Payment) -> Money:
    """What of a payment is neither given back nor about to be."""
    assert payment.paid is not None
    left = payment.paid
    for earlier in await refunds.of_payment(session, payment.payment_id):
        if earlier.status in {RefundStatus.PENDING, RefundStatus.SUCCEEDED}:
            left -= earlier.refunded
    return left


def _read(amount: str, currency: str) -> Money:
    try:
        return Money.parse(amount.replace(",", "."), currency)
    except NotMoney as error:
        raise CannotRefund(f"{amount!r}: это не сумма в {currency}") from error


def _check_amount(money: Money, left: Money) -> None:
    if left.minor <= 0:
        raise CannotRefund("деньги уже возвращены или возвращаются")
    if not 0 < money.minor <= left.minor:
        raise CannotRefund(f"вернуть можно от {Money(1, left.currency)} до {left}")


async def try_refund_again(session: Session, deps: Deps, refund_id: int) -> None:
    """Ask the provider once more for a refund that it has refused, or that it is still at; a step.

    Raises CannotRefund, also where the money has gone back otherwise since the provider's no.
    """
    refund = await refunds.by_id(session, refund_id)
    payment = None if refund is None else await payments.by_id(session, refund.payment_id)
    if refund is None or payment is None:
        raise CannotRefund("такого возврата нет")
    await customers.lock(session, payment.user_id)
    refund = await _again(session, refund_id)
    if refund.status is RefundStatus.REFUSED:
        try:
            _check_amount(refund.refunded, await _left(session, payment))
        except CannotRefund as error:
            raise CannotRefund(f"{error}; уберите эту запись (dismiss)") from error
        await refunds.try_again(session, refund_id)
    elif refund.status is not RefundStatus.PENDING:
        raise CannotRefund("деньги уже возвращены или возврат отозван")
    await bring_refund_forward(session, deps, refund_id)


async def defer_refund(session: Session, deps: Deps, refund_id: int) -> None:
    """Have the provider asked; calls for one refund are made one after another."""
    await deps.jobs.defer(session, REFUND, lock=_lock(refund_id), refund_id=refund_id)


async def bring_refund_forward(session: Session, deps: Deps, refund_id: int) -> None:
    """Ask now: a call that waits for its next try holds the lock, so it is let run."""
    await deps.jobs.bring_forward(session, _lock(refund_id))
    await defer_refund(session, deps, refund_id)


def _lock(refund_id: int) -> str:
    return f"refund:{refund_id}"


async def _try_at_once(deps: Deps, refund_id: int) -> None:
    """Whoever asked sees the answer; where there is none yet, the job goes on."""
    try:
        await make_refund(deps, refund_id)
    except (ProviderUnavailable, RetryLater) as error:
        log.warning("refund.not_yet", refund_id=refund_id, error=str(error))


async def make_refund(deps: Deps, refund_id: int) -> None:
    """Have the provider give the money back, and record it; a flow, run as a job, any number of times.

    Raises ProviderUnavailable, UnknownProvider, RetryLater: the job tries again.
    """
    async with deps.db.begin("refund: read") as session:
        refund = await refunds.by_id(session, refund_id)
        payment = None if refund is None else await payments.by_id(session, refund.payment_id)
    if refund is None or payment is None or refund.status is not RefundStatus.PENDING:
        return
    assert refund.request is not None
    provider = deps.provider(payment.provider)
    try:
        is_done = await provider.refund(refund.refund_key, refund.request)
    except ProviderRefused as error:
        await _refused(deps, provider, payment, refund, str(error))
        return
    except ProviderUnavailable as error:
        async with deps.db.begin("refund: trouble") as session:
            await refunds.note_trouble(session, refund_id, trouble=str(error))
        raise
    if not is_done:
        raise RetryLater(_WORKING_SECONDS, "the provider is still at it")
    async with deps.db.begin("refund: done") as session:
        await customers.lock(session, payment.user_id)
        is_within = await _is_within(session, payment, refund)
        if is_within:
            await _complete(session, deps, payment, refund, now=deps.clock())
    if not is_within:  # a person had given it back by hand as well
        await _refused(deps, provider, payment, refund, "деньги ушли сверх того, что было заплачено")


async def note_error(deps: Deps, refund_id: int, error: Exception) -> None:
    """Remember that a refund met an error of ours; by its name, for its text may hold secrets. A flow."""
    async with deps.db.begin("refund: error") as session:
        await refunds.note_trouble(session, refund_id, trouble=inbox.OUR_ERROR + type(error).__name__)


async def _is_within(session: Session, payment: Payment, refund: RefundRow) -> bool:
    """Whether a refund that is not recorded yet fits into what was paid, beside those that are."""
    assert payment.paid is not None
    left = payment.paid
    for other in await refunds.of_payment(session, payment.payment_id):
        if other.status is RefundStatus.SUCCEEDED and other.refund_id != refund.refund_id:
            left -= other.refunded
    return refund.refunded.minor <= left.minor


async def _refused(deps: Deps, provider: Provider, payment: Payment, refund: RefundRow, why: str) -> None:
    """Note the no, unless the money was given back all the same: by the cabinet, which left too little."""
    assert payment.charge_id is not None
    try:
        charge = await provider.find(payment.charge_id)
    except NoSuchCharge:  # that is why it was refused
        charge = None
    async with deps.db.begin("refund: refused") as session:
        await customers.lock(session, payment.user_id)
        if charge is not None:
            await note_refunded(session, deps, payment, charge)
        if await refunds.refuse(session, refund.refund_id, trouble=why):
            log.error("refund.refused", refund_id=refund.refund_id, error=why)


async def note_refunded_before_credit(
    session: Session, deps: Deps, payment: Payment, refunded: Money
) -> None:
    """Record what had gone back when a person credited the rest for all the days; a step.

    Left unrecorded, it would be found later, and take days of what was credited. The caller holds the
    customer's lock.
    """
    if refunded.minor > 0:
        await _record_found(session, deps, payment, refunded, origin=RefundOrigin.BEFORE_CREDIT)


async def note_refunded(session: Session, deps: Deps, payment: Payment, charge: Charge) -> None:
    """Record what the provider has given back of a charge beyond what we know; a step.

    First it is what we have asked for ourselves, then what somebody did in the provider's cabinet. Less
    than we know is an older answer than ours. What is more than was paid, for a person had given back by
    hand as well, waits for an operator. The caller holds the customer's lock.
    """
    assert payment.paid is not None
    now, unknown, left = deps.clock(), charge.refunded, payment.paid
    waiting = []
    for refund in await refunds.of_payment(session, payment.payment_id):
        if refund.status is RefundStatus.SUCCEEDED:
            left -= refund.refunded
        if refund.origin is RefundOrigin.BY_HAND:
            continue
        if refund.status is RefundStatus.SUCCEEDED:
            unknown -= refund.refunded
        elif refund.status is RefundStatus.PENDING:
            waiting.append(refund)
    for refund in waiting:
        if refund.refunded.minor <= min(unknown.minor, left.minor):
            unknown, left = unknown - refund.refunded, left - refund.refunded
            await _complete(session, deps, payment, refund, now=now)
    if (found := min(unknown, left)).minor > 0:
        await _record_found(session, deps, payment, found, origin=RefundOrigin.CABINET)
    if left < unknown:
        await _list_excess(session, payment, charge, unknown - left, now=now)


async def _list_excess(
    session: Session, payment: Payment, charge: Charge, excess: Money, *, now: datetime
) -> None:
    opened = await inbox.open_stuck(
        session,
        kind=StuckMoney.GIVEN_BACK_TWICE,
        charge=replace(charge, taken=excess),
        details=f"Провайдер вернул {charge.refunded}, вручную возвращали тоже: лишнее {excess}.",
        now=now,
        user_id=payment.user_id,
        payment_id=payment.payment_id,
    )
    if opened:
        log.error("refund.twice", payment_id=payment.payment_id, excess=str(excess))


async def _record_found(
    session: Session, deps: Deps, payment: Payment, money: Money, *, origin: RefundOrigin
) -> None:
    now = deps.clock()
    found = await refunds.add(
        session,
        payment_id=payment.payment_id,
        refund_key=uuid4(),
        money=money,
        origin=origin,
        request=None,
        by=Actor.SHOP,
        reason="found at the provider's",
        now=now,
    )
    log.warning("refund.found", payment_id=payment.payment_id, refund_id=found.refund_id)
    await _complete(session, deps, payment, found, now=now)


async def _complete(
    session: Session, deps: Deps, payment: Payment, refund: RefundRow, *, now: datetime
) -> None:
    """The money is given back: take its days back, tell the customer; once, under the customer's lock."""
    assert payment.paid is not None
    before = before_credit = Money(0, payment.paid.currency)
    days_before = 0
    for earlier in await refunds.of_payment(session, payment.payment_id):
        if earlier.origin is RefundOrigin.BEFORE_CREDIT:
            before_credit += earlier.refunded
        if earlier.status is RefundStatus.SUCCEEDED:
            before += earlier.refunded
            days_before += earlier.days
    after = before + refund.refunded
    roubles = payment.amount.minor
    given_back = share(roubles, part=after, of=payment.paid) - share(roubles, part=before, of=payment.paid)
    free = max(overpaid(payment.paid, asked=payment.asked), before_credit)
    days = max(days_back(after, of=payment.paid, free=free, days=payment.days) - days_before, 0)
    amount = Money(given_back, payment.amount.currency)
    if not await refunds.succeed(session, refund.refund_id, amount=amount, days=days, now=now):
        return
    shortened = await subscriptions.take_back(
        session, payment.payment_id, refund_id=refund.refund_id, days=days, now=now
    )
    if shortened is not None:
        await defer_delivery(session, deps, shortened.subscription_id)
    current = shortened or await subscriptions.of_customer(session, payment.user_id)
    await add_notice(
        session,
        deps.jobs,
        user_id=payment.user_id,
        kind=NoticeKind.REFUNDED,
        key=f"refund:{refund.refund_id}",
        now=now,
        refunded_amount=str(refund.refunded.value),
        refunded_currency=refund.refunded.currency,
        end_date=None if current is None else current.end_date.isoformat(),
    )
    await turn_screen(session, deps, payment.order_id)
    log.info("refund.recorded", refund_id=refund.refund_id, payment_id=payment.payment_id, days=days)


async def _again(session: Session, refund_id: int) -> RefundRow:
    fresh = await refunds.by_id(session, refund_id)
    assert fresh is not None
    return fresh
