"""What nobody answers for any more is called anew: its holder was removed, the database was brought back."""

from datetime import timedelta

from duty import TIMUR, Watch
from getpro.incidents import calling, closing, service, team
from getpro.incidents.signals import Signal, raise_signal, signal_over
from getpro.incidents.states import Level, Source
from getpro.incidents.team import Actor
from getpro.platform import restores

OLGA, LEAD = Actor("Ольга"), Actor("timur")


async def opened(watch: Watch, level: Level = Level.L2) -> None:
    async with watch.deps.db.begin("test") as session:
        await service.open_by_hand(session, watch.deps, "Беда", level=level, by=OLGA)
    await watch.work()
    watch.calls()


async def taken(watch: Watch) -> None:
    async with watch.deps.db.begin("test") as session:
        await service.take(session, watch.deps, 1, by=LEAD)


async def brought_back(watch: Watch, *, minutes: float) -> None:
    """The database is that of so many minutes ago; nobody has seen it yet."""
    moment = watch.now - timedelta(minutes=minutes)
    async with watch.deps.db.begin("test") as session:
        await restores.mark_restored(session, moment, now=watch.now)


async def test_what_a_removed_colleague_held_is_called_anew_and_once(staffed: Watch) -> None:
    await opened(staffed)
    await taken(staffed)
    async with staffed.deps.db.begin("test") as session:
        await team.remove_person(session, "timur", now=staffed.now)
    for _ in range(2):
        await staffed.work()
    assert staffed.calls() == ["chat", "dima", "olga"], "nobody leads any more"
    assert "магазин: timur больше не в команде: зовём заново" in await staffed.line()
    await staffed.until(29)
    assert staffed.calls() == []
    await staffed.until(30)
    assert staffed.calls() == ["chat", "dima", "olga"], "the reminder"


async def test_what_came_back_with_an_older_database_calls_once_more_and_says_why(staffed: Watch) -> None:
    await opened(staffed)
    await taken(staffed)
    await staffed.go_to(600)
    await brought_back(staffed, minutes=300)
    for _ in range(3):
        await staffed.work()
    assert staffed.calls() == ["chat", "timur"]
    assert "⏪ База возвращена на 01.03 20:00: возможно, уже решён" in staffed.shown(TIMUR).splitlines()
    assert staffed.buttons(TIMUR) == ["Взять", "Отложить 30 мин", "Выше", "Чем помочь", "Решён"]
    await staffed.until(629)
    assert staffed.calls() == []
    await staffed.presses(TIMUR, "Взять")
    await staffed.run_jobs()
    assert "возвращена" not in staffed.shown(TIMUR)
    await staffed.until(700)
    assert staffed.calls() == []


async def test_what_was_due_in_the_lost_time_is_one_call_not_two(staffed: Watch) -> None:
    await opened(staffed)
    await staffed.go_to(45)
    await brought_back(staffed, minutes=20)
    await calling.carry_on(staffed.deps)
    await staffed.run_jobs()
    assert staffed.calls() == ["chat", "timur"]
    assert (await staffed.one()).step == 1


async def test_what_was_opened_after_a_restore_has_nothing_to_do_with_it(staffed: Watch) -> None:
    await brought_back(staffed, minutes=30)
    staffed.shop.clock.forward(seconds=1)
    await opened(staffed)
    await taken(staffed)
    await staffed.until(120)
    assert staffed.calls() == []
    assert (await staffed.one()).state == "taken"


async def test_a_mail_says_that_it_came_back(staffed: Watch) -> None:
    await opened(staffed, Level.L3)
    await staffed.go_to(10)
    await brought_back(staffed, minutes=5)
    await staffed.work()
    assert "mail olga" in staffed.calls()
    assert "⏪ База возвращена на 15:05: возможно, уже решён" in staffed.mail.bodies[-1]


async def test_a_removed_colleagues_word_closes_nothing(staffed: Watch) -> None:
    signal = Signal(Source.ROUTINE, "касса", Level.L2, "Касса молчит", staffed.now)
    async with staffed.deps.db.begin("test") as session:
        await raise_signal(session, staffed.deps, signal)
        await service.take(session, staffed.deps, 1, by=LEAD)
        await service.resolve(session, staffed.deps, 1, by=LEAD, cause="деньги", fix="пополнили")
        await team.remove_person(session, "timur", now=staffed.now)
    await staffed.work()
    async with staffed.deps.db.begin("test") as session:
        await signal_over(session, staffed.deps, Source.ROUTINE, "касса")
    staffed.shop.clock.forward(minutes=6)
    await closing.carry_on(staffed.deps)
    found = await staffed.one()
    assert (found.state, found.closing_by, found.cause) == ("open", None, None)
