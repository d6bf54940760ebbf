"""Commands as an operator types them, of a shop whose Telegram and mail server are the test's."""

import asyncio
import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

import pytest

from duty import TOKEN, Watch
from getpro import cli


@dataclass
class Done:
    code: int
    said: str
    complained: str


async def typed(*arguments: str) -> Done:
    stdout, stderr = io.StringIO(), io.StringIO()

    def execute() -> int:
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            return cli.execute(list(arguments))

    return Done(await asyncio.to_thread(execute), stdout.getvalue(), stderr.getvalue())


@pytest.fixture(autouse=True)
def settings(watch: Watch, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written where the commands look for them."""
    found = {
        "DATABASE_URL": database_url,
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_API_URL": watch.telegram_url,
        "PANEL_URL": "http://127.0.0.1:9",
        "PANEL_TOKEN": "panel-token",
        "OPERATIONS_CHAT": "-1001",
        "OPERATIONS_MAIL_SERVER": f"smtp://127.0.0.1:{watch.mail_port}",
        "OPERATIONS_MAIL_TO": "shop@shop.example",
        "OPERATIONS_NIGHT_UNTIL": "23",
    }
    (tmp_path / ".env").write_text("\n".join(f"{name}={value}" for name, value in found.items()))
    monkeypatch.chdir(tmp_path)
