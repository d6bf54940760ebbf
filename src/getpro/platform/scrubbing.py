"""What may be in no log line and no report of an error: the last net, not the first.

The first is not to log it. This one looks at everything that is about to leave: at the names of fields and,
inside texts, at what a secret looks like there.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

MASK: Final = "***"
_SECRET_NAMES: Final = (
    "token",
    "secret",
    "password",
    "passwd",
    "authorization",
    "cookie",
    "subscription_url",
    "subscriptionurl",
    "email",
    "phone",
    "first_name",
    "last_name",
    "username",
    "card",
    "key",
)
_PLAIN_NAMES: Final = frozenset({"order_key", "key"})
"""Our own names of orders and notices, which open nothing."""

_SECRETS: Final = re.compile(
    r"""
      (?P<url>\bhttps?://[^\s"'<>\\]+)
    | (?P<credentials>(?<=://)[^/\s:@"']*:[^/\s@"']+(?=@))      # of a database's address
    | (?P<link>\b(?:vless|vmess|trojan|ss|ssr|hysteria2?|hy2|tuic|wireguard|socks5?|happ|v2raytun|v2rayng
        |hiddify|streisand|clash|sing-box|incy|flclashx?)://[^\s"'<>]+)
    | (?P<bot_path>(?<=/bot)\d+:[^/\s"']+)                      # of a Bot API address without its host
    | (?P<bot_token>(?<!\d)\d{4,}:[\w-]{30,})                   # @BotFather's, and @CryptoBot's
    | (?P<jwt>\beyJ[\w-]{8,}\.[\w-]+\.[\w-]+)                   # the panel's
    | (?P<yookassa>\b(?:live|test)_[\w-]{30,})
    | (?P<header>\b(?:[Bb]earer|[Bb]asic)\s+[\w.~+/=-]{16,})
    | (?P<email>(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,})
    | (?P<phone>(?<!\w)\+\d[\d()\s-]{8,}\d)
    | (?P<card>(?<![\w-])\d(?:[ -]?\d){12,18}(?![\w-]))
    | (?P<row>(?s:\b(?:DETAIL|CONTEXT):\s.*?(?=\n\[SQL|\Z)))    # PostgreSQL's: they quote the row
    | (?P<input>(?s:\binput_value=.*?(?=,\ input_type=|\Z)))    # pydantic's
    """,
    re.VERBOSE,
)
_HINTS: Final = (
    "://",
    "@",
    "/bot",
    "eyJ",
    "live_",
    "test_",
    "earer",
    "asic",
    "DETAIL",
    "CONTEXT",
    "input_",
    "+",
)
_NUMBERS: Final = re.compile(r"\d(?:[ -]?\d){12}|\d:[\w-]{30}")
"""One of the hints, or such a number, is in every secret: most texts of a log have none, and cost little."""
_WORDS: Final = re.compile(r"[a-z]+(?:[-_.][a-z]+)*|[a-z]+(?:[A-Z][a-z]+)*")
"""A part of a path that says where and not who: ``webhooks``, ``by-id``, ``sendMessage``."""
_LONGEST_PLAIN: Final = 7
"""Of a part of a path that is no word: shorter ones open nothing."""


def scrub(value: Any) -> Any:
    """The same of plain JSON types, without secrets; of anything else its text is looked through."""
    if isinstance(value, str):
        return _without_secrets(value)
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, Mapping):
        return {
            name: MASK if _is_secret(str(name)) and inner else scrub(inner) for name, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [scrub(inner) for inner in value]
    return _without_secrets(str(value))


def _without_secrets(text: str) -> str:
    if any(hint in text for hint in _HINTS) or _NUMBERS.search(text):
        return _SECRETS.sub(_masked, text)
    return text


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    lower = name.lower()
    return lower not in _PLAIN_NAMES and any(word in lower for word in _SECRET_NAMES)


def _masked(found: re.Match[str]) -> str:
    text = found.group()
    if found.lastgroup == "url":
        return _bare_address(text)
    if found.lastgroup == "card" and not _is_card(text):
        return text
    if found.lastgroup in {"row", "input"}:
        return re.split(r"[=:]", text, maxsplit=1)[0] + f"={MASK}"
    return MASK


def _bare_address(url: str) -> str:
    """Who is asked and for what, without anything that could open something: an id, a token, a query."""
    scheme, _, rest = url.partition("://")
    rest, _, query = rest.partition("?")
    host, *path = rest.partition("#")[0].split("/")
    kept = [part if _is_plain(part) else MASK for part in path]
    if "sub" in kept[:-1]:  # the panel's links to subscriptions, whatever they look like
        kept[kept.index("sub") + 1 :] = [MASK]
    address = "/".join([host.rpartition("@")[2], *kept])
    return f"{scheme}://{address}" + (f"?{MASK}" if query else "")


def _is_plain(part: str) -> bool:
    return ":" not in part and (len(part) <= _LONGEST_PLAIN or _WORDS.fullmatch(part) is not None)


def _is_card(text: str) -> bool:
    """By the check digit. Source: ISO/IEC 7812-1, annex B."""
    digits = [int(sign) for sign in reversed(text) if sign.isdigit()]
    doubled = (2 * digit if place % 2 else digit for place, digit in enumerate(digits))
    return sum(digit - 9 if digit > 9 else digit for digit in doubled) % 10 == 0  # noqa: PLR2004 -- as there
