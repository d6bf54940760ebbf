"""An incident in the operators' group, as somebody answers it on a phone: docs/pictures/incident.png."""

import pytest
from playwright.async_api import Locator, Page, expect

from browsing import PATIENCE, button, fits, picture, side_by_side
from getpro.sandbox.shop.actor import Actor
from getpro.sandbox.shop.world import World
from getpro.sandbox.telegram import FIRST_PERSON

pytestmark = [
    pytest.mark.browser,
    pytest.mark.long,
    pytest.mark.timeout(180),
    pytest.mark.xdist_group("browser"),
]


async def test_an_incident_is_answered_on_a_phone(here: World, phone: Page) -> None:
    boris, actor = here.telegram.state.add_person(FIRST_PERSON + 1, "Борис"), Actor(here)
    await phone.goto(here.urls["telegram"])
    await phone.get_by_test_id("group").click()
    control = await phone.context.new_page()
    await control.goto(here.urls["control"])
    here.panel.faults.change({"away": True})
    await actor.start(boris)
    await actor.buy(boris, plan=1, provider="yookassa")
    here.yookassa.books.pay(actor.newest_payment())
    await actor.sees(boris, "Оплата получена")
    await to_the_next_routine(control)

    page = newest(phone)
    await expect(page).to_contain_text("🔴 L2 · Оплачено, но не выдано", timeout=PATIENCE)
    await expect(page).to_contain_text("Заплатили и ждут: 1")
    await taken(phone, page, "50-incident-called")
    await button(phone, "Взять").click()
    await expect(page).to_contain_text("взял @anna")
    await taken(phone, page, "51-incident-taken")
    here.panel.faults.clear()
    await here.move_clock(300)
    await actor.has_access(boris, "Доступ открыт")
    await to_the_next_routine(control)
    await expect(page).to_contain_text("Сигналов больше нет", timeout=PATIENCE)
    await button(phone, "Решён").click()
    await expect(page).to_contain_text("Ответьте на это сообщение")
    await page.get_by_test_id("answer").click()
    await phone.get_by_label("Сообщение").fill("Панель была выключена; включили её")
    await phone.keyboard.press("Enter")
    await expect(page).to_contain_text("Закроется, когда станет тихо")
    await here.move_clock(300)
    await expect(page).to_contain_text("🟢 L2", timeout=PATIENCE)
    await expect(page).to_contain_text("Сделано: включили её")
    await taken(phone, page, "52-incident-resolved")
    await side_by_side(phone, ("50-incident-called", "51-incident-taken", "52-incident-resolved"), "incident")


def newest(phone: Page) -> Locator:
    """The message that calls people: it has a number, and is kept true."""
    return phone.get_by_test_id("message").filter(has_text="№1 · с ").last


async def taken(phone: Page, page: Locator, name: str) -> None:
    await page.evaluate("one => one.scrollIntoView({ block: 'center' })")  # a report may have come after it
    await expect(page).to_be_in_viewport()
    assert await fits(phone)
    await picture(phone, name)


async def to_the_next_routine(control: Page) -> None:
    await expect(control.get_by_test_id("routine")).to_be_enabled(timeout=PATIENCE)
    await control.get_by_test_id("routine").click()
    await expect(control.get_by_test_id("routine")).to_be_enabled()
