"""The panel's users beside our subscriptions.

The reconciler plans, shows, and applies only what is safe: it opens what was paid for. It never deletes,
shortens or lowers by itself: whatever is more on the panel was given by a person.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import structlog
from sqlalchemy import select

from getpro.customers import store as customers
from getpro.customers.models import users
from getpro.panel import accounts
from getpro.panel.models import panel_accounts
from getpro.panel.service import Allowance, KnownAccount, PanelUser, recognized
from getpro.panel.states import UserStatus
from getpro.platform.database import Session
from getpro.sales.delivery import defer_delivery
from getpro.sales.deps import Deps
from getpro.subscriptions import store as subscriptions
from getpro.subscriptions.models import subscriptions as subscriptions_table

log = structlog.get_logger(__name__)


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
    user: PanelUser | None, known: KnownAccount, user_id: int, end_date: datetime, ours: Allowance
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
    async with deps.db.read("reconcile: before") as session:
        before = set(await _delivered(session, now=deps.clock()))
    found = {user.account.username: user async for user in deps.panel.users()}
    async with deps.db.read("reconcile: after") as session:
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
    account: KnownAccount


async def _delivered(session: Session, *, now: datetime) -> list[_Delivered]:
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


async def _known(session: Session) -> set[str]:
    """The names of all users that we made."""
    return set(await session.scalars(select(panel_accounts.c.username)))


async def _awaited(session: Session) -> set[int]:
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
    async with deps.db.read("compare") as session:
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
