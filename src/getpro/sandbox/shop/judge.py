"""The judge: what was paid and said, by the simulators' books, against what the shop recorded.

It knows how many days a payment brings, how many a refund leaves, and that a reminder comes once.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import psycopg

from getpro.sandbox.panel.state import User
from getpro.sandbox.shop.shown import Sent, messages_to, reminder, russian_words
from getpro.sandbox.shop.world import World
from getpro.sandbox.telegram.state import Person

NOTICED_WITHIN: Final = timedelta(minutes=1)
"""How long after the end of a period access may still stand open."""
_RECORDED_WITHIN: Final = timedelta(hours=1)
"""How long after money went back the shop may record it: it may have been dead, or not been told."""
_REMEMBERED_FOR: Final = timedelta(days=90)
"""How long the shop keeps what it has told; after that it may forget it, any night."""


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
    judged_at: datetime
    is_open_in_shop: bool = False
    panel_status: str | None = None
    reminders: list[str] = field(default_factory=list)
    """The whole texts, as Telegram delivered them."""
    reminders_noted: int = 0
    """How many the shop knows to have sent."""
    reminders_lost: int = 0
    """How many it has given up, not knowing whether they went out."""
    reminders_old: int = 0
    """How many came so long ago that the shop may have forgotten them."""
    russian_words: list[str] = field(default_factory=list)
    """What the bot has shown in Russian to somebody who reads English."""

    @property
    def troubles(self) -> list[str]:
        """What does not agree, in sentences."""
        return [*self._money_and_days(), *self._access(), *self._words()]

    def _money_and_days(self) -> Iterator[str]:
        if sorted(self.taken, key=str) != sorted(self.recorded, key=str):
            yield f"взято {self.taken}, записано {self.recorded}"
        if not self.days_paid <= self.days_added <= self.days_paid + self.days_used:
            yield f"оплачено дней {self.days_paid}, добавлено {self.days_added}"
        if self.shop_end != self.panel_end:
            yield f"в магазине до {self.shop_end}, на панели до {self.panel_end}"

    def _access(self) -> Iterator[str]:
        if self.shop_end is None:
            return
        if self.shop_end > self.judged_at and self.panel_status == "EXPIRED":
            yield f"оплачено до {self.shop_end}, а панель уже закрыла доступ"
        if self.shop_end <= self.judged_at - NOTICED_WITHIN:
            if self.panel_status not in {"EXPIRED", "DISABLED"}:
                yield f"срок вышел {self.shop_end}, а на панели {self.panel_status}"
            if self.is_open_in_shop:
                yield f"срок вышел {self.shop_end}, а в магазине подписка действует"

    def _words(self) -> Iterator[str]:
        for text, times in Counter(self.reminders).items():
            if times > 1:
                yield f"напоминание пришло {times} раза: {text!r}"
        told, unnoted = len(self.reminders), self.reminders_lost + self.reminders_old
        if not self.reminders_noted <= told <= self.reminders_noted + unnoted:
            yield f"напоминаний пришло {told}, записано {self.reminders_noted}"
        for words in self.russian_words:
            yield f"читает по-английски, а показано {words!r}"


def judge(world: World) -> list[Verdict]:
    """One verdict for each person of the simulated Telegram, from the three books as they are now.

    Days paid come from the price: what a plan of that price brings, and the trial's for who had one. Money
    that went back takes its share of the days, rounded down, but none that were used already. Reminders and
    words are what Telegram has on record.
    May run in a thread: the simulators go on writing, so each book is copied before it is read.
    """
    with psycopg.connect(world.database_url, options="-c timezone=UTC") as connection:
        books = _Books(connection)
    taken = _taken(world, books.customer_of_order)
    given_back = _last_given_back(world, books.customer_of_order)
    sent = messages_to(world)
    return [
        _verdict(
            world,
            books,
            person,
            taken.get(person.user_id, []),
            sent=sent.get(person.user_id, []),
            given_back_at=given_back.get(person.user_id),
        )
        for person in list(world.telegram.state.people.values())
    ]


class _Books:
    """What the shop has written down."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.customer_of_order: dict[str, int] = {}
        self.recorded: dict[int, list[Charge]] = {}
        self.days_of: dict[str, int] = {}
        self.ends: dict[int, tuple[datetime, datetime]] = {}
        self.open: set[int] = set()
        self.reminders: dict[int, tuple[int, int]] = {}
        self.trial_days: dict[int, int] = {}
        self.speak_russian: set[int] = set()
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
        for user_id, start, end, is_active in connection.execute(
            "SELECT user_id, start_date, end_date, is_active FROM subscriptions"
        ):
            self.ends[user_id] = (start, end)
            if is_active:
                self.open.add(user_id)
        for user_id, noted, lost in connection.execute(
            "SELECT user_id, count(sent_at), count(*) FILTER (WHERE trouble = 'lost on its way')"
            " FROM notices WHERE kind = 'reminder' GROUP BY user_id"
        ):
            self.reminders[user_id] = (noted, lost)
        for user_id, days in connection.execute(
            "SELECT s.user_id, c.days FROM subscription_changes c"
            " JOIN subscriptions s USING (subscription_id) WHERE c.cause = 'trial'"
        ):
            self.trial_days[user_id] = days
        for (user_id,) in connection.execute("SELECT user_id FROM users WHERE language = 'ru'"):
            self.speak_russian.add(user_id)

    def reads_english(self, person: Person) -> bool:
        """Whether Telegram says so, and they have not chosen Russian in the bot."""
        return person.language_code == "en" and person.user_id not in self.speak_russian


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
            owner = customer_of_order[invoice["payload"].partition(":")[0]]
            amount = _amount(invoice["amount"], invoice["fiat"])
            nothing = _amount("0", invoice["fiat"])
            charge = Charge("cryptopay", str(invoice["invoice_id"]), amount, nothing)
            taken.setdefault(owner, []).append(charge)
    for paid in list(world.telegram.state.charges):
        back = _amount(str(paid.amount if paid.is_refunded else 0), "XTR")
        stars = Charge("stars", paid.charge_id, _amount(str(paid.amount), "XTR"), back)
        taken.setdefault(paid.user_id, []).append(stars)
    return taken


def _last_given_back(world: World, customer_of_order: dict[str, int]) -> dict[int, datetime]:
    """When money went back to each customer for the last time, by the providers' own books."""
    moments: dict[int, list[datetime]] = {}
    for refund in list(world.yookassa.books.refunds.values()):
        payment = world.yookassa.books.payments[refund["payment_id"]]
        owner = customer_of_order[payment["metadata"]["order_key"]]
        moments.setdefault(owner, []).append(datetime.fromisoformat(refund["created_at"]))
    for moved in list(world.telegram.state.transactions):
        if "receiver" in moved:
            owner = moved["receiver"]["user"]["id"]
            moments.setdefault(owner, []).append(datetime.fromtimestamp(moved["date"], UTC))
    return {owner: max(theirs) for owner, theirs in moments.items()}


def _verdict(
    world: World,
    books: _Books,
    person: Person,
    taken: list[Charge],
    *,
    sent: list[Sent],
    given_back_at: datetime | None,
) -> Verdict:
    user_id, now = person.user_id, world.clock()
    start, shop_end = books.ends.get(user_id, (None, None))
    user = _on_panel(world, user_id)
    panel_end = _panel_end(user, shop_end, now)
    added = used = 0.0
    if start is not None and panel_end is not None:
        added = (panel_end - start) / timedelta(days=1)
        if given_back_at is not None:
            used = max((given_back_at + _RECORDED_WITHIN - start) / timedelta(days=1), 0.0)
    days_paid = sum(_days_kept(books.days_of[charge.amount], charge) for charge in taken)
    noted, lost = books.reminders.get(user_id, (0, 0))
    reminders = [message for message in sent if reminder(message.text) is not None]
    return Verdict(
        user_id=user_id,
        name=person.first_name,
        taken=taken,
        recorded=books.recorded.get(user_id, []),
        days_paid=days_paid + books.trial_days.get(user_id, 0),
        days_added=added,
        days_used=used,
        shop_end=shop_end,
        panel_end=panel_end,
        judged_at=now,
        is_open_in_shop=user_id in books.open,
        panel_status=None if user is None else user.status,
        reminders=[message.text for message in reminders],
        reminders_noted=noted,
        reminders_lost=lost,
        reminders_old=sum(message.at < now - _REMEMBERED_FOR for message in reminders),
        russian_words=russian_words(world, user_id) if books.reads_english(person) else [],
    )


def _days_kept(days: int, charge: Charge) -> int:
    return days - math.floor(days * (1 - charge.part_kept))


def _on_panel(world: World, user_id: int) -> User | None:
    found = [user for user in list(world.panel.state.users.values()) if user.telegramId == user_id]
    if len(found) > 1:
        raise AssertionError(f"{user_id} has {len(found)} users on the panel")
    return found[0] if found else None


def _panel_end(user: User | None, shop_end: datetime | None, now: datetime) -> datetime | None:
    """Until when the panel is open; for who is shut out there after a refund, the end that the shop says."""
    if user is None:
        return None
    if user.status == "DISABLED" and shop_end is not None and shop_end <= now:
        return shop_end
    return user.expireAt.astimezone(UTC).replace(microsecond=0)


def _amount(value: str, currency: str) -> str:
    digits = 0 if currency == "XTR" else 2
    return f"{Decimal(value):.{digits}f} {currency}"
