"""What must hold in a town: the books of the providers, of the shop and of the panel beside each other.

The rules are those of docs/decisions (0003 settling, 0010 refunds), written down a second time: a day that
the shop counts wrong must not be counted wrong here as well.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from town import Town

PRICES = {
    ("RUB", 199): 30, ("RUB", 499): 90, ("RUB", 899): 180, ("RUB", 1590): 365,
    ("XTR", 120): 30, ("XTR", 300): 90, ("XTR", 540): 180, ("XTR", 950): 365,
}  # fmt: skip
"""How many days a price buys; other amounts buy none."""
OVER = 100
"""So much more is taken where somebody pays too much."""
MOVES = {(None, "pending"), ("pending", "succeeded"), ("pending", "canceled"), ("canceled", "succeeded")}
FURTHER = (None, "succeeded")
"""How a charge begins that came for an order that was paid already."""
REMINDERS = re.compile("<b>(Подписка закончи(тся|лась)|Доступ к VPN закрыт)")


@dataclass(frozen=True)
class Charge:
    """Money that a provider took."""

    order_key: str | None
    amount: Decimal
    currency: str
    given_back: Decimal

    @property
    def price(self) -> Decimal | None:
        """What it was taken for; None if no price is that."""
        for price in (self.amount, self.amount - OVER):
            if price % 1 == 0 and (self.currency, int(price)) in PRICES:
                return price
        return None

    @property
    def days(self) -> int:
        return 0 if self.price is None else PRICES[self.currency, int(self.price)]


@dataclass
class Period:
    payment_id: int | None
    """None for days that an operator gave."""
    start: datetime
    end: datetime


@dataclass
class Sale:
    """Days sold for ``price`` out of ``paid``; what is beyond it goes back first, and costs none."""

    paid: Decimal
    price: Decimal
    days: int
    back: Decimal = Decimal(0)

    def days_back(self, money: Decimal, *, is_before_credit: bool) -> int:
        """The days that go back with so much more money."""
        if is_before_credit:
            self.price = min(self.price, self.paid - money)
        before, self.back = self.back, self.back + money
        return self._share(self.back) - self._share(before)

    def _share(self, back: Decimal) -> int:
        return int(self.days * max(back - (self.paid - self.price), Decimal(0)) // self.price)


@dataclass
class Account:
    """The periods of one customer, one behind the other."""

    periods: list[Period] = field(default_factory=list)

    @property
    def end(self) -> datetime | None:
        return self.periods[-1].end if self.periods else None

    def buy(self, payment_id: int | None, days: int, now: datetime) -> None:
        start = max(self.end or now, now)
        self.periods.append(Period(payment_id, start, start + timedelta(days=days)))

    def give_back(self, payment_id: int, days: int, now: datetime) -> timedelta:
        """Shorten the payment's period by what lies ahead of it, move up those behind; return by how much."""
        number = next(n for n, period in enumerate(self.periods) if period.payment_id == payment_id)
        mine = self.periods[number]
        taken = min(timedelta(days=days), max(mine.end - max(mine.start, now), timedelta()))
        mine.end -= taken
        for period in self.periods[number + 1 :]:
            if taken:
                period.start, period.end = period.start - taken, period.end - taken
        return taken


def charges_taken(town: Town) -> dict[tuple[str, str], Charge]:
    """By provider and charge."""
    taken = {}
    for number, payment in town.yookassa.books.payments.items():
        if payment["status"] == "succeeded":
            amount, back = (Decimal(payment[name]["value"]) for name in ("amount", "refunded_amount"))
            key = payment["metadata"].get("order_key")
            taken["yookassa", number] = Charge(key, amount, payment["amount"]["currency"], back)
    for invoice in town.cryptopay.books.invoices.values():
        if invoice["status"] == "paid":
            charge = Charge(invoice.get("payload"), Decimal(invoice["amount"]), invoice["fiat"], Decimal(0))
            taken["cryptopay", str(invoice["invoice_id"])] = charge
    for stars in town.telegram.state.charges:
        amount = Decimal(stars.amount)
        charge = Charge(stars.payload, amount, "XTR", amount if stars.is_refunded else Decimal(0))
        taken["stars", stars.charge_id] = charge
    return taken


def always(town: Town) -> list[str]:
    """What is wrong at a moment at which nothing may be, whatever is still on its way."""
    taken = charges_taken(town)
    return [
        *_recorded_wrongly(town, taken),
        *_moved_wrongly(town),
        *_counted_wrongly(town, taken),
        *_never_wanted(town),
        *_told_twice(town),
    ]


def at_rest(town: Town) -> list[str]:
    """What is wrong once the shop has had time for everything."""
    taken = charges_taken(town)
    return [
        *always(town),
        *_lost_money(town, taken),
        *_unfinished(town),
        *_not_on_panel(town),
    ]


_PAID = (
    "SELECT p.*, b.*, EXISTS (SELECT 1 FROM subscription_changes c"
    " WHERE c.payment_id = p.payment_id AND c.cause = 'credit') AS is_credited"
    " FROM payments p CROSS JOIN LATERAL ("
    "  SELECT coalesce(sum(refunded_amount) FILTER (WHERE origin <> 'by hand'), 0) AS back,"
    "  coalesce(sum(refunded_amount) FILTER (WHERE origin = 'by hand'), 0) AS by_hand"
    "  FROM refunds r WHERE r.payment_id = p.payment_id AND r.status = 'succeeded') b"
    " WHERE p.status = 'succeeded'"
)
"""What is recorded as paid, and of it as given back: at the provider's, and past it by hand."""


def _recorded_wrongly(town: Town, taken: dict[tuple[str, str], Charge]) -> Iterator[str]:
    """Each recorded payment is one charge of a provider, of that amount; no more went back than there."""
    rows = town.ask(_PAID)
    for row in rows:
        charge = taken.get((row.provider, row.charge_id))
        if charge is None:
            yield f"payment {row.payment_id} is recorded, but {row.provider} never took it"
        elif (charge.amount, charge.currency) != (row.paid_amount, row.paid_currency):
            yield f"payment {row.payment_id}: {charge} was taken, {row.paid_amount} recorded"
        elif row.back > charge.given_back:
            yield f"payment {row.payment_id}: {row.back} is recorded as given back of {charge}"
        elif row.back + row.by_hand > row.paid_amount:
            back = f"{row.back} + {row.by_hand}"
            yield f"payment {row.payment_id}: {back} are recorded as given back of {charge}"
        elif row.days != charge.days and not row.is_credited:
            yield f"payment {row.payment_id}: {charge.days} days were paid for, {row.days} sold"
    for charge_id, times in Counter((row.provider, row.charge_id) for row in rows).items():
        if times > 1:
            yield f"charge {charge_id} is recorded {times} times"


def _moved_wrongly(town: Town) -> Iterator[str]:
    """An order is in one state, into which it came by allowed moves, one after another."""
    moves: dict[int, list[Any]] = defaultdict(list)
    for row in town.ask("SELECT * FROM payment_moves ORDER BY move_id"):
        moves[row.payment_id].append((row.from_status, row.to_status))
    for row in town.ask("SELECT payment_id, status, follows_payment_id FROM payments"):
        found = moves[row.payment_id]
        allowed = MOVES if row.follows_payment_id is None else {FURTHER}
        is_chain = all(later[0] == earlier[1] for earlier, later in pairwise(found))
        if not found or found[-1][1] != row.status or not set(found) <= allowed or not is_chain:
            yield f"payment {row.payment_id} is {row.status} after {found}"


def _counted_wrongly(town: Town, taken: dict[tuple[str, str], Charge]) -> Iterator[str]:
    """Every end follows from what was paid and given back before, each payment and each refund once."""
    accounts: dict[int, Account] = defaultdict(Account)
    sales: dict[int, Sale] = {}
    for change in _changes(town):
        account, now = accounts[change.user_id], change.changed_at.replace(microsecond=0)
        charge = taken.get((change.provider, change.charge_id))
        if change.cause in {"payment", "credit"} and charge is not None:
            # what is given for a credit is the operator's decision
            days = charge.days if change.cause == "payment" else change.sold
            sales[change.payment_id] = Sale(charge.amount, charge.price or charge.amount, days)
            account.buy(change.payment_id, days, now)
        elif change.cause in {"gift", "trial"}:
            account.buy(None, change.days, now)
        elif change.cause == "adopted":  # after a restore: what the panel has more
            account.periods.append(Period(None, account.end or change.end_after, change.end_after))
        elif change.cause == "refund" and charge is not None:
            is_before = change.origin == "before credit"
            days = sales[change.payment_id].days_back(change.back, is_before_credit=is_before)
            taken_back = account.give_back(change.payment_id, days, now)
            if change.end_after is None:
                if taken_back:
                    yield f"{change.user_id} has kept {taken_back} of {change.payment_id}, given back"
                continue
        elif change.cause not in {"repair", "block", "unblock"}:
            yield f"{change.user_id} has got {change.days} days for {change.cause} {change.payment_id}"
        if account.end != change.end_after:
            yield f"{change.user_id} has got until {change.end_after}, was due {account.end}: {change.cause}"
            return
    for row in town.ask("SELECT user_id, end_date FROM subscriptions"):
        if row.end_date != accounts[row.user_id].end:
            yield f"{row.user_id} has until {row.end_date} and was due {accounts[row.user_id].end}"
    unpaid = town.ask(
        "SELECT payment_id FROM payments p WHERE status = 'succeeded' AND 1 <> (SELECT count(*) FROM"
        " subscription_changes c WHERE c.payment_id = p.payment_id AND c.refund_id IS NULL)"
    )
    yield from (f"payment {row.payment_id} has not given days once" for row in unpaid)


def _changes(town: Town) -> list[Any]:
    """Of ends, in their order; and refunds that found no day to take, which have no end."""
    return town.ask(
        "SELECT c.cause, c.days, c.changed_at, c.end_after, c.change_id, s.user_id, p.payment_id, p.provider,"
        " p.charge_id, p.days AS sold, r.refunded_amount AS back, r.origin FROM subscription_changes c"
        " JOIN subscriptions s USING (subscription_id) LEFT JOIN payments p ON p.payment_id = c.payment_id"
        " LEFT JOIN refunds r ON r.refund_id = c.refund_id"
        " UNION ALL SELECT 'refund', r.days, r.finished_at, NULL, NULL, p.user_id, p.payment_id, p.provider,"
        " p.charge_id, p.days, r.refunded_amount, r.origin FROM refunds r JOIN payments p USING (payment_id)"
        " WHERE r.status = 'succeeded'"
        " AND NOT EXISTS (SELECT 1 FROM subscription_changes c WHERE c.refund_id = r.refund_id)"
        " ORDER BY changed_at, change_id"
    )


def _never_wanted(town: Town) -> Iterator[str]:
    """The panel has each customer once, and only ever an end that they once had."""
    wanted: dict[int, set[datetime]] = defaultdict(set)
    for change in _changes(town):
        wanted[change.user_id].add(change.end_after)
    users = [user for user in town.panel.state.users.values() if user.telegramId is not None]
    for user_id, times in Counter(user.telegramId for user in users).items():
        if times > 1:
            yield f"{user_id} is on the panel {times} times"
    for user in users:
        if user.expireAt.astimezone(UTC) not in wanted[user.telegramId or 0]:
            yield f"{user.telegramId} is on the panel until {user.expireAt}, which was never wanted"


def _told_twice(town: Town) -> Iterator[str]:
    sent = Counter(
        (call["parameters"]["chat_id"], call["parameters"]["text"])
        for call in town.telegram.state.calls
        if (call["method"], call["status"]) == ("sendMessage", 200)
        and REMINDERS.match(call["parameters"]["text"])
    )
    yield from (
        f"{who} was reminded {times} times: {text}" for (who, text), times in sent.items() if times > 1
    )


def _lost_money(town: Town, taken: dict[tuple[str, str], Charge]) -> Iterator[str]:
    """Each charge is recorded, or kept for an operator if it cannot be placed; what went back is known."""
    recorded = {(row.provider, row.charge_id): row for row in town.ask(_PAID)}
    entries = town.ask(
        "SELECT provider, charge_id, resolution FROM stuck_payments"
        " WHERE kind NOT IN ('overpaid', 'expired_undelivered', 'given_back_twice', 'sum_differs')"
    )
    kept = {(row.provider, row.charge_id) for row in entries if row.resolution is None}
    returned = {(row.provider, row.charge_id) for row in entries if row.resolution == "refunded"}
    for number, charge in taken.items():
        can_be_placed = charge.order_key is not None and charge.days > 0
        if number in recorded and number in kept:
            yield f"{number} is recorded and kept for an operator as well: {charge}"
        elif number in returned and charge.given_back == charge.amount:
            continue
        elif number not in recorded and number not in kept:
            yield f"{number} is lost: {charge}"
        elif number in kept and can_be_placed and not charge.given_back:
            yield f"{number} waits for an operator for no reason: {charge}"
        elif number in recorded:
            row = recorded[number]
            if row.back != min(charge.given_back, charge.amount - row.by_hand):
                yield f"{number}: {row.back} and {row.by_hand} are recorded as given back of {charge}"
    differing = town.ask("SELECT * FROM stuck_payments WHERE kind = 'sum_differs'")
    yield from (f"the sums differ: {row.details}" for row in differing)


def _unfinished(town: Town) -> Iterator[str]:
    """Nothing is left to do: what has failed was a routine, whose schedule comes round."""
    for what, query in {
        "a job": "SELECT task_name AS name, args::text FROM procrastinate_jobs WHERE status <> 'failed'",
        "a refund": "SELECT refund_id, trouble FROM refunds WHERE status = 'pending'",
        "a delivery": "SELECT user_id, delivery_trouble_text FROM subscriptions"
        " WHERE provisioned_version < wanted_version",
        "news": "SELECT kind, arguments FROM notices WHERE sent_at IS NULL AND dropped_at IS NULL",
    }.items():
        yield from (f"{what} is not done: {row}" for row in town.ask(query))


def _not_on_panel(town: Town) -> Iterator[str]:
    """The panel is open until the end, to the second, and shut when that is over."""
    now = town.clock()
    users = {user.telegramId: user for user in town.panel.state.users.values()}
    for row in town.ask("SELECT user_id, end_date, blocked_at FROM subscriptions JOIN users USING (user_id)"):
        user = users.get(row.user_id)
        is_open = user is not None and user.status == "ACTIVE" and user.expireAt > now
        if row.end_date <= now or row.blocked_at is not None:
            if is_open:
                yield f"{row.user_id} had until {row.end_date} and is open until {user and user.expireAt}"
        elif user is None or not is_open or user.expireAt != row.end_date:
            shown = user and (user.status, user.expireAt)
            yield f"{row.user_id} has until {row.end_date}, on the panel: {shown}"
