"""``2getpro doctor``: everything that can be wrong, a line each, with what to do about it."""

import asyncio
import contextlib
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from getpro.bootstrap.checks import checks
from getpro.checks.check import Finding, Level, run, worst
from getpro.cli.env_file import EnvFile
from getpro.cli.settings import read_settings
from getpro.cli.tables import WIDE
from getpro.cli.words import as_started
from getpro.platform.settings import ReadableSettings, Settings
from getpro.platform.wrong_settings import Wrong, wrong_settings

app = typer.Typer(add_completion=False)

_WORDS: Final = {
    Level.OK: "[green]✓ в порядке[/]",
    Level.ATTENTION: "[yellow]! внимание[/]",
    Level.UNKNOWN: "[red]? не проверено[/]",
    Level.WRONG: "[red]✗ неверно[/]",
}
_CODES: Final = {Level.OK: 0, Level.ATTENTION: 1, Level.UNKNOWN: 2, Level.WRONG: 2}


@app.command()
def doctor(*, as_json: Annotated[bool, typer.Option("--json", help="Для программ")] = False) -> None:
    """Проверить всё, что нужно магазину: настройки, базу, Telegram, провайдеров, панель, часы, диск.

    Ничего не меняет. Код 0: всё в порядке, 1: есть на что обратить внимание, 2: что-то неверно или не
    проверено.

    Пример: 2getpro doctor --json
    """
    found = asyncio.run(_look())
    verdict = worst(found)
    if as_json:
        typer.echo(json.dumps(_plain(found, verdict), ensure_ascii=False, indent=2))
    else:
        Console(width=None if sys.stdout.isatty() else WIDE).print(_table(found))
        typer.echo(_summary(found))
    raise typer.Exit(_CODES[verdict])


async def _look() -> list[Finding]:
    env_file = EnvFile.read(Path(".env"))
    names = {*os.environ, *env_file.values}
    async with checks(
        read_settings(ReadableSettings), _wrong(), names=names, env_file=env_file.path
    ) as everything:
        with _progress(len(everything)) as on_progress:
            found = await run(everything, on_progress=on_progress)
    return [
        replace(finding, seen=as_started(finding.seen), remedy=as_started(finding.remedy))
        for finding in found
    ]


def _wrong() -> list[Wrong]:
    try:
        Settings()  # type: ignore[call-arg] # from the environment
    except ValidationError as error:
        return wrong_settings(error)
    return []


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[list[str]], object]]:
    """What is still awaited, on a terminal only."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("Проверяю") as status:
        yield lambda waiting: status.update(
            f"Проверено {total - len(waiting)} из {total}; ждём: {', '.join(waiting)}"
        )


def _table(found: list[Finding]) -> Table:
    table = Table("Итог", "Что", "Что видно и что делать", header_style="bold", show_lines=False)
    table.columns[0].no_wrap = True
    for finding in found:
        remedy = f"\n[bold]→ {escape(finding.remedy)}[/]" if finding.remedy else ""
        table.add_row(_WORDS[finding.level], finding.title, escape(finding.seen) + remedy)
    return table


def _summary(found: list[Finding]) -> str:
    counted = Counter(finding.level for finding in found)
    words = {Level.WRONG: "неверно", Level.UNKNOWN: "не проверено", Level.ATTENTION: "внимание"}
    trouble = [f"{text}: {counted[level]}" for level, text in words.items() if counted[level]]
    return f"Проверено строк: {len(found)}. {', '.join(trouble).capitalize() or 'Всё в порядке'}."


def _plain(found: list[Finding], verdict: Level) -> dict[str, object]:
    return {"verdict": verdict, "findings": [asdict(finding) for finding in found]}
