"""The providers' lists of what they took and gave back, beside our books: for money that no notice told of.

Each look goes on from where the last complete one of its kind ended, however long ago that was: a provider
that was away, or a shop that was, leaves no gap behind it.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Final, NamedTuple

import structlog
from sqlalchemy import ARRAY, ColumnElement, Text, all_, any_, exists, func, literal, select
from sqlalchemy.dialects.postgresql import distinct_on

from getpro.kit.money import Money
from getpro.payments import inbox, looks
from getpro.payments import store as payments_store
from getpro.payments.models import payments, stuck_payments
from getpro.payments.provider import Charge, ChargeState, Provider, ProviderUnavailable
from getpro.payments.states import PaymentStatus, StuckMoney
from getpro.platform.database import Session
from getpro.sales.deps import Deps
from getpro.sales.settle import settle_charge

log = structlog.get_logger(__name__)

_AGAIN: Final = timedelta(hours=3)
"""So much of what was looked at is looked at again: a charge may come late into a list, or have failed us."""
_STRIDE: Final = timedelta(days=1)
"""So much is looked at in one go: a look that is cut off has not been for nothing."""
_SETTLING: Final = timedelta(minutes=2)
"""Younger charges are left to their notices."""
_CLOCKS_DIFFER: Final = timedelta(hours=1)
"""How far the time in a provider's list may lie from the one that we recorded, out of its notice."""
_SHOPS: Final = "RUB"
"""The currency in which a day on which nothing was taken is kept."""
_DAYS_COMPARED: Final = 3
"""So many days are compared each night, those before them only if they never were."""


async def find_lost_charges(deps: Deps) -> None:
    """Settle what providers took, or gave back, and we never heard of; run by schedule."""
    now = deps.clock()
    for provider in deps.providers.active:
        try:
            async with deps.db.begin("lost charges: looked until") as session:
                looked = await looks.looks_at(session, provider.code, now=now)
            for since, until in _strides(max(looked.settled_until - _AGAIN, looked.since), now):
                await _settle_unseen(deps, provider, since, min(until, now - _SETTLING))
                await record_refunds(deps, provider, since, until)
                async with deps.db.begin("lost charges: looked") as session:
                    await looks.note_settled(session, provider.code, until)
        except ProviderUnavailable as error:
            log.warning("reconcile.provider_away", provider=provider.code, error=str(error))
        except Exception:
            log.exception("reconcile.provider_failed", provider=provider.code)


def _strides(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    while since < until:
        yield since, min(since + _STRIDE, until)
        since += _STRIDE


async def _settle_unseen(deps: Deps, provider: Provider, since: datetime, until: datetime) -> None:
    async for charge in provider.charges(since, until):
        if charge.state is not ChargeState.PAID:
            continue
        try:
            await _settle_if_unseen(deps, charge)
        except Exception:  # one odd charge must not hide the others
            log.exception("reconcile.charge_failed", provider=provider.code, charge_id=charge.charge_id)


async def record_refunds(deps: Deps, provider: Provider, since: datetime, until: datetime) -> None:
    """Look again at each charge of ours of which something was given back: by us, by a cabinet, by a bank."""
    async for charge_id in provider.refunded(since, until):
        async with deps.db.read("reconcile: refunded") as session:
            recorded = await payments_store.by_charge(session, provider.code, charge_id)
        if recorded is None:
            continue
        try:
            await settle_charge(deps, await provider.find(charge_id))
        except Exception:  # one odd charge must not hide the others
            log.exception("reconcile.refund_failed", provider=provider.code, charge_id=charge_id)


async def _settle_if_unseen(deps: Deps, charge: Charge) -> None:
    async with deps.db.read("reconcile: seen") as session:
        seen = await _is_known(session, charge)
    if not seen:
        log.error("payment.notice_lost", provider=charge.provider, charge_id=charge.charge_id)
        await settle_charge(deps, charge)


async def _is_known(session: Session, charge: Charge) -> bool:
    for table in (payments, stuck_payments):
        found = await session.scalar(
            select(func.count()).where(
                table.c.provider == charge.provider, table.c.charge_id == charge.charge_id
            )
        )
        if found:
            return True
    return False


async def compare_days(deps: Deps, *, zone: tzinfo) -> None:
    """Compare the last days, and all before them that never were: somebody was away, or we were.

    ``zone`` is the one in which a day begins and has its name. A provider that fails keeps no other from
    being compared. Raises what the first one failed with, ProviderUnavailable for one that is away.
    """
    failed: list[Exception] = []
    for provider in deps.providers.active:
        try:
            await _compare_days_of(deps, provider, zone)
        except Exception as error:
            log.exception("reconcile.provider_failed", provider=provider.code)
            failed.append(error)
    if failed:
        raise failed[0]


async def _compare_days_of(deps: Deps, provider: Provider, zone: tzinfo) -> None:
    now = deps.clock()
    async with deps.db.begin("compare: compared until") as session:
        looked = await looks.looks_at(session, provider.code, now=now)
    today = now.astimezone(zone).date()
    day = min(looked.compared_until.astimezone(zone).date(), today - timedelta(days=_DAYS_COMPARED))
    day = max(day, looked.since.astimezone(zone).date())
    while day < today:
        first, after = midnights(day, zone)
        await compare_sums(deps, provider, max(first, looked.since), after, day=day)
        async with deps.db.begin("compare: compared") as session:
            await looks.note_compared(session, provider.code, after)
        day += timedelta(days=1)


def midnights(day: date, zone: tzinfo) -> tuple[datetime, datetime]:
    """When the day begins and ends in ``zone``, UTC; 23 or 25 hours lie between at a change of time."""
    first = datetime.combine(day, time(), tzinfo=zone)
    after = datetime.combine(day + timedelta(days=1), time(), tzinfo=zone)
    return first.astimezone(UTC), after.astimezone(UTC)


async def compare_sums(
    deps: Deps, provider: Provider, since: datetime, until: datetime, *, day: date
) -> dict[str, tuple[Money, Money]]:
    """Compare what a provider says it took with what we recorded; a kopek of difference is stuck money.

    Return both sums by currency, its own first. ``day`` names the difference. Raises ProviderUnavailable.
    """
    await _settle_unseen(deps, provider, since, until)
    await record_refunds(deps, provider, since, until)
    sums = await both_sums(deps, provider, since, until)
    async with deps.db.begin("reconcile: sums") as session:
        for pair in sums.values():
            await _keep_difference(session, provider.code, day, *pair, now=deps.clock())
        nothing = Money(0, _SHOPS)
        kept = sums.values() or [(nothing, nothing)]
        await looks.keep_day(session, provider.code, day, kept, now=deps.clock())
    return sums


async def both_sums(
    deps: Deps, provider: Provider, since: datetime, until: datetime
) -> dict[str, tuple[Money, Money]]:
    """What a provider says it took and what we recorded of that, by currency; it changes nothing.

    Raises ProviderUnavailable.
    """
    theirs: dict[str, Money] = {}
    day_ids, other_ids = [], []
    async for charge in provider.charges(since - _CLOCKS_DIFFER, until + _CLOCKS_DIFFER):
        if charge.state is not ChargeState.PAID:
            continue
        if not since <= (charge.paid_at or since) < until:
            other_ids.append(charge.charge_id)
            continue
        day_ids.append(charge.charge_id)
        zero = Money(0, charge.taken.currency)
        theirs[zero.currency] = theirs.get(zero.currency, zero) + charge.taken
    async with deps.db.read("reconcile: recorded") as session:
        ours = await _recorded(session, provider.code, _Day(since, until, day_ids, other_ids))
    return {
        currency: (theirs.get(currency, Money(0, currency)), ours.get(currency, Money(0, currency)))
        for currency in theirs.keys() | ours.keys()
    }


class _Day(NamedTuple):
    """A day as the provider counts it: by its list; what is in no list of its counts by our own time."""

    since: datetime
    until: datetime
    charge_ids: list[str]
    neighbours: list[str]
    """Charges that its list has shortly before or after."""

    def has(self, charge_id: ColumnElement[Any], at: ColumnElement[Any]) -> ColumnElement[bool]:
        ids, neighbours = (literal(found, ARRAY(Text)) for found in (self.charge_ids, self.neighbours))
        in_time = (at >= self.since) & (at < self.until)
        return (charge_id == any_(ids)) | (in_time & (charge_id != all_(neighbours)))


async def _recorded(session: Session, provider: str, day: _Day) -> dict[str, Money]:
    """What we recorded as taken, delivered or stuck, by currency; each charge once, whatever became of it."""
    paid = await session.execute(
        select(payments.c.paid_currency, func.sum(payments.c.paid_amount))
        .where(
            payments.c.provider == provider,
            payments.c.status == PaymentStatus.SUCCEEDED,
            day.has(payments.c.charge_id, payments.c.paid_at),
        )
        .group_by(payments.c.paid_currency)
    )
    sums = {currency: Money.parse(str(amount), currency) for currency, amount in paid.all()}
    recorded = exists().where(
        payments.c.provider == stuck_payments.c.provider, payments.c.charge_id == stuck_payments.c.charge_id
    )
    entries = (
        select(stuck_payments.c.currency, stuck_payments.c.amount)
        .ext(distinct_on(stuck_payments.c.charge_id))
        .where(
            stuck_payments.c.provider == provider,
            stuck_payments.c.kind != StuckMoney.SUM_DIFFERS,
            day.has(stuck_payments.c.charge_id, stuck_payments.c.taken_at),
            ~recorded,
        )
        .order_by(stuck_payments.c.charge_id, stuck_payments.c.stuck_id.desc())
        .subquery()
    )
    held = await session.execute(
        select(entries.c.currency, func.sum(entries.c.amount)).group_by(entries.c.currency)
    )
    for currency, amount in held.all():
        sums[currency] = sums.get(currency, Money(0, currency)) + Money.parse(str(amount), currency)
    return sums


async def _keep_difference(
    session: Session, provider: str, day: date, theirs: Money, ours: Money, *, now: datetime
) -> None:
    is_new = await inbox.keep_difference(
        session,
        provider=provider,
        name=f"{day:%Y-%m-%d}/{theirs.currency}",
        difference=theirs - ours,
        details=f"За {day:%d.%m.%Y} провайдер взял {theirs}, у нас записано {ours}.",
        now=now,
    )
    if is_new and theirs != ours:
        log.error("payment.sums_differ", provider=provider, theirs=str(theirs), ours=str(ours))
