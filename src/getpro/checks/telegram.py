"""Telegram: whose token it is, and how updates come."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from getpro.checks.check import Finding, Line
from getpro.checks.outside import why
from getpro.platform.bot_api import BotApi, BotApiRefused
from getpro.platform.http import ServiceUnavailable
from getpro.platform.settings import TelegramSettings

TOKEN: Final = Line("telegram.token", "Telegram: токен")
CHAT: Final = Line("telegram.chat", "Чат операторов")
_UPDATES: Final = Line("telegram.updates", "Telegram: обновления")
_PORTS: Final = frozenset({443, 80, 88, 8443})
_MANY_WAITING: Final = 100
_RECENT: Final = timedelta(hours=1)


async def look(api: BotApi, settings: TelegramSettings, webhook_url: str | None) -> AsyncIterator[Finding]:
    """``webhook_url``: where updates are to be brought; None: they are fetched."""
    try:
        yield TOKEN.ok(bot_name(await api.ask("getMe")))
        yield _judged(await api.ask("getWebhookInfo"), settings, webhook_url)
    except BotApiRefused as error:
        yield refused(error)
    except ServiceUnavailable as error:
        yield away(error)


async def look_at_chat(api: BotApi, chat_id: int | None) -> AsyncIterator[Finding]:
    """Where reports and alerts go: without it they are written down and reach nobody."""
    if chat_id is None:
        yield CHAT.attention(
            "не задан: отчёты и тревоги никому не придут", "Создайте группу и запустите 2getpro setup."
        )
        return
    try:
        found = await api.ask("getChat", chat_id=chat_id)
    except BotApiRefused as error:
        if error.is_about_token:  # its own line says so
            return
        words = f"бот туда не попадёт: {error}"
        yield CHAT.wrong(words, "Добавьте бота в группу; её номер должен стоять в OPERATIONS_CHAT.")
    except ServiceUnavailable as error:
        yield CHAT.unknown(f"Telegram не отвечает: {why(error)}", "Проверьте сеть сервера и повторите.")
    else:
        yield CHAT.ok(f"«{found.get('title') or found.get('first_name') or chat_id}»")


def bot_name(me: dict[str, Any]) -> str:
    return f"бот @{me['username']} «{me['first_name']}»"


def refused(error: BotApiRefused) -> Finding:
    if error.is_about_token:
        return TOKEN.wrong(
            f"Telegram не знает этого токена ({error})",
            "Возьмите токен у @BotFather: /mybots → бот → API Token; впишите в TELEGRAM_BOT_TOKEN.",
        )
    return TOKEN.unknown(f"Telegram отказал: {error}", "Подождите минуту и повторите.")


def away(error: ServiceUnavailable) -> Finding:
    return TOKEN.unknown(
        f"Telegram не отвечает: {why(error)}",
        "Проверьте сеть сервера; если Telegram закрыт, задайте TELEGRAM_PROXY.",
    )


def _judged(info: dict[str, Any], settings: TelegramSettings, wanted: str | None) -> Finding:
    """How updates come now, against how they should."""
    at, waiting = info["url"], info["pending_update_count"]
    queue = f", ждут {waiting}" if waiting else ""
    if wanted is None and not at:
        return _UPDATES.ok(f"магазин забирает их сам (long polling){queue}")
    if wanted is not None and not is_called(wanted, settings):
        return _UPDATES.wrong(
            f"на {_origin(wanted)} Telegram их не понесёт",
            "В PUBLIC_URL нужен https и порт 443, 80, 88 или 8443; без такого адреса уберите PUBLIC_URL.",
        )
    if wanted != at:
        seen = f"идут на {_origin(at)}" if at else "Telegram ещё не знает адреса магазина"
        return _UPDATES.attention(
            f"{seen}{queue}",
            "Переключит 2getpro run. Если с этим токеном работает другой магазин, остановите его.",
        )
    if (trouble := _recent_trouble(info)) is not None:
        level = _UPDATES.wrong if waiting else _UPDATES.attention
        return level(f"доходят не все: {trouble}{queue}", _remedy(trouble))
    if waiting > _MANY_WAITING:
        return _UPDATES.attention(f"приходят с опозданием{queue}", "Посмотрите нагрузку и строку «Магазин».")
    return _UPDATES.ok(f"приходят на {_origin(at)}{queue}")


def is_called(url: str, settings: TelegramSettings) -> bool:
    """Whether Telegram itself would call the address; a Bot API server of one's own calls any."""
    if settings.api_url != TelegramSettings.model_fields["api_url"].default:
        return True
    parts = urlsplit(url)
    return parts.scheme == "https" and (parts.port or 443) in _PORTS


def _recent_trouble(info: dict[str, Any]) -> str | None:
    """What Telegram last complained of; it goes on telling long after things are well again."""
    failed_at = datetime.fromtimestamp(info.get("last_error_date", 0), UTC)
    return info.get("last_error_message", "") if datetime.now(UTC) - failed_at < _RECENT else None


def _remedy(trouble: str) -> str:
    if "401" in trouble:
        return (
            "Секрет не тот: перезапустите магазин; если процессов web несколько, задайте всем один "
            "TELEGRAM_WEBHOOK_SECRET."
        )
    return "Смотрите строку «Адрес снаружи»; если там порядок, это уже прошло."


def _origin(url: str) -> str:
    """Without its path, which may be somebody's secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
