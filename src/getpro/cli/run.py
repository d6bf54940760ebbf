"""``2getpro run | web | worker | migrate``: the processes of the shop."""

import asyncio
import contextlib
from collections.abc import Iterator

import uvloop

from getpro import migrations
from getpro.cli.trouble import Trouble
from getpro.platform import logging
from getpro.platform.postgres import Cluster
from getpro.platform.settings import Settings


@contextlib.contextmanager
def database(settings: Settings, *, migrate: bool) -> Iterator[str]:
    """The configured database, or the embedded one while the block runs; raises Trouble when it is not ready.

    The embedded one is always migrated: nobody else does it.
    """
    if settings.database_url is not None:
        url = settings.database_url.get_secret_value()
        if migrate:
            migrations.upgrade(url)
        elif not migrations.is_current(url):
            raise Trouble(
                "База данных не той версии.", "Миграции ещё не выполнены.", "Выполните: 2getpro migrate"
            )
        yield url
        return
    with Cluster.for_shop(data_dir=settings.data_dir, time_zone=settings.time_zone) as url:
        migrations.upgrade(url)
        yield url
