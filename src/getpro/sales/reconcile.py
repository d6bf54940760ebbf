"""Reconciling with the outside: the panel's users with ours, the providers' charges with ours.

The panel reconciler plans, shows, and applies only what is safe: it opens what was paid for. It never
deletes, shortens or lowers by itself: whatever is more on the panel was given by a person.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Any, NamedTuple

import structlog
from sqlalchemy import ARRAY, ColumnElement, Text, all_, any_, exists, func, literal, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from getpro.customers import store as customers
from getpro.customers.models import users
from getpro.kit.money import Money
from getpro.panel import accounts
from getpro.panel.models import panel_accounts
from getpro.panel.service import Allowance, PanelAccount, PanelUser, recognized
from getpro.panel.states import UserStatus
from getpro.payments import inbox
from getpro.payments import store as payments_store
from getpro.payments.models import payments, stuck_payments
from getpro.payments.provider import Charge, ChargeState, Provider, ProviderUnavailable
from getpro.payments.states import PaymentStatus, StuckMoney
from getpro.sales.delivery import defer_delivery
from getpro.sales.deps import Deps
from getpro.sales.settle import settle_charge
from getpro.subscriptions import store as subscriptions
from getpro.subscriptions.models import subscriptions as subscriptions_table

log = structlog.get_logger(__name__)

RECENT = timedelta(hours=3)
"""How far back unseen charges are looked for every few minutes."""
_SETTLING = timedelta(minutes=2)
"""Younger charges are left to their notices."""
_CLOCKS_DIFFER = timedelta(hours=1)
"""How far the time in a provider's list may lie from the one that we recorded, out of its notice."""


class Difference(StrEnum):
    MISSING = "missing"
    SHORTER = "shorter"
    LONGER = "longer"
    DISABLED = "disabled"
    SQUADS = "squads"
    LESS_TRAFFIC = "less_traffic"
    MORE_TRAFFIC = "more_traffic"
    FEWER_DEVICES = "fewer_devices"
    OTHER_DEVICES = "other_devices"
    """More than we give, none at all, or the panel's own number."""
    RENUMBERED = "renumbered"
    """The panel was upgraded from 2.x: the same user goes by another identity."""
    ORPHAN = "orphan"
    """A user of this shop's making that no subscription names."""


SAFE = frozenset(
    {
        Difference.MISSING,
        Difference.SHORTER,
        Difference.DISABLED,
        Difference.SQUADS,
        Difference.LESS_TRAFFIC,
        Difference.FEWER_DEVICES,
        Difference.RENUMBERED,
    }
)
"""What a repair puts right: it takes nothing from anybody, also where a person has given more otherwise."""
GENEROUS = frozenset({Difference.MORE_TRAFFIC, Difference.OTHER_DEVICES})
"""What is only counted: once the shop has lowered a limit it is so with everybody until they buy again."""


Extent = datetime | int
"""An end, bytes of traffic, or a number of devices."""


@dataclass(frozen=True, slots=True)
class Finding:
    difference: Difference
    subscription_id: int | None
    username: str
    wanted: Extent | None
    found: Extent | None


@dataclass(frozen=True, slots=True)
class Comparison:
    compared: int = 0
    findings: list[Finding] = field(default_factory=list)
    generous: int = 0
    """How many have higher limits than the shop gives."""

    @property
    def to_apply(self) -> list[int]:
        """The subscriptions to repair, each once."""
        safe = [finding.subscription_id for finding in self.findings if finding.difference in SAFE]
        return list(dict.fromkeys(number for number in safe if number is not None))

    @property
    def to_decide(self) -> int:
        """How many differences are left to a person."""
        return sum(finding.difference not in SAFE for finding in self.findings)


Compared = tuple[Difference, Extent | None, Extent | None]
"""How they differ, what is wanted, what was found."""


def differences(user: PanelUser | None, end_date: datetime, ours: Allowance) -> list[Compared]:
    """How the panel's user differs from a delivered subscription that ends at ``end_date``."""
    if user is None:
        return [(Difference.MISSING, end_date, None)]
    found = user.expire_at.replace(microsecond=0)
    differing: list[Compared] = []
    if user.status == UserStatus.DISABLED:
        differing.append((Difference.DISABLED, end_date, found))
    if found != end_date:
        differing.append((Difference.SHORTER if found < end_date else Difference.LONGER, end_date, found))
    if not user.squads.issuperset(ours.squads):
        differing.append((Difference.SQUADS, end_date, found))
    if user.traffic_bytes != ours.traffic_bytes:
        is_less = ours.is_more_traffic_than(user)
        kind = Difference.LESS_TRAFFIC if is_less else Difference.MORE_TRAFFIC
        differing.append((kind, ours.traffic_bytes, user.traffic_bytes))
    if ours.device_limit is not None and user.device_limit != ours.device_limit:
        is_fewer = ours.is_more_devices_than(user)
        kind = Difference.FEWER_DEVICES if is_fewer else Difference.OTHER_DEVICES
        differing.append((kind, ours.device_limit, user.device_limit))
    return differing


def _compared(
    user: PanelUser | None, known: PanelAccount, user_id: int, end_date: datetime, ours: Allowance
) -> list[Compared]:
    """How the user of our name differs from what was delivered to ``known``."""
    user = recognized(user, known, user_id)
    differing = differences(user, end_date, ours)
    if user is not None and user.account.panel_user_id != known.panel_user_id:
        differing.append((Difference.RENUMBERED, end_date, user.expire_at))
    return differing


async def compare_panel(deps: Deps) -> Comparison:
    """Compare every delivered, running subscription with the panel; a flow, it changes nothing.

    The panel's list takes its time: what was delivered meanwhile is left for the next comparison.
    Raises PanelUnavailable, PanelRefused.
    """
    allowance = await deps.panel.allowance()
    async with deps.db.begin("reconcile: before") as session:
        before = set(await _delivered(session, now=deps.clock()))
    found = {user.account.username: user async for user in deps.panel.users()}
    async with deps.db.begin("reconcile: after") as session:
        ours = [row for row in await _delivered(session, now=deps.clock()) if row in before]
        known = await _known(session)
        awaited = await _awaited(session)
    findings = []
    for row in ours:
        user = found.get(row.account.username)
        findings += [
            Finding(kind, row.subscription_id, row.account.username, wanted, seen)
            for kind, wanted, seen in _compared(user, row.account, row.user_id, row.end_date, allowance)
        ]
    generous = {finding.subscription_id for finding in findings if finding.difference in GENEROUS}
    findings = [finding for finding in findings if finding.difference not in GENEROUS]
    findings += [
        Finding(Difference.ORPHAN, None, user.account.username, None, user.expire_at)
        for user in found.values()
        if user.account.username not in known and user.telegram_id not in awaited and deps.panel.is_ours(user)
    ]
    return Comparison(compared=len(ours), findings=findings, generous=len(generous))


class _Delivered(NamedTuple):
    """A running subscription whose wanted version the panel has, and the user that we made for it."""

    subscription_id: int
    user_id: int
    end_date: datetime
    wanted_version: int
    account: PanelAccount


async def _delivered(session: AsyncSession, *, now: datetime) -> list[_Delivered]:
    rows = await session.execute(
        select(
            subscriptions_table.c.user_id,
            subscriptions_table.c.end_date,
            subscriptions_table.c.wanted_version,
            panel_accounts,
        )
        .join(panel_accounts, panel_accounts.c.subscription_id == subscriptions_table.c.subscription_id)
        .join(users, users.c.user_id == subscriptions_table.c.user_id)
        .where(
            users.c.blocked_at.is_(None),
            subscriptions_table.c.provisioned_version == subscriptions_table.c.wanted_version,
            subscriptions_table.c.end_date > now,
        )
    )
    return [
        _Delivered(
            row.subscription_id, row.user_id, row.end_date, row.wanted_version, accounts.account_of(row)
        )
        for row in rows
    ]


async def _known(session: AsyncSession) -> set[str]:
    """The names of all users that we made."""
    return set(await session.scalars(select(panel_accounts.c.username)))


async def _awaited(session: AsyncSession) -> set[int]:
    """The customers whose delivery is under way: a user of theirs may be made and not yet remembered."""
    rows = await session.scalars(
        select(subscriptions_table.c.user_id).where(
            subscriptions_table.c.provisioned_version < subscriptions_table.c.wanted_version
        )
    )
    return set(rows)


async def apply(deps: Deps, comparison: Comparison) -> int:
    """Have what is safe delivered again; return how many."""
    return sum([await _repair(deps, subscription_id) for subscription_id in comparison.to_apply])


async def _repair(deps: Deps, subscription_id: int) -> bool:
    """Want it once more and have that delivered; False if a delivery is due already."""
    async with deps.db.begin("reconcile: repair") as session:
        if not await subscriptions.want_again(session, subscription_id, now=deps.clock()):
            return False
        await defer_delivery(session, deps, subscription_id)
        return True


async def reconcile_panel(deps: Deps) -> None:
    """Compare and apply what is safe; run by schedule."""
    comparison = await compare_panel(deps)
    for finding in comparison.findings:
        log.warning(
            "panel.differs",
            difference=finding.difference,
            subscription_id=finding.subscription_id,
            username=finding.username,
        )
    await apply(deps, comparison)


async def compare_one(deps: Deps, subscription_id: int) -> None:
    """Look at one user because the panel hinted at a change; deliver again where that is safe."""
    async with deps.db.begin("compare: read") as session:
        wanted = await subscriptions.by_id(session, subscription_id)
        known = await accounts.of_subscription(session, subscription_id)
        is_blocked = wanted is not None and (await customers.customer(session, wanted.user_id)).is_blocked
    if (
        is_blocked
        or wanted is None
        or known is None
        or not wanted.is_delivered
        or wanted.end_date <= deps.clock()
    ):
        return
    found = await deps.panel.by_username(known.username)
    allowance = await deps.panel.allowance()
    differing = _compared(found, known, wanted.user_id, wanted.end_date, allowance)
    if any(kind in SAFE for kind, _, _ in differing):
        await _repair(deps, subscription_id)


async def find_lost_charges(deps: Deps) -> None:
    """Settle what providers took, or gave back, lately and we never heard of; run by schedule."""
    now = deps.clock()
    for provider in deps.providers.active:
        try:
            await _settle_unseen(deps, provider, now - RECENT, now - _SETTLING)
            await _record_refunds(deps, provider, now - RECENT, now)
        except ProviderUnavailable as error:
            log.warning("reconcile.provider_away", provider=provider.code, error=str(error))
        except Exception:
            log.exception("reconcile.provider_failed", provider=provider.code)


async def _settle_unseen(deps: Deps, provider: Provider, since: datetime, until: datetime) -> None:
    async for charge in provider.charges(since, until):
        if charge.state is not ChargeState.PAID:
            continue
        try:
            await _settle_if_unseen(deps, charge)
        except Exception:  # one odd charge must not hide the others
            log.exception("reconcile.charge_failed", provider=provider.code, charge_id=charge.charge_id)


async def _record_refunds(deps: Deps, provider: Provider, since: datetime, until: datetime) -> None:
    """Look again at each charge of ours of which something was given back: by us, by a cabinet, by a bank."""
    async for charge_id in provider.refunded(since, until):
        async with deps.db.begin("reconcile: refunded") as session:
            recorded = await payments_store.by_charge(session, provider.code, charge_id)
        if recorded is None:
            continue
        try:
            await settle_charge(deps, await provider.find(charge_id))
        except Exception:  # one odd charge must not hide the others
            log.exception("reconcile.refund_failed", provider=provider.code, charge_id=charge_id)


async def _settle_if_unseen(deps: Deps, charge: Charge) -> None:
    async with deps.db.begin("reconcile: seen") as session:
        seen = await _is_known(session, charge)
    if not seen:
        log.error("payment.notice_lost", provider=charge.provider, charge_id=charge.charge_id)
        await settle_charge(deps, charge)


async def _is_known(session: AsyncSession, charge: Charge) -> bool:
    for table in (payments, stuck_payments):
        found = await session.scalar(
            select(func.count()).where(
                table.c.provider == charge.provider, table.c.charge_id == charge.charge_id
            )
        )
        if found:
            return True
    return False


async def compare_day(
    deps: Deps, since: datetime, until: datetime, *, zone: tzinfo = UTC
) -> dict[str, tuple[Money, Money]]:
    """Compare what providers say they took with what we recorded; every kopek of difference is stuck money.

    Return both sums by ``provider/currency``, theirs first; ``zone`` is the one in which the day has its
    name. A provider that fails keeps no other from being compared. Raises what the first one failed with,
    ProviderUnavailable for one that is away.
    """
    sums: dict[str, tuple[Money, Money]] = {}
    day = since.astimezone(zone).date()
    failed: list[Exception] = []
    for provider in deps.providers.active:
        try:
            sums |= await _compare_provider(deps, provider, since, until, day=day)
        except Exception as error:
            log.exception("reconcile.provider_failed", provider=provider.code)
            failed.append(error)
    if failed:
        raise failed[0]
    return sums


async def _compare_provider(
    deps: Deps, provider: Provider, since: datetime, until: datetime, *, day: date
) -> dict[str, tuple[Money, Money]]:
    await _settle_unseen(deps, provider, since, until)
    await _record_refunds(deps, provider, since, until)
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
    sums: dict[str, tuple[Money, Money]] = {}
    async with deps.db.begin("reconcile: sums") as session:
        ours = await _recorded(session, provider.code, _Day(since, until, day_ids, other_ids))
        for currency in theirs.keys() | ours.keys():
            zero = Money(0, currency)
            pair = theirs.get(currency, zero), ours.get(currency, zero)
            sums[f"{provider.code}/{currency}"] = pair
            if pair[0] != pair[1]:
                await _open_difference(session, provider.code, day, *pair, now=deps.clock())
    return sums


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


async def _recorded(session: AsyncSession, provider: str, day: _Day) -> dict[str, Money]:
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


async def _open_difference(
    session: AsyncSession, provider: str, day: date, theirs: Money, ours: Money, *, now: datetime
) -> None:
    opened = await inbox.open_stuck(
        session,
        kind=StuckMoney.SUM_DIFFERS,
        charge=Charge(
            provider=provider,
            charge_id=f"{day:%Y-%m-%d}/{theirs.currency}",
            state=ChargeState.PAID,
            order_key=None,
            taken=theirs - ours,
            refunded=Money(0, theirs.currency),
        ),
        details=f"За {day:%d.%m.%Y} провайдер взял {theirs}, у нас записано {ours}.",
        now=now,
    )
    if opened:
        log.error("payment.sums_differ", provider=provider, theirs=str(theirs), ours=str(ours))
