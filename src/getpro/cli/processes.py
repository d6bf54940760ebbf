"""What ``run``, ``web`` and ``worker`` share: settings, log, database, the event loop."""

import uvloop
from pydantic import ValidationError

from getpro.cli.database import database
from getpro.kit.trouble import Trouble
from getpro.platform import logging
from getpro.platform.settings import Settings
from getpro.running import run_shop


def start(*, web: bool, worker: bool, migrate: bool) -> None:
    """Run the shop's process until it is told to stop; raises Trouble for settings that cannot be used."""
    settings = read_settings()
    name = "web" if not worker else "worker" if not web else "2getpro"
    logging.configure(level=settings.log_level, directory=settings.log_dir, name=name)
    with database(migrate=migrate) as url:
        uvloop.run(run_shop(settings, database_url=url, web=web, worker=worker))


def read_settings() -> Settings:
    """The settings of the environment and ``.env``; raises Trouble that names every wrong one."""
    try:
        return Settings()  # type: ignore[call-arg] # read from the environment
    except ValidationError as error:
        wrong = [
            f"{'_'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}"
            for problem in error.errors()
        ]
        raise Trouble(
            "Настройки не подходят.", "; ".join(wrong), "Исправьте их в .env или в окружении."
        ) from None
