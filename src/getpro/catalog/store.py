"""Plans as they stand in the table."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from getpro.catalog.models import plans
from getpro.kit.money import Money, roubles
from getpro.platform.database import Session
from getpro.platform.prepared import Prepared


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sold: ``days`` are added, ``duration_months`` is the label."""

    plan_id: int
    duration_months: int
    days: int
    price: Money
    stars: Money
    is_usual: bool


class PlanGone(LookupError):
    """The plan does not exist or is no longer sold."""


_ACTIVE = Prepared(select(plans).where(plans.c.is_active).order_by(plans.c.position, plans.c.days))


async def active_plans(session: Session) -> list[Plan]:
    return [_plan(row) for row in await _ACTIVE.all(session)]


async def active_plan(session: Session, plan_id: int) -> Plan:
    """Return the plan; raises PlanGone when it is not sold (any more)."""
    row = (await session.execute(select(plans).where(plans.c.plan_id == plan_id, plans.c.is_active))).first()
    if row is None:
        raise PlanGone(plan_id)
    return _plan(row)


async def is_known(session: Session, plan_id: int) -> bool:
    """Whether the plan is in the table, sold or not."""
    return await session.scalar(select(plans.c.plan_id).where(plans.c.plan_id == plan_id)) is not None


def _plan(row: Any) -> Plan:
    return Plan(
        plan_id=row.plan_id,
        duration_months=row.duration_months,
        days=row.days,
        price=roubles(row.price),
        stars=Money(row.stars, "XTR"),
        is_usual=row.is_usual,
    )
