"""What a person decides about the entries of the list in ``stuck``, with who and why."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from getpro.catalog import store as catalog
from getpro.customers import store as customers
from getpro.kit.money import Money
from getpro.payments import inbox
from getpro.payments import store as payments
from getpro.payments.provider import Charge, ChargeState, NoSuchCharge
from getpro.payments.states import CancelReason, Resolution, StuckMoney
from getpro.payments.store import NewOrder, Payment
from getpro.platform import audit
from getpro.sales.checkout import end_unpaid
from getpro.sales.delivery import bring_delivery_forward
from getpro.sales.deps import Deps
from getpro.sales.errors import CannotResolve, UnknownEvent
from getpro.sales.settle import (
    SEEN_BEFORE,
    SETTLED,
    Ending,
    Outcome,
    grant,
    settle_charge,
    settle_event,
)
from getpro.subscriptions.store import by_id

BROUGHT_FORWARD: Final = Outcome(Ending.BROUGHT_FORWARD)
_RESOLVED: Final = {
    Resolution.RETRIED: "зачтено повтором",
    Resolution.CREDITED: "засчитано",
    Resolution.REFUNDED: "отмечен возврат",
}


async def retry(deps: Deps, reference: str, *, by: str, reason: str) -> Outcome:
    """Try again what stands behind ``reference``; a flow. Return how it ended.

    Raises CannotResolve, UnknownProvider, ProviderUnavailable.
    """
    kind, number = _parsed(reference, reason)
    if kind in "se":
        outcome = await (_settle_again(deps, number) if kind == "s" else _prove_again(deps, number))
        async with deps.db.begin("stuck: retried") as session:
            now = deps.clock()
            if kind == "s" and outcome in {SETTLED, SEEN_BEFORE}:
                resolution = Resolution.RETRIED
                await inbox.resolve_stuck(
                    session, number, resolution=resolution, by=by, reason=reason, now=now
                )
            await _note(session, deps, "retry", reference, by=by, reason=reason, outcome=str(outcome))
        return outcome
    async with deps.db.begin("stuck: run again") as session:
        await (_deliver_now if kind == "d" else _run_again)(session, deps, number)
        outcome = BROUGHT_FORWARD
        await _note(session, deps, "retry", reference, by=by, reason=reason, outcome=str(outcome))
        return outcome


async def _settle_again(deps: Deps, stuck_id: int) -> Outcome:
    async with deps.db.begin("stuck: read") as session:
        row = await _open_row(session, stuck_id)
    if row.kind in {StuckMoney.OVERPAID, StuckMoney.SUM_DIFFERS, StuckMoney.EXPIRED_UNDELIVERED}:
        raise CannotResolve(f"s{stuck_id}: повтор ничего не изменит, верните разницу и отметьте возврат")
    try:
        charge = await deps.provider(row.provider).find(row.charge_id)
    except NoSuchCharge as error:
        raise CannotResolve(f"s{stuck_id}: провайдер не знает этого платежа") from error
    return await settle_charge(deps, charge)


async def _prove_again(deps: Deps, event_id: int) -> Outcome:
    try:
        return await settle_event(deps, event_id)
    except UnknownEvent as error:
        raise CannotResolve(f"e{event_id}: такого уведомления нет") from error


async def _deliver_now(session: AsyncSession, deps: Deps, subscription_id: int) -> None:
    if await by_id(session, subscription_id) is None:
        raise CannotResolve(f"d{subscription_id}: такой подписки нет")
    await bring_delivery_forward(session, deps, subscription_id)


async def _run_again(session: AsyncSession, deps: Deps, job_id: int) -> None:
    if not await deps.jobs.run_again(session, job_id):
        raise CannotResolve(f"j{job_id}: такой неудавшейся работы нет")


async def credit(
    deps: Deps,
    reference: str,
    *,
    by: str,
    reason: str,
    user_id: int | None = None,
    plan_id: int | None = None,
) -> Payment:
    """Accept stuck money as the payment of its order, or of ``plan_id`` for ``user_id``; a flow.

    Raises CannotResolve, CustomerGone, PlanGone.
    """
    kind, number = _parsed(reference, reason)
    if kind != "s":
        raise CannotResolve("засчитать можно только деньги (s…), остальное повторяют")
    now = deps.clock()
    async with deps.db.begin("stuck: credit") as session:
        row = await _open_row(session, number)
        if row.kind in {StuckMoney.OVERPAID, StuckMoney.SUM_DIFFERS}:
            raise CannotResolve(f"{reference}: срок по этому платежу уже выдан")
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
            raise CannotResolve(f"{reference}: этот платёж уже засчитан")
        paid = order
        if not await payments.succeed(session, order, charge, now=now, actor=by):
            paid = await payments.add_further_charge(session, order, charge, now=now, actor=by)
        await grant(session, deps, order, payment_id=paid.payment_id, cause="credit", now=now)
        if row.payment_id != order.payment_id:
            await _end_order(session, deps, row, reason=CancelReason.CREDITED_APART, by=by)
        resolution = Resolution.CREDITED
        await inbox.resolve_stuck(session, number, resolution=resolution, by=by, reason=reason, now=now)
        await _note(session, deps, "credit", reference, by=by, reason=reason, outcome=f"p{paid.payment_id}")
        fresh = await payments.by_id(session, paid.payment_id)
        assert fresh is not None
        return fresh


async def mark_refunded(deps: Deps, reference: str, *, by: str, reason: str) -> None:
    """Note that a person has given the money back outside; a flow. Raises CannotResolve."""
    kind, number = _parsed(reference, reason)
    if kind != "s":
        raise CannotResolve("вернуть можно только деньги (s…)")
    async with deps.db.begin("stuck: refunded") as session:
        now = deps.clock()
        row = await _open_row(session, number)
        resolution = Resolution.REFUNDED
        await inbox.resolve_stuck(session, number, resolution=resolution, by=by, reason=reason, now=now)
        await _end_order(session, deps, row, reason=CancelReason.GIVEN_BACK, by=by)
        await _note(session, deps, "refunded", reference, by=by, reason=reason, outcome="refunded")


async def dismiss(deps: Deps, reference: str, *, by: str, reason: str) -> None:
    """Take a notice that proved nothing off the list; a flow. Raises CannotResolve.

    It stays unhandled: the same notice, should it come again, is settled again and shown again.
    """
    kind, number = _parsed(reference, reason)
    if kind != "e":
        raise CannotResolve("убрать можно только неподтверждённое уведомление (e…)")
    async with deps.db.begin("stuck: dismiss") as session:
        if not await inbox.dismiss(session, number, now=deps.clock()):
            raise CannotResolve(f"{reference}: неподтверждённого уведомления с таким номером нет")
        await _note(session, deps, "dismiss", reference, by=by, reason=reason, outcome="dismissed")


async def _note(
    session: AsyncSession, deps: Deps, deed: str, reference: str, *, by: str, reason: str, outcome: str
) -> None:
    await audit.note(
        session,
        actor=by,
        action=f"payments.{deed}",
        subject=reference,
        reason=reason,
        outcome=outcome,
        now=deps.clock(),
    )


async def _end_order(session: AsyncSession, deps: Deps, row: Any, *, reason: CancelReason, by: str) -> None:
    """End the unpaid order for which the money of ``row`` had come: nobody waits for it any more."""
    order = None if row.payment_id is None else await payments.by_id(session, row.payment_id)
    if order is not None:
        await end_unpaid(session, deps, order, reason=reason, actor=by)


async def _order_for(
    session: AsyncSession, row: Any, *, user_id: int | None, plan_id: int | None, by: str, now: datetime
) -> Payment:
    is_foreign = row.kind == StuckMoney.FOREIGN_CURRENCY
    if row.payment_id is not None and not is_foreign and user_id is None and plan_id is None:
        order = await payments.by_id(session, row.payment_id)
        assert order is not None
        return order
    if user_id is None or plan_id is None:
        raise CannotResolve("по заказу этих денег не зачесть: укажите --user и --plan")
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
        actor=by,
    )


async def _open_row(session: AsyncSession, stuck_id: int) -> Any:
    row = await inbox.lock_stuck(session, stuck_id)
    if row is None:
        raise CannotResolve(f"s{stuck_id}: такой записи нет")
    if row.resolved_at is not None:
        raise CannotResolve(f"s{stuck_id}: уже решено ({_RESOLVED[row.resolution]}, {row.resolved_by})")
    return row


def _parsed(reference: str, reason: str) -> tuple[str, int]:
    if not reason.strip():
        raise CannotResolve("причина пуста: она остаётся в записи")
    if reference[:1] not in set("sdej") or not reference[1:].isdigit():
        raise CannotResolve(f"{reference!r}: ссылка пишется как s12, d7, e9 или j31")
    return reference[0], int(reference[1:])
