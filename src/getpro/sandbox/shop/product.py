"""The product as the sandbox runs it: the real one, with settings from a file and a way to die on cue.

``python -m getpro.sandbox.shop.product SETTINGS.json [--crash-at POINT] [--trace FILE]`` reads neither
``.env`` nor the environment. ``--crash-at`` kills the process with SIGKILL when it reaches that point;
``--trace`` writes the name of every point it passes. How each job ended is written into ``jobs.jsonl``
beside the settings.
"""

import argparse
import json
import os
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Final

import uvloop
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from getpro.checks.check import Line
from getpro.kit import crashpoints
from getpro.platform import logging
from getpro.platform.settings import Settings
from getpro.running import run_shop
from getpro.sandbox.shop.joblines import JOBS_FILE, write_down

_LOOKED_AT: Final = frozenset({"money", "logs", "database", "capacity"})
"""What the routines look at here, by the first words of their checks' names. The machine, its backups and
certificates are whoever's the computer is; a Prometheus and the outside there is none."""


class SandboxSettings(Settings):
    """The product's settings from what is handed over, and from nowhere else."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 -- pydantic's signature, here and below
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("settings", type=Path)
    parser.add_argument("--crash-at")
    parser.add_argument("--trace", type=Path)
    parser.add_argument("--parent", type=int, default=os.getppid(), help="ends with that process")
    chosen = parser.parse_args()
    values = json.loads(chosen.settings.read_text(encoding="utf-8"))
    settings = SandboxSettings(**values)
    logging.configure(level=settings.log_level, directory=settings.log_dir)
    jobs_file = chosen.settings.with_name(JOBS_FILE)
    _listen(chosen.crash_at, chosen.trace)
    threading.Thread(target=_end_with_the_sandbox, args=(chosen.parent,), daemon=True).start()
    assert settings.database_url is not None
    uvloop.run(
        run_shop(
            settings,
            database_url=settings.database_url.get_secret_value(),
            web=True,
            worker=True,
            hear_job=partial(write_down, jobs_file),
            absent=_absent,
        )
    )
    sys.stdout.flush()
    os._exit(0)  # nothing is left to do, but taking the imported modules apart would last two seconds


def _absent(line: Line) -> str | None:
    return None if line.name.partition(".")[0] in _LOOKED_AT else "нет в песочнице"


def _end_with_the_sandbox(parent: int) -> None:
    """A sandbox that was killed stops nobody: its shop notices that it is an orphan and ends."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)


def _listen(crash_at: str | None, trace: Path | None) -> None:
    if trace is not None:
        crashpoints.listen(lambda name: _note(trace, name))
    elif crash_at is not None:
        crashpoints.listen(lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == crash_at else None)


def _note(trace: Path, name: str) -> None:
    with trace.open("a", encoding="utf-8") as file:
        file.write(f"{name}\n")


if __name__ == "__main__":
    main()
