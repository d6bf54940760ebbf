"""``2getpro heartbeat check`` on a second machine: it calls when the shop is silent, and when it is back."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiosmtpd.smtp import SMTP

from duty import CHAT, TOKEN, Mailbox
from getpro import cli
from getpro.cli import heartbeat as command
from getpro.incidents.silence import Call, Silence, call, recall, remember
from getpro.sandbox.serving import serving
from getpro.sandbox.telegram import TelegramSimulator

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PATIENCE = timedelta(minutes=3)


def test_the_rhythm_of_calls() -> None:
    """At the beginning, as L3 for its quarter of an hour, then every hour; once at the end."""
    known: Silence | None = None
    said: dict[int, Call] = {}
    for minute in range(200):
        now, is_alive = NOW + timedelta(minutes=minute), minute < 10 or minute >= 190
        due = call(known, is_alive=is_alive, now=now, patience=PATIENCE)
        known = known or (None if is_alive else Silence(now))
        if due is not None:
            said[minute] = due
            assert known is not None
            known = Silence(known.since, known.told + 1, now)
        if is_alive:
            known = None
    assert said == {13: Call.SILENT} | dict.fromkeys((18, 23, 28, 88, 148), Call.STILL) | {190: Call.BACK}


def test_a_short_silence_calls_nobody() -> None:
    known = Silence(NOW)
    assert call(known, is_alive=False, now=NOW + timedelta(minutes=2), patience=PATIENCE) is None
    assert call(known, is_alive=True, now=NOW + timedelta(minutes=4), patience=PATIENCE) is None


def test_without_patience_the_first_look_calls() -> None:
    assert call(None, is_alive=False, now=NOW, patience=timedelta()) is Call.SILENT


@pytest.mark.parametrize(
    "left", ["", "{", '{"since": "x"}', '{"since": 1, "told": 2, "told_at": null}', "[]"]
)
def test_what_cannot_be_understood_is_as_none(left: str, tmp_path: Path) -> None:
    file = tmp_path / "heartbeat.json"
    file.write_text(left)
    assert recall(file) is None
    remember(file, known := Silence(NOW, 2, NOW))
    assert recall(file) == known


@dataclass
class Second:
    """The second machine: a shop far away, Telegram, mail, and a clock."""

    telegram: TelegramSimulator
    mail: Mailbox
    status: int = 200
    body: dict[str, str] = field(default_factory=lambda: {"status": "ok"})
    minute: float = 0

    @property
    def now(self) -> datetime:
        return NOW + timedelta(minutes=self.minute)

    def calls(self) -> list[str]:
        messages = self.telegram.state.groups[CHAT].messages.values()
        return [one["text"] for one in messages if one["from"]["is_bot"]]

    async def look(self, minute: float, *arguments: str) -> tuple[int, str, str]:
        self.minute = minute
        stdout, stderr = io.StringIO(), io.StringIO()

        def execute() -> int:
            with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
                return cli.execute(["heartbeat", "check", *arguments])

        code = await asyncio.to_thread(execute)
        return code, stdout.getvalue(), stderr.getvalue()


@pytest.fixture
async def second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Second]:
    telegram, mail = TelegramSimulator(TOKEN), Mailbox()
    telegram.limits.are_on = False
    anna = telegram.state.add_person(104, "Анна")
    telegram.state.add_group(CHAT, "Операторы", [anna]).bot_status = "member"
    here = Second(telegram, mail)

    async def answer(_: web.Request) -> web.Response:
        return web.json_response(here.body, status=here.status)

    app = web.Application()
    app.router.add_get("/health/heartbeat", answer)
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(mail, hostname="localhost"), "127.0.0.1", 0
    )
    async with serving(telegram.app) as telegram_url, serving(app) as shop_url, server:
        found = {
            "PUBLIC_URL": shop_url,
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_API_URL": telegram_url,
            "OPERATIONS_CHAT": str(CHAT),
            "OPERATIONS_MAIL_TO": "owner@shop.example",
            "OPERATIONS_MAIL_SERVER": f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}",
            "GETPRO_DATA_DIR": str(tmp_path / "data"),
        }
        (tmp_path / ".env").write_text("\n".join(f"{name}={value}" for name, value in found.items()))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(command, "utc_now", lambda: here.now)
        yield here


async def test_the_whole_life_of_a_silence(second: Second, tmp_path: Path) -> None:
    assert await second.look(0) == (0, "Магазин отвечает.\n", "")
    second.status, second.body = 503, {"status": "silent"}
    code, said, _ = await second.look(1)
    trouble = "веб отвечает, а фоновые работы стоят или никого не дозваться"
    assert (code, said) == (1, f"Магазин молчит 0 с: {trouble}; ещё не звали.\n")
    assert second.calls() == []
    code, said, _ = await second.look(4)
    assert (code, said) == (2, f"Магазин молчит 3 мин: {trouble}; позвали, всего раз: 1.\n")
    host = (tmp_path / ".env").read_text().splitlines()[0].removeprefix("PUBLIC_URL=http://")
    assert second.calls() == [
        f"🚨 Магазин молчит\n{host}: {trouble}\nс 15:01, уже 3 мин\n→ docs/operations/runbooks/watchdog.md"
    ]
    assert second.mail.letters == [("owner@shop.example", "🚨 Магазин молчит")]
    assert (await second.look(5))[0] == 2
    assert len(second.calls()) == 1
    second.body = {"status": "database away"}
    await second.look(9)
    assert second.calls()[-1].startswith(f"🚨 Магазин всё ещё молчит\n{host}: база не отвечает\n")
    second.status = 200
    assert (await second.look(12))[0] == 0
    assert second.calls()[-1] == f"🟢 Магазин снова отвечает\n{host}, молчал 11 мин, с 15:01"
    assert (await second.look(13))[0] == 0
    assert len(second.calls()) == len(second.mail.letters) == 3
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["heartbeat.lock"], "no database"


async def test_a_call_that_did_not_arrive_is_made_by_the_next_look(second: Second) -> None:
    second.status = 502
    second.telegram.faults.change({"away": True})
    second.mail.is_away = True
    await second.look(0)
    code, _, complained = await second.look(3)
    assert (code, "Не дошло: Telegram" in complained, "не приняли: mailto" in complained) == (2, True, True)
    assert TOKEN not in complained
    second.telegram.faults.clear()
    await second.look(4)
    assert len(second.calls()) == 1
    assert second.calls()[0].startswith("🚨 Магазин молчит")


async def test_one_way_that_fails_holds_up_no_other(second: Second) -> None:
    second.status = 502
    second.telegram.faults.change({"away": True})
    assert (await second.look(0, "--after", "0"))[0] == 2
    assert len(second.mail.letters) == 1
    await second.look(1)
    assert len(second.mail.letters) == 1


async def test_a_machine_that_is_gone_is_silent(second: Second, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBLIC_URL", "http://127.0.0.1:9")
    await second.look(0, "--after", "0")
    assert "127.0.0.1:9: нет ответа (ClientConnectorError)" in second.calls()[0]


async def test_ways_are_tried_before_they_are_needed(second: Second) -> None:
    code, said, _ = await second.look(0, "--test")
    assert (code, said) == (0, "Позвали для пробы, дошло путей: 2 из 2.\n")
    assert second.calls()[0].startswith("🔔 Проверка связи\nТак вторая машина позовёт, если замолчит 127.")
    second.mail.is_away = True
    assert (await second.look(0, "--test"))[0] == 2


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (("PUBLIC_URL",), "Неизвестно, где магазин."),
        (("TELEGRAM_BOT_TOKEN", "TELEGRAM_API_URL", "OPERATIONS_MAIL_TO"), "Звать некого."),
    ],
)
async def test_what_is_not_set_is_said_while_the_shop_lives(
    missing: tuple[str, ...], said: str, second: Second, tmp_path: Path
) -> None:
    lines = (tmp_path / ".env").read_text().splitlines()
    (tmp_path / ".env").write_text("\n".join(one for one in lines if one.partition("=")[0] not in missing))
    code, _, complained = await second.look(0)
    assert (code, said in complained) == (2, True), complained
