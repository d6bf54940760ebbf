"""The table: what was measured, beside what is to hold."""

import os
import platform
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median

from bench.meter import percentile
from bench.money import Flow
from bench.size import Size
from bench.updates import CROWDS, Cost
from bench.watched import Turns


@dataclass(frozen=True)
class Figures:
    """All of one run."""

    empty: list[Cost]
    shop: list[Cost]
    imports: list[Size]
    sizes: list[Size]
    statements_a_press: float
    flows: "Flows"
    turns: Turns
    history: dict[str, float] | None
    """Seconds of the guide's queries, slowest first."""


@dataclass(frozen=True)
class Flows:
    """Of money, some of it several times, each between two looks at the machine's speed."""

    door: "list[Judged]"
    """As fast as ``web`` answers; a worker comes later."""
    near: "list[Judged]"
    """50 notices a second; settled and delivered meanwhile, as is all below."""
    far: "list[Judged]"
    """As fast as the shop answers, the panel 100 ms away."""
    far_steady: Flow
    """20 a second, the panel 100 ms away."""


@dataclass(frozen=True)
class Judged:
    """A flow, and what a press of the empty bot took in milliseconds of CPU just before and just after."""

    flow: Flow
    press_cpu_ms: float

    @property
    def slower(self) -> float:
        """How many times slower than that of the goals this machine was meanwhile."""
        return self.press_cpu_ms / GOALS_MENU_CPU_MS / (1 - self.flow.stolen)


@dataclass(frozen=True)
class Row:
    what: str
    measured: str
    to_hold: str
    holds: bool


GOALS_MENU_CPU_MS = 2.2
"""What a press of the empty bot took on the machine on which payments a second were set to hold."""
_MOST_RESIDENT = 1.25
"""Times the imports: docs/decisions/0025."""


def rows(figures: Figures) -> list[Row]:
    return [
        _ratio("CPU per `/start` of a new user", figures, lambda cost: cost.start_cpu_ms, 2.5),
        _ratio("CPU per menu press of a known user", figures, lambda cost: cost.menu_cpu_ms, 2.0),
        *_waiting(figures),
        _row("SQL statements per menu press", figures.statements_a_press, "{:.1f}", most=3),
        *_money(figures),
        *_size(figures),
        *_watched(figures.turns),
        *_history(figures),
    ]


def as_markdown(table: list[Row], figures: Figures, *, command: str) -> str:
    """The rows as a table of Markdown, and with what they were made."""
    machine = (
        f"{os.cpu_count()} cores shared by everything, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}"
    )
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, `{command}`; {machine}.",
        "",
        "| | measured | to hold | |",
        "|---|---|---|---|",
        *(f"| {row.what} | {row.measured} | {row.to_hold} | {'✓' if row.holds else '✗'} |" for row in table),
        "",
        f"Lost or unanswered: {_lost(figures) or 'nothing'}.",
        "",
        _footnote(figures),
    ]
    return "\n".join(lines) + "\n"


def _ratio(what: str, figures: Figures, of: Callable[[Cost], float], most: float) -> Row:
    """``of``: milliseconds."""
    ours, theirs = median(map(of, figures.shop)), median(map(of, figures.empty))
    measured = f"{ours:.1f} ms, {ours / theirs:.2f} × the empty bot's {theirs:.1f} ms"
    return Row(what, measured, f"≤ {most:g} ×", ours <= most * theirs)


def _waiting(figures: Figures) -> list[Row]:
    return [row for people in CROWDS for row in _waiting_in(people, figures)]


def _waiting_in(people: int, figures: Figures) -> list[Row]:
    def start(cost: Cost) -> float:
        return cost.start_p95_ms[people]

    def menu(cost: Cost) -> float:
        return cost.menu_p95_ms[people]

    return [
        _ratio(f"p95 of `/start`, {people} people at once", figures, start, 3),
        _ratio(f"p95 of a press, {people} people at once", figures, menu, 2.5),
    ]


def _money(figures: Figures) -> list[Row]:
    flows = figures.flows
    steady = [1000 * percentile(one.flow.answered, 0.5) for one in flows.near]
    steady_there = [took / one.slower for took, one in zip(steady, flows.near, strict=True)]
    late = percentile(flows.far_steady.delivered, 0.99)

    def at_least(what: str, several: list[Judged], rate: Callable[[Flow], float], least: float) -> Row:
        here, there = [rate(one.flow) for one in several], [rate(one.flow) * one.slower for one in several]
        shown = f"{median(here):.0f}/s, at that speed {_range(there)}/s"
        return Row(what, shown, f"≥ {least:g}¹", median(there) >= least)

    return [
        at_least(
            "notices stored and answered, by `web`", flows.door, lambda flow: flow.answered_per_second, 300
        ),
        Row(
            "… p50 at 50/s, by `run`, which delivers meanwhile",
            f"{median(steady):.0f} ms, at that speed {_range(steady_there)} ms",
            "≤ 20 ms¹",
            median(steady_there) <= 20,  # noqa: PLR2004 -- as the column says
        ),
        at_least("paid → on the panel, 100 ms away", flows.far, lambda flow: flow.delivered_per_second, 60),
        _row("… p99 at 20/s", late, "{:.1f} s", most=2),
    ]


def _range(several: list[float]) -> str:
    """The median, and between what it lies."""
    return f"{median(several):.0f} ({min(several):.0f}–{max(several):.0f})"


def _footnote(figures: Figures) -> str:
    every = [*figures.flows.door, *figures.flows.near, *figures.flows.far]
    presses = [one.press_cpu_ms for one in every]
    stolen = [one.flow.stolen for one in every]
    return (
        f"¹ Set where a press of the empty bot took {GOALS_MENU_CPU_MS} ms of CPU and nobody took any of the"
        f" machine away, and judged at that speed: here it took {min(presses):.1f} to {max(presses):.1f} ms,"
        f" measured just before and just after each of the {len(every)} measurements, and the machine's host"
        f" took {min(stolen):.0%} to {max(stolen):.0%} of it meanwhile. Shown is the median, and between what"
        " it lies.\n\n"
        "² As far as two turns that were left alone lie from each other, in the median."
    )


def _size(figures: Figures) -> list[Row]:
    imports = median(size.ready_seconds for size in figures.imports)
    ready = median(size.ready_seconds for size in figures.sizes)
    bare = median(size.resident_mib for size in figures.imports)
    resident = median(size.resident_mib for size in figures.sizes)
    return [
        Row(
            "`2getpro run` ready on a migrated database",
            f"{ready:.1f} s, the imports alone {imports:.1f} s",
            "imports + 2 s",
            ready <= imports + 2,
        ),
        Row(
            "resident, PostgreSQL not counted",
            f"{resident:.0f} MiB, {resident / bare:.2f} × the imports' {bare:.0f} MiB",
            f"≤ {_MOST_RESIDENT:g} ×",
            resident <= _MOST_RESIDENT * bare,
        ),
    ]


def _watched(turns: Turns) -> list[Row]:
    """Measurable is what the turns do not do by themselves: two that are left alone differ, too."""

    def row(what: str, alone: list[float], seen: list[float]) -> Row:
        added = [after - before for before, after in zip(alone, seen, strict=True)]
        noise = median(abs(after - before) for before, after in pairwise(alone))
        shown = f"{median(alone):.1f} ms alone; watched, pair by pair {_signed(added)} ms"
        return Row(what, shown, f"within ± {noise:.1f} ms²", abs(median(added)) <= noise)

    return [
        row("p50 of a press while scraped and checked", turns.alone_p50, turns.watched_p50),
        row("… p95", turns.alone_p95, turns.watched_p95),
    ]


def _signed(several: list[float]) -> str:
    return f"{median(several):+.1f} ({min(several):+.1f} to {max(several):+.1f})"


LONG_LOOKS = {"new_users_by_month", "top_customers", "conversion_by_duration", "active_users_30_days"}
"""Queries over all history, or over thirty days of messages."""


def _history(figures: Figures) -> list[Row]:
    if figures.history is None:
        return []
    long = max(figures.history[name] for name in LONG_LOOKS)
    short = max(seconds for name, seconds in figures.history.items() if name not in LONG_LOOKS)
    return [
        _row("the guide's SELECTs, the slowest", short, "{:.2f} s", most=1),
        _row("… those over all history or 30 days of messages", long, "{:.2f} s", most=5),
    ]


def _row(what: str, value: float, shape: str, *, most: float) -> Row:
    return Row(what, shape.format(value), f"≤ {most:g}", value <= most)


def _lost(figures: Figures) -> str:
    costs = [cost.lost for cost in figures.shop]
    of_money = figures.flows
    several = [one.flow.lost for one in (*of_money.door, *of_money.near, *of_money.far)]
    lost = sum([*costs, *several, of_money.far_steady.lost], Counter[str]())
    return ", ".join(f"{count} × {what}" for what, count in lost.items())
