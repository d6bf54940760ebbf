"""A phone's browser: a customer buys by card in the chat page, connects, and the shop is killed meanwhile."""

import pytest
from playwright.async_api import Locator, Page, expect

from browsing import PHONE, button, chromium, fits, picture, shown
from getpro.sandbox.shop.judge import judge
from getpro.sandbox.shop.world import World

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180), pytest.mark.xdist_group("browser")]


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


async def test_a_sandbox_that_has_died_is_told_and_nothing_typed_is_lost(here: World) -> None:
    async with chromium() as browser:
        page = await browser.new_page(viewport=PHONE, locale="ru-RU")
        await page.goto(here.urls["telegram"])
        text, away = page.get_by_label("Сообщение"), page.get_by_test_id("away")
        await expect(away).to_be_hidden()
        await page.route("**/_sandbox/**", lambda route: route.abort())
        await text.fill("/start")
        await page.keyboard.press("Enter")
        await expect(away).to_be_visible()
        await expect(text).to_have_value("/start")
        await page.unroute_all()
        await page.keyboard.press("Enter")
        await shown(page, "2GETPRO VPN")
        await expect(away).to_be_hidden()
