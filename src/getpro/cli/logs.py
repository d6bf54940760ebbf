"""``2getpro logs``: what went wrong lately, grouped; the lines themselves; old files."""

import json
import sys
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from getpro.cli.deeds import only_looks_unless
from getpro.cli.settings import read_settings
from getpro.cli.tables import WIDE, in_words
from getpro.kit.clock import utc_now
from getpro.kit.trouble import Trouble, system_words
from getpro.operations import logs
from getpro.platform.settings import ReadableSettings

app = typer.Typer(add_completion=False)

_LOOKS_EVERY_SECONDS: Final = 0.5
_LEVELS: Final = {level.lower(): level for level in logs.LEVELS}


@app.command(name="logs")
@only_looks_unless("delete_older")
def show(
    since: Annotated[str, typer.Option(help="За какое время: 30m, 24h, 7d")] = "24h",
    level: Annotated[str, typer.Option(help="С какой важности: info, warning, error")] = "error",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Для программ")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Показывать новые строки как есть")] = False,
    delete_older: Annotated[str | None, typer.Option(help="Удалить файлы старше, например 30d")] = None,
) -> None:
    """Показать, что в журналах не так: одинаковое вместе, новое раньше известного.

    Код 0: ничего; 1: есть, но всё уже было раньше; 2: есть новое.

    Пример: 2getpro logs --since 24h --level error
    """
    directory = _directory()
    if delete_older is not None:
        _prune(directory, delete_older)
    elif follow:
        _follow(directory)
    else:
        raise typer.Exit(_show(directory, since, level, as_json=as_json))


def _directory() -> Path:
    directory = read_settings(ReadableSettings).log_dir
    if directory is None:
        raise Trouble(
            "Журнала в файлах нет.",
            "GETPRO_LOG_DIR не задана: журнал идёт только в стандартный вывод.",
            "Задайте GETPRO_LOG_DIR и перезапустите магазин.",
        )
    return directory


def _show(directory: Path, since: str, level: str, *, as_json: bool) -> int:
    if (wanted := _LEVELS.get(level.lower())) is None:
        raise Trouble(f"Важности {level!r} нет.", "Опечатка?", "Бывают: debug, info, warning, error.")
    try:
        begins = utc_now() - _duration(since)
        found = logs.look(directory, since=begins, level=wanted)
    except OSError as error:
        raise _unreadable(directory, error) from error
    if as_json:
        typer.echo(json.dumps(asdict(found), ensure_ascii=False, indent=2, default=_plain))
    else:
        _table(found, begins)
    return 2 if any(one.is_new for one in found.troubles) else 1 if found.troubles else 0


def _table(found: logs.Found, since: datetime) -> None:
    zone = read_settings(ReadableSettings).zone
    if not found.lines:
        typer.echo("За это время в журнале нет ни одной строки: магазин работает? Туда ли он пишет?")
        return
    if found.troubles:
        table = Table()
        for title, justify in (("", "left"), ("Раз", "right"), ("Событие", "left"), ("Последний", "left")):
            table.add_column(title, justify=justify)  # type: ignore[arg-type] # one of rich's words
        table.add_column("Что известно", overflow="fold")
        for one in found.troubles:
            what = " ".join(filter(None, (one.event, one.error)))
            where = " ".join(filter(None, (one.place, one.sample)))
            table.add_row(
                "[red]новое[/]" if one.is_new else "было",
                str(one.count),
                escape(what),
                in_words(one.last_at, zone),
                escape(where),
            )
        Console(width=None if sys.stdout.isatty() else WIDE).print(table)
    typer.echo(f"Строк за это время: {found.lines}, из них не разобрано {found.unreadable}.")
    for writer in found.writers:
        if writer.oldest is not None and writer.forgets(since):
            remembers = in_words(writer.oldest, zone)
            typer.echo(f"{writer.name}.log помнит только с {remembers}: более ранних ошибок здесь нет.")


def _prune(directory: Path, older: str) -> None:
    try:
        gone = logs.prune(directory, before=utc_now() - _duration(older))
    except OSError as error:
        raise _unreadable(directory, error) from error
    for path in gone:
        typer.echo(f"Удалён {path}")
    typer.echo(f"Удалено файлов: {len(gone)}.")


def _follow(directory: Path) -> None:
    """Until Ctrl-C; a file that is rotated or new is read from its beginning."""
    ends = {path: path.stat().st_size for path in logs.files(directory)}
    while True:
        for path in directory.glob("*.log"):
            size, read = path.stat().st_size, ends.get(path, 0)
            with path.open(encoding="utf-8", errors="replace") as file:
                file.seek(read if size >= read else 0)
                sys.stdout.write(file.read())
                ends[path] = file.tell()
        sys.stdout.flush()
        time.sleep(_LOOKS_EVERY_SECONDS)


def _duration(text: str) -> Any:
    try:
        return logs.duration(text)
    except ValueError as error:
        raise Trouble(
            f"Не понимаю {text!r}.", "Нужно число и буква.", "Например: 30m, 24h или 7d."
        ) from error


def _unreadable(directory: Path, error: OSError) -> Trouble:
    return Trouble(
        "Журнал не прочитать.", f"{directory}: {system_words(error)}", "Проверьте GETPRO_LOG_DIR и права."
    )


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
