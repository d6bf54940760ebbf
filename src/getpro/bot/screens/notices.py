"""Messages that come by themselves, because they deserve a notification."""

from datetime import datetime
from html import escape
from typing import Any

from getpro.bot.screens.buying import paid_and_open, refunded
from getpro.bot.screens.period import news
from getpro.bot.screens.screen import Button, Go, Screen, lines
from getpro.bot.texts import Texts
from getpro.kit.money import Money
from getpro.messaging.states import NoticeKind
from getpro.subscriptions.states import ChangeCause


def notice(t: Texts, kind: str, arguments: dict[str, Any], *, has_connected: bool) -> Screen:
    """The notice of this kind; raises KeyError for a kind that nobody has written words for.

    ``has_connected``: the customer has chosen a device before, and needs no telling what to do next.
    """
    if kind == NoticeKind.ACCESS_OPEN:
        return _access_open(t, arguments, has_connected=has_connected)
    if kind == NoticeKind.ACCESS_DELAYED:
        return _access_delayed(t, arguments)
    if kind == NoticeKind.REFUNDED:
        return _refunded(t, arguments)
    if kind == NoticeKind.MESSAGE:
        return _message(t, arguments)
    if kind == NoticeKind.REMINDER:
        return _reminder(t, arguments)
    if kind in {NoticeKind.TROUBLE, NoticeKind.WORKS_AGAIN}:
        return _status(t, kind, arguments)
    raise KeyError(kind)


def _access_open(t: Texts, arguments: dict[str, Any], *, has_connected: bool) -> Screen:
    end_date = datetime.fromisoformat(arguments["end_date"])
    if (paid := _paid(arguments)) is not None:
        return paid_and_open(t, paid, end_date, has_connected=has_connected)
    text = lines(
        t("notice-open-title"),
        t("period-active", kind=_kind(arguments), until=t.until(end_date)),
        None if has_connected else t("open-next"),
    )
    return news(t, text, "sub" if has_connected else "connect")


def _access_delayed(t: Texts, arguments: dict[str, Any]) -> Screen:
    paid = _paid(arguments)
    title = t("notice-delayed-title", kind=_kind(arguments))
    if paid is not None:
        title = t("paid-title", price=t.money(paid))
    return news(t, lines(title, t("access-delayed")), "sub")


def _refunded(t: Texts, arguments: dict[str, Any]) -> Screen:
    money = Money.parse(arguments["refunded_amount"], arguments["refunded_currency"])
    end_date = arguments["end_date"]
    return refunded(t, money, None if end_date is None else datetime.fromisoformat(end_date))


def _message(t: Texts, arguments: dict[str, Any]) -> Screen:
    text = lines(t("message-from"), "", escape(arguments["text"]))
    support = Button(t("button-support"), Go(to="support"))
    return Screen(text, ((support,), (Button(t("button-menu"), Go(to="menu")),)))


def _status(t: Texts, kind: str, arguments: dict[str, Any]) -> Screen:
    """How things stand where something does not work, or did; in an operator's words where there are any."""
    is_over = kind == NoticeKind.WORKS_AGAIN
    said = arguments["words"].get(t.language)
    words = status_words(t, "over" if is_over else arguments["about"]) if said is None else escape(said)
    text = lines(t("status-over-title" if is_over else "status-title"), "", words)
    return Screen(
        text,
        ((Button(t("button-subscription"), Go(to="sub")),), (Button(t("button-menu"), Go(to="menu")),)),
    )


def status_words(t: Texts, about: str) -> str:
    """What is said where nobody has written anything else."""
    return t(f"status-{about}")


def _reminder(t: Texts, arguments: dict[str, Any]) -> Screen:
    """One thing said, one main button, and the way to hear no more of it."""
    kind = "trial" if arguments["is_trial"] else "paid"
    end_date = datetime.fromisoformat(arguments["end_date"])
    which = arguments["reminder"].replace(" ", "-")
    text = lines(
        t(f"reminder-{which}", kind=kind),
        t(f"reminder-next-{which}", kind=kind, date=t.moment(end_date)),
    )
    main = (
        Button(t("button-plans"), Go(to="plans"))
        if kind == "trial"
        else Button(t("button-renew"), Go(to="renew"))
    )
    rest = Button(t("button-reminders"), Go(to="reminders"))
    return Screen(text, ((main,), (rest,), (Button(t("button-menu"), Go(to="menu")),)))


def _kind(arguments: dict[str, Any]) -> str:
    return "trial" if arguments.get("cause") == ChangeCause.TRIAL else "paid"


def _paid(arguments: dict[str, Any]) -> Money | None:
    if "paid_amount" not in arguments:
        return None
    return Money.parse(arguments["paid_amount"], arguments["paid_currency"])
