"""Logs: one JSON object a line, to standard output and to rotating ``*.log`` files."""

import logging
import logging.handlers
import re
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import structlog

_KEPT_FILES = 7
_FILE_BYTES = 20 * 1024 * 1024
_SECRET_WORDS = ("token", "secret", "password", "authorization", "subscription_url", "key")
_WRITTEN_SECRETS = re.compile(r"(?<!\d)\d{6,}:[\w-]{30,}|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")
"""A bot's token, as in the addresses that are called; the user and password of a database's address."""
_PLAIN_KEYS = frozenset({"order_key", "key"})
"""Our own names of orders and notices, which open nothing."""


def configure(*, level: str = "INFO", directory: Path | None = None, name: str = "2getpro") -> None:
    """Send structlog and the standard library's loggers through one JSON pipeline.

    The level stands in capitals, so that ``grep ERROR`` finds what it looks for. With a ``directory``
    the same lines also go to ``<directory>/<name>.log``.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        _capital_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Without local variables: they hold links, addresses and bodies of requests.
        structlog.processors.ExceptionRenderer(
            structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        ),
        mask_secrets,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(allow=()), *shared],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(ensure_ascii=False),
            mask_written_secrets,
        ],
    )
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        handlers.append(
            logging.handlers.RotatingFileHandler(
                directory / f"{name}.log", maxBytes=_FILE_BYTES, backupCount=_KEPT_FILES, encoding="utf-8"
            )
        )
    root = logging.getLogger()
    root.handlers = handlers
    for handler in handlers:
        handler.setFormatter(formatter)
    root.setLevel(level.upper())
    # Their every request and every job would drown what an operator looks for.
    for noisy in ("aiogram.event", "procrastinate", "uvicorn.access", "alembic"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


def _capital_level(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["level"] = str(event.get("level", "info")).upper()
    return event


def mask_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the values of fields whose names speak of secrets: the last net, not the first."""
    for field in event:
        if field not in _PLAIN_KEYS and any(word in field.lower() for word in _SECRET_WORDS):
            event[field] = "***"
    return event


def mask_written_secrets(_: Any, __: str, line: Any) -> str:
    """Replace secrets that stand inside texts, such as the address in somebody else's error."""
    return _WRITTEN_SECRETS.sub("***", line)
