"""``2getpro ops``: the operator's routines by hand, and what they found before."""

import asyncio
import contextlib
import getpass
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from getpro.bootstrap.backups import Preparing
from getpro.bootstrap.incidents import incidents_deps
from getpro.bootstrap.operations import operations_deps
from getpro.bootstrap.sales import sales_deps
from getpro.checks.check import Finding, worst
from getpro.cli.database import database
from getpro.cli.deeds import only_looks
from getpro.cli.findings import CODES, WORDS, plain, progress, summary, table
from getpro.cli.settings import read_settings
from getpro.cli.shop import quietly, unlogged
from getpro.cli.tables import WIDE, in_words
from getpro.kit.trouble import Trouble, system_words
from getpro.operations.deps import Deps
from getpro.operations.routines import ROUTINES, Routine, carry_out, with_attempt
from getpro.operations.runs import Run, history
from getpro.payments.providers.stars.http import StarsOverHttp
from getpro.platform.bot_api import BotApi
from getpro.platform.database import Database
from getpro.platform.jobs import Jobs
from getpro.platform.settings import Settings

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Регламентные проверки: магазин делает их сам по расписанию, здесь они по команде.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Для программ")]
Tell = Annotated[bool, typer.Option("--tell", help="Послать отчёт и в чат операторов")]


_CODES: Final = "Код 0: всё в порядке, 1: есть на что обратить внимание, 2: неверно или не проверено."


def _command(routine: Routine) -> Callable[..., None]:
    def carry(*, as_json: AsJson = False, tell: Tell = False) -> None:
        _show(_run(routine, tell=tell).findings, as_json=as_json)

    return carry


def _monday(
    *,
    as_json: AsJson = False,
    tell: Tell = False,
    chart: Annotated[Path | None, typer.Option("--chart", help="Куда положить картинку (PNG)")] = None,
) -> None:
    run = _run(ROUTINES["monday"], tell=tell, draw=chart is not None)
    if chart is not None and run.picture is not None:
        try:
            chart.write_bytes(run.picture)
        except OSError as error:
            raise Trouble(
                f"Картинка не записана: {chart}.", system_words(error), "Укажите другой файл."
            ) from error
    _show(run.findings, as_json=as_json)


def _tuesday(
    *,
    as_json: AsJson = False,
    tell: Tell = False,
    attempt: Annotated[
        bool, typer.Option("--try", help="Поставить новейшие в отдельное окружение и проверить там; долго")
    ] = False,
) -> None:
    routine = ROUTINES["tuesday"]
    _show(_run(with_attempt(routine) if attempt else routine, tell=tell).findings, as_json=as_json)


_OWN: Final[dict[str, Callable[..., None]]] = {"monday": _monday, "tuesday": _tuesday}
"""Those with options of their own."""

for _each in ROUTINES.values():
    app.command(name=_each.name, help=f"{_each.title}. {_CODES}")(_OWN.get(_each.name) or _command(_each))


def _run(routine: Routine, *, tell: bool, draw: bool = False) -> Run:
    looking = _with_deps(lambda deps: _carry_out(deps, routine, tell=tell, draw=draw), even_away=True)
    run = asyncio.run(looking)
    assert isinstance(run, Run)
    return run


def _show(found: list[Finding], *, as_json: bool) -> None:
    """Print what was found, and leave with its code."""
    if as_json:
        typer.echo(json.dumps(plain(found, worst(found)), ensure_ascii=False, indent=2))
    else:
        Console(width=None if sys.stdout.isatty() else WIDE).print(table(found))
        typer.echo(summary(found))
    raise typer.Exit(CODES[worst(found)])


@app.command(name="synthetic")
def make_synthetic_purchase(*, as_json: AsJson = False) -> None:
    """Сделать пробную покупку: от меню до ссылки, как клиент, но без денег и без Telegram.

    Магазин делает такую сам каждые полминуты. Код 0: купить можно, 2: нельзя.
    """
    from getpro.bootstrap.synthetic import buy  # noqa: PLC0415 -- the other commands need no bot

    settings = read_settings(Settings)
    with database(migrate=False) as url, quietly("Покупаем…"):
        made = asyncio.run(buy(settings, database_url=url, asked_by=getpass.getuser()))
    _show(made.findings, as_json=as_json)


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

    runs = asyncio.run(_with_deps(read))
    if as_json:
        typer.echo(json.dumps([_plain_run(run) for run in runs], ensure_ascii=False, indent=2))
        return
    zone = read_settings(Settings).zone
    shown = Table("Когда", "Проверка", "Итог", "Не в порядке", "Кто", header_style="bold")
    for run in runs:
        wanting = [finding.title for finding in run.findings if CODES[finding.level]]
        title = ROUTINES[run.routine].title if run.routine in ROUTINES else run.routine
        who = "по расписанию" if run.asked_by == "schedule" else run.asked_by
        shown.add_row(
            in_words(run.started_at, zone), title, WORDS[run.level], ", ".join(dict.fromkeys(wanting)), who
        )
    Console(width=None if sys.stdout.isatty() else WIDE).print(shown)
    if not runs:
        typer.echo("Ещё ни одной. Магазин проверяет себя сам, пока работает: 2getpro run.")


def _plain_run(run: Run) -> dict[str, object]:
    times = {"started_at": run.started_at.isoformat(), "finished_at": run.finished_at.isoformat()}
    return {"routine": run.routine, "asked_by": run.asked_by, **times, **plain(run.findings, run.level)}


async def _carry_out(deps: Deps, routine: Routine, *, tell: bool, draw: bool) -> Run:
    with unlogged(), progress(len(routine.checks(deps, deps.clock()))) as on_progress:
        return await carry_out(
            deps, routine, asked_by=getpass.getuser(), tell=tell, draw=draw, on_progress=on_progress
        )


def _deps(settings: Settings, url: str, db: Database, api: BotApi, backups: Preparing) -> Deps:
    jobs, incidents = Jobs(url), None
    with contextlib.suppress(Trouble):  # a lost key stops nobody from looking
        sales = sales_deps(settings, db=db, jobs=jobs, telegram=StarsOverHttp(api))  # it opens nothing
        incidents = incidents_deps(settings, sales=sales, api=api)
    return operations_deps(
        settings,
        db=db,
        jobs=jobs,
        api=api,
        backups=backups,
        asked_by=getpass.getuser(),
        incidents=incidents,
    )


async def _with_deps(act: Callable[[Deps], Awaitable[Any]], *, even_away: bool = False) -> Any:
    settings = read_settings(Settings)
    with database(migrate=False, even_away=even_away) as url:
        db, api = Database(url, pool_size=4), BotApi(settings.telegram)
        backups = Preparing(settings, db=db, database_url=url)
        try:
            return await act(_deps(settings, url, db, api, backups))
        finally:
            backups.close()
            await api.close()
            await db.close()
