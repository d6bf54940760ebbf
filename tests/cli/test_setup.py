"""The first-run wizard at a terminal, with simulators as the services; then the shop from its file."""

import asyncio
import contextlib
import errno
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from getpro.checks.check import Level
from getpro.cli.interview import Interview
from getpro.cli.setup import Steps
from getpro.kit.trouble import Trouble
from getpro.payments.providers.cryptopay import client
from getpro.platform.env_file import EnvFile
from getpro.sandbox.providers.cryptopay import CryptoPaySimulator
from getpro.sandbox.serving import serving
from getpro.sandbox.shop.world import free_port
from services import BOT_TOKEN, CRYPTOPAY_TOKEN, PANEL_TOKEN, SECRET_KEY, SECRETS, SHOP_ID, Services, services
from terminal import CTRL_C, CTRL_D, SOURCE, Terminal, terminal

OLGA = 900

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
async def outside(tmp_path: Path) -> AsyncIterator[Services]:
    async with services(tmp_path) as started:
        yield started


@dataclass
class Done:
    returncode: int | None
    text: str

    @property
    def levels(self) -> dict[str, str]:
        """What is not well, by name."""
        found = json.loads(self.text)["findings"]
        return {line["name"]: line["level"] for line in found if line["level"] != "ok"}


async def doctor(folder: Path, *options: str) -> Done:
    return await command(folder, "doctor", *options)


async def command(folder: Path, *arguments: str) -> Done:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "getpro", *arguments),
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE), "LANG": "C.UTF-8"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    return Done(process.returncode, out.decode())


async def test_a_stranger_sets_up_a_shop_looks_at_it_and_runs_it(
    outside: Services, database_url: str
) -> None:
    port = free_port()
    outside.begin(f"GETPRO_PORT={port}\nGETPRO_DATA_DIR={outside.folder}/data\nOTHER='чужое'\n")
    async with terminal("setup", cwd=outside.folder) as screen:
        await set_up_telegram_and_panel(screen, outside)
        await set_up_payments(screen)
        await set_up_shop(screen, outside, database_url)
        assert await screen.ended() == 0
    assert outside.env_file.stat().st_mode & 0o777 == 0o600
    assert outside.env_file.read_text(encoding="utf-8").startswith("# мой магазин\nTELEGRAM_API_URL=")
    written = outside.answers()
    assert (written["OTHER"], written["PANEL_SQUADS"]) == ("'чужое'", "Premium,Default-Squad")
    assert (written["YOOKASSA_RECEIPTS"], written["YOOKASSA_VAT_CODE"]) == ("true", "7")
    assert (written["SHOP_NAME"], written["SHOP_RETURN_URL"]) == (
        "'Мой VPN #1'",
        "https://t.me/sandbox_vpn_bot",
    )
    before = await doctor(outside.folder, "--json")
    lines = ("database.zone", "shop", "telegram.chat")
    assert (before.returncode, before.levels) == (1, dict.fromkeys(lines, "attention"))
    async with running(outside.folder, port):
        after = await doctor(outside.folder)
    assert after.returncode == 1, after.text
    assert f"работает на 127.0.0.1:{port}" in after.text
    for secret in (*SECRETS, database_url):
        assert secret not in screen.text + before.text + after.text


async def set_up_telegram_and_panel(screen: Terminal, outside: Services) -> None:
    await screen.answers("Токен бота", "nonsense", "42:wrong", BOT_TOKEN)
    await screen.sees("бот @sandbox_vpn_bot")
    await screen.answers("Адрес вида https://shop.example", "")
    await screen.answers("Адрес панели", outside.urls["panel"])
    await screen.answers("Токен API", "wrong")
    await screen.sees("панель не знает токена")
    await screen.answers("Токен API с панели: ", PANEL_TOKEN)
    await screen.sees("Remnawave 3.3.2")
    await screen.sees("2. Premium")
    await screen.answers("Номера через запятую", "3", "2, 1")


async def set_up_payments(screen: Terminal) -> None:
    await screen.answers("номер магазина", SHOP_ID)
    await screen.answers("Секретный ключ", "test_wrong")
    await screen.sees("магазин и ключ не подходят друг к другу")
    await screen.answers(f"номер магазина (shopId) [{SHOP_ID}", "")
    await screen.answers("Секретный ключ: ", SECRET_KEY)
    await screen.sees("тестовый магазин 100500")
    await screen.answers("Передавать чеки", "да")
    await screen.answers("Ставка НДС, номер [1]", "13", "7")
    await screen.answers("Crypto Pay", "1:wrong", CRYPTOPAY_TOKEN)
    await screen.sees("приложение «2GETPRO sandbox»")
    await screen.answers("звёзды", "")
    await screen.sees("на счету бота 0")


async def set_up_shop(screen: Terminal, outside: Services, database_url: str) -> None:
    await screen.answers("Название", "Мой VPN #1")
    await screen.answers("Кто отвечает", "@olga")
    await screen.answers("Страница с условиями", f"{outside.urls['panel']}/")
    await screen.sees("отвечает (200)")
    await screen.answers("id операторов", "olga", str(OLGA))
    await screen.sees(f"Бот не знает {OLGA}")
    outside.telegram.people.send(outside.telegram.state.add_person(OLGA, "Ольга"), "/start")
    await screen.answers("проверить ещё раз", "1")
    await screen.sees("Операторы: Ольга.")
    await screen.answers("Номер группы", "-1")
    await screen.sees("chat not found")
    await screen.answers("проверить ещё раз", "2")
    await screen.answers("Номер группы", "-")
    await screen.sees("Отчёты хранятся")
    await screen.answers("Часовой пояс", "Mars/Olympus", "Asia/Omsk")
    await screen.answers("Запускать в Docker? [нет]", "")
    await screen.answers("Адрес PostgreSQL", "mysql://x", database_url)
    await screen.sees("PostgreSQL 18")
    await screen.sees("2getpro doctor")


@contextlib.asynccontextmanager
async def running(folder: Path, port: int) -> AsyncIterator[None]:
    """The shop from that folder's ``.env``, ready."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "getpro", "run"),
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE)},
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(60):
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"http://127.0.0.1:{port}/health/ready") as response:
                        assert (response.status, await response.json()) == (200, {"status": "ok"})
                        break
                assert process.returncode is None
                await asyncio.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


QUESTIONS = (
    *("Токен бота", "Адрес вида", "Адрес панели", "Токен API", "Номера через запятую", "номер магазина"),
    *("Секретный ключ", "Передавать чеки", "Ставка НДС", "Crypto Pay", "звёзды", "Название", "Кто отвечает"),
    *("Страница с условиями", "id операторов", "Номер группы", "Часовой пояс", "Docker?", "Адрес PostgreSQL"),
)


async def test_enter_all_the_way_keeps_what_was_set(outside: Services) -> None:
    outside.begin_complete()
    outside.env_file.chmod(0o644)
    former = outside.env_file.read_bytes()
    async with terminal("setup", cwd=outside.folder) as screen:
        for question in QUESTIONS:
            await screen.answers(question, "")
        assert await screen.ended() == 0
    for secret in SECRETS:
        assert secret not in screen.text
    kept = outside.folder / ".env.bak"
    assert kept.read_bytes() == former
    assert [path.stat().st_mode & 0o777 for path in (kept, outside.env_file)] == [0o600, 0o600]
    assert sorted(path.name for path in outside.folder.iterdir()) == [".env", ".env.bak"]
    written = outside.answers()
    assert (written["PANEL_SQUADS"], written["YOOKASSA_TIMEOUT_SECONDS"]) == ("Premium", "5")
    assert (written["STARS_ENABLED"], written["SHOP_SUPPORT"]) == ("false", "@olga  # до мая")
    assert (await doctor(outside.folder, "--json")).levels == {"shop": "attention"}


async def test_a_shop_in_docker_gets_the_passwords_of_its_stack_once(outside: Services) -> None:
    outside.begin_complete()
    first = await set_up_in_docker(outside, remembered="нет")
    assert all(len(first[name]) > 40 for name in STACK)
    assert len({first[name] for name in STACK}) == len(STACK)
    told = (outside.folder / "deploy/own/alertmanager/alertmanager.yml").read_text(encoding="utf-8")
    assert first["OPERATIONS_ALERTS_TOKEN"] in told
    assert await set_up_in_docker(outside, remembered="да") == first
    assert not first.get("DATABASE_URL")


async def set_up_in_docker(outside: Services, *, remembered: str) -> dict[str, str]:
    """The answers that the file holds then."""
    async with terminal("setup", cwd=outside.folder) as screen:
        for question in QUESTIONS[:-2]:
            await screen.answers(question, "")
        await screen.answers(f"Запускать в Docker? [{remembered}]", "да")
        await screen.sees("docker-compose exec bot 2getpro doctor")
        assert await screen.ended() == 0
    written = outside.answers()
    assert not any(written[name] in screen.text for name in STACK)
    return written


STACK = ("POSTGRES_PASSWORD", "GETPRO_DB_PASSWORD", "GRAFANA_PASSWORD", "OPERATIONS_ALERTS_TOKEN")


async def test_a_panel_that_is_away_may_stay_unchecked_and_a_provider_is_taken_out_whole(
    outside: Services,
) -> None:
    outside.begin_complete()
    outside.panel.faults.now.away = True
    async with terminal("setup", cwd=outside.folder) as screen:
        await screen.answers("Токен бота", "")
        await screen.answers("Адрес вида", "here", "http://127.0.0.1:9")
        await screen.sees("http://127.0.0.1:9 не отвечает")
        await screen.answers("проверить ещё раз", "3")
        await screen.sees("TRUSTED_PROXIES=127.0.0.1")
        await screen.answers("Адрес панели", "")
        await screen.answers("Токен API", "")
        await screen.sees("не отвечает: соединение закрыто без ответа")
        await screen.answers("проверить ещё раз", "да")
        await screen.sees("Ответьте 1, 2 или 3.")
        await screen.answers("проверить ещё раз", "1", "3")
        await screen.answers("номер магазина", "-")
        await screen.sees("Без ЮKassa.")
        for question in QUESTIONS[9:]:
            await screen.answers(question, "")
        await screen.sees("@CryptoBot: http://127.0.0.1:9/webhooks/cryptopay")
        assert await screen.ended() == 0
    outside.panel.faults.now.away = False
    text = outside.env_file.read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("YOOKASSA")] == [
        f"YOOKASSA_{name}=" for name in ("API_URL", "SHOP_ID", "SECRET_KEY", "TIMEOUT_SECONDS", "RECEIPTS")
    ]
    later = {"shop": "attention", "telegram.updates": "attention", "shop.public": "wrong"}
    assert (await doctor(outside.folder, "--json")).levels == later


async def test_what_was_wrong_is_said_at_once_and_never_offered_again(outside: Services) -> None:
    outside.begin_complete(PANEL_TOKEN="of-before")
    async with terminal("setup", cwd=outside.folder) as screen:
        await screen.answers("Токен бота", "")
        await screen.answers("Адрес вида", "")
        await screen.answers(f"Адрес панели [{outside.urls['panel']}]", PANEL_TOKEN)
        await screen.sees("Не подходит: нужен адрес вида https://shop.example.")
        await screen.answers(f"Адрес панели [{outside.urls['panel']}]", "")
        await screen.answers("Токен API с панели [••••••, Enter: оставить]", "")
        await screen.sees("панель не знает токена")
        await screen.answers("Токен API с панели: ", "")
        await screen.sees("Без этого магазин не запустится.")
        await screen.answers("Токен API с панели: ", PANEL_TOKEN)
        await screen.sees("Remnawave 3.3.2")
        assert await screen.leaves() == 130
    assert "of-before" not in screen.text


async def test_a_provider_that_was_begun_can_be_given_up(outside: Services) -> None:
    outside.begin_complete(YOOKASSA_SHOP_ID="", YOOKASSA_SECRET_KEY="")
    async with terminal("setup", cwd=outside.folder) as screen:
        for question in QUESTIONS[:5]:
            await screen.answers(question, "")
        await screen.answers("номер магазина", SHOP_ID)
        await screen.answers("Секретный ключ", "")
        await screen.sees("Нужны оба ответа; «-»: обойтись без обоих.")
        await screen.answers("Секретный ключ", "-")
        await screen.sees("Без ЮKassa.")
        await screen.sees("Crypto Pay")
        assert await screen.leaves() == 130


async def test_ctrl_c_and_the_end_of_input_leave_everything_as_it_was(outside: Services) -> None:
    outside.begin_complete()
    former = outside.env_file.read_bytes()
    for leave in (CTRL_C, CTRL_D):
        async with terminal("setup", cwd=outside.folder) as screen:
            await screen.answers("Токен бота", "")
            await screen.sees("Адрес вида")
            assert await screen.leaves(by=leave) == 130
            await screen.sees("Выхожу, ничего не записано.")
        assert "Traceback" not in screen.text
        assert [path.name for path in outside.folder.iterdir()] == [".env"]
        assert outside.env_file.read_bytes() == former


@pytest.mark.parametrize(("before", "testnet"), [("", "true"), ("CRYPTOPAY_TESTNET=true\n", "false")])
async def test_the_network_of_a_crypto_pay_token_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, testnet: str
) -> None:
    (tmp_path / ".env").write_text(f"{before}CRYPTOPAY_TOKEN={CRYPTOPAY_TOKEN}\n")
    talk = Interview(EnvFile.read(tmp_path / ".env"))
    knows, other = CryptoPaySimulator(CRYPTOPAY_TOKEN), CryptoPaySimulator("2:another")
    async with serving(knows.app) as this_url, serving(other.app) as other_url:
        names = ("TESTNET", "MAINNET") if testnet == "true" else ("MAINNET", "TESTNET")
        for name, url in zip(names, (this_url, other_url), strict=True):
            monkeypatch.setattr(client, name, url)
        found = await Steps(talk).cryptopay()
        assert (found.level, talk.changes) == (Level.OK, {"CRYPTOPAY_TESTNET": testnet})
        talk.put("CRYPTOPAY_TOKEN", "3:of-neither")
        assert (await Steps(talk).cryptopay()).level is Level.WRONG


async def test_without_a_keyboard_it_says_so_in_one_sentence(tmp_path: Path) -> None:
    done = await command(tmp_path, "setup")
    assert done.returncode == 2
    assert done.text.startswith("Ошибка: Настройка задаёт вопросы человеку.\nПричина: ")
    assert not (tmp_path / ".env").exists()


@pytest.mark.parametrize("value", ["a'b\\c", "две части # и решётка", 'с "кавычками"', " с краю ", "$HOME"])
def test_what_is_written_is_what_is_read(tmp_path: Path, value: str) -> None:
    file, link = tmp_path / "elsewhere", tmp_path / ".env"
    file.write_text("export A=1\n\nshop_name=x\n# конец", encoding="utf-8")
    link.symlink_to(file)
    EnvFile.read(link).changed({"SHOP_NAME": value}).write()
    assert link.is_symlink()
    assert EnvFile.read(file).values == {"A": "1", "SHOP_NAME": value}
    assert file.read_text(encoding="utf-8").startswith("export A=1\n\nSHOP_NAME=")


def test_settings_that_another_user_may_not_read_are_handed_over_or_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, **_: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    file = tmp_path / ".env"
    monkeypatch.setattr(Path, "read_text", refuse)
    monkeypatch.setattr(os, "geteuid", lambda: 1)
    for owner, remedy in ((0, f"sudo chown daemon {file}"), (2, "sudo -u bin")):
        told = os.stat_result((0o600, 0, 0, 1, owner, owner, 0, 0, 0, 0))
        monkeypatch.setattr(Path, "stat", lambda *_, told=told, **__: told)
        with pytest.raises(Trouble, match=r"Нет прав\.") as caught:
            EnvFile.read(file)
        assert remedy in caught.value.remedy


def test_a_folder_in_the_place_of_the_settings_is_called_one(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    with pytest.raises(Trouble, match="Это папка, а не файл") as caught:
        EnvFile.read(tmp_path / ".env")
    assert caught.value.remedy == f"Настройки лежат в файле: уберите папку {tmp_path / '.env'}."


def test_a_file_that_cannot_be_written_is_told_before_and_after(tmp_path: Path) -> None:
    file = EnvFile.read(tmp_path / "gone" / ".env")
    for tried in (file.require_writable, file.write):
        with pytest.raises(Trouble, match="не записать"):
            tried()


def test_a_value_that_the_file_would_change_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="SHOP_NAME не записать"):
        EnvFile.read(tmp_path / ".env").changed({"SHOP_NAME": "${HOME}"})
