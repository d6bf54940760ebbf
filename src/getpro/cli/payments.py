"""``2getpro payments``: the money that waits for a person."""

import getpass
import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from getpro.catalog.store import PlanGone
from getpro.cli.shop import with_shop
from getpro.customers.store import CustomerGone
from getpro.kit.trouble import Trouble
from getpro.sales import stuck as stuck_money
from getpro.sales.deps import Deps
from getpro.sales.stuck import StuckItem

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Платежи: что застряло и как это решить.")

Reference = Annotated[str, typer.Argument(help="Ссылка из списка: s12, d7, e9, j31")]
Reason = Annotated[str, typer.Option("--reason", help="Почему; останется в записи")]
By = Annotated[str, typer.Option("--by", help="Кто решает", default_factory=getpass.getuser)]

_WIDE = 220
"""For a file or a pipe: nothing is cut."""
_KINDS = {
    "underpaid": "недоплата",
    "overpaid": "переплата",
    "foreign_currency": "чужая валюта",
    "unknown_order": "неизвестный заказ",
    "refunded_before_settled": "возвращено до зачёта",
    "wrong_payer": "оплатил другой",
    "expired_undelivered": "срок вышел, доступ не выдан",
    "sum_differs": "суммы не сошлись",
    "not_delivered_away": "панель недоступна",
    "not_delivered_refused": "панель отказала",
    "not_delivered_yet": "ещё не выдано",
    "notice_disproved": "провайдер не подтвердил",
    "notice_unsettled": "уведомление ждёт",
    "job_failed": "ошибка в работе",
}


_OUTCOMES = {
    "settled": "Зачтено.",
    "seen before": "Этот платёж уже зачтён.",
    "premature": "Деньги ещё не пришли: провайдер ждёт оплаты.",
    "canceled": "Платёж отменён у провайдера, денег нет.",
    "no such charge": "Провайдер не знает такого платежа.",
    "no order of ours": "Это не наш заказ, и денег по нему нет.",
    "brought forward": "Будет сделано в ближайшие секунды.",
}


@app.command()
def stuck(*, as_json: Annotated[bool, typer.Option("--json", help="Для программ")] = False) -> None:
    """Показать всё, что ждёт решения. Код 1, если список не пуст.

    Пример: 2getpro payments stuck --json
    """

    async def read(deps: Deps) -> list[StuckItem]:
        async with deps.db.begin("payments stuck") as session:
            return await stuck_money.list_stuck(session, now=deps.clock())

    items = with_shop(read)
    if as_json:
        typer.echo(json.dumps([_plain(item) for item in items], ensure_ascii=False, indent=2))
    elif not items:
        typer.echo("Ничего не застряло.")
    else:
        Console(width=None if sys.stdout.isatty() else _WIDE).print(_table(items))
    raise typer.Exit(1 if items else 0)


@app.command()
def retry(reference: Reference, reason: Reason, by: By) -> None:
    """Повторить: проверить деньги у провайдера заново или доставить ещё раз.

    Пример: 2getpro payments retry s12 --reason "провайдер исправил сумму"
    """
    outcome = with_shop(lambda deps: stuck_money.retry(deps, reference, by=by, reason=reason))
    typer.echo(_in_words(outcome))


@app.command()
def credit(
    reference: Reference,
    reason: Reason,
    by: By,
    user: Annotated[int | None, typer.Option("--user", help="Кому, если заказа нет")] = None,
    plan: Annotated[int | None, typer.Option("--plan", help="Что, если заказа нет")] = None,
) -> None:
    """Засчитать деньги как оплату заказа и выдать срок.

    Пример: 2getpro payments credit s12 --user 42 --plan 1 --reason "перевод по старой ссылке"
    """
    try:
        payment = with_shop(
            lambda deps: stuck_money.credit(deps, reference, by=by, reason=reason, user_id=user, plan_id=plan)
        )
    except CustomerGone as error:
        raise Trouble("Не засчитано.", f"Клиента {error} нет.", "Проверьте --user.") from error
    except PlanGone as error:
        raise Trouble("Не засчитано.", f"Тарифа {error} нет.", "Проверьте --plan.") from error
    typer.echo(f"Засчитано: платёж {payment.payment_id}, клиент {payment.user_id}, {payment.days} дн.")


@app.command()
def refunded(reference: Reference, reason: Reason, by: By) -> None:
    """Отметить, что деньги возвращены вне магазина.

    Пример: 2getpro payments refunded s12 --reason "вернули в кабинете ЮKassa"
    """
    with_shop(lambda deps: stuck_money.mark_refunded(deps, reference, by=by, reason=reason))
    typer.echo("Отмечено.")


@app.command()
def dismiss(reference: Reference, reason: Reason, by: By) -> None:
    """Убрать из списка уведомление, которое провайдер не подтвердил. Придёт снова: появится снова.

    Пример: 2getpro payments dismiss e9 --reason "не наше: тест другого магазина"
    """
    with_shop(lambda deps: stuck_money.dismiss(deps, reference, by=by, reason=reason))
    typer.echo("Убрано из списка.")


def _in_words(outcome: str) -> str:
    if outcome.startswith("stuck: "):
        kind = outcome.removeprefix("stuck: ")
        return f"Без перемен: {_KINDS.get(kind, kind)}."
    return _OUTCOMES[outcome]


def _table(items: list[StuckItem]) -> Table:
    table = Table("Ссылка", "Что", "С", "Клиент", "Сумма", "Подробно", header_style="bold")
    for item in items:
        table.add_row(
            item.reference,
            _KINDS.get(item.kind, item.kind),
            f"{item.since.astimezone():%d.%m %H:%M}",
            str(item.user_id or ""),
            str(item.money or ""),
            item.details,
        )
    return table


def _plain(item: StuckItem) -> dict[str, object]:
    return asdict(item) | {"since": item.since.isoformat()}
