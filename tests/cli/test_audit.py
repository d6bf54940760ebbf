"""``2getpro ops audit`` and ``secrets`` as an operator types them."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from cli_typed import settings, typed
from duty import Watch, staffed, watch
from getpro.checks.check import Check
from getpro.kit.clock import utc_now
from getpro.operations import routines
from getpro.operations.audits import month_of
from getpro.operations.deps import Deps
from getpro.platform import cipher
from getpro.platform.settings import DatabaseSettings

__all__ = ["settings", "staffed", "watch"]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what asks the network."""
    checks = routines._audit

    def fewer(deps: Deps, now: datetime) -> list[Check]:
        return [
            one for one in checks(deps, now) if not one.line.name.startswith(("dependencies", "security"))
        ]

    own = routines.ROUTINES["audit"]
    monkeypatch.setitem(routines.ROUTINES, "audit", replace(own, checks=fewer))


@pytest.mark.usefixtures("quick")
async def test_an_audit_is_made_read_signed_and_its_findings_accepted(staffed: Watch, tmp_path: Path) -> None:
    empty = await typed("ops", "audit", "show")
    assert (empty.code, "Аудита тогда не было" in empty.complained) == (2, True)
    paper = tmp_path / "audit.pdf"
    found = await typed("ops", "audit", "--out", str(paper))
    assert found.code == 2, found
    assert paper.read_bytes().startswith(b"%PDF")
    for title in ("Кто действовал", "Пароли и ключи: сроки", "Роли базы", "Журнал решений"):
        assert title in found.said
    assert found.said.count("не используется") == 4
    shown = await typed("ops", "audit", "show")
    assert shown.said.startswith("# Аудит безопасности: ")
    assert "Не подписано" in shown.said
    name = next(line for line in shown.said.splitlines() if "`rights.mode." in line).split("`")[1]
    assert name.endswith("/.env") or name == "rights.mode..env"
    stranger = await typed("ops", "audit", "--sign", "--by", "root")
    assert (stranger.code, "olga, timur, dima" in stranger.complained) == (2, True)
    done = await typed("ops", "audit", "--sign", "--by", "olga")
    assert (done.code, done.said.startswith("Подписано: ")) == (0, True), done
    assert "Прочитал и подписал: olga" in (await typed("ops", "audit", "show")).said
    until = f"{utc_now().year + 1}-01-01"
    accepting = ("accept", name, "--until", until, "--reason", "в контейнере иначе нельзя", "--by", "olga")
    done = await typed("ops", "audit", *accepting)
    assert (done.code, done.said.startswith("Принято до 01.01.")) == (0, True), done
    again = json.loads((await typed("ops", "audit", "--json")).said)
    [accepted] = [one for one in again["findings"] if one["name"] == name]
    assert (accepted["level"], "olga: в контейнере" in accepted["seen"]) == ("absent", True)
    done = await typed("ops", "audit", "withdraw", name, "--reason", "исправили", "--by", "olga")
    assert (done.code, done.said) == (0, f"Больше не принято: {name}\n")
    month = month_of(utc_now(), DatabaseSettings().zone)
    assert (await typed("ops", "audit", "show", "--month", f"{month:%Y-%m}")).code == 0
    assert "audit.sign" not in (await typed("ops", "history", "audit")).said


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("ops", "audit", "--out", "x.doc"), 64, ".md или .pdf"),
        (("ops", "audit", "show", "--month", "ноябрь"), 64, "2026-10"),
        (("ops", "audit", "--sign", "--by", "olga"), 2, "ещё не было"),
        (("ops", "audit", "accept", "x", "--until", "2099-01-01", "--reason", "x"), 2, "до года"),
        (("ops", "audit", "accept", "x", "--until", "завтра", "--reason", "x"), 2, "не прочесть"),
        (("ops", "audit", "withdraw", "x", "--reason", "x"), 2, "никто не принимал"),
        (("secrets", "rotate", "МОЙ_ПАРОЛЬ"), 64, "такого секрета нет"),
        (("secrets", "rotate", "PANEL_TOKEN"), 2, "docs/operations/audit.md#токен-панели"),
        (("secrets", "rotate", "TELEGRAM_WEBHOOK_SECRET"), 2, "В .env его нет"),
        (("secrets", "rotate", "database.key"), 2, "DATABASE_KEYS"),
    ],
)
@pytest.mark.usefixtures("staffed")
async def test_what_cannot_be_done_is_said(arguments: tuple[str, ...], code: int, complaint: str) -> None:
    done = await typed(*arguments)
    assert (done.code, complaint.lower() in done.complained.lower()) == (code, True), done


async def test_secrets_are_listed_without_one_of_them_shown() -> None:
    listed = await typed("secrets", "list")
    assert listed.code == 0, listed
    assert "Токен бота" in listed.said
    assert "panel-token" not in listed.said
    plain = json.loads((await typed("secrets", "list", "--json")).said)
    names = {one["name"] for one in plain}
    assert {"TELEGRAM_BOT_TOKEN", "PANEL_TOKEN", "DATABASE_URL", "DATABASE_KEYS"} <= names
    assert "panel-token" not in json.dumps(plain)


async def test_a_secret_of_the_shops_own_gets_a_new_value(
    watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".env"
    with file.open("a", encoding="utf-8") as settings:
        settings.write("\nOPERATIONS_ALERTS_TOKEN=before\n")
    done = await typed("secrets", "rotate", "OPERATIONS_ALERTS_TOKEN", "--by", "olga")
    assert (done.code, "./2getpro monitoring" in done.said) == (0, True), done
    assert "ALERTS_TOKEN=before" not in file.read_text()
    monkeypatch.delenv("DATABASE_KEYS")
    monkeypatch.setenv("GETPRO_DATA_DIR", str(tmp_path))
    own = DatabaseSettings()
    cipher.make_key(own)
    before = cipher.database_keys(own)
    done = await typed("secrets", "rotate", "database.key", "--by", "olga")
    assert (done.code, "Закрыто новым ключом: 0" in done.said) == (0, True), done
    assert cipher.database_keys(own)[1:] == before
    rows = await watch.rows("SELECT actor, action, subject FROM audit_log ORDER BY audit_id")
    assert rows == [
        ("olga", "secrets.rotate", "OPERATIONS_ALERTS_TOKEN"),
        ("olga", "secrets.rotate", "database.key"),
    ]
