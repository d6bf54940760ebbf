"""``2getpro payments``: the money that waits for a person."""

import json
import sys
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from getpro.catalog.store import PlanGone
from getpro.cli.deeds import only_looks
from getpro.cli.options import By, Reason
from getpro.cli.settings import read_settings
from getpro.cli.shop import with_shop
from getpro.cli.tables import BIGGEST_ID, BIGGEST_PLAN, STATUSES, WIDE, in_money, in_title, in_words
from getpro.customers.store import CustomerGone
from getpro.kit.trouble import Trouble
from getpro.payments.refunds import RefundRow
from getpro.payments.states import RefundStatus, StuckMoney
from getpro.platform.settings import DatabaseSettings
from getpro.sales import decisions, reads, refunds
from getpro.sales.deps import Deps
from getpro.sales.reads import Bought
from getpro.sales.settle import Ending, Outcome
from getpro.sales.staff import Operator
from getpro.sales.stuck import OnTheWay, StuckItem, StuckWork, list_stuck, on_the_way

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Платежи: что застряло и как это решить.")

Reference = Annotated[str, typer.Argument(help="Ссылка из списка: s12, d7, r5, e9, j31")]

_KINDS: Final[dict[StuckMoney | StuckWork, str]] = {
    StuckMoney.UNDERPAID: "недоплата",
    StuckMoney.OVERPAID: "переплата",
    StuckMoney.FOREIGN_CURRENCY: "чужая валюта",
    StuckMoney.UNKNOWN_ORDER: "неизвестный заказ",
    StuckMoney.REFUNDED_BEFORE_SETTLED: "возвращено до зачёта",
    StuckMoney.WRONG_PAYER: "оплатил другой",
    StuckMoney.EXPIRED_UNDELIVERED: "срок вышел, доступ не выдан",
    StuckMoney.GIVEN_BACK_TWICE: "возвращено дважды",
    StuckMoney.SUM_DIFFERS: "суммы не сошлись",
    StuckWork.NOT_DELIVERED_AWAY: "панель недоступна",
    StuckWork.NOT_DELIVERED_REFUSED: "панель отказала",
    StuckWork.NOT_DELIVERED_YET: "ещё не выдано",
    StuckWork.REFUND_REFUSED: "в возврате отказано",
    StuckWork.REFUND_NOT_YET: "возврат не завершён",
    StuckWork.NOTICE_DISPROVED: "провайдер не подтвердил",
    StuckWork.NOTICE_UNSETTLED: "уведомление ждёт",
    StuckWork.JOB_FAILED: "ошибка в работе",
}
_ENDINGS: Final = {
    Ending.SETTLED: "Зачтено.",
    Ending.SEEN_BEFORE: "Этот платёж уже зачтён.",
    Ending.PREMATURE: "Деньги ещё не пришли: провайдер ждёт оплаты.",
    Ending.CANCELED: "Платёж отменён у провайдера, денег нет.",
    Ending.DISPROVED: "Провайдер не знает такого платежа.",
    Ending.UNREADABLE: "Ответ провайдера не читается.",
    Ending.NO_ORDER: "Это не наш заказ, и денег по нему нет.",
    Ending.BROUGHT_FORWARD: "Будет сделано в ближайшие секунды.",
}


_REFUNDS: Final = {
    RefundStatus.SUCCEEDED: "Возвращено: {money} ({reference}). Клиенту сообщим сами.",
    RefundStatus.PENDING: "Возврат {reference} на {money} записан, провайдер ещё не закончил: доведём сами.",
    RefundStatus.REFUSED: "Провайдер отказал в возврате {reference} на {money}: {trouble}",
}


@app.command()
@only_looks
def stuck(*, as_json: Annotated[bool, typer.Option("--json", help="Для программ")] = False) -> None:
    """Показать всё, что ждёт решения. Код 1, если список не пуст.

    Пример: 2getpro payments stuck --json
    """

    async def read(deps: Deps) -> tuple[list[StuckItem], str]:
        return await list_stuck(deps), _waiting(await on_the_way(deps), deps.clock())

    items, waiting = with_shop(read)
    if as_json:
        typer.echo(json.dumps([_plain(item) for item in items], ensure_ascii=False, indent=2))
    elif not items:
        typer.echo("Ничего не застряло.")
    else:
        Console(width=None if sys.stdout.isatty() else WIDE).print(
            _table(items, read_settings(DatabaseSettings).zone)
        )
    if waiting and not as_json:
        typer.echo(waiting)
    raise typer.Exit(1 if items else 0)


@app.command(name="list")
@only_looks
def list_(
    *,
    user: Annotated[
        int | None, typer.Option("--user", min=1, max=BIGGEST_ID, help="Чьи; без него последние у всех")
    ] = None,
    most: Annotated[int, typer.Option("--most", min=1, max=1000, help="Сколько показать")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Для программ")] = False,
) -> None:
    """Показать платежи, новые сверху, и сколько за них возвращено.

    Пример: 2getpro payments list --user 42
    """

    async def read(deps: Deps) -> list[Bought]:
        async with deps.db.begin("payments: list") as session:
            return await reads.newest_payments(session, user_id=user, most=most)

    found = with_shop(read)
    if as_json:
        typer.echo(json.dumps([_plain_payment(one) for one in found], ensure_ascii=False, indent=2))
    elif not found:
        typer.echo("Платежей нет.")
    else:
        zone = read_settings(DatabaseSettings).zone
        Console(width=None if sys.stdout.isatty() else WIDE).print(_payments_table(found, zone))


@app.command()
def retry(reference: Reference, reason: Reason, by: By) -> None:
    """Повторить: проверить деньги у провайдера заново или доставить ещё раз.

    Пример: 2getpro payments retry s12 --reason "провайдер исправил сумму"
    """
    outcome = with_shop(lambda deps: decisions.retry(deps, reference, by=Operator(by), reason=reason))
    typer.echo(_in_words(outcome))


@app.command()
def credit(
    reference: Reference,
    reason: Reason,
    by: By,
    user: Annotated[
        int | None, typer.Option("--user", min=1, max=BIGGEST_ID, help="Кому, если заказа нет")
    ] = None,
    plan: Annotated[
        int | None, typer.Option("--plan", min=1, max=BIGGEST_PLAN, help="Что, если заказа нет")
    ] = None,
) -> None:
    """Засчитать деньги как оплату заказа и выдать срок.

    Пример: 2getpro payments credit s12 --user 42 --plan 1 --reason "перевод по старой ссылке"
    """
    try:
        payment = with_shop(
            lambda deps: decisions.credit(
                deps, reference, by=Operator(by), reason=reason, user_id=user, plan_id=plan
            )
        )
    except CustomerGone as error:
        raise Trouble("Не засчитано.", f"Клиента {error} нет.", "Проверьте --user.") from error
    except PlanGone as error:
        raise Trouble("Не засчитано.", f"Тарифа {error} нет.", "Проверьте --plan.") from error
    typer.echo(f"Засчитано: платёж {payment.payment_id}, клиент {payment.user_id}, {payment.days} дн.")


@app.command()
def refund(
    *,
    payment: Annotated[int, typer.Argument(help="Номер платежа", min=1, max=BIGGEST_ID)],
    reason: Reason,
    by: By,
    amount: Annotated[
        str | None, typer.Option("--amount", help="Сколько, в валюте платежа; без неё всё, что осталось")
    ] = None,
    by_hand: Annotated[
        bool, typer.Option("--by-hand", help="Деньги уже возвращены мимо провайдера, только записать")
    ] = False,
) -> None:
    """Вернуть деньги за платёж, целиком или часть. Неиспользованные дни снимаются с подписки.

    Код 1, если провайдер ещё не ответил или отказал.

    Пример: 2getpro payments refund 12 --amount 100.00 --reason "попросил клиент"
    """

    async def give_back(deps: Deps) -> RefundRow:
        return await refunds.ask_refund(
            deps, payment, by=Operator(by), reason=reason, amount=amount, by_hand=by_hand
        )

    made = with_shop(give_back, remedy="Платежи: 2getpro payments list")
    typer.echo(
        _REFUNDS[made.status].format(
            reference=f"r{made.refund_id}", money=in_money(made.refunded), trouble=made.trouble
        )
    )
    raise typer.Exit(0 if made.status is RefundStatus.SUCCEEDED else 1)


@app.command()
def refunded(reference: Reference, reason: Reason, by: By) -> None:
    """Отметить, что деньги возвращены вне магазина.

    Пример: 2getpro payments refunded s12 --reason "вернули в кабинете ЮKassa"
    """
    with_shop(lambda deps: decisions.mark_refunded(deps, reference, by=Operator(by), reason=reason))
    typer.echo("Отмечено.")


@app.command()
def dismiss(reference: Reference, reason: Reason, by: By) -> None:
    """Убрать из списка неподтверждённое уведомление или отказанный возврат.

    Уведомление, если придёт снова, появится снова.

    Пример: 2getpro payments dismiss e9 --reason "не наше: тест другого магазина"
    """
    with_shop(lambda deps: decisions.dismiss(deps, reference, by=Operator(by), reason=reason))
    typer.echo("Убрано из списка.")


def _in_words(outcome: Outcome) -> str:
    return _ENDINGS[outcome.ending] if outcome.kind is None else f"Без перемен: {_KINDS[outcome.kind]}."


def _waiting(found: OnTheWay, now: datetime) -> str:
    if found.oldest is None:
        return ""
    minutes = (now - found.oldest) // timedelta(minutes=1)
    return f"Ждут панель: {found.count}, самому старому {minutes} мин. Покажем здесь, если не дождутся."


def _table(items: list[StuckItem], zone: ZoneInfo) -> Table:
    table = Table("Ссылка", "Что", "С", "Клиент", "Сумма", "Подробно", header_style="bold")
    for item in items:
        table.add_row(
            item.reference,
            _KINDS[item.kind],
            in_words(item.since, zone),
            str(item.user_id or ""),
            in_money(item.money),
            item.details,
        )
    return table


def _payments_table(found: list[Bought], zone: ZoneInfo) -> Table:
    table = Table(
        "Платёж", "Клиент", "Состояние", "Когда", "Сумма", "Возвращено", "Дней", "Чем", header_style="bold"
    )
    for one in found:
        payment = one.payment
        table.add_row(
            str(payment.payment_id),
            str(payment.user_id),
            STATUSES[payment.status],
            in_words(payment.paid_at or payment.created_at, zone),
            in_money(payment.paid or payment.asked),
            in_money(one.given_back),
            str(payment.days),
            in_title(payment.provider),
        )
    return table


def _plain_payment(one: Bought) -> dict[str, object]:
    payment = one.payment
    return {
        "payment_id": payment.payment_id,
        "user_id": payment.user_id,
        "status": payment.status,
        "created_at": payment.created_at.isoformat(),
        "paid_at": payment.paid_at.isoformat() if payment.paid_at else None,
        "amount": str(payment.paid or payment.asked),
        "given_back": str(one.given_back) if one.given_back else None,
        "days": payment.days,
        "provider": payment.provider,
        "charge_id": payment.charge_id,
    }


def _plain(item: StuckItem) -> dict[str, object]:
    return asdict(item) | {"since": item.since.isoformat()}
