"""What is done about an incident from its page: shown first, confirmed once, undone, on the time line."""

from datetime import timedelta

import pytest

from duty import CHAT, OLGA, TIMUR, Watch
from getpro.catalog import closures
from getpro.incidents import deeds, impact, service, store, tellings, weighing
from getpro.incidents.errors import CannotDo, NotAllowed
from getpro.incidents.impact import Impact, asked_level
from getpro.incidents.signals import Signal, raise_signal, signal_over
from getpro.incidents.states import DEED_MOVES, DeedKind, DeedState, Level, Source
from getpro.incidents.team import Actor
from getpro.kit.money import Money
from getpro.sandbox.telegram.state import Person
from incidents.customers import Customers
from shop import NOW

BY = Actor("Ольга")
BANK = "Банк чинит <шлюз>."


@pytest.fixture
def people(staffed: Watch) -> Customers:
    return Customers(staffed)


async def opened(watch: Watch, level: Level = Level.L2) -> None:
    async with watch.deps.db.begin("test") as session:
        await service.open_by_hand(session, watch.deps, "Беда", level=level, by=BY)
    await watch.work()


@pytest.fixture
async def paged(staffed: Watch) -> Watch:
    await opened(staffed)
    return staffed


async def resolved(watch: Watch) -> None:
    async with watch.deps.db.begin("test") as session:
        await service.resolve(session, watch.deps, 1, by=BY, cause="панель", fix="подняли")


def read(watch: Watch, chat_id: int = CHAT) -> list[str]:
    return watch.shown(chat_id).replace("\N{NO-BREAK SPACE}", " ").splitlines()


async def shop_is_closed(watch: Watch) -> bool:
    async with watch.deps.db.read("test") as session:
        return (await closures.read(session)).shop is not None


def test_every_state_of_a_deed_has_its_moves() -> None:
    assert set(DEED_MOVES) == set(DeedState)


@pytest.mark.parametrize(
    ("customers", "roubles", "minutes", "level"),
    [
        (1, 199, 14, None),
        (4, 2_499, 14, None),
        (5, 995, 1, Level.L2),
        (1, 2_500, 1, Level.L2),
        (1, 199, 15, Level.L2),
        (20, 19_999, 59, Level.L2),
        (21, 4_179, 1, Level.L3),
        (10, 20_000, 1, Level.L3),
        (1, 199, 60, Level.L3),
    ],
)
def test_the_figures_ask_for_a_level(customers: int, roubles: int, minutes: int, level: Level | None) -> None:
    found = Impact(customers, customers, Money(roubles * 100, "RUB"), NOW)
    assert asked_level(found, now=NOW + timedelta(minutes=minutes)) == level


async def test_the_figures_raise_a_level_once_and_a_person_decides(staffed: Watch, people: Customers) -> None:
    for number in range(1, 6):
        await people.waiting(number)
    await opened(staffed, Level.L1)
    staffed.shop.clock.forward(seconds=59)
    await weighing.weigh(staffed.deps)
    assert (await staffed.one()).level == "L1", "what is delivered within a minute is not late"
    staffed.shop.clock.forward(seconds=1)
    for _ in range(2):
        await weighing.weigh(staffed.deps)
    assert (await staffed.one()).level == "L2"
    line = [said for said in await staffed.line() if "→" in said]
    assert line == ["магазин: L1 → L2: заплатили и ждут: 5, на 995\N{NO-BREAK SPACE}₽, дольше всех 1 мин"]
    async with staffed.deps.db.begin("test") as session:
        await service.set_level(session, staffed.deps, 1, Level.L1, by=BY)
    await weighing.weigh(staffed.deps)
    assert (await staffed.one()).level == "L1", "what a person has lowered stays"
    await staffed.go_to(61)
    await weighing.weigh(staffed.deps)
    assert (await staffed.one()).level == "L3", "they have waited for an hour: more is asked for"


async def test_who_waited_long_before_does_not_raise_it(staffed: Watch, people: Customers) -> None:
    for number in range(1, 6):
        await people.waiting(number)
    staffed.shop.clock.forward(minutes=61)
    await opened(staffed, Level.L1)
    await weighing.weigh(staffed.deps)
    assert (await staffed.one()).level == "L1"


async def test_of_two_incidents_the_graver_carries_the_impact(staffed: Watch, people: Customers) -> None:
    for number in range(1, 22):
        await people.waiting(number)
    await opened(staffed, Level.L1)
    await opened(staffed, Level.L2)
    staffed.shop.clock.forward(minutes=1)
    await weighing.weigh(staffed.deps)
    levels = await staffed.rows("SELECT level FROM incidents ORDER BY incident_id")
    assert [row.level for row in levels] == ["L1", "L3"]


async def test_what_was_touched_is_kept_when_it_is_delivered(staffed: Watch, people: Customers) -> None:
    anna = await people.waiting(1)
    await people.pay(anna)
    await opened(staffed)
    staffed.shop.clock.forward(minutes=1)
    await weighing.weigh(staffed.deps)
    await staffed.shop.run_jobs()
    async with staffed.deps.db.begin("test") as session:
        assert await impact.everybody(session) is None
        kept = await impact.touched(session, 1)
    assert kept == Impact(1, 2, Money(398_00, "RUB"), NOW)


async def test_the_page_says_what_to_do_first(staffed: Watch) -> None:
    async with staffed.deps.db.begin("test") as session:
        runbook = "docs/operations/runbooks/panel-unreachable.md"
        alert = Signal(Source.ALERTMANAGER, "f1", Level.L2, "Панель молчит", staffed.now, runbook=runbook)
        await raise_signal(session, staffed.deps, alert)
    await staffed.work()
    assert read(staffed)[3:7] == [
        "1. Отвечает ли панель этой машине, не истёк ли токен.",
        "2getpro doctor",
        (
            "2. Поднимите панель. Истёк токен: выпустите новый, впишите в PANEL_TOKEN и перезапустите"
            " магазин: sudo systemctl restart 2getpro, в Docker docker-compose up -d."
        ),
        "→ docs/operations/runbooks/panel-unreachable.md",
    ]
    assert staffed.buttons() == ["Взять", "Отложить 30 мин", "Выше", "Чем помочь", "Решён"]


async def test_the_help_offers_what_can_be_done_now(paged: Watch, people: Customers) -> None:
    await paged.presses(TIMUR, "Чем помочь")
    assert read(paged) == ["Чем помочь · №1", "Оплаченного и не выданного нет."]
    assert paged.buttons() == ["Способы оплаты", "Закрыть на работы", "Перезапуск", "Снизить до L1"]
    await people.waiting(1)
    await paged.presses(TIMUR, "Перезапуск")
    assert any("docker-compose restart bot" in line for line in read(paged))
    await paged.presses(TIMUR, "‹ Чем помочь")
    assert read(paged)[1] == "Заплатили и ждут: 1, на 199 ₽."
    assert paged.buttons()[:2] == ["Повторить выдачу: 1", "Написать клиентам: 1"]


async def test_what_waits_is_delivered_now_once_in_a_minute(paged: Watch, people: Customers) -> None:
    anna = await people.waiting(1)
    paged.shop.panel.is_away = True
    await paged.shop.run_jobs()
    paged.shop.panel.is_away = False
    await paged.rows("UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 day' RETURNING id")
    await paged.presses(TIMUR, "Чем помочь")
    assert await paged.presses(TIMUR, "Повторить выдачу: 1") == "Повторяем выдачу: 1."
    assert "уже повторяем: timur, 15:00" in (await paged.presses(OLGA, "Повторить выдачу: 1") or "")
    late = "SELECT FROM procrastinate_jobs WHERE task_name = 'deliver' AND scheduled_at > now()"
    assert await paged.rows(late) == []
    await paged.shop.run_jobs()
    assert paged.shop.panel.expiry_of(anna) is not None
    assert (await paged.line()).count("timur: Повторяем выдачу: 1") == 1


async def test_a_way_to_pay_is_switched_off_as_shown_once_and_on_again(
    paged: Watch, people: Customers
) -> None:
    anna = await people.come(1)
    begun = await paged.shop.order(anna)
    await paged.presses(TIMUR, "Чем помочь")
    await paged.presses(TIMUR, "Способы оплаты")
    await paged.presses(TIMUR, "Выключить: Проверочная касса")
    assert read(paged)[:3] == [
        "Выключим новые оплаты: Проверочная касса",
        "ru: fakepay: временно не работает. Уже начатые платежи не пропадут.",
        "en: fakepay: not working for a while. Payments already begun are safe.",
    ]
    preview = paged.page()
    await paged.says(OLGA, f"{BANK}\n---\nThe bank is mending it.", reply_to=preview)
    assert read(paged)[1:3] == [
        f"ru: fakepay: временно не работает. {BANK}",
        "en: fakepay: not working for a while. The bank is mending it.",
    ]
    confirm = paged.group.messages[preview]["reply_markup"]["inline_keyboard"][0][0]["callback_data"]
    await paged.presses(TIMUR, "Выключить")
    paged.telegram.people.callback(paged.person(OLGA), confirm, None, where=paged.group)
    await paged.answer()
    assert "Уже сделано: timur, 15:00" in paged.group.toasts[-1]["text"]
    done = f"timur: Новые оплаты выключены: Проверочная касса. Клиентам: «{BANK}»"
    assert (await paged.line()).count(done) == 1
    await people.says(anna, "/plans")
    assert people.sees(anna)[-1] == f"fakepay: временно не работает. {BANK}"
    await paged.shop.notice(paged.shop.pay(begun))
    await paged.shop.run_jobs()
    assert len(await paged.shop.succeeded(anna)) == 1
    assert await paged.presses(OLGA, "Включить снова") == "Оплаты снова включены: Проверочная касса."
    assert "уже открыто" not in (await paged.line())[-1]
    await people.says(anna, "/plans")
    assert "не работает" not in people.sees(anna)[-1]


async def test_a_closed_shop_is_on_the_page_and_can_be_opened_after_the_end(
    paged: Watch, people: Customers
) -> None:
    page = paged.page()
    await paged.presses(TIMUR, "Чем помочь")
    await paged.presses(TIMUR, "Закрыть на работы")
    await paged.presses(TIMUR, "‹ Отмена")
    assert not await shop_is_closed(paged)
    await paged.presses(TIMUR, "Закрыть на работы")
    await paged.presses(TIMUR, "Закрыть")
    assert await shop_is_closed(paged)
    await resolved(paged)
    await paged.run_jobs()
    message = paged.group.messages[page]
    assert "⛔ Магазин закрыт на работы, с 15:00, timur" in message["text"]
    assert message["reply_markup"]["inline_keyboard"][0][0]["text"] == "Чем помочь"
    assert await paged.presses(OLGA, "Открыть магазин") == "Магазин снова открыт."
    assert not await shop_is_closed(paged)
    await paged.run_jobs()
    assert paged.group.messages[page]["reply_markup"] == {"inline_keyboard": []}


async def test_customers_who_are_touched_are_told_once_and_hear_once_that_it_works_again(
    paged: Watch, people: Customers
) -> None:
    anna, bob, carl = [
        await people.waiting(n, language=lang) for n, lang in ((1, "ru"), (2, "en"), (3, "ru"))
    ]
    other = await people.come(4)
    paged.shop.panel.is_away = True
    await paged.presses(TIMUR, "Чем помочь")
    await paged.presses(TIMUR, "Написать клиентам: 3")
    await paged.presses(TIMUR, "Доступ открывается с задержкой")
    assert read(paged)[0] == "Напишем клиентам: 3"
    assert read(paged)[1].startswith("ru: Оплаченный доступ открывается с задержкой. Деньги у нас")
    await paged.presses(TIMUR, "Отправить: 3")
    for _ in range(2):
        await tellings.carry_on(paged.deps)
        await people.news()
    assert people.sees(anna)[0] == "Мы знаем о сбое"
    assert people.sees(bob)[0] == "We know that something is wrong"
    assert "timur: Пишем клиентам: 3, готовый текст «delay»" in await paged.line()
    dora = await people.waiting(5)
    async with paged.deps.db.begin("test") as session:
        await deeds.do(session, paged.deps, 1, DeedKind.TELL, by=BY)
    await tellings.carry_on(paged.deps)
    await people.news()
    paged.shop.panel.is_away = False
    await paged.shop.run_jobs()
    paged.shop.panel.is_away = True
    await people.pay(carl)
    await resolved(paged)
    for _ in range(2):
        await tellings.carry_on(paged.deps)
        await people.news()
    assert people.sees(anna)[0] == "Всё снова работает"
    everyone = {number: await people.told(number) for number in (anna, bob, dora, other, carl)}
    both = ["trouble", "works_again"]
    assert everyone == {anna: both, bob: both, dora: both, other: [], carl: ["trouble"]}
    paged.shop.panel.is_away = False
    await paged.shop.run_jobs()
    await tellings.carry_on(paged.deps)
    await people.news()
    assert await people.told(carl) == both, "when it works for them, too"


async def test_who_complains_is_told_in_the_words_of_the_team(paged: Watch, people: Customers) -> None:
    async with paged.deps.db.begin("test") as session:
        await service.resolve(session, paged.deps, 1, by=BY, cause="учения", fix="нечего")
    everyone = [await people.come(number) for number in range(1, 6)]
    for user_id in everyone:
        await people.complains(user_id, "connection")
    async with paged.deps.db.begin("test") as session:
        assert await tellings.audience(session, await store.incident(session, 2)) == 5
        await deeds.do(
            session,
            paged.deps,
            2,
            DeedKind.TELL,
            by=BY,
            words={"ru": "Меняем <сервер>."},
            over={"ru": "Сменили."},
        )
        with pytest.raises(CannotDo, match="некому"):
            await deeds.do(session, paged.deps, 2, DeedKind.TELL, by=BY)
    await tellings.carry_on(paged.deps)
    await people.news()
    assert people.sees(everyone[0]) == ["Мы знаем о сбое", "", "Меняем <сервер>."]
    paged.shop.clock.forward(minutes=31)
    await weighing.weigh(paged.deps)
    paged.shop.clock.forward(minutes=5)
    async with paged.deps.db.begin("test") as session:
        await service.resolve(session, paged.deps, 2, by=BY, cause="сервер", fix="сменили")
    await tellings.carry_on(paged.deps)
    await people.news()
    assert people.sees(everyone[0]) == ["Всё снова работает", "", "Сменили."]


async def test_that_it_works_again_is_not_claimed_of_what_was_closed_by_force(
    paged: Watch, people: Customers
) -> None:
    """Until a person says so, once."""
    everyone = [await people.come(number) for number in range(1, 6)]
    for user_id in everyone:
        await people.complains(user_id, "connection")
    await paged.work()
    async with paged.deps.db.begin("test") as session:
        await deeds.do(session, paged.deps, 2, DeedKind.TELL, by=BY, over={"ru": "Сменили."})
    await tellings.carry_on(paged.deps)
    async with paged.deps.db.begin("test") as session:
        with pytest.raises(CannotDo, match="некому"):
            await deeds.do(session, paged.deps, 2, DeedKind.OVER, by=BY)
        await service.resolve(session, paged.deps, 2, by=BY, cause="сервер", fix="завтра", force="ночь")
    for _ in range(2):
        await tellings.carry_on(paged.deps)
        await people.news()
    assert await people.told(everyone[0]) == ["trouble"]
    await paged.run_jobs()
    page = paged.shown()
    assert "Закрыт не по тишине: «снова работает» не писали 5, решите сами" in page
    await paged.presses(TIMUR, "Чем помочь")
    await paged.presses(TIMUR, "Написать, что работает: 5")
    assert "ru: Сменили." in paged.shown()
    await paged.presses(TIMUR, "Отправить: 5")
    for _ in range(2):
        await tellings.carry_on(paged.deps)
        await people.news()
    assert await people.told(everyone[0]) == ["trouble", "works_again"]
    assert people.sees(everyone[0]) == ["Всё снова работает", "", "Сменили."]


async def test_what_is_over_before_it_is_told_is_not_told(paged: Watch, people: Customers) -> None:
    anna = await people.waiting(1)
    async with paged.deps.db.begin("test") as session:
        await deeds.do(session, paged.deps, 1, DeedKind.TELL, by=BY)
    await tellings.carry_on(paged.deps)
    await paged.shop.run_jobs()
    await resolved(paged)
    for _ in range(2):
        await tellings.carry_on(paged.deps)
        await people.news()
    assert await people.told(anna) == []


async def test_a_status_that_was_lost_on_its_way_is_not_sent_twice(paged: Watch, people: Customers) -> None:
    anna = await people.waiting(1)
    async with paged.deps.db.begin("test") as session:
        await deeds.do(session, paged.deps, 1, DeedKind.TELL, by=BY)
    await tellings.carry_on(paged.deps)
    await paged.rows("UPDATE notices SET claimed_at = now() WHERE kind = 'trouble' RETURNING 1")
    await people.news()
    assert await people.told(anna) == []


async def test_a_stranger_may_press_nothing_and_it_stands_on_record(paged: Watch, people: Customers) -> None:
    await people.waiting(1)
    await paged.presses(TIMUR, "Чем помочь")
    await paged.presses(TIMUR, "Закрыть на работы")
    bob: Person = paged.telegram.state.add_person(900, "Боб", username="bob")
    paged.group.members.append(bob)
    assert "Вас в ней нет" in (await paged.presses(900, "Закрыть") or "")
    await paged.says(900, "Всё пропало", reply_to=paged.page())
    assert "Всё пропало" not in paged.shown()
    for data in ("inc:help:1", "help:retry:1", "help:stop:1", "help:on:1:fakepay", "help:lower:1:L1"):
        paged.telegram.people.callback(bob, data, None, where=paged.group)
        await paged.answer()
    refused = [said for said in await paged.line() if "Отказано" in said]
    assert refused == [
        f"@bob (900): Отказано: {deed}"
        for deed in (
            "подтвердить",
            "написать клиентам",
            "открыть помощь",
            "повторить выдачу",
            "закрыть магазин",
            "включить оплату",
            "снизить уровень",
        )
    ]
    assert not await shop_is_closed(paged)


async def test_each_deed_asks_by_itself_whether_one_may(paged: Watch) -> None:
    stranger = Actor("боб", 900)
    async with paged.deps.db.begin("test") as session:
        made = await deeds.propose(session, paged.deps, 1, DeedKind.SHOP_OFF, by=BY)
        for deed in (deeds.confirm, deeds.drop):
            with pytest.raises(NotAllowed):
                await deed(session, paged.deps, made.deed_id, by=stranger)
        with pytest.raises(NotAllowed):
            await deeds.set_words(session, paged.deps, made.deed_id, {}, by=stranger)
        with pytest.raises(NotAllowed):
            await deeds.do(session, paged.deps, 1, DeedKind.RETRY, by=stranger)
        with pytest.raises(NotAllowed):
            await service.set_level(session, paged.deps, 1, Level.L3, by=stranger)
    assert not await shop_is_closed(paged)


@pytest.mark.parametrize(
    "data",
    [
        "help:yes:99",
        "help:no:99",
        "help:off:1:paypal",
        "help:say:1:lies",
        "help:lower:1:L9",
        f"help:retry:{2**63}",
        "help:retry:99",
        "help:burn:1",
        "help:",
        "inc:help:",
    ],
)
async def test_a_forged_button_changes_nothing(data: str, paged: Watch) -> None:
    before = await paged.line()
    paged.telegram.people.callback(paged.person(TIMUR), data, None, where=paged.group)
    await paged.answer()
    assert await paged.line() == before
    assert paged.group.toasts[-1]["text"], "they hear why"


async def test_an_old_proposal_is_made_anew(paged: Watch) -> None:
    await paged.presses(TIMUR, "Чем помочь")
    await paged.presses(TIMUR, "Закрыть на работы")
    await paged.go_to(16)
    assert "устарело" in (await paged.presses(TIMUR, "Закрыть") or "")
    assert not await shop_is_closed(paged)


async def test_of_what_is_resolved_nothing_new_is_done(paged: Watch) -> None:
    await paged.presses(TIMUR, "Чем помочь")
    await paged.presses(TIMUR, "Закрыть на работы")
    await resolved(paged)
    assert "уже решён" in (await paged.presses(TIMUR, "Закрыть") or "")
    assert not await shop_is_closed(paged)


async def test_a_signal_that_nothing_names_joins_what_has_just_begun(staffed: Watch) -> None:
    async with staffed.deps.db.begin("test") as session:
        for number in range(2):
            bare = Signal(Source.CUSTOMERS, f"f{number}", Level.L1, "Беда", staffed.now)
            await raise_signal(session, staffed.deps, bare)
        await signal_over(session, staffed.deps, Source.CUSTOMERS, "f0")
    assert len(await staffed.rows("SELECT FROM incidents")) == 1


async def test_what_is_done_is_not_told_as_failed_where_telegram_does_not_show_it(
    paged: Watch, people: Customers
) -> None:
    await people.waiting(1)
    await paged.presses(TIMUR, "Чем помочь")
    paged.telegram.faults.change({"error_rate": 1, "error_status": 502})
    assert await paged.presses(TIMUR, "Повторить выдачу: 1") == "Повторяем выдачу: 1."
