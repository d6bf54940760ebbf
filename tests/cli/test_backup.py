"""``2getpro backup`` as an operator types it."""

import asyncio
import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from folders import open_up
from getpro import cli
from getpro.bootstrap import backups as bootstrap


@dataclass
class Done:
    code: int
    said: str
    complained: str


async def backup(*arguments: str) -> Done:
    stdout, stderr = io.StringIO(), io.StringIO()

    def run() -> int:
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            return cli.execute(["backup", *arguments])

    code = await asyncio.to_thread(run)
    return Done(code, stdout.getvalue(), stderr.getvalue())


@pytest.fixture
def folder(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    open_up(tmp_path)
    found = {
        "DATABASE_URL": database_url,
        "TELEGRAM_BOT_TOKEN": "42:TEST",
        "PANEL_URL": "http://127.0.0.1:9",
        "PANEL_TOKEN": "t",
        "GETPRO_DATA_DIR": str(tmp_path),
    }
    (tmp_path / ".env").write_text("\n".join(f"{name}={value}" for name, value in found.items()))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bootstrap, "sell_once", lambda _: None)
    return tmp_path


async def test_a_copy_is_made_shown_tried_and_kept(folder: Path) -> None:
    assert "Ещё ни одной" in (await backup("list")).said
    made = await backup("create")
    assert (made.code, made.complained) == (0, "")
    assert "Сделана: 2getpro-" in made.said
    tried = await backup("verify")
    assert tried.code == 0, tried
    assert tried.said.rstrip().endswith("годится")
    assert "✓" in (await backup("list")).said
    [found] = json.loads((await backup("list", "--json")).said)
    assert (found["state"], found["is_good"]) == ("made", True)
    assert (await backup("prune")).said == "Удалять нечего.\n"
    assert (await backup("key")).said.startswith("AGE-SECRET-KEY-")
    assert (folder / "backups/latest.sql.gz").exists()


async def test_a_copy_that_is_no_good_is_2_and_says_why(folder: Path) -> None:
    await backup("create")
    [closed] = (folder / "backups").glob("*.age")
    closed.write_bytes(closed.read_bytes()[:-1])
    tried = await backup("verify")
    assert (tried.code, "НЕ ГОДИТСЯ" in tried.said) == (2, True)
    said = json.loads((await backup("verify", "--json")).said)
    assert (said["is_good"], "не те байты" in said["trouble"]) == (False, True)


async def test_what_cannot_be_done_is_said_in_a_sentence_and_nothing_is_lost(folder: Path) -> None:
    done = await backup("verify", "no-such")
    assert (done.code, "копии no-such нет" in done.complained) == (2, True)
    await backup("create")
    (folder / "backup.key").write_text("rubbish")
    broken = await backup("create")
    assert (broken.code, "Ключ копий испорчен" in broken.complained) == (2, True)
