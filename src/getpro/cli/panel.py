"""``2getpro panel``: the panel's users against ours."""

import json
import sys
from dataclasses import asdict
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from getpro.cli.settings import read_settings
from getpro.cli.shop import with_shop
from getpro.cli.tables import WIDE, in_words
from getpro.platform.settings import DatabaseSettings
from getpro.sales import reconcile as reconciling
from getpro.sales.deps import Deps
from getpro.sales.reconcile import SAFE, Comparison, Difference, Extent, Finding

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Панель: сверка с магазином.")

_WORDS = {
    Difference.MISSING: "нет на панели: создадим",
    Difference.SHORTER: "срок короче: продлим",
    Difference.DISABLED: "отключён: включим",
    Difference.LONGER: "срок длиннее: решает человек",
    Difference.SQUADS: "нет в нужном отряде: вернём",
    Difference.LESS_TRAFFIC: "трафика меньше: поднимем",
    Difference.MORE_TRAFFIC: "трафика больше: решает человек",
    Difference.FEWER_DEVICES: "устройств меньше: поднимем",
    Difference.OTHER_DEVICES: "лимит устройств не наш: решает человек",
    Difference.RENUMBERED: "панель обновлена, номер другой: запомним",
    Difference.ORPHAN: "наш, но подписки нет: решает человек",
}


@app.callback()
def panel() -> None:
    """Панель: сверка с магазином."""


@app.command()
def reconcile(
    *,
    apply: Annotated[bool, typer.Option("--apply", help="Исправить то, что безопасно")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Для программ")] = False,
) -> None:
    """Сравнить пользователей панели с подписками; без --apply только показать.

    Код 1, если осталось, что решать.

    Пример: 2getpro panel reconcile --apply
    """

    async def compare(deps: Deps) -> tuple[Comparison, int]:
        comparison = await reconciling.compare_panel(deps)
        return comparison, await reconciling.apply(deps, comparison) if apply else 0

    comparison, applied = with_shop(compare)
    if as_json:
        typer.echo(json.dumps(_plain(comparison, applied), ensure_ascii=False, indent=2))
    else:
        typer.echo(f"Сверено подписок: {comparison.compared}, расхождений: {len(comparison.findings)}")
        if comparison.findings:
            Console(width=None if sys.stdout.isatty() else WIDE).print(
                _table(comparison, read_settings(DatabaseSettings).zone)
            )
        if comparison.generous:
            typer.echo(f"Лимиты выше, чем даёт магазин: {comparison.generous}; выровняет следующая покупка")
        if apply:
            typer.echo(f"Отправлено на исправление: {applied}")
    raise typer.Exit(1 if (comparison.to_decide if apply else comparison.findings) else 0)


def _table(comparison: Comparison, zone: ZoneInfo) -> Table:
    table = Table("Пользователь", "Что", "Должно быть", "На панели", header_style="bold")
    for finding in comparison.findings:
        wanted, found = (_shown(finding, value, zone) for value in (finding.wanted, finding.found))
        table.add_row(finding.username, _WORDS[finding.difference], wanted, found)
    return table


def _shown(finding: Finding, value: Extent | None, zone: ZoneInfo) -> str:
    """An end in the shop's zone, traffic in gigabytes, or a number of devices."""
    if isinstance(value, datetime):
        return in_words(value, zone)
    if finding.difference in {Difference.LESS_TRAFFIC, Difference.MORE_TRAFFIC}:
        return f"{value / 1024**3:g} ГБ" if value else "без лимита"
    if finding.difference in {Difference.FEWER_DEVICES, Difference.OTHER_DEVICES}:
        return "лимит панели" if value is None else str(value or "без лимита")
    return ""


def _plain(comparison: Comparison, applied: int) -> dict[str, object]:
    findings = [
        asdict(finding)
        | {"is_safe": finding.difference in SAFE}
        | {name: _written(getattr(finding, name)) for name in ("wanted", "found")}
        for finding in comparison.findings
    ]
    counted = {"compared": comparison.compared, "generous": comparison.generous, "applied": applied}
    return counted | {"findings": findings}


def _written(value: Extent | None) -> str | int | None:
    return value.isoformat() if isinstance(value, datetime) else value
