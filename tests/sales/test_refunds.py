"""Money that goes back: once, however it is asked for or found, and the unused days go with it."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from fakes import FakeProvider
from getpro.kit.money import Money
from getpro.messaging.models import notices
from getpro.panel.errors import PanelUnavailable
from getpro.payments.models import refunds as refunds_table
from getpro.payments.provider import GivesBack, ProviderUnavailable
from getpro.payments.store import Payment
from getpro.platform.audit import audit_log
from getpro.platform.jobs import RetryLater
from getpro.sales import decisions, delivery, desk, jobs, provider_books, reads, refunds, stuck, sweep
from getpro.sales.errors import CannotRefund, CannotResolve
from getpro.subscriptions import store as subscriptions
from moments import Broken, broken_at, lose_jobs
from shop import NOW, OLGA, THREE_MONTHS, Shop, days, rub

PRICE = rub("199.00")
WHY = "попросил клиент"


async def give_back(shop: Shop, payment: Payment, amount: str | None = None, **how: Any) -> str:
    """Ask for a refund as an operator does; return how it stands."""
    made = await refunds.ask_refund(shop.deps, payment.payment_id, by=OLGA, reason=WHY, amount=amount, **how)
    await shop.run_jobs("deliver")
    return made.status


async def rows(shop: Shop) -> list[Any]:
    """Every refund: who did it, how it stands, what went back, in roubles, the days."""
    async with shop.db.begin("test") as session:
        found = await session.execute(select(refunds_table).order_by(refunds_table.c.refund_id))
        return [
            (row.origin, row.status, str(row.refunded_amount), row.amount and str(row.amount), row.days)
            for row in found
        ]


def returned(shop: Shop, payment: Payment) -> Money:
    """What the provider has given back."""
    return shop.provider.charges_by_id[payment.charge_id or ""].refunded


def is_shut_out(shop: Shop, user_id: int) -> bool:
    (user,) = [user for user in shop.panel.users_by_id.values() if user.telegram_id == user_id]
    return user.status == "DISABLED"


async def is_active(shop: Shop, user_id: int) -> bool:
    async with shop.db.begin("test") as session:
        found = await subscriptions.of_customer(session, user_id)
    assert found is not None
    return found.is_active


async def ends(shop: Shop, user_id: int) -> datetime:
    """The end, where shop and panel agree on it."""
    end = await shop.subscription_end(user_id)
    assert end is not None
    assert end == shop.panel.expiry_of(user_id)
    return end


async def test_all_the_money_goes_back_and_access_closes_at_once(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    assert await give_back(shop, payment) == "succeeded"
    assert returned(shop, payment) == PRICE
    assert await rows(shop) == [("shop", "succeeded", "199.000000", "199.00", 30)]
    assert await shop.subscription_end(alice) == NOW
    assert not await is_active(shop, alice)
    assert is_shut_out(shop, alice)
    assert await shop.told(alice) == ["access_open", "refunded"]
    assert (await shop.payment(payment.payment_id)).status == "succeeded"
    async with shop.db.begin("test") as session:
        deed = (await session.execute(select(audit_log))).one()
    assert (deed.actor, deed.action, deed.subject, deed.reason) == (
        "ольга",
        "payments.refund",
        f"p{payment.payment_id}",
        WHY,
    )


async def test_a_part_of_the_money_takes_its_part_of_the_days_rounded_in_the_customers_favour(
    shop: Shop,
) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    await give_back(shop, payment, "100,00")
    assert returned(shop, payment) == rub("100.00")
    assert await ends(shop, alice) == NOW + days(15)
    assert not is_shut_out(shop, alice)


async def test_parts_sum_up_to_the_whole_in_money_and_in_days(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    for amount in ("33.33", "66.67", None):
        assert await give_back(shop, payment, amount) == "succeeded"
    assert [(row[3], row[4]) for row in await rows(shop)] == [("33.33", 5), ("66.67", 10), ("99.00", 15)]
    assert returned(shop, payment) == PRICE
    with pytest.raises(CannotRefund, match="уже возвращены"):
        await give_back(shop, payment)


@pytest.mark.parametrize(
    ("parts", "taken"),
    [
        (["100.00"], [0]),
        (["60.00", "40.00", "199.00"], [0, 0, 30]),
        (["199.50"], [15]),
        (["99.99", "0.01", "99.50", "99.50"], [0, 0, 15, 15]),
        (["299.00"], [30]),
    ],
)
async def test_what_was_paid_beyond_the_price_goes_back_first_and_costs_no_days(
    shop: Shop, parts: list[str], taken: list[int]
) -> None:
    alice = await shop.customer("alice")
    payment = await shop.order(alice)
    await shop.notice(shop.pay(payment, taken=rub("299.00")))
    await shop.run_jobs()
    payment = await shop.payment(payment.payment_id)
    for part in parts:
        shop.provider.give_back(payment.charge_id or "", rub(part))
        await found_in_the_list(shop)
    assert [row[4] for row in await rows(shop)] == taken
    assert await shop.subscription_end(alice) == NOW + days(30 - sum(taken))
    async with shop.db.begin("test") as session:
        told = await session.scalars(
            select(notices.c.arguments).where(notices.c.kind == "refunded").order_by(notices.c.notice_id)
        )
        assert told.all()[-1] == {
            "refunded_amount": parts[-1],
            "refunded_currency": "RUB",
            "end_date": (NOW + days(30 - sum(taken))).isoformat(),
        }


@pytest.mark.parametrize("amount", ["199.01", "0", "-1", "1.001", "сто"])
async def test_what_cannot_be_given_back_is_refused_and_nothing_is_asked(shop: Shop, amount: str) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    with pytest.raises(CannotRefund):
        await give_back(shop, payment, amount)
    assert await rows(shop) == []
    assert shop.provider.refund_keys == []


async def test_an_order_that_is_not_paid_has_nothing_to_give_back(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.order(alice)
    for number in (payment.payment_id, 999):
        with pytest.raises(CannotRefund):
            await refunds.ask_refund(shop.deps, number, by=OLGA, reason=WHY)
    with pytest.raises(CannotRefund, match="причина"):
        await refunds.ask_refund(shop.deps, payment.payment_id, by=OLGA, reason=" ")


async def test_days_that_were_used_are_not_taken_from_what_was_bought_otherwise(shop: Shop) -> None:
    alice = await shop.customer("alice")
    first = await shop.purchase(alice)
    shop.clock.forward(days=20)
    second = await shop.purchase(alice, THREE_MONTHS)
    assert await ends(shop, alice) == NOW + days(30 + 90)
    await give_back(shop, first)
    assert await ends(shop, alice) == NOW + days(20 + 90)
    shop.clock.forward(days=30)
    await give_back(shop, second)
    assert await shop.subscription_end(alice) == shop.clock()
    assert is_shut_out(shop, alice)


async def test_a_period_that_is_over_takes_nothing_from_the_next(shop: Shop) -> None:
    alice = await shop.customer("alice")
    old = await shop.purchase(alice)
    shop.clock.forward(days=40)
    await shop.purchase(alice)
    await give_back(shop, old)
    assert returned(shop, old) == PRICE
    assert await ends(shop, alice) == NOW + days(70)


async def test_the_later_of_two_purchases_is_given_back_and_the_earlier_one_stays(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    later = await shop.purchase(alice, THREE_MONTHS)
    await give_back(shop, later)
    assert await ends(shop, alice) == NOW + days(30)


async def test_of_many_who_ask_at_once_one_gives_the_money_back(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    asked = await asyncio.gather(*[give_back(shop, payment) for _ in range(5)], return_exceptions=True)
    assert asked.count("succeeded") == 1
    assert all(one == "succeeded" or isinstance(one, CannotRefund) for one in asked)
    assert returned(shop, payment) == PRICE
    assert await shop.told(alice) == ["access_open", "refunded"]


async def test_an_answer_that_is_lost_gives_back_once(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    shop.provider.loses_answers = True
    assert await give_back(shop, payment, "100.00") == "pending"
    assert await ends(shop, alice) == NOW + days(30)
    (failed,) = await shop.run_jobs("refund")
    assert isinstance(failed, ProviderUnavailable)
    shop.provider.loses_answers = False
    shop.clock.forward(days=2)
    assert await shop.run_jobs() == []
    assert returned(shop, payment) == rub("100.00")
    assert await ends(shop, alice) == NOW + days(15)
    assert await shop.told(alice) == ["access_open", "refunded"]


async def test_a_provider_that_is_still_at_it_is_waited_for(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    shop.provider.is_slow = True
    assert await give_back(shop, payment) == "pending"
    (failed,) = await shop.run_jobs("refund")
    assert isinstance(failed, RetryLater)
    shop.provider.is_slow = False
    await shop.run_jobs()
    assert [row[1] for row in await rows(shop)] == ["succeeded"]
    assert returned(shop, payment) == PRICE


async def test_death_between_the_providers_answer_and_our_record_gives_back_once(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    with broken_at("refund: done: before commit"), pytest.raises(Broken):
        await give_back(shop, payment)
    assert [row[1] for row in await rows(shop)] == ["pending"]
    await lose_jobs(shop.db)
    shop.clock.forward(minutes=1)
    await sweep.sweep(shop.deps)
    await shop.run_jobs()
    assert returned(shop, payment) == PRICE
    assert await rows(shop) == [("shop", "succeeded", "199.000000", "199.00", 30)]
    assert await shop.subscription_end(alice) == shop.clock()
    assert is_shut_out(shop, alice)


async def test_a_refusal_waits_for_a_person_who_tries_again_or_gives_up(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    shop.provider.refuses = "insufficient_funds"
    assert await give_back(shop, payment) == "refused"
    (item,) = await stuck.list_stuck(shop.deps)
    assert (item.kind, item.details, item.user_id, item.money) == (
        "refund_refused",
        "insufficient_funds",
        alice,
        PRICE,
    )
    assert await ends(shop, alice) == NOW + days(30)
    await decisions.retry(shop.deps, item.reference, by=OLGA, reason="пополнили счёт")
    await shop.run_jobs()
    (again,) = await stuck.list_stuck(shop.deps)
    assert again.reference == item.reference
    shop.provider.refuses = None
    await decisions.retry(shop.deps, item.reference, by=OLGA, reason="пополнили счёт")
    await shop.run_jobs()
    assert await stuck.list_stuck(shop.deps) == []
    assert returned(shop, payment) == PRICE
    for act in (decisions.retry, decisions.dismiss):
        with pytest.raises(CannotResolve):
            await act(shop.deps, item.reference, by=OLGA, reason="ещё раз")


async def run_as_the_worker(shop: Shop, refund_id: int) -> None:
    (kind,) = [one for one in jobs.job_kinds(shop.deps, zone=ZoneInfo("UTC")) if one.name == "refund"]
    await kind.run(refund_id=refund_id)


async def test_an_error_of_ours_in_a_refund_is_shown_as_ours_until_it_is_over(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    with broken_at("refund: ask: after commit"), pytest.raises(Broken):
        await give_back(shop, payment)
    with broken_at("refund: done: before commit"), pytest.raises(Broken):
        await run_as_the_worker(shop, 1)
    shop.clock.forward(minutes=6)
    (item,) = await stuck.list_stuck(shop.deps)
    assert (item.reference, item.kind) == ("r1", "job_failed")
    assert item.details == "refund: Broken, подробности в журнале"
    shop.provider.is_slow = True
    with pytest.raises(RetryLater):
        await run_as_the_worker(shop, 1)
    shop.provider.is_slow = False
    await run_as_the_worker(shop, 1)
    assert await stuck.list_stuck(shop.deps) == []
    assert returned(shop, payment) == PRICE


async def test_a_refund_of_a_charge_that_the_provider_has_forgotten_is_refused(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    with broken_at("refund: ask: after commit"), pytest.raises(Broken):
        await give_back(shop, payment)
    del shop.provider.charges_by_id[payment.charge_id or ""]
    shop.provider.refuses = "not_found"
    await run_as_the_worker(shop, 1)
    (item,) = await stuck.list_stuck(shop.deps)
    assert (item.kind, item.details) == ("refund_refused", "not_found")


async def test_a_refused_refund_that_is_given_up_may_be_asked_for_anew(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    shop.provider.refuses = "insufficient_funds"
    await give_back(shop, payment)
    (item,) = await stuck.list_stuck(shop.deps)
    await decisions.dismiss(shop.deps, item.reference, by=OLGA, reason="передумали")
    assert await stuck.list_stuck(shop.deps) == []
    shop.provider.refuses = None
    assert await give_back(shop, payment, "50.00") == "succeeded"
    assert returned(shop, payment) == rub("50.00")


@pytest.mark.parametrize("how", [{}, {"by_hand": True}, {"amount": "100.00"}])
async def test_a_refused_refund_is_not_made_after_the_money_went_back_otherwise(
    shop: Shop, how: dict[str, Any]
) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    shop.provider.refuses = "insufficient_funds"
    await give_back(shop, payment)
    (item,) = await stuck.list_stuck(shop.deps)
    shop.provider.refuses = None
    await give_back(shop, payment, **how)
    before, recorded = returned(shop, payment), await rows(shop)
    with pytest.raises(CannotResolve, match=r"dismiss"):
        await decisions.retry(shop.deps, item.reference, by=OLGA, reason="пополнили счёт")
    await shop.run_jobs()
    assert (returned(shop, payment), await rows(shop)) == (before, recorded)
    await decisions.dismiss(shop.deps, item.reference, by=OLGA, reason="уже вернули")
    assert await stuck.list_stuck(shop.deps) == []


async def test_a_refund_that_hangs_is_shown(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    shop.provider.loses_answers = True
    await give_back(shop, payment)
    assert await stuck.list_stuck(shop.deps) == []
    shop.clock.forward(minutes=6)
    (item,) = await stuck.list_stuck(shop.deps)
    assert (item.kind, item.details) == ("refund_not_yet", "the answer was lost")
    shop.provider.loses_answers = False
    await decisions.retry(shop.deps, item.reference, by=OLGA, reason="провайдер ожил")
    await shop.run_jobs()
    assert await stuck.list_stuck(shop.deps) == []


async def found_in_the_list(shop: Shop) -> None:
    await provider_books.find_lost_charges(shop.deps)
    await shop.run_jobs()


async def found_by_the_day(shop: Shop) -> None:
    sums = await provider_books.compare_sums(
        shop.deps, shop.provider, NOW - days(1), NOW + days(1), day=NOW.date()
    )
    assert [theirs == ours for theirs, ours in sums.values()] == [True]
    await shop.run_jobs()


@pytest.mark.parametrize("found", [found_in_the_list, found_by_the_day])
async def test_what_is_given_back_in_the_providers_cabinet_is_found_and_recorded_once(
    shop: Shop, found: Any
) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    shop.provider.give_back(payment.charge_id or "", rub("100.00"))
    for _ in range(3):
        await found(shop)
    assert await rows(shop) == [("cabinet", "succeeded", "100.000000", "100.00", 15)]
    assert await ends(shop, alice) == NOW + days(15)
    assert await shop.told(alice) == ["access_open", "refunded"]
    assert await stuck.list_stuck(shop.deps) == []


async def test_our_refund_that_the_list_shows_first_is_not_taken_for_another_one(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    shop.provider.loses_answers = True
    await give_back(shop, payment, "100.00")
    shop.provider.loses_answers = False
    await provider_books.find_lost_charges(shop.deps)
    assert await rows(shop) == [("shop", "succeeded", "100.000000", "100.00", 15)]
    await shop.run_jobs()
    assert returned(shop, payment) == rub("100.00")
    assert await ends(shop, alice) == NOW + days(15)


async def test_what_the_cabinet_has_given_back_already_is_not_given_back_again(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    shop.provider.give_back(payment.charge_id or "", rub("150.00"))
    assert await give_back(shop, payment) == "succeeded"
    assert returned(shop, payment) == PRICE
    assert [row[:3] for row in await rows(shop)] == [
        ("cabinet", "succeeded", "150.000000"),
        ("shop", "succeeded", "49.000000"),
    ]
    assert await shop.subscription_end(alice) == NOW


async def test_money_given_back_by_hand_is_recorded_and_nobody_is_asked(shop: Shop) -> None:
    shop.provider.gives_back = GivesBack.NOTHING
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    with pytest.raises(CannotRefund, match="--by-hand"):
        await give_back(shop, payment)
    shop.provider.is_away = True
    assert await give_back(shop, payment, "100.00", by_hand=True) == "succeeded"
    assert await rows(shop) == [("by hand", "succeeded", "100.000000", "100.00", 15)]
    assert await ends(shop, alice) == NOW + days(15)


async def test_what_a_hand_gave_back_is_not_taken_for_what_the_provider_shows(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    await give_back(shop, payment, "50.00", by_hand=True)
    shop.provider.give_back(payment.charge_id or "", rub("50.00"))
    await provider_books.find_lost_charges(shop.deps)
    assert [row[:3] for row in await rows(shop)] == [
        ("by hand", "succeeded", "50.000000"),
        ("cabinet", "succeeded", "50.000000"),
    ]


async def test_what_a_hand_tells_of_is_first_looked_for_in_the_providers_cabinet(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    shop.provider.give_back(payment.charge_id or "", PRICE)
    with pytest.raises(CannotRefund, match="уже возвращены"):
        await give_back(shop, payment, by_hand=True)
    assert await rows(shop) == [("cabinet", "succeeded", "199.000000", "199.00", 30)]
    assert await stuck.list_stuck(shop.deps) == []


async def test_a_hand_is_recorded_where_the_provider_has_forgotten_the_charge(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    del shop.provider.charges_by_id[payment.charge_id or ""]
    assert await give_back(shop, payment, "100.00", by_hand=True) == "succeeded"


@pytest.mark.parametrize(("by_hand", "recorded"), [("199.00", []), ("100.00", ["99.000000"])])
async def test_what_goes_back_beyond_the_payment_is_not_recorded_but_waits_for_an_operator(
    shop: Shop, by_hand: str, recorded: list[str]
) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    await give_back(shop, payment, by_hand, by_hand=True)
    shop.provider.give_back(payment.charge_id or "", PRICE)
    for _ in range(2):
        await found_in_the_list(shop)
    assert [row[2] for row in await rows(shop) if row[0] == "cabinet"] == recorded
    (item,) = await stuck.list_stuck(shop.deps)
    assert (item.kind, item.user_id, item.money) == ("given_back_twice", alice, rub(by_hand))
    for act in (decisions.retry, decisions.credit):
        with pytest.raises(CannotResolve):
            await act(shop.deps, item.reference, by=OLGA, reason=WHY)
    await decisions.mark_refunded(shop.deps, item.reference, by=OLGA, reason="клиент вернул лишнее")
    await found_in_the_list(shop)
    assert await stuck.list_stuck(shop.deps) == []
    assert (await shop.payment(payment.payment_id)).status == "succeeded"


async def test_a_refund_that_a_hand_and_the_cabinet_overtook_is_recorded_as_far_as_it_was_paid(
    shop: Shop,
) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    await give_back(shop, payment, "99.00", by_hand=True)
    with broken_at("refund: ask: after commit"), pytest.raises(Broken):
        await give_back(shop, payment, "100.00")
    shop.provider.give_back(payment.charge_id or "", rub("99.00"))
    await provider_books.find_lost_charges(shop.deps)
    await shop.run_jobs()
    assert [row[:3] for row in await rows(shop)] == [
        ("by hand", "succeeded", "99.000000"),
        ("shop", "refused", "100.000000"),
        ("cabinet", "succeeded", "99.000000"),
        ("cabinet", "succeeded", "1.000000"),
    ]
    twice, refused = await stuck.list_stuck(shop.deps)
    assert (twice.kind, twice.money) == ("given_back_twice", rub("99.00"))
    with pytest.raises(CannotResolve):
        await decisions.retry(shop.deps, refused.reference, by=OLGA, reason=WHY)
    await decisions.dismiss(shop.deps, refused.reference, by=OLGA, reason=WHY)


async def test_a_provider_that_gives_back_only_the_whole_is_asked_for_no_part(shop: Shop) -> None:
    shop.provider.gives_back = GivesBack.WHOLE
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    with pytest.raises(CannotRefund, match="только всю сумму"):
        await give_back(shop, payment, "100.00")
    assert await give_back(shop, payment) == "succeeded"


async def test_a_purchase_after_a_refund_opens_the_access_again(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await give_back(shop, await shop.purchase(alice))
    assert is_shut_out(shop, alice)
    shop.clock.forward(hours=1)
    await shop.purchase(alice)
    assert await ends(shop, alice) == NOW + days(30) + timedelta(hours=1)
    assert not is_shut_out(shop, alice)
    assert await shop.told(alice) == ["access_open", "refunded", "access_open"]


async def test_a_panel_that_is_away_shuts_out_when_it_is_back_and_the_customer_is_told_of_no_delay(
    shop: Shop,
) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    shop.panel.is_away = True
    await give_back(shop, payment)
    (failed,) = await shop.run_jobs("deliver")
    assert isinstance(failed, PanelUnavailable)
    assert await shop.told(alice) == ["access_open", "refunded"]
    shop.panel.is_away = False
    shop.clock.forward(hours=1)
    await shop.run_jobs()
    assert is_shut_out(shop, alice)
    assert await stuck.list_stuck(shop.deps) == []


async def test_who_was_blocked_and_let_in_while_the_panel_was_away_is_shut_out_after_a_refund(
    shop: Shop,
) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    shop.panel.is_away = True
    await give_back(shop, payment)
    for decide in (desk.block, desk.unblock):
        async with shop.db.begin("test") as session:
            await decide(session, shop.deps, alice, by=OLGA, reason=WHY)
    await shop.run_jobs()
    shop.panel.is_away = False
    shop.clock.forward(hours=1)
    await shop.run_jobs()
    assert is_shut_out(shop, alice)
    assert await stuck.list_stuck(shop.deps) == []


async def test_money_that_went_back_before_the_panel_opened_is_on_no_list(shop: Shop) -> None:
    alice = await shop.customer("alice")
    shop.panel.is_away = True
    payment = await shop.purchase(alice)
    await give_back(shop, payment)
    shop.panel.is_away = False
    shop.clock.forward(minutes=10)
    await shop.run_jobs()
    assert await shop.stuck() == []
    assert shop.panel.expiry_of(alice) is None
    assert "access_open" not in await shop.told(alice)


async def test_a_second_charge_of_an_order_is_given_back_by_itself(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    shop.provider.charges_by_id["second"] = shop.provider.charge("second", payment.order_key, PRICE)
    await shop.notice(shop.provider.pay("second"))
    await shop.run_jobs()
    _, second = await shop.succeeded(alice)
    await give_back(shop, await shop.payment(second.payment_id))
    assert shop.provider.charges_by_id["second"].refunded == PRICE
    assert returned(shop, payment) == rub("0.00")
    assert await ends(shop, alice) == NOW + days(30)


async def test_what_had_gone_back_before_the_rest_was_credited_takes_no_days(shop: Shop) -> None:
    alice = await shop.customer("alice")
    order = await shop.order(alice)
    await shop.notice(shop.pay(order, refunded=rub("99.00")))
    await shop.run_jobs()
    (item,) = await stuck.list_stuck(shop.deps)
    assert item.kind == "refunded_before_settled"
    paid = await decisions.credit(shop.deps, item.reference, by=OLGA, reason=WHY)
    await shop.run_jobs()
    for _ in range(2):
        await found_in_the_list(shop)
    assert await rows(shop) == [("before credit", "succeeded", "99.000000", "99.00", 0)]
    assert await ends(shop, alice) == NOW + days(30)
    await give_back(shop, paid, "50.00")
    assert await ends(shop, alice) == NOW + days(15)
    await give_back(shop, paid)
    assert (await rows(shop))[1:] == [
        ("shop", "succeeded", "50.000000", "50.00", 15),
        ("shop", "succeeded", "50.000000", "50.00", 15),
    ]
    assert is_shut_out(shop, alice)


async def test_money_that_has_gone_back_whole_is_not_credited(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.notice(shop.pay(await shop.order(alice), refunded=PRICE))
    await shop.run_jobs()
    (item,) = await stuck.list_stuck(shop.deps)
    with pytest.raises(CannotResolve, match="возвращены целиком"):
        await decisions.credit(shop.deps, item.reference, by=OLGA, reason=WHY)
    assert await shop.subscription_end(alice) is None
    await decisions.mark_refunded(shop.deps, item.reference, by=OLGA, reason=WHY)
    assert await stuck.list_stuck(shop.deps) == []


async def test_money_in_another_currency_goes_back_in_it_and_counts_in_roubles(shop: Shop) -> None:
    shop.more_providers = (FakeProvider("other"),)
    alice = await shop.customer("alice")
    payment = await shop.order(alice)
    stars = Money(120, "XTR")
    shop.provider.charges_by_id["x"] = shop.provider.charge("x", payment.order_key, stars)
    await shop.notice(shop.provider.pay("x"))
    await shop.run_jobs()
    (item,) = await stuck.list_stuck(shop.deps)
    paid = await decisions.credit(shop.deps, item.reference, by=OLGA, reason=WHY, user_id=alice, plan_id=1)
    await shop.run_jobs()
    assert await give_back(shop, paid, "60", by_hand=True) == "succeeded"
    assert await rows(shop) == [("by hand", "succeeded", "60.000000", "99.50", 15)]


async def test_the_history_says_what_was_given_back(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    await give_back(shop, payment, "100.00")
    async with shop.db.begin("test") as session:
        (line,) = await reads.history(session, alice)
    assert line.given_back == rub("100.00")


async def test_an_older_delivery_that_lands_after_a_refund_is_put_right(shop: Shop) -> None:
    alice = await shop.customer("alice")
    payment = await shop.purchase(alice)
    await give_back(shop, payment, "100.00")
    async with shop.db.begin("test") as session:
        found = await subscriptions.of_customer(session, alice)
    assert found is not None
    await lose_jobs(shop.db)
    await delivery.deliver(shop.deps, found.subscription_id)
    assert await ends(shop, alice) == NOW + days(15)
