"""The simulators' pages in a browser: what turns there by itself."""

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, async_playwright, expect

from getpro.sandbox.providers.cryptopay import CryptoPaySimulator
from getpro.sandbox.providers.yookassa import YooKassaSimulator
from getpro.sandbox.serving import serving
from getpro.sandbox.telegram import TelegramSimulator

pytestmark = [pytest.mark.browser, pytest.mark.timeout(60), pytest.mark.xdist_group("browser")]


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """A page of a phone's width; none of its scripts may fail."""
    wrong: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
        )
        page = await browser.new_page(viewport={"width": 390, "height": 844}, locale="ru-RU")
        page.on("pageerror", lambda error: wrong.append(str(error)))
        yield page
        await browser.close()
    assert wrong == []


async def test_a_late_payment_is_counted_down_and_the_page_turns_when_it_is_paid(page: Page) -> None:
    yookassa = YooKassaSimulator("1", "key")
    order = {
        "amount": {"value": "199.50", "currency": "RUB"},
        "capture": True,
        "confirmation": {"type": "redirect", "return_url": "http://127.0.0.1/back"},
    }
    number = yookassa.books.create_payment(order)["id"]
    async with serving(yookassa.app) as url:
        await page.goto(f"{url}/pay/{number}")
        await expect(page.get_by_test_id("amount")).to_have_text("199,50\xa0₽")
        await page.get_by_test_id("pay-late").click()
        state = page.get_by_test_id("state")
        await expect(state).to_have_text(re.compile("^Деньги спишутся через 1[45]\xa0с$"))
        await expect(page.get_by_test_id("pay")).to_have_count(0)
        await expect(state).to_have_text(re.compile("через 1[23]\xa0с"))
        yookassa.books.pay(number)
        await expect(state).to_have_text("✓ Оплачено")
        await expect(page.get_by_test_id("back")).to_have_class(re.compile("main"))


async def test_the_coins_of_an_invoice_fit_on_a_phone_and_one_of_them_pays(page: Page) -> None:
    crypto = CryptoPaySimulator("1:TEST")
    async with serving(crypto.app) as url:
        crypto._base_url = url
        invoice = crypto.books.create_invoice({"currency_type": "fiat", "fiat": "RUB", "amount": "1590"})
        await page.goto(invoice["bot_invoice_url"])
        card = await page.locator(".card").bounding_box()
        assert card is not None
        for coin in await page.locator(".coins button").all():
            place = await coin.bounding_box()
            assert place is not None
            assert place["x"] + place["width"] <= card["x"] + card["width"] - 10
        await page.get_by_test_id("pay-BTC").click()
        await expect(page.get_by_test_id("state")).to_have_text("✓ Оплачено: 0,00019875\xa0BTC")


async def test_a_chat_of_a_sandbox_that_was_started_anew_becomes_the_first_one(page: Page) -> None:
    telegram = TelegramSimulator("42:TEST")
    boris = telegram.state.add_person(7, "Борис")
    async with serving(telegram.app) as url:
        await page.goto(f"{url}/chat/7")
        await expect(page.get_by_test_id("person")).to_have_text("Борис")
        # So it is after Ctrl-C and a new start: the page is open, and nobody knows its person.
        telegram.state.people.clear()
        boris.version += 1
        await expect(page.get_by_test_id("person")).to_have_text("Анна")
        await page.goto(f"{url}/chat/7")
        await expect(page.get_by_test_id("person")).to_have_text("Анна")
