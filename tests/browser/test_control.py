"""The control page on a phone and on a desk: a subscription lived to its end, faults, kills, lines."""

import re

import pytest
from playwright.async_api import Page, expect

from browsing import PATIENCE, button, fits, picture, shown
from getpro.sandbox.shop.actor import Actor
from getpro.sandbox.shop.world import BOT_TOKEN, CRYPTOPAY_TOKEN, PANEL_TOKEN, SECRET_KEY, World

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180), pytest.mark.xdist_group("browser")]


async def test_a_subscription_is_lived_through_to_its_end_on_the_page_in_the_chat_and_on_the_panel(
    here: World, phone: Page
) -> None:
    await phone.goto(here.urls["telegram"])
    await phone.get_by_role("button", name="Начать").click()
    await button(phone, "Попробовать бесплатно").click()
    await shown(phone, "Доступ открыт")
    await button(phone, "Подключить").click()
    await button(phone, "iPhone").click()
    await shown(phone, "Подключение: iPhone")

    control = await phone.context.new_page()
    await control.goto(here.urls["control"])
    await expect(control.get_by_test_id("shop")).to_have_text("● магазин работает")
    user = control.get_by_test_id("user")
    await expect(user).to_contain_text("Анна")
    await expect(user).to_contain_text("осталось 2 дн. 23 ч")
    assert await fits(control)
    await picture(control, "20-control-phone")
    await control.get_by_test_id("day").click()
    await expect(control.get_by_test_id("ahead")).to_have_text(", впереди на 1 дн.")
    await control.get_by_test_id("expiry").click()
    await expect(user).to_contain_text("истекла")
    await expect(user).to_have_attribute("data-status", "EXPIRED")
    newest = control.get_by_test_id("line")
    await expect(newest.filter(has_text="user.expired · tg_1001")).to_contain_text("200")
    await expect(newest.filter(has_text=re.compile("часы \\+1 д$"))).to_be_visible()
    assert await fits(control)
    await control.get_by_test_id("lines").scroll_into_view_if_needed()
    await picture(control, "21-control-expired-phone")

    await phone.get_by_label("Сообщение").fill("/start")
    await phone.keyboard.press("Enter")
    await shown(phone, "Пробный период закончился")
    await expect(phone.locator(".day")).to_have_count(1)
    await picture(phone, "22-chat-expired")
    await phone.goto(here.urls["panel"])
    await expect(phone.get_by_test_id("user")).to_contain_text("EXPIRED")

    written = await control.content() + str(here.timeline.since(0))
    [owner] = here.panel.state.users.values()
    for secret in (BOT_TOKEN, CRYPTOPAY_TOKEN, PANEL_TOKEN, SECRET_KEY, owner.shortUuid):
        assert secret not in written


async def test_faults_are_switched_the_shop_is_killed_and_lines_are_chosen_on_a_desk(
    here: World, desk: Page
) -> None:
    await desk.goto(here.urls["control"])
    await expect(desk.get_by_test_id("shop")).to_have_text("● магазин работает")
    panel = desk.get_by_test_id("service").filter(has_text="Панель")
    await panel.click()
    away = desk.get_by_test_id("away")
    await away.click()
    await expect(away).to_have_attribute("aria-pressed", "true")
    await expect(panel).to_have_text("Панель · 1")
    assert here.panel.faults.now.away

    anna, actor = here.telegram.state.add_person(1001, "Анна"), Actor(here)
    await actor.start(anna)
    await actor.press(anna, "go:trial")
    line = desk.get_by_test_id("line")
    await expect(line.filter(has_text="пишет «/start»")).to_contain_text("Анна → магазин")
    refused = line.filter(has_text="магазин → панель").filter(has_text="нет ответа").first
    await expect(refused).to_be_visible(timeout=PATIENCE)
    await desk.get_by_test_id("mend").click()
    await expect(panel).to_have_text("Панель")
    assert not here.panel.faults.now.away
    await actor.sees(anna, "Доступ открыт")

    await desk.get_by_role("button", name="Задачи").click()
    await expect(desk.locator(".lines [data-kind=job]").first).to_be_hidden()
    await desk.get_by_role("button", name="Задачи").click()
    await expect(desk.locator(".lines [data-kind=job]").first).to_be_visible()
    assert await fits(desk)
    await picture(desk, "23-control-desk")

    await desk.get_by_test_id("kill-all").click()
    await expect(desk.get_by_test_id("shop")).to_have_text("○ магазин убит, поднимается…")
    assert (here.product.is_running, here.cluster.server_pid()) == (False, None)
    await here.revive()
    await expect(desk.get_by_test_id("shop")).to_have_text("● магазин работает")
    await desk.emulate_media(color_scheme="dark")
    await picture(desk, "24-control-desk-dark")
