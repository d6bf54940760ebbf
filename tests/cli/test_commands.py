"""The command line as an operator types it: processes of their own, a real database, simulators outside."""

import asyncio
import contextlib
import io
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import alembic.command
import psycopg
import pytest
from aiohttp import web

from folders import open_up
from gateway import sick_gateway
from getpro import cli, migrations, running
from getpro.cli import processes
from getpro.cli.tables import in_money, in_title, in_words
from getpro.kit.clock import utc_now
from getpro.kit.money import Money
from getpro.kit.trouble import Trouble
from getpro.panel.client import PanelClient
from getpro.platform.postgres import Cluster
from getpro.platform.settings import Settings
from getpro.sandbox.panel import PanelSimulator
from getpro.sandbox.serving import serving
from getpro.sandbox.telegram import TelegramSimulator
from shop import KEY, Shop, rub
from waiting import until

SOURCE = Path(__file__).parents[2] / "src"
TOKEN = "42:TEST"


def environment(**settings: str) -> dict[str, str]:
    """Nothing but what the command is given."""
    own = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE), "LANG": "C.UTF-8"}
    return own | {"DATABASE_KEYS": KEY} | settings


def run(*arguments: str, cwd: Path, stdin: str = "", **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "getpro", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=environment(**settings),
        timeout=60,
    )


def shop_settings(**more: Any) -> Settings:
    """The least that a shop needs, of nobody."""
    needed = {"telegram": {"bot_token": TOKEN}, "panel": {"url": "http://127.0.0.1:9", "token": "t"}}
    return Settings.model_validate(needed | more)


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


def run_here(*arguments: str) -> Done:
    """Run a command in this process: what is heavy is imported once."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        code = cli.execute(list(arguments))
    return Done(code, stdout.getvalue(), stderr.getvalue())


@dataclass
class Counter:
    """An operator at the command line of a shop whose outside is simulated; in this process, for speed."""

    panel: PanelSimulator

    async def run(self, *arguments: str) -> Done:
        return await asyncio.to_thread(run_here, *arguments)


@pytest.fixture
async def counter(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Counter]:
    telegram, panel = TelegramSimulator(TOKEN), PanelSimulator("panel-token")
    async with serving(telegram.app) as telegram_url, serving(panel.app) as panel_url:
        settings = {
            "DATABASE_URL": database_url,
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_API_URL": telegram_url,
            "PANEL_URL": panel_url,
            "PANEL_TOKEN": "panel-token",
        }
        (tmp_path / ".env").write_text("\n".join(f"{name}={value}" for name, value in settings.items()))
        monkeypatch.chdir(tmp_path)
        yield Counter(panel)


@pytest.mark.parametrize(
    ("arguments", "light"),
    [
        (["--help"], []),
        (["--version"], []),
        (["psql", "-Atc", "SELECT 1"], []),
        (["payments", "stuck"], ["procrastinate", "sqlalchemy"]),
        (["backup", "list"], ["procrastinate", "sqlalchemy"]),
    ],
)
def test_what_needs_no_bot_loads_none(
    arguments: list[str], light: list[str], database_url: str, tmp_path: Path
) -> None:
    heavy = "{'aiogram', 'fastapi', 'sqlalchemy', 'procrastinate', 'alembic', 'botocore'}"
    code = (
        "import sys; from getpro.cli import execute; code = execute(sys.argv[1:]); "
        f"print(sorted({heavy} & set(sys.modules)), code)"
    )
    settings = {"TELEGRAM_BOT_TOKEN": TOKEN, "PANEL_URL": "http://127.0.0.1:9", "PANEL_TOKEN": "t"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=environment(DATABASE_URL=database_url, **settings),
    )
    assert done.stdout.splitlines()[-1] == f"{light} 0"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "Команды 'nonsense' нет."),
        (["payments", "credit", "s1", "--reason"], "у параметра --reason нет значения"),
        (["payments", "credit", "s1"], "не хватает --reason"),
        (["payments", "retry"], "не хватает reference"),
        (["payments", "wish"], "команды wish нет"),
        (["payments", "stuck", "--all"], "параметра --all нет"),
        (["payments", "stuck", "all"], "лишнее: all"),
        (["payments", "refund", "x", "--reason", "y"], "payment: нужно целое число"),
        (["payments", "refund", "0", "--reason", "y"], "payment: нужно не меньше 1"),
        (["payments", "refund", "9" * 20, "--reason", "y"], f"payment: нужно не больше {2**63 - 1}"),
        (["customers", "extend", "42", "0", "--reason", "y"], "days: нужно не меньше 1"),
        (["customers", "extend", "42", "7", "--reason", " "], "--reason: напишите, почему"),
        (["payments", "retry", "s1", "--reason", ""], "--reason: напишите, почему"),
        (["sandbox", "telegram", "--port", "many"], "--port: нужно целое число"),
    ],
)
def test_a_command_used_wrongly_is_told_so(arguments: list[str], said: str) -> None:
    done = run_here(*arguments)
    assert done.returncode == 64
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("TELEGRAM_BOT_TOKEN", "x", "нужен токен бота вида 123456:ABC, его даёт @BotFather"),
        ("PUBLIC_URL", "shop.example", "нужен адрес вида https://shop.example"),
        ("PUBLIC_URL", "https://shop.example/bot", "нужен адрес без пути, вида https://shop.example"),
        ("PANEL_URL", "https://panel.example?x=1", "нужен адрес вида https://shop.example"),
        ("TRUSTED_PROXIES", "here", "нужны адреса или сети через запятую, как 10.0.0.0/8"),
        ("GETPRO_TIME_ZONE", "Mars/Olympus", "часового пояса 'Mars/Olympus' нет"),
        ("GETPRO_PORT", "x", "нужно целое число"),
        ("SHOP_TRIAL_DAYS", "-1", "нужно не меньше 0"),
        ("STARS_ENABLED", "maybe", "нужно true или false"),
        ("PANEL_FOO", "1", "такой настройки нет"),
        ("SHOP", "x", "такой настройки нет"),
        ("SHOP_OPERATORS", "olga", "нужно целое число"),
        *(
            ("PANEL_COOKIE", value, "нужно имя=значение, одно и без пробелов")
            for value in ("foo", "=", "door=", "дверь=открыта", "door=open; x=y")
        ),
        ("GETPRO_LOG_LEVEL", "loud", "нужно одно из: DEBUG, INFO, WARNING, ERROR"),
        ("PANEL_PROXY", "foo", "нужен адрес вида http://proxy.example:3128"),
        (
            "PANEL_WEBHOOK_SECRET",
            "x" * 31,
            "нужен тот же секрет, что на панели: от 32 латинских букв и цифр",
        ),
        ("GETPRO_HOST", "foo", "нужен адрес этой машины, обычно 127.0.0.1"),
        ("TRUSTED_PROXIES", "::/0", "::/0 значит верить всем, а нужен адрес вашего прокси"),
        ("SHOP_SUPPORT", "foo bar", "нужно имя в Telegram вида @my_support"),
        ("PANEL_API_KEY", "ключ", "нужны латинские буквы, цифры и знаки, без пробелов"),
        ("PANEL_TOKEN", "a b", "нужны латинские буквы, цифры и знаки, без пробелов"),
        ("CRYPTOPAY_TOKEN", "token", "нужен токен приложения вида 12345:ABC, его даёт @CryptoBot"),
    ],
)
def test_a_wrong_setting_is_named_in_plain_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, value: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, fine in {"TELEGRAM_BOT_TOKEN": TOKEN, "PANEL_URL": "http://p", "PANEL_TOKEN": "t"}.items():
        monkeypatch.setenv(name, fine)
    monkeypatch.setenv(setting, value)
    done = run_here("payments", "stuck")
    assert done.returncode == 2
    assert f"Причина: {setting}: {said}\n" in done.stderr


def test_credentials_of_yookassa_that_cannot_be_any_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, fine in {"TELEGRAM_BOT_TOKEN": TOKEN, "PANEL_URL": "http://p", "PANEL_TOKEN": "t"}.items():
        monkeypatch.setenv(name, fine)
    monkeypatch.setenv("YOOKASSA_SHOP_ID", "мой магазин")
    monkeypatch.setenv("YOOKASSA_SECRET_KEY", "test_ключ secret")
    monkeypatch.setenv("YOOKASSA_RECEIPT_EMAIL", "foo")
    done = run_here("payments", "stuck")
    assert "YOOKASSA_RECEIPT_EMAIL: нужна почта вида receipts@shop.example" in done.stderr
    assert "YOOKASSA_SHOP_ID: нужен номер магазина (shopId), одни цифры" in done.stderr
    assert "YOOKASSA_SECRET_KEY: нужны латинские буквы, цифры и знаки, без пробелов" in done.stderr
    assert "ключ secret" not in done.stderr


def test_a_settings_file_that_is_no_text_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes("SHOP_NAME=Мой".encode("cp1251"))
    done = run_here("payments", "stuck")
    assert done.returncode == 2
    assert f"Файл {tmp_path}/.env не читается.\nПричина: Это не UTF-8." in done.stderr


@pytest.mark.parametrize("command", [["doctor"], ["payments", "stuck"]])
def test_a_line_of_the_settings_file_that_says_nothing_is_named_once(
    tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / ".env").write_text(f'TELEGRAM_BOT_TOKEN={TOKEN}\nPANEL_TOKEN="geheim\n', encoding="utf-8")
    done = run(*command, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"Ошибка: Файл {tmp_path}/.env не читается.\n"
        "Причина: Строка 2: нужно ИМЯ=значение, кавычки парами.\n"
        "Что делать: Исправьте её или поставьте перед ней #.\n"
    )


def test_missing_settings_are_named_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("YOOKASSA_SHOP_ID", "1")
    done = run_here("run")
    assert done.returncode == 2
    missing = ("TELEGRAM_BOT_TOKEN", "YOOKASSA_SECRET_KEY", "PANEL_URL", "PANEL_TOKEN")
    assert "; ".join(f"{name}: не задано" for name in missing) in done.stderr


def test_the_log_can_be_read_while_the_settings_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GETPRO_LOG_DIR", str(tmp_path))
    monkeypatch.setenv("GETPRO_TIME_ZONE", "Nowhere/At-all")
    line = {"timestamp": utc_now().isoformat(), "level": "ERROR", "event": "shop.failed", "logger": "test"}
    (tmp_path / "2getpro.log").write_text(f"{json.dumps(line)}\n", encoding="utf-8")
    done = run_here("logs")
    assert (done.returncode, done.stderr) == (2, "")
    assert "shop.failed" in done.stdout


def test_psql_runs_what_comes_in_with_its_own_options(database_url: str, tmp_path: Path) -> None:
    done = run("psql", "-At", cwd=tmp_path, stdin="SELECT 1 + 1;", DATABASE_URL=database_url)
    assert (done.returncode, done.stdout) == (0, "2\n")
    wrong = run("psql", "-v", "ON_ERROR_STOP=1", cwd=tmp_path, stdin="SELEC;", DATABASE_URL=database_url)
    assert wrong.returncode == 3


async def test_a_synthetic_purchase_by_hand_says_step_by_step_whether_one_can_buy(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = await counter.run("ops", "synthetic", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["verdict"], len(told["findings"])) == (0, "ok", 9), done.stderr
    monkeypatch.setenv("PANEL_URL", "http://127.0.0.1:9")
    done = await counter.run("ops", "synthetic")
    assert done.returncode == 2
    assert re.search(r"✗ неверно +│ Зачёт и выдача +│ panel: нет ответа", done.stdout), done.stdout
    assert "Ссылка на экране" not in done.stdout, "so far it did not come"


def test_the_embedded_database_is_migrated_when_asked_and_stopped_after(tmp_path: Path) -> None:
    home = str(open_up(tmp_path))
    done = run("psql", "-Atc", "SELECT 1", cwd=tmp_path, GETPRO_DATA_DIR=home)
    assert (done.returncode, "Базы ещё нет." in done.stderr) == (2, True), done.stderr
    done = run("migrate", cwd=tmp_path, GETPRO_DATA_DIR=home)
    assert (done.returncode, done.stdout) == (0, "База данных обновлена.\n"), done.stderr
    done = run("psql", "-Atc", "SELECT count(*) FROM plans", cwd=tmp_path, GETPRO_DATA_DIR=home)
    assert (done.returncode, done.stdout) == (0, "4\n"), done.stderr
    cluster = Cluster(tmp_path / "postgres", durable=False)
    assert cluster.server_pid() is None
    with Cluster.running(tmp_path / "postgres", durable=False):
        again = run("psql", "-Atc", "SHOW TimeZone", cwd=tmp_path, GETPRO_DATA_DIR=home)
        assert (again.returncode, again.stdout) == (0, "Europe/Moscow\n"), again.stderr
        assert cluster.server_pid() is not None


def test_beside_an_older_shop_the_embedded_database_is_opened_but_not_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = open_up(tmp_path)
    monkeypatch.chdir(tmp_path)
    needed = {"TELEGRAM_BOT_TOKEN": TOKEN, "PANEL_URL": "http://127.0.0.1:9", "PANEL_TOKEN": "t"}
    for name, value in (needed | {"GETPRO_DATA_DIR": str(home)}).items():
        monkeypatch.setenv(name, value)
    version = "SELECT version_num FROM alembic_version"
    with Cluster.running(home / "postgres", durable=False) as url:
        alembic.command.upgrade(migrations.alembic_config(url), "0004")
        done = run_here("payments", "stuck")
        assert done.returncode == 2
        assert "База данных старее программы." in done.stderr
        assert "2getpro migrate" in done.stderr
        seen = run("psql", "-Atc", version, cwd=tmp_path, GETPRO_DATA_DIR=str(home))
        assert (seen.returncode, seen.stdout) == (0, "0004\n"), seen.stderr


async def test_the_embedded_database_runs_until_the_last_psql_is_left(tmp_path: Path) -> None:
    home = str(open_up(tmp_path))
    with Cluster.running(tmp_path / "postgres", durable=False):
        pass

    async def open_psql() -> asyncio.subprocess.Process:
        psql = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "getpro", "psql", "-At"),
            cwd=tmp_path,
            env=environment(GETPRO_DATA_DIR=home),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert await ask(psql) == b"1\n"
        return psql

    async def ask(psql: asyncio.subprocess.Process) -> bytes:
        assert psql.stdin is not None
        assert psql.stdout is not None
        psql.stdin.write(b"SELECT 1;\n")
        async with asyncio.timeout(30):
            return await psql.stdout.readline()

    first = await open_psql()
    second = await open_psql()
    await first.communicate(b"\\q\n")
    assert await ask(second) == b"1\n"
    second.kill()
    await second.communicate(b"")
    assert Cluster(tmp_path / "postgres").server_pid() is not None
    third = await open_psql()
    await third.communicate(b"\\q\n")
    assert Cluster(tmp_path / "postgres").server_pid() is None


@pytest.mark.parametrize(
    "command",
    [[name] for name in cli.COMMANDS]
    + [["customers", "extend"], ["payments", "list"], ["oncall", "steps"], ["oncall", "steps", "set"]],
)
def test_help_is_all_russian(command: list[str]) -> None:
    done = run_here(*command, "--help")
    assert done.returncode == 0
    assert "Запуск: 2getpro" in done.stdout
    assert not re.search(r"Usage|OPTIONS|COMMAND|ARGS|Show this|<\w+>", done.stdout), done.stdout
    if command != ["psql"]:
        assert "Показать эту справку." in done.stdout


def test_help_for_psql_starts_no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GETPRO_DATA_DIR", str(tmp_path / "data"))
    done = run_here("psql", "--help")
    assert (done.returncode, "2getpro psql -At" in done.stdout) == (0, True)
    assert not (tmp_path / "data").exists()


def test_psql_opens_a_database_elsewhere_as_it_is(server: str, tmp_path: Path) -> None:
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE empty_one")
    tables = ("psql", "-Atc", "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    done = run(*tables, cwd=tmp_path, DATABASE_URL=f"{server}/empty_one")
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


async def test_a_shop_whose_part_dies_ends_as_failed(database_url: str, tmp_path: Path) -> None:
    def dies() -> None:
        raise RuntimeError("no such luck")

    with pytest.raises(Trouble, match=r"одна из его частей отказала") as caught:
        await running.run_shop(
            shop_settings(GETPRO_DATA_DIR=str(tmp_path)),
            database_url=database_url,
            web=False,
            worker=True,
            keep_database=dies,
        )
    assert "RuntimeError" in caught.value.why


def test_an_old_database_elsewhere_is_not_touched_unasked(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{server}/old_one"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE old_one")
    settings = {"TELEGRAM_BOT_TOKEN": TOKEN, "PANEL_URL": "http://127.0.0.1:9", "PANEL_TOKEN": "t"}
    own = {"DATABASE_URL": url, "GETPRO_DATA_DIR": str(tmp_path / "data")}
    (tmp_path / ".env").write_text("\n".join(f"{k}={v}" for k, v in {**settings, **own}.items()))
    monkeypatch.chdir(tmp_path)
    before = run_here("payments", "stuck")
    assert before.returncode == 2
    assert "2getpro migrate" in before.stderr
    for _ in range(2):
        assert run_here("migrate").returncode == 0
    after = run_here("payments", "stuck")
    assert (after.returncode, after.stdout) == (0, "Ничего не застряло.\n")


def test_a_database_of_a_newer_program_is_left_alone(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = {"TELEGRAM_BOT_TOKEN": TOKEN, "PANEL_URL": "http://p", "PANEL_TOKEN": "t"}
    for name, value in (settings | {"DATABASE_URL": database_url}).items():
        monkeypatch.setenv(name, value)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for command in (["migrate"], ["payments", "stuck"]):
        done = run_here(*command)
        assert done.returncode == 2
        assert "База данных новее программы.\nПричина: В ней версия 9999" in done.stderr


async def test_a_telegram_behind_a_sick_gateway_is_told_again_and_stops_no_shop(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_TELEGRAM_TOLD_AGAIN_SECONDS", 0.05)
    async with sick_gateway() as (url, gateway):
        settings = shop_settings(
            GETPRO_PORT=0,
            public_url="https://shop.example",
            telegram={"bot_token": TOKEN, "api_url": url},
        )
        shop = asyncio.create_task(
            running.run_shop(settings, database_url=database_url, web=True, worker=False)
        )
        await until(lambda: shop.done() or len(gateway.asked) > 2)
        assert not shop.done()
        shop.cancel()
        await asyncio.gather(shop, return_exceptions=True)


async def test_stuck_money_is_listed_and_decided_upon(counter: Counter, shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.notice(shop.pay(await shop.order(alice), taken=rub("100.00")))
    await shop.run_jobs()
    listed = await counter.run("payments", "stuck", "--json")
    assert listed.returncode == 1
    (entry,) = json.loads(listed.stdout)
    assert (entry["kind"], entry["user_id"]) == ("underpaid", alice)
    shown = (await counter.run("payments", "stuck")).stdout
    assert "недоплата" in shown
    assert "01.03.2026 15:00 МСК" in shown
    refused = await counter.run("payments", "dismiss", entry["reference"], "--reason", "x")
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr
    done = await counter.run(
        "payments", "credit", entry["reference"], "--reason", "доплатил", "--by", "ольга"
    )
    assert done.returncode == 0, done.stderr
    assert "клиент 101, 30 дн." in done.stdout
    assert (await counter.run("payments", "stuck")).returncode == 0


async def test_what_is_on_its_way_is_counted_before_it_is_late(counter: Counter, shop: Shop) -> None:
    shop.clock.now = utc_now() - timedelta(minutes=3)
    shop.panel.is_away = True
    await shop.purchase(await shop.customer("alice"))
    shop.clock.now = utc_now()
    await shop.purchase(await shop.customer("bob"))
    told = await counter.run("payments", "stuck")
    assert (told.returncode, told.stdout.splitlines()) == (
        0,
        ["Ничего не застряло.", "Ждут панель: 2, самому старому 3 мин. Покажем здесь, если не дождутся."],
    )
    assert json.loads((await counter.run("payments", "stuck", "--json")).stdout) == []


async def test_money_goes_back_by_a_command_and_stands_in_the_list(counter: Counter, shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.customer("bob")
    payment = await shop.purchase(alice)
    number = str(payment.payment_id)
    off = await counter.run("payments", "refund", number, "--reason", "просил клиент")
    assert off.returncode == 2
    assert "провайдер fakepay выключен" in off.stderr
    done = await counter.run(
        "payments",
        "refund",
        number,
        "--amount",
        "100,00",
        "--by-hand",
        "--reason",
        "перевод",
        "--by",
        "ольга",
    )
    assert done.returncode == 0, done.stderr
    assert "Возвращено: 100 ₽ (r1)." in done.stdout
    listed = await counter.run("payments", "list", "--user", str(alice), "--json")
    (entry,) = json.loads(listed.stdout)
    assert (entry["payment_id"], entry["amount"], entry["given_back"]) == (
        payment.payment_id,
        "199.00 RUB",
        "100.00 RUB",
    )
    assert "100 ₽" in (await counter.run("payments", "list")).stdout
    assert "Платежей нет." in (await counter.run("payments", "list", "--user", "102")).stdout


async def test_a_customer_is_found_given_days_and_blocked_by_commands(counter: Counter, shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    assert (await counter.run("customers", "show", "@nobody")).returncode == 1
    given = await counter.run("customers", "extend", "101", "7", "--reason", "сбой", "--by", "ольга")
    end = await shop.subscription_end(alice)
    assert end is not None
    until = in_words(end, ZoneInfo("Europe/Moscow"))
    assert f"Добавлено, подписка до {until}." in given.stdout
    assert "Заблокирован." in (await counter.run("customers", "block", "101", "--reason", "продаёт")).stdout
    shown = (await counter.run("customers", "show", "101")).stdout
    assert "Alice (101)" in shown
    assert "заблокирован с" in shown
    assert f"подписка до {until}" in shown
    assert "оплачен, 199 ₽, fakepay" in shown
    again = await counter.run("customers", "block", "101", "--reason", "продаёт")
    assert again.returncode == 2
    assert "клиент уже заблокирован" in again.stderr
    assert "Посмотреть клиента: 2getpro customers show 101" in again.stderr
    gone = await counter.run("customers", "unblock", "999", "--reason", "x")
    assert "Клиента 999 нет." in gone.stderr


@pytest.mark.parametrize(
    ("money", "said"), [("199.00", "199 ₽"), ("198.50", "198,50 ₽"), ("1590.00", "1590 ₽")]
)
def test_money_is_written_as_people_do(money: str, said: str) -> None:
    assert in_money(rub(money)) == said
    assert (in_money(Money(250, "XTR")), in_money(None)) == ("⭐ 250", "")
    assert [in_title(code) for code in ("yookassa", "fakepay")] == ["ЮKassa", "fakepay"]


async def test_the_panel_is_compared_and_what_is_safe_is_applied(counter: Counter, shop: Shop) -> None:
    shop.clock.now = utc_now()
    alice = await shop.customer("alice")
    await shop.purchase(alice)  # delivered to a panel that this one knows nothing of
    shown = await counter.run("panel", "reconcile")
    assert shown.returncode == 1
    assert "нет на панели: создадим" in shown.stdout
    assert " МСК " in shown.stdout
    told = await counter.run("panel", "reconcile", "--json")
    assert told.returncode == 1
    (finding,) = json.loads(told.stdout)["findings"]
    assert (finding["difference"], finding["is_safe"], finding["found"]) == ("missing", True, None)
    applied = await counter.run("panel", "reconcile", "--apply")
    assert applied.returncode == 0, applied.stderr
    assert "Отправлено на исправление: 1" in applied.stdout


async def test_limits_that_differ_on_the_panel_are_shown_and_only_raised(
    counter: Counter, shop: Shop
) -> None:
    shop.clock.now = utc_now()
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    await counter.run("panel", "reconcile", "--apply")
    settings = Settings()  # type: ignore[call-arg] # those of the counter
    panel = PanelClient(settings.panel, settings.shop, owner="2getpro:42")
    shop.panel = panel  # type: ignore[assignment] # the real client to the simulated panel
    assert await shop.run_jobs() == []
    (user,) = counter.panel.state.users.values()
    user.trafficLimitBytes, user.hwidDeviceLimit = 5 * 1024**3, 9
    shown = await counter.run("panel", "reconcile")
    assert shown.returncode == 1
    generous = "Лимиты выше, чем даёт магазин: 1; выровняет следующая покупка"
    for part in ("трафика меньше: поднимем", "5 ГБ", "без лимита", generous):
        assert part in shown.stdout
    applied = await counter.run("panel", "reconcile", "--apply")
    assert (applied.returncode, "Отправлено на исправление: 1" in applied.stdout) == (0, True)
    assert await shop.run_jobs() == []
    assert (user.trafficLimitBytes, user.hwidDeviceLimit) == (0, 9)
    after = await counter.run("panel", "reconcile")
    assert (after.returncode, "расхождений: 0" in after.stdout, generous in after.stdout) == (0, True, True)
    assert json.loads((await counter.run("panel", "reconcile", "--json")).stdout)["generous"] == 1
    await panel.close()


async def test_an_outside_that_does_not_answer_is_one_sentence(counter: Counter) -> None:
    counter.panel.faults.now.away = True
    done = await counter.run("panel", "reconcile")
    assert done.returncode == 2
    assert "Панель не ответила." in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://x", "DATABASE_URL: это не адрес PostgreSQL."),
        ("postgresql://a:geheim@127.0.0.1:9/x", "База данных не отвечает."),
        ("postgresql://a:geh/eim@127.0.0.1:9/x", "Запишите их как %2F, %3F и %23."),
    ],
)
def test_a_database_that_is_none_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = {"TELEGRAM_BOT_TOKEN": TOKEN, "PANEL_URL": "http://p", "PANEL_TOKEN": "t", "DATABASE_URL": url}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    done = run_here("payments", "stuck")
    assert done.returncode == 2
    assert said in done.stderr
    assert "geheim" not in done.stderr


async def refused_place(**where: Any) -> Trouble:
    """Why a shop may not start, as the command says before it has loaded; the shop itself says the same."""
    settings = shop_settings(**where)
    host, port = settings.listen_host, settings.listen_port
    with pytest.raises(Trouble) as caught:
        await asyncio.to_thread(processes.require_free, host, port)
    with pytest.raises(Trouble) as later:
        await running.run_shop(settings, database_url="postgresql://127.0.0.1:9/x", web=True, worker=False)
    assert str(later.value) == str(caught.value)
    return caught.value


async def test_a_second_shop_is_told_that_the_first_one_runs() -> None:
    async def ready(_: web.Request) -> web.Response:
        return web.Response(text='{"status":"ok"}')

    app = web.Application()
    app.router.add_get("/health/ready", ready)
    async with serving(app) as url:
        trouble = await refused_place(GETPRO_PORT=urlsplit(url).port)
    assert (trouble.what, trouble.remedy) == ("Магазин уже работает.", "Посмотреть, как он: 2getpro doctor")


async def test_a_place_that_cannot_be_had_is_one_sentence_in_russian() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        trouble = await refused_place(GETPRO_PORT=taken.getsockname()[1])
    assert (trouble.what, trouble.remedy) == ("Адрес занят.", "Укажите свободный порт в GETPRO_PORT.")
    trouble = await refused_place(GETPRO_HOST="192.0.2.1")
    assert trouble.why == "Адреса 192.0.2.1 у этой машины нет."
    assert "GETPRO_HOST" in trouble.remedy
