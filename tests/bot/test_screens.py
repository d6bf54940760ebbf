"""Screens: pure functions of a state; every state in both languages, and what a Russian customer reads."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from bot.chat import breakable, plain
from fakes import FakeProvider
from getpro.bot.screens import buying, menu, notices, own, trouble
from getpro.bot.screens.screen import Screen, is_web_address
from getpro.bot.texts import LANGUAGES, Texts, texts_of
from getpro.catalog.store import Plan
from getpro.customers.store import Customer
from getpro.incidents.tellings import Text
from getpro.kit.money import Money
from getpro.panel.service import Usage
from getpro.payments.states import PaymentStatus
from getpro.payments.store import Payment
from getpro.sales.reads import Bought, Home
from getpro.sales.reminders import Reminder
from getpro.subscriptions.store import Subscription

NOW = datetime(2026, 4, 18, 15, 0, tzinfo=UTC)
END = datetime(2026, 4, 30, 15, 0, tzinfo=UTC)
LINK = "https://panel.example/api/sub/a&b<c>"
CARD = FakeProvider("yookassa")
STARS = FakeProvider("stars")

PLANS = [
    Plan(1, 1, 30, Money(19900, "RUB"), Money(120, "XTR"), is_usual=False),
    Plan(2, 3, 90, Money(49900, "RUB"), Money(300, "XTR"), is_usual=True),
    Plan(3, 6, 180, Money(89900, "RUB"), Money(540, "XTR"), is_usual=False),
    Plan(4, 12, 365, Money(159000, "RUB"), Money(960, "XTR"), is_usual=False),
]
PAID = Subscription(
    subscription_id=7,
    user_id=101,
    provider="yookassa",
    is_active=True,
    start_date=NOW - timedelta(days=18),
    end_date=END,
    wanted_version=2,
    provisioned_version=2,
    wanted_at=NOW,
    delivery_trouble=None,
)
ENDED = replace(PAID, end_date=NOW - timedelta(days=1), is_active=False)
OPENING = replace(PAID, wanted_version=1, provisioned_version=0)
RENEWING = replace(PAID, wanted_version=3)
DELAYED = replace(OPENING, delivery_trouble="away")
TRIAL = replace(PAID, provider="trial", end_date=NOW + timedelta(days=3))
TRIAL_OPENING = replace(TRIAL, wanted_version=1, provisioned_version=0)
TRIAL_DELAYED = replace(TRIAL_OPENING, delivery_trouble="away")
TRIAL_ENDED = replace(TRIAL, end_date=NOW - timedelta(days=1))
STANDINGS = {
    "none": None,
    "paid": PAID,
    "opening": OPENING,
    "renewing": RENEWING,
    "delayed": DELAYED,
    "ended": ENDED,
    "trial": TRIAL,
    "trial opening": TRIAL_OPENING,
    "trial delayed": TRIAL_DELAYED,
    "trial ended": TRIAL_ENDED,
}
WAITING = Payment(
    payment_id=12345678,
    order_key=UUID(int=1),
    user_id=101,
    provider="yookassa",
    status=PaymentStatus.PENDING,
    amount=Money(49900, "RUB"),
    asked=Money(49900, "RUB"),
    duration_months=3,
    days=90,
    plan_id=2,
    created_at=NOW,
    paid_at=None,
    paid=None,
    charge_id=None,
    object_id="obj",
    pay_url="https://pay.example/1",
    request={},
    screen_message_id=5,
    cancel_reason=None,
)
SUCCEEDED = replace(WAITING, status=PaymentStatus.SUCCEEDED, paid_at=NOW, paid=Money(49900, "RUB"))
IN_STARS = replace(SUCCEEDED, asked=Money(300, "XTR"), paid=Money(300, "XTR"), provider="stars")
KEPT = replace(WAITING, payment_id=7)
REASONS = (
    "insufficient_funds",
    "payment_method_limit_exceeded",
    "card_expired",
    "3d_secure_failed",
    "issuer_unavailable",
    "expired_on_confirmation",
    "not paid in time",
    "fraud_suspected",
    "",
    "canceled by the customer",
    "refused: 400 invalid_request",
    "the provider did not answer",
    "the money was credited to another order",
)
CUSTOMER = Customer(
    user_id=101,
    language="ru",
    first_name="<b>\u202eAlice" + "😀" * 200,
    email=None,
    platform="ios",
    zone=None,
    is_reminded=True,
    trial_started_at=None,
    trial_screen_id=None,
    is_blocked=False,
    dialog=None,
    unreachable_reason=None,
)
USAGE = Usage(traffic_bytes=13_314_398_618, traffic_limit_bytes=100 * 1024**3, device_limit=3)
UNLIMITED = Usage(traffic_bytes=0, traffic_limit_bytes=0, device_limit=None)


def canceled(reason: str | None) -> Payment:
    return replace(WAITING, status=PaymentStatus.CANCELED, cancel_reason=reason)


def menu_of(t: Texts, found: Subscription | None, trial_days: int = 0, **more: Any) -> Screen:
    home = Home(found, trial_days)
    return menu.menu(t, home, **{"shop": "Тест <&>", "terms_url": "https://shop.example/terms"} | more)


def about_payment(
    t: Texts,
    found: Subscription | None,
    last: Payment | None,
    *,
    is_waiting: bool = False,
    is_known: bool = False,
    given_back: Money | None = None,
) -> Screen:
    bought = None if last is None else Bought(last, last is KEPT, given_back)
    return trouble.about_payment(
        t, found, bought, contact="@helper", is_waiting=is_waiting, is_known=is_known
    )


def order(
    t: Texts,
    payment: Payment,
    found: Subscription | None = None,
    *,
    others: bool = True,
    is_kept: bool = False,
    given_back: Money | None = None,
    has_connected: bool = False,
) -> Screen:
    return buying.order(
        t,
        payment,
        found,
        is_kept=is_kept,
        given_back=given_back,
        has_other_ways=others,
        has_connected=has_connected,
    )


def notice_of(t: Texts, kind: str, arguments: Mapping[str, Any], *, has_connected: bool = False) -> Screen:
    given = ({"end_date": END.isoformat()} if kind == "access_open" else {}) | dict(arguments)
    return notices.notice(t, kind, given, has_connected=has_connected)


DELAY = (
    "Сервер доступа сейчас не отвечает. Мы откроем доступ сами и сразу напишем, обычно это занимает"
    " несколько минут. Делать ничего не нужно."
)
PAID_499 = {"cause": "payment", "paid_amount": "499.000000", "paid_currency": "RUB"}
BACK_499 = {"refunded_amount": "499.000000", "refunded_currency": "RUB"}
HALF = Money(24950, "RUB")
Make = Callable[[Texts], Screen]
SCREENS: dict[str, Make] = {
    "menu: trial offered": lambda t: menu_of(t, None, trial_days=3),
    "menu: lost": lambda t: menu_of(t, PAID, note=t("menu-note")),
    **{f"menu: {name}": lambda t, s=found: menu_of(t, s) for name, found in STANDINGS.items()},  # type: ignore[misc]
    **{
        f"subscription: {name}": lambda t, s=found: own.subscription(t, s, None, None)  # type: ignore[misc]
        for name, found in STANDINGS.items()
    },
    "subscription: usage": lambda t: own.subscription(t, PAID, USAGE, 1),
    "subscription: unlimited": lambda t: own.subscription(t, TRIAL, UNLIMITED, 2),
    **{
        f"cannot connect: {name}": lambda t, s=found: own.cannot_connect(t, s)  # type: ignore[misc]
        for name, found in STANDINGS.items()
    },
    **{f"connect: {name}": lambda t, p=name: own.connect(t, p, LINK) for name in own.PLATFORMS},  # type: ignore[misc]
    "connect: choose": own.choose_platform,
    "connect: qr": own.qr,
    "plans": lambda t: buying.plans(t, PLANS, ways=[CARD, STARS]),
    "plans: one way": lambda t: buying.plans(t, PLANS, ways=[CARD]),
    "plans: gone": lambda t: buying.plans(t, PLANS, ways=[CARD], note=t("plans-gone")),
    "plans: none": lambda t: buying.plans(t, [], ways=[CARD]),
    "plans: no way to pay": lambda t: buying.plans(t, PLANS, ways=[]),
    "ways": lambda t: buying.ways_to_pay(t, PLANS[1], [CARD, STARS]),
    "e-mail": buying.ask_email,
    "e-mail: wrong": lambda t: buying.ask_email(t, is_wrong=True),
    "order: waiting": lambda t: order(t, WAITING),
    "order: waiting, one way": lambda t: order(t, WAITING, others=False),
    "order: no page yet": lambda t: order(t, replace(WAITING, pay_url=None)),
    "order: kept": lambda t: order(t, WAITING, is_kept=True),
    "order: kept, canceled": lambda t: order(t, canceled("not paid in time"), is_kept=True),
    "order: paid": lambda t: order(t, SUCCEEDED),
    **{
        f"order: paid, {name}": lambda t, s=found: order(t, SUCCEEDED, s)  # type: ignore[misc]
        for name, found in STANDINGS.items()
    },
    "order: paid in Stars": lambda t: order(t, IN_STARS, PAID),
    "order: renewed": lambda t: order(t, SUCCEEDED, PAID, has_connected=True),
    **{f"order: {reason}": lambda t, r=reason: order(t, canceled(r)) for reason in REASONS},  # type: ignore[misc]
    **{
        f"order: {reason}, one way": lambda t, r=reason: order(t, canceled(r), others=False)  # type: ignore[misc]
        for reason in REASONS
    },
    "history": lambda t: own.history(
        t, [Bought(one, one is KEPT, None) for one in (KEPT, WAITING, IN_STARS, SUCCEEDED)]
    ),
    "history: refunded": lambda t: own.history(t, [Bought(SUCCEEDED, is_money_kept=False, given_back=HALF)]),
    "order: refunded in part": lambda t: order(t, SUCCEEDED, PAID, given_back=HALF),
    "order: refunded, closed": lambda t: order(t, SUCCEEDED, ENDED, given_back=SUCCEEDED.paid),
    **{
        f"notice: {which}, {kind}": lambda t, r=which, k=kind: notice_of(  # type: ignore[misc]
            t, "reminder", {"reminder": r, "is_trial": k == "trial", "end_date": END.isoformat()}
        )
        for which in Reminder
        for kind in ("trial", "paid")
    },
    "reminders": lambda t: own.reminders(t, is_on=True, hours=3),
    "reminders: off": lambda t: own.reminders(t, is_on=False, hours=14),
    "notice: refunded": lambda t: notice_of(t, "refunded", BACK_499 | {"end_date": END.isoformat()}),
    "notice: refunded, nothing left": lambda t: notice_of(t, "refunded", BACK_499 | {"end_date": None}),
    "history: empty": lambda t: own.history(t, []),
    "support": lambda t: own.support(t, CUSTOMER, PAID, contact="@helper"),
    "support: stranger": lambda t: own.support(
        t, replace(CUSTOMER, platform=None), None, contact="helper", about_money=True
    ),
    "support: nobody": lambda t: own.support(t, CUSTOMER, None, contact=""),
    "trouble": trouble.choose,
    "trouble: words": trouble.ask_words,
    "trouble: waiting": lambda t: about_payment(t, OPENING, SUCCEEDED, is_waiting=True, is_known=True),
    "trouble: delayed": lambda t: about_payment(t, DELAYED, SUCCEEDED, is_waiting=True),
    "trouble: pending": lambda t: about_payment(t, None, WAITING),
    "trouble: kept": lambda t: about_payment(t, None, KEPT),
    "trouble: refunded": lambda t: about_payment(t, ENDED, SUCCEEDED, given_back=SUCCEEDED.paid),
    "trouble: open": lambda t: about_payment(t, PAID, SUCCEEDED),
    "trouble: ended": lambda t: about_payment(t, ENDED, SUCCEEDED),
    "trouble: nothing": lambda t: about_payment(t, None, None),
    "trouble: connection": lambda t: trouble.about_connection(t, PAID, contact="@helper", is_known=False),
    "trouble: connection, opening": lambda t: trouble.about_connection(
        t, DELAYED, contact="@helper", is_known=True
    ),
    "trouble: connection, ended": lambda t: trouble.about_connection(
        t, ENDED, contact="@helper", is_known=False
    ),
    "trouble: connection, stranger": lambda t: trouble.about_connection(
        t, None, contact="@helper", is_known=False
    ),
    "trouble: thanks": lambda t: trouble.thanks(t, contact="@helper", is_known=True),
    "trouble: thanks, nobody": lambda t: trouble.thanks(t, contact="", is_known=False),
    "trouble: too many": lambda t: trouble.too_many(t, contact="@helper"),
    **{
        f"notice: trouble, {about}": lambda t, a=about: notice_of(t, "trouble", {"about": a, "words": {}})  # type: ignore[misc]
        for about in Text
    },
    "notice: works again": lambda t: notice_of(t, "works_again", {"about": "delay", "words": {}}),
    "notice: trouble, own words": lambda t: notice_of(
        t, "trouble", {"about": "other", "words": {"ru": "Меняем <сервер>.", "en": "A new <server>."}}
    ),
    "terms": lambda t: menu.terms(t, url='https://shop.example/?a="b"&c'),
    "terms: no link": lambda t: menu.terms(t, url=None),
    "help": menu.about,
    "language": menu.choose_language,
    "notice: open": lambda t: notice_of(t, "access_open", PAID_499),
    "notice: renewed": lambda t: notice_of(t, "access_open", PAID_499, has_connected=True),
    "notice: trial open": lambda t: notice_of(t, "access_open", {"cause": "trial"}),
    "notice: delayed": lambda t: notice_of(t, "access_delayed", PAID_499),
    "notice: trial delayed": lambda t: notice_of(t, "access_delayed", {"cause": "trial"}),
}


def texts(language: str = "ru") -> Texts:
    return texts_of(language, ZoneInfo("Europe/Moscow"), now=NOW)


def read(name: str, language: str = "ru") -> str:
    return plain(SCREENS[name](texts(language)).text)


def rows(name: str) -> list[list[str]]:
    return [[breakable(button.text) for button in row] for row in SCREENS[name](texts()).rows]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", SCREENS)
def test_telegram_takes_every_screen_in_both_languages(name: str, language: str) -> None:
    screen = SCREENS[name](texts(language))
    assert plain(screen.text, longest=1024 if name.endswith("qr") else 4096)
    assert screen.rows
    for row in screen.rows:
        assert 1 <= len(row) <= 2
        for button in row:
            markup = button.markup()
            assert len([a for a in (markup.callback_data, markup.url, markup.copy_text) if a]) == 1
            assert len((markup.callback_data or "").encode()) <= 64
            assert markup.copy_text is None or len(markup.copy_text.text) <= 256
            assert is_web_address(markup.url or "https://")


@pytest.mark.parametrize("name", SCREENS)
def test_the_way_back_is_last_and_alone(name: str) -> None:
    *before, last = SCREENS[name](texts()).rows
    if name.startswith("menu"):
        assert [button.text for button in last] == ["Поддержка", "Language: English"]
        return
    assert len(last) == 1
    assert last[0].text in {"‹ В меню", "‹ Назад"}
    assert not [b for row in before for b in row if b.text.startswith("‹")]


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_has_at_most_four_rows(name: str) -> None:
    assert len(SCREENS[name](texts()).rows) <= 4


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", SCREENS)
def test_a_button_of_half_a_row_is_short_enough_to_be_read_on_a_phone(name: str, language: str) -> None:
    halves = [button.text for row in SCREENS[name](texts(language)).rows if len(row) > 1 for button in row]
    assert [text for text in halves if len(text) > 17] == []


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_says_first_and_in_bold_where_i_am(name: str) -> None:
    if not name.endswith("qr"):  # a picture says it by itself
        first = SCREENS[name](texts()).text.split("\n")[0]
        assert first.startswith("<b>")
        assert first.endswith("</b>")


@pytest.mark.parametrize("name", SCREENS)
def test_a_line_has_at_most_one_icon(name: str) -> None:
    screen = SCREENS[name](texts())
    said = [*screen.text.split("\n"), *(button.text for row in screen.rows for button in row)]
    assert all(sum(c == "⭐" or ord(c) >= 0x1F300 for c in line) <= 1 for line in said)


@pytest.mark.parametrize("name", [name for name in SCREENS if "trial" in name])
def test_a_trial_is_never_called_paid(name: str) -> None:
    if not name.startswith("order"):
        assert "плач" not in read(name).lower()
        assert "Последняя оплата" not in read(name)


@pytest.mark.parametrize(
    "name", [n for n in SCREENS if any(w in n for w in ("opening", "delayed", "renewing"))]
)
def test_access_is_not_called_open_before_the_panel_has_confirmed_it(name: str) -> None:
    assert "Доступ открыт" not in read(name)
    assert "работает до" not in read(name)
    assert "апишем" in read(name)  # what happens next


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none", ["Быстрый и спокойный VPN. Доступ открывается сразу после оплаты."]),
        ("paid", ["Подписка работает до 30 апреля, 18:00 (МСК)", "Осталось 12 дней"]),
        (
            "opening",
            [
                "Подписка оплачена до 30 апреля, 18:00 (МСК)",
                "Открываем доступ. Напишем, когда он заработает.",
            ],
        ),
        (
            "renewing",
            [
                "Подписка оплачена до 30 апреля, 18:00 (МСК)",
                "Обновляем доступ. Напишем, когда новый срок вступит в силу.",
            ],
        ),
        ("ended", ["Подписка закончилась 17 апреля"]),
        ("trial", ["Пробный период работает до 21 апреля, 18:00 (МСК)", "Осталось 3 дня"]),
        (
            "trial opening",
            [
                "Пробный период до 21 апреля, 18:00 (МСК)",
                "Открываем доступ. Напишем, когда он заработает.",
            ],
        ),
        ("trial ended", ["Пробный период закончился 17 апреля"]),
    ],
)
def test_the_menu_says_how_it_stands(name: str, said: list[str]) -> None:
    assert read(f"menu: {name}").split("\n")[2 : 2 + len(said)] == said


@pytest.mark.parametrize(
    ("name", "main"),
    [
        ("menu: trial offered", [["Попробовать бесплатно: 3 дня"], ["Купить подписку"]]),
        ("menu: none", [["Купить подписку"]]),
        ("menu: paid", [["Подключить"], ["Продлить", "Другой срок"]]),
        ("menu: ended", [["Продлить"], ["Другой срок"]]),
        ("menu: trial", [["Подключить"], ["Купить подписку"]]),
        ("menu: trial ended", [["Купить подписку"]]),
        ("subscription: paid", [["Подключить"], ["Продлить", "Другой срок"], ["Платежи", "Напоминания"]]),
        ("subscription: renewing", [["Подключить"], ["Продлить", "Другой срок"], ["Платежи", "Напоминания"]]),
        ("subscription: opening", [["Продлить", "Другой срок"], ["Платежи", "Напоминания"]]),
        ("subscription: ended", [["Продлить"], ["Другой срок"], ["Платежи", "Напоминания"]]),
        ("subscription: trial", [["Подключить"], ["Купить подписку"], ["Платежи", "Напоминания"]]),
        ("cannot connect: ended", [["Продлить"], ["Другой срок"]]),
        ("cannot connect: opening", [["Моя подписка"]]),
        ("cannot connect: none", [["Купить подписку"]]),
        ("order: waiting", [["Оплатить 499 ₽"], ["Проверить оплату"], ["Другой способ", "Отменить"]]),
        ("order: waiting, one way", [["Оплатить 499 ₽"], ["Проверить оплату"], ["Отменить"]]),
        ("order: no page yet", [["Другой способ", "Отменить"]]),
        ("order: kept", [["Поддержка"]]),
        ("order: kept, canceled", [["Поддержка"]]),
        ("order: paid, paid", [["Подключить"]]),
        ("order: renewed", [["Моя подписка"]]),
        ("help", [["Что-то не работает"], ["Поддержка"]]),
        ("order: paid, opening", [["Моя подписка"]]),
        ("order: paid, ended", [["Моя подписка"]]),
        ("order: insufficient_funds", [["Попробовать ещё раз"], ["Другой способ"], ["Поддержка"]]),
        ("order: insufficient_funds, one way", [["Попробовать ещё раз"], ["Поддержка"]]),
        ("order: refused: 400 invalid_request", [["Другой способ"], ["Поддержка"]]),
        ("order: refused: 400 invalid_request, one way", [["Поддержка"]]),
        ("order: canceled by the customer", [["Купить подписку"]]),
        ("notice: open", [["Подключить"]]),
        ("notice: renewed", [["Моя подписка"]]),
        ("notice: delayed", [["Моя подписка"]]),
        ("support: nobody", [["Что-то не работает"]]),
        ("trouble: waiting", [["Поддержка"]]),
        ("trouble: pending", [["Проверить оплату"], ["Поддержка"]]),
        ("trouble: open", [["Подключить"], ["Поддержка"]]),
        ("trouble: nothing", [["Поддержка"]]),
        ("trouble: ended", [["Продлить"], ["Другой срок"], ["Поддержка"]]),
        ("trouble: connection", [["Подключить заново"], ["Поддержка"]]),
        ("trouble: thanks, nobody", []),
    ],
)
def test_buttons_are_for_exactly_what_can_be_done_now(name: str, main: list[list[str]]) -> None:
    shown = rows(name)
    assert shown[: len(main)] == main
    if not name.startswith("menu"):
        assert len(shown) == len(main) + 1


def test_plans_show_price_price_a_month_and_what_is_saved() -> None:
    assert read("plans").split("\n") == [
        "Выберите срок",
        "Чем дольше срок, тем дешевле месяц.",
        "",
        "1 месяц: 199 ₽",
        "3 месяца: 499 ₽, обычный выбор",
        "  166 ₽ в месяц, выгода 17 %",
        "6 месяцев: 899 ₽",
        "  150 ₽ в месяц, выгода 25 %",
        "12 месяцев: 1 590 ₽",
        "  133 ₽ в месяц, выгода 33 %",
    ]
    assert rows("plans") == [
        ["1 мес. · 199 ₽", "3 мес. · 499 ₽"],
        ["6 мес. · 899 ₽", "12 мес. · 1 590 ₽"],
        ["‹ В меню"],
    ]


def test_the_choice_of_a_way_is_skipped_where_there_is_one() -> None:
    two, one = SCREENS["plans"](texts()), SCREENS["plans: one way"](texts())
    assert two.rows[0][0].markup().callback_data == "plan:1"
    assert one.rows[0][0].markup().callback_data == "buy:1:yookassa"


@pytest.mark.parametrize("name", ["plans: none", "plans: no way to pay"])
def test_a_shop_that_cannot_sell_says_so(name: str) -> None:
    assert "Сейчас ничего не продаётся" in read(name)
    assert rows(name) == [["‹ В меню"]]


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("insufficient_funds", "Банк ответил, что на карте не хватает денег.\nДеньги не списаны."),
        ("payment_method_limit_exceeded", "превышен лимит карты.\nДеньги не списаны."),
        ("card_expired", "проверьте номер, срок и код.\nДеньги не списаны."),
        ("3d_secure_failed", "не подтверждена кодом из банка.\nДеньги не списаны."),
        ("issuer_unavailable", "Банк сейчас не отвечает.\nДеньги не списаны."),
        ("expired_on_confirmation", "Время на оплату вышло.\nДеньги не списаны."),
        ("not paid in time", "Время на оплату вышло.\nЕсли деньги всё-таки придут"),
        ("fraud_suspected", "отклонили платёж.\nДеньги не списаны."),
        ("", "отклонили платёж.\nДеньги не списаны."),
        ("canceled by the customer", "Заказ отменён\nЕсли деньги всё-таки придут"),
        ("refused: 400 invalid_request", "Не получилось создать платёж\nДеньги не списаны."),
        ("the provider did not answer", "Не получилось создать платёж\nДеньги не списаны."),
        ("the money was credited to another order", "Заказ отменён\nДеньги, которые пришли по нему, зачтены"),
    ],
)
def test_an_order_without_money_says_why_and_whether_the_money_is_safe(reason: str, said: str) -> None:
    assert said in read(f"order: {reason}")
    assert "400" not in read(f"order: {reason}")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("order: waiting", "Оплата: 3 месяца\nК оплате: 499 ₽\n\nНажмите «Оплатить»."),
        (
            "order: no page yet",
            "Оплата: 3 месяца\nК оплате: 499 ₽\n\nПлатёжная система пока не отвечает. Деньги не списаны. Мы",
        ),
        (
            "order: kept",
            "Платёж проверяем вручную\nПлатёж по этому заказу пришёл, но не такой, как мы ждали:",
        ),
        ("order: paid", "Оплата получена: 499 ₽\nОткрываем доступ. Напишем, когда он заработает."),
        ("order: paid, opening", "Оплата получена: 499 ₽\nОткрываем доступ."),
        ("order: paid, renewing", "Оплата получена: 499 ₽\nОбновляем доступ."),
        ("order: paid, delayed", "Оплата получена: 499 ₽\nСервер доступа сейчас не отвечает."),
        ("order: paid, paid", "Оплата получена: 499 ₽\nДоступ открыт до 30 апреля, 18:00 (МСК)"),
        ("order: paid, ended", "Оплата получена: 499 ₽\nПодписка закончилась 17 апреля"),
        ("order: paid in Stars", "Оплата получена: ⭐ 300\n"),
    ],
)
def test_an_order_says_how_it_stands_and_what_happens_next(name: str, said: str) -> None:
    assert read(name).startswith(said)


def test_my_subscription_shows_traffic_with_a_bar_and_devices() -> None:
    assert read("subscription: usage").split("\n") == [
        "Моя подписка",
        "",
        "Подписка работает до 30 апреля, 18:00 (МСК)",
        "Осталось 12 дней",
        "Трафик: 12,4 ГБ из 100 ГБ",
        "▓░░░░░░░░░",
        "Устройства: 1 из 3",
        "Последняя оплата: Карта или СБП",
    ]


@pytest.mark.parametrize(
    ("limit", "devices", "said"),
    [
        (3, 0, "Устройства: 0 из 3"),
        (3, 5, "Устройства: 5 из 3"),
        (3, None, None),
        (None, 2, "Устройства: 2"),
        (0, 2, "Устройства: 2"),
        (None, 0, None),
        (0, None, None),
    ],
)
def test_devices_are_shown_where_there_is_something_to_say(
    limit: int | None, devices: int | None, said: str | None
) -> None:
    shown = own.subscription(texts(), PAID, replace(USAGE, device_limit=limit), devices).text
    assert [line for line in shown.split("\n") if "Устройства" in line] == ([said] if said else [])


@pytest.mark.parametrize(
    ("used", "bar"), [(0, "░" * 10), (55, "▓" * 6 + "░" * 4), (100, "▓" * 10), (250, "▓" * 10)]
)
def test_the_bar_of_traffic_never_leaves_its_frame(used: int, bar: str) -> None:
    usage = replace(USAGE, traffic_bytes=used, traffic_limit_bytes=100)
    assert bar in own.subscription(texts(), PAID, usage, None).text.split("\n")


def test_the_link_is_shown_to_be_copied_opened_and_is_safe_in_html() -> None:
    screen = SCREENS["connect: ios"](texts())
    assert read("connect: ios").split("\n")[-1] == LINK
    assert [button.url or button.copy for row in screen.rows[:2] for button in row][:2] == [LINK, LINK]


def test_a_link_that_is_no_web_address_gets_no_button_but_can_be_copied() -> None:
    screen = own.connect(texts(), "tv", "app://add/1")
    assert [button.text for button in screen.rows[0]] == ["Скопировать", "QR-код"]


def test_each_platform_is_told_what_to_do() -> None:
    assert "Happ TV" in read("connect: tv")
    assert "на телевизоре" in read("connect: tv")
    assert "1. Установите приложение Happ." in read("connect: android")


def test_payments_are_a_line_each_in_what_was_paid_with() -> None:
    assert read("history").split("\n")[2:] == [
        "18 апреля · 3 месяца · 499 ₽, деньги пришли, проверяем",
        "18 апреля · 3 месяца · 499 ₽, ждёт оплаты",
        "18 апреля · 3 месяца · ⭐ 300",
        "18 апреля · 3 месяца · 499 ₽",
    ]
    assert "Платежей пока нет." in read("history: empty")


def test_a_message_to_support_begins_with_what_we_know() -> None:
    url = SCREENS["support"](texts()).rows[1][0].url
    assert url is not None
    assert url.startswith("https://t.me/helper?text=%D0%9D%D0%BE%D0%BC%D0%B5%D1%80%3A%20101%0A")
    facts = ["Номер: 101", "Подписка работает до 30 апреля, 18:00 (МСК)", "Устройство: iPhone и iPad"]
    assert read("support").split("\n")[-3:] == facts


def test_a_shop_without_support_promises_none() -> None:
    assert "Продавец пока не указал, кому писать." in read("support: nobody")
    assert "Номер" not in read("support: nobody")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "open",
            """Оплата получена: 499 ₽
Доступ открыт до 30 апреля, 18:00 (МСК)
Осталось подключить устройство.""",
        ),
        ("renewed", "Оплата получена: 499 ₽\nДоступ открыт до 30 апреля, 18:00 (МСК)"),
        (
            "trial open",
            """Доступ открыт
Пробный период работает до 30 апреля, 18:00 (МСК)
Осталось подключить устройство.""",
        ),
        ("delayed", f"Оплата получена: 499 ₽\n{DELAY}"),
        ("trial delayed", f"Пробный период почти готов\n{DELAY}"),
    ],
)
def test_notices_say_one_thing(name: str, said: str) -> None:
    assert read(f"notice: {name}") == said


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("on_screen", "by_itself"),
    [
        ("order: paid, paid", "notice: open"),
        ("order: renewed", "notice: renewed"),
        ("order: paid, delayed", "notice: delayed"),
    ],
)
def test_news_of_a_payment_read_the_same_on_its_screen_and_by_themselves(
    on_screen: str, by_itself: str, language: str
) -> None:
    assert SCREENS[on_screen](texts(language)) == SCREENS[by_itself](texts(language))


def test_the_help_names_every_command_and_the_support() -> None:
    said = read("help")
    assert "Бот продаёт VPN-подписку" in said
    listed = [line.split(":")[0] for line in said.split("\n") if line.startswith("/")]
    assert listed == [f"/{name}" for name in menu.COMMANDS if name != "help"]
    assert "Нажмите «Поддержка»." in said


def test_a_notice_without_words_is_a_bug_that_shows() -> None:
    with pytest.raises(KeyError):
        notices.notice(texts(), "no_such_kind", {}, has_connected=False)


def test_the_terms_come_with_the_first_minute_only() -> None:
    assert "Продолжая, вы принимаете условия." in read("menu: none")
    assert "принимаете" not in read("menu: paid")
    assert "принимаете" not in plain(menu_of(texts(), None, terms_url=None).text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_shops_name_is_safe_in_html(language: str) -> None:
    assert read("menu: none", language).startswith("Тест <&>")
