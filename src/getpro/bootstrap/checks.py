"""What ``2getpro doctor`` looks at, built from whatever of the settings can be read."""

import contextlib
import functools
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

from getpro.backups.check import BUCKET, KEY, look_at_bucket, look_at_key
from getpro.bootstrap.backups import bucket, folder, lost_beside_copies
from getpro.checks import database, machine, panel, settings, telegram, web
from getpro.checks import providers as paying
from getpro.checks.check import CALL_SECONDS, Check
from getpro.panel.client import PanelClient
from getpro.payments import providers
from getpro.payments.providers.stars.http import StarsOverHttp
from getpro.platform.bot_api import BotApi
from getpro.platform.postgres import default_directory
from getpro.platform.settings import (
    TELEGRAM_PATH,
    PanelSettings,
    ReadableSettings,
)
from getpro.platform.wrong_settings import Wrong


@contextlib.asynccontextmanager
async def checks(
    read: ReadableSettings, wrong: Iterable[Wrong], *, names: Iterable[str], env_file: Path
) -> AsyncIterator[list[Check]]:
    """Everything that is looked at; a group of settings that cannot be read is told of by its own line.

    ``names`` are all names of the environment and of ``env_file``.
    """
    async with contextlib.AsyncExitStack() as running:
        yield [
            Check(settings.LINE, lambda: settings.look(read, wrong, names)),
            Check(settings.FILE, lambda: settings.look_at_file(env_file)),
            _database(read),
            Check(web.SHOP, lambda: web.look(read.listen_host, read.listen_port, read.public_url)),
            *_outside(read, running),
            *_copies(read),
            Check(machine.DISK, lambda: machine.look_at_disks(_folders(read))),
        ]


def _database(read: ReadableSettings) -> Check:
    url, lost = read.database_url, functools.partial(lost_beside_copies, read)
    if url is None:
        own = _data(read) / "postgres"
        return Check(database.DATABASE, lambda: database.look_at_own(own, read.time_zone, lost=lost))
    return Check(database.DATABASE, lambda: database.look(url.get_secret_value(), read.time_zone, lost=lost))


def _outside(read: ReadableSettings, running: contextlib.AsyncExitStack) -> Iterator[Check]:
    """Telegram, the providers, the panel; their connections are given back with ``running``."""
    stars = None
    if (group := read.telegram) is not None:
        api = BotApi(group, timeout_seconds=CALL_SECONDS)
        running.push_async_callback(api.close)
        webhook = None if read.public_url is None else read.public_url + TELEGRAM_PATH
        yield Check(telegram.TOKEN, lambda: telegram.look(api, group, webhook))
        yield Check(telegram.CHAT, lambda: telegram.look_at_chat(api, read.operations.chat))
        yield Check(machine.CLOCK, lambda: machine.look_at_clock(group.api_url, group.proxy))
        stars = StarsOverHttp(api)
    hurried = providers.hurried(read, seconds=CALL_SECONDS)
    for provider in providers.build(hurried, providers.Outside(telegram=stars)).active:
        running.push_async_callback(provider.close)
        yield Check(paying.line(provider), functools.partial(paying.look, provider))
    if (behind := read.panel) is not None:
        client = PanelClient(_hurried(behind), read.shop, owner="doctor")
        running.push_async_callback(client.close)
        yield Check(panel.PANEL, lambda: panel.look(client, behind))


def _copies(read: ReadableSettings) -> Iterator[Check]:
    """The key of the copies that we make, and where they go off this machine, if they do."""
    if read.backup.enabled:
        yield Check(KEY, lambda: look_at_key(_data(read), folder(read)))
    found = bucket(read.backup, attempts=1, timeout_seconds=CALL_SECONDS)
    if found is not None:
        yield Check(BUCKET, functools.partial(look_at_bucket, found))


def _hurried(group: PanelSettings) -> PanelSettings:
    """The same, with no more patience than a check has."""
    return group.model_copy(update={"timeout_seconds": min(group.timeout_seconds, CALL_SECONDS)})


def _folders(read: ReadableSettings) -> dict[str, Path]:
    """What is written to on this machine, by purpose."""
    own = _data(read) if read.database_url is None else read.data_dir
    found = {"data": own, "logs": read.log_dir}
    return {purpose: folder for purpose, folder in found.items() if folder is not None}


def _data(read: ReadableSettings) -> Path:
    return read.data_dir or default_directory()
