"""``2getpro panel``: the panel's users against ours."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from getpro.cli.shop import with_shop
from getpro.sales import reconcile as reconciling
from getpro.sales.deps import Deps
from getpro.sales.reconcile import Comparison, Difference

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Панель: сверка с магазином.")

_WORDS = {
    Difference.MISSING: "нет на панели: создадим",
    Difference.SHORTER: "срок короче: продлим",
    Difference.DISABLED: "отключён: включим",
    Difference.LONGER: "срок длиннее: решает человек",
    Difference.SQUADS: "нет в нужном отряде: вернём",
    Difference.ORPHAN: "наш, но подписки нет: решает человек",
}


@app.callback()
def panel() -> None:
    """Панель: сверка с магазином."""


@app.command()
def reconcile(
    *, apply: Annotated[bool, typer.Option("--apply", help="Исправить то, что безопасно")] = False
) -> None:
    """Сравнить пользователей панели с подписками; без --apply только показать.

    Пример: 2getpro panel reconcile --apply
    """

    async def compare(deps: Deps) -> tuple[Comparison, int]:
        comparison = await reconciling.compare_panel(deps)
        return comparison, await reconciling.apply(deps, comparison) if apply else 0

    comparison, applied = with_shop(compare)
    typer.echo(f"Сверено подписок: {comparison.compared}, расхождений: {len(comparison.findings)}")
    if comparison.findings:
        Console().print(_table(comparison))
    if apply:
        typer.echo(f"Отправлено на исправление: {applied}")
    raise typer.Exit(1 if len(comparison.findings) > applied else 0)


def _table(comparison: Comparison) -> Table:
    table = Table("Пользователь", "Что", "Должно быть", "На панели", header_style="bold")
    for finding in comparison.findings:
        table.add_row(
            finding.username,
            _WORDS[finding.difference],
            f"{finding.wanted:%d.%m.%Y %H:%M} UTC" if finding.wanted else "",
            f"{finding.found:%d.%m.%Y %H:%M} UTC" if finding.found else "",
        )
    return table
