"""``2getpro doctor``: what is wrong is said at its line, with what to do; nothing else turns red."""

import asyncio
import contextlib
import io
import json
import re
import shutil
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import psycopg
import pytest
from aiohttp import web
from pyrage import x25519

from folders import open_up
from getpro import cli
from getpro.backups.keys import FILE, note_shown
from getpro.checks import check, machine
from getpro.checks.check import Check, Finding, Level, Line
from getpro.checks.telegram import is_called
from getpro.platform.postgres import Cluster
from getpro.platform.settings import TelegramSettings
from getpro.sandbox.serving import serving
from services import BOT_TOKEN, SECRETS, Services, services
from storage import SECRET, Storage
from terminal import terminal

NOWHERE = "http://127.0.0.1:9"
NOT_RUNNING = {"shop": "attention"}
"""No test here runs the shop."""


@dataclass
class Told:
    """What the command said."""

    returncode: int
    text: str
    findings: list[dict[str, str]] = field(default_factory=list)

    @property
    def levels(self) -> dict[str, str]:
        """What is not well, by name."""
        return {found["name"]: found["level"] for found in self.findings if found["level"] != "ok"}

    def at(self, name: str) -> tuple[str, str]:
        """What was seen at a line, and what to do."""
        (found,) = [found for found in self.findings if found["name"] == name]
        return found["seen"], found["remedy"]


@dataclass
class Clinic:
    """The doctor in this process, for speed, in the folder of a shop with which nothing is wrong."""

    services: Services

    async def examine(self, **changes: str) -> Told:
        self.services.begin_complete(**changes)
        return await self.look()

    async def look(self) -> Told:
        code, text = await asyncio.to_thread(_run, "doctor", "--json")
        told = Told(code, text, json.loads(text)["findings"])
        assert all(found["remedy"] for found in told.findings if found["level"] != "ok"), text
        for secret in SECRETS:
            assert secret not in text
        return told


def _run(*arguments: str) -> tuple[int, str]:
    stdout = io.StringIO()
    with contextlib.redirect_stdout(stdout):
        return cli.execute(list(arguments)), stdout.getvalue()


@pytest.fixture
async def clinic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Clinic]:
    monkeypatch.chdir(tmp_path)
    async with services(tmp_path) as started:
        yield Clinic(started)


async def test_a_shop_with_which_nothing_is_wrong_is_only_told_to_start(clinic: Clinic) -> None:
    told = await clinic.examine(STARS_ENABLED="true", GETPRO_LOG_DIR=str(clinic.services.folder / "logs"))
    assert (told.returncode, told.levels) == (1, NOT_RUNNING)
    assert told.at("telegram.token")[0] == "бот @sandbox_vpn_bot «2GETPRO»"
    assert told.at("telegram.chat")[0] == "«Операторы»"
    assert told.at("panel")[0] == "Remnawave 3.3.2"
    assert told.at("payments.yookassa")[0].startswith("тестовый магазин 100500")
    assert told.at("payments.stars")[0] == "принимаются, на счету бота 0"
    assert "свободно" in told.at("machine.disk.logs")[0]
    assert "будет создана" in told.at("database")[0]


@pytest.mark.parametrize(
    ("changes", "line", "level", "seen", "remedy"),
    [
        (
            {"TELEGRAM_BOT_TOKEN": "42:wrong"},
            "telegram.token",
            "wrong",
            "не знает этого токена",
            "@BotFather",
        ),
        ({"OPERATIONS_CHAT": "-100777"}, "telegram.chat", "wrong", "chat not found", "OPERATIONS_CHAT"),
        ({"OPERATIONS_CHAT": ""}, "telegram.chat", "attention", "никому не придут", "setup"),
        ({"YOOKASSA_SECRET_KEY": "x"}, "payments.yookassa", "wrong", "401", "YOOKASSA_SECRET_KEY"),
        ({"CRYPTOPAY_TOKEN": "1:x"}, "payments.cryptopay", "wrong", "401", "CRYPTOPAY_TESTNET=true"),
        ({"CRYPTOPAY_API_URL": NOWHERE}, "payments.cryptopay", "unknown", "там никто не слушает", "сеть"),
        ({"GETPRO_LOG_DIR": "/proc/x"}, "machine.disk.logs", "wrong", "не место для файлов", "на диске"),
        ({"PANEL_SQUADS": "Premium,Gold"}, "panel.squads", "wrong", "Gold", "Default-Squad, Premium"),
        ({"PANEL_TOKEN": "x"}, "panel", "wrong", "панель не знает токена", "PANEL_TOKEN"),
        ({"PANEL_URL": NOWHERE}, "panel", "unknown", "там никто не слушает", "PANEL_URL"),
        ({"PANEL_URL": "http://no.such.host.invalid"}, "panel", "unknown", "(DNS)", "PANEL_URL"),
        (
            {"SHOP_TRIAL_DAYS": "-1"},
            "settings.shop",
            "wrong",
            "SHOP_TRIAL_DAYS: нужно не меньше 0",
            "Исправьте",
        ),
        (
            {"YOOKASSA_SHOPID": "1"},
            "settings.yookassa",
            "wrong",
            "такой настройки нет",
            "это YOOKASSA_SHOP_ID",
        ),
        ({"SHOP": "x"}, "settings.shop", "wrong", "SHOP: такой настройки нет", "SHOP: уберите"),
        ({"GETPRO_PORT": "x"}, "settings.server", "wrong", "GETPRO_PORT: нужно целое число", "Исправьте"),
        ({"TRUSTED_PROXY": "x"}, "settings.names", "attention", "TRUSTED_PROXY", "это TRUSTED_PROXIES"),
        ({"GETPRO_HOST": "::"}, "settings.host", "attention", "без TLS", "GETPRO_HOST=127.0.0.1"),
        ({"CRYPTOPAY_ASSETS": "FOO,TON"}, "payments.cryptopay", "wrong", "монет: FOO", "USDT, TON"),
        ({"CRYPTOPAY_ASSETS": "usdt"}, "settings.cryptopay", "wrong", "как USDT,TON", "Исправьте"),
        ({"PANEL_PROXY": NOWHERE}, "panel", "unknown", "прокси не отвечает", "PANEL_PROXY"),
        ({"DATABASE_URL": "mysql://x"}, "database", "wrong", "не адрес PostgreSQL", "postgresql://"),
    ],
)
async def test_what_is_wrong_is_said_at_its_line_with_what_to_do(
    clinic: Clinic, changes: dict[str, str], line: str, level: str, seen: str, remedy: str
) -> None:
    told = await clinic.examine(**changes)
    assert told.levels == {line: level} | NOT_RUNNING
    assert seen in told.at(line)[0]
    assert remedy in told.at(line)[1]
    assert told.returncode == {"attention": 1, "wrong": 2, "unknown": 2}[level]


async def test_an_address_that_is_not_the_api_is_wrong_and_no_fault_of_the_network(clinic: Clinic) -> None:
    urls = clinic.services.urls
    told = await clinic.examine(
        CRYPTOPAY_API_URL=f"{urls['cryptopay']}/api/", YOOKASSA_API_URL=urls["yookassa"]
    )
    for code in ("cryptopay", "yookassa"):
        seen, remedy = told.at(f"payments.{code}")
        assert seen.startswith("по этому адресу не его API: 404")
        assert remedy.startswith(f"Проверьте {code.upper()}_API_URL")
    assert told.levels == dict.fromkeys(("payments.cryptopay", "payments.yookassa"), "wrong") | NOT_RUNNING


async def test_services_in_trouble_are_unknown_by_their_own_words(clinic: Clinic) -> None:
    for service in (clinic.services.telegram, clinic.services.yookassa):
        service.faults.now.error_rate, service.faults.now.error_status = 1, 502
    told = await clinic.examine()
    away = dict.fromkeys(("telegram.token", "telegram.chat", "payments.yookassa"), "unknown")
    assert told.levels == away | NOT_RUNNING
    for line in ("telegram.token", "payments.yookassa"):
        assert "502" in told.at(line)[0]


async def test_wrong_groups_hide_no_other(clinic: Clinic) -> None:
    told = await clinic.examine(TELEGRAM_BOT_TOKEN="x", STARS_ENABLED="true")
    assert (told.returncode, told.levels) == (2, {"settings.telegram": "wrong"} | NOT_RUNNING)
    for line in ("payments.yookassa", "payments.cryptopay", "panel.squads"):
        assert told.at(line)[0]
    told = await clinic.examine(PANEL_URL="here", SHOP_DEVICE_LIMIT="many", YOOKASSA_SHOP_ID="")
    wrong = {f"settings.{group}": "wrong" for group in ("panel", "shop", "yookassa")}
    assert (told.returncode, told.levels) == (2, wrong | NOT_RUNNING)
    assert told.at("settings.yookassa")[0] == "YOOKASSA_SHOP_ID: не задано"
    assert told.at("telegram.token")[0].startswith("бот @")
    assert told.at("payments.cryptopay")[0].startswith("приложение")


async def test_receipts_that_yookassa_awaits_and_a_shop_that_it_switched_off_are_told(clinic: Clinic) -> None:
    told = await clinic.examine(YOOKASSA_RECEIPTS="false")
    assert told.levels == {"payments.yookassa": "attention"} | NOT_RUNNING
    assert "YOOKASSA_RECEIPTS=true" in told.at("payments.yookassa")[1]
    clinic.services.yookassa.has_receipts = False
    assert (await clinic.examine(YOOKASSA_RECEIPTS="false")).levels == NOT_RUNNING
    clinic.services.yookassa.status = "disabled"
    told = await clinic.examine()
    assert told.levels == {"payments.yookassa": "wrong"} | NOT_RUNNING
    assert told.at("payments.yookassa")[0] == "магазин 100500 выключен"


async def test_a_shop_in_which_nobody_can_pay_is_told_so(clinic: Clinic) -> None:
    clinic.services.begin_complete()
    text = clinic.services.env_file.read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if not line.startswith(("YOOKASSA", "CRYPTOPAY"))]
    clinic.services.env_file.write_text("\n".join(kept), encoding="utf-8")
    assert (await clinic.look()).levels == {"settings.payments": "attention"} | NOT_RUNNING


@pytest.mark.parametrize(("mode", "who"), [(0o604, "всем"), (0o640, "группе")])
async def test_settings_that_others_may_read_are_wrong(clinic: Clinic, mode: int, who: str) -> None:
    clinic.services.begin_complete()
    clinic.services.env_file.chmod(mode)
    told = await clinic.look()
    assert told.levels == {"settings.file": "wrong"} | NOT_RUNNING
    seen, remedy = told.at("settings.file")
    assert who in seen
    assert remedy == f"chmod 600 {clinic.services.env_file}"


async def test_the_scopes_that_a_token_lacks_are_named(clinic: Clinic) -> None:
    access = clinic.services.panel.access
    for scopes, missing in (
        (["system:*", "users:read", "internal-squads:read"], "users:write, hwid:read"),
        (["system:read", "users:*", "hwid:*"], "internal-squads:read"),
    ):
        token = await make_token(clinic.services, scopes, access.admin_token)
        told = await clinic.examine(PANEL_TOKEN=token)
        assert told.levels == {"panel.scopes": "wrong"} | NOT_RUNNING
        assert told.at("panel.scopes")[0] == f"не хватает: {missing}"
    token = await make_token(clinic.services, ["users:*"], access.admin_token)
    assert "system:read" in (await clinic.examine(PANEL_TOKEN=token)).at("panel")[0]


async def make_token(here: Services, scopes: list[str], admin: str) -> str:
    headers = {
        "Authorization": f"Bearer {admin}",
        "X-Remnawave-Client-Type": "browser",
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Proto": "https",
    }
    body = {"name": "shop", "expiresInDays": 30, "scopes": scopes}

    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{here.urls['panel']}/api/tokens", json=body) as response,
    ):
        return str((await response.json())["response"]["token"])


async def test_a_panel_that_is_none_or_sick_is_told_apart(clinic: Clinic) -> None:
    async with door() as (_, url):
        told = await clinic.examine(PANEL_URL=url)
    assert told.levels == {"panel": "wrong"} | NOT_RUNNING
    assert told.at("panel")[0] == "по этому адресу отвечает не Remnawave (404)"
    assert "задайте PANEL_COOKIE" in told.at("panel")[1]
    async with door() as (_, url):
        told = await clinic.examine(PANEL_URL=url, PANEL_COOKIE="door=open")
    assert told.at("panel")[1] == "Проверьте PANEL_URL и пропуск прокси перед панелью: PANEL_COOKIE."
    faults = clinic.services.panel.faults.now
    faults.error_rate, faults.error_status = 1, 502
    assert (await clinic.examine()).levels == {"panel": "unknown"} | NOT_RUNNING
    faults.only = "users"
    assert (await clinic.examine()).levels == {"panel.scopes": "unknown"} | NOT_RUNNING


@dataclass
class Door:
    """Stands where the shop listens, and its proxy."""

    body: dict[str, str] = field(default_factory=lambda: {"status": "ok"})
    status: int = 200

    async def answer(self, _: web.Request) -> web.Response:
        text = json.dumps(self.body, separators=(",", ":"))
        return web.Response(status=self.status, text=text, content_type="application/json")


@contextlib.asynccontextmanager
async def door() -> AsyncIterator[tuple[Door, str]]:
    there, app = Door(), web.Application()
    app.router.add_get("/health/ready", there.answer)
    async with serving(app) as url:
        yield there, url


async def test_a_shop_that_runs_and_is_reached_is_well(clinic: Clinic) -> None:
    async with door() as (there, url):
        running = {"GETPRO_PORT": str(urlsplit(url).port), "PUBLIC_URL": url, "TRUSTED_PROXIES": "127.0.0.1"}
        told = await clinic.examine(**running)
        assert told.levels == {"telegram.updates": "attention"}
        assert told.at("telegram.updates")[0] == "Telegram ещё не знает адреса магазина"
        clinic.services.telegram.delivery.set_webhook(f"{url}/webhooks/telegram", "", 40, None, drop=False)
        told = await clinic.examine(**running)
        assert (told.returncode, told.levels) == (0, {})
        assert (await clinic.examine(**running | {"TRUSTED_PROXIES": ""})).levels == {
            "settings.proxies": "attention"
        }
        there.status, there.body = 503, {"status": "database away"}
        assert (await clinic.examine(**running)).at("shop")[0].endswith("но не видит базу")
        there.body = {"whose": "another"}
        told = await clinic.examine(**running)
        assert told.levels == {"shop": "wrong", "shop.public": "attention"}
    told = await clinic.examine(**running)
    assert told.levels == NOT_RUNNING | {"shop.public": "wrong"}


async def test_a_proxy_that_leads_elsewhere_while_the_shop_runs_is_wrong(clinic: Clinic) -> None:
    async with door() as (_, here), door() as (elsewhere, url):
        elsewhere.status, elsewhere.body = 404, {}
        changes = {"GETPRO_PORT": str(urlsplit(here).port), "PUBLIC_URL": url, "TRUSTED_PROXIES": "127.0.0.1"}
        told = await clinic.examine(**changes)
    assert told.levels == {"shop.public": "wrong", "telegram.updates": "attention"}


async def test_updates_that_go_elsewhere_or_nowhere_are_seen(clinic: Clinic) -> None:
    delivery = clinic.services.telegram.delivery
    delivery.set_webhook("http://127.0.0.1:1/secret-path", "", 40, None, drop=False)
    told = await clinic.examine()
    assert told.levels == {"telegram.updates": "attention"} | NOT_RUNNING
    assert told.at("telegram.updates")[0] == "идут на http://127.0.0.1:1"
    async with door() as (_, url):
        running = {"GETPRO_PORT": str(urlsplit(url).port), "PUBLIC_URL": url, "TRUSTED_PROXIES": "127.0.0.1"}
        delivery.set_webhook(f"{url}/webhooks/telegram", "", 40, None, drop=False)
        delivery.last_error = (int(time.time()), "Wrong response from the webhook: 401 Unauthorized")
        told = await clinic.examine(**running)
        assert told.levels == {"telegram.updates": "attention"}
        assert "TELEGRAM_WEBHOOK_SECRET" in told.at("telegram.updates")[1]
        delivery.last_error = (int(time.time()) - 86400, "Connection refused")
        assert (await clinic.examine(**running)).levels == {}


@pytest.mark.parametrize(
    ("url", "called"),
    [
        ("https://shop.example/x", True),
        ("https://shop.example:8443/x", True),
        ("https://shop.example:8080/x", False),
        ("http://shop.example/x", False),
    ],
)
def test_telegram_calls_only_tls_at_four_ports(url: str, *, called: bool) -> None:
    settings = TelegramSettings.model_validate({"bot_token": BOT_TOKEN})
    assert is_called(url, settings) is called
    assert is_called(url, settings.model_copy(update={"api_url": NOWHERE}))


@pytest.mark.parametrize(
    ("ahead", "level", "seen"),
    [(0, "ok", "верно"), (30, "attention", "отстают на"), (-3600, "wrong", "спешат на 3600 с")],
)
async def test_the_clock_is_held_against_the_outsides(
    clinic: Clinic, ahead: int, level: str, seen: str
) -> None:
    async def answer(_: web.Request) -> web.Response:
        told = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
        return web.json_response({"ok": False}, status=401, headers={"Date": told})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with serving(app) as url:
        told = await clinic.examine(TELEGRAM_API_URL=url)
    assert told.levels.get("machine.clock", "ok") == level
    assert seen in told.at("machine.clock")[0]


@pytest.mark.parametrize(
    ("free", "shares", "level"),
    [
        (50 * 1024**3, {"места": 0.5, "inodes": 0.5}, Level.OK),
        (50 * 1024**3, {"места": 0.5, "inodes": 0.05}, Level.ATTENTION),
        (50 * 1024**3, {"места": 0.09}, Level.ATTENTION),
        (50 * 1024**3, {"места": 0.02, "inodes": 0.5}, Level.WRONG),
        (100 * 1024**2, {"места": 0.5}, Level.WRONG),
    ],
)
def test_a_disk_is_judged_by_what_runs_out_first(free: int, shares: dict[str, float], level: Level) -> None:
    assert machine.judged_room(Line("disk", "Диск"), "/srv", free, shares).level is level


async def test_a_database_is_judged_by_version_tables_zone_and_privacy(
    clinic: Clinic, database_url: str
) -> None:
    told = await clinic.examine(DATABASE_URL=database_url)
    assert told.levels == NOT_RUNNING
    assert told.at("database")[0].startswith("PostgreSQL 18")
    async with pretending(database_url, b"14.6") as (url, away):
        told = await clinic.examine(DATABASE_URL=url)
        assert told.levels == {"database": "wrong"} | NOT_RUNNING
        assert told.at("database")[0] == "PostgreSQL 14.6: слишком старый"
    async with pretending(database_url, b"16.6") as (url, away):
        told = await clinic.examine(DATABASE_URL=away, GETPRO_TIME_ZONE="Asia/Omsk")
    seen = {f"database{line}": "attention" for line in ("", ".tls", ".zone")}
    assert told.levels == seen | NOT_RUNNING
    name = database_url.rpartition("/")[2]
    assert (
        told.at("database.zone")[1]
        == f"""В 2getpro psql: ALTER DATABASE "{name}" SET timezone TO 'Asia/Omsk';"""
    )
    for version, level in (("0000", "attention"), ("9999", "wrong")):
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("UPDATE alembic_version SET version_num = %s", [version])
        assert (await clinic.examine(DATABASE_URL=database_url)).levels == {
            "database.migrations": level
        } | NOT_RUNNING


@contextlib.asynccontextmanager
async def listening(serve: Callable[[StreamReader, StreamWriter], Awaitable[None]]) -> AsyncIterator[int]:
    """The port of a server that shows its callers out at the end."""
    calls: list[asyncio.Task[None]] = []

    async def take(reader: StreamReader, writer: StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()
            await writer.wait_closed()

    def begin(reader: StreamReader, writer: StreamWriter) -> None:
        calls.append(asyncio.create_task(take(reader, writer)))

    async with await asyncio.start_server(begin, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


@contextlib.asynccontextmanager
async def pretending(url: str, version: bytes) -> AsyncIterator[tuple[str, str]]:
    """The database behind a wire on which its version reads otherwise; by a loopback address, and another.

    The other one leads here too, but does not look it: nobody's wire is trusted by such a name.
    """
    parts = urlsplit(url)

    async def carry(source: StreamReader, target: StreamWriter) -> None:
        while data := await source.read(65536):
            target.write(data.replace(b"server_version\x0018.6", b"server_version\x00" + version))
        target.close()

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        there, to_there = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            await asyncio.gather(carry(reader, to_there), carry(there, writer))
        finally:
            to_there.close()
            await to_there.wait_closed()

    async with listening(serve) as port:
        here = url.replace(f":{parts.port}/", f":{port}/")
        yield here, here.replace("@127.0.0.1:", "@0.0.0.0:")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://a:geheim@127.0.0.1:9/x",
        "postgresql://a:geheim%zz@127.0.0.1:9/x",
        "postgresql://a:geheim@127.0.0.1:many/x",
    ],
)
async def test_a_database_that_is_away_is_one_line_without_its_password(clinic: Clinic, url: str) -> None:
    told = await clinic.examine(DATABASE_URL=url)
    assert told.levels == {"database": "wrong"} | NOT_RUNNING
    assert "geheim" not in told.text


async def test_the_shops_own_database_is_looked_at_but_neither_made_nor_started(clinic: Clinic) -> None:
    home = open_up(clinic.services.folder) / "postgres"
    await clinic.examine()
    assert not home.exists()
    with Cluster.running(home, durable=False):
        told = await clinic.examine()
        assert told.levels == NOT_RUNNING
        assert told.at("database.migrations")[0] == "пока нет: их создаст 2getpro run"
    copy = clinic.services.folder / "backups/2getpro-20260301-023000.dump.zst.age"
    copy.parent.mkdir(exist_ok=True)
    copy.touch()
    shutil.move(home, clinic.services.folder / "elsewhere")
    told = await clinic.examine()
    assert told.levels == {"database": "wrong", "backups.key": "wrong"} | NOT_RUNNING
    assert "2getpro restore --to end" in told.at("database")[1]
    copy.unlink()
    shutil.move(clinic.services.folder / "elsewhere", home)
    told = await clinic.examine()
    assert told.levels == {"database": "attention"} | NOT_RUNNING
    assert Cluster(home).server_pid() is None


async def test_when_everything_is_away_it_still_answers_in_ten_seconds(clinic: Clinic) -> None:
    async def never(reader: StreamReader, _: StreamWriter) -> None:
        while await reader.read(65536):
            pass

    names = ("TELEGRAM_API_URL", "PANEL_URL", "YOOKASSA_API_URL", "CRYPTOPAY_API_URL", "PUBLIC_URL")
    async with listening(never) as port:
        began = time.monotonic()
        told = await clinic.examine(
            **dict.fromkeys(names, f"http://127.0.0.1:{port}"),
            DATABASE_URL=f"postgresql://a:b@127.0.0.1:{port}/x",
            STARS_ENABLED="true",
            TRUSTED_PROXIES="127.0.0.1",
        )
        assert time.monotonic() - began < 10
    away = ("telegram.token", "telegram.chat", "machine.clock", "panel")
    paying = [f"payments.{code}" for code in ("yookassa", "cryptopay", "stars")]
    wrong = dict.fromkeys(("database", "shop.public"), "wrong")
    assert told.levels == dict.fromkeys([*away, *paying], "unknown") | wrong | NOT_RUNNING
    for line in ("telegram.token", "panel", *paying):
        assert told.at(line)[0].endswith("нет ответа за 4 с")


async def test_a_check_that_hangs_or_breaks_keeps_what_it_saw_and_hides_no_other() -> None:
    line = Line("it", "Оно")

    async def hangs() -> AsyncIterator[Finding]:
        yield line.ok("было видно")
        await asyncio.sleep(60)

    async def breaks() -> AsyncIterator[Finding]:
        raise KeyError("geheim")
        yield line.ok("никогда")

    async def fine() -> AsyncIterator[Finding]:
        yield line.ok("в порядке")

    found = await check.run([Check(line, look) for look in (hangs, breaks, fine)], seconds=0.05)
    assert [one.level for one in found] == [Level.OK, Level.UNKNOWN, Level.UNKNOWN, Level.OK]
    assert "geheim" not in repr(found)
    assert check.worst(found) is Level.UNKNOWN


@pytest.mark.parametrize("columns", [80, 120])
async def test_on_a_terminal_it_is_one_table_that_fits(clinic: Clinic, columns: int) -> None:
    clinic.services.begin_complete(PANEL_SQUADS="Gold", YOOKASSA_SHOPID="x")
    clinic.services.panel.faults.now.slow_seconds = 0.1
    async with terminal("doctor", cwd=clinic.services.folder, COLUMNS=str(columns)) as screen:
        await screen.sees("ждём: Панель")
        await screen.sees("Итог")
        await screen.sees("✗ неверно")
        await screen.sees("на панели нет: Gold")
        await screen.sees("→ Впишите в PANEL_SQUADS")
        await screen.sees("Неверно: 2, внимание: 1.")
        assert await screen.ended() == 2
    table = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.text).partition("┏")[2]
    assert max(map(len, table.splitlines())) <= columns
    for secret in SECRETS:
        assert secret not in screen.text


async def test_the_key_of_the_copies_is_asked_to_be_saved_until_it_was_printed(clinic: Clinic) -> None:
    home = clinic.services.folder
    (home / "backups").mkdir(exist_ok=True)
    assert "backups.key" not in (await clinic.examine()).levels
    (home / "backups/1.dump.zst.age").touch()
    assert (await clinic.examine()).levels["backups.key"] == "wrong"
    identity = x25519.Identity.generate()
    (home / FILE).write_text(str(identity))
    told = await clinic.examine()
    assert (told.levels["backups.key"], "2getpro backup key" in told.at("backups.key")[1]) == (
        "attention",
        True,
    )
    note_shown(home, x25519.Identity.generate())
    assert (await clinic.examine()).levels["backups.key"] == "attention"
    note_shown(home, identity)
    assert "backups.key" not in (await clinic.examine()).levels


async def test_a_bucket_for_copies_is_tried_and_nothing_is_left_there(clinic: Clinic, s3: Storage) -> None:
    place = s3.make()
    settings = {
        "BACKUP_S3_BUCKET": place.name,
        "BACKUP_S3_ENDPOINT": s3.url,
        "BACKUP_S3_ACCESS_KEY_ID": "k",
        "BACKUP_S3_SECRET_ACCESS_KEY": SECRET,
    }
    told = await clinic.examine(**settings)
    assert told.levels == NOT_RUNNING
    assert told.at("backups.bucket") == (f"s3://{place.name}/2getpro/: писать можно", "")
    assert (place.objects(), place.unfinished()) == ({}, [])
    for changes, level, seen, remedy in (
        ({"BACKUP_S3_BUCKET": "nobody-has-it"}, "wrong", "такого бакета нет", "BACKUP_S3_BUCKET"),
        ({"BACKUP_S3_LOCK_DAYS": "3"}, "wrong", "нет Object Lock", "BACKUP_S3_LOCK_DAYS"),
        ({"BACKUP_S3_ENDPOINT": NOWHERE}, "unknown", "соединения нет", "BACKUP_S3_ENDPOINT"),
    ):
        told = await clinic.examine(**settings | changes)
        assert told.levels == NOT_RUNNING | {"backups.bucket": level}
        assert seen in told.at("backups.bucket")[0]
        assert remedy in told.at("backups.bucket")[1]
        assert SECRET not in told.text
