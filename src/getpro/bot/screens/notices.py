"""Messages that come by themselves, because they deserve a notification."""

from datetime import datetime
from typing import Any

from getpro.bot.screens.screen import Button, Go, Screen, lines
from getpro.bot.texts import Texts
from getpro.kit.money import Money


def notice(t: Texts, kind: str, arguments: dict[str, Any], *, has_connected: bool) -> Screen:
    """The notice of this kind; raises KeyError for a kind that nobody has written words for.

    ``has_connected``: the customer has chosen a device before, and needs no telling what to do next.
    """
    if kind == "access_open":
        return _access_open(t, arguments, has_connected=has_connected)
    if kind == "access_delayed":
        return _access_delayed(t, arguments)
    raise KeyError(kind)


def _access_open(t: Texts, arguments: dict[str, Any], *, has_connected: bool) -> Screen:
    until = t.until(datetime.fromisoformat(arguments["end_date"]))
    text = lines(
        _received(t, arguments),
        t("notice-open-title"),
        t("period-active", kind=_kind(arguments), until=until),
        None if has_connected else t("notice-open-next"),
    )
    first = ("button-subscription", "sub") if has_connected else ("button-connect", "connect")
    return _screen(t, text, *first)


def _access_delayed(t: Texts, arguments: dict[str, Any]) -> Screen:
    title = _received(t, arguments) or t("notice-delayed-title", kind=_kind(arguments))
    return _screen(t, lines(title, t("access-delayed")), "button-subscription", "sub")


def _screen(t: Texts, text: str, label: str, place: str) -> Screen:
    return Screen(text, ((Button(t(label), Go(to=place)),), (Button(t("button-menu"), Go(to="menu")),)))


def _kind(arguments: dict[str, Any]) -> str:
    return "trial" if arguments.get("cause") == "trial" else "paid"


def _received(t: Texts, arguments: dict[str, Any]) -> str | None:
    if "paid_amount" not in arguments:
        return None
    money = Money.parse(arguments["paid_amount"], arguments["paid_currency"])
    return t("paid-title", price=t.money(money))
