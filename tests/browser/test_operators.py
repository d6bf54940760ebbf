"""The operators' group beside the customers' chats: a day of reports, a picture, a command."""

import re
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from playwright.async_api import Locator, Page, expect

from browsing import DESK, PATIENCE, PHONE, fits, picture, shown, side_by_side, watched_page
from getpro.sandbox.serving import serving
from getpro.sandbox.shop.actor import Actor
from getpro.sandbox.shop.world import BOT_TOKEN, World
from getpro.sandbox.telegram import FIRST_GROUP, FIRST_PERSON, TelegramSimulator
from getpro.sandbox.telegram.state import Person

pytestmark = [
    pytest.mark.browser,
    pytest.mark.long,
    pytest.mark.timeout(180),
    pytest.mark.xdist_group("browser"),
]

CHART = Path(__file__).parents[2] / "docs" / "pictures" / "chat.png"


async def test_a_monday_of_the_operators_is_seen_in_their_group(here: World, phone: Page) -> None:
    """The last picture of it is docs/pictures/operators.png."""
    now = here.clock().astimezone(ZoneInfo(here.time_zone))
    monday = now.replace(hour=8, minute=20, second=0, microsecond=0) + timedelta(days=7 - now.weekday())
    if (sunday := monday - timedelta(hours=16)) <= now:  # whoever runs this on a Sunday evening
        sunday += timedelta(days=7)
    await here.move_clock(round((sunday - now).total_seconds()))
    anna = here.telegram.state.people[FIRST_PERSON]
    boris = here.telegram.state.add_person(FIRST_PERSON + 1, "Борис")
    await pays(here, anna, plan=2)
    await Actor(here).has_access(anna, "Доступ открыт")

    await phone.goto(here.urls["control"])
    await phone.get_by_test_id("operators").click()
    await expect(phone.get_by_test_id("group")).to_have_attribute("aria-current", "page")
    await expect(phone.get_by_text("Бот теперь в группе")).to_be_visible()
    await phone.get_by_test_id("person").first.click()
    await shown(phone, "Доступ открыт")
    await phone.get_by_test_id("group").click()
    await here.move_clock(16 * 3600)

    control = await phone.context.new_page()
    await control.goto(here.urls["control"])
    await reported(phone, "Вечерняя проверка", "08:20")  # a leap brings what was missed
    for hour, title in (("09:00", "Утренняя проверка"), ("09:30", "Понедельник: неделя в цифрах")):
        await to_the_next(control)
        report = await reported(phone, title, hour)
        await expect(report.locator(".author")).to_have_text("2GETPRO")
        await expect(report.locator("b")).to_have_text(title)
    await expect(phone.get_by_test_id("message").last).to_contain_text("выручка 499")
    line = control.get_by_test_id("line").filter(has_text="Операторы · 🟢 Понедельник")
    await expect(line.first).to_contain_text("200")
    assert await fits(control)
    await picture(control, "40-operators-control")
    await both_sizes(phone, "41-operators-morning")

    await here.move_clock(7 * 3600)
    await reported(phone, "🟢 Проверка каждые два часа", "16:30")
    here.panel.faults.change({"away": True})
    await pays(here, boris, plan=1)
    await Actor(here).sees(boris, "Оплата получена")
    await to_the_next(control)
    await reported(phone, "Вечерняя проверка", "18:00")
    watch = await reported(phone, "🔴 Проверка каждые два часа", "18:00")
    await expect(watch).to_contain_text("🔴 Оплачено, но не выдано: ждут 1")
    await both_sizes(phone, "42-operators-evening")
    names = ("40-operators-control", "41-operators-morning-phone", "42-operators-evening-phone")
    await side_by_side(phone, names, "operators")


async def pays(here: World, person: Person, *, plan: int) -> None:
    actor = Actor(here)
    await actor.start(person)
    await actor.buy(person, plan=plan, provider="yookassa")
    here.yookassa.books.pay(actor.newest_payment())


async def to_the_next(control: Page) -> None:
    """Move the clock to the next routine."""
    await expect(control.get_by_test_id("routine")).to_be_enabled()
    await control.get_by_test_id("routine").click()
    await expect(control.get_by_test_id("routine")).to_be_enabled()


async def reported(page: Page, title: str, hour: str) -> Locator:
    """The report of that hour, by the first line, which is its own: it may have been sent later."""
    report = page.get_by_test_id("message").filter(has_text=re.compile(rf"{title}, \d\d\.\d\d {hour}"))
    await expect(report).to_be_visible(timeout=PATIENCE)
    return report


async def both_sizes(page: Page, name: str) -> None:
    for size, called in ((DESK, "desk"), (PHONE, "phone")):
        await page.set_viewport_size(size)
        assert await fits(page)
        await page.get_by_test_id("message").last.scroll_into_view_if_needed()
        await picture(page, f"{name}-{called}")


async def test_a_picture_comes_whole_and_the_bot_is_put_out_of_the_group_and_back() -> None:
    telegram = TelegramSimulator(BOT_TOKEN)
    anna = telegram.first_person()
    group = telegram.state.add_group(FIRST_GROUP, "Операторы", [anna])
    telegram.people.add_bot(anna, group)
    async with serving(telegram.app) as url, watched_page(PHONE) as phone:
        await phone.goto(f"{url}/chat/{FIRST_GROUP}")
        given = {"chat_id": str(FIRST_GROUP), "caption": "<b>Неделя</b>", "parse_mode": "HTML"}
        form = aiohttp.FormData(given)
        form.add_field("photo", CHART.read_bytes(), filename="week.png", content_type="image/png")
        send = f"{url}/bot{BOT_TOKEN}/sendPhoto"
        async with aiohttp.ClientSession() as http, http.post(send, data=form) as answer:
            assert answer.status == 200
        await shown(phone, "Неделя")
        image = phone.locator(".bubble img")
        await expect(image).to_have_js_property("complete", value=True)
        own = await image.evaluate("image => image.naturalWidth / image.naturalHeight")
        assert await image.evaluate("image => image.width / image.height") == pytest.approx(own, rel=0.02)
        assert await fits(phone)
        await phone.get_by_label("Сообщение").fill("спасибо")
        await phone.keyboard.press("Enter")
        await expect(phone.locator(".message.mine")).to_contain_text("спасибо")
        await picture(phone, "43-operators-picture")
        await phone.get_by_test_id("block").click()
        await expect(phone.get_by_text("Бота больше нет в группе")).to_be_visible()
        await expect(phone.get_by_test_id("block")).to_have_text("Вернуть бота")
        await phone.emulate_media(color_scheme="dark")
        await picture(phone, "44-operators-dark")
        await phone.get_by_test_id("block").click()
        await expect(phone.get_by_test_id("block")).to_have_text("Удалить бота")
        assert group.has_bot
