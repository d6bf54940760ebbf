"""The guide's monthly report, as its command writes it into ``monthly_report.txt``."""

from typing import Final

from sqlalchemy import text

from getpro.operations.deps import Deps
from getpro.operations.month.figures import Figures
from getpro.operations.month.period import Period
from getpro.operations.month.report import see
from getpro.operations.queries import GUIDES

_HEAD: Final = ("metric", "value")


async def monthly_report(deps: Deps, period: Period) -> str:
    """The three lines; a flow. Of the running month by the guide's own query, else out of its report."""
    if period.is_whole:
        return as_psql(_of((await see(deps, period, recounts=False)).report.this.figures))
    async with deps.db.begin("month: guide") as session:
        await session.execute(text("SELECT set_config('timezone', :zone, true)"), {"zone": deps.zone.key})
        rows = await session.execute(text(GUIDES["monthly_report"]))
        return as_psql([(metric, value or "") for metric, value in rows])


def _of(figures: Figures) -> list[tuple[str, str]]:
    revenue = f"{figures.by_order_day // 100}.{figures.by_order_day % 100:02}" if figures.by_order_day else ""
    return [
        ("Total Users", str(figures.users)),
        ("Active Subscriptions", str(figures.active)),
        ("Monthly Revenue", revenue),
    ]


def as_psql(rows: list[tuple[str, str]]) -> str:
    """As psql prints a table of two texts; pure."""
    widths = [max(map(len, column)) for column in zip(_HEAD, *rows, strict=True)]
    head = "|".join(f" {_centred(name, width)} " for name, width in zip(_HEAD, widths, strict=True))
    rule = "+".join("-" * (width + 2) for width in widths)
    body = [f" {metric:{widths[0]}} | {value}" for metric, value in rows]
    return "\n".join([head, rule, *body, f"({len(rows)} rows)", "", ""])


def _centred(name: str, width: int) -> str:
    """What is left over stands behind."""
    before = (width - len(name)) // 2
    return " " * before + name + " " * (width - len(name) - before)
