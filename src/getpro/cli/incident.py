"""``2getpro incident``: open, take, resolve; the list and the time line. All that the buttons do."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from getpro.cli import aftermath, incident_help
from getpro.cli.database import database
from getpro.cli.deeds import only_looks
from getpro.cli.duty import in_one_step
from getpro.cli.options import By
from getpro.cli.settings import read_settings
from getpro.cli.shop import quietly
from getpro.cli.tables import BIGGEST_ID, WIDE, in_words
from getpro.incidents import service, store
from getpro.incidents.closing import NO_PURCHASES
from getpro.incidents.deps import Deps
from getpro.incidents.service import Ending
from getpro.incidents.states import IncidentState, Level
from getpro.incidents.store import Event, Incident
from getpro.incidents.team import Actor
from getpro.incidents.words import STATES, span
from getpro.kit.clock import utc_now
from getpro.platform.database import Session
from getpro.platform.settings import DatabaseSettings, Settings

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Инциденты: завести, взять, решить; список и хроника.",
)

app.add_typer(aftermath.papers)
app.add_typer(aftermath.things, name="actions")
_LIST: Final = "Список: 2getpro incident list"
Number = Annotated[int, typer.Argument(help="Номер инцидента", min=1, max=BIGGEST_ID)]
AsJson = Annotated[bool, typer.Option("--json", help="Для программ")]


@app.command(name="open")
def open_one(
    title: Annotated[str, typer.Argument(help="Что случилось, одной строкой")],
    by: By,
    level: Annotated[Level, typer.Option(help="L1: 4 часа, L2: час, L3: 15 минут, вся команда")] = Level.L2,
) -> None:
    """Завести инцидент и сразу позвать тех, кого зовёт его уровень.

    Пример: 2getpro incident open "Клиенты не видят ссылку" --level L2
    """

    async def step(session: Session, deps: Deps) -> int:
        return await service.open_by_hand(session, deps, title, level=level, by=Actor(by))

    number = in_one_step(step, remedy=_LIST)
    typer.echo(f"Инцидент №{number} заведён, зовём. Взять: 2getpro incident take {number}")


@app.command(name="list")
@only_looks
def show_list(
    *,
    everything: Annotated[bool, typer.Option("--all", help="И решённые")] = False,
    most: Annotated[int, typer.Option(help="Сколько последних", min=1, max=1000)] = 20,
    as_json: AsJson = False,
) -> None:
    """Показать нерешённые инциденты, новые сверху.

    Код 0: нерешённых нет, 1: есть.
    """

    async def step(session: Session, _: Deps) -> list[Incident]:
        return await store.newest(session, most=most, is_unresolved=not everything)

    found = in_one_step(step, remedy=_LIST)
    if as_json:
        typer.echo(json.dumps([_plain(one) for one in found], ensure_ascii=False, indent=2))
    else:
        _print(found)
    raise typer.Exit(any(one.state is not IncidentState.RESOLVED for one in found))


@app.command()
@only_looks
def show(number: Number, *, as_json: AsJson = False) -> None:
    """Показать инцидент и его хронику.

    Пример: 2getpro incident show 12
    """

    async def step(session: Session, _: Deps) -> tuple[Incident, list[Event]]:
        found = await store.incident(session, number)
        return found, await store.time_line(session, number)

    found, line = in_one_step(step, remedy=_LIST)
    if as_json:
        events = [
            {"at": one.at.isoformat(), "who": one.who, "kind": one.kind, "words": one.words} for one in line
        ]
        typer.echo(json.dumps(_plain(found) | {"time_line": events}, ensure_ascii=False, indent=2))
        return
    zone = read_settings(DatabaseSettings).zone
    typer.echo(f"№{found.incident_id} {found.level}, {STATES[found.state]}: {found.title}")
    for one in line:
        words = one.words.replace("\n", " / ")
        typer.echo(f"{in_words(one.at, zone)}  {one.who}: {words}")


@app.command()
def take(number: Number, by: By) -> None:
    """Взять: дальше никого не зовём.

    Пример: 2getpro incident take 12
    """
    _act(service.take, number, by, "Взят")


@app.command()
def drop(number: Number, by: By) -> None:
    """Отпустить: его уровень зовём заново, сейчас же."""
    _act(service.drop, number, by, "Отпущен, зовём заново")


@app.command()
def later(
    number: Number,
    by: By,
    minutes: Annotated[int, typer.Option(help="На сколько минут", min=1, max=24 * 60)] = 30,
) -> None:
    """Отложить следующий зов."""

    async def snooze(session: Session, deps: Deps, incident_id: int, *, by: Actor) -> Incident:
        return await service.snooze(session, deps, incident_id, by=by, length=timedelta(minutes=minutes))

    _act(snooze, number, by, f"Отложен на {minutes} мин")


@app.command()
def up(number: Number, by: By) -> None:
    """Позвать следующий уровень сейчас."""
    _act(service.raise_level, number, by, "Уровень поднят")


@app.command()
def resolve(
    number: Number,
    by: By,
    cause: Annotated[str | None, typer.Option(help="Причина; сказанную повторять не нужно")] = None,
    fix: Annotated[str | None, typer.Option(help="Что сделано")] = None,
    force: Annotated[
        str | None, typer.Option("--force", help="Закрыть, хотя не тихо: почему; останется в хронике")
    ] = None,
) -> None:
    """Закрыть: причина и что сделано остаются в хронике.

    Закроется, если сигналы прошли и после них удалась пробная покупка; нужна новая — сделает сама. Ещё не
    тихо — код 1; закроется само, когда станет.

    Пример: 2getpro incident resolve 12 --cause "кончилось место" --fix "удалили старые журналы"
    """

    async def close(session: Session, deps: Deps) -> Ending:
        return await service.resolve(session, deps, number, by=Actor(by), cause=cause, fix=fix, force=force)

    remedy = f"Как обстоят дела: 2getpro incident show {number}"
    ending = in_one_step(close, remedy=remedy)
    if ending.needs_purchase:
        _buy(by)
        ending = in_one_step(close, remedy=remedy)
    if ending.is_over:
        off = "" if read_settings(Settings).operations.synthetic else f" {NO_PURCHASES.capitalize()}."
        typer.echo(f"№{number} {ending.incident.level}: Решён.{off}")
        return
    typer.echo(f"№{number} ещё не закрыт:")
    for line in ending.against:
        typer.echo(f"• {line}")
    typer.echo("Станет тихо — закроется сам. Не ждать:")
    typer.echo(f'2getpro incident resolve {number} --force "почему"')
    raise typer.Exit(1)


def _buy(by: str) -> None:
    """A synthetic purchase now: how it went is read where it is kept."""
    from getpro.bootstrap.synthetic import buy  # noqa: PLC0415 -- the other commands need no bot

    settings = read_settings(Settings)
    with database(migrate=False) as url, quietly("Пробная покупка…"):
        asyncio.run(buy(settings, database_url=url, asked_by=by))


@app.command()
def note(number: Number, words: Annotated[str, typer.Argument(help="Что записать")], by: By) -> None:
    """Записать в хронику, что узнали или сделали.

    Пример: 2getpro incident note 12 "перезапустили бота, не помогло"
    """

    async def step(session: Session, deps: Deps) -> None:
        await service.add_note(session, deps, number, words, by=Actor(by))

    in_one_step(step, remedy=_LIST)
    typer.echo("Записано.")


incident_help.add_to(app)


def _act(deed: Callable[..., Awaitable[Incident]], number: int, by: str, done: str) -> None:
    async def step(session: Session, deps: Deps) -> Incident:
        return await deed(session, deps, number, by=Actor(by))

    found = in_one_step(step, remedy=f"Как обстоят дела: 2getpro incident show {number}")
    typer.echo(f"№{found.incident_id} {found.level}: {done}.")


def _print(found: list[Incident]) -> None:
    if not found:
        typer.echo("Нерешённых инцидентов нет.")
        return
    zone, now = read_settings(DatabaseSettings).zone, utc_now()
    table = Table("№", "Уровень", "Что", "Как дела", "С", "Дальше зовём", header_style="bold")
    for one in found:
        who = f"{STATES[one.state]}, {one.taken_by}" if one.taken_by else STATES[one.state]
        following = (
            "" if one.next_step_at is None else f"через {span(max(one.next_step_at - now, timedelta()))}"
        )
        since = in_words(one.opened_at, zone)
        table.add_row(str(one.incident_id), one.level, one.title, who, since, following)
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)


def _plain(one: Incident) -> dict[str, Any]:
    moments = ("opened_at", "taken_at", "next_step_at", "resolved_at")
    times = {name: None if (at := getattr(one, name)) is None else at.isoformat() for name in moments}
    words = {"cause": one.cause, "fix": one.fix, "taken_by": one.taken_by, "resolved_by": one.resolved_by}
    known = {"incident_id": one.incident_id, "level": one.level, "state": one.state, "title": one.title}
    return known | times | words
