"""Deployments and changed settings, found when a process starts: names, and never values."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from getpro import __version__
from getpro.platform import changes
from getpro.platform.changes import ChangeKind, Running, fingerprints, note_start, program, told
from getpro.platform.database import Database
from getpro.platform.settings import Settings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = "AGE-SECRET-KEY-1" + "Q" * 58
TOKEN = "42:bot-token-of-a-test"
PASSWORD = "pa55word"


def settings(**values: Any) -> Settings:
    given = {
        "telegram": {"bot_token": TOKEN},
        "panel": {"url": "https://panel.example", "token": "panel-token"},
        "database_url": f"postgresql://shop:{PASSWORD}@db/shop",
        "_env_file": None,
    } | values
    return Settings(**given)


def running(*, process: str = "web", program: str = "1 (a)", key: str = KEY, **values: Any) -> Running:
    return Running(process, program, fingerprints(settings(**values), key))


CASES: dict[str, tuple[Running | None, Running, ChangeKind, str]] = {
    "first": (None, running(), ChangeKind.FIRST, "Первый запуск: web, версия 1 (a)"),
    "the same": (running(), running(), ChangeKind.RESTARTED, "Перезапущен: web, версия 1 (a)"),
    "another program": (
        running(),
        running(program="1 (b)"),
        ChangeKind.DEPLOYED,
        "Новая версия: web, 1 (a) → 1 (b)",
    ),
    "another token, and a name": (
        running(),
        running(telegram={"bot_token": "43:another"}, shop={"name": "Лавка"}),
        ChangeKind.SETTINGS,
        "Перезапущен: web, настройки изменены: SHOP_NAME, TELEGRAM_BOT_TOKEN",
    ),
    "both": (
        running(shop={"name": "Лавка"}),
        running(program="2 (c)"),
        ChangeKind.DEPLOYED,
        "Новая версия: web, 1 (a) → 2 (c); настройки изменены: SHOP_NAME",
    ),
    "another key": (
        running(),
        running(key=KEY.replace("Q", "P"), shop={"name": "Лавка"}),
        ChangeKind.SETTINGS,
        "Перезапущен: web, настройки изменены: SHOP_NAME, DATABASE_KEYS",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_not_as_before_is_named(name: str) -> None:
    known, now, kind, words = CASES[name]
    assert told(known, now) == (kind, words)


def test_no_value_can_be_read_and_the_same_one_is_known_again() -> None:
    kept = json.dumps(fingerprints(settings(log_level="ERROR"), KEY))
    assert not any(secret in kept for secret in (TOKEN, PASSWORD, "panel-token", KEY, "ERROR"))
    assert fingerprints(settings(), KEY) == fingerprints(settings(), KEY), (
        "what is made up each time is not set"
    )
    assert "GETPRO_LOG_LEVEL" in fingerprints(Settings(**_required(GETPRO_LOG_LEVEL="ERROR")), KEY)
    assert fingerprints(settings(), KEY)["PANEL_URL"] != fingerprints(settings(), KEY + "A")["PANEL_URL"]


def _required(**more: Any) -> dict[str, Any]:
    least = {"telegram": {"bot_token": TOKEN}, "panel": {"url": "http://p", "token": "t"}}
    return {**least, "_env_file": None, **more}


def test_the_program_has_a_name_of_its_own() -> None:
    assert program() == program()
    assert program().startswith(f"{__version__} (")


async def test_starts_are_noted_by_process_and_a_loop_of_them_is_not(db: Database) -> None:
    async with db.begin("test") as session:
        for minute, process, program in (
            (0, "web", "1"),
            (0, "worker", "1"),
            (1, "web", "1"),
            (2, "web", "1"),
            (6, "web", "1"),
            (7, "worker", "2"),
            (8, "web", "2"),
        ):
            began = running(process=process, program=program)
            await note_start(session, began, now=NOW + timedelta(minutes=minute))
        found = await changes.between(session, NOW, NOW + timedelta(hours=1))
    assert [one.words for one in found] == [
        "Первый запуск: web, версия 1",
        "Первый запуск: worker, версия 1",
        "Перезапущен: web, версия 1",
        "Новая версия: worker, 1 → 2",
        "Новая версия: web, 1 → 2",
    ]
