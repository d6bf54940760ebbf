"""What belongs to the customer: subscription, connection, payments, support."""

from collections.abc import Sequence
from html import escape
from typing import Final
from urllib.parse import quote

from getpro.bot.screens.period import coming, is_trial, more_time, runs, standing
from getpro.bot.screens.screen import (
    Button,
    Go,
    MyTime,
    OnPlatform,
    Remind,
    Screen,
    in_pairs,
    is_web_address,
    lines,
)
from getpro.bot.texts import Texts
from getpro.customers.store import Customer
from getpro.panel.service import Usage
from getpro.sales.reads import Bought
from getpro.subscriptions.store import Subscription

PLATFORMS: Final = ("ios", "android", "windows", "macos", "linux", "tv")
_HAPP: Final = "https://www.happ.su"
APPS: Final = dict.fromkeys(PLATFORMS, ("Happ", _HAPP)) | {"tv": ("Happ TV", _HAPP)}
"""By platform, the app to install and where it is found."""
_BAR: Final = 10
MY_HOURS: Final = range(-12, 15)
"""How far from UTC clocks are set."""


def subscription(t: Texts, found: Subscription | None, usage: Usage | None, devices: int | None) -> Screen:
    """State, end, traffic, devices; ``usage`` is None where the panel did not answer."""
    menu_row = (Button(t("button-menu"), Go(to="menu")),)
    if found is None:
        text = lines(t("subscription-title"), "", t("subscription-none"))
        return Screen(text, (more_time(t, found), menu_row))
    text = lines(
        t("subscription-title"),
        "",
        *standing(t, found),
        *(_usage(t, usage, devices) if usage is not None else ()),
        None if is_trial(found) else t("subscription-paid-by", provider=t.provider(found.provider)),
    )
    rows: list[tuple[Button, ...]] = [more_time(t, found)]
    if not runs(t, found):
        rows = [(button,) for button in more_time(t, found)]
    elif found.provisioned_version:
        rows.insert(0, (Button(t("button-connect"), Go(to="connect")),))
    history_row = (
        Button(t("button-history"), Go(to="history")),
        Button(t("button-reminders"), Go(to="reminders")),
    )
    return Screen(text, (*rows, history_row, menu_row))


def reminders(t: Texts, *, is_on: bool, hours: int) -> Screen:
    """Whether the customer is reminded, and what time they have; ``hours``: ahead of UTC."""
    text = lines(
        t("reminders-title"),
        "",
        t("reminders-on" if is_on else "reminders-off"),
        t("reminders-time", now=t.clock(t.now)),
        "",
        t("reminders-hint"),
    )
    clock = tuple(
        Button(t(f"button-hour-{name}"), MyTime(hours=there))
        for name, there in (("back", hours - 1), ("forward", hours + 1))
        if there in MY_HOURS
    )
    switch = Button(t("button-remind-off" if is_on else "button-remind-on"), Remind(is_on=not is_on))
    return Screen(text, ((switch,), clock, (Button(t("button-menu"), Go(to="menu")),)))


def choose_platform(t: Texts) -> Screen:
    buttons = [Button(t(f"platform-{name}"), OnPlatform(platform=name)) for name in PLATFORMS]
    menu_row = (Button(t("button-menu"), Go(to="menu")),)
    return Screen(lines(t("connect-title"), "", t("connect-choose")), (*in_pairs(buttons), menu_row))


def connect(t: Texts, platform: str, link: str) -> Screen:
    """The link on one platform: to open, to copy by a tap, as a code for another device."""
    app, url = APPS[platform]
    text = lines(
        t("connect-on", platform=t(f"platform-{platform}")),
        "",
        t("connect-app", app=app, url=url),
        t("connect-link", platform=platform),
        "",
        f"<code>{escape(link)}</code>",
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


def cannot_connect(t: Texts, found: Subscription | None) -> Screen:
    """There is no link to show: access is still opening, or nothing runs that could be opened."""
    menu_row = (Button(t("button-menu"), Go(to="menu")),)
    if found is not None and runs(t, found):
        text = lines(t("connect-title"), "", coming(t, found))
        return Screen(text, ((Button(t("button-subscription"), Go(to="sub")),), menu_row))
    state = standing(t, found) if found is not None else [t("connect-none")]
    rows = [(button,) for button in more_time(t, found)]
    return Screen(lines(t("connect-title"), "", *state), (*rows, menu_row))


def link_later(t: Texts) -> Screen:
    """There is a link, and the panel that knows it does not answer."""
    again = (Button(t("button-again"), Go(to="connect")),)
    return Screen(
        lines(t("connect-title"), "", t("connect-later")), (again, (Button(t("button-menu"), Go(to="menu")),))
    )


def qr(t: Texts) -> Screen:
    """The caption below the picture."""
    return Screen(t("connect-qr"), ((Button(t("button-back"), Go(to="from_qr")),),))


def history(t: Texts, payments: Sequence[Bought]) -> Screen:
    text = lines(t("history-title"), "", *([_bought(t, one) for one in payments] or [t("history-none")]))
    return Screen(text, ((Button(t("button-menu"), Go(to="menu")),),))


def support(
    t: Texts, customer: Customer, found: Subscription | None, *, contact: str, about_money: bool = False
) -> Screen:
    """Whom to write to; what we know already stands in the message that the button begins."""
    title = t("paysupport-title" if about_money else "support-title")
    ask = t("paysupport-text" if about_money else "support-text")
    trouble_row = (Button(t("button-trouble"), Go(to="trouble")),)
    menu_row = (Button(t("button-menu"), Go(to="menu")),)
    if not contact:
        return Screen(lines(title, "", ask, "", t("support-nobody")), (trouble_row, menu_row))
    facts = lines(
        t("support-id", id=str(customer.user_id)),
        *(standing(t, found)[:1] if found is not None else ()),
        t("support-platform", platform=t(f"platform-{customer.platform}")) if customer.platform else None,
    )
    text = lines(title, "", ask, "", t("support-facts"), facts)
    url = f"https://t.me/{contact.removeprefix('@')}?text={quote(facts)}"
    return Screen(text, (trouble_row, (Button(t("button-write-support"), url=url),), menu_row))


def _bought(t: Texts, bought: Bought) -> str:
    payment = bought.payment
    back = bought.given_back
    return t(
        "history-kept" if bought.is_money_kept else f"history-{'refunded' if back else payment.status}",
        date=t.date(payment.paid_at or payment.created_at),
        duration=t.duration(payment.duration_months),
        price=t.money(payment.paid or payment.asked),
        back=t.money(back) if back else "",
    )


def _usage(t: Texts, usage: Usage, devices: int | None) -> list[str]:
    """The traffic with a bar, and the devices where there is something to say of them."""
    used, limit = usage.traffic_bytes, usage.traffic_limit_bytes
    if limit:
        filled = min(round(_BAR * used / limit), _BAR)
        said = [
            t("subscription-traffic", used=t.size(used), limit=t.size(limit)),
            "▓" * filled + "░" * (_BAR - filled),
        ]
    else:
        said = [t("subscription-traffic-free", used=t.size(used))]
    if devices is not None and usage.device_limit:
        said.append(t("subscription-devices", used=devices, limit=usage.device_limit))
    elif devices:
        said.append(t("subscription-devices-free", used=devices))
    return said
