"""What checks share when they ask the outside: a look at an address, and why nobody answered."""

import asyncio
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp

from getpro.checks.check import CALL_SECONDS


@dataclass(frozen=True, slots=True)
class Glance:
    """How an address answered."""

    status: int
    text: str
    """The first kilobyte."""
    skew_seconds: float | None
    """How far its clock is ahead of ours, to a second or so; None without a ``Date``."""


async def glance(url: str, *, proxy: str | None = None) -> Glance:
    """GET ``url`` without following redirects; raises aiohttp.ClientError, TimeoutError, OSError."""
    timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        before = datetime.now(UTC)
        async with session.get(url, proxy=proxy, allow_redirects=False) as response:
            text = (await response.content.read(1024)).decode(errors="replace")
        middle = before + (datetime.now(UTC) - before) / 2
        return Glance(response.status, text, _skew(response.headers.get("Date"), middle))


def _skew(date: str | None, now: datetime) -> float | None:
    try:
        told = parsedate_to_datetime(date or "")
    except ValueError:
        return None
    return (told.replace(tzinfo=told.tzinfo or UTC) - now).total_seconds() + 0.5  # it is cut to a second


def why(error: BaseException) -> str:
    """Why nobody answered, in words: the first cause behind ``error`` that has some, else its own text."""
    cause: BaseException | None = error
    while cause is not None:
        error = cause
        for kinds, words in _WORDS:
            if isinstance(error, kinds):
                return words
        cause = getattr(error, "os_error", None) or error.__cause__
    # The libraries' own texts name addresses, and an address may hold a token.
    return "ответ не похож на HTTP" if isinstance(error, (aiohttp.ClientError, OSError)) else str(error)


_WORDS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((asyncio.TimeoutError, TimeoutError), f"нет ответа за {CALL_SECONDS} с"),
    ((aiohttp.ClientConnectorDNSError, socket.gaierror), "имя сервера не найдено (DNS)"),
    ((aiohttp.ClientConnectorCertificateError, ssl.SSLError), "сертификат TLS не подходит"),
    ((aiohttp.ClientProxyConnectionError,), "прокси не отвечает"),
    ((ConnectionRefusedError,), "соединение отклонено: там никто не слушает"),
    ((aiohttp.ServerDisconnectedError, ConnectionResetError), "соединение закрыто без ответа"),
    ((aiohttp.ClientHttpProxyError,), "прокси отказал"),
)
