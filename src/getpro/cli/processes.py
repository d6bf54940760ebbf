"""What ``run``, ``web`` and ``worker`` share: settings, log, database, the event loop."""

import gc

import uvloop

from getpro.cli.database import database, keeper_of_database
from getpro.cli.settings import read_settings
from getpro.platform import logging
from getpro.platform.settings import Settings


def start(*, web: bool, worker: bool, migrate: bool) -> None:
    """Run the shop's process until it is told to stop; raises Trouble for settings that cannot be used."""
    settings = read_settings(Settings)
    name = "web" if not worker else "worker" if not web else "2getpro"
    logging.configure(level=settings.log_level, directory=settings.log_dir, name=name)
    with database(migrate=migrate) as url:
        gc.disable()  # what is imported stays: looking through it for garbage costs a fifth of the time
        from getpro.running import run_shop  # noqa: PLC0415 -- seconds; what is wrong is told before

        gc.freeze()
        gc.enable()
        keep = keeper_of_database()
        uvloop.run(run_shop(settings, database_url=url, web=web, worker=worker, keep_database=keep))
