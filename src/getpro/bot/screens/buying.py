"""From the choice of a plan to the end of a payment."""

from collections.abc import Sequence
from typing import Final

from getpro.bot.screens.screen import AboutOrder, Button, Buy, ChoosePlan, Go, Screen, is_web_address, lines
from getpro.bot.texts import NO_BREAK, Texts
from getpro.catalog.store import Plan
from getpro.kit.money import Money
from getpro.payments.provider import Provider
from getpro.payments.states import PaymentStatus
from getpro.payments.store import Payment
from getpro.subscriptions.store import Subscription

_EXPIRED: Final = frozenset({"expired_on_confirmation", "not paid in time", "expired_on_capture"})
_BY_CUSTOMER: Final = "canceled by the customer"


def plans(t: Texts, offered: Sequence[Plan], *, ways: Sequence[Provider]) -> Screen:
    """Each plan with its price, the price of a month, and what is saved against the shortest."""
    dearest = max((_per_month(plan) for plan in offered), default=0)
    text = lines(t("plans-title"), t("plans-hint"), "", *[_plan(t, plan, dearest) for plan in offered])
    rows = [(Button(_plan_button(t, plan), _after_plan(plan, ways)),) for plan in offered]
    return Screen(text, (*rows, (Button(t("button-menu"), Go(to="menu")),)))


def ways_to_pay(t: Texts, plan: Plan, ways: Sequence[Provider]) -> Screen:
    text = lines(t("ways-title"), t("ways-plan", duration=t.duration(plan.duration_months)))
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


def ask_email(t: Texts, *, is_wrong: bool = False) -> Screen:
    question = t("email-wrong") if is_wrong else t("email-ask")
    return Screen(lines(t("email-title"), "", question), ((Button(t("button-back"), Go(to="plans")),),))


def order(t: Texts, payment: Payment, subscription: Subscription | None) -> Screen:
    """An order as it stands now, whichever way it went: the waiting screen turns into its result."""
    if payment.status is PaymentStatus.SUCCEEDED:
        return _paid(t, payment, subscription)
    if payment.status is PaymentStatus.CANCELED:
        return _canceled(t, payment)
    return _waiting(t, payment)


def _waiting(t: Texts, payment: Payment) -> Screen:
    is_ready = payment.pay_url is not None
    text = lines(
        t("waiting-title", duration=t.duration(payment.duration_months)),
        t("waiting-price", price=t.money(payment.asked)),
        "",
        t("waiting-how" if is_ready else "waiting-preparing"),
    )
    about = payment.payment_id
    rows: list[tuple[Button, ...]] = []
    if payment.pay_url is not None and is_web_address(payment.pay_url):
        rows.append((Button(t("button-pay", price=t.money(payment.asked)), url=payment.pay_url),))
        rows.append((Button(t("button-check"), AboutOrder(do="check", payment_id=about)),))
    rows.append(
        (
            Button(t("button-another-way"), AboutOrder(do="another", payment_id=about)),
            Button(t("button-cancel"), AboutOrder(do="cancel", payment_id=about)),
        )
    )
    return Screen(text, (*rows, (Button(t("button-menu"), Go(to="menu")),)))


def _paid(t: Texts, payment: Payment, subscription: Subscription | None) -> Screen:
    is_open = subscription is not None and subscription.is_delivered
    end = t.until(subscription.end_date) if subscription is not None else ""
    text = lines(
        t("paid-title", price=t.money(payment.paid or payment.asked)),
        t("paid-open", until=end) if is_open else t("paid-opening"),
    )
    first = Button(t("button-connect"), Go(to="connect"))
    rows = ((first,),) if is_open else ((Button(t("button-subscription"), Go(to="sub")),),)
    return Screen(text, (*rows, (Button(t("button-menu"), Go(to="menu")),)))


def _canceled(t: Texts, payment: Payment) -> Screen:
    reason = payment.cancel_reason or ""
    again = Button(t("button-plans"), Go(to="plans"))
    if reason == _BY_CUSTOMER:
        text = lines(t("canceled-title"), t("canceled-money"))
    elif reason.startswith("refused") or reason == "the provider did not answer":
        text = lines(t("refused-title"), t("refused-next"))
        again = Button(t("button-another-way"), AboutOrder(do="another", payment_id=payment.payment_id))
    else:
        text = lines(t("declined-title"), _why(t, reason), t("declined-money"), t("declined-next"))
        again = Button(t("button-another-way"), AboutOrder(do="another", payment_id=payment.payment_id))
    return Screen(text, ((again,), (Button(t("button-menu"), Go(to="menu")),)))


def _why(t: Texts, reason: str) -> str:
    if reason == "insufficient_funds":
        return t("declined-why-insufficient")
    return t("declined-why-expired" if reason in _EXPIRED else "declined-why-other")


def _after_plan(plan: Plan, ways: Sequence[Provider]) -> ChoosePlan | Buy:
    """The choice of a way is skipped when there is one."""
    if len(ways) == 1:
        return Buy(plan_id=plan.plan_id, provider=ways[0].code)
    return ChoosePlan(plan_id=plan.plan_id)


def _plan(t: Texts, plan: Plan, dearest: int) -> str:
    month, notes = _per_month(plan), []
    if plan.duration_months > 1:
        notes.append(t("plan-month", price=t.money(Money(month, plan.price.currency))))
    if (saved := round(100 - 100 * month / dearest)) > 0:
        notes.append(t("plan-saved", percent=saved))
    if plan.is_usual:
        notes.append(t("plan-usual"))
    line = t("plan-line", duration=t.duration(plan.duration_months), price=t.money(plan.price))
    return lines(line, *([f"{NO_BREAK * 2}{', '.join(notes)}"] if notes else []))


def _plan_button(t: Texts, plan: Plan) -> str:
    return t("plan-button", duration=t.duration(plan.duration_months), price=t.money(plan.price))


def _per_month(plan: Plan) -> int:
    """Minor units a month, in whole major ones: an advertisement, not an amount that is paid."""
    return round(plan.price.minor / plan.duration_months / 100) * 100
