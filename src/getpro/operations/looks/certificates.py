"""The TLS certificates that customers, Telegram and providers meet: chain, name, and how long they last."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from getpro.checks.check import CALL_SECONDS, Finding, Line
from getpro.checks.outside import why

CERTIFICATES: Final = Line("security.certificates", "Сертификаты")
SOON: Final = timedelta(days=14)
VERY_SOON: Final = timedelta(days=3)
_RENEW: Final = "Продлите сертификат и узнайте, почему он не продлился сам."


async def look(
    urls: Iterable[str], *, now: datetime, context: ssl.SSLContext | None = None
) -> AsyncIterator[Finding]:
    """Of each https address, a line; those without TLS have no certificate to look at."""
    hosts = {
        (parts.hostname, parts.port or 443): None
        for parts in map(urlsplit, urls)
        if parts.scheme == "https" and parts.hostname
    }
    if not hosts:
        yield CERTIFICATES.attention("смотреть не на что", "Укажите PUBLIC_URL с https.")
    for host, port in hosts:
        assert host is not None
        line = Line(f"{CERTIFICATES.name}.{host}", f"Сертификат {host}")
        yield await _judged(line, host, port, now=now, context=context or ssl.create_default_context())


async def _judged(line: Line, host: str, port: int, *, now: datetime, context: ssl.SSLContext) -> Finding:
    try:
        ends_at = await _ends_at(host, port, context)
    except ssl.SSLCertVerificationError as error:
        return line.wrong(f"не принимается: {error.verify_message}", _RENEW)
    except (OSError, TimeoutError, ssl.SSLError, KeyError, ValueError) as error:
        return line.unknown(f"{host}:{port} не посмотреть: {why(error)}", "Проверьте адрес и сеть.")
    left = ends_at - now
    seen = f"до {ends_at:%d.%m.%Y}, осталось {left.days} дн"
    if left < VERY_SOON:
        return line.wrong(seen, _RENEW)
    return line.attention(seen, _RENEW) if left < SOON else line.ok(seen)


async def _ends_at(host: str, port: int, context: ssl.SSLContext) -> datetime:
    async with asyncio.timeout(CALL_SECONDS):
        _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
    try:
        certificate = writer.get_extra_info("peercert")
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
    finally:
        writer.transport.abort()
