"""The judge: what was paid, by the simulators' books, against what the shop recorded and the panel shows."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import psycopg

from getpro.sandbox.panel.state import User
from getpro.sandbox.shop.world import World


@dataclass(frozen=True)
class Charge:
    provider: str
    charge_id: str
    amount: str
    """Amount and currency as the provider has it, e.g. ``199.00 RUB`` or ``120 XTR``."""
    given_back: str
    """What of it has gone back to the payer, in the same form."""

    @property
    def part_kept(self) -> Fraction:
        amount, back = (Fraction(text.split()[0]) for text in (self.amount, self.given_back))
        return 1 - back / amount


@dataclass(frozen=True)
class Verdict:
    """One customer: three books side by side, and what does not agree."""

    user_id: int
    name: str
    taken: list[Charge]
    recorded: list[Charge]
    days_paid: int
    """Of what was not given back."""
    days_added: float
    days_used: float
    """How much of a period that was given back may have been used up before."""
    shop_end: datetime | None
    panel_end: datetime | None

    @property
    def troubles(self) -> list[str]:
        found = []
        if sorted(self.taken, key=str) != sorted(self.recorded, key=str):
            found.append(f"взято {self.taken}, записано {self.recorded}")
        if not self.days_paid <= self.days_added <= self.days_paid + self.days_used:
            found.append(f"оплачено дней {self.days_paid}, добавлено {self.days_added}")
        if self.shop_end != self.panel_end:
            found.append(f"в магазине до {self.shop_end}, на панели до {self.panel_end}")
        return found


def judge(world: World) -> list[Verdict]:
    """One verdict for each person of the simulated Telegram, from the three books as they are now.

    Days paid come from the price: what a plan of that price brings, and the trial's for who had one. Money
    that went back takes its share of the days, rounded down, but none that were used already.
    May run in a thread: the simulators go on writing, so each book is copied before it is read.
    """
    with psycopg.connect(world.database_url, options="-c timezone=UTC") as connection:
        books = _Books(connection)
    taken = _taken(world, books.customer_of_order)
    return [
        _verdict(world, books, person.user_id, person.first_name, taken.get(person.user_id, []))
        for person in list(world.telegram.state.people.values())
    ]


class _Books:
    """What the shop has written down."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.customer_of_order: dict[str, int] = {}
        self.recorded: dict[int, list[Charge]] = {}
        self.days_of: dict[str, int] = {}
        self.ends: dict[int, tuple[datetime, datetime]] = {}
        self.trial_days: dict[int, int] = {}
        for key, user_id in connection.execute("SELECT order_key::text, user_id FROM payments"):
            self.customer_of_order[key] = user_id
        for row in connection.execute(
            "SELECT user_id, provider, charge_id, paid_amount, paid_currency,"
            " (SELECT coalesce(sum(refunded_amount), 0) FROM refunds"
            "  WHERE refunds.payment_id = payments.payment_id AND refunds.status = 'succeeded')"
            " FROM payments WHERE status = 'succeeded'"
        ):
            charge = Charge(row[1], row[2], _amount(str(row[3]), row[4]), _amount(str(row[5]), row[4]))
            self.recorded.setdefault(row[0], []).append(charge)
        for days, price, stars in connection.execute("SELECT days, price, stars FROM plans"):
            self.days_of[_amount(str(price), "RUB")] = days
            self.days_of[_amount(str(stars), "XTR")] = days
        for user_id, start, end in connection.execute(
            "SELECT user_id, start_date, end_date FROM subscriptions"
        ):
            self.ends[user_id] = (start, end)
        for user_id, days in connection.execute(
            "SELECT s.user_id, c.days FROM subscription_changes c"
            " JOIN subscriptions s USING (subscription_id) WHERE c.cause = 'trial'"
        ):
            self.trial_days[user_id] = days


def _taken(world: World, customer_of_order: dict[str, int]) -> dict[int, list[Charge]]:
    """What was taken from each customer, by the providers' own books."""
    taken: dict[int, list[Charge]] = {}
    for payment in list(world.yookassa.books.payments.values()):
        if payment["status"] == "succeeded":
            owner = customer_of_order[payment["metadata"]["order_key"]]
            amount, back = (
                _amount(payment[name]["value"], payment[name]["currency"])
                for name in ("amount", "refunded_amount")
            )
            taken.setdefault(owner, []).append(Charge("yookassa", payment["id"], amount, back))
    for invoice in list(world.cryptopay.books.invoices.values()):
        if invoice["status"] == "paid":
            owner = customer_of_order[invoice["payload"]]
            amount = _amount(invoice["amount"], invoice["fiat"])
            nothing = _amount("0", invoice["fiat"])
            charge = Charge("cryptopay", str(invoice["invoice_id"]), amount, nothing)
            taken.setdefault(owner, []).append(charge)
    for paid in list(world.telegram.state.charges):
        back = _amount(str(paid.amount if paid.is_refunded else 0), "XTR")
        stars = Charge("stars", paid.charge_id, _amount(str(paid.amount), "XTR"), back)
        taken.setdefault(paid.user_id, []).append(stars)
    return taken


def _verdict(world: World, books: _Books, user_id: int, name: str, taken: list[Charge]) -> Verdict:
    start, shop_end = books.ends.get(user_id, (None, None))
    panel_end = _panel_end(world, user_id, shop_end)
    added = used = 0.0
    if start is not None and panel_end is not None:
        added = (panel_end - start) / timedelta(days=1)
        if any(charge.part_kept < 1 for charge in taken):
            used = (world.clock() - start) / timedelta(days=1)
    days_paid = sum(_days_kept(books.days_of[charge.amount], charge) for charge in taken)
    days_paid += books.trial_days.get(user_id, 0)
    recorded = books.recorded.get(user_id, [])
    return Verdict(user_id, name, taken, recorded, days_paid, added, used, shop_end, panel_end)


def _days_kept(days: int, charge: Charge) -> int:
    return days - math.floor(days * (1 - charge.part_kept))


def _panel_end(world: World, user_id: int, shop_end: datetime | None) -> datetime | None:
    """Until when the panel is open; for who is shut out there after a refund, the end that the shop says."""
    found: list[User] = [
        user for user in list(world.panel.state.users.values()) if user.telegramId == user_id
    ]
    if len(found) > 1:
        raise AssertionError(f"{user_id} has {len(found)} users on the panel")
    if not found:
        return None
    if found[0].status == "DISABLED" and shop_end is not None and shop_end <= world.clock():
        return shop_end
    return found[0].expireAt.astimezone(UTC).replace(microsecond=0)


def _amount(value: str, currency: str) -> str:
    digits = 0 if currency == "XTR" else 2
    return f"{Decimal(value):.{digits}f} {currency}"
