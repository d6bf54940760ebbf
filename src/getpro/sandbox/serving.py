"""Serving a simulator: inside the sandbox, inside a test, or alone as a process."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import web

from getpro.sandbox.strangers import keep_out

LOOPBACK = "127.0.0.1"
SHUTDOWN_SECONDS = 0.1
"""Spent twice on whoever still waits for an answer, and the open chat page always does."""


class NotLoopback(ValueError):
    """A simulator was asked to listen or talk to something that is not this machine."""

    def __init__(self, host: str) -> None:
        super().__init__(f"the sandbox talks to this machine only, not to {host!r}")
        self.host = host


class PortTaken(OSError):
    """Somebody listens there already, or it is no port."""


def require_loopback(host: str) -> str:
    """Return ``host`` unchanged; raises NotLoopback unless it is a loopback address or ``localhost``."""
    if host == "localhost":
        return host
    try:
        is_loopback = ip_address(host.strip("[]")).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise NotLoopback(host)
    return host


def require_loopback_url(url: str) -> str:
    """Return ``url`` unchanged; raises NotLoopback unless its host is this machine."""
    require_loopback(urlsplit(url).hostname or "")
    return url


@contextlib.asynccontextmanager
async def serving(app: web.Application, *, host: str = LOOPBACK, port: int = 0) -> AsyncIterator[str]:
    """Serve ``app`` while the context is open and yield its base address; port 0 takes a free one.

    Pages of other sites are kept out of it. Raises PortTaken.
    """
    app.middlewares.insert(0, keep_out)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, require_loopback(host), port)
        try:
            await site.start()
        except (OSError, OverflowError):
            raise PortTaken(f"{host}:{port}") from None
        bound_port = runner.addresses[0][1]
        yield f"http://{host}:{bound_port}"
    finally:
        await runner.cleanup()


async def serve_alone(app: web.Application, *, port: int, ready: str) -> None:
    """Serve until SIGTERM or SIGINT; print ``ready`` (with ``{url}`` filled in) once listening."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with serving(app, port=port) as url:
        sys.stdout.write(ready.format(url=url) + "\n")
        sys.stdout.flush()
        await stopped.wait()
