"""What belongs to the customer: subscription, connection, payments, support."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from getpro.bot.screens.menu import left
from getpro.bot.screens.screen import Button, Go, OnPlatform, Screen, is_web_address, lines
from getpro.bot.texts import Texts
from getpro.customers.store import Customer
from getpro.payments.store import Payment
from getpro.subscriptions.store import Subscription

PLATFORMS: Final = ("ios", "android", "windows", "macos", "linux", "tv")
_HAPP: Final = "https://www.happ.su"
APPS: Final = {
    "ios": ("Happ", _HAPP),
    "android": ("Happ", _HAPP),
    "windows": ("Happ", _HAPP),
    "macos": ("Happ", _HAPP),
    "linux": ("Happ", _HAPP),
    "tv": ("Happ TV", _HAPP),
}
_BAR: Final = 10


def subscription(
    t: Texts, found: Subscription | None, user: dict[str, Any] | None, *, now: datetime
) -> Screen:
    """State, end, traffic, devices; ``user`` is the panel's object, or None when it did not answer."""
    menu_row = (Button(t("button-menu"), Go(to="menu")),)
    if found is None:
        text = lines(t("subscription-title"), "", t("subscription-none"))
        return Screen(text, ((Button(t("button-plans"), Go(to="plans")),), menu_row))
    runs = found.end_date > now
    text = lines(
        t("subscription-title"),
        "",
        _state(t, found, now=now),
        left(t, found.end_date, now=now).capitalize() if runs else None,
        *(_usage(t, user) if user is not None and runs else ()),
        t("subscription-paid-by", provider=t.provider(found.provider)),
    )
    rows: list[tuple[Button, ...]] = []
    if runs and found.is_delivered:
        rows.append((Button(t("button-connect"), Go(to="connect")),))
    rows.append((Button(t("button-renew"), Go(to="renew")),))
    rows.append((Button(t("button-history"), Go(to="history")),))
    return Screen(text, (*rows, menu_row))


def choose_platform(t: Texts) -> Screen:
    buttons = [Button(t(f"platform-{name}"), OnPlatform(platform=name)) for name in PLATFORMS]
    pairs = [tuple(buttons[index : index + 2]) for index in range(0, len(buttons), 2)]
    return Screen(
        lines(t("connect-title"), "", t("connect-choose")),
        (*pairs, (Button(t("button-menu"), Go(to="menu")),)),
    )


def connect(t: Texts, platform: str, link: str) -> Screen:
    """The link on one platform: to open, to copy by a tap, as a code for another device."""
    app, url = APPS[platform]
    text = lines(
        t("connect-on", platform=t(f"platform-{platform}")),
        "",
        t("connect-app", app=app, url=url),
        t("connect-link"),
        "",
        f"<code>{link}</code>",
    )
    first = [(Button(t("button-open-link"), url=link),)] if is_web_address(link) else []
    return Screen(
        text,
        (
            *first,
            (Button(t("button-copy"), copy=link), Button(t("button-qr"), Go(to="qr"))),
            (
                Button(t("button-not-working"), Go(to="support")),
                Button(t("button-another-device"), Go(to="devices")),
            ),
            (Button(t("button-menu"), Go(to="menu")),),
        ),
    )


def cannot_connect(t: Texts, *, is_opening: bool) -> Screen:
    text = lines(t("connect-title"), "", t("connect-not-yet" if is_opening else "connect-none"))
    first = (
        Button(t("button-subscription"), Go(to="sub"))
        if is_opening
        else Button(t("button-plans"), Go(to="plans"))
    )
    return Screen(text, ((first,), (Button(t("button-menu"), Go(to="menu")),)))


def qr(t: Texts) -> Screen:
    """The caption below the picture."""
    return Screen(t("connect-qr"), ((Button(t("button-back"), Go(to="from_qr")),),))


def history(t: Texts, payments: Sequence[Payment]) -> Screen:
    shown = [
        t(
            "history-line",
            date=t.date(payment.paid_at or payment.created_at),
            price=t.money(payment.paid or payment.asked),
            status=t(f"status-{payment.status}"),
        )
        for payment in payments
    ]
    text = lines(t("history-title"), "", *(shown or [t("history-none")]))
    return Screen(text, ((Button(t("button-menu"), Go(to="menu")),),))


def support(
    t: Texts, customer: Customer, found: Subscription | None, *, contact: str, about_money: bool = False
) -> Screen:
    """Whom to write to, and the facts to send along."""
    title = (
        (t("paysupport-title"), t("paysupport-text"))
        if about_money
        else (t("support-title"), t("support-ask"))
    )
    text = lines(
        title[0],
        "",
        title[1],
        "",
        t("support-facts"),
        t("support-id", id=str(customer.user_id)),
        t("support-until", until=t.until(found.end_date)) if found else None,
        t("support-platform", platform=t(f"platform-{customer.platform}")) if customer.platform else None,
        *(() if contact else ("", t("support-nobody"))),
    )
    write = (
        [(Button(t("button-write-support"), url=f"https://t.me/{contact.lstrip('@')}"),)] if contact else []
    )
    return Screen(text, (*write, (Button(t("button-menu"), Go(to="menu")),)))


def _state(t: Texts, found: Subscription, *, now: datetime) -> str:
    if found.end_date <= now:
        return t("subscription-ended", date=t.date(found.end_date))
    end = t.until(found.end_date)
    if found.is_delivered:
        return t("subscription-active", until=end)
    return t("subscription-delayed" if found.delivery_trouble else "subscription-opening", until=end)


def _usage(t: Texts, user: dict[str, Any]) -> list[str]:
    used = int(user["userTraffic"]["usedTrafficBytes"])
    limit = int(user["trafficLimitBytes"])
    if not limit:
        return [t("subscription-traffic-free", used=t.size(used))]
    filled = min(round(_BAR * used / limit), _BAR)
    return [
        t("subscription-traffic", used=t.size(used), limit=t.size(limit)),
        "▓" * filled + "░" * (_BAR - filled),
    ]
