"""Orders, payments, late ones, refunds, a moving clock, trouble outside, a killed shop: in any order.

After each step what may never be wrong is looked at; after each pause, and at the end, also that everything
has happened: every rouble is on the panel once, or kept for an operator. A failure is told as the shortest
list of steps that leads to it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

import ledger
from getpro.payments.provider import ProviderUnavailable
from getpro.sales import decisions, desk, refunds
from getpro.sales.errors import CannotDo, CannotRefund, CannotResolve
from getpro.sandbox.faults import FaultSwitches
from getpro.sandbox.providers.cryptopay.errors import Problem as CryptoPayProblem
from getpro.sandbox.providers.yookassa.errors import Problem as YooKassaProblem
from getpro.sandbox.telegram.state import Person
from shop import CAST, OLGA
from town import Town, town, unheard

FEW = 2
STEPS = 20
PAUSE = timedelta(minutes=11)
"""Three of them: as long as the shop may take to find what nobody has told it of."""

PEOPLE = st.sampled_from(["alice", "bob"])
PROVIDERS = st.sampled_from(["yookassa", "cryptopay", "stars"])
WHICH = st.integers(0, 3)
"""Which of several, counted from the newest."""
DIES = st.one_of(st.none(), st.integers(0, 14))
"""At which point from here on the shop is killed."""
BY_PRICE = {Decimal(price) for currency, price in ledger.PRICES if currency == "RUB"}
PARTS = st.sampled_from(["all", "half"])
WEATHER: dict[str, tuple[str, dict[str, Any]]] = {
    "the panel is away": ("panel", {"away": True}),
    "the panel's answers are lost": ("panel", {"lose_answer_rate": 1}),
    "YooKassa is away": ("yookassa", {"away": True}),
    "YooKassa's answers are lost": ("yookassa", {"lose_answer_rate": 1}),
    "YooKassa's notices are lost": ("yookassa", {"notices_lost_rate": 1}),
    "YooKassa's notices are tripled": ("yookassa", {"notice_copies": 3}),
    "Crypto Pay's notices are lost": ("cryptopay", {"notices_lost_rate": 1}),
    "Crypto Pay's answers are lost": ("cryptopay", {"lose_answer_rate": 1}),
    "Telegram's updates are doubled": ("telegram", {"notice_copies": 2}),
}


class Street(RuleBasedStateMachine):
    """What people, providers and the machine's fate do to the shop."""

    server: str
    template: str
    by_polling: bool

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.entered = town(self.server, self.template, by_polling=self.by_polling)
        self.town = self.runner.run(self.entered.__aenter__())

    def teardown(self) -> None:
        try:
            self.pause()
        finally:
            self.runner.run(self.entered.__aexit__(None, None, None))
            self.runner.close()

    @initialize()
    def everybody_says_hello(self) -> None:
        async def hello() -> None:
            for name, user_id in CAST.items():
                self.town.telegram.people.send(self.town.telegram.state.add_person(user_id, name), "/start")

        self._do(hello, None)

    @rule(who=PEOPLE, plan=st.integers(1, 2), provider=PROVIDERS, dies_at=DIES)
    def order(self, who: str, plan: int, provider: str, dies_at: int | None) -> None:
        async def order() -> None:
            self.town.press(self._person(who), f"buy:{plan}:{provider}")

        self._do(order, dies_at)

    @precondition(lambda self: self._pages())
    @rule(which=WHICH, dies_at=DIES)
    def pay(self, which: int, dies_at: int | None) -> None:
        """Soon or late: whatever page is still open."""
        pages = self._pages()
        self._do(pages[-1 - which % len(pages)], dies_at)

    @precondition(lambda self: self._pending())
    @rule(which=WHICH, dies_at=DIES)
    def bank_declines(self, which: int, dies_at: int | None) -> None:
        async def decline() -> None:
            number = self._one(self._pending(), which)
            self.town.yookassa.books.cancel(number, party="payment_network", reason="insufficient_funds")

        self._do(decline, dies_at)

    @precondition(lambda self: self._pending())
    @rule(which=WHICH)
    def too_little_is_taken(self, which: int) -> None:
        async def capture() -> None:
            self.town.yookassa.books.capture_part(self._one(self._pending(), which), None)

        self._do(capture, None)

    @precondition(lambda self: self._pending())
    @rule(which=WHICH, dies_at=DIES)
    def too_much_is_taken(self, which: int, dies_at: int | None) -> None:
        async def pay() -> None:
            books, number = self.town.yookassa.books, self._one(self._pending(), which)
            amount = books.payments[number]["amount"]
            if Decimal(amount["value"]) in BY_PRICE:
                more = Decimal(amount["value"]) + ledger.OVER
                books.payments[number]["amount"] = amount | {"value": f"{more:.2f}"}
            books.pay(number)

        self._do(pay, dies_at)

    @rule(dies_at=DIES)
    def money_without_an_order_comes(self, dies_at: int | None) -> None:
        async def pay() -> None:
            amount = {"value": "199.00", "currency": "RUB"}
            made = self.town.yookassa.books.create_payment({"amount": amount, "capture": True})
            self.town.yookassa.books.pay(made["id"])

        self._do(pay, dies_at)

    @precondition(lambda self: self._paid())
    @rule(which=WHICH, part=PARTS, how=st.sampled_from(["by call", "by hand", "refused"]), dies_at=DIES)
    def operator_gives_back(self, which: int, part: str, how: str, dies_at: int | None) -> None:
        payment = self._one(self._paid(), which)

        async def give_back() -> None:
            if how == "refused":
                self.town.yookassa.books.__dict__["refund"] = _refusing
            try:
                await self.town.in_shop(
                    refunds.ask_refund(
                        self.town.shop.sales,
                        payment.payment_id,
                        by=OLGA,
                        reason="asked for it",
                        amount=None if part == "all" else f"{payment.paid_amount / 2:.2f}",
                        by_hand=how == "by hand" or payment.provider == "cryptopay",
                    )
                )
            except (CannotRefund, ProviderUnavailable) as no:
                note(f"  not given back: {no}")
            finally:
                self.town.yookassa.books.__dict__.pop("refund", None)

        self._do(give_back, dies_at)

    @precondition(lambda self: self._open())
    @rule(which=WHICH, deed=st.sampled_from(["retry", "credit", "refunded", "dismiss"]), dies_at=DIES)
    def operator_decides(self, which: int, deed: str, dies_at: int | None) -> None:
        """About an entry of the list; marked as given back is only what has gone back in the cabinet."""
        reference = self._one(self._open(), which)

        async def decide() -> None:
            if deed == "refunded" and not self._gives_all_back(reference):
                return
            acts: dict[str, Callable[..., Awaitable[object]]] = {
                "retry": decisions.retry,
                "credit": decisions.credit,
                "refunded": decisions.mark_refunded,
                "dismiss": decisions.dismiss,
            }
            whom: dict[str, Any] = {}
            if deed == "credit" and not self._has_order(reference):
                whom = {"user_id": CAST["alice"], "plan_id": 1}
            act = acts[deed](self.town.shop.sales, reference, by=OLGA, reason="thought about it", **whom)
            try:
                await self.town.in_shop(act)
            except (CannotResolve, ProviderUnavailable) as no:
                note(f"  not done: {no}")

        self._do(decide, dies_at)

    @rule(who=PEOPLE, deed=st.sampled_from(["gift", "block", "unblock"]), dies_at=DIES)
    def operator_decides_about_somebody(self, who: str, deed: str, dies_at: int | None) -> None:
        async def decide() -> None:
            sales, user_id = self.town.shop.sales, CAST[who]

            async def in_one() -> None:
                async with sales.db.begin("desk") as session:
                    if deed == "gift":
                        await desk.give_days(session, sales, user_id, days=7, by=OLGA, reason="sorry")
                    elif deed == "block":
                        await desk.block(session, sales, user_id, by=OLGA, reason="shared")
                    else:
                        await desk.unblock(session, sales, user_id, by=OLGA, reason="promised")

            try:
                await self.town.in_shop(in_one())
            except CannotDo as no:
                note(f"  not done: {no}")

        self._do(decide, dies_at)

    @precondition(lambda self: self._refundable())
    @rule(which=WHICH, part=PARTS, dies_at=DIES)
    def cabinet_gives_back(self, which: int, part: str, dies_at: int | None) -> None:
        async def give_back() -> None:
            payment = self._one(self._refundable(), which)
            left = Decimal(payment["amount"]["value"]) - Decimal(payment["refunded_amount"]["value"])
            value = left if part == "all" else left / 2
            amount = {"value": f"{value:.2f}", "currency": "RUB"}
            self.town.yookassa.books.refund({"payment_id": payment["id"], "amount": amount})

        self._do(give_back, dies_at)

    @precondition(lambda self: self.town.yookassa.books.payments and not self.town.by_polling)
    @rule(which=WHICH, copies=st.integers(1, 3), dies_at=DIES)
    def old_notice_comes_again(self, which: int, copies: int, dies_at: int | None) -> None:
        async def tell() -> None:
            payment = self._one(list(self.town.yookassa.books.payments.values()), which)
            event = {"succeeded": "payment.succeeded", "canceled": "payment.canceled"}
            self.town.yookassa.tell(event.get(payment["status"], "payment.succeeded"), payment, copies=copies)

        self._do(tell, dies_at)

    @rule(dies_at=DIES)
    def workers_work(self, dies_at: int | None) -> None:
        self._do(self.town.work, dies_at)

    @rule(hours=st.sampled_from([1, 5, 12]), dies_at=DIES)
    def hours_pass(self, hours: int, dies_at: int | None) -> None:
        self._do(lambda: self.town.pass_time(timedelta(hours=hours)), dies_at)

    @rule(days=st.sampled_from([2, 5, 29]), dies_at=DIES)
    def days_pass(self, days: int, dies_at: int | None) -> None:
        """Nobody is there for days, be it the shop or others; it wakes, and may die of it, once a day."""
        for _ in range(days):
            self._do(partial(self.town.pass_time, timedelta(days=1)), dies_at)

    @rule(what=st.sampled_from(sorted(WEATHER)))
    def trouble_begins(self, what: str) -> None:
        who, faults = WEATHER[what]
        self._faults[who].change(faults)

    @rule()
    def pause(self) -> None:
        """Trouble is over, and the shop is given its time."""
        for switches in self._faults.values():
            switches.clear()
        for _ in range(3):
            self._do(lambda: self.town.pass_time(PAUSE), None)
        assert ledger.at_rest(self.town) == []

    def _do(self, step: Callable[[], Awaitable[object]], dies_at: int | None) -> None:
        deaths = len(self.town.deaths)
        self.runner.run(self.town.do(step, dies_at=dies_at))
        for point in self.town.deaths[deaths:]:
            note(f"  the shop was killed at {point!r}")
        assert ledger.always(self.town) == []

    @property
    def _faults(self) -> dict[str, FaultSwitches]:
        here = self.town
        return {
            "telegram": here.telegram.faults,
            "yookassa": here.yookassa.faults,
            "cryptopay": here.cryptopay.faults,
            "panel": here.panel.faults,
        }

    def _person(self, who: str) -> Person:
        return self.town.telegram.state.people[CAST[who]]

    def _one(self, items: list[Any], which: int) -> Any:
        return items[-1 - which % len(items)]

    def _pending(self) -> list[str]:
        payments = self.town.yookassa.books.payments
        return [number for number, payment in payments.items() if payment["status"] == "pending"]

    def _refundable(self) -> list[dict[str, Any]]:
        return [payment for payment in self.town.yookassa.books.payments.values() if payment["refundable"]]

    def _paid(self) -> list[Any]:
        return self.town.ask("SELECT * FROM payments WHERE status = 'succeeded' ORDER BY payment_id")

    def _open(self) -> list[str]:
        """References of what waits for an operator."""
        return [
            row.reference
            for row in self.town.ask(
                "SELECT 's' || stuck_id AS reference, opened_at AS since FROM stuck_payments"
                " WHERE resolved_at IS NULL UNION ALL SELECT 'r' || refund_id, created_at FROM refunds"
                " WHERE status IN ('pending', 'refused') UNION ALL SELECT 'e' || event_id, received_at"
                " FROM provider_events WHERE handled_at IS NULL UNION ALL SELECT 'd' || subscription_id,"
                " wanted_at FROM subscriptions WHERE provisioned_version < wanted_version"
                " ORDER BY since, reference"
            )
        ]

    def _has_order(self, reference: str) -> bool:
        return bool(
            self.town.ask(
                "SELECT 1 FROM stuck_payments WHERE 's' || stuck_id = %s AND payment_id IS NOT NULL",
                reference,
            )
        )

    def _gives_all_back(self, reference: str) -> bool:
        """Whether the money of an entry has gone back in YooKassa's cabinet; where it can, it does."""
        books = self.town.yookassa.books
        for row in self.town.ask(
            "SELECT charge_id FROM stuck_payments WHERE 's' || stuck_id = %s AND provider = 'yookassa'"
            " AND kind NOT IN ('overpaid', 'expired_undelivered', 'given_back_twice', 'sum_differs')",
            reference,
        ):
            payment = books.payments[row.charge_id]
            left = Decimal(payment["amount"]["value"]) - Decimal(payment["refunded_amount"]["value"])
            if left:
                amount = {"value": f"{left:.2f}", "currency": payment["amount"]["currency"]}
                books.refund({"payment_id": payment["id"], "amount": amount})
            return True
        return False

    def _pages(self) -> list[Callable[[], Awaitable[object]]]:
        """What pays each page that is open, in no order but always the same: cards, coins, Stars."""
        here = self.town
        invoices = [i["hash"] for i in here.cryptopay.books.invoices.values() if i["status"] == "active"]
        return [
            *(_paying_by_card(here, number) for number in self._pending()),
            *(_paying_by_coins(here, code) for code in invoices),
            *(_paying_by_stars(here, slug) for slug in here.telegram.state.invoices),
        ]


def _refusing(_: dict[str, Any]) -> dict[str, Any]:
    raise YooKassaProblem("Not enough money on the shop's account")


def _paying_by_card(here: Town, number: str) -> Callable[[], Awaitable[object]]:
    async def pay() -> None:
        here.yookassa.books.pay(number)

    return pay


def _paying_by_coins(here: Town, code: str) -> Callable[[], Awaitable[object]]:
    async def pay() -> None:
        try:
            here.cryptopay.books.pay(code)
        except CryptoPayProblem as problem:
            note(f"  not paid: {problem}")

    return pay


def _paying_by_stars(here: Town, slug: str) -> Callable[[], Awaitable[object]]:
    """By whoever has ordered; the same link may be paid again, for all that Telegram cares."""

    async def pay() -> None:
        payload = here.telegram.state.invoices[slug].payload
        owner = here.ask("SELECT user_id FROM payments WHERE order_key::text = %s", payload[:36])[0].user_id
        paid, said = await here.telegram.pay(here.telegram.state.people[owner], link=f"https://t.me/${slug}")
        if not paid:
            note(f"  not paid: {said}")

    return pay


@pytest.mark.timeout(3000)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the dead close nothing
@pytest.mark.parametrize("by_polling", [False, True], ids=["webhook", "polling"])
def test_in_whatever_order_things_happen_every_rouble_is_delivered_once_or_kept(
    server: str, template: str, examples: int | None, *, by_polling: bool
) -> None:
    class Here(Street):
        pass

    Here.server, Here.template, Here.by_polling = server, template, by_polling
    with unheard():
        run_state_machine_as_test(
            Here,
            settings=settings(
                max_examples=examples or FEW,
                derandomize=examples is None,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
