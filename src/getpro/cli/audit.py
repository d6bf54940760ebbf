"""``2getpro ops audit``: the month's audit, its report, a person's signature, findings that are accepted."""

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from getpro.cli.deeds import only_looks_unless
from getpro.cli.duty import day_of, in_one_step, with_incidents
from getpro.cli.options import By, Reason
from getpro.cli.routine import CODES_SAID, AsJson, Tell, run, show
from getpro.cli.settings import read_settings
from getpro.incidents.deps import Deps
from getpro.incidents.team import Actor
from getpro.kit.clock import midnight
from getpro.kit.trouble import Trouble, system_words
from getpro.operations import acceptance, audits
from getpro.operations.audit_words import in_month
from getpro.operations.audits import NAME, Audit
from getpro.operations.routines import ROUTINES
from getpro.platform.database import Session
from getpro.platform.settings import DatabaseSettings
from getpro.platform.typesetting import NotDrawn

__all__ = ["NAME", "app"]

app = typer.Typer(
    add_completion=False,
    invoke_without_command=True,
    help=f"{ROUTINES[NAME].title}. {CODES_SAID} Отчёт, подпись, принятые находки.",
)
_AGAIN: Final = "Находки и их имена: 2getpro ops audit show"
Out = Annotated[Path | None, typer.Option("--out", help="Куда положить отчёт: FILE.md или FILE.pdf")]
Finding = Annotated[str, typer.Argument(help="Имя находки, как в отчёте")]


@app.callback()
def audit(
    context: typer.Context,
    by: By,
    *,
    as_json: AsJson = False,
    tell: Tell = False,
    out: Out = None,
    sign: Annotated[bool, typer.Option("--sign", help="Подписать отчёт этого месяца: вы прочли его")] = False,
) -> None:
    """Проверить сейчас, или подписать то, что проверено.

    Пример: 2getpro ops audit --out audit.pdf, потом 2getpro ops audit --sign --by olga
    """
    if context.invoked_subcommand is not None:
        return
    if sign:
        _sign(by)
        return
    _require_suffix(out)
    found = run(ROUTINES[NAME], tell=tell)
    if out is not None and found.run_id:
        _write(out, _kept(None))
    show(found.findings, as_json=as_json)


def _sign(by: str) -> None:
    async def step(session: Session, deps: Deps) -> Audit:
        return await audits.sign(session, deps, by=Actor(by))

    signed = in_one_step(step, remedy="Прочитать: 2getpro ops audit show")
    typer.echo(f"Подписано: {in_month(signed.month)}, {by}. PDF: 2getpro ops audit show --out FILE.pdf")


@app.command(name="show")
@only_looks_unless("out")  # its PDF is kept
def show_report(
    month: Annotated[str | None, typer.Option("--month", help="Какого месяца: 2026-10")] = None,
    *,
    out: Out = None,
) -> None:
    """Показать отчёт последнего аудита или взять его файлом.

    Пример: 2getpro ops audit show --month 2026-10 --out audit.pdf
    """
    _require_suffix(out)
    found = _kept(None if month is None else _month_of(month))
    if out is not None:
        _write(out, found)
    else:
        typer.echo(audits.signed(found, read_settings(DatabaseSettings).zone), nl=False)


@app.command()
def accept(
    finding: Finding,
    reason: Reason,
    until: Annotated[str, typer.Option("--until", help="До какого дня: 2027-01-31; потом вернётся")],
    by: By,
) -> None:
    """Принять находку: знаем, живём с этим до такого-то дня.

    Пример: 2getpro ops audit accept rights.role.metabase --until 2027-01-31 --reason "отчёты бухгалтера"
    """
    day = midnight(day_of(until), read_settings(DatabaseSettings).zone)

    async def step(session: Session, deps: Deps) -> int:
        return await acceptance.accept(session, deps, finding, until=day, reason=reason, by=Actor(by))

    in_one_step(step, remedy=_AGAIN)
    typer.echo(f"Принято до {day_of(until):%d.%m.%Y}: {finding}. Изменится то, что видно, — вернётся раньше.")


@app.command()
def withdraw(finding: Finding, reason: Reason, by: By) -> None:
    """Снова считать находку, которую приняли.

    Пример: 2getpro ops audit withdraw rights.role.metabase --reason "отчёты больше не нужны"
    """

    async def step(session: Session, deps: Deps) -> None:
        await acceptance.withdraw(session, deps, finding, reason=reason, by=Actor(by))

    in_one_step(step, remedy=_AGAIN)
    typer.echo(f"Больше не принято: {finding}")


def _kept(month: date | None) -> Audit:
    async def step(session: Session, _: Deps) -> Audit | None:
        return await audits.of_month(session, month)

    found = in_one_step(step, remedy=_AGAIN)
    if found is None:
        raise Trouble("Отчёта нет.", "Аудита тогда не было.", "Проверить сейчас: 2getpro ops audit")
    return found


def _month_of(said: str) -> date:
    try:
        return datetime.strptime(said, "%Y-%m").date()  # noqa: DTZ007 -- a month of the calendar
    except ValueError as error:
        raise typer.BadParameter("месяц пишется так: 2026-10", param_hint="--month") from error


def _require_suffix(out: Path | None) -> None:
    if out is not None and out.suffix not in {".md", ".pdf"}:
        raise typer.BadParameter("имя файла кончается на .md или .pdf", param_hint="--out")


def _write(out: Path, found: Audit) -> None:
    content = (
        _printed(found)
        if out.suffix == ".pdf"
        else audits.signed(found, read_settings(DatabaseSettings).zone).encode()
    )
    try:
        out.write_bytes(content)
    except OSError as error:
        raise Trouble(f"Отчёт не записан: {out}.", system_words(error), "Укажите другой файл.") from error
    typer.echo(f"Записано: {out}", err=True)


def _printed(found: Audit) -> bytes:
    async def flow(deps: Deps) -> Audit:
        return await audits.with_pdf(deps, found, shop_name=deps.shop_name)

    try:
        pdf = with_incidents(flow, remedy=_AGAIN).pdf
    except NotDrawn as error:
        raise Trouble("PDF не готов.", str(error), "Возьмите Markdown: --out FILE.md") from error
    assert pdf is not None
    return pdf
