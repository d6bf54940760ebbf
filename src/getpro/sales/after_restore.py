"""The database was brought back in time: what has happened since is found again outside, nothing is lost.

While this is under way the shop is held (``platform.restores``): what an older database wants must not reach
the panel before the money is counted. Each step may be cut off anywhere and is done again by the next run;
what was found stands in ``restore_findings``, written with what was done about it.

Source: docs/decisions/0022-back-in-time.md.
"""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple

import structlog
from sqlalchemy import func, select, text

from getpro.customers import store as customers
from getpro.customers.models import users
from getpro.kit.money import Money
from getpro.panel import accounts
from getpro.panel.models import panel_accounts
from getpro.panel.service import PanelUser
from getpro.panel.states import UserStatus
from getpro.payments import inbox, looks, refunds
from getpro.payments import store as payments
from getpro.payments.models import payments as payments_table
from getpro.payments.models import stuck_payments
from getpro.payments.provider import Charge, ChargeState, Provider, ProviderUnavailable
from getpro.payments.rules import PENDING_FOR
from getpro.payments.states import RefundStatus, Resolution, StuckMoney
from getpro.payments.store import Payment
from getpro.platform import audit, restores
from getpro.platform.database import Session
from getpro.platform.jobs import MONEY
from getpro.sales import desk, reconcile
from getpro.sales.delivery import defer_delivery
from getpro.sales.deps import Deps
from getpro.sales.errors import RestoreBusy
from getpro.sales.provider_books import both_sums
from getpro.sales.reconcile import Difference
from getpro.sales.settle import SETTLED, Ending, settle
from getpro.sales.staff import Operator
from getpro.subscriptions import store as subscriptions
from getpro.subscriptions.models import subscription_changes
from getpro.subscriptions.models import subscriptions as subscriptions_table
from getpro.subscriptions.states import GIFT, TRIAL

log = structlog.get_logger(__name__)

OnProgress = Callable[[str], object]
BY: Final = "сверка после восстановления"
_LOCK: Final = 7_201_536
"""Advisory lock: one at a time."""
_EARLIER: Final = timedelta(days=1)
"""So much before the moment is looked at as well: a copy's moment and a provider's clock are not ours."""
_FEWEST_NUMBERS: Final = 1_000_000
_NUMBERS_A_SECOND: Final = 100
"""More than any table of ours grows by: the sequences are moved by so much for each second that was lost."""
_FEWEST_SMALL_NUMBERS: Final = 10_000
_SETTLED_WITHIN: Final = timedelta(hours=1)
"""A charge was settled some time after it was paid: the panel's end may be so much later than the money's."""


class Found(StrEnum):
    """What was found after a restore."""

    SETTLED = "settled"
    """Money for an order that the database knows."""
    REBUILT = "rebuilt"
    """Money for an order that was lost, and written again."""
    STUCK = "stuck"
    """Money that a person must look at."""
    FAILED = "failed"
    """Our own error: the charge is looked at again by the usual search."""
    REFUNDED = "refunded"
    """Money that went back, of payments that the database knew."""
    NEWCOMER = "newcomer"
    """The panel has a customer of ours of whom the database knows nothing: a trial, or a gift."""
    LONGER = "longer"
    """The panel has more than the money explains."""
    SHORTER = "shorter"
    """The panel has less than the database: perhaps a refund by hand."""
    BLOCKED = "blocked"
    UNBLOCKED = "unblocked"
    TAKEN_BACK = "taken_back"
    """The panel had not heard of a refund: its days are taken off now."""
    PROVIDER_OFF = "provider_off"
    """Money was taken by a provider that is switched off now: nobody can be asked."""


TO_LOOK_AT: Final = frozenset(set(Found) - {Found.SETTLED, Found.REBUILT, Found.REFUNDED})
"""For these a person has something to decide, or at least to know."""


@dataclass(frozen=True, slots=True)
class Finding:
    kind: Found
    subject: str
    """A charge as ``provider/number``, or a customer as ``u42``."""
    user_id: int | None
    money: Money | None
    end_before: datetime | None
    end_after: datetime | None
    details: str


@dataclass(frozen=True, slots=True)
class Report:
    """How it ended: the same however often it was cut off, and from each run after the first."""

    restored_to: datetime
    findings: list[Finding]
    sums: dict[str, dict[str, tuple[Money, Money]]]
    """By provider and currency since a day before the moment: what it took, what is recorded."""
    undelivered: int
    """How many accesses the workers are to deliver now."""
    stuck: int
    """How many entries of money stand on the operator's list."""

    @property
    def differing(self) -> list[tuple[str, Money, Money]]:
        return [
            (provider, theirs, ours)
            for provider, pairs in self.sums.items()
            for theirs, ours in pairs.values()
            if theirs != ours
        ]

    @property
    def to_look_at(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.kind in TO_LOOK_AT]

    @property
    def is_clean(self) -> bool:
        """Whether nobody has anything to look at."""
        return not self.to_look_at and not self.differing and not self.stuck

    def money_of(self, kind: Found) -> dict[str, Money]:
        """The sums of the findings of this kind, by currency."""
        sums: dict[str, Money] = {}
        for finding in self.findings:
            if finding.kind is kind and finding.money is not None:
                zero = Money(0, finding.money.currency)
                sums[zero.currency] = sums.get(zero.currency, zero) + finding.money
        return sums


def _silent(_: str) -> None:
    """Nobody is told how far it has come."""


async def reconcile_after_restore(
    deps: Deps, *, restored_to: datetime, on_progress: OnProgress = _silent
) -> Report:
    """Bring a database that was restored to ``restored_to`` up to what providers and panel know; a flow.

    It holds the shop, if nobody has, and lets it go on at the end. May be run again at any time: what is
    known already stays as it is. Raises RestoreBusy, ProviderUnavailable and PanelError: the shop stays
    held then, and the next run goes on.
    """
    async with _alone(deps):
        async with deps.db.begin("after restore: mark") as session:
            await restores.mark_restored(session, restored_to, now=deps.clock())
            held = await restores.held_by(session)
        since = await _since(deps, held.restored_to)
        run = _Run(deps, held.restore_id, held.restored_to, deps.clock(), since)
        on_progress("Сдвигаю номера")
        await _move_numbers(run, is_done=held.numbers_moved_at is not None)
        on_progress("Читаю панель")
        seen = await _ours_on_panel(deps)
        on_progress("Спрашиваю провайдеров")
        charges = await _all_charges(run)
        on_progress("Зачитываю найденное")
        settled_all = await _settle_forgotten(run, charges, seen)
        on_progress("Записываю возвраты")
        await _find_refunds(run)
        on_progress("Сверяю панель")
        await _adopt(run, seen)
        await _compare_panel(run)
        on_progress("Сверяю суммы")
        sums = {
            one.code: await both_sums(deps, one, run.since[one.code], run.now)
            for one in deps.providers.active
        }
        await _finish(run, settled_all=settled_all)
        return await _report(run, sums)


class _Run(NamedTuple):
    deps: Deps
    restore_id: int
    restored_to: datetime
    now: datetime
    """When it began: what is paid later comes by the usual ways."""
    since: dict[str, datetime]
    """From when on each provider is asked."""


async def _since(deps: Deps, restored_to: datetime) -> dict[str, datetime]:
    """A day before the moment, or where the last look had ended, whichever is earlier.

    What a provider's account took before the shop first looked at it is not the shop's; one that was
    switched on after the moment is looked at from the moment on.
    """
    since = {}
    for provider in deps.providers.active:
        async with deps.db.begin("after restore: looked until") as session:
            looked = await looks.looks_at(session, provider.code, now=restored_to)
        since[provider.code] = max(min(looked.settled_until, restored_to) - _EARLIER, looked.since)
    return since


@contextlib.asynccontextmanager
async def _alone(deps: Deps) -> AsyncIterator[None]:
    async with deps.db.connection() as session:
        if not await session.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}):
            raise RestoreBusy("сверка уже идёт в другом процессе")
        try:
            yield
        finally:
            await session.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})


async def _move_numbers(run: _Run, *, is_done: bool) -> None:
    """Move every sequence past whatever was handed out after the moment.

    Customers' screens, operators' notes and the panel still hold those numbers. A run that is cut off before
    it is noted moves them once more, which costs nothing.
    """
    if is_done:
        return
    lost_seconds = max(0, int((run.now - run.restored_to).total_seconds()))
    gap = max(_FEWEST_NUMBERS, _NUMBERS_A_SECOND * lost_seconds)
    async with run.deps.db.begin("after restore: numbers") as session:
        await session.execute(
            text(
                "SELECT setval(format('%I.%I', schemaname, sequencename)::regclass,"
                " coalesce(last_value, start_value)"
                " + CASE data_type WHEN 'bigint'::regtype THEN CAST(:gap AS bigint) ELSE :small END)"
                " FROM pg_sequences WHERE schemaname = current_schema()"
            ),
            {"gap": gap, "small": _FEWEST_SMALL_NUMBERS},
        )
        await restores.note_numbers_moved(session, run.restore_id, now=run.now)


async def _ours_on_panel(deps: Deps) -> dict[int, PanelUser]:
    """This shop's users on the panel by customer; of several the one who is open longest."""
    found: dict[int, PanelUser] = {}
    async for user in deps.panel.users():
        number = user.telegram_id
        if number is None or not deps.panel.is_ours(user):
            continue
        if number not in found or found[number].expire_at < user.expire_at:
            found[number] = user
    return found


async def _all_charges(run: _Run) -> list[Charge]:
    """What every provider took since then, in the order in which it was paid.

    All of them are asked before anything is settled: the order decides where periods begin. Raises
    ProviderUnavailable.
    """
    charges: list[Charge] = []
    for provider in run.deps.providers.active:
        listed = provider.charges(run.since[provider.code], run.now)
        charges += [charge async for charge in listed if charge.state is ChargeState.PAID]
    await _note_absent(run)
    return sorted(charges, key=lambda charge: (charge.paid_at or run.now, charge.provider, charge.charge_id))


async def _note_absent(run: _Run) -> None:
    """Tell of providers that took money shortly before the moment and are switched off now."""
    active = [provider.code for provider in run.deps.providers.active]
    async with run.deps.db.begin("after restore: absent") as session:
        await restores.forget_findings(session, run.restore_id, kind=Found.PROVIDER_OFF)
        used = await session.scalars(
            select(payments_table.c.provider)
            .where(
                payments_table.c.created_at > run.restored_to - PENDING_FOR,
                payments_table.c.provider.not_in(active),
            )
            .distinct()
        )
        for code in used.all():
            await _note(session, run, Found.PROVIDER_OFF, code)


async def _settle_forgotten(run: _Run, charges: list[Charge], seen: dict[int, PanelUser]) -> bool:
    """Settle what the database does not know; whether all of it could be."""
    is_whole = True
    async with run.deps.db.begin("after restore: again") as session:
        await restores.forget_findings(session, run.restore_id, kind=Found.FAILED)
    for charge in charges:
        try:
            await _settle_one(run, charge, seen)
        except Exception:  # one odd charge must not hide the others
            log.exception("after_restore.charge_failed", provider=charge.provider, charge_id=charge.charge_id)
            is_whole = False
            async with run.deps.db.begin("after restore: failed") as session:
                await _note_charge(session, run, Found.FAILED, charge, charge.payer_id)
    return is_whole


async def _settle_one(run: _Run, charge: Charge, seen: dict[int, PanelUser]) -> None:
    async with run.deps.db.begin("after restore: settle") as session:
        if await payments.by_charge(session, charge.provider, charge.charge_id) is not None:
            return
        entries = await _entries_of(session, charge)
        if not all(entry.kind == StuckMoney.UNKNOWN_ORDER and not entry.resolved_at for entry in entries):
            return  # a person has it, or has decided about it
        order = None if charge.order_key is None else await payments.by_order_key(session, charge.order_key)
        user_id = _payer(run, charge) if order is None else order.user_id
        then = await _as_of(session, run, charge, user_id, seen)
        outcome = await settle(session, replace(run.deps, clock=lambda: then), charge, is_forgotten=True)
        if outcome != SETTLED:
            if outcome.ending is Ending.STUCK and not entries:
                await _note_charge(session, run, Found.STUCK, charge, user_id, details=str(outcome.kind))
            return
        for entry in entries:
            await inbox.resolve_stuck(
                session,
                entry.stuck_id,
                resolution=Resolution.RETRIED,
                by=BY,
                reason="заказ восстановлен по данным провайдера",
                now=run.now,
            )
        await _note_charge(session, run, Found.REBUILT if order is None else Found.SETTLED, charge, user_id)
        if charge.refunded.minor:
            await _note_refunded(session, run, charge, charge.refunded, user_id)


def _payer(run: _Run, charge: Charge) -> int | None:
    """Who has paid for an order that the database does not know, if that can be told."""
    lost = charge.carried
    is_ours = lost is not None and lost.bot_id == run.deps.rules.bot_id
    return lost.user_id if lost is not None and is_ours else charge.payer_id


async def _entries_of(session: Session, charge: Charge) -> list[Any]:
    rows = await session.execute(
        select(stuck_payments).where(
            stuck_payments.c.provider == charge.provider, stuck_payments.c.charge_id == charge.charge_id
        )
    )
    return list(rows)


async def _as_of(
    session: Session, run: _Run, charge: Charge, user_id: int | None, seen: dict[int, PanelUser]
) -> datetime:
    """The moment as of which a charge is settled: the period begins where it began the first time.

    That is when it was paid, if the panel shows that it was delivered; else now, so that nobody pays for
    the time in which the shop was away.
    """
    if charge.paid_at is None or user_id is None or (user := seen.get(user_id)) is None:
        return run.now
    standing = await subscriptions.of_customer(session, user_id)
    known = charge.paid_at if standing is None else max(charge.paid_at, standing.end_date)
    return charge.paid_at if user.expire_at > known else run.now


async def _find_refunds(run: _Run) -> None:
    """Record what went back since, of payments that the database knew; of the others it is recorded already.

    Raises ProviderUnavailable.
    """
    for provider in run.deps.providers.active:
        charge_ids = [charge_id async for charge_id in provider.refunded(run.since[provider.code], run.now)]
        for charge_id in dict.fromkeys(charge_ids):
            try:
                await _record_refund(run, provider, charge_id)
            except ProviderUnavailable:
                raise
            except Exception:  # one odd charge must not hide the others
                log.exception("after_restore.refund_failed", provider=provider.code, charge_id=charge_id)
                async with run.deps.db.begin("after restore: failed") as session:
                    await _note(session, run, Found.FAILED, f"{provider.code}/{charge_id}")


async def _record_refund(run: _Run, provider: Provider, charge_id: str) -> None:
    charge = await provider.find(charge_id)
    async with run.deps.db.begin("after restore: refund") as session:
        payment = await payments.by_charge(session, provider.code, charge_id)
        if payment is None:
            return
        before = await _given_back(session, payment, charge)
        await settle(session, run.deps, charge)
        back = await _given_back(session, payment, charge) - before
        if back.minor:
            await _note_refunded(session, run, charge, back, payment.user_id)


async def _given_back(session: Session, payment: Payment, charge: Charge) -> Money:
    back = Money(0, charge.taken.currency)
    for refund in await refunds.of_payment(session, payment.payment_id):
        if refund.status is RefundStatus.SUCCEEDED:
            back += refund.refunded
    return back


class _Standing(NamedTuple):
    """A customer as the database has them, of whom the panel has a user of ours."""

    subscription_id: int | None
    end_date: datetime | None
    is_delivered: bool
    taken_back: timedelta
    """By refunds of which the panel has perhaps not heard."""
    is_blocked: bool
    panel_user_id: str | None


class Adoption(NamedTuple):
    """What is taken over from the panel."""

    end_date: datetime | None = None
    """A later end than the database has."""
    is_explained: bool = True
    """Whether the money explains it."""
    takes_back: bool = False
    """What the panel has more is what a refund has taken: it has not heard of it."""
    blocks: bool = False
    unblocks: bool = False


def adoption(known: _Standing, user: PanelUser, *, now: datetime) -> Adoption:
    """What the database is to take over from the panel, once all money is counted; pure.

    Nobody loses what they have: an end that is later on the panel is taken over, unless it is just what a
    refund has taken, and the panel not heard of. Whoever is shut there though they have paid was shut out by
    a person, after the moment; whoever is open though shut here was let in again.
    """
    found, is_shut = user.expire_at.replace(microsecond=0), user.status == UserStatus.DISABLED
    if known.end_date is None:
        return Adoption(found, is_explained=False, blocks=is_shut and found > now)
    if known.is_blocked:
        is_let_in = known.is_delivered and not is_shut and found > now
        later = found if found > known.end_date else None
        return Adoption(later, is_explained=later is None, unblocks=is_let_in)
    if is_shut and known.end_date <= now:
        return Adoption()  # its end was taken away, and the panel closed: a past end cannot be written there
    blocks = is_shut and found >= known.end_date
    if found <= known.end_date or found <= now:
        return Adoption(blocks=blocks)
    more = found - known.end_date
    if known.taken_back and abs(more - known.taken_back) < _SETTLED_WITHIN:
        return Adoption(takes_back=True, blocks=blocks)
    return Adoption(found, is_explained=more < _SETTLED_WITHIN, blocks=blocks)


async def _adopt(run: _Run, seen: dict[int, PanelUser]) -> None:
    """Take over from the panel what the database does not know and the money does not explain."""
    async with run.deps.db.read("after restore: standing") as session:
        standings = await _standings(session)
    for user_id, user in seen.items():
        known = standings.get(user_id, _NOBODY)
        taken_over = adoption(known, user, now=run.now)
        is_known = known.panel_user_id == user.account.panel_user_id
        if not is_known or taken_over != Adoption():
            await _adopt_one(run, user_id, user)


_NOBODY: Final = _Standing(
    subscription_id=None,
    end_date=None,
    is_delivered=True,
    taken_back=timedelta(),
    is_blocked=False,
    panel_user_id=None,
)


async def _standings(session: Session, user_id: int | None = None) -> dict[int, _Standing]:
    """How the customers stand, by their number; all of them, or one."""
    s, c = subscriptions_table.c, subscription_changes.c
    newest = (
        select(c.subscription_id, c.refund_id, c.end_before, c.end_after, _NUMBER.label("number"))
        .join(subscriptions_table, s.subscription_id == c.subscription_id)
        .where(s.provisioned_version < s.wanted_version)
        .subquery()
    )
    taken_back = (
        select(func.sum(newest.c.end_before - newest.c.end_after))
        .where(
            newest.c.subscription_id == s.subscription_id,
            newest.c.refund_id.is_not(None),
            newest.c.number <= s.wanted_version - s.provisioned_version,
        )
        .correlate(subscriptions_table)
        .scalar_subquery()
    )
    statement = (
        select(
            users.c.user_id,
            users.c.blocked_at,
            s.subscription_id,
            s.end_date,
            (s.provisioned_version == s.wanted_version).label("is_delivered"),
            taken_back.label("taken_back"),
            panel_accounts.c.panel_user_id,
        )
        .outerjoin(subscriptions_table, s.user_id == users.c.user_id)
        .outerjoin(panel_accounts, panel_accounts.c.subscription_id == s.subscription_id)
    )
    if user_id is not None:
        statement = statement.where(users.c.user_id == user_id)
    return {
        row.user_id: _Standing(
            row.subscription_id,
            row.end_date,
            row.is_delivered is not False,
            row.taken_back or timedelta(),
            row.blocked_at is not None,
            row.panel_user_id,
        )
        for row in await session.execute(statement)
    }


_NUMBER: Final = func.row_number().over(
    partition_by=subscription_changes.c.subscription_id, order_by=subscription_changes.c.change_id.desc()
)
"""Which change it was of its subscription, the last one is 1: one change made each version."""


async def _adopt_one(run: _Run, user_id: int, user: PanelUser) -> None:
    async with run.deps.db.begin("after restore: adopt") as session:
        await customers.ensure(session, user_id, language=None, since=run.now)
        await customers.lock(session, user_id)
        known = (await _standings(session, user_id))[user_id]
        taken_over = adoption(known, user, now=run.now)
        subscription_id = known.subscription_id
        if taken_over.end_date is not None:
            subscription_id = await _extend(session, run, user_id, known, taken_over)
        if subscription_id is not None and known.panel_user_id != user.account.panel_user_id:
            await accounts.remember(
                session, subscription_id, user.account, cipher=run.deps.cipher, now=run.now
            )
        if taken_over.takes_back:
            await _note_customer(session, run, Found.TAKEN_BACK, user_id, known, taken_over)
        by = Operator(BY)
        if taken_over.blocks:
            await desk.block(session, run.deps, user_id, by=by, reason="закрыт на панели")
            await _note_customer(session, run, Found.BLOCKED, user_id, known, taken_over)
        if taken_over.unblocks:
            await desk.unblock(session, run.deps, user_id, by=by, reason="открыт на панели")
            await _note_customer(session, run, Found.UNBLOCKED, user_id, known, taken_over)


async def _extend(session: Session, run: _Run, user_id: int, known: _Standing, taken_over: Adoption) -> int:
    """Take over a later end, and have it delivered: so that both agree on all the rest as well."""
    assert taken_over.end_date is not None
    is_new = known.end_date is None
    customer = await customers.customer(session, user_id)
    provider = TRIAL if customer.trial_started_at is None else GIFT
    after = await subscriptions.adopt(session, user_id, taken_over.end_date, provider=provider, now=run.now)
    if is_new:
        await customers.note_trial(session, user_id, at=run.restored_to)
    await defer_delivery(session, run.deps, after.subscription_id)
    if not taken_over.is_explained:
        kind = Found.NEWCOMER if is_new else Found.LONGER
        await _note_customer(session, run, kind, user_id, known, taken_over)
    return after.subscription_id


async def _compare_panel(run: _Run) -> None:
    """Have delivered again what the panel has lost since; the rest was taken over or is on its way."""
    comparison = await reconcile.compare_panel(run.deps)
    async with run.deps.db.begin("after restore: shorter") as session:
        for finding in comparison.findings:
            if finding.difference not in {Difference.SHORTER, Difference.MISSING}:
                continue
            assert finding.subscription_id is not None
            standing = await subscriptions.by_id(session, finding.subscription_id)
            assert standing is not None
            found = finding.found if isinstance(finding.found, datetime) else None
            await restores.note_finding(
                session,
                run.restore_id,
                kind=Found.SHORTER,
                subject=f"u{standing.user_id}",
                user_id=standing.user_id,
                end_before=standing.end_date,
                end_after=found,
                now=run.now,
            )
    await reconcile.apply(run.deps, comparison)


async def _finish(run: _Run, *, settled_all: bool) -> None:
    """Let the shop go on: what waits in the queue is run at once, and searches go on from where we looked."""
    async with run.deps.db.begin("after restore: finish") as session:
        if settled_all:
            for provider in run.deps.providers.active:
                await looks.note_settled(session, provider.code, run.now)
        await session.execute(
            text(
                "UPDATE procrastinate_jobs SET scheduled_at = now()"
                " WHERE status = 'todo' AND queue_name = :money"
            ),
            {"money": MONEY},
        )
        await restores.release(session, now=run.deps.clock())
        await audit.note(
            session,
            actor=BY,
            action="database.reconciled",
            subject=f"restore {run.restore_id}",
            reason=f"база восстановлена на {run.restored_to.isoformat()}",
            outcome="whole" if settled_all else "charges failed",
            now=run.deps.clock(),
        )


async def _report(run: _Run, sums: dict[str, dict[str, tuple[Money, Money]]]) -> Report:
    s = subscriptions_table.c
    async with run.deps.db.read("after restore: report") as session:
        rows = await restores.findings(session, run.restore_id)
        undelivered = await session.scalar(
            select(func.count()).where(s.provisioned_version < s.wanted_version)
        )
        stuck = await session.scalar(select(func.count()).where(stuck_payments.c.resolved_at.is_(None)))
    return Report(
        restored_to=run.restored_to,
        findings=[_finding(row) for row in rows],
        sums=sums,
        undelivered=undelivered or 0,
        stuck=stuck or 0,
    )


def _finding(row: Any) -> Finding:
    return Finding(
        kind=Found(row.kind),
        subject=row.subject,
        user_id=row.user_id,
        money=None if row.amount is None else Money.parse(str(row.amount), row.currency),
        end_before=row.end_before,
        end_after=row.end_after,
        details=row.details,
    )


async def _note(
    session: Session, run: _Run, kind: Found, subject: str, *, user_id: int | None = None, **more: Any
) -> None:
    await restores.note_finding(
        session, run.restore_id, kind=kind, subject=subject, user_id=user_id, now=run.now, **more
    )


async def _note_charge(
    session: Session, run: _Run, kind: Found, charge: Charge, user_id: int | None, *, details: str = ""
) -> None:
    subject = f"{charge.provider}/{charge.charge_id}"
    await _note(session, run, kind, subject, user_id=user_id, money=charge.taken, details=details)


async def _note_refunded(
    session: Session, run: _Run, charge: Charge, back: Money, user_id: int | None
) -> None:
    subject = f"{charge.provider}/{charge.charge_id}/{charge.refunded.value}"
    await _note(session, run, Found.REFUNDED, subject, user_id=user_id, money=back)


async def _note_customer(
    session: Session, run: _Run, kind: Found, user_id: int, known: _Standing, taken_over: Adoption
) -> None:
    after = taken_over.end_date or known.end_date
    await _note(
        session, run, kind, f"u{user_id}", user_id=user_id, end_before=known.end_date, end_after=after
    )
