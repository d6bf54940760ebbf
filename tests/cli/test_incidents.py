"""``2getpro incident``, ``oncall``, ``contacts`` as an operator types them."""

import json
from pathlib import Path

import pytest

from cli_typed import settings, typed
from duty import OLGA, TIMUR, Watch, watch
from getpro.kit.clock import utc_now

__all__ = ["settings", "watch"]


async def test_an_incident_lives_its_life_on_the_command_line(watch: Watch) -> None:
    assert (await typed("incident", "list")).code == 0
    opened = await typed("incident", "open", "Ссылка не открывается", "--level", "L2", "--by", "ольга")
    assert (opened.code, opened.said) == (
        0,
        "Инцидент №1 заведён, зовём. Взять: 2getpro incident take 1\n",
    )
    await watch.run_jobs()
    assert watch.calls() == ["chat"]
    listed = await typed("incident", "list")
    assert listed.code == 1
    assert "не взят" in listed.said
    for command, said in (
        (("later", "1", "--minutes", "5"), "Отложен на 5 мин"),
        (("up", "1"), "№1 L3: Уровень поднят"),
        (("take", "1"), "Взят"),
        (("note", "1", "ищем"), "Записано"),
        (("drop", "1"), "Отпущен"),
    ):
        done = await typed("incident", *command, "--by", "ольга")
        assert (done.code, said in done.said) == (0, True), (command, done)
    ending = ("resolve", "1", "--cause", "сертификат", "--fix", "продлили", "--by", "ольга")
    ended = await typed("incident", *ending)
    assert ended.code == 1
    assert ended.said.startswith(
        "№1 ещё не закрыт:\n• пробная покупка не проходит: Зачёт и выдача: panel: нет ответа"
    )
    assert '2getpro incident resolve 1 --force "почему"' in ended.said
    forced = await typed("incident", "resolve", "1", "--force", "панели ещё нет", "--by", "ольга")
    assert (forced.code, forced.said) == (0, "№1 L3: Решён.\n")
    again = await typed("incident", "take", "1", "--by", "ольга")
    assert (again.code, "№1 уже решён" in again.complained) == (2, True)
    shown = await typed("incident", "show", "1")
    for words in (
        "ольга: L2: Ссылка не открывается",
        "ольга: ищем",
        "ольга: Закрыт принудительно: панели ещё нет. Не тихо: пробная покупка не проходит: Зачёт",
        "Причина: сертификат. Сделано: продлили",
    ):
        assert words in shown.said
    plain = json.loads((await typed("incident", "show", "1", "--json")).said)
    assert (plain["state"], plain["level"], plain["time_line"][0]["kind"]) == ("resolved", "L3", "opened")
    assert (await typed("incident", "list")).said == "Нерешённых инцидентов нет.\n"
    assert "решён" in (await typed("incident", "list", "--all")).said


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("incident", "take", "7"), 2, "Инцидента №7 нет"),
        (("incident", "open", " "), 2, "в названии"),
        (("incident", "open", "x", "--level", "L9"), 64, "L9"),
        (("oncall", "rota", "никто", "--from", "10:00"), 2, "Человека никто нет"),
        (("oncall", "rota", "olga", "--from", "завтра"), 2, "не прочесть"),
        (("contacts", "remove", "olga"), 2, "Человека olga нет"),
        (("contacts", "set", "olga", "--role", "everyone"), 64, "не роль"),
        (("contacts", "set", "olga", "--other", "ерунда"), 2, "Адрес не подходит"),
        (("contacts", "answered", "123"), 2, "код"),
        (("contacts", "test"), 2, "Ни у кого нет"),
    ],
)
async def test_what_cannot_be_done_is_said(arguments: tuple[str, ...], code: int, complaint: str) -> None:
    done = await typed(*arguments)
    assert (done.code, complaint.lower() in done.complained.lower()) == (code, True), done


async def test_who_is_on_call_is_one_line(watch: Watch) -> None:
    assert (await typed("oncall")).said == "Дежурного нет, и команды тоже: зовём в чат операторов.\n"
    await typed("contacts", "set", "timur", "--role", "tech_lead")
    assert (await typed("oncall")).said == "Дежурного нет, вместо него технический руководитель: timur\n"
    await typed("contacts", "set", "olga", "--role", "on_call")
    assert (await typed("oncall")).said == "Дежурит olga\n"
    assert (await typed("oncall", "rota", "timur", "--from", "2026-01-05 10:00", "--days", "365")).code == 0
    assert (await typed("oncall")).said.startswith("Дежурит timur до ")
    stands = ("--from", "2026-01-05 10:00", "--until", "2040-01-01 00:00", "--reason", "отпуск")
    assert (await typed("oncall", "instead", "olga", *stands)).code == 0
    assert (await typed("oncall")).said == "Дежурит olga до 01.01.2040 00:00 МСК\n"
    assert "L1: ответ за 4 ч" in (await typed("oncall", "steps")).said


async def test_each_way_is_tried_and_whoever_got_it_says_so(watch: Watch) -> None:
    watch.shop.clock.now = utc_now()  # the commands have no other
    for name, role, number in (("olga", "on_call", OLGA), ("timur", "tech_lead", TIMUR)):
        own = ("--role", role, "--telegram", str(number), "--mail", f"{name}@shop.example")
        assert (await typed("contacts", "set", name, *own)).code == 0
    await typed("contacts", "set", "timur", "--role", "tech_lead", "--role", "devops")
    listed = await typed("contacts", "list")
    assert (listed.code, "Исправить: olga, Telegram 104: не проверялось" in listed.said) == (1, True)
    watch.telegram.people.block(watch.person(TIMUR))
    tried = await typed("contacts", "test")
    assert tried.code == 2
    assert "timur, Telegram 105: не ушло: 403" in tried.said
    assert "olga, почта olga@shop.example: ушло, ждём ответа" in tried.said
    assert [to for to, _ in watch.mail.letters] == ["olga@shop.example", "timur@shop.example"]
    assert await watch.presses(OLGA, "Получил", chat_id=OLGA) == "Отмечено: до вас доходит."
    codes = [
        row.test_code
        for row in await watch.rows("SELECT test_code FROM contact_ways WHERE sealed IS NOT NULL")
    ]
    for code in codes:
        assert (await typed("contacts", "answered", code)).code == 0
    listed = await typed("contacts", "list")
    assert listed.said.count("ответил ") == 3
    assert "не дошло: 403" in listed.said
    watch.telegram.people.unblock(watch.person(TIMUR))
    await typed("contacts", "test", "timur")
    await watch.presses(TIMUR, "Получил", chat_id=TIMUR)
    [code] = await watch.rows("SELECT test_code FROM contact_ways WHERE test_code IS NOT NULL")
    await typed("contacts", "answered", code.test_code)
    assert (await typed("contacts", "list")).code == 1, "the services outside are empty"
    for service in ("hosting", "yookassa", "panel"):
        await typed("contacts", "outside", service, "+7 495 000-00-00")
    assert (await typed("contacts", "list")).code == 0


async def test_an_address_lies_encrypted(watch: Watch) -> None:
    await typed("contacts", "set", "olga", "--other", "json://user:secret@127.0.0.1:9/")
    [way] = await watch.rows("SELECT * FROM contact_ways")
    assert "secret" not in str(way)
    assert way.shown == "json://…"
    assert "secret" not in (await typed("contacts", "list")).said


async def test_customers_are_helped_by_command(watch: Watch) -> None:
    await typed("incident", "open", "Панель молчит", "--level", "L2")
    assert (await typed("incident", "level", "1", "L1")).said == "№1: теперь L1.\n"
    assert (await typed("incident", "retry", "1")).said == "№1: Повторить выдачу: ждущих нет.\n"
    refused = await typed("incident", "off", "1", "paypal", "--yes")
    assert refused.code == 2
    assert "такого способа оплаты нет" in refused.complained.lower()
    off = await typed("incident", "off", "1", "stars", "--text", "Telegram чинит.", "--yes")
    assert off.said == "№1: Новые оплаты выключены: Звёзды Telegram. Клиентам: «Telegram чинит.».\n"
    closed = await typed("incident", "closed")
    assert (closed.code, closed.said.startswith("Не принимаем новых оплат: Звёзды Telegram, с ")) == (1, True)
    assert (await typed("incident", "close", "1", "--yes")).said == "№1: Магазин закрыт на работы.\n"
    assert (await typed("incident", "on", "1", "stars")).code == 0
    assert (await typed("incident", "reopen", "1")).said == "№1: Магазин снова открыт.\n"
    assert (await typed("incident", "closed")).said == "Ничего не закрыто.\n"
    told = await typed("incident", "tell", "1", "--about", "delay", "--yes")
    assert "ru: Оплаченный доступ открывается с задержкой." in told.said
    assert told.code == 2
    assert "Писать некому" in told.complained
    assert (await typed("incident", "complaints")).said == "Жалоб нет.\n"


async def test_what_customers_would_see_is_asked_about(watch: Watch) -> None:
    await typed("incident", "open", "Панель молчит", "--level", "L2")
    asked = await typed("incident", "close", "1")  # there is nobody to answer
    assert (asked.code, "добавьте --yes" in asked.complained) == (2, True)
    assert (await typed("incident", "closed")).code == 0


async def test_papers_actions_and_figures_on_the_command_line(
    watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by = ("--by", "ольга")
    await typed("incident", "open", "Ссылка не открывается", *by)
    closing = ("--cause", "сертификат", "--fix", "продлили", "--force", "панели ещё нет")
    assert (await typed("incident", "resolve", "1", *closing, *by)).code == 0
    shown = await typed("incident", "report", "1")
    assert shown.said.startswith("# Отчёт об инциденте №1: Ссылка не открывается\n")
    assert "- **Закрыт принудительно: панели ещё нет. Не тихо: " in shown.said
    page, text = tmp_path / "report.pdf", tmp_path / "razbor.md"
    assert (await typed("incident", "report", "1", "--out", str(page))).said == f"Готово: {page}\n"
    assert page.read_bytes().startswith(b"%PDF-")
    await typed("incident", "postmortem", "1", "--out", str(text))
    with text.open("a") as file:
        file.write("|  | Оповещать за две недели | olga | 08.12.2030 |  |\n")
    saved = await typed("incident", "postmortem", "1", "--save", str(text), *by)
    assert (saved.code, saved.said.startswith("Сохранена версия 1. PDF: ")) == (0, True), saved
    assert "| 3 | Оповещать за две недели |" in (await typed("incident", "postmortem", "1")).said
    monkeypatch.setenv("EDITOR", "sed -i s/две/три/")
    assert "Сохранена версия 2" in (await typed("incident", "postmortem", "1", "--edit", *by)).said
    assert "Оповещать за три недели" in (await typed("incident", "postmortem", "1")).said
    assert "Оповещать за две" in (await typed("incident", "postmortem", "1", "--version", "1")).said
    assert (await typed("incident", "postmortem", "1", "--edit")).said == "Ничего не изменено.\n"
    monkeypatch.setenv("EDITOR", "/nowhere/editor")
    assert "--out FILE.md" in (await typed("incident", "postmortem", "1", "--edit")).complained
    listed = await typed("incident", "actions")
    assert "Оповещать за три недели" in listed.said
    assert "Провести разбор" not in listed.said
    refused = await typed("incident", "actions", "done", "2", *by)
    assert (refused.code, "нужна ссылка" in refused.complained.lower()) == (2, True)
    assert "--link АДРЕС" in refused.complained
    for action in (("2", "--reason", "страницы нет"), ("3",)):
        assert (await typed("incident", "actions", "done", *action, *by)).code == 0
    added = await typed("incident", "actions", "add", "1", "Ещё", "--who", "я", "--until", "01.02.2020", *by)
    assert added.said.startswith("Записано действие 4.")
    late = await typed("incident", "actions")
    assert (late.code, "просрочено" in late.said) == (1, True)
    [row] = await watch.rows("SELECT opened_at FROM incidents")
    asked = ("incident", "figures", "--month", f"{row.opened_at:%Y-%m}")
    figures = await typed(*asked)
    assert "Запас ошибок: не измерен, Prometheus не задан." in figures.said
    plain = json.loads(
        (await typed("incident", "figures", "--month", f"{row.opened_at:%Y-%m}", "--json")).said
    )
    assert [(one["level"], one["count"], one["kept"]) for one in plain["levels"]] == [
        ("L1", 0, 0),
        ("L2", 1, 1),
        ("L3", 0, 0),
        (None, 1, 1),
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("report", "7"), 2, "Инцидента №7 нет"),
        (("report", "7", "--out", "report.doc"), 64, ".md или .pdf"),
        (("postmortem", "7", "--save", "нет.md"), 2, "Файл не прочесть"),
        (("actions", "done", "7"), 2, "Действия 7 нет"),
        (("actions", "add", "7", "x", "--who", "я", "--until", "завтра"), 2, "Инцидента №7 нет"),
        (("figures", "--month", "ноябрь"), 64, "2026-11"),
        (("resolve", "7"), 2, "Инцидента №7 нет"),
    ],
)
async def test_what_cannot_be_done_afterwards_is_said(
    arguments: tuple[str, ...], code: int, complaint: str
) -> None:
    done = await typed("incident", *arguments)
    assert (done.code, complaint.lower() in done.complained.lower()) == (code, True), done
