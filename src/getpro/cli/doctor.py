"""``2getpro doctor``: everything that can be wrong, a line each, with what to do about it."""

import asyncio
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console

from getpro.bootstrap.checks import checks
from getpro.checks.check import Finding, run, worst
from getpro.cli.deeds import only_looks
from getpro.cli.findings import CODES, plain, progress, summary, table
from getpro.cli.settings import read_settings
from getpro.cli.tables import WIDE
from getpro.cli.words import as_started
from getpro.platform.env_file import EnvFile
from getpro.platform.settings import ReadableSettings, Settings
from getpro.platform.wrong_settings import Wrong, wrong_settings

app = typer.Typer(add_completion=False)


@app.command()
@only_looks
def doctor(*, as_json: Annotated[bool, typer.Option("--json", help="Для программ")] = False) -> None:
    """Проверить всё, что нужно магазину: настройки, базу, Telegram, провайдеров, панель, часы, диск.

    Ничего не меняет. Код 0: всё в порядке, 1: есть на что обратить внимание, 2: что-то неверно или не
    проверено.

    Пример: 2getpro doctor --json
    """
    found = asyncio.run(_look())
    verdict = worst(found)
    if as_json:
        typer.echo(json.dumps(plain(found, verdict), ensure_ascii=False, indent=2))
    else:
        Console(width=None if sys.stdout.isatty() else WIDE).print(table(found))
        typer.echo(summary(found))
    raise typer.Exit(CODES[verdict])


async def _look() -> list[Finding]:
    env_file = EnvFile.read(Path(".env"))
    names = {*os.environ, *env_file.values}
    async with checks(
        read_settings(ReadableSettings), _wrong(), names=names, env_file=env_file.path
    ) as everything:
        with progress(len(everything)) as on_progress:
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
