"""Money that found no end by itself: the operator's list, and the ways off it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from getpro.catalog import store as catalog
from getpro.customers import store as customers
from getpro.kit.money import Money
from getpro.payments import inbox
from getpro.payments import store as payments
from getpro.payments.models import provider_events, stuck_payments
from getpro.payments.provider import Charge, ChargeState, NoSuchCharge
from getpro.payments.rules import GIVEN_BACK
from getpro.payments.store import NewOrder, Payment
from getpro.platform import audit
from getpro.platform.jobs import MONEY, NOTICES
from getpro.sales.delivery import defer_delivery
from getpro.sales.deps import Deps
from getpro.sales.errors import CannotResolve, UnknownEvent
from getpro.sales.names import SETTLE, TURN_SCREEN
from getpro.sales.settle import SEEN_BEFORE, SETTLED, Outcome, grant, settle_charge, settle_event
from getpro.subscriptions.models import subscriptions
from getpro.subscriptions.store import by_id

LATE: Final = timedelta(minutes=5)
"""A delivery or a notice that has waited this long is shown."""
BROUGHT_FORWARD: Final = "brought forward"
"""The outcome of retrying what a worker does: it is done now."""


@dataclass(frozen=True, slots=True)
class StuckItem:
    """One line of the list. ``reference`` names it in commands: s12, d7, e9, j31."""

    reference: str
    kind: str
    since: datetime
    details: str
    provider: str = ""
    user_id: int | None = None
    payment_id: int | None = None
    money: Money | None = None


async def list_stuck(session: AsyncSession, *, now: datetime) -> list[StuckItem]:
    """Everything that waits for a person, oldest first."""
    items = [
        *await _money(session),
        *await _undelivered(session, now=now),
        *await _unsettled(session, now=now),
        *await _failed_jobs(session),
    ]
    return sorted(items, key=lambda item: item.since)


async def _money(session: AsyncSession) -> list[StuckItem]:
    rows = await session.execute(select(stuck_payments).where(stuck_payments.c.resolved_at.is_(None)))
    return [
        StuckItem(
            reference=f"s{row.stuck_id}",
            kind=row.kind,
            since=row.opened_at,
            details=f"{row.details} Платёж у провайдера: {row.charge_id}",
            provider=row.provider,
            user_id=row.user_id,
            payment_id=row.payment_id,
            money=Money.parse(str(row.amount), row.currency),
        )
        for row in rows
    ]


async def _undelivered(session: AsyncSession, *, now: datetime) -> list[StuckItem]:
    rows = await session.execute(
        select(subscriptions).where(
            subscriptions.c.provisioned_version < subscriptions.c.wanted_version,
            subscriptions.c.wanted_at < now - LATE,
        )
    )
    return [
        StuckItem(
            reference=f"d{row.subscription_id}",
            kind=f"not_delivered_{row.delivery_trouble or 'yet'}",
            since=row.wanted_at,
            details=row.delivery_trouble_text or "Панель ещё не приняла доступ.",
            provider=row.provider,
            user_id=row.user_id,
        )
        for row in rows
    ]


async def _unsettled(session: AsyncSession, *, now: datetime) -> list[StuckItem]:
    rows = await session.execute(
        select(provider_events).where(
            provider_events.c.handled_at.is_(None),
            provider_events.c.dismissed_at.is_(None),
            provider_events.c.received_at < now - LATE,
        )
    )
    return [
        StuckItem(
            reference=f"e{row.event_id}",
            kind="notice_disproved" if row.outcome else "notice_unsettled",
            since=row.received_at,
            details=f"{row.event} {row.object_id}: {row.outcome or 'провайдер ещё не ответил'}",
            provider=row.provider,
        )
        for row in rows
    ]


async def _failed_jobs(session: AsyncSession) -> list[StuckItem]:
    rows = await session.execute(
        text(
            "SELECT j.id, j.task_name, j.args, coalesce(max(e.at), now()) AS at FROM procrastinate_jobs j"
            " LEFT JOIN procrastinate_events e ON e.job_id = j.id"
            " WHERE j.status = 'failed' AND j.queue_name = :queue GROUP BY j.id"
        ),
        {"queue": MONEY},
    )
    return [
        StuckItem(
            reference=f"j{row.id}",
            kind="job_failed",
            since=row.at,
            details=f"{row.task_name} {row.args}: ошибка, подробности в журнале",
        )
        for row in rows
    ]


async def retry(deps: Deps, reference: str, *, by: str, reason: str) -> str:
    """Try again what stands behind ``reference``; a flow. Return how it ended, as an outcome's name.

    Raises CannotResolve, UnknownProvider, ProviderUnavailable.
    """
    kind, number = _parsed(reference, reason)
    if kind in "se":
        outcome = await (_settle_again(deps, number) if kind == "s" else _prove_again(deps, number))
        async with deps.db.begin("stuck: retried") as session:
            now = deps.clock()
            if kind == "s" and outcome in {SETTLED, SEEN_BEFORE}:
                await inbox.resolve_stuck(
                    session, number, resolution="retried", by=by, reason=reason, now=now
                )
            await _note(session, deps, "retry", reference, by=by, reason=reason, outcome=outcome.name)
        return outcome.name
    async with deps.db.begin("stuck: run again") as session:
        done = await (_deliver_now if kind == "d" else _run_again)(session, deps, number)
        await _note(session, deps, "retry", reference, by=by, reason=reason, outcome=done)
        return done


async def _settle_again(deps: Deps, stuck_id: int) -> Outcome:
    async with deps.db.begin("stuck: read") as session:
        row = await _open_row(session, stuck_id)
    if row.kind in {"overpaid", "sum_differs", "expired_undelivered"}:
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


async def _deliver_now(session: AsyncSession, deps: Deps, subscription_id: int) -> str:
    if await by_id(session, subscription_id) is None:
        raise CannotResolve(f"d{subscription_id}: такой подписки нет")
    # The delivery that waits for its next try holds the lock: it is brought forward.
    await session.execute(
        text("UPDATE procrastinate_jobs SET scheduled_at = now() WHERE lock = :lock AND status = 'todo'"),
        {"lock": f"deliver:{subscription_id}"},
    )
    await defer_delivery(session, deps, subscription_id)
    return BROUGHT_FORWARD


async def _run_again(session: AsyncSession, _: Deps, job_id: int) -> str:
    retried = await session.scalar(
        text(
            "UPDATE procrastinate_jobs SET status = 'todo', scheduled_at = now(), worker_id = NULL"
            " WHERE id = :id AND status = 'failed' RETURNING id"
        ),
        {"id": job_id},
    )
    if retried is None:
        raise CannotResolve(f"j{job_id}: такой неудавшейся работы нет")
    return BROUGHT_FORWARD


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
        if row.kind in {"overpaid", "sum_differs"}:
            raise CannotResolve(f"{reference}: срок по этому платежу уже выдан")
        order = await _order_for(session, row, user_id=user_id, plan_id=plan_id, now=now)
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
        if not await payments.succeed(session, order, charge, now=now, reason=f"credited by {by}"):
            paid = await payments.add_further_charge(session, order, charge, now=now)
        await grant(session, deps, order, payment_id=paid.payment_id, cause="credit", now=now)
        await inbox.resolve_stuck(session, number, resolution="credited", by=by, reason=reason, now=now)
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
        await inbox.resolve_stuck(session, number, resolution="refunded", by=by, reason=reason, now=now)
        order = None if row.payment_id is None else await payments.by_id(session, row.payment_id)
        if order is not None and await payments.cancel(session, order, reason=GIVEN_BACK, now=now):
            await deps.jobs.defer(session, TURN_SCREEN, queue=NOTICES, payment_id=order.payment_id)
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


async def sweep(deps: Deps) -> None:
    """Defer again what has no job, though it must happen: notices nobody settles, versions nobody delivers.

    The queue only makes things fast; what must happen stands in our own tables. Run by schedule.
    """
    async with deps.db.begin("sweep") as session:
        now = deps.clock()
        for event_id in await inbox.forgotten(session, before=now - timedelta(seconds=30)):
            await deps.jobs.defer(session, SETTLE, queue=MONEY, event_id=event_id)
        rows = await session.execute(
            select(subscriptions.c.subscription_id).where(
                subscriptions.c.provisioned_version < subscriptions.c.wanted_version,
                subscriptions.c.wanted_at < now - timedelta(seconds=30),
                text(
                    "NOT EXISTS (SELECT 1 FROM procrastinate_jobs j WHERE j.status IN ('todo', 'doing')"
                    " AND j.lock = 'deliver:' || subscriptions.subscription_id)"
                ),
            )
        )
        for subscription_id in rows.scalars():
            await defer_delivery(session, deps, subscription_id)


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


async def _order_for(
    session: AsyncSession, row: Any, *, user_id: int | None, plan_id: int | None, now: datetime
) -> Payment:
    if row.payment_id is not None and row.kind != "foreign_currency" and user_id is None and plan_id is None:
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
    )


async def _open_row(session: AsyncSession, stuck_id: int) -> Any:
    row = await inbox.lock_stuck(session, stuck_id)
    if row is None:
        raise CannotResolve(f"s{stuck_id}: такой записи нет")
    if row.resolved_at is not None:
        raise CannotResolve(f"s{stuck_id}: уже решено ({row.resolution}, {row.resolved_by})")
    return row


def _parsed(reference: str, reason: str) -> tuple[str, int]:
    if not reason.strip():
        raise CannotResolve("причина пуста: она остаётся в записи")
    if reference[:1] not in set("sdej") or not reference[1:].isdigit():
        raise CannotResolve(f"{reference!r}: ссылка пишется как s12, d7, e9 или j31")
    return reference[0], int(reference[1:])
