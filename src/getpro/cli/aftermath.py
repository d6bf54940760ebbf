"""``2getpro incident report, postmortem, actions, figures``: what is left to do when an incident is over."""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import click
import typer
from rich.console import Console
from rich.table import Table

from getpro.cli.duty import in_one_step, with_incidents
from getpro.cli.options import By
from getpro.cli.settings import read_settings
from getpro.cli.tables import BIGGEST_ID, WIDE
from getpro.incidents import actions, documents, month, store
from getpro.incidents.actions import Action
from getpro.incidents.deps import Deps
from getpro.incidents.documents import Document
from getpro.incidents.drafts import POST_MORTEM, REPORT
from getpro.incidents.month import Figures, Times
from getpro.incidents.team import Actor
from getpro.incidents.words import span
from getpro.kit.trouble import Trouble, system_words
from getpro.operations.budget import Budget, budget
from getpro.operations.looks.prometheus import NotAnswered
from getpro.operations.month import period
from getpro.platform.database import Session
from getpro.platform.settings import Settings
from getpro.platform.typesetting import NotDrawn

papers = typer.Typer(add_completion=False)
things = typer.Typer(
    add_completion=False,
    invoke_without_command=True,
    help="Действия после инцидентов: список, добавить, отметить сделанное.",
)

_LIST: Final = "Список: 2getpro incident list --all"
_ACTIONS: Final = "Список: 2getpro incident actions"
Number = Annotated[int, typer.Argument(help="Номер инцидента", min=1, max=BIGGEST_ID)]
Out = Annotated[Path | None, typer.Option("--out", help="Куда положить: FILE.md или FILE.pdf")]
Save = Annotated[Path | None, typer.Option("--save", help="Сохранить этот Markdown новой версией")]
Edit = Annotated[bool, typer.Option("--edit", help="Открыть в редакторе и сохранить новой версией")]
Fresh = Annotated[bool, typer.Option("--draft", help="Составить заново по хронике, а не сохранённый")]
Version = Annotated[int | None, typer.Option("--version", help="Какую версию; без неё новейшую", min=1)]
Send = Annotated[bool, typer.Option("--send", help="Послать в чат операторов")]


@papers.command()
def report(
    number: Number,
    by: By,
    *,
    out: Out = None,
    save: Save = None,
    edit: Edit = False,
    fresh: Fresh = False,
    version: Version = None,
    send: Send = False,
) -> None:
    """Показать отчёт об инциденте, взять файлом, исправить.

    Пример: 2getpro incident report 12 --out incident-12.pdf
    """
    _paper(REPORT, number, by, out=out, save=save, edit=edit, fresh=fresh, version=version, send=send)


@papers.command()
def postmortem(
    number: Number,
    by: By,
    *,
    out: Out = None,
    save: Save = None,
    edit: Edit = False,
    fresh: Fresh = False,
    version: Version = None,
    send: Send = False,
) -> None:
    """Показать разбор инцидента, взять файлом, дописать; действия из его таблицы станут заданиями.

    Пример: 2getpro incident postmortem 12 --edit
    """
    _paper(POST_MORTEM, number, by, out=out, save=save, edit=edit, fresh=fresh, version=version, send=send)


def _paper(
    kind: str,
    number: int,
    by: str,
    *,
    out: Path | None,
    save: Path | None,
    edit: bool,
    fresh: bool,
    version: int | None,
    send: bool,
) -> None:
    if out is not None and out.suffix not in {".md", ".pdf"}:
        raise typer.BadParameter("имя файла кончается на .md или .pdf", param_hint="--out")
    shown = None
    if edit:
        before = _find(kind, number, fresh=fresh, version=version)
        changed = _edited(before.markdown)
        if changed is None or changed.strip() == before.markdown.strip():
            typer.echo("Ничего не изменено.")
            return
        shown = _save(kind, number, changed, by)
    elif save is not None:
        shown = _save(kind, number, _read(save), by)
    if shown is None:
        shown = _find(kind, number, fresh=fresh, version=version)
        if out is None and not send:
            typer.echo(shown.markdown, nl=False)
    if out is not None:
        _write(out, _printed(shown) if out.suffix == ".pdf" else shown.markdown.encode())
    if send:
        _send(kind, number)


def _edited(markdown: str) -> str | None:
    """By ``EDITOR``; None where it was left without saving."""
    try:
        return click.edit(markdown, extension=".md")
    except click.ClickException as error:
        remedy = "Задайте EDITOR, или возьмите файл: --out FILE.md, потом --save FILE.md"
        raise Trouble("Редактор не открылся.", error.message, remedy) from error


def _find(kind: str, number: int, *, fresh: bool, version: int | None) -> Document:
    async def step(session: Session, deps: Deps) -> Document | None:
        if fresh:
            return await documents.draft(session, deps, number, kind)
        if version is None:
            return await documents.newest(session, deps, number, kind)
        await store.incident(session, number)
        kept = await documents.versions(session, number, kind)
        return next((one for one in kept if one.version == version), None)

    found = in_one_step(step, remedy=_LIST)
    if found is None:
        command = f"2getpro incident {documents.COMMANDS[kind]} {number}"
        raise Trouble("Версии нет.", f"{version} не сохраняли.", f"Новейшая: {command}")
    return found


def _save(kind: str, number: int, markdown: str, by: str) -> Document:
    async def flow(deps: Deps) -> Document:
        return await documents.save(deps, number, kind, markdown, by=Actor(by))

    command = f"2getpro incident {documents.COMMANDS[kind]} {number}"
    try:
        saved = with_incidents(flow, remedy="Исправьте файл и сохраните снова: --save FILE")
    except NotDrawn as error:
        raise Trouble(
            "Сохранено, но PDF не готов.", str(error), f"Снова: {command} --out FILE.pdf"
        ) from error
    typer.echo(f"Сохранена версия {saved.version}. PDF: {command} --out FILE.pdf")
    return saved


def _printed(found: Document) -> bytes:
    async def flow(deps: Deps) -> Document:
        return await documents.with_pdf(deps, found)

    try:
        pdf = with_incidents(flow, remedy=_LIST).pdf
    except NotDrawn as error:
        raise Trouble("PDF не готов.", str(error), "Возьмите Markdown: --out FILE.md") from error
    assert pdf is not None
    return pdf


def _send(kind: str, number: int) -> None:
    async def flow(deps: Deps) -> bool:
        if deps.chat_id is None:
            return False
        await documents.send(deps, number, kind, deps.chat_id)
        return True

    if not with_incidents(flow, remedy=_LIST):
        raise Trouble("Не послано.", "Чата операторов нет.", "Задайте OPERATIONS_CHAT.")
    typer.echo("Послано в чат операторов.")


def _read(path: Path) -> str:
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = system_words(error) if isinstance(error, OSError) else "это не текст в UTF-8"
        raise Trouble(f"Файл не прочесть: {path}.", why, "Укажите другой файл.") from error


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise Trouble(f"Файл не записан: {path}.", system_words(error), "Укажите другой файл.") from error
    typer.echo(f"Готово: {path}")


@things.callback()
def show_actions(
    context: typer.Context,
    *,
    number: Annotated[
        int | None,
        typer.Option("--incident", help="Все одного инцидента, и сделанные", min=1, max=BIGGEST_ID),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Для программ")] = False,
) -> None:
    """Показать, что не сделано после инцидентов: просроченное сверху.

    Код 0: просроченного нет, 1: есть.
    """
    if context.invoked_subcommand is not None:
        return

    async def step(session: Session, deps: Deps) -> tuple[list[Action], datetime]:
        if number is None:
            return await actions.waiting(session), deps.clock()
        return await actions.of_incident(session, number), deps.clock()

    found, now = in_one_step(step, remedy=_ACTIONS)
    zone = read_settings(Settings).zone
    today = now.astimezone(zone).date()
    late = [one for one in found if one.done_at is None and one.due_on < today]
    if as_json:
        typer.echo(json.dumps([_plain(one) for one in found], ensure_ascii=False, indent=2))
    elif not found:
        typer.echo("Всё сделано.")
    else:
        table = Table("№", "Инцидент", "Что сделать", "Кто", "Срок", "Как дела", header_style="bold")
        for one in found:
            state = "сделано" if one.done_at is not None else "просрочено" if one in late else ""
            due = f"{one.due_on:%d.%m.%Y}"
            table.add_row(str(one.action_id), str(one.incident_id), one.what, one.owner, due, state)
        Console(width=None if sys.stdout.isatty() else WIDE).print(table)
    raise typer.Exit(bool(late))


@things.command(name="add")
def add_action(
    number: Number,
    what: Annotated[str, typer.Argument(help="Что сделать")],
    by: By,
    owner: Annotated[str, typer.Option("--who", help="Кто сделает")],
    until: Annotated[str, typer.Option("--until", help="До какого дня: 08.12.2026")],
) -> None:
    """Добавить действие: о нём напоминают раз в неделю, пока не сделано.

    Пример: 2getpro incident actions add 12 "Ротация журналов базы" --who olga --until 08.12.2026
    """

    async def step(session: Session, deps: Deps) -> int:
        await store.incident(session, number)
        due_on = actions.day_of(until, what)
        return await actions.add(session, deps, number, what, owner=owner, due_on=due_on, by=Actor(by))

    made = in_one_step(step, remedy=_LIST)
    typer.echo(f"Записано действие {made}. Сделали: 2getpro incident actions done {made}")


@things.command(name="done")
def done_action(
    action: Annotated[int, typer.Argument(help="Номер действия", min=1, max=BIGGEST_ID)],
    by: By,
    link: Annotated[str | None, typer.Option("--link", help="Где видно, что сделано")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Почему ссылки нет")] = None,
) -> None:
    """Отметить сделанным. Обновлению страницы «Что делать» нужна ссылка, или почему её нет.

    Пример: 2getpro incident actions done 31 --link https://git.example/shop/pulls/41
    """

    async def step(session: Session, deps: Deps) -> Action:
        return await actions.done(session, deps, action, by=Actor(by), link=link, reason=reason)

    remedy = f'2getpro incident actions done {action} --link АДРЕС, или --reason "почему нечего"'
    found = in_one_step(step, remedy=remedy if link is None and reason is None else _ACTIONS)
    typer.echo(f"Сделано: {found.what}")


@papers.command(name="figures")
def show_figures(
    month_name: Annotated[str, typer.Option("--month", help="Какой месяц: 2026-11")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Для программ")] = False,
) -> None:
    """Показать месяц в цифрах: сколько, как быстро взяли и решили, сроки, запас ошибок.

    Пример: 2getpro incident figures --month 2026-11
    """
    settings = read_settings(Settings)
    since, until = _month(month_name, settings.zone)

    async def flow(deps: Deps) -> tuple[list[Figures], Budget | str | None]:
        async with deps.db.read("incidents: month") as session:
            found = await month.cases(session, deps, since=since, until=until)
        if (url := settings.operations.prometheus_url) is None:
            return month.figures(found), "Prometheus не задан"
        try:
            return month.figures(found), await budget(url, since=since, until=until, now=deps.clock())
        except NotAnswered as error:
            return month.figures(found), str(error)

    found, used = with_incidents(flow, remedy=_LIST)
    if as_json:
        plain = {"month": month_name, "levels": [_plain_figures(one) for one in found]}
        known = _plain_budget(used) if isinstance(used, Budget) else None
        typer.echo(json.dumps(plain | {"error_budget": known}, ensure_ascii=False, indent=2))
        return
    table = Table("", "Всего", "Открыто", "Взяли", "Решили", "В срок", header_style="bold")
    for one in found:
        kept = f"{one.kept} из {one.judged}" if one.judged else "—"
        table.add_row(
            one.level or "Все",
            str(one.count),
            str(one.open),
            _times(one.to_take),
            _times(one.to_resolve),
            kept,
        )
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)
    typer.echo("Взяли: от первого зова, решили: с той минуты, как узнали; медиана и худшее.")
    typer.echo(_budget(used))


def _month(said: str, zone: ZoneInfo) -> tuple[datetime, datetime]:
    try:
        month = period.whole(period.parse(said), zone)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter("месяц пишется так: 2026-11", param_hint="--month") from error
    return month.since, month.until


def _times(found: Times | None) -> str:
    return "—" if found is None else f"{span(found.median)}, {span(found.worst)}"


def _budget(used: Budget | str | None) -> str:
    if used is None:
        return "Запас ошибок: не измерен, пробных покупок за этот месяц у Prometheus нет."
    if isinstance(used, str):
        return f"Запас ошибок: не измерен, {used}."
    return (
        f"Запас ошибок: израсходовано {used.used:.0%}: купить было нельзя {span(used.down)}"
        f" из {span(used.allowed)} на месяц; измерено {span(used.measured)}."
    )


def _plain(one: Action) -> dict[str, Any]:
    words = {"what": one.what, "owner": one.owner, "link": one.link, "reason": one.reason}
    done = None if one.done_at is None else one.done_at.isoformat()
    known = {"action_id": one.action_id, "incident_id": one.incident_id, "kind": one.kind}
    return known | words | {"due_on": one.due_on.isoformat(), "done_at": done, "done_by": one.done_by}


def _plain_figures(one: Figures) -> dict[str, Any]:
    return {
        "level": one.level,
        "count": one.count,
        "open": one.open,
        "to_take_seconds": _plain_times(one.to_take),
        "to_resolve_seconds": _plain_times(one.to_resolve),
        "kept": one.kept,
        "judged": one.judged,
    }


def _plain_times(found: Times | None) -> dict[str, float] | None:
    if found is None:
        return None
    return {"median": found.median.total_seconds(), "worst": found.worst.total_seconds()}


def _plain_budget(found: Budget) -> dict[str, float]:
    return {
        "used": round(found.used, 4),
        "down_seconds": found.down.total_seconds(),
        "allowed_seconds": found.allowed.total_seconds(),
        "measured_seconds": found.measured.total_seconds(),
    }
