"""The menu, the terms, the language."""

from datetime import datetime

from getpro.bot.screens.screen import Button, Go, Screen, lines
from getpro.bot.texts import Texts
from getpro.sales.reads import Home
from getpro.subscriptions.store import Subscription


def menu(t: Texts, home: Home, *, shop: str, terms_url: str | None, now: datetime) -> Screen:
    """Where everything begins: the state in one line, the main action first and alone."""
    subscription = home.subscription
    runs = subscription is not None and subscription.end_date > now
    text = lines(
        t("menu-title", shop=shop),
        "",
        _state(t, subscription, now=now),
        *(("", t("menu-terms", url=terms_url)) if terms_url and subscription is None else ()),
    )
    first = Button(t("button-connect" if runs else "button-plans"), Go(to="connect" if runs else "plans"))
    rows: list[tuple[Button, ...]] = [(first,)]
    if home.trial_days:
        trial = Button(t("button-trial", days=home.trial_days), Go(to="trial"))
        rows.insert(0, (trial,))
    if subscription is not None:
        rows.append((Button(t("button-renew"), Go(to="renew")),)) if runs else None
        rows.append(
            (Button(t("button-subscription"), Go(to="sub")), Button(t("button-history"), Go(to="history")))
        )
    rows.append((Button(t("button-support"), Go(to="support")), Button(t("button-language"), Go(to="lang"))))
    return Screen(text, tuple(rows))


def left(t: Texts, end: datetime, *, now: datetime) -> str:
    """``осталось 12 дней``: whole days that remain."""
    return t("left-days", days=max((end - now).days, 0))


def terms(t: Texts, *, url: str | None) -> Screen:
    text = lines(t("terms-title"), "", t("terms-text"), *(("", t("terms-link", url=url)) if url else ()))
    return Screen(text, ((Button(t("button-menu"), Go(to="menu")),),))


def _state(t: Texts, subscription: Subscription | None, *, now: datetime) -> str:
    if subscription is None:
        return t("menu-nothing")
    if subscription.end_date <= now:
        return t("menu-ended", date=t.date(subscription.end_date))
    if not subscription.is_delivered:
        return t("menu-opening", until=t.until(subscription.end_date))
    end = subscription.end_date
    return t("menu-active", until=t.until(end), left=left(t, end, now=now))
