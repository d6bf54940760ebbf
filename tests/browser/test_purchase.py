"""A phone's browser: a customer buys by card in the chat page, connects, and the shop is killed meanwhile."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, async_playwright, expect

from folders import open_up
from getpro.sandbox.shop.judge import judge
from getpro.sandbox.shop.world import World, world

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180), pytest.mark.xdist_group("browser")]

PICTURES = Path(__file__).parents[2] / "artifacts" / "browser"
PHONE = {"width": 390, "height": 844}
CHROMIUM = "/usr/bin/chromium"
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
"""As root, and without a word to anybody outside."""
PATIENCE = 20_000


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        await browser.close()


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(open_up(tmp_path), durable=False, retry_scale=0.05, with_kill_switch=True) as running:
        yield running


@pytest.fixture
async def phone(here: World) -> AsyncIterator[Page]:
    """A page of a phone's width, in Russian. Anything on its console that is wrong fails the test."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    wrong: list[str] = []
    async with chromium() as browser:
        context = await browser.new_context(viewport=PHONE, locale="ru-RU", device_scale_factor=2)  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE)
        context.on("weberror", lambda error: wrong.append(str(error.error)))
        context.on(
            "console", lambda said: wrong.append(said.text) if said.type in {"error", "warning"} else None
        )
        page = await context.new_page()
        yield page
        await context.close()
    assert wrong == []


def button(page: Page, text: str) -> Locator:
    """The newest button in the chat that begins so."""
    return page.get_by_test_id("button").filter(has_text=text).last


async def shown(page: Page, text: str) -> None:
    await expect(page.get_by_test_id("message").filter(has_text=text).last).to_be_visible(timeout=PATIENCE)


async def picture(page: Page, name: str) -> None:
    await page.screenshot(path=PICTURES / f"{name}.png")


async def fits(page: Page) -> bool:
    """Whether nothing sticks out at the side of a phone."""
    return bool(
        await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    )


async def test_a_customer_buys_by_card_connects_and_a_killed_shop_loses_nothing(
    here: World, phone: Page
) -> None:
    await phone.goto(here.urls["telegram"])
    await phone.get_by_role("button", name="Начать").click()
    await shown(phone, "2GETPRO VPN")
    await picture(phone, "1-start")
    await button(phone, "Купить подписку").click()
    await shown(phone, "Выберите срок")
    await picture(phone, "2-plans")
    await button(phone, "1 мес.").click()
    await shown(phone, "Как оплатить?")
    await picture(phone, "3-ways")
    await button(phone, "Карта или СБП").click()
    await shown(phone, "К оплате")
    await picture(phone, "4-waiting")
    assert await fits(phone)

    async with phone.context.expect_page() as opened:
        await button(phone, "Оплатить").click()
    payment = await opened.value
    await expect(payment.get_by_test_id("pay")).to_be_visible()
    assert await fits(payment)
    await picture(payment, "5-payment-page")
    await here.product.kill()
    await payment.get_by_test_id("pay").click()
    await expect(payment.get_by_test_id("state")).to_have_text("✓ Оплачено")
    await picture(payment, "6-paid")
    await payment.close()
    await here.product.start()

    await shown(phone, "Доступ открыт")
    await picture(phone, "7-open")
    await button(phone, "Подключить").click()
    await button(phone, "iPhone").click()
    await shown(phone, "Подключение: iPhone")
    await picture(phone, "8-connect")
    await button(phone, "QR-код").click()
    await expect(phone.locator(".bubble img")).to_be_visible()
    await picture(phone, "9-qr")

    await phone.goto(here.urls["panel"])
    await expect(phone.get_by_test_id("user")).to_have_count(1)
    await expect(phone.get_by_test_id("user")).to_contain_text("ACTIVE")
    assert await fits(phone)
    await picture(phone, "10-panel")
    assert [verdict.troubles for verdict in judge(here)] == [[]]
    assert here.telegram.state.unknown_parameters == []


async def test_a_customer_pays_with_stars_by_keyboard_alone_in_the_dark(here: World, phone: Page) -> None:
    await phone.emulate_media(color_scheme="dark")
    await phone.goto(here.urls["telegram"])
    await phone.get_by_label("Сообщение").fill("/plans")
    await phone.keyboard.press("Enter")
    await shown(phone, "Выберите срок")
    await press_by_keyboard(phone, button(phone, "3 мес."))
    await shown(phone, "Как оплатить?")
    await press_by_keyboard(phone, button(phone, "Telegram Stars"))
    await shown(phone, "К оплате")
    await press_by_keyboard(phone, button(phone, "Оплатить"))
    await expect(phone.get_by_test_id("invoice")).to_be_visible()
    await picture(phone, "11-stars-dark")
    await press_by_keyboard(phone, phone.get_by_test_id("pay-stars"))
    await shown(phone, "Доступ открыт")
    await picture(phone, "12-open-dark")
    assert [verdict.troubles for verdict in judge(here)] == [[]]


async def press_by_keyboard(page: Page, what: Locator) -> None:
    await what.focus()
    await page.keyboard.press("Enter")
