"""The stack of docker-compose.yml, really up: built once for the tests of this folder."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from containers import HERE, SERVICES, Engine, Stack, lay_out
from getpro.cli import stack as stack_settings
from seed import SEED


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("stack")
    project, backups = directory / "2getpro", directory / "backups"
    project.mkdir()
    backups.mkdir()
    lay_out(project)
    settings = {
        "TELEGRAM_BOT_TOKEN": "42:TEST",
        # Nobody is there: what the lines ask about is the database, the processes and their logs.
        "TELEGRAM_API_URL": "http://127.0.0.1:1",
        "PANEL_URL": "http://127.0.0.1:1",
        "PANEL_TOKEN": "panel-token",
        "YOOKASSA_SHOP_ID": "1",
        "YOOKASSA_SECRET_KEY": "test_key",
        "OPERATIONS_CHAT": "-1001",
    } | stack_settings.settings(lambda _: "")
    (project / ".env").write_text("".join(f"{n}={v}\n" for n, v in settings.items()), encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(project / "src")}
    monitoring = [sys.executable, "-m", "getpro", "monitoring"]
    subprocess.run(monitoring, cwd=project, env=environment, check=True, stdout=subprocess.DEVNULL)
    engine = Engine(directory)
    with contextlib.ExitStack() as cleaned:
        is_free = not HERE.exists() or not any(HERE.iterdir())
        assert is_free, f"{HERE} of this machine holds copies: run these tests on another"
        HERE.mkdir(exist_ok=True)
        cleaned.callback(shutil.rmtree, HERE)
        os.chown(HERE, 10001, -1)  # as the page of deployment has it
        cleaned.enter_context(engine.running())
        engine.make_images(project)
        running = Stack(engine, project, backups)
        cleaned.enter_context(running.up(*SERVICES))
        running.wait_until_ready()
        running.sql(SEED)
        yield running
    shutil.rmtree(directory, ignore_errors=True)
