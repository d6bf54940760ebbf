"""``2getpro oncall``: who is on call now, the rota, who stands in, and the policy that calls them."""

import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated, Final

import typer

from getpro.cli.deeds import only_looks
from getpro.cli.duty import day_of, in_one_step, moment_of
from getpro.cli.options import By, Reason
from getpro.cli.tables import in_words
from getpro.incidents import policy, store, team
from getpro.incidents.deps import Deps
from getpro.incidents.escalation import GUIDES, Step, answer_within
from getpro.incidents.states import Level, Reach, Role
from getpro.incidents.team import Actor
from getpro.incidents.words import ROLES, names, span
from getpro.kit.trouble import Trouble
from getpro.platform.database import Session

app = typer.Typer(
    add_completion=False,
    invoke_without_command=True,
    help="Дежурство: кто сейчас, график, замены, кого и когда зовём.",
)

holidays = typer.Typer(invoke_without_command=True, help="Праздники: в эти дни смену не передают.")
steps = typer.Typer(invoke_without_command=True, help="Кого и когда зовём; изменить и вернуть.")
app.add_typer(holidays, name="holidays")
app.add_typer(steps, name="steps")

First = Annotated[str, typer.Argument(help="День, например 2027-01-01")]
Last = Annotated[str | None, typer.Argument(help="По какой день включительно; без него один день")]
_STEP: Final = re.compile(r"(?P<role>[a-z_]+):(?P<number>[0-9]{1,5})(?P<unit>[smh])(?P<all>:all)?")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600}
_WHO: Final = "Кто есть: 2getpro contacts list"


@app.callback()
@only_looks
def now(context: typer.Context) -> None:
    """Сказать одной строкой, кто дежурит сейчас и до какого времени."""
    if context.invoked_subcommand is not None:
        return

    async def step(session: Session, deps: Deps) -> str:
        moment = deps.clock()
        turn = await team.turn(session, deps, now=moment)
        audience = await team.audience(session, deps, Role.ON_CALL, now=moment)
        whom = names(one.name for one in audience.people)
        if not whom:
            return "Дежурного нет, и команды тоже: зовём в чат операторов."
        if audience.role is not Role.ON_CALL:
            return f"Дежурного нет, вместо него {ROLES[audience.role].lower()}: {whom}"
        until = "" if turn is None else f" до {in_words(turn.until, deps.zone)}"
        return f"Дежурит {whom}{until}"

    typer.echo(in_one_step(step, remedy=_WHO))


@app.command()
def rota(
    people: Annotated[list[str], typer.Argument(help="Имена в том порядке, в каком сменяются")],
    by: By,
    since: Annotated[str, typer.Option("--from", help="Первая передача смены, например '2026-12-07 10:00'")],
    days: Annotated[int, typer.Option(help="Сколько дней в смене", min=1, max=365)] = 7,
) -> None:
    """Составить график: кто за кем, с какого часа передают смену.

    Пример: 2getpro oncall rota olga timur --from "2026-12-07 10:00" --days 7
    """

    async def step(session: Session, deps: Deps) -> None:
        moment = deps.clock()
        begins = moment_of(since, deps.zone, now=moment)
        await team.set_rota(session, people, since=begins, turn_days=days, by=by, now=moment)

    in_one_step(step, remedy=_WHO)
    typer.echo(f"График: {' → '.join(people)}, по {days} дн., с {since}.")


@app.command()
def instead(
    person: Annotated[str, typer.Argument(help="Кто дежурит вместо очередного")],
    reason: Reason,
    by: By,
    since: Annotated[str, typer.Option("--from", help="С какого времени")],
    until: Annotated[str, typer.Option("--until", help="До какого")],
) -> None:
    """Записать замену: отпуск, болезнь, один вечер.

    Пример: 2getpro oncall instead timur --from "2026-12-31 10:00" --until "2027-01-02 10:00" --reason отпуск
    """

    async def step(session: Session, deps: Deps) -> None:
        now = deps.clock()
        begins, ends = (moment_of(one, deps.zone, now=now) for one in (since, until))
        await team.stand_in(session, person, since=begins, until=ends, reason=reason, by=by, now=now)

    in_one_step(step, remedy=_WHO)
    typer.echo(f"С {since} до {until} дежурит {person}.")


@holidays.callback()
@only_looks
def show_holidays(context: typer.Context) -> None:
    """Показать праздники: в эти дни смену не передают."""
    if context.invoked_subcommand is not None:
        return

    async def step(session: Session, _: Deps) -> dict[date, str]:
        return await team.days_off(session)

    found = in_one_step(step, remedy=_WHO)
    for day, title in found.items():
        typer.echo(f"{day:%d.%m.%Y}  {title}")
    if not found:
        typer.echo("Праздников нет: смену передают в любой день.")


@holidays.command(name="add")
def add_holidays(
    first: First,
    title: Annotated[str, typer.Option(help="Какой праздник")],
    by: By,
    last: Last = None,
) -> None:
    """Не передавать смену в эти дни: дежурит прежний, передача ждёт первого рабочего дня.

    Пример: 2getpro oncall holidays add 2027-01-01 2027-01-08 --title "Новый год"
    """
    begins, ends = day_of(first), day_of(last or first)

    async def step(session: Session, deps: Deps) -> None:
        await team.add_days_off(session, begins, ends, title=title, by=by, now=deps.clock())

    in_one_step(step, remedy="Какие записаны: 2getpro oncall holidays")
    typer.echo(f"{title}: {_days(begins, ends)} смену не передают. Проверить: 2getpro oncall")


@holidays.command(name="remove")
def remove_holidays(first: First, last: Last = None) -> None:
    """Снова передавать смену в эти дни.

    Пример: 2getpro oncall holidays remove 2027-01-04
    """
    begins, ends = day_of(first), day_of(last or first)

    async def step(session: Session, _: Deps) -> int:
        return await team.drop_days_off(session, begins, ends)

    dropped = in_one_step(step, remedy="Какие записаны: 2getpro oncall holidays")
    said = f"{_days(begins, ends)} смену снова передают." if dropped else "Таких праздников не записано."
    typer.echo(said)


def _days(first: date, last: date) -> str:
    return f"{first:%d.%m.%Y}" if first == last else f"{first:%d.%m.%Y}–{last:%d.%m.%Y}"


@steps.callback()
@only_looks
def show_steps(context: typer.Context) -> None:
    """Показать, кого и когда зовём на каждом уровне."""
    if context.invoked_subcommand is not None:
        return

    async def step(session: Session, deps: Deps) -> list[str]:
        found = await store.policy(session)
        lines = []
        for level in Level:
            changed = await policy.last_change(session, level)
            lines += _level(level, found[level])
            if changed is not None and not policy.is_guides(level, found[level]):
                lines += [
                    f"  изменено: {changed.who}, {in_words(changed.at, deps.zone)}: {changed.reason}",
                    f"  как в руководстве: 2getpro oncall steps guide {level}",
                ]
        return lines

    typer.echo("\n".join(in_one_step(step, remedy=_WHO)))


def _level(level: Level, those: Sequence[Step]) -> list[str]:
    lines = [f"{level}: ответ за {span(answer_within({level: those}, level))}"]
    after = timedelta()
    for one in those:
        how = "всеми путями" if one.reach is Reach.ALL else "в Telegram"
        lines.append(f"  через {span(after)}: {ROLES[one.role].lower()}, {how}")
        after += one.wait
    last = span(those[-1].wait)
    lines.append(f"  через {span(after)}: {level.above}" if level.above else f"  и снова каждые {last}")
    return lines


@steps.command(name="set")
def set_steps(
    level: Annotated[Level, typer.Argument(help="L1, L2 или L3")],
    said: Annotated[
        list[str],
        typer.Argument(metavar="РОЛЬ:ЖДАТЬ[:all]", help="Шаги по порядку; all: всеми путями сразу"),
    ],
    reason: Reason,
    by: By,
) -> None:
    """Звать на этом уровне так. Роли: on_call, tech_lead, devops, everyone; ждать: 90s, 30m, 2h.

    Пример: 2getpro oncall steps set L2 tech_lead:20m tech_lead:20m everyone:20m:all --reason "отпуска"
    """
    wanted = [_step(one) for one in said]
    _change(level, wanted, reason, by)


@steps.command()
def guide(level: Annotated[Level, typer.Argument(help="L1, L2 или L3")], reason: Reason, by: By) -> None:
    """Вернуть этому уровню шаги руководства.

    Пример: 2getpro oncall steps guide L2 --reason "отпуска кончились"
    """
    _change(level, GUIDES[level], reason, by)


def _change(level: Level, wanted: Sequence[Step], reason: str, by: str) -> None:
    async def step(session: Session, deps: Deps) -> None:
        await policy.set_steps(session, deps, level, wanted, by=Actor(by), reason=reason)

    in_one_step(step, remedy="Как сейчас: 2getpro oncall steps")
    typer.echo("\n".join(_level(level, wanted)))


def _step(said: str) -> Step:
    """``tech_lead:30m``, ``everyone:5m:all``."""
    match = _STEP.fullmatch(said)
    if match is None or match["role"] not in list(Role):
        remedy = "Пишите так: tech_lead:30m или everyone:5m:all"
        raise Trouble("Шаг записан неверно.", f"{said!r} не прочесть.", remedy)
    wait = timedelta(seconds=int(match["number"]) * _UNITS[match["unit"]])
    return Step(Role(match["role"]), Reach.ALL if match["all"] else Reach.TELEGRAM, wait)
