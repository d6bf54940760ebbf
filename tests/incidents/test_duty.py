"""The duty passes on: holidays move it, whoever comes and leaves is told once, the steps are changed."""

import asyncio
from datetime import date, datetime, timedelta

import pytest

from duty import MOSCOW, OLGA, TIMUR, Watch
from getpro.incidents import hand_over, policy, service, store, team
from getpro.incidents.errors import CannotDo
from getpro.incidents.escalation import GUIDES, Step
from getpro.incidents.rota import Override, Rota, Turn, turn_at
from getpro.incidents.states import Level, Reach, Role
from getpro.incidents.team import Actor
from moments import broken_at, lose_jobs

BY = Actor("Ольга")
NEW_YEAR = {date(2026, 1, day): "Новый год" for day in range(1, 9)}


def moscow(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=MOSCOW)


WEEKLY = Rota((1, 2, 3), moscow("2025-12-22 10:00"), 7)
DAILY = Rota((1, 2, 3), moscow("2025-12-30 10:00"), 1)
BEGINS_ON_ONE = Rota((1, 2), moscow("2026-01-05 10:00"), 7)


@pytest.mark.parametrize(
    ("rota", "moment", "person", "until"),
    [
        (WEEKLY, "2025-12-29 10:00", 2, "2026-01-09 10:00"),
        (WEEKLY, "2026-01-05 10:00", 2, "2026-01-09 10:00"),
        (WEEKLY, "2026-01-09 09:59", 2, "2026-01-09 10:00"),
        (WEEKLY, "2026-01-09 10:00", 3, "2026-01-12 10:00"),
        (WEEKLY, "2026-01-12 10:00", 1, "2026-01-19 10:00"),
        (DAILY, "2025-12-31 10:00", 2, "2026-01-09 10:00"),
        (DAILY, "2026-01-06 12:00", 2, "2026-01-09 10:00"),
        (DAILY, "2026-01-09 10:00", 2, "2026-01-10 10:00"),
        (BEGINS_ON_ONE, "2026-01-05 10:00", 1, "2026-01-12 10:00"),
    ],
)
def test_nobody_hands_over_on_a_holiday(rota: Rota, moment: str, person: int, until: str) -> None:
    found = turn_at(rota, [], moscow(moment), MOSCOW, NEW_YEAR)
    assert found == Turn(person, moscow(until))


def test_who_stands_in_does_so_on_a_holiday_too() -> None:
    evening = Override(3, moscow("2026-01-02 10:00"), moscow("2026-01-03 10:00"))
    assert turn_at(WEEKLY, [evening], moscow("2026-01-02 12:00"), MOSCOW, NEW_YEAR) == Turn(3, evening.until)
    assert turn_at(WEEKLY, [evening], moscow("2026-01-01 12:00"), MOSCOW, NEW_YEAR) == Turn(2, evening.since)


async def rota_of(watch: Watch, *names: str, days: int = 7) -> None:
    """Their turns begin now."""
    async with watch.deps.db.begin("test") as session:
        await team.set_rota(session, names, since=watch.now, turn_days=days, by="ольга", now=watch.now)


async def pass_on(watch: Watch, **later: float) -> list[str]:
    """So much later somebody looks, and the messages are sent; who was told."""
    watch.shop.clock.now += timedelta(**later)
    await hand_over.look(watch.deps)
    await watch.run_jobs()
    return watch.calls()


def read(watch: Watch, user_id: int) -> list[str]:
    """What somebody was told last, line by line."""
    return str(list(watch.chat(user_id).messages.values())[-1]["text"]).splitlines()


async def test_whoever_comes_and_whoever_leaves_is_told_once_with_what_is_open(staffed: Watch) -> None:
    await rota_of(staffed, "olga", "timur")
    assert await pass_on(staffed) == ["olga"]
    assert read(staffed, OLGA) == ["Вы дежурите до 08.03 15:00", "", "Открытых дел нет."]
    assert await pass_on(staffed, days=6, hours=20) == []
    async with staffed.deps.db.begin("test") as session:
        for level, title in ((Level.L1, "Мелочь"), (Level.L2, "Касса <молчит>"), (Level.L2, "Панель")):
            await service.open_by_hand(session, staffed.deps, title, level=level, by=BY)
        await service.snooze(session, staffed.deps, 1, by=BY, length=timedelta(hours=9))
        await service.take(session, staffed.deps, 2, by=Actor("olga"))
    await staffed.run_jobs()
    staffed.calls()
    assert await pass_on(staffed, hours=4) == ["olga", "timur"]
    assert read(staffed, TIMUR) == [
        "Вы дежурите до 15.03 15:00",
        "До вас: olga",
        "",
        "Открытых дел: 3",
        "🔴 №3 L2 · Панель",
        "не взят, зовём сейчас",
        "🔴 №2 L2 · Касса <молчит>",
        "взял olga в 11:00",
        "🟡 №1 L1 · Мелочь",
        "отложен до 20:00",
    ]
    assert read(staffed, OLGA)[:2] == ["Ваше дежурство окончено", "Дальше timur до 15.03 15:00"]
    assert read(staffed, OLGA)[-1] == "За вами остаётся: №2. Отдать: кнопка «Отпустить»."
    await asyncio.gather(*(hand_over.look(staffed.deps) for _ in range(4)))
    assert await pass_on(staffed) == []


async def test_a_shop_that_was_down_over_two_hand_overs_tells_of_what_is_so_now(staffed: Watch) -> None:
    await rota_of(staffed, "olga", "timur", "dima")
    await pass_on(staffed)
    assert await pass_on(staffed, days=15) == ["dima", "olga"]
    assert await pass_on(staffed, minutes=1) == []


async def test_two_who_look_at_once_tell_once(staffed: Watch) -> None:
    await rota_of(staffed, "olga", "timur")
    await asyncio.gather(*(hand_over.look(staffed.deps) for _ in range(4)))
    await staffed.run_jobs()
    assert staffed.calls() == ["olga"]


async def test_a_hand_over_whose_sender_was_killed_comes_once_more_and_says_so(staffed: Watch) -> None:
    await rota_of(staffed, "olga")
    await hand_over.look(staffed.deps)
    with broken_at("hand-over: noted: before commit"), pytest.raises(Exception, match="hand-over: noted"):
        await staffed.run_jobs()
    await staffed.run_jobs()
    assert staffed.calls() == ["olga", "olga повтор"]
    [row] = await staffed.rows("SELECT sent_at FROM hand_overs")
    assert row.sent_at is not None


async def test_where_telegram_is_down_it_goes_by_mail_and_what_is_old_is_not_told(staffed: Watch) -> None:
    await rota_of(staffed, "olga", "dima")
    staffed.telegram.faults.change({"error_rate": 1, "error_status": 502})
    assert await pass_on(staffed) == ["mail olga"]
    assert await pass_on(staffed, days=7) == ["mail olga"], "Dima has no mail, and waits"
    staffed.telegram.faults.clear()
    assert await pass_on(staffed, days=7) == ["dima", "olga"]
    assert read(staffed, OLGA)[0] == "Вы дежурите до 22.03 15:00"
    assert read(staffed, 106)[0] == "Ваше дежурство окончено"
    [old] = await staffed.rows("SELECT trouble FROM hand_overs WHERE trouble IS NOT NULL")
    assert old.trouble == "смена с тех пор передана дальше"


async def test_whoever_was_removed_is_not_told_and_one_who_stands_in_is(staffed: Watch) -> None:
    await rota_of(staffed, "olga", "timur")
    await pass_on(staffed)
    async with staffed.deps.db.begin("test") as session:
        now, until = staffed.now, staffed.now + timedelta(hours=3)
        await team.stand_in(session, "dima", since=now, until=until, reason="вечер", by="ольга", now=now)
    assert await pass_on(staffed, minutes=1) == ["dima", "olga"]
    async with staffed.deps.db.begin("test") as session:
        await team.remove_person(session, "olga", now=staffed.now)
    assert await pass_on(staffed, hours=3) == ["dima"]
    assert read(staffed, 106)[:2] == [
        "Ваше дежурство окончено",
        "По графику теперь никто: зовём всех дежурных инженеров",
    ]


async def test_a_level_is_called_by_the_steps_that_were_set_and_the_guides_come_back(staffed: Watch) -> None:
    async def change(*steps: Step) -> None:
        async with staffed.deps.db.begin("test") as session:
            await policy.set_steps(session, staffed.deps, Level.L2, steps, by=BY, reason="отпуска")

    ten = timedelta(minutes=10)
    await change(Step(Role.DEVOPS, Reach.TELEGRAM, ten), Step(Role.TECH_LEAD, Reach.ALL, ten))
    async with staffed.deps.db.begin("test") as session:
        await service.open_by_hand(session, staffed.deps, "Беда", level=Level.L2, by=BY)
    await staffed.work()
    assert staffed.calls() == ["chat", "dima"]
    assert "ответ до 15:20" in staffed.shown()
    await staffed.until(10)
    assert staffed.calls() == ["chat", "mail timur", "timur"]
    await change(*GUIDES[Level.L2])
    await staffed.until(20)
    assert staffed.calls() == ["chat", "dima", "mail olga", "mail timur", "olga", "timur"], (
        "two steps are over"
    )
    async with staffed.deps.db.begin("test") as session:
        assert (await store.policy(session))[Level.L2] == list(GUIDES[Level.L2])
    rows = await staffed.rows("SELECT actor, reason, outcome FROM audit_log ORDER BY audit_id")
    assert [tuple(row) for row in rows] == [
        ("Ольга", "отпуска", "devops:10m tech_lead:10m:all"),
        ("Ольга", "отпуска", "guide"),
    ]


@pytest.mark.parametrize(
    "steps", [[], [Step(Role.DEVOPS, Reach.ALL, timedelta(seconds=59))], [GUIDES[Level.L1][0]] * 11]
)
async def test_steps_that_would_call_nobody_or_without_end_are_refused(
    steps: list[Step], staffed: Watch
) -> None:
    with pytest.raises(CannotDo):
        async with staffed.deps.db.begin("test") as session:
            await policy.set_steps(session, staffed.deps, Level.L2, steps, by=BY, reason="так")
    async with staffed.deps.db.begin("test") as session:
        assert tuple((await store.policy(session))[Level.L2]) == GUIDES[Level.L2]


async def test_a_hand_over_whose_job_was_lost_is_told(staffed: Watch) -> None:
    await rota_of(staffed, "olga")
    await hand_over.look(staffed.deps)
    await lose_jobs(staffed.shop.db)
    assert await pass_on(staffed, minutes=1) == ["olga"]
