"""``2getpro query``: the queries that an operator asks again and again, by name."""

import csv
import io
import json
import sys
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from getpro.cli.database import database
from getpro.cli.deeds import only_looks
from getpro.cli.settings import read_settings
from getpro.cli.tables import WIDE
from getpro.operations.queries import QUERIES, Query
from getpro.platform.postgres.address import impatient
from getpro.platform.settings import DatabaseSettings

app = typer.Typer(add_completion=False)


@app.command()
@only_looks
def query(
    name: Annotated[str | None, typer.Argument(help="Какой запрос; без него показывается список")] = None,
    *,
    as_csv: Annotated[bool, typer.Option("--csv", help="Для таблиц: CSV с заголовком")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Для программ")] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Показать сам запрос, не выполняя")] = False,
) -> None:
    """Выполнить полезный запрос по имени и показать ответ. Ничего не меняет.

    Сутки и месяцы считаются в часовом поясе магазина.

    Пример: 2getpro query top-customers --csv > лучшие.csv
    """
    if name is None:
        _show_list()
        return
    asked = _find(name)
    if sql:
        typer.echo(asked.sql)
        return
    if as_csv and as_json:
        raise typer.BadParameter("--csv и --json вместе не бывают")
    columns, rows = _ask(asked)
    if as_json:
        found = [dict(zip(columns, map(_plain, row), strict=True)) for row in rows]
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    elif as_csv:
        typer.echo(_as_csv(columns, rows), nl=False)
    else:
        _show(asked, columns, rows)


def _find(name: str) -> Query:
    if (found := QUERIES.get(name.replace("-", "_"))) is None:
        raise typer.BadParameter(f"запроса {name!r} нет; список запросов: 2getpro query")
    return found


def _ask(asked: Query) -> tuple[list[str], list[tuple[Any, ...]]]:
    zone = read_settings(DatabaseSettings).time_zone
    options = "-c default_transaction_read_only=on"
    with (
        database(migrate=False) as url,
        psycopg.connect(impatient(url), autocommit=True, options=options) as connection,
    ):
        connection.execute("SELECT set_config('timezone', %s, false)", [zone])
        cursor = connection.execute(asked.sql.encode())
        return [column.name for column in cursor.description or []], cursor.fetchall()


def _show_list() -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for each in QUERIES.values():
        better = f"; точнее {_dashed(each.better)}: {each.why}" if each.better else ""
        table.add_row(_dashed(each.name), escape(each.title + better))
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)


def _show(asked: Query, columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    table = Table(title=escape(asked.title), title_justify="left")
    for at, column in enumerate(columns):
        is_number = any(isinstance(row[at], (int, Decimal)) for row in rows)
        table.add_column(escape(column), justify="right" if is_number else "left")
    for row in rows:
        table.add_row(*(escape(_in_words(value)) for value in row))
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)
    if asked.better:
        typer.echo(f"Осторожно: {asked.why}. Точнее: 2getpro query {_dashed(asked.better)}")


def _as_csv(columns: list[str], rows: list[tuple[Any, ...]]) -> str:
    """With a mark of its encoding, without which Excel shows Russian names as noise."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[_harmless(_plain(value)) for value in row] for row in rows])
    return "\ufeff" + text.getvalue()


def _harmless(value: Any) -> Any:
    """A customer may be called =1+1, which a spreadsheet would carry out."""
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat() if isinstance(value, date | datetime) else value


def _in_words(value: Any) -> str:
    if value is None:
        return "—"
    if isinstance(value, datetime):
        return f"{value:%d.%m.%Y %H:%M}".removesuffix(" 00:00")
    return str(value)


def _dashed(name: str | None) -> str:
    return (name or "").replace("_", "-")
