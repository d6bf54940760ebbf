"""Words of the screens: Fluent messages, and prices, dates and sizes as each language writes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from html import escape
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

from babel.dates import format_date
from babel.numbers import format_decimal
from fluent.runtime import FluentBundle, FluentResource

from getpro.kit.money import Money

LANGUAGES: Final = ("ru", "en")
NO_BREAK: Final = "\N{NO-BREAK SPACE}"
_RUSSIAN_READERS: Final = frozenset({"ru", "uk", "be", "kk", "ky", "uz", "tg", "hy", "az", "tt"})
_SIGNS: Final = {"RUB": "₽", "USD": "$", "EUR": "€"}
_UNITS: Final[Mapping[str, tuple[str, ...]]] = {
    "ru": ("Б", "КБ", "МБ", "ГБ", "ТБ"),
    "en": ("B", "KB", "MB", "GB", "TB"),
}
_ZONE_NAMES: Final = {("Europe/Moscow", "ru"): "МСК", ("Europe/Moscow", "en"): "MSK"}


class MissingText(KeyError):
    """A screen asked for a message that a locale file does not have, or with a variable missing."""


def language_of(telegram_code: str | None) -> str:
    """The language to begin with, from Telegram's ``language_code``; Russian where nothing is known."""
    if not telegram_code:
        return "ru"
    return "ru" if telegram_code.split("-")[0] in _RUSSIAN_READERS else "en"


@dataclass(frozen=True, slots=True)
class Texts:
    """The words of one language, as they read in one time zone at one moment."""

    language: str
    zone: ZoneInfo
    now: datetime

    def __call__(self, name: str, **values: str | int) -> str:
        """The message ``name`` with its values, which are escaped for HTML.

        Raises MissingText.
        """
        return _said(self.language, name, tuple(values.items()))

    def money(self, money: Money) -> str:
        """``499 ₽``, ``198,50 ₽``, ``⭐ 250``: a no-break space, no empty kopeks."""
        if money.currency == "XTR":
            return f"⭐{NO_BREAK}{self._number(money.minor)}"
        whole = money.value == money.value.to_integral_value()
        number = _decimal(money.value, self.language, "#,##0" if whole else "#,##0.00")
        return f"{number}{NO_BREAK}{_SIGNS.get(money.currency, money.currency)}"

    def date(self, moment: datetime) -> str:
        """``30 апреля``; with the year when it is not this one's."""
        local = moment.astimezone(self.zone)
        pattern = "d MMMM" if local.year == self.now.astimezone(self.zone).year else "d MMMM y"
        return _date(local.date(), self.language, pattern)

    def moment(self, moment: datetime) -> str:
        """``30 апреля, 18:00 (МСК)``."""
        return f"{self.date(moment)}, {self.clock(moment)}"

    def clock(self, moment: datetime) -> str:
        """``18:00 (МСК)``."""
        local = moment.astimezone(self.zone)
        clock = local.strftime("%H:%M")
        name = local.strftime("%Z")
        zone = _ZONE_NAMES.get((self.zone.key, self.language), f"UTC{name}" if name[0] in "+-" else name)
        return f"{clock}{NO_BREAK}({zone})"

    def until(self, moment: datetime) -> str:
        return self("until", date=self.moment(moment))

    def left(self, end: datetime) -> str:
        """``осталось 12 дней``: a day that has begun counts as one."""
        return self("left-days", days=max(-((self.now - end) // timedelta(days=1)), 0))

    def size(self, count: int) -> str:
        """``12,4 ГБ``: at most one digit after the point."""
        value, unit = float(count), 0
        while value >= 1024 and unit < len(_UNITS[self.language]) - 1:  # noqa: PLR2004 -- bytes in a kilobyte
            value, unit = value / 1024, unit + 1
        return (
            f"{format_decimal(round(value, 1), locale=self.language)}{NO_BREAK}{_UNITS[self.language][unit]}"
        )

    def duration(self, months: int) -> str:
        return self("duration-months", months=months)

    def provider(self, code: str) -> str:
        """The customer's name for a way to pay."""
        known = f"provider-{code}"
        return self(known) if _bundle(self.language).has_message(known) else self("provider-other", code=code)

    def _number(self, value: int) -> str:
        return format_decimal(value, locale=self.language)


@lru_cache(maxsize=1024)
def _said(language: str, name: str, values: tuple[tuple[str, str | int], ...]) -> str:
    """Most of what is said is said again: a button with its price, the same to everybody."""
    bundle = _bundle(language)
    pattern = bundle.get_message(name).value if bundle.has_message(name) else None
    if pattern is None:
        raise MissingText(name)
    safe = {key: _escaped(value) for key, value in values}
    text, errors = bundle.format_pattern(pattern, safe)
    if errors:
        raise MissingText(f"{name}: {errors}")
    return str(text)


@lru_cache(maxsize=1024)
def _decimal(number: Decimal, language: str, pattern: str) -> str:
    return format_decimal(number, format=pattern, locale=language)


@lru_cache(maxsize=1024)
def _date(day: date, language: str, pattern: str) -> str:
    return format_date(day, pattern, locale=language)


def _escaped(value: str | int) -> str | int:
    return escape(value) if isinstance(value, str) else value


@cache
def _bundle(language: str) -> FluentBundle:
    bundle = FluentBundle([language], use_isolating=False)
    source = resources.files("getpro.bot").joinpath("locales", f"{language}.ftl").read_text("utf-8")
    bundle.add_resource(FluentResource(source))
    return bundle


def texts_of(language: str, zone: ZoneInfo, *, now: datetime) -> Texts:
    """The texts for a customer; unknown languages read English."""
    return Texts(language if language in LANGUAGES else "en", zone, now)
