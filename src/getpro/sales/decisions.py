"""What a person decides about the entries of the list in ``stuck``, with who and why."""

from datetime import datetime
from typing import Any, Final

from getpro.catalog import store as catalog
from getpro.customers import store as customers
from getpro.kit.money import Money
from getpro.payments import inbox, refunds
from getpro.payments import store as payments
from getpro.payments.provider import Charge, ChargeState, NoSuchCharge
from getpro.payments.states import CancelReason, Resolution, StuckMoney
from getpro.payments.store import NewOrder, Payment
from getpro.platform import audit
from getpro.platform.database import Session
from getpro.platform.jobs import RetryLater
from getpro.sales.checkout import turn_screen
from getpro.sales.delivery import bring_delivery_forward
from getpro.sales.deps import Deps
from getpro.sales.errors import CannotRefund, CannotResolve, UnknownEvent, UnknownProvider
from getpro.sales.reference import Listed, Reference
from getpro.sales.refunds import note_refunded_before_credit, try_refund_again
from getpro.sales.settle import SEEN_BEFORE, SETTLED, Ending, Outcome, grant, look_behind, settle
from getpro.sales.staff import Operator, require
from getpro.subscriptions.states import ChangeCause
from getpro.subscriptions.store import by_id

BROUGHT_FORWARD: Final = Outcome(Ending.BROUGHT_FORWARD)
_GRANTED: Final = frozenset({StuckMoney.OVERPAID, StuckMoney.GIVEN_BACK_TWICE, StuckMoney.SUM_DIFFERS})
"""For this money nothing is left to give: it waits for a person to sort it out."""
_RESOLVED: Final = {
    Resolution.RETRIED: "зачтено повтором",
    Resolution.CREDITED: "засчитано",
    Resolution.REFUNDED: "отмечен возврат",
}


async def retry(deps: Deps, reference: str, *, by: Operator, reason: str) -> Outcome:
    """Try again what stands behind ``reference``; a flow. Return how it ended.

    Raises CannotResolve, UnknownProvider, ProviderUnavailable.
    """
    require(deps, by)
    entry = _named(reference, reason)
    found = await _look_again(deps, entry)
    async with deps.db.begin("stuck: retry") as session:
        match entry.kind:
            case Listed.MONEY:
                outcome = await _settle_again(session, deps, entry, found, by=by, reason=reason)
            case Listed.NOTICE:
                outcome = await settle(session, deps, found, event_id=entry.number)
            case Listed.DELIVERY:
                outcome = await _deliver_now(session, deps, entry)
            case Listed.REFUND:
                outcome = await _refund_again(session, deps, entry)
            case _:
                outcome = await _run_again(session, deps, entry)
        await _note(session, deps, "retry", entry, by=by, reason=reason, outcome=str(outcome))
    return outcome


async def _look_again(deps: Deps, entry: Reference) -> Charge | Outcome:
    """What the provider says now, asked while no transaction is open."""
    match entry.kind:
        case Listed.MONEY:
            return await _ask_again(deps, entry)
        case Listed.NOTICE:
            return await _prove_again(deps, entry)
    return BROUGHT_FORWARD


async def _ask_again(deps: Deps, entry: Reference) -> Charge:
    async with deps.db.begin("stuck: read") as session:
        row = await _open_row(session, entry)
    if row.kind in _GRANTED | {StuckMoney.EXPIRED_UNDELIVERED}:
        raise CannotResolve(
            f"{entry}: повтор ничего не изменит: разберитесь с деньгами и отметьте это (refunded)"
        )
    try:
        return await deps.provider(row.provider).find(row.charge_id)
    except NoSuchCharge as error:
        raise CannotResolve(f"{entry}: провайдер не знает этого платежа") from error


async def _settle_again(
    session: Session, deps: Deps, entry: Reference, found: Charge | Outcome, *, by: Operator, reason: str
) -> Outcome:
    """Settle, and take the entry off the list if its money has found its end."""
    row = await _open_row(session, entry)  # once more: somebody may have decided meanwhile
    outcome = await settle(session, deps, found)
    if outcome in {SETTLED, SEEN_BEFORE}:
        await _resolve(session, deps, row, Resolution.RETRIED, by=by, reason=reason)
    return outcome


async def _prove_again(deps: Deps, entry: Reference) -> Charge | Outcome:
    try:
        return await look_behind(deps, entry.number)
    except RetryLater as error:
        raise CannotResolve(f"{entry}: база сверяется после восстановления, повторите позже") from error
    except UnknownEvent as error:
        raise CannotResolve(f"{entry}: такого уведомления нет") from error


async def _deliver_now(session: Session, deps: Deps, entry: Reference) -> Outcome:
    if await by_id(session, entry.number) is None:
        raise CannotResolve(f"{entry}: такой подписки нет")
    await bring_delivery_forward(session, deps, entry.number)
    return BROUGHT_FORWARD


async def _refund_again(session: Session, deps: Deps, entry: Reference) -> Outcome:
    try:
        await try_refund_again(session, deps, entry.number)
    except CannotRefund as error:
        raise CannotResolve(f"{entry}: {error}") from error
    return BROUGHT_FORWARD


async def _run_again(session: Session, deps: Deps, entry: Reference) -> Outcome:
    if not await deps.jobs.run_again(session, entry.number):
        raise CannotResolve(f"{entry}: такой неудавшейся работы нет")
    return BROUGHT_FORWARD


async def credit(
    deps: Deps,
    reference: str,
    *,
    by: Operator,
    reason: str,
    user_id: int | None = None,
    plan_id: int | None = None,
) -> Payment:
    """Accept stuck money as the payment of its order, or of ``plan_id`` for ``user_id``; a flow.

    What has gone back of it by now is recorded, and takes none of the days that are credited.
    Raises CannotResolve, CustomerGone, PlanGone, UnknownProvider, ProviderUnavailable.
    """
    require(deps, by)
    entry = _named(reference, reason)
    if entry.kind is not Listed.MONEY:
        raise CannotResolve("засчитать можно только деньги (s…), остальное повторяют")
    refunded = await _refunded_by_now(deps, entry)
    now = deps.clock()
    async with deps.db.begin("stuck: credit") as session:
        row = await _open_row(session, entry)  # once more: somebody may have decided meanwhile
        order = await _order_for(session, row, user_id=user_id, plan_id=plan_id, by=by, now=now)
        await customers.lock(session, order.user_id)
        charge = Charge(
            provider=row.provider,
            charge_id=row.charge_id,
            state=ChargeState.PAID,
            order_key=order.order_key,
            taken=Money.parse(str(row.amount), row.currency),
            refunded=Money(0, row.currency),
            paid_at=row.taken_at,
        )
        if await payments.by_charge(session, charge.provider, charge.charge_id) is not None:
            raise CannotResolve(f"{entry}: этот платёж уже засчитан")
        paid = order
        if not await payments.succeed(session, order, charge, now=now, actor=by.name):
            paid = await payments.add_further_charge(session, order, charge, now=now, actor=by.name)
        await grant(session, deps, order, recorded_id=paid.payment_id, cause=ChangeCause.CREDIT, now=now)
        fresh = await payments.by_id(session, paid.payment_id)
        assert fresh is not None
        if refunded is not None:
            await note_refunded_before_credit(session, deps, fresh, refunded)
        if row.payment_id != order.payment_id:
            await _end_order(session, deps, row, reason=CancelReason.CREDITED_APART, by=by)
        await _resolve(session, deps, row, Resolution.CREDITED, by=by, reason=reason)
        await _note(session, deps, "credit", entry, by=by, reason=reason, outcome=f"p{paid.payment_id}")
        return fresh


async def _refunded_by_now(deps: Deps, entry: Reference) -> Money | None:
    """What the provider has given back of stuck money, asked while no transaction is open.

    None where nobody can tell: the provider does not know the charge, or is switched off and nothing was
    known to have gone back. Raises CannotResolve for money that cannot be credited.
    """
    async with deps.db.begin("stuck: read") as session:
        row = await _open_row(session, entry)
    if row.kind in _GRANTED:
        raise CannotResolve(f"{entry}: срок по этому платежу уже выдан")
    try:
        charge = await deps.provider(row.provider).find(row.charge_id)
    except NoSuchCharge:
        return None
    except UnknownProvider:
        if row.kind == StuckMoney.REFUNDED_BEFORE_SETTLED:
            raise
        return None
    if charge.taken.minor <= charge.refunded.minor:
        raise CannotResolve(f"{entry}: деньги возвращены целиком, засчитать нечего")
    return charge.refunded


async def mark_refunded(deps: Deps, reference: str, *, by: Operator, reason: str) -> None:
    """Note that a person has given the money back outside; a flow. Raises CannotResolve."""
    require(deps, by)
    entry = _named(reference, reason)
    if entry.kind is not Listed.MONEY:
        raise CannotResolve("вернуть можно только деньги (s…)")
    async with deps.db.begin("stuck: refunded") as session:
        row = await _open_row(session, entry)
        await _end_order(session, deps, row, reason=CancelReason.GIVEN_BACK, by=by)
        await _resolve(session, deps, row, Resolution.REFUNDED, by=by, reason=reason)
        await _note(session, deps, "refunded", entry, by=by, reason=reason, outcome="refunded")


async def dismiss(deps: Deps, reference: str, *, by: Operator, reason: str) -> None:
    """Take off the list a notice that proved nothing, or a refund that was refused; a flow.

    The notice stays unhandled: the same one, should it come again, is settled again and shown again.
    Raises CannotResolve.
    """
    require(deps, by)
    entry = _named(reference, reason)
    if entry.kind not in {Listed.NOTICE, Listed.REFUND}:
        raise CannotResolve("убрать можно неподтверждённое уведомление (e…) или отказанный возврат (r…)")
    async with deps.db.begin("stuck: dismiss") as session:
        if entry.kind is Listed.REFUND:
            if not await refunds.withdraw(session, entry.number):
                raise CannotResolve(f"{entry}: отказанного возврата с таким номером нет")
        elif not await inbox.dismiss(session, entry.number, now=deps.clock()):
            raise CannotResolve(f"{entry}: неподтверждённого уведомления с таким номером нет")
        await _note(session, deps, "dismiss", entry, by=by, reason=reason, outcome="dismissed")


async def _note(
    session: Session, deps: Deps, deed: str, entry: Reference, *, by: Operator, reason: str, outcome: str
) -> None:
    await audit.note(
        session,
        actor=by.name,
        action=f"payments.{deed}",
        subject=str(entry),
        reason=reason,
        outcome=outcome,
        now=deps.clock(),
    )


async def _end_order(session: Session, deps: Deps, row: Any, *, reason: CancelReason, by: Operator) -> None:
    """End the unpaid order for which the money of ``row`` had come: nobody waits for it any more.

    One that had been canceled before says from now on where its money is.
    """
    order = None if row.payment_id is None else await payments.by_id(session, row.payment_id)
    if order is not None:
        await payments.set_next_poll(session, order.payment_id, None)
        if not await payments.cancel(session, order, reason=reason, now=deps.clock(), actor=by.name):
            await payments.explain_cancel(session, order.payment_id, reason=reason)


async def _resolve(
    session: Session, deps: Deps, row: Any, resolution: Resolution, *, by: Operator, reason: str
) -> None:
    """Take the entry off the list; the screen of its order no longer says that the money is looked at."""
    now = deps.clock()
    await inbox.resolve_stuck(
        session, row.stuck_id, resolution=resolution, by=by.name, reason=reason, now=now
    )
    if row.payment_id is not None:
        await turn_screen(session, deps, row.payment_id)


async def _order_for(
    session: Session, row: Any, *, user_id: int | None, plan_id: int | None, by: Operator, now: datetime
) -> Payment:
    is_foreign = row.kind == StuckMoney.FOREIGN_CURRENCY
    if row.payment_id is not None and not is_foreign and user_id is None and plan_id is None:
        order = await payments.by_id(session, row.payment_id)
        assert order is not None
        return order
    if user_id is None or plan_id is None:
        raise CannotResolve("чтобы зачесть эти деньги, назовите и клиента, и тариф")
    plan = await catalog.active_plan(session, plan_id)
    await customers.customer(session, user_id)
    return await payments.add_order(
        session,
        NewOrder.by_hand(
            user_id=user_id,
            provider=row.provider,
            price=plan.price,
            asked=Money.parse(str(row.amount), row.currency),
            duration_months=plan.duration_months,
            days=plan.days,
            plan_id=plan.plan_id,
        ),
        now=now,
        actor=by.name,
    )


async def _open_row(session: Session, entry: Reference) -> Any:
    row = await inbox.lock_stuck(session, entry.number)
    if row is None:
        raise CannotResolve(f"{entry}: такой записи нет")
    if row.resolved_at is not None:
        raise CannotResolve(f"{entry}: уже решено ({_RESOLVED[row.resolution]}, {row.resolved_by})")
    return row


def _named(reference: str, reason: str) -> Reference:
    if not reason.strip():
        raise CannotResolve("причина пуста: она остаётся в записи")
    return Reference.parse(reference)
