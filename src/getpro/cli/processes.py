"""What ``run``, ``web`` and ``worker`` share: settings, log, database, the event loop."""

import asyncio
import gc
import socket
import sys

import structlog
import uvloop

from getpro.checks.web import no_place
from getpro.cli.database import database, keeper_of_database
from getpro.cli.settings import read_settings
from getpro.kit.trouble import Trouble, system_words
from getpro.platform import errors, logging
from getpro.platform.settings import Settings

log = structlog.get_logger(__name__)


def require_free(host: str, port: int) -> None:
    """Told before the seconds that the shop takes to load; raises Trouble."""
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, number) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as error:
        raise asyncio.run(no_place(host, port, error)) from error


def start(*, web: bool, worker: bool, migrate: bool) -> None:
    """Run the shop's process until it is told to stop; raises Trouble for settings that cannot be used."""
    settings = read_settings(Settings)
    if web:
        require_free(settings.listen_host, settings.listen_port)
    name = "web" if not worker else "worker" if not web else "2getpro"
    try:
        logging.configure(level=settings.log_level, directory=settings.log_dir, name=name)
    except OSError as error:
        why = f"{settings.log_dir}: {system_words(error)}"
        raise Trouble("Журнал некуда писать.", why, "Укажите другую GETPRO_LOG_DIR.") from error
    if sys.stderr.isatty():
        sys.stderr.write("Запускаю магазин…\n")
    with errors.reported(settings.sentry):
        try:
            _run(settings, web=web, worker=worker, migrate=migrate)
        except Trouble:
            raise
        except Exception:
            log.exception("shop.failed")
            raise


def _run(settings: Settings, *, web: bool, worker: bool, migrate: bool) -> None:
    with database(migrate=migrate) as url:
        gc.disable()  # what is imported stays: looking through it for garbage costs a fifth of the time
        from getpro.running import run_shop  # noqa: PLC0415 -- seconds; what is wrong is told before

        gc.freeze()
        gc.set_threshold(20_000, 20, 20)  # what a customer brings is gone before it is looked for
        gc.enable()
        keep = keeper_of_database()
        uvloop.run(run_shop(settings, database_url=url, web=web, worker=worker, keep_database=keep))
