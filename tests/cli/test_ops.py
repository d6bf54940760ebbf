"""``2getpro ops`` as an operator types it: what it prints, and the code that it ends with."""

import asyncio
import contextlib
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import openpyxl
import pytest
from sqlalchemy import text

from folders import open_up
from getpro import cli
from getpro.operations import routines
from shop import Shop, rub

TOKEN = "42:TEST"


@dataclass
class Done:
    code: int
    said: str
    complained: str


def ops(*arguments: str) -> Done:
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        code = cli.execute(["ops", *arguments])
    return Done(code, stdout.getvalue(), stderr.getvalue())


async def at_the_counter(*arguments: str) -> Done:
    return await asyncio.to_thread(ops, *arguments)


@pytest.fixture
def settings(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the settings of a shop that keeps its copies there."""
    found = {
        "DATABASE_URL": database_url,
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_API_URL": "http://127.0.0.1:9",
        "PANEL_URL": "http://127.0.0.1:9",
        "PANEL_TOKEN": "panel-token",
        "OPERATIONS_BACKUPS": str(tmp_path / "backups"),
    }
    (tmp_path / ".env").write_text("\n".join(f"{name}={value}" for name, value in found.items()))
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def test_all_well_is_0_attention_1_and_wrong_or_unseen_2(settings: Path, shop: Shop) -> None:
    well = await at_the_counter("monday")
    assert (well.code, "✓ в порядке" in well.said) == (0, True), well.said
    unseen = await at_the_counter("friday")
    assert (unseen.code, "? не проверено" in unseen.said) == (2, True), unseen.said
    by_others = (settings / ".env").read_text().replace("OPERATIONS_BACKUPS", "BACKUP_ENABLED=false\nIGNORED")
    (settings / ".env").write_text(by_others)
    attention = await at_the_counter("friday")
    assert (attention.code, "! внимание" in attention.said) == (1, True), attention.said
    payment = await shop.order(await shop.customer("alice"))
    await shop.notice(shop.pay(payment, taken=rub("1")))
    await shop.run_jobs()
    wrong = await at_the_counter("watch")
    assert (wrong.code, "✗ неверно" in wrong.said) == (2, True), wrong.said


async def test_a_program_gets_the_same_as_json(settings: Path) -> None:
    done = await at_the_counter("friday", "--json")
    said = json.loads(done.said)
    assert (done.code, said["verdict"]) == (2, "unknown")
    assert {finding["level"] for finding in said["findings"]} == {"unknown", "attention"}
    assert "friday" not in (await at_the_counter("history", "monday")).said
    assert "не проверено" in (await at_the_counter("history")).said


async def test_a_drill_without_copies_is_wrong_and_its_answer_is_all_that_is_said(
    settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpro.bootstrap.backups._PLAN", settings / "plan.md")
    monkeypatch.setenv("GETPRO_DATA_DIR", str(settings / "data"))
    done = await at_the_counter("drill", "--json")
    [finding] = json.loads(done.said)["findings"]
    assert (done.code, finding["level"], done.complained) == (2, "wrong", "")
    assert "копий нет" in finding["seen"]


async def test_a_drill_that_keeps_what_was_promised_is_0(
    settings: Path, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GETPRO_DATA_DIR", str(open_up(settings) / "data"))
    sold: list[str] = []
    monkeypatch.setattr("getpro.bootstrap.backups.sell_once", sold.append)
    await shop.purchase(await shop.customer("alice"))
    assert await asyncio.to_thread(cli.execute, ["backup", "create"]) == 0
    done = await at_the_counter("drill")
    assert (done.code, len(sold)) == (0, 1), done
    assert "магазин продаёт через" in done.said
    assert "Потеряли бы" in (settings / "backups/disaster-recovery.md").read_text(encoding="utf-8")


async def test_the_weeks_picture_goes_into_a_file(settings: Path) -> None:
    assert (await at_the_counter("monday", "--chart", "week.png")).code == 0
    assert (settings / "week.png").read_bytes().startswith(b"\x89PNG")
    nowhere = await at_the_counter("monday", "--chart", "no/such/folder.png")
    assert (nowhere.code, "такого пути нет" in nowhere.complained) == (2, True)


async def test_capacity_is_told_in_tables_as_json_and_as_a_picture(settings: Path, shop: Shop) -> None:
    await shop.customer("alice")
    done = await at_the_counter("capacity", "--users", "1000000", "--chart", "capacity.png")
    for seen in ("Прогноз", "По месяцам", "Если клиентов 1", "по стенду", "Ядер", "Проверено строк"):
        assert seen in done.said, done.said
    assert done.code == 1, done.said  # nobody has sampled anything yet
    assert (settings / "capacity.png").read_bytes().startswith(b"\x89PNG")
    said = json.loads((await at_the_counter("capacity", "--users", "2000", "--json")).said)
    assert (said["verdict"], said["what_if"]["users"], said["what_if"]["when"]) == ("attention", 2000, None)
    assert sum(said["months"].values()) == 1
    assert {one["name"] for one in said["findings"]} >= {"machine.growth.memory", "capacity.users"}
    refused = await at_the_counter("capacity", "--users", "0")
    assert (refused.code, "не меньше 1" in refused.complained) == (64, True)


@pytest.mark.parametrize("arguments", [["nonsense"], ["watch", "--nonsense"], ["history", "nonsense"]])
def test_a_command_used_wrongly_is_64(arguments: list[str], settings: Path) -> None:
    done = ops(*arguments)
    assert (done.code, "nonsense" in done.complained) == (64, True), done.complained


def test_a_database_that_is_away_is_2(settings: Path) -> None:
    (settings / ".env").write_text(
        "DATABASE_URL=postgresql://nobody@127.0.0.1:1/nothing\nTELEGRAM_BOT_TOKEN=42:TEST\n"
        "PANEL_URL=http://127.0.0.1:9\nPANEL_TOKEN=t\n"
    )
    done = ops("history")
    assert (done.code, "База данных не отвечает" in done.complained) == (2, True)
    done = ops("morning")  # the disk may be full, which is why there is no database
    assert (done.code, done.complained) == (2, "")
    for seen in ("Память", "база не ответила", "Итог проверки"):
        assert seen in done.said
    done = ops("capacity", "--json")
    assert (done.code, json.loads(done.said)["verdict"]) == (2, "unknown")


def test_an_error_of_ours_is_70_one_sentence_and_no_traceback(
    settings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(routines, "run", broken)
    monkeypatch.setattr(sys, "argv", ["2getpro", "ops", "watch"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 70
    said = capsys.readouterr().err
    assert said.startswith("Ошибка: Ошибка в самой программе.\nПричина: RuntimeError\n")
    assert "secret" not in said


async def test_with_tell_the_chat_gets_the_report_and_the_picture(settings: Path, shop: Shop) -> None:
    """The command writes it; whoever works sends it."""
    done = await at_the_counter("monday", "--tell")
    assert done.code == 0
    async with shop.db.read("test") as session:
        [message] = (await session.execute(text("SELECT text, picture FROM operator_messages"))).all()
    assert "Понедельник" in message.text
    assert bytes(message.picture).startswith(b"\x89PNG")


async def test_the_report_of_a_month_is_asked_for_by_command(settings: Path, shop: Shop) -> None:
    await shop.purchase(await shop.customer("alice"))  # in March 2026, whose days are never compared here
    paper, book = settings / "march.pdf", settings / "march.xlsx"
    asked = ("report", "--month", "2026-03", "--json", "--out", str(paper), "--out", str(book))
    done = await at_the_counter(*asked)
    assert done.code == 1, done.complained
    found = {one["name"]: one["seen"] for one in json.loads(done.said)["findings"]}
    assert found["month.revenue"].startswith("199\u00a0₽")
    assert paper.read_bytes().startswith(b"%PDF")
    assert openpyxl.load_workbook(book)["Главное"]["B2"].value == 199
    again = json.loads((await at_the_counter(*asked)).said)
    assert {one["name"]: one["seen"] for one in again["findings"]} == found


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--month", "10.2026"), "месяц пишется так: 2026-10"),
        (("--month", "2999-01"), "Январь 2999 ещё не начался"),
        (("--out", "report.doc"), "имя файла кончается на"),
    ],
)
async def test_what_cannot_be_reported_is_refused(
    settings: Path, options: tuple[str, str], said: str
) -> None:
    done = await at_the_counter("report", *options)
    assert done.code == 64
    assert said in " ".join(done.complained.replace("│", " ").split())
