"""An incident in the operators' chat: taken, put off, raised, noted, resolved; and not by strangers."""

from datetime import timedelta

import pytest

from duty import CHAT, DIMA, OLGA, TIMUR, Watch
from getpro.bot.flood import Flood
from getpro.incidents import paging, service, team
from getpro.incidents.states import Level
from getpro.incidents.team import Actor
from getpro.sandbox.telegram.state import Person

STRANGER = 900


@pytest.fixture
async def paged(staffed: Watch) -> Watch:
    """An L2 that has called the tech lead."""
    async with staffed.deps.db.begin("test") as session:
        by = Actor("Ольга")
        await service.open_by_hand(session, staffed.deps, "Касса <молчит>", level=Level.L2, by=by)
    await staffed.work()
    staffed.calls()
    return staffed


def stranger(watch: Watch) -> Person:
    """Has got into the group."""
    bob = watch.telegram.state.add_person(STRANGER, "Боб", username="bob")
    watch.group.members.append(bob)
    return bob


async def test_who_presses_sees_it_at_once_also_right_after_the_call(paged: Watch) -> None:
    """What waits to gather more stands before it in the queue, by the same lock."""
    async with paged.deps.db.begin("test") as session:
        await paging.ask_to_show(session, paged.deps, 1, is_urgent=False)
        await service.take(session, paged.deps, 1, by=Actor("Ольга"))
    rows = await paged.rows("SELECT scheduled_at FROM procrastinate_jobs WHERE lock = 'incident:1'")
    gathered = paged.now + timedelta(seconds=10)
    assert rows
    assert gathered not in {row.scheduled_at for row in rows}


async def test_whoever_takes_it_is_seen_on_everybodys_copy_and_nobody_is_called_any_more(
    paged: Watch,
) -> None:
    assert await paged.presses(TIMUR, "Взять") == "№1 ваш. Дальше никого не зовём."
    await paged.until(300)
    assert paged.calls() == []
    for chat in (CHAT, TIMUR):
        assert paged.shown(chat).splitlines()[:2] == [
            "🔴 L2 · Касса <молчит>",
            "№1 · с 15:00 · взял timur в 15:00",
        ]
        assert paged.buttons(chat) == ["Решён", "Чем помочь", "Отпустить", "Выше"]
    assert await paged.presses(DIMA, "Отпустить") == "№1 отпущен, зовём заново."
    await paged.work()
    assert paged.calls() == ["chat", "timur"]


async def test_the_second_to_take_it_hears_who_was_first(paged: Watch) -> None:
    await paged.presses(TIMUR, "Взять")
    assert await paged.presses(DIMA, "Взять") == "Его уже взял timur."
    assert await paged.presses(TIMUR, "Взять", chat_id=TIMUR) == "Вы его уже взяли."
    assert (await paged.one()).taken_by == "timur"


async def test_put_off_it_calls_half_an_hour_later(paged: Watch) -> None:
    await paged.until(10)
    assert await paged.presses(TIMUR, "Отложить 30 мин") == "Отложено до 15:40."
    await paged.run_jobs()
    assert "№1 · с 15:00 · отложен до 15:40" in paged.shown()
    await paged.until(39)
    assert paged.calls() == []
    await paged.until(40)
    assert paged.calls() == ["chat", "timur"]


async def test_raised_it_calls_everybody_at_once(paged: Watch) -> None:
    assert await paged.presses(TIMUR, "Выше") == "Зовём: L3."
    await paged.work()
    assert paged.calls() == ["chat", "dima", "mail olga", "mail timur", "olga", "timur"]
    assert paged.buttons() == ["Взять", "Отложить 30 мин", "Чем помочь", "Решён"]
    assert "timur: L2 → L3: позвал выше" in await paged.line()


async def test_an_older_message_says_that_there_is_a_newer_one(paged: Watch) -> None:
    first = paged.page()
    await paged.until(30)
    await paged.run_jobs()
    old = paged.group.messages[first]
    assert old["text"] == "№1 · Касса <молчит>\nНовое сообщение об этом ниже."
    assert old["reply_markup"] == {"inline_keyboard": []}
    assert paged.shown().splitlines()[1] == "⏰ Напоминание: никто не взял"
    edits = [call for call in paged.telegram.state.calls if call["method"] == "editMessageText"]
    assert len(edits) == 2, "one in the group, one in the lead's own chat"


async def test_a_reply_to_a_page_is_a_note(paged: Watch) -> None:
    page = paged.page()
    await paged.says(OLGA, "перезапустила бота, не помогло", reply_to=page)
    assert "olga: перезапустила бота, не помогло" in await paged.line()
    assert list(paged.group.messages.values())[-1]["text"] == "Записано в хронику №1."
    await paged.says(OLGA, "и ещё раз", reply_to=max(paged.group.messages))  # not to a page
    assert not any("и ещё раз" in said for said in await paged.line())


async def test_resolved_is_asked_for_cause_and_fix(paged: Watch) -> None:
    await paged.presses(TIMUR, "Взять")
    assert await paged.presses(TIMUR, "Решён") == ("Ответьте на это сообщение: причина; что сделано.")
    await paged.run_jobs()
    page = paged.page()
    assert "✍️ Ответьте на это сообщение" in paged.shown()
    await paged.says(OLGA, "смотрю\nв журнал", reply_to=page)
    await paged.says(TIMUR, "кончились деньги", reply_to=page)
    assert list(paged.group.messages.values())[-1]["text"].startswith("Нужны обе части")
    assert (await paged.one()).state == "taken"
    await paged.says(TIMUR, "кончились деньги <у нас>\nзаплатили провайдеру\nи проверили", reply_to=page)
    done = await paged.one()
    assert (done.state, done.resolved_by) == ("resolved", "timur")
    assert (done.cause, done.fix) == ("кончились деньги <у нас>", "заплатили провайдеру\nи проверили")
    await paged.run_jobs()
    assert paged.shown().splitlines()[-2:] == [
        "Причина: кончились деньги <у нас>",
        "Сделано: заплатили провайдеру и проверили",
    ]
    assert paged.buttons() == paged.buttons(TIMUR) == []


async def test_an_update_that_comes_twice_is_done_once(paged: Watch) -> None:
    for act in (
        paged.telegram.people.send(paged.person(OLGA), "заметка", to=paged.group, reply_to=paged.page()),
        paged.telegram.people.send(paged.person(OLGA), "/incident L1 Ещё одна беда", to=paged.group),
    ):
        assert act
    updates = await paged.answer()
    for update in updates:
        await paged.feed(update)
    assert sum("заметка" in said for said in await paged.line()) == 1
    assert len(await paged.rows("SELECT FROM incidents")) == 2


async def test_incidents_are_opened_and_listed_by_command(staffed: Watch) -> None:
    await staffed.says(DIMA, "/incident L3 База <легла>")
    await staffed.work()
    assert staffed.shown().startswith("🚨 L3 · База <легла>")
    assert (await staffed.one()).opened_by == "dima"
    for place in (CHAT, None):
        await staffed.says(OLGA, "/incident", chat_id=place)
        said = list(staffed.chat(place or OLGA).messages.values())[-1]["text"]
        assert said == "№1 L3, не взят: База <легла>"


async def test_a_stranger_is_refused_and_that_stands_on_record(paged: Watch) -> None:
    stranger(paged)
    before = await paged.one()
    for label in ("Взять", "Отложить 30 мин", "Выше", "Решён"):
        assert "Вас в ней нет" in (await paged.presses(STRANGER, label) or "")
    await paged.says(STRANGER, "всё хорошо\nрасходитесь", reply_to=paged.page())
    await paged.says(STRANGER, "/incident L3 Паника")
    assert await paged.one() == before
    refused = [said for said in await paged.line() if "Отказано" in said]
    assert refused == [
        f"@bob (900): Отказано: {deed}"
        for deed in ("взять", "отложить", "поднять", "закрыть", "написать в хронику")
    ]


async def test_a_removed_colleagues_old_button_is_refused_whatever_the_settings_say(paged: Watch) -> None:
    assert OLGA in paged.deps.operators
    async with paged.deps.db.begin("test") as session:
        await team.remove_person(session, "olga", now=paged.now)
    assert "Вас в ней нет" in (await paged.presses(OLGA, "Взять") or "")
    await paged.says(OLGA, "/incident L3 Месть", chat_id=None)
    assert (await paged.one()).state == "open"
    assert "olga: Отказано: взять" in await paged.line()


async def test_a_shops_operator_may_act_where_there_is_no_team(watch: Watch) -> None:
    await watch.says(OLGA, "/incident Беда")
    await watch.work()
    assert watch.calls() == ["chat", "chat"], "the answer, and the page"
    assert await watch.presses(OLGA, "Взять") == "№1 ваш. Дальше никого не зовём."
    assert (await watch.one()).taken_by == "Ольга (104)"
    assert "Вас в ней нет" in (await watch.presses(TIMUR, "Решён") or "")


@pytest.mark.parametrize(
    "data", ["inc:take:0", "inc:take:99", f"inc:take:{2**63}", "inc:fire:1", "inc:", "inc:got:1"]
)
async def test_a_forged_button_changes_nothing(data: str, paged: Watch) -> None:
    before = await paged.one()
    paged.telegram.people.callback(paged.person(TIMUR), data, None, where=paged.group)
    await paged.answer()
    assert await paged.one() == before


async def test_a_time_line_cannot_be_changed(paged: Watch) -> None:
    for statement in (
        "UPDATE incident_events SET words = 'ничего не было'",
        "DELETE FROM incident_events",
        "TRUNCATE incident_events",
    ):
        with pytest.raises(Exception, match="neither changed nor deleted"):
            await paged.rows(statement)


async def test_two_who_press_at_once_do_not_wake_everybody(paged: Watch) -> None:
    async with paged.deps.db.begin("test") as session:
        await service.set_level(session, paged.deps, 1, Level.L1, by=Actor("timur", TIMUR))
    await paged.work()
    press = paged.telegram.people.press
    for who in (TIMUR, OLGA):
        press(paged.person(who), paged.page(), "Выше", where=paged.group)
    await paged.answer()
    assert (await paged.one()).level == "L2"
    assert paged.group.toasts[-1]["text"] == "Уже L2."


async def test_whoever_pressed_resolved_by_mistake_takes_it_back(paged: Watch) -> None:
    await paged.presses(TIMUR, "Взять")
    await paged.presses(TIMUR, "Решён")
    await paged.run_jobs()
    page = paged.page()
    assert "Решён" not in paged.buttons()
    await paged.presses(TIMUR, "Ещё не решён")
    await paged.says(TIMUR, "смотрю; перезапускаю", reply_to=page)
    assert (await paged.one()).state == "taken"
    assert "timur: смотрю; перезапускаю" in await paged.line()


async def test_a_strangers_thousand_presses_are_one_line(paged: Watch) -> None:
    stranger(paged)
    for _ in range(3):
        await paged.presses(STRANGER, "Взять")
    assert len([said for said in await paged.line() if "Отказано" in said]) == 1
    paged.bot._flood, before = Flood(), len(paged.group.toasts)
    for _ in range(30):
        paged.telegram.people.callback(paged.person(STRANGER), "inc:take:77", None, where=paged.group)
        await paged.answer()
    said = [toast["text"] for toast in paged.group.toasts[before:]]
    assert set(said) == {"Эта кнопка для команды магазина. Вас в ней нет."}
    assert len(said) < 20, "a flood is not looked at"
