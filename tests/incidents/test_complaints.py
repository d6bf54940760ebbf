"""Customers say that something does not work: answered with what we see; many of a kind are an incident."""

import asyncio

import pytest

from duty import Watch
from getpro.incidents import complaints, service, weighing
from getpro.incidents.complaints import TooManyComplaints
from getpro.incidents.signals import Signal, raise_signal
from getpro.incidents.states import Complaint, Level, Source
from getpro.incidents.team import Actor
from incidents.customers import Customers

RUNBOOK = "docs/operations/runbooks/paid-not-delivered.md"


@pytest.fixture
def people(staffed: Watch) -> Customers:
    return Customers(staffed)


async def test_whoever_has_paid_and_waits_is_told_what_we_see_in_three_presses(people: Customers) -> None:
    anna = await people.waiting(1)
    await people.presses(anna, "go:support")
    assert people.buttons(anna)[0] == "Что-то не работает"
    await people.presses(anna, "go:trouble")
    assert people.buttons(anna) == ["Оплата прошла, доступа нет", "VPN не подключается", "Другое", "‹ Назад"]
    await people.complains(anna)
    assert people.sees(anna) == [
        "Деньги у нас, доступ открываем",
        "Оплачено: 199 ₽, 1 марта",
        "Открываем доступ. Напишем, когда он заработает.",
        "",
        "Деньги в безопасности, платить ещё раз не нужно.",
        "",
        "Команде передали.",
    ]


async def test_in_english(people: Customers) -> None:
    bob = await people.waiting(1, language="en")
    await people.complains(bob)
    assert people.sees(bob)[0] == "We have your money and are opening access"


async def test_whose_money_has_not_come_may_have_it_asked_for(people: Customers) -> None:
    anna = await people.come(1)
    await people.complains(anna)
    assert people.sees(anna)[0] == "Оплаты пока не видим"
    await people.watch.shop.order(anna)
    await people.complains(anna)
    assert people.sees(anna)[:2] == ["Деньги пока не пришли", "Заказ ждёт оплаты: 1 месяц, 199 ₽."]
    assert people.buttons(anna)[0] == "Проверить оплату"


async def test_whose_access_is_open_is_led_to_it(people: Customers) -> None:
    anna = await people.waiting(1)
    await people.watch.shop.run_jobs()
    await people.complains(anna)
    assert people.sees(anna)[0] == "Доступ открыт"
    assert people.buttons(anna)[0] == "Подключить"
    await people.complains(anna, "connection")
    assert any("сменить сеть" in line for line in people.sees(anna))
    assert people.buttons(anna)[0] == "Подключить заново"


async def test_five_who_have_paid_and_wait_are_one_incident_and_one_call(
    people: Customers, staffed: Watch
) -> None:
    everyone = [await people.waiting(number) for number in range(1, 7)]
    for user_id in everyone[:4]:
        await people.complains(user_id)
    assert await staffed.rows("SELECT FROM incidents") == []
    await people.complains(everyone[4])
    one = await staffed.one()
    assert (one.level, one.title) == ("L2", "Клиенты заплатили и ждут доступа, жалуются")
    assert people.sees(everyone[4])[-1] == "С этим столкнулись не только вы. Команда уже чинит."
    await people.complains(everyone[5])
    await staffed.work()
    assert staffed.calls() == ["chat", "timur"]
    staffed.shop.clock.forward(minutes=1)
    await weighing.weigh(staffed.deps)
    staffed.shop.clock.forward(minutes=1)
    await staffed.run_jobs()
    page = staffed.shown().replace("\N{NO-BREAK SPACE}", " ")
    assert "Заплатили и ждут: 6, на 1 194 ₽, с 15:00\nЖалуются: 6" in page
    assert [row.incident_id for row in await staffed.rows("SELECT incident_id FROM complaints")] == [1] * 6


async def test_of_four_and_the_fifth_at_once_somebody_is_the_fifth(people: Customers, staffed: Watch) -> None:
    everyone = [await people.waiting(number) for number in range(1, 6)]

    async def complain(user_id: int) -> None:
        async with staffed.deps.db.begin("test") as session:
            await complaints.complain(session, staffed.deps, user_id, Complaint.PAID)

    await asyncio.gather(*map(complain, everyone))
    assert (await staffed.one()).level == "L2"


async def test_who_only_says_so_is_not_believed_to_have_paid(people: Customers, staffed: Watch) -> None:
    for number in range(1, 6):
        await people.complains(await people.come(number))
    one = await staffed.one()
    assert (one.level, one.title) == ("L1", "Клиенты пишут, что заплатили, а магазин их денег не видит")


async def test_one_customer_five_times_is_one_complaint(people: Customers, staffed: Watch) -> None:
    anna = await people.waiting(1)
    for _ in range(5):
        await people.complains(anna)
    assert await staffed.rows("SELECT FROM incidents") == []
    [kept] = await staffed.rows("SELECT times, is_proved FROM complaints")
    assert (kept.times, kept.is_proved) == (5, True)
    assert len(await people.shown_to_operators()) == 1


async def test_five_in_an_hour_are_no_incident(people: Customers, staffed: Watch) -> None:
    for number in range(1, 6):
        await people.complains(await people.waiting(number))
        staffed.shop.clock.forward(minutes=11)
    assert await staffed.rows("SELECT FROM incidents") == []


async def test_words_are_kept_and_shown_to_the_operators_without_a_sound(
    people: Customers, staffed: Watch
) -> None:
    anna = await people.come(1)
    await people.complains(anna, "other")
    await people.says(anna, "Не грузится <YouTube>")
    assert people.sees(anna)[0] == "Спасибо, записали"
    [kept] = await staffed.rows("SELECT kind, words FROM complaints")
    assert (kept.kind, kept.words) == ("other", "Не грузится <YouTube>")
    [said] = await staffed.rows("SELECT text, is_silent FROM operator_messages")
    assert said.is_silent
    assert said.text.splitlines() == [
        "💬 <b>Жалоба</b> · Клиент 1 · 501",
        "Что-то не работает",
        "«Не грузится &lt;YouTube&gt;»",
        "Клиент: /admin 501 в личном чате со мной",
    ]
    await people.complains(anna, "other")
    await people.says(anna, "И почта тоже")
    [kept] = await staffed.rows("SELECT words, times FROM complaints")
    assert (kept.words, kept.times) == ("Не грузится <YouTube>\nИ почта тоже", 2)
    await people.says(anna, "просто слова")
    assert "просто слова" not in (await staffed.rows("SELECT words FROM complaints"))[0].words


async def test_who_writes_too_much_is_told_that_it_is_not_kept(people: Customers, staffed: Watch) -> None:
    anna = await people.come(1)
    async with staffed.deps.db.begin("test") as session:
        for _ in range(20):
            await complaints.complain(session, staffed.deps, anna, Complaint.OTHER, "я" * 1001)
            staffed.shop.clock.forward(minutes=11)
        with pytest.raises(TooManyComplaints):
            await complaints.complain(session, staffed.deps, anna, Complaint.OTHER, "ещё")
    await people.complains(anna, "connection")
    assert any("много раз" in line for line in people.sees(anna))


async def test_they_join_the_incident_of_an_alert_about_the_same(people: Customers, staffed: Watch) -> None:
    async with staffed.deps.db.begin("test") as session:
        alert = Signal(
            Source.ALERTMANAGER,
            "f1",
            Level.L2,
            "Оплачено, но не выдано: 5",
            staffed.now,
            "g1",
            runbook=RUNBOOK,
        )
        await raise_signal(session, staffed.deps, alert)
    staffed.shop.clock.forward(minutes=3)
    for number in range(1, 6):
        await people.complains(await people.waiting(number))
    assert (await staffed.one()).title == "Оплачено, но не выдано: 5"


async def test_when_nobody_waits_any_more_it_closes_by_itself(people: Customers, staffed: Watch) -> None:
    for number in range(1, 6):
        await people.complains(await people.waiting(number))
    await staffed.work()
    staffed.shop.clock.forward(minutes=1)
    await weighing.weigh(staffed.deps)
    assert (await staffed.one()).quiet_since is None
    await staffed.shop.run_jobs()
    await weighing.weigh(staffed.deps)
    assert "магазин: Прошло: Клиенты заплатили и ждут доступа, жалуются" in await staffed.line()
    await staffed.until(11)
    assert (await staffed.one()).state == "resolved"
    await staffed.run_jobs()
    page = staffed.shown().replace("\N{NO-BREAK SPACE}", " ")
    assert "Заплатили и ждали: 5, на 995 ₽, с 15:00" in page


async def test_what_is_only_said_is_over_when_nobody_says_it_any_more(
    people: Customers, staffed: Watch
) -> None:
    for number in range(1, 6):
        await people.complains(await people.come(number), "connection")
    assert (await staffed.one()).level == "L1"
    for minutes, is_over in ((29, False), (31, True)):
        await staffed.go_to(minutes)
        await weighing.weigh(staffed.deps)
        assert ((await staffed.one()).quiet_since is not None) is is_over


async def test_a_forged_kind_of_trouble_changes_nothing(people: Customers, staffed: Watch) -> None:
    anna = await people.come(1)
    await people.complains(anna, "everything")
    assert await staffed.rows("SELECT FROM complaints") == []


async def test_a_sixth_after_it_was_mended_makes_no_new_incident(people: Customers, staffed: Watch) -> None:
    for number in range(1, 6):
        await people.complains(await people.come(number), "connection")
    async with staffed.deps.db.begin("test") as session:
        await service.resolve(
            session, staffed.deps, 1, by=Actor("timur"), cause="узел", fix="починили", force="проверили сами"
        )
    staffed.shop.clock.forward(minutes=2)
    await people.complains(await people.come(6), "connection")
    assert len(await staffed.rows("SELECT FROM incidents")) == 1
