"""``2getpro contacts``: the team and its ways, services outside, and whether they answer."""

import sys
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from getpro.cli.deeds import only_looks
from getpro.cli.duty import in_one_step, with_incidents
from getpro.cli.options import By
from getpro.cli.settings import read_settings
from getpro.cli.tables import BIGGEST_ID, WIDE, in_words
from getpro.incidents import contacts, other, team
from getpro.incidents.contacts import Gaps
from getpro.incidents.deps import Deps
from getpro.incidents.errors import CannotDo
from getpro.incidents.states import Role
from getpro.incidents.team import OUTSIDE, Person, Way
from getpro.incidents.words import ROLES
from getpro.kit.trouble import Trouble
from getpro.platform.database import Session
from getpro.platform.settings import DatabaseSettings

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Контакты: команда, как кого позвать, внешние службы; проверка связи.",
)

_LIST: Final = "Кто есть: 2getpro contacts list"
Name = Annotated[str, typer.Argument(help="Имя, под которым человека зовут в команде")]


@app.command(name="list")
@only_looks
def show() -> None:
    """Показать команду и внешние службы. Код 1: кого-то не позвать или не проверить."""

    async def step(session: Session, deps: Deps) -> tuple[list[Person], dict[str, str | None], Gaps]:
        people, now = await team.team(session), deps.clock()
        gaps = contacts.gaps(people, await team.on_rota(session, now=now), now=now)
        return people, await team.outside(session), gaps

    people, outside, gaps = in_one_step(step, remedy=_LIST)
    zone = read_settings(DatabaseSettings).zone
    table = Table("Кто", "Роли", "Как позвать", "Проверка связи", header_style="bold")

    def tested(way: Way) -> str:
        if way.answered_at is not None:
            return f"ответил {in_words(way.answered_at, zone)}"
        if way.trouble is not None:
            return f"не дошло: {way.trouble}"
        return "не ответил" if way.tested_at is not None else "не проверялось"

    for one in people:
        roles = ", ".join(ROLES[role] for role in Role if role in one.roles)
        for index, way in enumerate(one.ways):
            table.add_row("" if index else one.name, "" if index else roles, way.shown, tested(way))
        if not one.ways:
            table.add_row(one.name, roles, "никак", "")
    for name, how in outside.items():
        table.add_row(OUTSIDE.get(name, name), "внешняя служба", how or "не записано", "")
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)
    if not people:
        typer.echo("В команде никого: инциденты зовут в чат операторов.")
    for what in (*gaps.red, *gaps.yellow):
        typer.echo(f"Исправить: {what}")
    raise typer.Exit(bool(gaps.red or gaps.yellow or not all(outside.values())))


@app.command(name="set")
def set_person(
    name: Name,
    role: Annotated[list[Role] | None, typer.Option(help="Роль; можно несколько раз")] = None,
    telegram: Annotated[
        int | None, typer.Option(help="Номер в Telegram; человек должен написать боту", min=1, max=BIGGEST_ID)
    ] = None,
    mail: Annotated[list[str] | None, typer.Option(help="Почта, через OPERATIONS_MAIL_SERVER")] = None,
    other_way: Annotated[
        list[str] | None, typer.Option("--other", help="Адрес Apprise: SMS, push и другие")
    ] = None,
) -> None:
    """Записать человека или изменить то, что названо. Почта и другие пути заменяют прежние.

    Пример: 2getpro contacts set olga --role on_call --telegram 104 --mail olga@shop.example
    """
    if role and Role.EVERYONE in role:
        raise typer.BadParameter("вся команда — не роль человека", param_hint="--role")

    async def step(session: Session, deps: Deps) -> None:
        if role or not any(one.name == name for one in await team.team(session)):
            await team.add_person(session, name, role or [], now=deps.clock())
        if telegram is not None:
            await team.set_telegram(session, name, telegram)
        ways = [(_mail(deps, address), f"почта {address}") for address in mail or ()]
        ways += [(address, f"{other.scheme(address)}://…") for address in other_way or ()]
        if ways:
            await team.drop_ways(session, name)
        for address, shown in ways:
            if not other.is_address(address):
                raise CannotDo(f"адрес не подходит: {shown}")
            await team.add_way(session, deps, name, address, shown=shown)

    in_one_step(step, remedy="Как записать: 2getpro contacts set --help")
    typer.echo(f"Записано: {name}. Проверить связь: 2getpro contacts test {name}")


def _mail(deps: Deps, address: str) -> str:
    if deps.mail_server is None:
        raise CannotDo("почтового сервера нет: задайте OPERATIONS_MAIL_SERVER")
    return other.mail_to(deps.mail_server, address)


@app.command()
def remove(name: Name) -> None:
    """Убрать человека: его больше не зовут, и ни одна кнопка его не слушается."""

    async def step(session: Session, deps: Deps) -> None:
        await team.remove_person(session, name, now=deps.clock())

    in_one_step(step, remedy=_LIST)
    typer.echo(f"{name} больше не в команде.")


@app.command()
def outside(
    name: Annotated[str, typer.Argument(help="hosting, yookassa, panel или своё")],
    how: Annotated[str, typer.Argument(help="Как связаться: телефон, почта, адрес, номер договора")],
    by: By,
) -> None:
    """Записать, как связаться с внешней службой.

    Пример: 2getpro contacts outside hosting "+7 495 000-00-00, договор 123"
    """

    async def step(session: Session, deps: Deps) -> None:
        await team.set_outside(session, name, how, by=by, now=deps.clock())

    in_one_step(step, remedy=_LIST)
    typer.echo(f"Записано: {OUTSIDE.get(name, name)}.")


@app.command(name="test")
def try_them(
    name: Annotated[str | None, typer.Argument(help="Кого; без имени всех")] = None,
) -> None:
    """Послать каждому пробное сообщение каждым путём. Код 2: кому-то не ушло.

    В Telegram человек нажимает «Получил», из письма называет код: 2getpro contacts answered КОД.
    """
    tried = with_incidents(lambda deps: contacts.try_all(deps, name), remedy=_LIST)
    for one in tried:
        how = "ушло, ждём ответа" if one.trouble is None else f"не ушло: {one.trouble}"
        typer.echo(f"{one.name}, {one.way}: {how}")
    if not tried:
        raise Trouble("Проверять нечего.", "Ни у кого нет ни одного пути.", "Запишите: 2getpro contacts set")
    raise typer.Exit(2 if any(one.trouble for one in tried) else 0)


@app.command()
def answered(code: Annotated[str, typer.Argument(help="Код из письма")]) -> None:
    """Отметить, что пробное сообщение прочитано."""

    async def step(session: Session, deps: Deps) -> str:
        return await team.answer_test(session, code, now=deps.clock())

    typer.echo(f"Отмечено: {in_one_step(step, remedy='Послать ещё раз: 2getpro contacts test')}.")
