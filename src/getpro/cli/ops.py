"""``2getpro ops``: the operator's routines by hand, and what they found before."""

import asyncio
import getpass
import json
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError

from getpro.cli import audit
from getpro.cli.capacity import Outlook, outlook, tables
from getpro.cli.capacity import plain as plain_outlook
from getpro.cli.database import database
from getpro.cli.deeds import only_looks
from getpro.cli.findings import CODES, WORDS, plain
from getpro.cli.routine import CODES_SAID, AsJson, Tell, carried_out, run, show, with_deps
from getpro.cli.settings import read_settings
from getpro.cli.shop import quietly, unlogged
from getpro.cli.tables import WIDE, in_words
from getpro.kit.clock import utc_now
from getpro.kit.trouble import Trouble, system_words
from getpro.operations.deps import Deps
from getpro.operations.month import letter, period
from getpro.operations.routines import ROUTINES, Routine, of_month, with_attempt
from getpro.operations.runs import Run, history
from getpro.platform.database import DATABASE_AWAY
from getpro.platform.settings import Settings
from getpro.platform.typesetting import NotDrawn

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Регламентные проверки: магазин делает их сам по расписанию, здесь они по команде.",
)

Chart = Annotated[Path | None, typer.Option("--chart", help="Куда положить картинку (PNG)")]
_MOST_USERS: Final = 10**9


def _command(routine: Routine) -> Callable[..., None]:
    def carry(*, as_json: AsJson = False, tell: Tell = False) -> None:
        show(run(routine, tell=tell).findings, as_json=as_json)

    return carry


def _monday(*, as_json: AsJson = False, tell: Tell = False, chart: Chart = None) -> None:
    found = run(ROUTINES["monday"], tell=tell, draw=chart is not None)
    _write(chart, found.picture)
    show(found.findings, as_json=as_json)


def _write(chart: Path | None, picture: bytes | None) -> None:
    if chart is None or picture is None:
        return
    try:
        chart.write_bytes(picture)
    except OSError as error:
        raise Trouble(
            f"Картинка не записана: {chart}.", system_words(error), "Укажите другой файл."
        ) from error


def _capacity(
    *,
    as_json: AsJson = False,
    tell: Tell = False,
    chart: Chart = None,
    users: Annotated[
        int | None, typer.Option(help="Чего потребует столько клиентов", min=1, max=_MOST_USERS)
    ] = None,
) -> None:
    async def look(deps: Deps) -> tuple[Run, Outlook | None]:
        found = await carried_out(deps, ROUTINES["capacity"], tell=tell, draw=chart is not None)
        try:
            return found, await outlook(deps, deps.clock(), users=users)
        except (*DATABASE_AWAY, SQLAlchemyError):  # what was found says it
            return found, None

    found, ahead = asyncio.run(with_deps(look, even_away=True))
    _write(chart, found.picture)
    if ahead is None:
        show(found.findings, as_json=as_json)
    show(found.findings, as_json=as_json, tables=tables(ahead), more=plain_outlook(ahead))


def _tuesday(
    *,
    as_json: AsJson = False,
    tell: Tell = False,
    attempt: Annotated[
        bool, typer.Option("--try", help="Поставить новейшие в отдельное окружение и проверить там; долго")
    ] = False,
) -> None:
    routine = ROUTINES["tuesday"]
    show(run(with_attempt(routine) if attempt else routine, tell=tell).findings, as_json=as_json)


def _report(
    *,
    as_json: AsJson = False,
    tell: Tell = False,
    month: Annotated[
        str | None,
        typer.Option(
            "--month",
            help="Какой месяц: 2026-10; без него до 15-го числа прошлый, потом этот, сколько прошло",
        ),
    ] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option("--out", help="Куда положить: FILE.pdf, .xlsx, .csv, .png, .json, .txt (три строки)"),
    ] = None,
) -> None:
    routine, paths = ROUTINES["report"], out or []
    first, zone = None, read_settings(Settings).zone
    if month is not None:
        try:
            first = period.parse(month)
            period.asked(first, utc_now().astimezone(zone).date(), zone)
        except (ValueError, OverflowError) as error:
            why = str(error) if first is not None else "месяц пишется так: 2026-10"
            raise typer.BadParameter(why, param_hint="--month") from error
        routine = of_month(routine, first)
    for path in paths:
        if path.suffix not in letter.FORMS:
            raise typer.BadParameter(f"имя файла кончается на {', '.join(letter.FORMS)}", param_hint="--out")
    found = run(routine, tell=tell).findings
    if paths:
        asyncio.run(with_deps(lambda deps: _put(deps, first, paths)))
    show(found, as_json=as_json)


async def _put(deps: Deps, month: date | None, paths: list[Path]) -> None:
    now = deps.clock()
    about = letter.due(deps, now) if month is None else letter.asked(deps, month, now)
    with unlogged():
        for path in paths:
            try:
                path.write_bytes(await letter.in_form(deps, about, path.suffix))
            except OSError as error:
                raise Trouble(
                    f"Файл не записан: {path}.", system_words(error), "Укажите другой файл."
                ) from error
            except NotDrawn as error:
                raise Trouble(
                    f"Файл не готов: {path}.", str(error), "Возьмите CSV: --out FILE.csv"
                ) from error


_OWN: Final[dict[str, Callable[..., None]]] = {
    "monday": _monday,
    "tuesday": _tuesday,
    "capacity": _capacity,
    "report": _report,
}
"""Those with options of their own."""

for _each in ROUTINES.values():
    if _each.name != audit.NAME:
        app.command(name=_each.name, help=f"{_each.title}. {CODES_SAID}")(
            _OWN.get(_each.name) or _command(_each)
        )
app.add_typer(audit.app, name=audit.NAME)


@app.command(name="synthetic")
def make_synthetic_purchase(*, as_json: AsJson = False) -> None:
    """Сделать пробную покупку: от меню до ссылки, как клиент, но без денег и без Telegram.

    Магазин делает такую сам каждые полминуты. Код 0: купить можно, 2: нельзя.
    """
    from getpro.bootstrap.synthetic import buy  # noqa: PLC0415 -- the other commands need no bot

    settings = read_settings(Settings)
    with database(migrate=False) as url, quietly("Покупаем…"):
        made = asyncio.run(buy(settings, database_url=url, asked_by=getpass.getuser()))
    show(made.findings, as_json=as_json)


@app.command(name="history")
@only_looks
def show_history(
    routine: Annotated[str | None, typer.Argument(help="Какой проверки; без него всех")] = None,
    most: Annotated[int, typer.Option(help="Сколько последних", min=1, max=1000)] = 20,
    *,
    as_json: AsJson = False,
) -> None:
    """Показать последние проверки: когда, чем кончилась, кто запустил."""
    if routine is not None and routine not in ROUTINES:
        raise typer.BadParameter(f"проверки {routine!r} нет, бывают: {', '.join(ROUTINES)}")

    async def read(deps: Deps) -> list[Run]:
        async with deps.db.read("ops: history") as session:
            return await history(session, routine=routine, most=most)

    runs = asyncio.run(with_deps(read))
    if as_json:
        typer.echo(json.dumps([_plain_run(one) for one in runs], ensure_ascii=False, indent=2))
        return
    zone = read_settings(Settings).zone
    shown = Table("Когда", "Проверка", "Итог", "Не в порядке", "Кто", header_style="bold")
    for one in runs:
        wanting = [finding.title for finding in one.findings if CODES[finding.level]]
        title = ROUTINES[one.routine].title if one.routine in ROUTINES else one.routine
        who = "по расписанию" if one.asked_by == "schedule" else one.asked_by
        shown.add_row(
            in_words(one.started_at, zone), title, WORDS[one.level], ", ".join(dict.fromkeys(wanting)), who
        )
    Console(width=None if sys.stdout.isatty() else WIDE).print(shown)
    if not runs:
        typer.echo("Ещё ни одной. Магазин проверяет себя сам, пока работает: 2getpro run.")


def _plain_run(run: Run) -> dict[str, object]:
    times = {"started_at": run.started_at.isoformat(), "finished_at": run.finished_at.isoformat()}
    return {"routine": run.routine, "asked_by": run.asked_by, **times, **plain(run.findings, run.level)}
