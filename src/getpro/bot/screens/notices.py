"""Messages that come by themselves, because they deserve a notification."""

from datetime import datetime
from typing import Any

from getpro.bot.screens.screen import Button, Go, Screen, lines
from getpro.bot.texts import Texts
from getpro.kit.money import Money


def notice(t: Texts, kind: str, arguments: dict[str, Any]) -> Screen:
    """The notice of this kind; raises KeyError for a kind that nobody has written words for."""
    return {"access_open": _access_open, "access_delayed": _access_delayed}[kind](t, arguments)


def _access_open(t: Texts, arguments: dict[str, Any]) -> Screen:
    end = datetime.fromisoformat(arguments["end_date"])
    paid = _paid(arguments)
    text = lines(
        *((t("notice-open-paid", price=t.money(paid)),) if paid else ()),
        t("notice-open-title"),
        t("notice-open-until", until=t.until(end)),
        t("notice-open-next"),
    )
    return Screen(text, ((Button(t("button-connect"), Go(to="connect")),), _menu(t)))


def _access_delayed(t: Texts, arguments: dict[str, Any]) -> Screen:
    paid = _paid(arguments)
    title = t("notice-delayed-paid", price=t.money(paid)) if paid else t("notice-delayed-title")
    first = Button(t("button-subscription"), Go(to="sub"))
    return Screen(lines(title, t("notice-delayed")), ((first,), _menu(t)))


def _menu(t: Texts) -> tuple[Button]:
    return (Button(t("button-menu"), Go(to="menu")),)


def _paid(arguments: dict[str, Any]) -> Money | None:
    if "paid_amount" not in arguments:
        return None
    return Money.parse(arguments["paid_amount"], arguments["paid_currency"])
