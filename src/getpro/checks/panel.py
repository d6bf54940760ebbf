"""The panel: its version, what the token may, the squads that customers are put into, where links lead."""

from collections.abc import AsyncIterator, Mapping, Sequence
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from getpro.checks.check import Finding, Line
from getpro.checks.outside import glance, why
from getpro.panel.client import PanelClient
from getpro.panel.dialect import SUPPORTED, dialect_of
from getpro.panel.errors import PanelRefused, PanelUnavailable
from getpro.platform.http import Answer
from getpro.platform.settings import PanelSettings

PANEL: Final = Line("panel", "Панель")
_SCOPES: Final = Line("panel.scopes", "Панель: права токена")
_SQUADS: Final = Line("panel.squads", "Панель: отряды")
_LINKS: Final = Line("panel.links", "Панель: подписки")
_READ_USERS: Final = "users:read"
READ_SQUADS: Final = "internal-squads:read"
_NEEDS: Final = {
    _READ_USERS: ("GET", "/api/users/stream?size=1"),
    "users:write": ("POST", "/api/users"),
    READ_SQUADS: ("GET", "/api/internal-squads"),
    "hwid:read": ("GET", "/api/hwid/devices?size=1"),
}
"""Scopes, and a call without a body that needs each. The panel looks at scopes before it looks at what is
asked: a user without a name is refused with 400 where the token may make users, and with 403 where not."""

_MORE_SCOPES: Final = (
    "Создайте на панели токен с правом * или с правами system, users, internal-squads, hwid; впишите в "
    "PANEL_TOKEN."
)


async def look(client: PanelClient, settings: PanelSettings) -> AsyncIterator[Finding]:
    """``settings`` are those that the client was made with."""
    try:
        panel = await look_at_version(client, settings)
        yield panel
        if panel.remedy:
            return
        answers = await ask_scopes(client)
        yield judged_scopes(answers)
        if (squads := squads_in(answers[READ_SQUADS])) is not None:
            yield _judged_squads(squads, settings.squads)
        yield await _look_at_links(client, answers[_READ_USERS])
    except PanelUnavailable as error:
        yield away(error, settings)


async def look_at_version(client: PanelClient, settings: PanelSettings) -> Finding:
    """Whether a panel that we know answers there, and knows the token; raises PanelUnavailable."""
    answer = await client.raw("GET", "/api/system/metadata")
    version = _response(answer).get("version")
    if isinstance(version, str):
        try:
            dialect_of(version)
        except PanelRefused:
            return PANEL.wrong(f"Remnawave {version}: с такой версией магазин не работает", SUPPORTED)
        return PANEL.ok(f"Remnawave {version}")
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return PANEL.wrong(
            "панель не знает токена", "Создайте токен на панели (API Tokens) и впишите в PANEL_TOKEN."
        )
    if answer.status == HTTPStatus.FORBIDDEN:
        return PANEL.wrong(
            "токен удалён или не имеет права system:read",
            _MORE_SCOPES,
        )
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return PANEL.unknown(f"отвечает {answer.status}", "Посмотрите, работает ли панель, и повторите.")
    return PANEL.wrong(f"по этому адресу отвечает не Remnawave ({answer.status})", _at_the_gate(settings))


def _at_the_gate(settings: PanelSettings) -> str:
    """What to do where somebody else answers: often a proxy before the panel that lets nobody in."""
    keys = {"PANEL_COOKIE": settings.cookie, "PANEL_API_KEY": settings.api_key}
    if given := [name for name, key in keys.items() if key is not None]:
        return f"Проверьте PANEL_URL и пропуск прокси перед панелью: {', '.join(given)}."
    return "Проверьте PANEL_URL; если перед панелью прокси с паролем, задайте PANEL_COOKIE или PANEL_API_KEY."


async def ask_scopes(client: PanelClient) -> dict[str, Answer]:
    """The panel's answer by the scope that was needed for it; raises PanelUnavailable."""
    return {scope: await client.raw(*call) for scope, call in _NEEDS.items()}


def away(error: PanelUnavailable, settings: PanelSettings) -> Finding:
    way = "PANEL_URL" if settings.proxy is None else "PANEL_PROXY, PANEL_URL"
    return PANEL.unknown(f"не отвечает: {why(error)}", f"Проверьте {way} и что панель запущена.")


def judged_scopes(answers: Mapping[str, Answer]) -> Finding:
    denied = [scope for scope, answer in answers.items() if answer.status == HTTPStatus.FORBIDDEN]
    if denied:
        return _SCOPES.wrong(
            f"не хватает: {', '.join(denied)}",
            _MORE_SCOPES,
        )
    failed = [f"{scope}: {answer.status}" for scope, answer in answers.items() if _is_broken(answer)]
    if failed:
        return _SCOPES.unknown("; ".join(failed), "Посмотрите, работает ли панель, и повторите.")
    return _SCOPES.ok("хватает")


def squads_in(answer: Answer) -> dict[str, str] | None:
    """The uuids of the internal squads by name; None where the answer holds no list."""
    listed = _response(answer).get("internalSquads")
    return None if listed is None else {squad["name"]: squad["uuid"] for squad in listed}


def _judged_squads(known: Mapping[str, str], wanted: Sequence[str]) -> Finding:
    missing = [name for name in wanted if name not in known and name not in known.values()]
    if missing:
        return _SQUADS.wrong(
            f"на панели нет: {', '.join(missing)}",
            f"Впишите в PANEL_SQUADS нужные из этих: {', '.join(known) or 'создайте отряд на панели'}.",
        )
    return _SQUADS.ok(", ".join(wanted))


async def _look_at_links(client: PanelClient, users: Answer) -> Finding:
    """Where customers' links lead: by a link that exists, else by the panel's word (3.3 and newer)."""
    found = _response(users).get("users") or []
    if found:
        parts = urlsplit(found[0]["subscriptionUrl"])
        address = f"{parts.scheme}://{parts.netloc}"
    else:
        told = _response(await client.raw("GET", "/api/system/configuration"))
        domain = (told.get("misc") or {}).get("subPublicDomain", "").partition("/")[0]
        if not domain:
            return _LINKS.attention(
                "адрес станет известен с первым клиентом", "Повторите после первой покупки."
            )
        address = f"{'http' if _is_loopback(domain) else 'https'}://{domain}"
    try:
        seen = await glance(address)
    except (aiohttp.ClientError, OSError) as error:
        return _LINKS.wrong(f"{address}: {why(error)}", "Проверьте SUB_PUBLIC_DOMAIN панели, его DNS и TLS.")
    if seen.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _LINKS.wrong(f"{address} отвечает {seen.status}", "Посмотрите, работает ли страница подписок.")
    return _LINKS.ok(f"{address} отвечает")


def _response(answer: Answer) -> dict[str, Any]:
    """What stands in the envelope of a success; nothing where there is none."""
    found = answer.body.get("response") if answer.is_success and isinstance(answer.body, dict) else None
    return found if isinstance(found, dict) else {}


def _is_broken(answer: Answer) -> bool:
    return not answer.is_success and answer.status != HTTPStatus.BAD_REQUEST


def _is_loopback(domain: str) -> bool:
    try:
        return ip_address(domain.rpartition(":")[0] or domain).is_loopback
    except ValueError:
        return False
