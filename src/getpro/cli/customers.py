"""``2getpro customers``: what an operator does for a customer, also when the bot is down."""

import getpass
from collections.abc import Awaitable, Callable
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer

from getpro.cli.deeds import only_looks
from getpro.cli.options import By, Reason
from getpro.cli.settings import read_settings
from getpro.cli.shop import with_shop
from getpro.cli.tables import BIGGEST_ID, STATUSES, in_money, in_title, in_words
from getpro.customers.store import CustomerGone
from getpro.kit.trouble import Trouble
from getpro.platform.database import Session
from getpro.platform.settings import DatabaseSettings
from getpro.sales import desk
from getpro.sales.deps import Deps
from getpro.sales.desk import Card
from getpro.sales.reads import Bought
from getpro.sales.staff import Operator

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Клиенты: найти, добавить дни, заблокировать."
)

_FIND: Final = "Клиента ищет 2getpro customers show @имя"
Number = Annotated[int, typer.Argument(help="Номер клиента в Telegram", min=1, max=BIGGEST_ID)]


@app.command()
@only_looks
def show(
    wanted: Annotated[str, typer.Argument(help="Номер, @имя, p12 или номер платежа у провайдера")],
) -> None:
    """Показать клиента: подписку, панель, последние платежи.

    Пример: 2getpro customers show @anna
    """
    by = Operator(getpass.getuser())

    async def look(deps: Deps) -> list[Card]:
        async with deps.db.begin("customers: find") as session:
            found = await desk.find(session, deps, wanted, by=by)
        return [await desk.card(deps, match.user_id, by=by) for match in found]

    cards = with_shop(look)
    for card in cards:
        typer.echo(_in_lines(card))
    if not cards:
        typer.echo("Никого не нашли.")
    raise typer.Exit(0 if cards else 1)


@app.command()
def extend(
    customer: Number,
    days: Annotated[int, typer.Argument(help="Сколько дней", min=1, max=desk.LONGEST_GIFT)],
    reason: Reason,
    by: By,
) -> None:
    """Добавить дни без оплаты.

    Пример: 2getpro customers extend 42 7 --reason "сбой 24 ноября"
    """

    async def give(session: Session, deps: Deps) -> str:
        after = await desk.give_days(session, deps, customer, days=days, by=Operator(by), reason=reason)
        return f"Добавлено, подписка до {in_words(after.end_date, read_settings(DatabaseSettings).zone)}."

    typer.echo(_do(customer, give))


@app.command()
def block(customer: Number, reason: Reason, by: By) -> None:
    """Закрыть доступ сразу и ничего не продавать; оплаченные дни не пропадают.

    Пример: 2getpro customers block 42 --reason "перепродаёт доступ"
    """

    async def shut(session: Session, deps: Deps) -> str:
        await desk.block(session, deps, customer, by=Operator(by), reason=reason)
        return "Заблокирован."

    typer.echo(_do(customer, shut))


@app.command()
def unblock(customer: Number, reason: Reason, by: By) -> None:
    """Снять блокировку: оставшиеся дни откроются снова.

    Пример: 2getpro customers unblock 42 --reason "разобрались"
    """

    async def let_in(session: Session, deps: Deps) -> str:
        await desk.unblock(session, deps, customer, by=Operator(by), reason=reason)
        return "Блокировка снята."

    typer.echo(_do(customer, let_in))


def _do(customer: int, step: Callable[[Session, Deps], Awaitable[str]]) -> str:
    async def flow(deps: Deps) -> str:
        async with deps.db.begin("customers: do") as session:
            return await step(session, deps)

    try:
        return with_shop(flow, remedy=f"Посмотреть клиента: 2getpro customers show {customer}")
    except CustomerGone as error:
        raise Trouble("Не сделано.", f"Клиента {error} нет.", _FIND) from error


def _in_lines(card: Card) -> str:
    zone = read_settings(DatabaseSettings).zone
    name = f"@{card.username} " if card.username else ""
    subscription, on_panel = card.subscription, card.on_panel
    facts = [f"{card.first_name} {name}({card.user_id})", f"с нами с {in_words(card.registered_at, zone)}"]
    if card.blocked_at:
        facts.append(f"заблокирован с {in_words(card.blocked_at, zone)}")
    if card.unreachable_reason:
        facts.append(f"сообщения не доходят: {card.unreachable_reason}")
    facts.append(f"подписка до {in_words(subscription.end_date, zone)}" if subscription else "подписки нет")
    if on_panel:
        facts.append(f"на панели {on_panel.status} до {in_words(on_panel.expire_at, zone)}")
    if card.panel_trouble:
        facts.append(f"панель не ответила: {card.panel_trouble}")
    return "\n  ".join(facts + [_payment(one, zone) for one in card.payments])


def _payment(one: Bought, zone: ZoneInfo) -> str:
    payment = one.payment
    back = f", возвращено {in_money(one.given_back)}" if one.given_back else ""
    moment = in_words(payment.paid_at or payment.created_at, zone)
    paid = in_money(payment.paid or payment.asked)
    status, provider = STATUSES[payment.status], in_title(payment.provider)
    return f"p{payment.payment_id} {moment}: {status}, {paid}, {provider}{back}"
