"""``2getpro oncall``: who is on call now, the rota, who stands in, and the policy that calls them."""

from datetime import timedelta
from typing import Annotated, Final

import typer

from getpro.cli.duty import in_one_step, moment_of
from getpro.cli.options import By, Reason
from getpro.cli.tables import in_words
from getpro.incidents import store, team
from getpro.incidents.deps import Deps
from getpro.incidents.escalation import answer_within
from getpro.incidents.states import Level, Reach, Role
from getpro.incidents.words import ROLES, names, span
from getpro.platform.database import Session

app = typer.Typer(
    add_completion=False,
    invoke_without_command=True,
    help="Дежурство: кто сейчас, график, замены, кого и когда зовём.",
)

_WHO: Final = "Кто есть: 2getpro contacts list"


@app.callback()
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


@app.command()
def steps() -> None:
    """Показать, кого и когда зовём на каждом уровне."""

    async def step(session: Session, _: Deps) -> list[str]:
        policy = await store.policy(session)
        lines = []
        for level in Level:
            lines.append(f"{level}: ответ за {span(answer_within(policy, level))}")
            after = timedelta()
            for one in policy[level]:
                how = "всеми путями" if one.reach is Reach.ALL else "в Telegram"
                lines.append(f"  через {span(after)}: {ROLES[one.role].lower()}, {how}")
                after += one.wait
            last = span(policy[level][-1].wait)
            lines.append(
                f"  через {span(after)}: {level.above}" if level.above else f"  и снова каждые {last}"
            )
        return lines

    typer.echo("\n".join(in_one_step(step, remedy=_WHO)))
