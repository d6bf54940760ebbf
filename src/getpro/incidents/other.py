"""Mail, SMS and push by Apprise: the route that does not go through Telegram."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

import structlog

from getpro.platform.settings import OperationsSettings

log = structlog.get_logger(__name__)

_SECONDS: Final = 40
"""A mail server may be slow; what hangs is tried again."""
_TLS: Final = 465


class NotSent(Exception):
    """No address has taken it; which, and why, stands in the log without its secrets."""

    def __init__(self, why: str, *, may_have_arrived: bool = False) -> None:
        super().__init__(why)
        self.may_have_arrived = may_have_arrived
        """Somebody was too slow to say that it did."""


class Apprise:
    """Sends by Apprise, which is loaded when the first message goes: it takes a second and 20 MiB."""

    async def send(self, addresses: Sequence[str], title: str, text: str) -> list[str]:
        """As :class:`getpro.incidents.deps.OtherWay` says."""
        if not addresses:
            raise NotSent("другого пути нет")
        # What a busy machine needs to load it all is not the server's time.
        targets = await asyncio.to_thread(lambda: [_target(address) for address in addresses])
        taken = await asyncio.gather(*(_in_time(target, title, text) for target in targets))
        lost = [scheme(address) for address, ok in zip(addresses, taken, strict=True) if not ok]
        if any(taken):
            return lost
        if None in taken:
            raise NotSent(f"нет ответа за {_SECONDS} с", may_have_arrived=True)
        raise NotSent(f"не приняли: {', '.join(lost)}")


async def _in_time(target: Any, title: str, text: str) -> bool | None:
    """Whether it was taken; None: nobody has said so in time."""
    try:
        async with asyncio.timeout(_SECONDS):
            return bool(await asyncio.to_thread(target.notify, title=title, body=text, body_format="text"))
    except TimeoutError:
        return None


def _target(address: str) -> Any:
    """What Apprise makes of an address; empty, and takes nothing, where that is nothing."""
    import apprise  # noqa: PLC0415 -- heavy, and most shops' Telegram works

    target = apprise.Apprise()
    target.add(address)
    return target


def is_address(address: str) -> bool:
    """Whether Apprise can make something of it."""
    return bool(_target(address))


def scheme(address: str) -> str:
    """``mailto``: all that may be shown of an address."""
    return address.partition(":")[0]


def mail_server(own: OperationsSettings) -> str | None:
    """The shop's mail server as an Apprise address without whom it goes to; None where none is set."""
    if own.mail_server is None:
        return None
    server = urlsplit(own.mail_server.get_secret_value())
    # What stands before the @ comes percent-encoded, and Apprise reads it so.
    access = f"{server.username}:{server.password}@" if server.username else ""
    secure = server.port == _TLS
    mode = "ssl" if secure else "starttls" if access else "insecure"
    kind = "mailtos" if secure or access else "mailto"
    user = unquote(server.username or "")
    sender = user if "@" in user else own.mail_to
    address = f"{kind}://{access}{server.hostname}:{server.port}/?smtp={server.hostname}&mode={mode}"
    return address if sender is None else f"{address}&from={quote(sender)}"


def mail_to(server: str, address: str) -> str:
    """The same to somebody."""
    return f"{server}&to={quote(address)}"
