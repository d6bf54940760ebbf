"""Whether the shop runs, and whether the world reaches it."""

import errno
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Final

import aiohttp

from getpro.checks.check import Finding, Line
from getpro.checks.outside import Glance, glance, why
from getpro.kit.trouble import Trouble

SHOP: Final = Line("shop", "Магазин")
_PUBLIC: Final = Line("shop.public", "Адрес снаружи")
_START: Final = "Запустите его: 2getpro run (как служба: systemctl start 2getpro)."
_ANOTHER_PORT: Final = "Укажите свободный порт в GETPRO_PORT."
_PATH: Final = "/health/ready"


async def look(host: str, port: int, public_url: str | None) -> AsyncIterator[Finding]:
    here = await _knock(f"http://{_reachable(host)}:{port}")
    yield _judged_here(here, f"{host}:{port}")
    if public_url is None:
        yield _PUBLIC.ok("не задан: магазин сам опрашивает Telegram и провайдеров")
    else:
        yield _judged_public(await _knock(public_url), public_url, runs_here=_is_ours(here))


async def no_place(host: str, port: int, error: OSError) -> Trouble:
    """Why a shop that is being started cannot listen there, in the operator's words."""
    address = f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        if _is_ours(await _knock(f"http://{_reachable(host)}:{port}")):
            return Trouble(
                "Магазин уже работает.", f"Он отвечает на {address}.", "Посмотреть, как он: 2getpro doctor"
            )
        return Trouble("Адрес занят.", f"На {address} другая программа.", _ANOTHER_PORT)
    if error.errno == errno.EACCES:
        return Trouble("Адрес недоступен.", f"На {address} система не даёт права.", _ANOTHER_PORT)
    return Trouble(
        "Адрес недоступен.", f"Адреса {host} у этой машины нет.", "Исправьте GETPRO_HOST, обычно 127.0.0.1."
    )


async def _knock(address: str) -> Glance | str:
    """The answer, or why there is none."""
    try:
        return await glance(address + _PATH)
    except (aiohttp.ClientError, OSError) as error:
        return why(error)


def _judged_here(seen: Glance | str, address: str) -> Finding:
    if isinstance(seen, str):
        return SHOP.attention(f"не запущен: на {address} никто не отвечает", _START)
    if not _is_ours(seen):
        return SHOP.wrong(f"на {address} отвечает другая программа", _ANOTHER_PORT)
    if seen.status != HTTPStatus.OK:
        return SHOP.wrong(f"работает на {address}, но не видит базу", "Смотрите строку «База данных».")
    return SHOP.ok(f"работает на {address}")


def _judged_public(seen: Glance | str, url: str, *, runs_here: bool) -> Finding:
    if isinstance(seen, str):
        return _PUBLIC.wrong(f"{url}: {seen}", "Проверьте DNS-запись домена, прокси с TLS и открыт ли порт.")
    if _is_ours(seen):
        return _PUBLIC.ok(f"{url} ведёт к магазину")
    said = f"{url} отвечает {seen.status}, и это не магазин"
    if runs_here:
        return _PUBLIC.wrong(said, "Направьте прокси этого домена на адрес из строки «Магазин».")
    return _PUBLIC.attention(said, "Когда магазин запустится, проверьте ещё раз.")


def _is_ours(seen: Glance | str) -> bool:
    return isinstance(seen, Glance) and seen.text in {'{"status":"ok"}', '{"status":"database away"}'}


def _reachable(host: str) -> str:
    """Where we knock ourselves: a shop that listens everywhere listens on loopback too."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- compared, not bound
    return f"[{host}]" if ":" in host else host
