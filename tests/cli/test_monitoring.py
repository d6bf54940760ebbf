"""``2getpro monitoring``, as an operator types it."""

from pathlib import Path

import pytest

from getpro import cli
from getpro.operations import monitoring

NEEDED = {"TELEGRAM_BOT_TOKEN": "42:TEST", "PANEL_URL": "https://panel.example", "PANEL_TOKEN": "t"}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.chdir(tmp_path)
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_what_is_written_and_who_will_be_told_is_said_and_no_secret(
    machine: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.setenv("OPERATIONS_CHAT", "-1001")
    machine.setenv("OPERATIONS_ALERTS_TOKEN", "token-of-alerts")
    assert cli.execute(["monitoring"]) == 0
    said = capsys.readouterr().out
    assert "Записано: deploy/own/alertmanager/alertmanager.yml" in said
    assert "Alertmanager скажет: магазину, а он — чату операторов, в Telegram мимо магазина\n" in said
    assert "Не настроено: на почту, внешней службе\n" in said
    assert "token-of-alerts" not in said
    written = (tmp_path / "deploy/own" / monitoring.ALERTMANAGER).read_text(encoding="utf-8")
    assert "token-of-alerts" in written
    assert "http://bot:8080/webhooks/alertmanager" in written


def test_a_shop_that_tells_nobody_is_told_so(
    machine: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.execute(["monitoring"]) == 1
    assert "Alertmanager скажет: никому\n" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_one_sentence(
    machine: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("")
    assert cli.execute(["monitoring", "--folder", "taken"]) == 2
    assert "Настройки присмотра не записать.\nПричина: taken: " in capsys.readouterr().err
