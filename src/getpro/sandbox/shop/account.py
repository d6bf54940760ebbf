"""The account of a tour: three books side by side, a customer a row."""

from collections.abc import Mapping
from fractions import Fraction
from zoneinfo import ZoneInfo

from rich import box
from rich.console import Console
from rich.table import Table

from getpro.kit.money import MINOR_DIGITS, Money
from getpro.sandbox.shop.judge import Charge, Verdict
from getpro.sandbox.shop.shown import reminder

NO_BREAK = "\N{NO-BREAK SPACE}"


def show(verdicts: list[Verdict], wanted: Mapping[int, tuple[str, ...]], zone: ZoneInfo) -> bool:
    """Print the books and what does not agree; True if everything does.

    ``wanted``: which reminders each customer must have had, in their order; nobody else may have had any.
    """
    troubles = {verdict.user_id: _troubles(verdict, wanted.get(verdict.user_id, ())) for verdict in verdicts}
    table = Table(
        *("Кто", "Провайдер", "Магазин", "Панель", "Дней", "Напомнили", ""),
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )
    for verdict in verdicts:
        table.add_row(
            verdict.name,
            _amounts(verdict.taken),
            _amounts(verdict.recorded),
            _panel(verdict, zone),
            f"{round(verdict.days_added, 3):g} из {verdict.days_paid}",
            _times(len(verdict.reminders)),
            "✗" if troubles[verdict.user_id] else "✓",
        )
    console = Console()
    console.print()
    console.print(table)
    console.print()
    for verdict in verdicts:
        for trouble in troubles[verdict.user_id]:
            console.print(f"{verdict.name}: {trouble}", markup=False)
    return not any(troubles.values())


def _troubles(verdict: Verdict, wanted: tuple[str, ...]) -> list[str]:
    had = tuple(reminder(text) or "" for text in verdict.reminders)
    lacking = [] if had == wanted else [f"напомнили {_listed(had)}, а надо {_listed(wanted)}"]
    return [*verdict.troubles, *lacking]


def _listed(reminders: tuple[str, ...]) -> str:
    return ", ".join(reminders) or "ни разу"


def _panel(verdict: Verdict, zone: ZoneInfo) -> str:
    if verdict.panel_end is None:
        return "—"
    end = verdict.panel_end.astimezone(zone)
    return f"закрыта {end:%d.%m}" if verdict.panel_status in {"EXPIRED", "DISABLED"} else f"до {end:%d.%m.%Y}"


def _amounts(charges: list[Charge]) -> str:
    """In an order that both books share, so that a line stands beside its own: what went back comes last."""
    return "\n".join(map(_amount, sorted(charges, key=_place))) or "—"


def _place(charge: Charge) -> tuple[str, Fraction, str]:
    return charge.amount, -charge.part_kept, str(charge)


def _amount(charge: Charge) -> str:
    amount = _money(charge.amount)
    if charge.part_kept == 1:
        return amount
    return f"{amount} вернули" if charge.part_kept == 0 else f"{amount} − {_money(charge.given_back)}"


def _money(text: str) -> str:
    """``199.00 RUB`` as people write it."""
    value, currency = text.split()
    money = Money.parse(value, currency)
    if currency == "XTR":
        return f"⭐{NO_BREAK}{money.minor}"
    unit = 10 ** MINOR_DIGITS[currency]
    whole, rest = divmod(money.minor, unit)
    return f"{whole}{f',{rest:02}' if rest else ''}{NO_BREAK}{'₽' if currency == 'RUB' else currency}"


def _times(count: int) -> str:
    if not count:
        return "—"
    return f"{count} {'раза' if count in range(2, 5) else 'раз'}"
