"""Whoever has taken an incident and falls silent does not silence it."""

from dataclasses import replace

import pytest

from duty import MOSCOW, OLGA, TIMUR, Watch
from getpro.incidents import holding, service
from getpro.incidents.escalation import Night
from getpro.incidents.states import Level
from getpro.incidents.team import Actor

BY = Actor("timur", TIMUR)


@pytest.fixture
async def held(staffed: Watch) -> Watch:
    """An L2 that the tech lead has taken at the beginning."""
    await taken(staffed, "Беда", Level.L2)
    return staffed


async def taken(watch: Watch, title: str, level: Level) -> None:
    async with watch.deps.db.begin("test") as session:
        await service.open_by_hand(session, watch.deps, title, level=level, by=BY)
    await watch.work()
    async with watch.deps.db.begin("test") as session:
        await service.take(session, watch.deps, 1, by=BY)
    await watch.work()
    watch.calls()


async def passes(watch: Watch, minutes: float) -> list[str]:
    """Until so many minutes after the beginning; who was called."""
    await watch.go_to(minutes)
    for _ in range(2):
        await holding.carry_on(watch.deps)
        await watch.work()
    return watch.calls()


async def test_whoever_is_silent_for_the_levels_time_is_asked_once(held: Watch) -> None:
    assert await passes(held, 59) == []
    assert await passes(held, 60) == ["chat", "timur"]
    assert "⏰ timur, ещё занимаетесь? Без ответа зовём заново." in held.shown()
    assert held.buttons()[0] == "Занимаюсь"
    assert await passes(held, 89) == []
    assert (await held.one()).state == "taken"


async def test_without_an_answer_it_is_called_anew(held: Watch) -> None:
    await passes(held, 60)
    assert await passes(held, 90) == ["chat", "timur"]
    one = await held.one()
    assert (one.state, one.taken_by, one.step) == ("open", None, 1)
    assert "магазин: timur молчит 1 ч 30 мин: зовём заново" in await held.line()


async def test_whoever_says_that_they_work_on_it_has_their_time_again(held: Watch) -> None:
    await passes(held, 60)
    assert await held.presses(OLGA, "Занимаюсь") == "Его взял timur."
    assert await held.presses(TIMUR, "Занимаюсь") == "Записано: занимаетесь."
    await held.run_jobs()
    assert "ещё занимаетесь" not in held.shown()
    assert await passes(held, 119) == []
    assert await passes(held, 120) == ["chat", "timur"]


async def test_a_note_of_theirs_is_a_sign_of_life_and_one_of_others_is_none(held: Watch) -> None:
    await held.go_to(30)
    await held.says(TIMUR, "меняю диск", reply_to=held.page())
    await held.go_to(50)
    await held.says(OLGA, "что нового?", reply_to=held.page())
    held.calls()
    assert await passes(held, 89) == []
    assert await passes(held, 90) == ["chat", "timur"]


async def test_of_a_small_matter_nobody_is_asked_at_night(staffed: Watch) -> None:
    staffed.deps = replace(staffed.deps, night=Night(MOSCOW, 18, 9))  # it begins at 15:00
    await taken(staffed, "Мелочь", Level.L1)
    assert await passes(staffed, 5 * 60) == []
    assert await passes(staffed, 18 * 60) == ["chat", "timur"]
