"""A refund and the end of a subscription, as operators and customers live through them, in both languages."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Page, ViewportSize, expect

from browsing import DESK, PATIENCE, PHONE, button, fits, picture, shown
from folders import open_up
from getpro.sandbox.shop.actor import Actor
from getpro.sandbox.shop.judge import judge
from getpro.sandbox.shop.world import World, world

pytestmark = [
    pytest.mark.browser,
    pytest.mark.long,
    pytest.mark.timeout(180),
    pytest.mark.xdist_group("browser"),
]


@dataclass(frozen=True)
class Words:
    """Whom it is about, and what operator and customer read and press."""

    language: str
    operator: tuple[int, str]
    customer: tuple[int, str]
    message: str
    open: str
    day: str
    find: str
    whom: str
    card: str
    payments: str
    give_back: str
    why: str
    reason: str
    done: str
    told: str
    still_open: str
    mine: str
    came_back: str
    ended: str
    renew: str
    closed: str
    last_word: str
    another: str
    evening: str


RUSSIAN = Words(
    language="ru",
    operator=(1001, "Анна"),
    customer=(1002, "Борис"),
    message="Сообщение",
    open="Доступ открыт",
    day="Магазин сегодня",
    find="Найти клиента",
    whom="Кого найти?",
    card="С нами с",
    payments="Платежи",
    give_back="Вернуть 199 ₽",
    why="Почему возвращаем 199 ₽?",
    reason="передумал",
    done="Возвращено 199 ₽, клиенту сообщим сами",
    told="Деньги возвращены: 199 ₽",
    still_open="Доступ открыт до",
    mine="Моя подписка",
    came_back="199 ₽, возвращено 199 ₽",
    ended="Подписка закончилась",
    renew="Продлить",
    closed="Доступ к VPN закрыт",
    last_word="Больше об этом не напомним.",
    another="Другой срок",
    evening="изменено 10:0",
)
ENGLISH = Words(
    language="en",
    operator=(1003, "Olga"),
    customer=(1004, "Emma"),
    message="Message",
    open="Access is open",
    day="The shop today",
    find="Find a customer",
    whom="Whom shall we find?",
    card="With us since",
    payments="Payments",
    give_back="Refund 199 ₽",
    why="Why do we refund 199 ₽?",
    reason="changed her mind",
    done="199 ₽ refunded, the customer will be told",
    told="Refunded: 199 ₽",
    still_open="Your access is open until",
    mine="My subscription",
    came_back="199 ₽, 199 ₽ refunded",
    ended="Your subscription has ended",
    renew="Renew",
    closed="Your VPN access is closed",
    last_word="This is our last reminder.",
    another="Another plan",
    evening="edited 10:0",
)
BOTH = (RUSSIAN, ENGLISH)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    """A shop with an operator of each language, at ten in the morning: reminders come by day."""
    shop = {"operators": [words.operator[0] for words in BOTH]}
    async with world(open_up(tmp_path), durable=False, retry_scale=0.05, shop=shop) as running:
        now = running.clock().astimezone(ZoneInfo(running.time_zone))
        morning = now.replace(hour=10, minute=0, second=0, microsecond=0) + timedelta(days=1)
        await running.move_clock(round((morning - now).total_seconds()))
        for words in BOTH:
            for number, name in (words.operator, words.customer):
                running.telegram.state.add_person(number, name, language_code=words.language)
        yield running


async def test_money_goes_back_and_a_subscription_ends_in_the_chat_and_on_the_control_page_in_both_languages(
    here: World, phone: Page, desk: Page
) -> None:
    customers, control = {}, await desk.context.new_page()
    await control.goto(here.urls["control"])
    for words in BOTH:
        await two_months(here, words)
        customers[words.language] = await phone.context.new_page()
        await customers[words.language].goto(f"{here.urls['telegram']}/chat/{words.customer[0]}")
        await desk.goto(f"{here.urls['telegram']}/chat/{words.operator[0]}")
        await the_operator_gives_it_back(desk, words)
        await the_customer_reads_of_it(customers[words.language], words)
        await the_control_page_shows_it(control, words)

    await control.get_by_test_id("expiry").click()
    await control_says(control, "user", RUSSIAN.customer[1], "истекла")
    await the_end_is_told(customers["ru"], RUSSIAN)
    await move(
        control, "hour"
    )  # a few seconds lie between the two ends, and reminders are looked for by minutes
    await control_says(control, "user", ENGLISH.customer[1], "истекла")
    await the_end_is_told(customers["en"], ENGLISH)
    await both_sizes(control, "36-control-ended", DESK)

    await move(control, "day")
    await move(control, "hour")
    for words in BOTH:
        await the_last_word_is_said(customers[words.language], words)
        await control_says(control, "line", f"{words.customer[1]} · {words.closed[:20]}", "200")
    assert [(verdict.name, verdict.troubles) for verdict in judge(here)] == [
        (name, []) for words in BOTH for _, name in (words.operator, words.customer)
    ]


async def two_months(here: World, words: Words) -> None:
    actor, customer = Actor(here), here.telegram.state.people[words.customer[0]]
    await actor.start(customer)
    for _ in range(2):
        await actor.buy(customer, plan=1, provider="yookassa")
        here.yookassa.books.pay(actor.newest_payment())
        await actor.has_access(customer, words.open)


async def the_operator_gives_it_back(page: Page, words: Words) -> None:
    await say(page, "/admin", words)
    await shown(page, words.day)
    await button(page, words.find).click()
    await shown(page, words.whom)
    await say(page, str(words.customer[0]), words)
    await shown(page, words.card)
    await both_sizes(page, f"30-card-{words.language}", DESK)
    await button(page, words.payments).click()
    await button(page, "199").click()
    await shown(page, words.give_back[-5:])
    await both_sizes(page, f"31-payment-{words.language}", DESK)
    await button(page, words.give_back).click()
    await shown(page, words.why)
    await say(page, words.reason, words)
    await shown(page, words.done)
    await both_sizes(page, f"32-refunded-{words.language}", DESK)


async def the_customer_reads_of_it(page: Page, words: Words) -> None:
    told = page.get_by_test_id("message").filter(has_text=words.told)
    await expect(told.last).to_contain_text(words.still_open, timeout=PATIENCE)
    await expect(told.first).to_contain_text(words.evening)  # by the shop's clock, as all the bot's words
    await both_sizes(page, f"33-told-{words.language}", PHONE)
    await button(page, words.mine).click()
    await button(page, words.payments).click()
    await shown(page, words.came_back)
    await both_sizes(page, f"34-history-{words.language}", PHONE)


async def the_control_page_shows_it(page: Page, words: Words) -> None:
    await control_says(page, "line", "POST /v3/refunds", "200")
    await control_says(page, "line", "refund.succeeded", "200")
    await control_says(page, "line", f"{words.customer[1]} · {words.told}", "200")
    await control_says(page, "user", words.customer[1], "действует")
    await both_sizes(page, f"35-control-{words.language}", DESK)


async def control_says(page: Page, what: str, about: str, words: str) -> None:
    """The newest line, or the user on the panel."""
    found = page.get_by_test_id(what).filter(has_text=about)
    await expect(found.first).to_contain_text(words, timeout=PATIENCE)


async def move(page: Page, by: str) -> None:
    await expect(page.get_by_test_id(by)).to_be_enabled()
    await page.get_by_test_id(by).click()
    await expect(page.get_by_test_id(by)).to_be_enabled()


async def the_end_is_told(page: Page, words: Words) -> None:
    await shown(page, words.ended)
    await expect(button(page, words.renew)).to_be_visible()
    await both_sizes(page, f"37-ended-{words.language}", PHONE)


async def the_last_word_is_said(page: Page, words: Words) -> None:
    await shown(page, words.closed)
    await shown(page, words.last_word)
    await say(page, "/start", words)
    await expect(button(page, words.another)).to_be_visible()
    await both_sizes(page, f"38-start-{words.language}", PHONE)


async def say(page: Page, text: str, words: Words) -> None:
    await page.get_by_label(words.message, exact=True).fill(text)
    await page.keyboard.press("Enter")


async def both_sizes(page: Page, name: str, size: ViewportSize) -> None:
    """A picture for a phone and one for a desk; nothing sticks out at the side of either."""
    for each, called in ((PHONE, "phone"), (DESK, "desk")):
        await page.set_viewport_size(each)
        assert await fits(page), (name, called)
        await picture(page, f"{name}-{called}")
    await page.set_viewport_size(size)
