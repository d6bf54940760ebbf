"""How calls behave where something is in the way: the night, a lost answer, a lost queue, two workers."""

import asyncio
import contextlib
import socket
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from duty import MOSCOW, TIMUR, Watch
from getpro.incidents import calling, hand_over, paging, service
from getpro.incidents.escalation import Night
from getpro.incidents.signals import Outcome, Signal, raise_signal, signal_over
from getpro.incidents.states import Level, Source
from getpro.incidents.team import Actor
from getpro.messaging.store import SEND_NOTICE
from getpro.operations.figures import Figures
from getpro.platform.bot_api import BotApiRefused
from getpro.platform.http import Service, ServiceUnavailable
from getpro.platform.jobs import PAGES
from moments import lose_jobs

BY = Actor("Ольга")


async def opened(watch: Watch, level: Level) -> int:
    async with watch.deps.db.begin("test") as session:
        return await service.open_by_hand(session, watch.deps, "Беда", level=level, by=BY)


async def figure(watch: Watch, name: str, **labels: str) -> float | None:
    figures = Figures(watch.shop.db, watch.shop.clock)
    await figures.refresh()
    found = [
        sample.value
        for family in figures.collect()
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    ]
    return found[0] if found else None


async def test_by_night_l1_waits_for_the_morning_and_l2_does_not(staffed: Watch) -> None:
    staffed.deps = replace(staffed.deps, night=Night(MOSCOW, 15, 18))  # it is three in the afternoon
    await opened(staffed, Level.L1)
    await staffed.until(179)
    assert staffed.calls() == []
    assert "магазин: Ночь: до 18:00 никого не зовём" in await staffed.line()
    await opened(staffed, Level.L2)
    await staffed.work()
    assert staffed.calls() == ["chat", "timur"]
    await staffed.until(180)
    assert staffed.calls() == ["chat", "olga"]


async def test_a_reminder_of_l1_that_falls_into_the_night_comes_in_the_morning(staffed: Watch) -> None:
    staffed.deps = replace(staffed.deps, night=Night(MOSCOW, 16, 20))
    await opened(staffed, Level.L1)
    await staffed.until(299)
    assert staffed.calls() == ["chat", "olga"]
    await staffed.until(300)
    assert staffed.calls() == ["chat", "olga"]


async def test_after_an_outage_nobody_is_called_for_each_hour_of_it(staffed: Watch) -> None:
    await opened(staffed, Level.L1)
    await staffed.run_jobs()
    staffed.calls()
    await staffed.go_to(60 * 24)
    for _ in range(3):
        await staffed.work()
    assert staffed.calls() == ["chat", "olga"], "the reminder, and then its whole wait"
    await staffed.until(60 * 24 + 119)
    assert staffed.calls() == []


async def test_two_workers_that_look_at_once_call_once(staffed: Watch) -> None:
    await opened(staffed, Level.L2)
    await staffed.run_jobs()
    staffed.calls()
    await staffed.go_to(30)
    await asyncio.gather(*(calling.carry_on(staffed.deps) for _ in range(4)))
    assert (await staffed.one()).turn == 2
    await staffed.run_jobs()
    assert staffed.calls() == ["chat", "timur"]


async def test_an_answer_that_was_lost_makes_a_repeat_that_says_so(staffed: Watch) -> None:
    staffed.telegram.faults.change({"lose_answer_rate": 1})
    await opened(staffed, Level.L2)
    await staffed.work()
    staffed.telegram.faults.clear()
    await staffed.work()
    assert staffed.calls() == ["chat", "chat повтор", "mail timur", "timur", "timur повтор"]


async def test_the_failure_and_the_other_route_are_noted_once(staffed: Watch) -> None:
    staffed.telegram.faults.change({"error_rate": 1, "error_status": 502})
    await opened(staffed, Level.L2)
    for _ in range(3):
        await staffed.work()
    assert staffed.calls() == ["mail timur"]
    line = await staffed.line()
    assert line.count("магазин: Не дошло: timur, Telegram: telegram answered 502") == 1
    assert line.count("магазин: Дошло: timur, почта, SMS, push") == 1
    await staffed.go_to(3)
    assert await figure(staffed, "getpro_page_waiting_seconds", route="telegram") == 180


async def test_who_has_blocked_the_bot_is_reached_otherwise_at_once(staffed: Watch) -> None:
    staffed.telegram.people.block(staffed.person(TIMUR))
    await opened(staffed, Level.L2)
    await staffed.work()
    assert staffed.calls() == ["chat", "mail timur"]


async def test_without_a_team_and_without_a_chat_the_settings_address_is_written_to(watch: Watch) -> None:
    mail = f"{watch.deps.mail_server}&to=owner@shop.example"
    watch.deps = replace(watch.deps, chat_id=None, mail=mail)
    await opened(watch, Level.L2)
    await watch.work()
    assert watch.calls() == ["mail owner"]
    assert "магазин: Позвать некого" in await watch.line()


async def test_a_page_whose_job_was_lost_is_sent(staffed: Watch) -> None:
    await opened(staffed, Level.L2)
    await lose_jobs(staffed.shop.db)
    staffed.shop.clock.forward(seconds=15)
    await staffed.work()
    assert staffed.calls() == ["chat", "timur"]


async def test_what_one_incident_meets_does_not_stop_the_clock_of_the_others(staffed: Watch) -> None:
    first = await opened(staffed, Level.L2)
    await opened(staffed, Level.L2)
    async with staffed.deps.db.begin("test") as session:
        await session.execute(
            text("UPDATE incidents SET level = 'L9' WHERE incident_id = :id"), {"id": first}
        )
    await lose_jobs(staffed.shop.db)
    await staffed.go_to(30)
    await calling.carry_on(staffed.deps)
    [turn] = await staffed.rows("SELECT turn FROM incidents WHERE incident_id = 2")
    assert turn.turn == 2


async def test_nobody_answers_is_a_figure_for_the_rule(staffed: Watch) -> None:
    await opened(staffed, Level.L3)
    await staffed.until(16)
    name = "getpro_incident_unanswered_seconds"
    assert await figure(staffed, name, level="L3") == 960
    assert await figure(staffed, "getpro_incidents", level="L3", state="open") == 1
    async with staffed.deps.db.begin("test") as session:
        await service.snooze(session, staffed.deps, 1, by=BY)
    assert await figure(staffed, name, level="L3") is None, "somebody knows"


async def test_a_clock_that_stands_is_a_figure_for_the_rule(staffed: Watch) -> None:
    await opened(staffed, Level.L1)
    await staffed.go_to(121)
    assert await figure(staffed, "getpro_incident_unanswered_seconds", level="L1") is None
    await staffed.go_to(245)
    assert await figure(staffed, "getpro_incident_unanswered_seconds", level="L1") == 245 * 60


async def test_a_group_that_became_a_supergroup_is_followed(staffed: Watch) -> None:
    """As Telegram tells it: the refusal names the new number."""
    asked: list[int] = []
    real = staffed.deps.telegram

    class Moved:
        async def ask(self, method: str, **parameters: object) -> object:
            asked.append(int(str(parameters["chat_id"])))
            if asked[-1] == -5:
                raise BotApiRefused(400, "group chat was upgraded", moved_to=-1001)
            return await real.ask(method, **parameters)

    staffed.deps = replace(staffed.deps, telegram=Moved(), chat_id=-5)
    await opened(staffed, Level.L2)
    await staffed.run_jobs()
    await staffed.run_jobs()
    assert staffed.calls() == ["chat", "timur"]


async def test_impact_is_who_has_paid_and_waits(staffed: Watch) -> None:
    shop = staffed.shop
    for name in ("alice", "bob"):
        payment = await shop.order(await shop.customer(name))
        await shop.notice(shop.pay(payment))
    await shop.run_jobs("settle")
    staffed.shop.clock.forward(minutes=5)
    await opened(staffed, Level.L2)
    await staffed.run_jobs()
    assert "Заплатили и ждут: 2, на 398\N{NO-BREAK SPACE}₽, с 15:00" in staffed.shown(TIMUR)


async def test_a_line_that_loses_every_answer_repeats_a_page_once(staffed: Watch) -> None:
    staffed.telegram.faults.change({"lose_answer_rate": 1})
    await opened(staffed, Level.L2)
    for _ in range(6):
        await staffed.work()
    assert staffed.calls() == ["chat", "chat повтор", "mail timur", "timur", "timur повтор"]
    line = await staffed.line()
    assert "магазин: timur, Telegram: послано дважды, дошло ли, неизвестно" in line
    staffed.telegram.faults.clear()
    await staffed.until(30)
    assert staffed.calls() == ["chat", "timur"], "the reminder comes all the same"


async def test_a_door_that_does_not_open_makes_no_repeat() -> None:
    """Its queue is full and the kernel drops whoever knocks: what was never taken cannot have arrived."""
    with socket.socket() as door, contextlib.ExitStack() as waiting:
        door.bind(("127.0.0.1", 0))
        door.listen(0)
        for _ in range(3):
            one = waiting.enter_context(socket.socket())
            one.settimeout(0)
            one.connect_ex(door.getsockname())
        shut = Service("shut", f"http://127.0.0.1:{door.getsockname()[1]}", timeout_seconds=2)
        with pytest.raises(ServiceUnavailable) as failed:
            await shut.call("knock", "GET", "/")
        await shut.close()
    assert not paging.may_have_arrived(failed.value)


async def test_pages_do_not_stand_behind_what_customers_are_told() -> None:
    assert paging.SEND.queue == hand_over.TELL.queue == PAGES != SEND_NOTICE.queue


async def test_what_is_put_off_comes_no_sooner_for_it(staffed: Watch) -> None:
    number = await opened(staffed, Level.L1)
    await staffed.until(1)
    async with staffed.deps.db.begin("test") as session:
        found = await service.snooze(session, staffed.deps, number, by=BY)
    assert found.snoozed_until == staffed.began + timedelta(hours=2)
    await staffed.until(119)
    assert staffed.calls() == ["chat", "olga"]
    await staffed.until(120)
    assert staffed.calls() == ["chat", "olga"]


async def test_what_flaps_does_not_put_the_next_call_off(staffed: Watch) -> None:
    """Each time it is quiet for less than the quiet time; L3 calls every five minutes all the same."""
    signal = Signal(Source.ROUTINE, "касса", Level.L3, "Касса молчит", staffed.now)

    async def fires(*, now: bool) -> None:
        async with staffed.deps.db.begin("test") as session:
            if now:
                await raise_signal(session, staffed.deps, signal)
            else:
                await signal_over(session, staffed.deps, Source.ROUTINE, "касса")

    await fires(now=True)
    await staffed.work()
    assert len(staffed.calls()) == 6
    for minute in (1, 3, 6):
        await staffed.go_to(minute)
        await fires(now=minute == 3)
        await staffed.work()
    assert len(staffed.calls()) == 0, "it is quiet"
    await staffed.go_to(7)
    await fires(now=True)
    await staffed.work()
    assert len(staffed.calls()) == 6, "it was due two minutes ago"


async def test_what_was_closed_by_force_is_not_told_again_for_a_day(staffed: Watch) -> None:
    signal = Signal(Source.ROUTINE, "правило", Level.L2, "Правило врёт", staffed.now)

    async def tells(told: Signal = signal) -> Outcome:
        async with staffed.deps.db.begin("test") as session:
            return await raise_signal(session, staffed.deps, told)

    await tells()
    async with staffed.deps.db.begin("test") as session:
        await service.resolve(
            session, staffed.deps, 1, by=BY, cause="правило врёт", fix="завтра", force="ждать нечего"
        )
    await staffed.go_to(23 * 60)
    assert await tells() is Outcome.KNOWN
    assert len(await staffed.rows("SELECT FROM incidents")) == 1
    await staffed.go_to(24 * 60)
    assert await tells() is Outcome.OPENED


async def test_nobody_silences_l3_by_force(staffed: Watch) -> None:
    signal = Signal(Source.ROUTINE, "база", Level.L3, "Базы нет", staffed.now)
    async with staffed.deps.db.begin("test") as session:
        await raise_signal(session, staffed.deps, signal)
        await service.resolve(session, staffed.deps, 1, by=BY, cause="?", fix="?", force="устал")
        assert await raise_signal(session, staffed.deps, signal) is Outcome.OPENED


async def test_what_grows_graver_is_nobodys_any_more(staffed: Watch) -> None:
    number = await opened(staffed, Level.L1)
    async with staffed.deps.db.begin("test") as session:
        await service.take(session, staffed.deps, number, by=BY)
        await service.raise_level(session, staffed.deps, number, by=BY)
    found = await staffed.one()
    assert (found.state, found.level, found.taken_by) == ("open", "L2", None)
