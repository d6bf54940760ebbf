"""What the product writes into its log, while a test asks it to."""

import contextlib
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from getpro.platform import logging as our_logging


@dataclass(frozen=True)
class Written:
    """The log of a test, in ``directory``."""

    directory: Path

    @property
    def text(self) -> str:
        return (self.directory / "shop.log").read_text(encoding="utf-8")

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def told(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]


@contextlib.contextmanager
def logging_into(directory: Path, *, level: str = "INFO", name: str = "shop") -> Iterator[Written]:
    """Log as the product does while the block runs; the loggers of the other tests are put back after."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, root_level = root.handlers, root.level
    our_logging.configure(level=level, directory=directory, name=name)
    # A logger of the product that is kept now would write here in all later tests.
    structlog.configure(**structlog.get_config() | {"cache_logger_on_first_use": False})
    try:
        yield Written(directory)
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers, root.level = handlers, root_level
        structlog.configure(**before)
