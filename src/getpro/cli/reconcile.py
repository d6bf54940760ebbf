"""``2getpro reconcile``: after a restore, what has happened since then is found again."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from getpro.cli.settings import read_settings
from getpro.cli.shop import with_shop
from getpro.cli.tables import WIDE, in_money, in_title, in_words
from getpro.kit.trouble import Trouble
from getpro.platform import restores
from getpro.platform.settings import DatabaseSettings
from getpro.sales.after_restore import TO_LOOK_AT, Finding, Found, Report, reconcile_after_restore
from getpro.sales.deps import Deps

app = typer.Typer(add_completion=False)


class _NoMark(Trouble):
    """Nobody has told the database that it was restored, and so the shop is not held."""


_AGAIN: Final = (
    "Магазин закрыт, пока сверка не дойдёт до конца. Устраните причину и повторите: 2getpro reconcile"
)
_PLAN: Final = (
    "Пока идёт сверка, магазин не продаёт и не выдаёт; уведомления об оплате сохраняются.",
    "1. Сдвинуть номера, чтобы ничего выданного после этого времени не выдать второй раз.",
    "2. Спросить всех провайдеров о деньгах с предыдущего дня; зачесть то, чего база не знает.",
    "3. Записать возвраты, сделанные с тех пор.",
    "4. Сверить панель: чего база не знает, взять с панели; никому срок не укоротить.",
    "5. Сравнить суммы и открыть магазин.",
)
_WORDS: Final = {
    Found.SETTLED: "зачтено: заказ в базе был",
    Found.REBUILT: "зачтено: заказ восстановлен по данным провайдера",
    Found.REFUNDED: "возвраты",
    Found.STUCK: "деньги ждут решения: 2getpro payments stuck",
    Found.FAILED: "ошибка в программе: поищем снова сами, причина в журнале",
    Found.NEWCOMER: "клиент взят с панели: пробный период или подарок",
    Found.LONGER: "на панели больше, чем объясняют деньги: оставлено",
    Found.SHORTER: "на панели меньше, чем оплачено: вернём; возможно, деньги возвращали вручную",
    Found.BLOCKED: "закрыт на панели: заблокирован и в магазине",
    Found.UNBLOCKED: "открыт на панели: разблокирован и в магазине",
    Found.TAKEN_BACK: "панель не слышала о возврате: его дни сняты; если это был подарок, верните их",
    Found.PROVIDER_OFF: "провайдер выключен, спросить некого",
}


@app.command()
def reconcile(
    *,
    restored_to: Annotated[
        str | None,
        typer.Option(
            "--restored-to",
            help='На какое время восстановлена база: "2026-11-23 14:05" по часам магазина или с поясом; '
            "без него время из отметки в базе",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Для программ")] = False,
) -> None:
    """Досчитать деньги и сверить панель после восстановления базы на время в прошлом.

    Повторять можно сколько угодно. Код 1, если что-то осталось посмотреть человеку; 2, если сверка не дошла
    до конца: магазин тогда ещё закрыт.

    Пример: 2getpro reconcile --restored-to "2026-11-23 14:05"
    """
    zone = read_settings(DatabaseSettings).zone
    given = None if restored_to is None else _moment(restored_to, zone)

    def say(words: str) -> None:
        if not as_json:
            typer.echo(words)

    async def flow(deps: Deps) -> Report:
        moment = given or await _marked(deps)
        say(f"База восстановлена на {in_words(moment, zone)}.")
        for line in _PLAN:
            say(line)
        return await reconcile_after_restore(
            deps, restored_to=moment, on_progress=lambda step: say(f"… {step}")
        )

    try:
        report = with_shop(flow, remedy=_AGAIN)
    except Trouble as trouble:
        if trouble.remedy == _AGAIN or isinstance(trouble, _NoMark):
            raise
        raise Trouble(trouble.what, trouble.why, f"{trouble.remedy} {_AGAIN}") from trouble
    if as_json:
        typer.echo(json.dumps(_plain(report), ensure_ascii=False, indent=2))
    else:
        _show(report, zone)
    raise typer.Exit(0 if report.is_clean else 1)


def _moment(written: str, zone: ZoneInfo) -> datetime:
    try:
        moment = datetime.fromisoformat(written.strip())
    except ValueError as error:
        raise typer.BadParameter('время пишется как "2026-11-23 14:05"') from error
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    if moment > datetime.now(zone):
        raise typer.BadParameter("это время ещё не наступило")
    return moment


async def _marked(deps: Deps) -> datetime:
    async with deps.db.read("reconcile: mark") as session:
        held = await restores.held_by(session)
    if held is None:
        raise _NoMark(
            "Сверять не с чем.",
            "В базе нет отметки, что её восстановили.",
            'Назовите время: 2getpro reconcile --restored-to "2026-11-23 14:05"',
        )
    moment: datetime = held.restored_to
    return moment


def _show(report: Report, zone: ZoneInfo) -> None:
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    found = [kind for kind in Found if any(finding.kind is kind for finding in report.findings)]
    if found:
        table = Table("Найдено", "Сколько", "Сумма", header_style="bold")
        for kind in found:
            count = sum(finding.kind is kind for finding in report.findings)
            table.add_row(_WORDS[kind], str(count), _in_sums(report, kind))
        console.print(table)
    if report.to_look_at:
        table = Table("Посмотреть", "О ком", "В базе было", "Теперь", "Сумма", header_style="bold")
        for finding in report.to_look_at:
            table.add_row(_WORDS[finding.kind], *_cells(finding, zone))
        console.print(table)
    for line in _lines(report):
        typer.echo(line)


def _in_sums(report: Report, kind: Found) -> str:
    return ", ".join(in_money(money) for money in report.money_of(kind).values())


def _cells(finding: Finding, zone: ZoneInfo) -> Iterator[str]:
    yield finding.subject
    for end in (finding.end_before, finding.end_after):
        yield "" if end is None else in_words(end, zone)
    yield in_money(finding.money)


def _lines(report: Report) -> Iterator[str]:
    for provider, pairs in report.sums.items():
        for theirs, ours in pairs.values():
            verdict = "сошлось" if theirs == ours else "НЕ СОШЛОСЬ"
            yield f"{in_title(provider)}: взято {in_money(theirs)}, записано {in_money(ours)}: {verdict}"
    if report.stuck:
        yield f"Деньги, которые ждут решения: {report.stuck}. Список: 2getpro payments stuck"
    if report.undelivered:
        yield f"Доступы, которые сейчас доставят работники: {report.undelivered}"
    yield (
        "Сверка закончена, магазин открыт."
        if report.is_clean
        else ("Сверка закончена, магазин открыт. Посмотрите отмеченное выше.")
    )


def _plain(report: Report) -> dict[str, object]:
    return {
        "restored_to": report.restored_to.isoformat(),
        "is_clean": report.is_clean,
        "undelivered": report.undelivered,
        "stuck": report.stuck,
        "sums": [
            {"provider": provider, "theirs": str(theirs), "ours": str(ours)}
            for provider, pairs in report.sums.items()
            for theirs, ours in pairs.values()
        ],
        "findings": [
            asdict(finding)
            | {"money": None if finding.money is None else str(finding.money)}
            | {"is_to_look_at": finding.kind in TO_LOOK_AT}
            | {name: _written(getattr(finding, name)) for name in ("end_before", "end_after")}
            for finding in report.findings
        ],
    }


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
