"""The time line: what it shows of what crosses a border, and what it never shows."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from getpro.sandbox.panel import PanelSimulator
from getpro.sandbox.providers.yookassa import YooKassaSimulator
from getpro.sandbox.serving import serving
from getpro.sandbox.telegram import TelegramSimulator
from getpro.sandbox.timeline import KEPT, Crossing, Timeline, short

TOKEN = "7000000001:AAsecret-token-of-the-bot-0123456789"
LINK = "https://panel.example/api/sub/Xy12secret"


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def shown(timeline: Timeline) -> list[tuple[str, str, str, str, str]]:
    return [(e.kind, e.who, e.whom, e.what, e.outcome) for e in timeline.since(0)]


def text_of(lines: list[Crossing]) -> str:
    return " ".join(str(line) for line in lines)


async def test_a_call_of_the_bot_stands_there_in_a_line_without_token_or_link(
    http: aiohttp.ClientSession,
) -> None:
    telegram = TelegramSimulator(TOKEN)
    telegram.people.send(telegram.state.add_person(7, "Анна"), "/start")
    async with serving(telegram.app) as url:
        message = {"chat_id": 7, "text": f"<b>Доступ открыт</b> {LINK}\n{LINK}", "parse_mode": "HTML"}
        async with http.post(f"{url}/bot{TOKEN}/sendMessage", json=message) as answer:
            assert answer.status == 200
        async with http.post(f"{url}/bot{TOKEN}/sendMessage", json={"chat_id": 8, "text": "x"}) as answer:
            assert answer.status == 400
    assert shown(telegram.timeline) == [
        ("call", "магазин", "Telegram", "sendMessage · Анна · Доступ открыт ‹ссылка›", "200"),
        ("call", "магазин", "Telegram", "sendMessage · x", "400"),
    ]
    assert [line.is_good for line in telegram.timeline.since(0)] == [True, False]
    assert TOKEN not in text_of(telegram.timeline.since(0))
    assert "Xy12secret" not in text_of(telegram.timeline.since(0))


async def test_a_lost_answer_is_no_answer_and_a_page_is_no_call(http: aiohttp.ClientSession) -> None:
    panel = PanelSimulator("T")
    proxied = {"Authorization": "Bearer T", "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https"}
    async with serving(panel.app) as url:
        async with http.get(f"{url}/"):
            pass
        panel.faults.change({"lose_answer_rate": 1})
        with pytest.raises(aiohttp.ClientError):
            await http.get(f"{url}/api/users/by-short-uuid/Xy12secret", headers=proxied)
        panel.faults.clear()
        async with http.get(f"{url}/api/sub/Xy12secret"):
            pass  # a customer's program fetches its configuration
    calls = dict.fromkeys(line[1:] for line in shown(panel.timeline))  # the client asks again by itself
    assert list(calls) == [
        ("магазин", "панель", "GET /api/users/by-short-uuid/{short}", "нет ответа"),
        ("клиент", "панель", "GET /api/sub/{short}", "404"),
    ]


async def test_updates_and_notices_stand_there_with_what_the_shop_answered() -> None:
    statuses = iter([500, 200, 200])

    async def door(_: web.Request) -> web.Response:
        return web.Response(status=next(statuses))

    shop = web.Application()
    shop.router.add_post("/hook", door)
    telegram = TelegramSimulator(TOKEN, retry_scale=0.01)
    order: dict[str, Any] = {"amount": {"value": "199.00", "currency": "RUB"}, "capture": True}
    async with serving(shop) as address, serving(telegram.app):
        yookassa = YooKassaSimulator("1", "key", webhook_url=f"{address}/hook", timeline=telegram.timeline)
        telegram.delivery.set_webhook(f"{address}/hook", "s", 40, None, drop=False)
        telegram.people.send(telegram.state.add_person(7, "Анна"), f"гляди: {LINK}")
        await lines(telegram.timeline, 2)
        async with serving(yookassa.app):
            yookassa.books.pay(yookassa.books.create_payment(order)["id"])
            await lines(telegram.timeline, 3)
    assert shown(telegram.timeline) == [
        ("update", "Анна", "магазин", "пишет «гляди: ‹ссылка›»", "500"),
        ("update", "Анна", "магазин", "пишет «гляди: ‹ссылка›»", "200"),
        ("notice", "ЮKassa", "магазин", "payment.succeeded · 199.00 RUB", "200"),
    ]


async def lines(timeline: Timeline, count: int) -> None:
    async with asyncio.timeout(5):
        while len(timeline.since(0)) < count:
            await asyncio.sleep(0.01)


def test_a_routine_counts_on_in_its_line_until_something_else_happens() -> None:
    at = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    timeline = Timeline(lambda: at)

    def routine(what: str) -> None:
        timeline.add("job", "очередь", "магазин", what, "готово", is_routine=True)

    for what in ("expire", "sweep", "expire"):
        routine(what)
    assert [(line.what, line.times) for line in timeline.since(0)] == [("sweep", 1), ("expire", 2)]
    assert [line.key for line in timeline.since(0)] == [2, 1]
    timeline.add("sandbox", "песочница", "", "часы переведены", "")
    routine("expire")
    assert [(line.what, line.times) for line in timeline.since(3)] == [("часы переведены", 1), ("expire", 1)]


def test_only_the_newest_lines_are_kept() -> None:
    timeline = Timeline()
    for number in range(KEPT + 10):
        timeline.add("job", "очередь", "магазин", f"deliver {number}", "готово")
    assert [line.what for line in timeline.since(0)][:: KEPT - 1] == ["deliver 10", f"deliver {KEPT + 9}"]


@pytest.mark.parametrize(
    ("said", "stands"),
    [
        (f"Ссылка: {LINK} здесь", "Ссылка: ‹ссылка› здесь"),
        ("happ://add/abc", "‹ссылка›"),
        (f"token {TOKEN}!", "token •••!"),
        ("<b>Оплата</b>\nдальше", "Оплата"),
        ("а" * 100, "а" * 90 + "…"),
        ("subscription-request-history", "subscription-request-history"),
    ],
)
def test_words_are_shortened_and_masked(said: str, stands: str) -> None:
    assert short(said) == stands
