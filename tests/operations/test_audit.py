"""The month's audit: findings are ranked, held against the month before, signed, accepted for a time."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pypdfium2
import pytest
from sqlalchemy import text

from duty import CHAT, OLGA, Watch, staffed, watch
from getpro.checks.check import Check, Finding, Level, Line
from getpro.incidents.errors import CannotDo, NotAllowed
from getpro.incidents.team import Actor
from getpro.operations import acceptance, audit_words, audits
from getpro.operations.acceptance import Accepted
from getpro.operations.audit_words import Changes, Facts
from getpro.operations.audits import Audit
from getpro.operations.chat import OperatorsChat
from getpro.operations.dependencies import Packages
from getpro.operations.deps import Deps
from getpro.operations.jobs import job_kinds
from getpro.operations.looks import signatures
from getpro.operations.routines import ROUTINES, Routine, carry_out
from getpro.operations.runs import Run
from getpro.operations.secrets import Inventory, Secret, remember
from getpro.platform import audit
from getpro.platform.bot_api import BotApi, TooManyRequests
from getpro.platform.bot_api import Document as File
from getpro.platform.jobs import RetryLater
from getpro.platform.settings import OperationsSettings
from shop import NOW

__all__ = ["staffed", "watch"]

DAY = timedelta(days=1)
MOSCOW = ZoneInfo("Europe/Moscow")
BY_OLGA = Actor("olga", OLGA)
STRANGER = Actor("mallory", 666)
TOKEN, ROLE, PORTS = Line("secrets.age.X", "Токен"), Line("rights.role.m", "Роль m"), Line("p", "Порты")
OLD = TOKEN.wrong("служил до 01.11.2026", "Смените")
ALIEN = ROLE.attention("не объявлена", "Чья?")
UNSEEN = PORTS.unknown("не видны", "Посмотрите")


class Room:
    """The operators' chat."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.files: list[File] = []

    async def send(
        self,
        text: str,
        picture: bytes | None = None,
        *,
        document: File | None = None,
        is_silent: bool = False,
    ) -> None:
        if document is None:
            self.told.append(text)
        else:
            self.files.append(document)


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
def deps(staffed: Watch, room: Room) -> Deps:
    return Deps(
        db=staffed.deps.db,
        jobs=staffed.deps.jobs,
        clock=staffed.deps.clock,
        zone=MOSCOW,
        settings=OperationsSettings(),
        folders={},
        chat=room,
        packages=Packages(),
        incidents=staffed.deps,
    )


async def audited(deps: Deps, *findings: Finding, tell: bool = True) -> Run:
    """An audit that sees just this."""

    async def look() -> AsyncIterator[Finding]:
        for finding in findings:
            yield finding

    own = replace(ROUTINES["audit"], checks=lambda *_: [Check(Line("test", "Проба"), look)])
    return await carry_out(deps, own, tell=tell)


async def signed(deps: Deps, by: Actor = BY_OLGA) -> Audit:
    assert deps.incidents is not None
    async with deps.db.begin("test") as session:
        return await audits.sign(session, deps.incidents, by=by)


async def accepted(deps: Deps, finding: str, *, days: int = 30, by: Actor = BY_OLGA) -> int:
    assert deps.incidents is not None
    until = deps.clock() + timedelta(days=days)
    async with deps.db.begin("test") as session:
        return await acceptance.accept(
            session, deps.incidents, finding, until=until, reason="ждём подрядчика", by=by
        )


async def kept(deps: Deps) -> Audit:
    async with deps.db.read("test") as session:
        found = await audits.of_month(session)
    assert found is not None
    return found


def test_it_comes_in_the_first_week_of_the_month() -> None:
    minute, hour, day, *_ = ROUTINES["audit"].rule.split()
    assert (minute, hour, 1 <= int(day) <= 7) == ("0", "11", True)


async def test_findings_are_ranked_each_with_its_remedy_and_the_paper_follows_the_summary(
    deps: Deps, room: Room, staffed: Watch
) -> None:
    run = await audited(deps, ALIEN, UNSEEN, PORTS.ok("22"), OLD)
    await sent(deps, staffed)
    [said] = room.told
    lines = said.splitlines()
    assert lines[:2] == [
        "🔴 <b>Аудит безопасности: март 2026</b>, 01.03 15:00",
        "неверно 1, не проверено 1, внимание 1",
    ]
    assert lines[3:9] == [
        "🔴 Токен: служил до 01.11.2026",
        "   → Смените",
        "🔴 Порты: не видны",
        "   → Посмотрите",
        "🟡 Роль m: не объявлена",
        "   → Чья?",
    ]
    [paper] = room.files
    assert (paper.name, paper.content[:5]) == ("audit-2026-03.pdf", b"%PDF-")
    pages = pypdfium2.PdfDocument(paper.content)
    words = " ".join("".join(page.get_textpage().get_text_range() for page in pages).split())
    for said in ("Аудит безопасности: март 2026", "Токен", "Не подписано", "secrets.age.X"):
        assert said in words
    assert (await kept(deps)).run_id == run.run_id


async def sent(deps: Deps, watch: Watch) -> None:
    """What operations has deferred, in its order."""
    kinds = {kind.name: kind for kind in job_kinds(deps)}
    async with deps.db.begin("test") as session:
        jobs = (
            await session.execute(
                text("SELECT task_name, args FROM procrastinate_jobs WHERE status = 'todo' ORDER BY id")
            )
        ).all()
    for job in jobs:
        if job.task_name in {"tell_operators", "send_audit"}:
            await kinds[job.task_name].run(**job.args)


async def test_the_report_lists_people_with_their_rights_and_secrets_with_their_terms(
    deps: Deps, staffed: Watch
) -> None:
    found = Inventory([Secret("PANEL_TOKEN", ".env", "x")], ["k"])
    async with deps.db.begin("test") as session:
        await remember(session, found, now=NOW)
        await audit.note(
            session, actor=str(OLGA), action="x", subject="u1", reason="x", outcome="y", now=NOW - DAY
        )
    await audited(replace(deps, operators=frozenset({OLGA, 777})), ALIEN)
    report = (await kept(deps)).markdown
    assert (
        "| Кто | Роли | Действовал |\n| --- | --- | --- |\n"
        "| olga | оператор, Дежурный инженер | 28.02.2026 |\n"
        "| timur | Технический руководитель | полгода ничего |\n"
        "| dima | DevOps | полгода ничего |\n"
        "| Telegram 777 | оператор | полгода ничего |\n"
    ) in report
    assert "| Токен панели | `PANEL_TOKEN` | 01.03.2026 | 01.03.2027 |" in report


async def test_a_month_is_held_against_the_one_before(deps: Deps, staffed: Watch) -> None:
    await audited(deps, OLD, ALIEN)
    assert "это первый аудит" in (await kept(deps)).markdown
    staffed.shop.clock.now += 31 * DAY
    await audited(deps, OLD, UNSEEN)
    found = (await kept(deps)).markdown
    assert "Против прежнего (март 2026): новых 1, осталось 1, ушло 1" in found
    assert "**Порты** (не проверено, новое)" in found
    assert "**Токен** (неверно)" in found
    assert "## Прошло с прошлого раза\n\n- Роль m: не объявлена" in found
    await audited(deps, UNSEEN)  # once more in the same month: still against March
    assert "(март 2026): новых 1, осталось 0, ушло 2" in (await kept(deps)).markdown


async def test_a_person_of_the_team_signs_the_months_report_once_and_it_is_on_record(deps: Deps) -> None:
    with pytest.raises(CannotDo, match="ещё не было"):
        await signed(deps)
    await audited(deps, OLD, tell=False)
    with pytest.raises(NotAllowed):
        await signed(deps, STRANGER)
    with pytest.raises(CannotDo, match="olga, timur, dima"):
        await signed(deps, Actor("root"))
    before = await audits.with_pdf(deps, await kept(deps), shop_name="Тест")
    assert (await kept(deps)).pdf == before.pdf
    found = await signed(deps)
    assert (found.signed_by, found.signed_at, found.pdf) == ("olga", NOW, None)
    assert "Прочитал и подписал: olga, 01.03.2026 15:00" in audits.signed(found, MOSCOW)
    with pytest.raises(CannotDo, match="уже подписан: olga"):
        await signed(deps)
    async with deps.db.read("test") as session:
        row = (await session.execute(text("SELECT actor, action, subject, outcome FROM audit_log"))).one()
    assert row == ("olga", "audit.sign", "2026-03", found.head)


async def test_a_month_that_nobody_signed_is_a_finding_of_the_next(deps: Deps, staffed: Watch) -> None:
    async def seen() -> Level:
        [found] = [one async for one in signatures.look(deps.db, now=deps.clock(), zone=MOSCOW)]
        return found.level

    assert await seen() is Level.OK
    await audited(deps, OLD)
    assert await seen() is Level.OK  # the month is not over
    staffed.shop.clock.now += 31 * DAY
    assert await seen() is Level.ATTENTION
    staffed.shop.clock.now -= 31 * DAY
    await signed(deps)
    await audited(deps)  # a newer one of the same month, unsigned, takes nothing away
    staffed.shop.clock.now += 31 * DAY
    assert await seen() is Level.OK


async def test_an_accepted_finding_colours_nothing_until_its_day(deps: Deps, staffed: Watch) -> None:
    await audited(deps, OLD, ALIEN)
    assert await accepted(deps, ALIEN.name) == 1
    run = await audited(deps, ALIEN)
    [found] = run.findings
    assert (run.level, found.level) == (Level.ABSENT, Level.ABSENT)
    assert found.seen == "принято до 31.03.2026 (olga: ждём подрядчика): не объявлена"
    report = (await kept(deps)).markdown
    assert "## Принято людьми\n\n- Роль m: принято до 31.03.2026" in report
    assert "принято 1" in report
    staffed.shop.clock.now += 30 * DAY
    assert (await audited(deps, ALIEN)).level is Level.ATTENTION


async def test_what_has_changed_since_it_was_accepted_is_seen(deps: Deps) -> None:
    await audited(deps, ALIEN)
    await accepted(deps, ALIEN.name)
    worse = ROLE.wrong("не объявлена, и может всё", "Чья?")
    assert (await audited(deps, worse, ALIEN)).level is Level.WRONG


async def test_another_routine_sees_it_accepted_too(deps: Deps) -> None:
    await audited(deps, OLD)
    await accepted(deps, OLD.name)

    async def look() -> AsyncIterator[Finding]:
        yield OLD

    own = Routine("wednesday", "Среда", "0 9 * * 3", lambda *_: [Check(TOKEN, look)])
    assert (await carry_out(deps, own)).level is Level.ABSENT


async def test_who_accepts_must_be_of_the_team_and_see_what_they_accept(deps: Deps) -> None:
    await audited(deps, ALIEN)
    with pytest.raises(NotAllowed):
        await accepted(deps, ALIEN.name, by=STRANGER)
    with pytest.raises(CannotDo, match=r"в последнем аудите находки rights\.role\.x нет"):
        await accepted(deps, "rights.role.x")
    for days in (0, -1, 367):
        with pytest.raises(CannotDo, match="до года"):
            await accepted(deps, ALIEN.name, days=days)


async def test_an_acceptance_is_made_longer_and_taken_back_on_record(deps: Deps, staffed: Watch) -> None:
    assert deps.incidents is not None
    await audited(deps, ALIEN)
    await accepted(deps, ALIEN.name, days=5)
    await audited(deps, ALIEN)  # by now the last audit has it accepted
    await accepted(deps, ALIEN.name, days=60)
    staffed.shop.clock.now += 30 * DAY
    assert (await audited(deps, ALIEN)).level is Level.ABSENT
    async with deps.db.begin("test") as session:
        await acceptance.withdraw(session, deps.incidents, ALIEN.name, reason="хватит", by=BY_OLGA)
    assert (await audited(deps, ALIEN)).level is Level.ATTENTION
    async with deps.db.begin("test") as session:
        with pytest.raises(CannotDo, match="никто не принимал"):
            await acceptance.withdraw(session, deps.incidents, ALIEN.name, reason="хватит", by=BY_OLGA)
    async with deps.db.read("test") as session:
        deeds = list(await session.scalars(text("SELECT action FROM audit_log ORDER BY audit_id")))
    assert deeds == ["audit.accept", "audit.accept", "audit.withdraw"]


async def test_what_was_red_and_has_no_line_any_more_is_over_for_those_who_were_called(
    deps: Deps, staffed: Watch
) -> None:
    await audited(deps, OLD)
    assert await staffed.rows("SELECT fingerprint FROM incident_signals WHERE is_firing") == [(OLD.name,)]
    await audited(deps, PORTS.ok("22"))
    assert await staffed.rows("SELECT fingerprint FROM incident_signals WHERE is_firing") == []


@pytest.mark.parametrize(
    ("before", "now", "changes"),
    [
        ([], [], Changes(frozenset(), frozenset(), ())),
        ([OLD], [OLD], Changes(frozenset(), frozenset({OLD.name}), ())),
        ([OLD], [TOKEN.ok("")], Changes(frozenset(), frozenset(), (OLD,))),
        ([TOKEN.ok("")], [OLD], Changes(frozenset({OLD.name}), frozenset(), ())),
        ([ALIEN], [ROLE.absent("принято до 01.01.2027 (o: x): y")], Changes(frozenset(), frozenset(), ())),
        ([ALIEN], [ROLE.absent("не используется")], Changes(frozenset(), frozenset(), (ALIEN,))),
    ],
)
def test_new_is_what_was_not_there_and_gone_is_what_is_not_accepted(
    before: Sequence[Finding], now: Sequence[Finding], changes: Changes
) -> None:
    assert audit_words.compared(before, now) == changes


def test_the_guides_five_boxes_stand_in_the_report_and_what_is_not_used_says_so() -> None:
    facts = Facts(
        month=date(2026, 11, 1),
        made_at=datetime(2026, 11, 3, 8, tzinfo=UTC),
        asked_by="schedule",
        findings=[
            Line("access.console", "Входы в консоль и API").absent("не используется"),
            Line("rights.role.x", "Роль `x` | <b>").wrong("*жирно* | `код`", "[сюда](http://x)"),
        ],
        before=None,
        changes=None,
        head="0:0000",
    )
    found = audit_words.markdown(facts, MOSCOW)
    titles = [line for line in found.splitlines() if line.startswith("## ")]
    assert titles[1:6] == [
        "## 1. Проверка логов доступа",
        "## 2. Анализ подозрительной активности",
        "## 3. Обновление паролей (если требуется)",
        "## 4. Проверка прав доступа",
        "## 5. Аудит API ключей",
    ]
    assert "| Входы в консоль и API | — | не используется |" in found
    assert "03.11.2026 11:00, по расписанию" in found
    assert r"\*жирно\* \| \`код\`" in found  # somebody's words are words


def test_a_message_is_short_however_much_was_found() -> None:
    many = [Line(f"rights.role.{n}", f"Роль {n}").wrong("не объявлена", "Чья?") for n in range(40)]
    facts = Facts(date(2026, 11, 1), NOW, "schedule", many, None, None, "7:0123456789abcdef")
    said = audit_words.message(facts, MOSCOW)
    assert "…и ещё 35: в отчёте" in said
    assert len(said.splitlines()) <= 18


def test_an_acceptance_is_of_one_line_as_it_was_seen() -> None:
    until = NOW + DAY
    own = Accepted(ALIEN.name, ALIEN.seen, until, "x", "olga", NOW)
    assert acceptance.settled([OLD, ALIEN], [own], MOSCOW)[0] == OLD
    assert acceptance.settled([ROLE.ok(ALIEN.seen)], [own], MOSCOW) == [ROLE.ok(ALIEN.seen)]


async def test_the_paper_comes_to_the_operators_group(deps: Deps, staffed: Watch) -> None:
    api = staffed.deps.telegram
    assert isinstance(api, BotApi)
    run = await audited(deps, OLD)
    await audits.send(replace(deps, chat=OperatorsChat(api, CHAT)), run.run_id)
    [call] = [call for call in staffed.telegram.state.calls if call["method"] == "sendDocument"]
    assert (call["parameters"]["chat_id"], call["parameters"]["disable_notification"]) == (str(CHAT), "true")
    [name] = [one["document"]["file_name"] for one in staffed.group.messages.values() if "document" in one]
    assert name == "audit-2026-03.pdf"


async def test_a_chat_that_asks_to_wait_gets_the_paper_later(deps: Deps, room: Room) -> None:
    class Busy(Room):
        async def send(self, *_: object, **__: object) -> None:
            raise TooManyRequests(7)

    run = await audited(deps, OLD)
    with pytest.raises(RetryLater):
        await audits.send(replace(deps, chat=Busy()), run.run_id)
