"""What the commands of the routines share: they run one, with everything it needs, and show what it found."""

import asyncio
import contextlib
import getpass
import json
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, NoReturn

import typer
from rich.console import Console, RenderableType

from getpro.bootstrap.backups import Preparing
from getpro.bootstrap.incidents import incidents_deps
from getpro.bootstrap.operations import operations_deps
from getpro.bootstrap.sales import sales_deps
from getpro.checks.check import Finding, worst
from getpro.cli.database import database
from getpro.cli.findings import CODES, plain, progress, summary, table
from getpro.cli.settings import read_settings
from getpro.cli.shop import unlogged
from getpro.cli.tables import WIDE
from getpro.kit.trouble import Trouble
from getpro.operations.deps import Deps
from getpro.operations.routines import Routine, carry_out
from getpro.operations.runs import Run
from getpro.payments.providers.stars.http import StarsOverHttp
from getpro.platform.bot_api import BotApi
from getpro.platform.database import Database
from getpro.platform.jobs import Jobs
from getpro.platform.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="Для программ")]
Tell = Annotated[bool, typer.Option("--tell", help="Послать отчёт и в чат операторов")]
CODES_SAID: Final = "Код 0: всё в порядке, 1: есть на что обратить внимание, 2: неверно или не проверено."


def run(routine: Routine, *, tell: bool, draw: bool = False) -> Run:
    looking = with_deps(lambda deps: carried_out(deps, routine, tell=tell, draw=draw), even_away=True)
    run = asyncio.run(looking)
    assert isinstance(run, Run)
    return run


def show(
    found: list[Finding],
    *,
    as_json: bool,
    tables: Iterable[RenderableType] = (),
    more: Mapping[str, object] = MappingProxyType({}),
) -> NoReturn:
    """Print what was found, and leave with its code; ``tables`` for people, ``more`` for programs."""
    if as_json:
        typer.echo(json.dumps({**plain(found, worst(found)), **more}, ensure_ascii=False, indent=2))
    else:
        console = Console(width=None if sys.stdout.isatty() else WIDE)
        console.print(table(found), *tables)
        typer.echo(summary(found))
    raise typer.Exit(CODES[worst(found)])


async def carried_out(deps: Deps, routine: Routine, *, tell: bool, draw: bool) -> Run:
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


async def with_deps(act: Callable[[Deps], Awaitable[Any]], *, even_away: bool = False) -> Any:
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
