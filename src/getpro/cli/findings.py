"""Findings as the commands show them: a table, a line that sums up, an exit code."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from getpro.checks.check import Finding, Level

WORDS: Final = {
    Level.ABSENT: "[dim]· нет здесь[/]",
    Level.OK: "[green]✓ в порядке[/]",
    Level.ATTENTION: "[yellow]! внимание[/]",
    Level.UNKNOWN: "[red]? не проверено[/]",
    Level.WRONG: "[red]✗ неверно[/]",
}
CODES: Final = {Level.ABSENT: 0, Level.OK: 0, Level.ATTENTION: 1, Level.UNKNOWN: 2, Level.WRONG: 2}


@contextlib.contextmanager
def progress(total: int) -> Iterator[Callable[[list[str]], object]]:
    """What is still awaited, on a terminal only."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("Проверяю") as status:
        yield lambda waiting: status.update(
            f"Проверено {total - len(waiting)} из {total}; ждём: {', '.join(waiting)}"
        )


def table(found: Sequence[Finding]) -> Table:
    shown = Table("Итог", "Что", "Что видно и что делать", header_style="bold", show_lines=False)
    shown.columns[0].no_wrap = True
    for column in shown.columns[1:]:
        column.overflow = "fold"  # on a narrow screen a setting's name is broken, and not cut
    for finding in found:
        remedy = f"\n[bold]→ {escape(finding.remedy)}[/]" if finding.remedy else ""
        shown.add_row(WORDS[finding.level], finding.title, escape(finding.seen) + remedy)
    return shown


def summary(found: Sequence[Finding]) -> str:
    counted = Counter(finding.level for finding in found)
    words = {Level.WRONG: "неверно", Level.UNKNOWN: "не проверено", Level.ATTENTION: "внимание"}
    trouble = [f"{text}: {counted[level]}" for level, text in words.items() if counted[level]]
    return f"Проверено строк: {len(found)}. {', '.join(trouble).capitalize() or 'Всё в порядке'}."


def plain(found: Sequence[Finding], verdict: Level) -> dict[str, object]:
    return {"verdict": verdict, "findings": [asdict(finding) for finding in found]}
