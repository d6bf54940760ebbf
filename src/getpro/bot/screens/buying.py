"""From the choice of a plan to the end of a payment."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from getpro.bot.screens.period import coming, news, runs, standing
from getpro.bot.screens.screen import AboutOrder, Button, Buy, ChoosePlan, Go, Screen, in_pairs, lines
from getpro.bot.texts import NO_BREAK, Texts
from getpro.catalog.closures import Closure
from getpro.catalog.store import Plan
from getpro.kit.money import MINOR_DIGITS, Money
from getpro.payments.provider import Provider
from getpro.payments.states import CancelReason, PaymentStatus
from getpro.payments.store import Payment
from getpro.subscriptions.store import Subscription

_WHY: Final = {
    "insufficient_funds": "insufficient",
    "payment_method_limit_exceeded": "limit",
    "card_expired": "card",
    "invalid_card_number": "card",
    "invalid_csc": "card",
    "3d_secure_failed": "confirmation",
    "issuer_unavailable": "away",
    "internal_timeout": "away",
    "expired_on_confirmation": "expired",
    "expired_on_capture": "expired",
    CancelReason.NOT_PAID: "expired",
}
"""The providers' reasons that a customer can do something about; all others read the same."""


def plans(
    t: Texts,
    offered: Sequence[Plan],
    *,
    ways: Sequence[Provider],
    closed: Mapping[str, Closure] | None = None,
    note: str | None = None,
) -> Screen:
    """Each plan with its price, the price of a month, and what is saved against the dearest month.

    ``closed``: the ways in which nothing new is paid just now.
    """
    menu_row = (Button(t("button-menu"), Go(to="menu")),)
    shut = closed_ways(t, closed or {})
    if offered and not ways and shut:
        return Screen(lines(t("plans-title"), "", *shut), (menu_row,))
    if not (offered and ways):
        return Screen(lines(t("plans-title"), "", t("plans-none")), (menu_row,))
    dearest = max(_per_month(plan).minor for plan in offered)
    text = lines(
        t("plans-title"),
        note or t("plans-hint"),
        "",
        *[_plan(t, plan, dearest) for plan in offered],
        *(("", *shut) if shut else ()),
    )
    buttons = [Button(_plan_button(t, plan), _after_plan(plan, ways)) for plan in offered]
    return Screen(text, (*in_pairs(buttons), menu_row))


def ways_to_pay(
    t: Texts,
    plan: Plan,
    ways: Sequence[Provider],
    *,
    closed: Mapping[str, Closure] | None = None,
    note: str | None = None,
) -> Screen:
    shut = closed_ways(t, closed or {})
    text = lines(
        t("ways-title"),
        note,
        t("ways-plan", duration=t.duration(plan.duration_months)),
        *(("", *shut) if shut else ()),
    )
    rows = [
        (
            Button(
                f"{t.provider(way.code)} · {t.money(way.price(plan))}",
                Buy(plan_id=plan.plan_id, provider=way.code),
            ),
        )
        for way in ways
    ]
    return Screen(text, (*rows, (Button(t("button-back"), Go(to="plans")),)))


def closed_ways(t: Texts, closed: Mapping[str, Closure]) -> list[str]:
    """Of each way that is shut, that it is, and what the people who have shut it say."""
    return [
        t("closed-way", provider=t.provider(code))
        if (said := one.words.get(t.language)) is None
        else t("closed-way-words", provider=t.provider(code), words=said)
        for code, one in closed.items()
    ]


def closed_shop(t: Texts, closed: Closure) -> Screen:
    """Nothing new is sold; what is paid works, and is said to."""
    text = lines(t("closed-title"), "", closed_words(t, closed))
    subscription = (Button(t("button-subscription"), Go(to="sub")),)
    return Screen(text, (subscription, (Button(t("button-menu"), Go(to="menu")),)))


def closed_words(t: Texts, closed: Closure) -> str:
    """Theirs who have closed the shop, else the bot's."""
    said = closed.words.get(t.language)
    return t("closed-shop") if said is None else t("closed-shop-words", words=said)


def ask_email(t: Texts, *, is_wrong: bool = False) -> Screen:
    question = t("email-wrong") if is_wrong else t("email-ask")
    return Screen(lines(t("email-title"), "", question), ((Button(t("button-back"), Go(to="plans")),),))


def order(
    t: Texts,
    payment: Payment,
    subscription: Subscription | None,
    *,
    is_kept: bool,
    given_back: Money | None,
    has_other_ways: bool,
    has_connected: bool,
) -> Screen:
    """An order as it stands now, whichever way it went: the waiting screen turns into its result.

    ``is_kept``: money has come for it that a person must look at. ``given_back``: how much of it has gone
    back to the customer. ``has_connected``: the customer has
    chosen a device before, and needs no telling what to do next.
    """
    if payment.status is PaymentStatus.SUCCEEDED and given_back is not None:
        end_date = None if subscription is None else subscription.end_date
        return refunded(t, given_back, end_date)
    if payment.status is PaymentStatus.SUCCEEDED:
        return _paid(t, payment, subscription, has_connected=has_connected)
    if is_kept:
        return _kept(t)
    another = Button(t("button-another-way"), AboutOrder(do="another", payment_id=payment.payment_id))
    others = (another,) if has_other_ways else ()
    if payment.status is PaymentStatus.CANCELED:
        return _canceled(t, payment, others)
    return _waiting(t, payment, others)


def _waiting(t: Texts, payment: Payment, others: tuple[Button, ...]) -> Screen:
    """To be paid; without a page to pay on, the provider has not answered and is asked again."""
    text = lines(
        t("waiting-title", duration=t.duration(payment.duration_months)),
        t("waiting-price", price=t.money(payment.asked)),
        "",
        t("waiting-how" if payment.pay_url else "waiting-away"),
    )
    rows: list[tuple[Button, ...]] = []
    if payment.pay_url is not None:
        check = AboutOrder(do="check", payment_id=payment.payment_id)
        rows.append((Button(t("button-pay", price=t.money(payment.asked)), url=payment.pay_url),))
        rows.append((Button(t("button-check"), check),))
    cancel = Button(t("button-cancel"), AboutOrder(do="cancel", payment_id=payment.payment_id))
    return Screen(text, (*rows, (*others, cancel), (Button(t("button-menu"), Go(to="menu")),)))


def paid_and_open(t: Texts, paid: Money, end_date: datetime, *, has_connected: bool) -> Screen:
    """What was paid for works: on the waiting screen, or as a message of its own."""
    text = lines(
        t("paid-title", price=t.money(paid)),
        t("paid-open", until=t.until(end_date)),
        None if has_connected else t("open-next"),
    )
    return news(t, text, "sub" if has_connected else "connect")


def refunded(t: Texts, money: Money, end_date: datetime | None) -> Screen:
    """Money went back: on the order's screen, or as a message of its own."""
    said = t("refunded-closed")
    if end_date is not None and end_date > t.now:
        said = t("refunded-open", until=t.until(end_date))
    text = lines(t("refunded-title", price=t.money(money)), t("refunded-when"), said)
    return news(t, text, "sub")


def _paid(t: Texts, payment: Payment, subscription: Subscription | None, *, has_connected: bool) -> Screen:
    paid, said = payment.paid or payment.asked, t("access-opening")
    if subscription is not None and not runs(t, subscription):
        said = standing(t, subscription)[0]
    elif subscription is not None and subscription.is_delivered:
        return paid_and_open(t, paid, subscription.end_date, has_connected=has_connected)
    elif subscription is not None:
        said = coming(t, subscription)
    return news(t, lines(t("paid-title", price=t.money(paid)), said), "sub")


def _kept(t: Texts) -> Screen:
    """True of every reason to keep money: the customer is told of no more than was found out."""
    text = lines(t("kept-title"), t("kept-what"), t("kept-safe"), t("kept-next"))
    support = Button(t("button-support"), Go(to="support"))
    return Screen(text, ((support,), (Button(t("button-menu"), Go(to="menu")),)))


def _canceled(t: Texts, payment: Payment, others: tuple[Button, ...]) -> Screen:
    reason = payment.cancel_reason or ""
    rows: list[tuple[Button, ...]] = [others] if others else []
    if reason == CancelReason.GIVEN_BACK:
        text = lines(t("canceled-title"), t("money-given-back"))
    elif reason == CancelReason.CREDITED_APART:
        text = lines(t("canceled-title"), t("money-credited-apart"))
        rows = [(Button(t("button-support"), Go(to="support")),)]
    elif reason == CancelReason.BY_CUSTOMER:
        text = lines(t("canceled-title"), t("money-may-come"))
        rows = [(Button(t("button-plans"), Go(to="plans")),)]
    elif reason.startswith(CancelReason.REFUSED) or reason == CancelReason.UNANSWERED:
        text = lines(t("refused-title"), t("money-not-taken"), t("refused-next"))
        rows.append((Button(t("button-support"), Go(to="support")),))
    else:
        why = t(f"declined-why-{_WHY.get(reason, 'other')}")
        money = t("money-may-come" if reason == CancelReason.NOT_PAID else "money-not-taken")
        text = lines(t("declined-title"), why, money, t("declined-next"))
        if payment.plan_id is not None:
            again = Buy(plan_id=payment.plan_id, provider=payment.provider)
            rows.insert(0, (Button(t("button-again"), again),))
        rows.append((Button(t("button-support"), Go(to="support")),))
    return Screen(text, (*rows, (Button(t("button-menu"), Go(to="menu")),)))


def _after_plan(plan: Plan, ways: Sequence[Provider]) -> ChoosePlan | Buy:
    """The choice of a way is skipped when there is one."""
    if len(ways) == 1:
        return Buy(plan_id=plan.plan_id, provider=ways[0].code)
    return ChoosePlan(plan_id=plan.plan_id)


def _plan(t: Texts, plan: Plan, dearest: int) -> str:
    month, notes = _per_month(plan), []
    if plan.duration_months > 1:
        notes.append(t("plan-month", price=t.money(month)))
    if (saved := _half_up(100 * (dearest - month.minor), dearest)) > 0:
        notes.append(t("plan-saved", percent=saved))
    line = t("plan-line", duration=t.duration(plan.duration_months), price=t.money(plan.price))
    if plan.is_usual:
        line = f"{line}, {t('plan-usual')}"
    return lines(line, *([f"{NO_BREAK * 2}{', '.join(notes)}"] if notes else []))


def _plan_button(t: Texts, plan: Plan) -> str:
    """Short, for half a row: Telegram cuts off what does not fit, and that would be the price."""
    return t("plan-button", months=plan.duration_months, price=t.money(plan.price))


def _per_month(plan: Plan) -> Money:
    """The price of a month in whole major units, rounded half up: an advertisement that nobody pays."""
    unit = 10 ** MINOR_DIGITS[plan.price.currency]
    whole = _half_up(plan.price.minor, plan.duration_months * unit)
    return Money(whole * unit, plan.price.currency)


def _half_up(dividend: int, divisor: int) -> int:
    """The quotient of two positive numbers, rounded half up."""
    return (2 * dividend + divisor) // (2 * divisor)
