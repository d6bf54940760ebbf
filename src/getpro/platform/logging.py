"""Logs: one JSON object a line, to standard output and to rotating ``*.log`` files."""

import asyncio
import fcntl
import logging
import logging.handlers
import sys
import time
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, Final, TextIO

import structlog

from getpro.platform.scrubbing import scrub

log = structlog.get_logger(__name__)

KEPT_FILES: Final = 7
"""Of each process beside the one that it writes: when there are so many, the oldest goes."""
_FILE_BYTES = 20 * 1024 * 1024
_ALIVE_EVERY_SECONDS: Final = 15 * 60
_LOOKS_AT_CLOCK_SECONDS: Final = 1
"""A machine that slept tells of itself at once; sleeping, nobody's seconds have passed."""


def configure(*, level: str = "INFO", directory: Path | None = None, name: str = "2getpro") -> None:
    """Send structlog and the standard library's loggers through one JSON pipeline.

    The level stands in capitals, so that ``grep ERROR`` finds what it looks for. With a ``directory``
    the same lines also go to ``<directory>/<name>.log``, or ``<name>-2.log`` while another process of
    that name writes there.
    """
    merge = structlog.contextvars.merge_contextvars
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        _capital_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[merge, _leave_out, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(allow=()), merge, *shared],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            # Without local variables: they hold links, addresses and bodies of requests.
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            ),
            _scrubbed,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        handlers.append(_OwnFile(directory, name))
    root = logging.getLogger()
    root.handlers = handlers
    for handler in handlers:
        handler.setFormatter(formatter)
    root.setLevel(level.upper())
    # Their every request and every job would drown what an operator looks for.
    for noisy in ("aiogram.event", "procrastinate", "uvicorn.access", "alembic", "botocore"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    logging.getLogger("procrastinate.worker").addFilter(_is_news)
    logging.getLogger(__name__).setLevel(logging.INFO)  # that a log is written at all stands in any


class _OwnFile(logging.handlers.RotatingFileHandler):
    """The first file of that name that no other process writes: rotating one, they would lose lines."""

    def __init__(self, directory: Path, name: str) -> None:
        self._lock, name = _claimed(directory, name)
        super().__init__(
            directory / f"{name}.log", maxBytes=_FILE_BYTES, backupCount=KEPT_FILES, encoding="utf-8"
        )

    def close(self) -> None:
        super().close()
        self._lock.close()


def _claimed(directory: Path, name: str) -> tuple[TextIO, str]:
    """A lock that lasts as long as its process, and the name that goes with it; raises OSError.

    Beside the log, for the log itself is renamed as it rotates; hidden, for it is no log.
    """
    own, number = name, 1
    while True:
        lock = _lock_of(directory, own).open("a", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            number += 1
            own = f"{name}-{number}"
        except OSError:  # a file system that knows no locks: as if there were no other process
            return lock, own
        else:
            return lock, own


def is_written(log: Path) -> bool:
    """Whether a process has this file for its log, as far as its file system knows locks."""
    try:
        with _lock_of(log.parent, log.stem).open(encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def _lock_of(directory: Path, name: str) -> Path:
    return directory / f".{name}.lock"


async def show_life() -> None:
    """A line now and then, whatever the level, so that a quiet process is not a log that nobody writes."""
    told = time.time()
    while True:
        await asyncio.sleep(_LOOKS_AT_CLOCK_SECONDS)
        if abs(time.time() - told) >= _ALIVE_EVERY_SECONDS:
            log.info("log.still_written")
            told = time.time()


def _is_news(record: logging.LogRecord) -> bool:
    """How a job failed is told by ourselves, with its ids, and is no error where it was expected."""
    return getattr(record, "action", None) != "job_error"


def _leave_out(_: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Of a synthetic purchase only trouble is told: twice a minute it would drown what customers do."""
    if event.get("synthetic") and method in {"debug", "info"}:
        raise structlog.DropEvent
    return event


def _capital_level(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["level"] = str(event.get("level", "info")).upper()
    return event


def _scrubbed(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    cleaned: dict[str, Any] = scrub(event)
    return cleaned


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What a line says, as its logger gave it: the event, its fields, and what was bound at the door."""
    if isinstance(record.msg, dict):  # structlog's
        return dict(record.msg)
    return structlog.contextvars.get_contextvars() | {"event": record.name}


def error_of(record: logging.LogRecord) -> BaseException | None:
    """The exception that a line was written about; asked for while it is being written."""
    given = (record.msg.get("exc_info") if isinstance(record.msg, dict) else None) or record.exc_info
    if given is True:
        return sys.exc_info()[1]
    return given[1] if isinstance(given, tuple) else given or None
