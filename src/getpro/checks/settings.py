"""The settings themselves: what is missing, wrong or misspelt, and who can read their file."""

import difflib
from collections.abc import AsyncIterator, Iterable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from getpro.checks.check import Finding, Line
from getpro.payments.providers import LIST
from getpro.platform.settings import ReadableSettings, variables
from getpro.platform.wrong_settings import Wrong

LINE: Final = Line("settings", "Настройки")
_NAMES: Final = Line("settings.names", "Настройки: имена")
FILE: Final = Line("settings.file", "Файл .env")
_PAYING: Final = Line("settings.payments", "Способы оплаты")
_HOST: Final = Line("settings.host", "GETPRO_HOST")
_PROXIES: Final = Line("settings.proxies", "TRUSTED_PROXIES")
_TITLES: Final = {
    "": "сервер",
    "telegram": "Telegram",
    "panel": "панель",
    "shop": "магазин",
} | {way.code: way.title for way in LIST}
_ELSEWHERE: Final = frozenset({"PG_BIN"})
_ALIKE: Final = 0.85


async def look(
    settings: ReadableSettings, wrong: Iterable[Wrong], names: Iterable[str]
) -> AsyncIterator[Finding]:
    """``names`` are those of the environment and of ``.env``."""
    by_group: dict[str, list[Wrong]] = {}
    for problem in wrong:
        group = problem.name.partition("_")[0].lower()
        by_group.setdefault(group if group in _TITLES else "", []).append(problem)
    if not by_group:
        yield LINE.ok("обязательные заданы, ошибок нет")
    for group, problems in by_group.items():
        yield Line(f"settings.{group or 'server'}", f"Настройки: {_TITLES[group]}").wrong(
            "; ".join(map(str, problems)), _remedy(problems)
        )
    if strangers := _strangers(names):
        yield _NAMES.attention(
            "; ".join(f"{name} не читается" for name in strangers),
            "; ".join(f"{name}: наверное, это {known}" for name, known in strangers.items()) + ".",
        )
    if not any(way.is_on(settings) for way in LIST):
        yield _PAYING.attention(
            "ни одного: купить подписку нельзя",
            f"Задайте одну из настроек: {', '.join(way.switch for way in LIST)}.",
        )
    if _is_open(settings.listen_host) and not settings.trusted_proxies:
        yield _HOST.attention(
            f"{settings.listen_host}: магазин виден снаружи без TLS",
            "Верните GETPRO_HOST=127.0.0.1; если прокси на другой машине, впишите её в TRUSTED_PROXIES.",
        )
    if settings.public_url is not None and settings.yookassa is not None and not settings.trusted_proxies:
        yield _PROXIES.attention(
            "не задана: адрес ЮKassa за прокси не виден, её уведомления отклоняются",
            "Впишите адрес прокси, обычно TRUSTED_PROXIES=127.0.0.1.",
        )


def _is_open(host: str) -> bool:
    """Whether who listens there can be called from other networks."""
    if host == "localhost":
        return False
    address = ip_address(host)
    return address.is_unspecified or address.is_global


def _remedy(problems: list[Wrong]) -> str:
    unknown = {problem.name: _likely(problem.name) for problem in problems if problem.is_unknown}
    hints = [
        f"{name}: наверное, это {known}" if known else f"{name}: уберите" for name, known in unknown.items()
    ]
    return "; ".join(["Исправьте в .env или в окружении (поможет 2getpro setup)", *hints]) + "."


def _likely(name: str) -> str | None:
    """The setting that was probably meant."""
    return next(iter(difflib.get_close_matches(name, variables(), n=1, cutoff=_ALIKE)), None)


def _strangers(names: Iterable[str]) -> Mapping[str, str]:
    """Names that are no setting but look like one, with the setting that was probably meant.

    A wrong name that begins with a group is none of these: the group itself refuses it.
    """
    known = variables()
    groups = tuple(f"{group}_".upper() for group in known.values() if group)
    upper = (name.upper() for name in names)
    others = sorted(
        {name for name in upper if name not in known and not name.startswith(groups)} - _ELSEWHERE
    )
    return {name: likely for name in others if (likely := _likely(name)) is not None}


async def look_at_file(path: Path) -> AsyncIterator[Finding]:
    """Secrets are in it: nobody else may read it."""
    yield _judged_file(path)


def _judged_file(path: Path) -> Finding:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return FILE.ok(f"{path}: нет, настройки берутся из окружения")
    for bits, who in ((0o007, "всем на этой машине"), (0o070, "группе")):
        if mode & bits:
            return FILE.wrong(f"{path}: доступен {who} (права {mode & 0o777:o})", f"chmod 600 {path}")
    return FILE.ok(f"{path}: доступен только владельцу")
