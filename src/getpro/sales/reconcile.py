"""Reconciling with the outside: the panel's users with ours, the providers' charges with ours.

The panel reconciler plans, shows, and applies only what is safe: it opens what was paid for. It never
deletes and never shortens by itself: whatever is longer on the panel was given by a person.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from getpro.kit.money import Money
from getpro.panel.models import panel_accounts
from getpro.panel.service import PanelUser
from getpro.payments import inbox
from getpro.payments.models import payments, stuck_payments
from getpro.payments.provider import Charge, ChargeState, Provider, ProviderUnavailable
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


class Difference(StrEnum):
    MISSING = "missing"
    SHORTER = "shorter"
    LONGER = "longer"
    DISABLED = "disabled"
    ORPHAN = "orphan"
    """A user of this shop's making that no subscription names."""


SAFE = frozenset({Difference.MISSING, Difference.SHORTER, Difference.DISABLED})
"""What a delivery puts right without taking anything from anybody."""


@dataclass(frozen=True, slots=True)
class Finding:
    difference: Difference
    subscription_id: int | None
    username: str
    wanted: datetime | None
    found: datetime | None


@dataclass(frozen=True, slots=True)
class Comparison:
    compared: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def to_apply(self) -> list[int]:
        return [
            finding.subscription_id
            for finding in self.findings
            if finding.difference in SAFE and finding.subscription_id is not None
        ]


def difference(user: PanelUser | None, end_date: datetime) -> Difference | None:
    """How the panel's user differs from a delivered subscription that ends at ``end_date``."""
    if user is None:
        return Difference.MISSING
    if user.status == "DISABLED":
        return Difference.DISABLED
    found = user.expire_at.replace(microsecond=0)
    if found != end_date:
        return Difference.SHORTER if found < end_date else Difference.LONGER
    return None


async def compare_panel(deps: Deps) -> Comparison:
    """Compare every delivered, running subscription with the panel; a flow, it changes nothing.

    Raises PanelUnavailable, PanelRefused.
    """
    found = {user.account.panel_user_id: user async for user in deps.panel.users()}
    async with deps.db.begin("reconcile: read") as session:
        rows = await session.execute(
            select(
                subscriptions_table.c.subscription_id,
                subscriptions_table.c.end_date,
                panel_accounts.c.panel_user_id,
                panel_accounts.c.username,
            )
            .join(panel_accounts, panel_accounts.c.subscription_id == subscriptions_table.c.subscription_id)
            .where(
                subscriptions_table.c.provisioned_version == subscriptions_table.c.wanted_version,
                subscriptions_table.c.end_date > deps.clock(),
            )
        )
        ours = rows.all()
        known = set(await session.scalars(select(panel_accounts.c.panel_user_id)))
    findings = []
    for row in ours:
        user = found.get(row.panel_user_id)
        differs = difference(user, row.end_date)
        if differs is not None:
            expiry = user.expire_at if user else None
            findings.append(Finding(differs, row.subscription_id, row.username, row.end_date, expiry))
    findings += [
        Finding(Difference.ORPHAN, None, user.account.username, None, user.expire_at)
        for user in found.values()
        if user.account.panel_user_id not in known and deps.panel.is_ours(user)
    ]
    return Comparison(compared=len(ours), findings=findings)


async def apply(deps: Deps, comparison: Comparison) -> int:
    """Have what is safe delivered again; return how many."""
    async with deps.db.begin("reconcile: apply") as session:
        for subscription_id in comparison.to_apply:
            await defer_delivery(session, deps, subscription_id)
    return len(comparison.to_apply)


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
        username = await session.scalar(
            select(panel_accounts.c.username).where(panel_accounts.c.subscription_id == subscription_id)
        )
    if wanted is None or username is None or not wanted.is_delivered or wanted.end_date <= deps.clock():
        return
    if difference(await deps.panel.by_username(username), wanted.end_date) in SAFE:
        async with deps.db.begin("compare: apply") as session:
            await defer_delivery(session, deps, subscription_id)


async def find_lost_charges(deps: Deps) -> None:
    """Settle what providers took lately and we never heard of; run by schedule."""
    now = deps.clock()
    for provider in deps.providers.active:
        try:
            await _settle_unseen(deps, provider, now - RECENT, now - _SETTLING)
        except ProviderUnavailable as error:
            log.warning("reconcile.provider_away", provider=provider.code, error=str(error))


async def _settle_unseen(deps: Deps, provider: Provider, since: datetime, until: datetime) -> None:
    async for charge in provider.charges(since, until):
        if charge.state is not ChargeState.PAID:
            continue
        async with deps.db.begin("reconcile: seen") as session:
            seen = await _is_known(session, charge)
        if not seen:
            log.error("payment.notice_lost", provider=provider.code, charge_id=charge.charge_id)
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


async def compare_day(deps: Deps, since: datetime, until: datetime) -> dict[str, tuple[Money, Money]]:
    """Compare what providers say they took with what we recorded; every kopek of difference is stuck money.

    Return both sums by ``provider/currency``, theirs first. Raises ProviderUnavailable.
    """
    sums: dict[str, tuple[Money, Money]] = {}
    for provider in deps.providers.active:
        await _settle_unseen(deps, provider, since, until)
        theirs: dict[str, Money] = {}
        async for charge in provider.charges(since, until):
            if charge.state is ChargeState.PAID:
                zero = Money(0, charge.taken.currency)
                theirs[zero.currency] = theirs.get(zero.currency, zero) + charge.taken
        async with deps.db.begin("reconcile: sums") as session:
            ours = await _recorded(session, provider.code, since, until)
            for currency in theirs.keys() | ours.keys():
                zero = Money(0, currency)
                pair = theirs.get(currency, zero), ours.get(currency, zero)
                sums[f"{provider.code}/{currency}"] = pair
                if pair[0] != pair[1]:
                    await _open_difference(session, provider.code, since, *pair, now=deps.clock())
    return sums


async def _recorded(
    session: AsyncSession, provider: str, since: datetime, until: datetime
) -> dict[str, Money]:
    """What we recorded as taken, delivered or stuck, by currency."""
    paid = await session.execute(
        select(payments.c.paid_currency, func.sum(payments.c.paid_amount))
        .where(
            payments.c.provider == provider,
            payments.c.status == "succeeded",
            payments.c.paid_at >= since,
            payments.c.paid_at < until,
        )
        .group_by(payments.c.paid_currency)
    )
    sums = {currency: Money.parse(str(amount), currency) for currency, amount in paid.all()}
    held = await session.execute(
        select(stuck_payments.c.currency, func.sum(stuck_payments.c.amount))
        .where(
            stuck_payments.c.provider == provider,
            stuck_payments.c.kind.not_in(("overpaid", "sum_differs")),
            stuck_payments.c.resolution.is_distinct_from("credited"),
            stuck_payments.c.taken_at >= since,
            stuck_payments.c.taken_at < until,
        )
        .group_by(stuck_payments.c.currency)
    )
    for currency, amount in held.all():
        sums[currency] = sums.get(currency, Money(0, currency)) + Money.parse(str(amount), currency)
    return sums


async def _open_difference(
    session: AsyncSession, provider: str, day: datetime, theirs: Money, ours: Money, *, now: datetime
) -> None:
    opened = await inbox.open_stuck(
        session,
        kind="sum_differs",
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
