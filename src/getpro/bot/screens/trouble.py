"""Something does not work: what exactly, and what we can see of it ourselves."""

from getpro.bot.screens.period import coming, more_time, runs, standing
from getpro.bot.screens.screen import AboutOrder, Button, Go, Screen, Trouble, lines
from getpro.bot.texts import Texts
from getpro.incidents.states import Complaint
from getpro.payments.states import PaymentStatus
from getpro.sales.reads import Bought
from getpro.subscriptions.store import Subscription


def choose(t: Texts) -> Screen:
    kinds = [(Button(t(f"button-trouble-{kind}"), Trouble(kind=kind)),) for kind in Complaint]
    back = (Button(t("button-back"), Go(to="support")),)
    return Screen(lines(t("trouble-title"), "", t("trouble-what")), (*kinds, back))


def ask_words(t: Texts) -> Screen:
    back = (Button(t("button-back"), Go(to="trouble")),)
    return Screen(lines(t("trouble-other-title"), "", t("trouble-other-ask")), (back,))


def about_payment(
    t: Texts,
    found: Subscription | None,
    last: Bought | None,
    *,
    contact: str,
    is_waiting: bool,
    is_known: bool,
) -> Screen:
    """What we see of the money. ``is_waiting``: it is here, and the panel has not given access for it yet.

    ``is_known``: others have told of the same, and somebody is at it.
    """
    first: list[tuple[Button, ...]] = []
    if is_waiting and found is not None:
        paid = None if last is None else t("trouble-paid-fact", price=_price(t, last), date=_date(t, last))
        text = [t("trouble-waiting-title"), paid, coming(t, found), "", t("trouble-waiting-next")]
    elif last is None:
        text = [t("trouble-unpaid-title"), t("trouble-unpaid"), "", t("trouble-unpaid-next")]
    elif last.is_money_kept:
        text = [t("kept-title"), t("kept-what"), "", t("kept-safe"), t("kept-next")]
    elif last.payment.status is PaymentStatus.PENDING:
        text = [
            t("trouble-pending-title"),
            t("trouble-pending", duration=t.duration(last.payment.duration_months), price=_price(t, last)),
            "",
            t("trouble-pending-next"),
        ]
        check = AboutOrder(do="check", payment_id=last.payment.payment_id)
        first = [(Button(t("button-check"), check),)]
    elif last.given_back is not None:
        text = [t("trouble-refunded-title", price=t.money(last.given_back)), t("refunded-when")]
    elif found is not None and runs(t, found):
        paid = t("trouble-paid-fact", price=_price(t, last), date=_date(t, last))
        text = [t("trouble-open-title"), paid, *standing(t, found), "", t("trouble-open-next")]
        first = [(Button(t("button-connect"), Go(to="connect")),)]
    else:
        text = [t("trouble-ended-title"), *(standing(t, found) if found is not None else ())]
        first = [(button,) for button in more_time(t, found)]
    return _answer(t, text, first, contact=contact, is_known=is_known)


def about_connection(t: Texts, found: Subscription | None, *, contact: str, is_known: bool) -> Screen:
    first: list[tuple[Button, ...]]
    if found is None or not runs(t, found):
        state = standing(t, found) if found is not None else [t("connect-none")]
        text: list[str | None] = [t("trouble-connection-title"), *state]
        first = [(button,) for button in more_time(t, found)]
    elif not found.is_delivered:
        text = [t("trouble-connection-title"), *standing(t, found)]
        first = []
    else:
        text = [t("trouble-connection-title"), *standing(t, found), "", t("trouble-connection-tips")]
        first = [(Button(t("button-connect-anew"), Go(to="connect")),)]
    return _answer(t, text, first, contact=contact, is_known=is_known)


def thanks(t: Texts, *, contact: str, is_known: bool) -> Screen:
    return _answer(t, [t("trouble-thanks-title")], [], contact=contact, is_known=is_known)


def too_many(t: Texts, *, contact: str) -> Screen:
    """They have said so much today that no more is kept: that is told, not hidden."""
    text = lines(t("trouble-title"), "", t("trouble-too-many"))
    return Screen(text, _last_rows(t, contact))


def _answer(
    t: Texts, text: list[str | None], first: list[tuple[Button, ...]], *, contact: str, is_known: bool
) -> Screen:
    passed_on = t("trouble-passed-on") if contact else t("trouble-passed-on-only")
    said = t("trouble-known") if is_known else passed_on
    return Screen(lines(*text, "", said), (*first, *_last_rows(t, contact)))


def _last_rows(t: Texts, contact: str) -> tuple[tuple[Button, ...], ...]:
    """The way to a person, where there is one, and the menu."""
    support = ((Button(t("button-support"), Go(to="support")),),) if contact else ()
    return (*support, (Button(t("button-menu"), Go(to="menu")),))


def _price(t: Texts, bought: Bought) -> str:
    return t.money(bought.payment.paid or bought.payment.asked)


def _date(t: Texts, bought: Bought) -> str:
    return t.date(bought.payment.paid_at or bought.payment.created_at)
