"""Settings as they stand in the environment."""

import pytest
from pydantic import ValidationError

from getpro.platform.settings import Settings

NEEDED = {"TELEGRAM_BOT_TOKEN": "42:TEST", "PANEL_URL": "https://panel.example", "PANEL_TOKEN": "t"}


@pytest.fixture
def environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> pytest.MonkeyPatch:
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def read() -> Settings:
    return Settings()  # type: ignore[call-arg]


def test_a_blank_setting_is_none_at_all(environment: pytest.MonkeyPatch) -> None:
    for name in ("TELEGRAM_WEBHOOK_SECRET", "PANEL_WEBHOOK_SECRET", "PANEL_SQUADS", "YOOKASSA_SHOP_ID"):
        environment.setenv(name, "")
    settings = read()
    assert len(settings.telegram.webhook_secret.get_secret_value()) >= 32
    assert (settings.panel.webhook_secret, settings.yookassa) == (None, None)
    assert settings.panel.squads == ["Default-Squad"]


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_a_blank_setting_that_is_needed_is_missing(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.setenv(name, "")
    with pytest.raises(ValidationError, match="missing"):
        read()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TELEGRAM_WEBHOOK_SECRET", "с пробелом"),
        ("TELEGRAM_WEBHOOK_SECRET", "x" * 257),
        ("PANEL_SQUADS", " , "),
        ("PANEL_TIMEOUT_SECONDS", "16"),
    ],
)
def test_a_setting_that_could_open_or_hang_something_is_refused(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    environment.setenv(name, value)
    with pytest.raises(ValidationError, match=name.partition("_")[2].lower()):
        read()


def test_a_secret_is_not_shown(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DATABASE_URL", "postgresql://a:geheim@db/x")
    assert "geheim" not in repr(read())
