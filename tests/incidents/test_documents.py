"""What is left when it is over: the report, the post-mortem, what has to be done about it."""

import io
import zlib
from dataclasses import replace
from datetime import date

import pypdfium2
import pytest

from duty import CHAT, MOSCOW, OLGA, TIMUR, Watch
from getpro.incidents import actions, documents, drafts, paper, service
from getpro.incidents.actions import Action, Written
from getpro.incidents.drafts import POST_MORTEM, REPORT
from getpro.incidents.errors import CannotDo, NotAllowed
from getpro.incidents.states import EventKind, Level
from getpro.incidents.team import Actor
from getpro.operations import chasing
from getpro.operations.chat import OperatorsChat
from getpro.operations.chat import send as tell
from getpro.operations.deps import Deps as Operations
from getpro.platform.bot_api import BotApi
from getpro.platform.settings import OperationsSettings
from getpro.platform.typesetting import paper as printed

BY = Actor("timur", TIMUR)


async def lived_through(watch: Watch, level: Level = Level.L2, *, written_up: bool = False) -> None:
    """An incident that was taken after four minutes and resolved after an hour."""
    async with watch.deps.db.begin("test") as session:
        by = Actor("olga", OLGA)
        await service.open_by_hand(session, watch.deps, "Касса <молчит> | и *ждёт*", level=level, by=by)
    await watch.work()
    watch.shop.clock.forward(minutes=4)
    async with watch.deps.db.begin("test") as session:
        await service.take(session, watch.deps, 1, by=BY)
    watch.shop.clock.forward(minutes=56)
    async with watch.deps.db.begin("test") as session:
        await service.resolve(session, watch.deps, 1, by=BY, cause="кончились деньги", fix="пополнили")
    if written_up:
        await watch.work()


def read(pdf: bytes) -> str:
    """What another program reads on its pages."""
    return "\n".join(page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(pdf))


def files(watch: Watch, chat_id: int = CHAT) -> list[tuple[str, str]]:
    """The documents in the chat, each with its caption."""
    return [
        (one["document"]["file_name"], one.get("caption", ""))
        for one in watch.chat(chat_id).messages.values()
        if "document" in one
    ]


async def test_after_a_grave_incident_its_report_comes_by_itself(staffed: Watch) -> None:
    await lived_through(staffed, written_up=True)
    [(name, words)] = files(staffed)
    assert name == "incident-1-otchet-v1.pdf"
    assert words == "№1 L2 решён за 1 ч: отчёт.\nРазбор до 08.03 допишет timur: /postmortem 1"
    await documents.write_up(staffed.deps, 1)
    kept = await staffed.rows("SELECT kind, version, pdf IS NOT NULL AS is_printed FROM incident_documents")
    assert sorted(kept) == [("post_mortem", 1, True), ("report", 1, True)], "run twice, kept once"


async def test_a_report_says_what_happened_and_how_it_was_answered(staffed: Watch) -> None:
    await lived_through(staffed, written_up=True)
    async with staffed.deps.db.read("test") as session:
        report = await documents.newest(session, staffed.deps, 1, REPORT)
        post_mortem = await documents.newest(session, staffed.deps, 1, POST_MORTEM)
    for words in (
        "Отчёт об инциденте №1: Касса \\<молчит\\> \\| и \\*ждёт\\*",
        "- **Причина:** кончились деньги",
        "- Ответил timur 15:04: через 4 мин",
        "- Срок L2: до 16:00, уложились",
        "- Решён 01.03.2026 16:00, timur: через 1 ч после того, как узнали",
        "| 15:04 | timur | Взял |",
    ):
        assert words in report.markdown
    for words in ("- Ответили в срок, через 4 мин", "- Заметил человек, а не проверка", "## Где повезло"):
        assert words in post_mortem.markdown
    assert report.pdf is not None
    printed_words = " ".join(read(report.pdf).split())
    assert "Касса <молчит> | и *ждёт*" in printed_words
    assert "15:04 timur Взял" in printed_words
    assert "версия 1, 01.03.2026 16:00, магазин" in printed_words


async def test_the_least_grave_and_what_went_by_itself_ask_for_nothing(staffed: Watch) -> None:
    await lived_through(staffed, Level.L1, written_up=True)
    assert files(staffed) == []
    assert await staffed.rows("SELECT FROM incident_actions") == []
    async with staffed.deps.db.read("test") as session:
        draft = await documents.newest(session, staffed.deps, 1, REPORT)
    assert (draft.version, "кончились деньги" in draft.markdown) == (0, True)


async def test_an_edited_document_is_a_version_and_the_older_ones_stay(staffed: Watch) -> None:
    await lived_through(staffed, written_up=True)
    saved = await documents.save(staffed.deps, 1, REPORT, "# Отчёт\n\nДеньги **кончились**.\n", by=BY)
    assert (saved.version, saved.pdf is not None) == (2, True)
    async with staffed.deps.db.read("test") as session:
        kept = await documents.versions(session, 1, REPORT)
    assert [one.version for one in kept] == [2, 1]
    assert kept[0].pdf is not None
    assert "Деньги кончились." in read(kept[0].pdf)


async def test_a_removed_colleague_saves_nothing(staffed: Watch) -> None:
    await lived_through(staffed)
    with pytest.raises(NotAllowed):
        await documents.save(staffed.deps, 1, REPORT, "# Всё хорошо", by=Actor("боб", 900))


async def test_what_the_post_mortem_says_is_to_be_done_becomes_rows(staffed: Watch) -> None:
    await lived_through(staffed)
    async with staffed.deps.db.read("test") as session:
        draft = (await documents.newest(session, staffed.deps, 1, POST_MORTEM)).markdown
    row = "|  | Следить за счётом \\| каждый день | olga | 10.03.2026 |  |\n"
    saved = await documents.save(staffed.deps, 1, POST_MORTEM, draft + row, by=BY)
    assert "| 3 | Следить за счётом \\| каждый день | olga | 10.03.2026 |  |" in saved.markdown
    again = saved.markdown.replace("10.03.2026", "2026-03-12")
    await documents.save(staffed.deps, 1, POST_MORTEM, again, by=BY)
    async with staffed.deps.db.begin("test") as session:
        waiting = await actions.waiting(session)
        assert [(one.kind, one.owner, one.due_on) for one in waiting] == [
            ("runbook", "timur", date(2026, 3, 8)),
            ("other", "olga", date(2026, 3, 12)),
        ], "the post-mortem is there, and nobody is asked whether it is"
        await actions.done(session, staffed.deps, 3, by=BY)
    async with staffed.deps.db.read("test") as session:
        shown = (await documents.newest(session, staffed.deps, 1, POST_MORTEM)).markdown
    assert "| 3 | Следить за счётом \\| каждый день | olga | 12.03.2026 | да |" in shown


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("| | Сделать | olga | завтра | |", "срок завтра"),
        ("| | Сделать | olga | | |", "срок не назван"),
        ("| | Сделать | | 10.03.2026 | |", "не сказано, кто"),
        ("| | | olga | 10.03.2026 | |", "не сказано, что"),
        ("| x | Сделать | olga | 10.03.2026 | |", "номер x не прочесть"),
    ],
)
def test_a_line_without_owner_or_date_says_what_is_missing(row: str, complaint: str) -> None:
    with pytest.raises(CannotDo, match=complaint):
        actions.read(table(row))


def table(row: str) -> str:
    return f"# Разбор\n\n## Действия\n\n| № | Что сделать | Кто | Срок | Готово |\n|-|-|-|-|-|\n{row}\n"


async def test_a_document_that_is_refused_is_not_kept_in_part(staffed: Watch) -> None:
    await lived_through(staffed)
    rows = "| | Новое | olga | 10.03.2026 | |\n| 77 | Чужое | olga | 10.03.2026 | |"
    with pytest.raises(CannotDo, match="действие 77 не этого инцидента"):
        await documents.save(staffed.deps, 1, POST_MORTEM, table(rows), by=BY)
    assert await staffed.rows("SELECT FROM incident_documents") == []
    assert len(await staffed.rows("SELECT FROM incident_actions")) == 2


async def test_a_runbook_update_is_done_with_a_link_or_a_reason_only(staffed: Watch) -> None:
    await lived_through(staffed)
    [asked] = await staffed.rows("SELECT * FROM incident_actions WHERE kind = 'runbook'")
    assert (asked.owner, asked.due_on) == ("timur", date(2026, 3, 8))
    async with staffed.deps.db.begin("test") as session:
        for nothing in (None, "  "):
            with pytest.raises(CannotDo, match="нужна ссылка"):
                await actions.done(session, staffed.deps, asked.action_id, by=BY, link=nothing)
        with pytest.raises(NotAllowed):
            await actions.done(session, staffed.deps, asked.action_id, by=Actor("боб", 900), link="x")
        done = await actions.done(
            session, staffed.deps, asked.action_id, by=BY, link="https://git.example/41"
        )
        assert (done.done_by, done.link) == ("timur", "https://git.example/41")
        with pytest.raises(CannotDo, match="уже сделано, timur"):
            await actions.done(session, staffed.deps, asked.action_id, by=BY, reason="нечего")
    with pytest.raises(Exception, match="runbook_is_linked"):
        await staffed.rows("UPDATE incident_actions SET link = NULL, reason = NULL WHERE done_at IS NOT NULL")


async def test_actions_are_chased_once_a_week_until_they_are_done(staffed: Watch) -> None:
    await lived_through(staffed)
    api = staffed.deps.telegram
    assert isinstance(api, BotApi)
    deps = Operations(
        db=staffed.deps.db,
        jobs=staffed.deps.jobs,
        clock=staffed.shop.clock,
        zone=MOSCOW,
        settings=OperationsSettings(),
        folders={},
        chat=OperatorsChat(api, CHAT),
    )

    async def chased() -> list[str]:
        for _ in range(2):
            await chasing.chase(deps)
        before = max(staffed.group.messages)
        for row in await staffed.rows("SELECT message_id FROM operator_messages WHERE sent_at IS NULL"):
            await tell(deps, row.message_id)
        return [one["text"] for number, one in staffed.group.messages.items() if number > before]

    [first] = await chased()
    assert first.splitlines() == [
        "🟡 После инцидентов не сделано: 2",
        "",
        "• 1. Провести разбор №1 — timur, до 08.03",
        "• 2. Дополнить страницу «Что делать»: что помогло, чего не хватало — timur, до 08.03",
        "",
        "Сделали: 2getpro incident actions done НОМЕР",
    ]
    staffed.shop.clock.forward(days=9)
    async with staffed.deps.db.begin("test") as session:
        await actions.add(
            session, staffed.deps, 1, "Проверить <счёт>", owner="olga", due_on=date(2026, 4, 1), by=BY
        )
        await actions.done(session, staffed.deps, 2, by=BY, reason="всё верно")
    [second] = await chased()
    assert second.splitlines()[0] == "🟡 После инцидентов не сделано: 2, просрочено 1"
    assert second.splitlines()[2] == "🔴 1. Провести разбор №1 — timur, до 08.03, 2 дн. назад"
    async with staffed.deps.db.begin("test") as session:
        for number in (1, 3):
            await actions.done(session, staffed.deps, number, by=BY)
    staffed.shop.clock.forward(days=7)
    assert await chased() == []


async def test_whoever_asks_in_telegram_gets_the_papers_as_files(staffed: Watch) -> None:
    await lived_through(staffed, written_up=True)
    await staffed.says(OLGA, "/postmortem 1", chat_id=None)
    await staffed.run_jobs()
    assert files(staffed, OLGA) == [
        ("incident-1-razbor-v1.pdf", "№1: разбор инцидента, версия 1"),
        ("incident-1-razbor-v1.md", ""),
    ]
    await staffed.says(OLGA, "/report 7")
    assert list(staffed.group.messages.values())[-1]["text"] == "Инцидента №7 нет."
    await staffed.says(OLGA, "/report")
    assert "Например: /report 12" in list(staffed.group.messages.values())[-1]["text"]
    before = len(staffed.group.messages)
    bob = staffed.telegram.state.add_person(900, "Боб")
    staffed.group.members.append(bob)
    await staffed.says(900, "/report 1")
    await staffed.run_jobs()
    assert len(staffed.group.messages) == before + 1, "nothing but what Bob has written"


async def test_a_storms_signals_are_one_line_of_the_report(staffed: Watch) -> None:
    await lived_through(staffed)
    async with staffed.deps.db.read("test") as session:
        facts = await documents.known(session, staffed.deps, 1)
    first = facts.line[0]
    storm = [replace(first, kind=EventKind.SIGNAL, words=f"Ещё: {number}") for number in range(500)]
    report = drafts.draft(REPORT, replace(facts, line=[first, *storm, *facts.line[1:]]), MOSCOW)
    assert "| 15:00 | olga | Ещё сигналы: 500, до 15:00 |" in report
    assert len(report) < 3000


async def test_what_somebody_has_written_is_never_a_program_of_the_typesetter() -> None:
    evil = (
        '# A "quote" \\ #panic("no") $x$\n\n`#read("/etc/passwd")` <b>bold</b> ![x](/etc/passwd)\n\n'
        "[y](javascript:z)\n\n```\n#let a = 1\n```\n\n1. x\n   - y\n\n> q\n\n---\n"
    )
    source = paper.layout(evil, kicker='"', short="№1", footer="#panic()", author="\\", day=date(2026, 3, 1))
    words = " ".join(read(await printed(source)).split())
    for said in ('A "quote" \\ #panic("no") $x$', '#read("/etc/passwd")', "<b>bold</b>", "#let a = 1"):
        assert said in words
    assert "root:" not in words


async def test_the_fonts_of_the_paper_are_in_it() -> None:
    source = paper.layout("# Привет", kicker="к", short="№1", footer="ф", author="а", day=date(2026, 3, 1))
    pdf = await printed(source)
    assert b"pdfaid" in pdf
    streams = [
        zlib.decompress(part.partition(b"endstream")[0], bufsize=1 << 20)
        for part in pdf.split(b"stream\n")[1:]
        if part.startswith(b"x")
    ]
    assert b"/FontFile" in pdf or any(b"/FontFile" in one for one in streams)
    assert io.BytesIO(pdf).read(5) == b"%PDF-"


def test_the_actions_table_is_read_as_it_was_written() -> None:
    rows = [
        Action(1, 1, "runbook", "Дополнить | страницу_*", "olga", date(2026, 3, 8)),
        Action(2, 1, "other", "Проверить", "timur", date(2026, 3, 9), link="https://x.example/_a_"),
    ]
    found = actions.read(f"# Разбор\n\n{actions.section(rows)}\n\n## Ещё\n\n| a | b |\n|-|-|\n")
    assert found == [
        Written(1, "Дополнить | страницу_*", "olga", date(2026, 3, 8)),
        Written(2, "Проверить", "timur", date(2026, 3, 9)),
    ]
    moved = actions.with_actions("# Разбор\n\n## Действия\n\nстарое\n\n## Ещё\n\nслова\n", rows[:1])
    assert moved.index("страницу") < moved.index("## Ещё")
    assert "старое" not in moved
    assert actions.with_actions(moved, rows[:1]) == moved
