"""The routines: by command and by schedule alike, kept, and told to the operators' chat once."""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from doors import serve
from getpro.checks.check import Check, Finding, Level, Line
from getpro.operations import chat
from getpro.operations.chat import OperatorsChat
from getpro.operations.dependencies import Packages
from getpro.operations.deps import Deps
from getpro.operations.jobs import job_kinds, schedules
from getpro.operations.monitoring import RUNBOOKS
from getpro.operations.report import report
from getpro.operations.routines import ROUTINES, Routine, carry_out, carry_out_due
from getpro.operations.runs import history
from getpro.platform.bot_api import BotApi, BotApiRefused, Document, TooManyRequests
from getpro.platform.database import DATABASE_AWAY, Database
from getpro.platform.http import ServiceUnavailable
from getpro.platform.jobs import RetryLater
from getpro.platform.schedules import Schedule, declare, next_run, run_due
from getpro.platform.settings import OperationsSettings, TelegramSettings
from getpro.platform.typesetting import NotDrawn
from getpro.sandbox.serving import serving
from getpro.sandbox.telegram import TelegramSimulator
from shop import Shop

DASHBOARDS = Path(__file__).parents[2] / "deploy/grafana/dashboards"
MOSCOW = ZoneInfo("Europe/Moscow")
ROOM = Line("room", "Комната")
AWAY = "http://127.0.0.1:9/"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00"


class FakeChat:
    def __init__(self) -> None:
        self.told: list[str] = []
        self.pictures: list[bytes | None] = []
        self.documents: list[Document] = []
        self.silent: list[bool] = []
        self.trouble: Exception | None = None

    async def send(
        self,
        text: str,
        picture: bytes | None = None,
        *,
        document: Document | None = None,
        is_silent: bool = False,
    ) -> None:
        if self.trouble is not None:
            raise self.trouble
        if document is not None:
            self.documents.append(document)
            return
        self.told.append(text)
        self.pictures.append(picture)
        self.silent.append(is_silent)


@pytest.fixture
def room() -> FakeChat:
    return FakeChat()


@pytest.fixture
def deps(shop: Shop, room: FakeChat, tmp_path: Path) -> Deps:
    return Deps(
        db=shop.db,
        jobs=shop.jobs,
        clock=shop.clock,
        zone=MOSCOW,
        settings=OperationsSettings(),
        folders={"data": tmp_path},
        chat=room,
        packages=Packages(tmp_path, AWAY),
    )


def looking_at(*findings: Finding) -> Routine:
    async def look() -> AsyncIterator[Finding]:
        for finding in findings:
            yield finding

    return Routine("test", "Проба", "0 9 * * *", lambda *_: [Check(ROOM, look)])


async def tell(deps: Deps) -> list[Exception]:
    """The jobs that send, once each."""
    failed: list[Exception] = []
    async with deps.db.begin("test") as session:
        query = (
            "SELECT id, args FROM procrastinate_jobs WHERE task_name = :name AND status = 'todo' ORDER BY id"
        )
        waiting = (await session.execute(text(query), {"name": chat.TELL.name})).all()
    [kind] = [kind for kind in job_kinds(deps) if kind.name == chat.TELL.name]
    for job in waiting:
        try:
            await kind.run(**job.args)
        except kind.expected as error:
            failed.append(error)
    return failed


@pytest.mark.parametrize("name", sorted(ROUTINES))
async def test_every_routine_runs_on_a_shop_that_sells_and_is_kept(
    name: str, deps: Deps, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", AWAY)
    await shop.purchase(await shop.customer("alice"))
    run = await carry_out(deps, ROUTINES[name])
    broken = [finding for finding in run.findings if "сломалась" in finding.seen]
    assert not broken
    async with deps.db.begin("test") as session:
        [kept] = await history(session, routine=name)
    assert kept == run
    assert kept.asked_by == "schedule"


async def test_what_was_found_is_told_once_also_when_the_job_runs_twice(deps: Deps, room: FakeChat) -> None:
    await carry_out(deps, looking_at(ROOM.wrong("грязно", "уберите"), ROOM.ok("светло")))
    assert await tell(deps) == await tell(deps) == []
    [said] = room.told
    assert said == ("🔴 <b>Проба</b>, 01.03 15:00\n\n🔴 Комната: грязно\n   → уберите\n\nКомната: светло")


async def test_only_what_is_not_in_order_wakes_anybody(deps: Deps, room: FakeChat) -> None:
    found = [
        ROOM.ok("светло"),
        ROOM.absent("нет"),
        ROOM.attention("сыро", "проветрите"),
        ROOM.wrong("грязно", "уберите"),
    ]
    for one in [*found, ROOM.unknown("дверь закрыта", "откройте")]:
        await carry_out(deps, looking_at(one))
    await tell(deps)
    assert room.silent == [True, True, False, False, False]


async def test_a_report_waits_for_telegram_and_is_not_lost(deps: Deps, room: FakeChat) -> None:
    await carry_out(deps, looking_at(ROOM.ok("светло")))
    room.trouble = ServiceUnavailable("away")
    assert [type(error) for error in await tell(deps)] == [ServiceUnavailable]
    room.trouble = None
    await tell(deps)
    assert len(room.told) == 1


async def test_a_report_that_telegram_refuses_for_good_is_kept_with_its_words(
    deps: Deps, room: FakeChat
) -> None:
    await carry_out(deps, looking_at(ROOM.ok("светло")))
    room.trouble = BotApiRefused(403, "Forbidden: bot was kicked from the group chat")
    await tell(deps)
    async with deps.db.begin("test") as session:
        kept = await session.scalar(text("SELECT trouble FROM operator_messages"))
    assert kept == "403 Forbidden: bot was kicked from the group chat"


async def test_a_report_that_is_too_long_for_telegram_is_cut_between_two_lines(
    deps: Deps, room: FakeChat
) -> None:
    await carry_out(deps, looking_at(*(ROOM.ok("<" * 90) for _ in range(20))))
    await tell(deps)
    [said] = room.told
    assert len(said) <= 4096
    assert said.splitlines()[-1] == "…"
    assert said.splitlines()[-2].endswith("&lt;")


async def test_a_job_that_runs_twice_makes_one_report_for_each_time_it_was_due(
    deps: Deps, room: FakeChat, shop: Shop
) -> None:
    routine = looking_at(ROOM.ok("светло"))
    async with deps.db.begin("test") as session:
        await declare(session, [Schedule(routine.schedule, routine.rule)], now=shop.clock())
    for _ in range(2):
        shop.clock.now += timedelta(days=1)
        async with deps.db.begin("test") as session:
            await run_due(session, deps.jobs, [routine.schedule], now=shop.clock())
        for _ in range(2):
            await carry_out_due(deps, routine)
            await tell(deps)
    assert len(room.told) == 2
    async with deps.db.read("test") as session:
        assert len(await history(session)) == 2


async def test_two_that_carry_out_the_same_time_at_once_make_one_report(deps: Deps, room: FakeChat) -> None:
    routine, due_at = looking_at(ROOM.ok("светло")), deps.clock()
    both = (carry_out(deps, routine, due_at=due_at) for _ in range(2))
    ended = await asyncio.gather(*both, return_exceptions=True)
    await tell(deps)
    assert sorted(type(one).__name__ for one in ended) == ["AlreadyRun", "Run"]
    assert len(room.told) == 1


async def test_a_report_has_its_picture_and_is_told_without_one_that_cannot_be_drawn(
    deps: Deps, room: FakeChat
) -> None:
    async def drawn(*_: Any) -> bytes:
        return PNG

    async def failing(*_: Any) -> bytes:
        raise NotDrawn("нет шрифта")

    routine = looking_at(ROOM.ok("светло"))
    await carry_out(deps, replace(routine, picture=drawn))
    run = await carry_out(deps, replace(routine, picture=failing))
    await tell(deps)
    assert room.pictures == [PNG, None]
    assert (run.level, "нет шрифта" in room.told[1]) == (Level.UNKNOWN, True)
    await carry_out(deps, replace(looking_at(ROOM.ok("светло " * 200)), picture=drawn))
    await tell(deps)
    assert ([len(said) > 1024 for said in room.told[2:]], room.pictures[2:]) == ([True, False], [None, PNG])
    async with deps.db.read("test") as session:
        kept = await session.scalar(text("SELECT count(*) FROM operator_messages WHERE picture IS NOT NULL"))
    assert kept == 0  # they have been sent


async def test_by_command_nobody_is_told_unless_asked(deps: Deps, room: FakeChat) -> None:
    await carry_out(deps, looking_at(ROOM.ok("светло")), asked_by="ольга", tell=False)
    await tell(deps)
    assert room.told == []
    async with deps.db.begin("test") as session:
        [kept] = await history(session)
    assert kept.asked_by == "ольга"


async def test_a_check_that_breaks_hides_no_other_and_is_red(deps: Deps) -> None:
    async def broken() -> AsyncIterator[Finding]:
        yield ROOM.ok("светло")
        raise RuntimeError

    routine = Routine("test", "Проба", "0 9 * * *", lambda *_: [Check(ROOM, broken)])
    run = await carry_out(deps, routine)
    assert (run.level, [finding.level for finding in run.findings]) == (
        Level.UNKNOWN,
        [Level.OK, Level.UNKNOWN],
    )


def test_the_routines_come_at_the_guides_hours_of_the_operator() -> None:
    sunday = datetime(2026, 11, 29, 0, 0, tzinfo=UTC)
    first = {
        schedule.name: next_run(schedule.rule, schedule.zone, after=sunday).astimezone(MOSCOW)
        for schedule in schedules("Europe/Moscow")
    }
    assert (first["ops_morning"].hour, first["ops_evening"].hour) == (9, 18)
    assert first["ops_watch"].hour == 4
    assert (first["ops_monday"].weekday(), first["ops_thursday"].weekday()) == (0, 3)


def test_a_report_shows_names_as_they_are_and_the_worst_first() -> None:
    found = [
        Line("a", "Первая").ok("1 < 2"),
        Line("b", "Вторая").attention("<b>", "x & y"),
        Line("c", "Третья").unknown("не видно", ""),
    ]
    said = report("Отчёт", found, now=datetime(2026, 11, 28, tzinfo=UTC), zone=MOSCOW)
    assert said.splitlines() == [
        "🔴 <b>Отчёт</b>, 28.11 03:00",
        "",
        "🔴 Третья: не проверено: не видно",
        "🟡 Вторая: &lt;b&gt;",
        "   → x &amp; y",
        "",
        "Первая: 1 &lt; 2",
    ]


async def test_what_there_is_nothing_of_is_not_looked_at_and_colours_nothing(
    deps: Deps, room: FakeChat
) -> None:
    async def look() -> AsyncIterator[Finding]:
        yield ROOM.ok("светло")

    async def never() -> AsyncIterator[Finding]:
        raise AssertionError
        yield  # what makes it a generator

    cellar, roof = Line("cellar", "Подвал"), Line("roof", "Крыша")
    checks = [Check(cellar, never), Check(ROOM, look), Check(roof, never)]
    here = dataclasses.replace(deps, absent=lambda line: None if line == ROOM else "нет <здесь>")
    run = await carry_out(here, Routine("test", "Проба", "0 9 * * *", lambda *_: checks))
    assert run.level is Level.OK
    assert [finding.level for finding in run.findings] == [Level.ABSENT, Level.OK, Level.ABSENT]
    nothing = await carry_out(here, Routine("test", "Проба", "0 9 * * *", lambda *_: [checks[0]]))
    assert nothing.level is Level.ABSENT
    async with deps.db.begin("test") as session:
        assert await history(session) == [nothing, run]
    await tell(deps)
    assert room.told == [
        "🟢 <b>Проба</b>, 01.03 15:00\n\nКомната: светло\n\n<i>Нет &lt;здесь&gt;: Подвал, Крыша</i>",
        "⚪ <b>Проба</b>, 01.03 15:00\n\n<i>Нет &lt;здесь&gt;: Подвал</i>",
    ]


async def test_the_operators_chat_is_a_group_of_telegrams() -> None:
    token = "7000000001:test"
    telegram = TelegramSimulator(token)
    olga = telegram.state.add_person(104, "Ольга")
    group = telegram.state.add_group(-1001, "Операторы", [olga])
    telegram.people.add_bot(olga, group)
    async with serving(telegram.app) as url:
        api = BotApi(TelegramSettings(bot_token=SecretStr(token), api_url=url))
        here = OperatorsChat(api, group.chat_id)
        await here.send("🟢 <b>Проба</b>")
        with pytest.raises(BotApiRefused):
            await here.send("<b>не закрыто")
        await asyncio.sleep(1)  # the least between two messages to one chat
        await here.send("🟢 <b>Неделя</b>", PNG, is_silent=True)
        telegram.people.remove_bot(olga, group)
        with pytest.raises(BotApiRefused, match="403 Forbidden: bot was kicked"):
            await here.send("🟢 <b>Ещё проба</b>")
        await api.close()
    told: list[Any] = [message for message in group.messages.values() if message["from"]["is_bot"]]
    assert [message.get("text") for message in told] == ["🟢 Проба", None]
    assert told[1]["caption"] == "🟢 Неделя"
    assert telegram.state.files[told[1]["photo"][0]["file_id"]] == PNG
    silent = [str(call["parameters"]["disable_notification"]).lower() for call in telegram.state.calls]
    assert silent == ["false", "false", "true", "false"]  # with a picture it is a field of a form


async def test_what_telegram_refused_is_tried_again_when_it_is_said_again(deps: Deps, room: FakeChat) -> None:
    """Alertmanager repeats what still fires: once the chat is there, the operators must hear of it."""

    async def say(words: str) -> bool:
        async with deps.db.begin("test") as session:
            return await chat.say(session, deps.jobs, key="alert", text=words, now=deps.clock())

    room.trouble = BotApiRefused(403, "Forbidden: bot was kicked from the group chat")
    assert await say("пожар")
    await tell(deps)
    room.trouble = None
    assert await say("всё ещё пожар")
    await tell(deps)
    assert not await say("и ещё")
    await tell(deps)
    assert room.told == ["всё ещё пожар"]


async def test_telegram_is_asked_again_when_it_says_and_not_before(deps: Deps, room: FakeChat) -> None:
    await carry_out(deps, looking_at(ROOM.ok("светло")))
    room.trouble = TooManyRequests(37)
    with pytest.raises(RetryLater) as later:
        await tell(deps)
    assert later.value.seconds == 37


async def test_a_picture_that_does_not_pass_holds_nothing_up_for_long(
    deps: Deps, room: FakeChat, shop: Shop
) -> None:
    for key, words in (("both", "неделя"), ("alone", "")):
        async with deps.db.begin("test") as session:
            await chat.say(session, deps.jobs, key=key, text=words, now=deps.clock(), picture=PNG)
    room.trouble = ServiceUnavailable("away")
    assert len(await tell(deps)) == 2
    room.trouble = None
    shop.clock.now += timedelta(minutes=16)
    assert await tell(deps) == []
    assert (room.told, room.pictures) == (["неделя"], [None])


async def test_whoever_asks_by_hand_sees_what_was_found_also_while_the_database_is_away(deps: Deps) -> None:
    gone = replace(deps, db=Database("postgresql://nobody@127.0.0.1:1/nothing"))
    run = await carry_out(gone, looking_at(ROOM.ok("светло")), asked_by="olga")
    assert [(one.name, one.level) for one in run.findings] == [("room", Level.OK), ("kept", Level.UNKNOWN)]
    assert run.level is Level.UNKNOWN
    with pytest.raises(DATABASE_AWAY):
        await carry_out(gone, looking_at(ROOM.ok("светло")))


async def test_a_group_that_has_moved_is_followed_and_what_is_too_large_is_refused() -> None:
    came: list[int] = []

    async def send(request: Request) -> Response:
        chat_id = (await request.json())["chat_id"]
        came.append(chat_id)
        if chat_id == -1:
            moved = {"ok": False, "error_code": 400, "description": "Bad Request: group chat was upgraded"}
            return JSONResponse(moved | {"parameters": {"migrate_to_chat_id": -1002}}, 400)
        if len(came) > 3:
            return PlainTextResponse("<html>413</html>", 413)
        return JSONResponse({"ok": True, "result": {}})

    app = Starlette(routes=[Route("/bot1:test/sendMessage", send, methods=["POST"])])
    async with serve(app) as url:
        api = BotApi(TelegramSettings(bot_token=SecretStr("1:test"), api_url=url))
        here = OperatorsChat(api, -1)
        await here.send("раз")
        await here.send("два")
        assert came == [-1, -1002, -1002]
        with pytest.raises(BotApiRefused, match="413"):
            await here.send("три")
        await api.close()


async def test_what_is_long_over_is_forgotten_and_what_waits_to_be_told_is_not(
    deps: Deps, room: FakeChat, shop: Shop
) -> None:
    await carry_out(deps, looking_at(ROOM.ok("светло")))
    await tell(deps)
    await carry_out(deps, looking_at(ROOM.wrong("грязно", "уберите")))
    shop.clock.now += timedelta(days=91)
    [forget] = [kind for kind in job_kinds(deps) if kind.name == "forget_operations"]
    for _ in range(2):
        await forget.run()
    async with deps.db.begin("test") as session:
        assert len(await history(session)) == 2
    assert len(await tell(deps)) == 0
    assert [said[0] for said in room.told] == ["🟢", "🔴"]
    shop.clock.now += timedelta(days=700)
    await forget.run()
    async with deps.db.begin("test") as session:
        assert await history(session) == []
        assert await session.scalar(text("SELECT count(*) FROM operator_messages")) == 0


async def test_a_report_leads_to_its_charts_where_grafana_is(deps: Deps, room: FakeChat) -> None:
    settings = OperationsSettings(grafana_url="http://203.0.113.5:3000")
    await carry_out(replace(deps, settings=settings), looking_at(ROOM.ok("светло")))
    await tell(deps)
    assert room.told[0].endswith('\n\n<a href="http://203.0.113.5:3000/d/getpro-host">Графики</a>')
    made = {json.loads(path.read_text(encoding="utf-8"))["uid"] for path in DASHBOARDS.glob("*.json")}
    assert {routine.dashboard for routine in ROUTINES.values()} | {RUNBOOKS} <= made
