"""The last net: what a secret looks like inside a text, and what must be left readable."""

import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from getpro.platform.scrubbing import scrub

BOT_TOKEN = "7000000001:AAF0_x-ZzzzzzzzzzzzzzzzzzzzzzzzzzzzZ"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"POST https://api.telegram.org/bot{BOT_TOKEN}/getMe", "POST https://api.telegram.org/***/getMe"),
        (
            "url=URL('http://127.0.0.1:81/bot42:short/sendMessage')",
            "url=URL('http://127.0.0.1:81/***/sendMessage')",
        ),
        (f"token {BOT_TOKEN} refused", "token *** refused"),
        ("cannot reach /bot42:short-one/getMe", "cannot reach /bot***/getMe"),
        ("postgresql://postgres:s3cr-et@127.0.0.1:5432/shop", "postgresql://***@127.0.0.1:5432/shop"),
        ("proxy http://anna:pass@proxy.example:3128", "proxy http://proxy.example:3128"),
        ("https://panel.example/api/sub/very-secret", "https://panel.example/api/sub/***"),
        ("https://sub.example/aB3kLmN0pQrStUvW", "https://sub.example/***"),
        ("https://sub.example/abcdefghijklmnopQRSTUVWX", "https://sub.example/***"),
        ("https://t.me/shop_bot?start=ref_100", "https://t.me/shop_bot?***"),
        (
            "see https://panel.example/api/system/health (twice)",
            "see https://panel.example/api/system/health (twice)",
        ),
        ("vless://9b7c@host:443?security=reality#anna", "***"),
        ("happ://crypt4/abc== opened", "*** opened"),
        ("sent to anna.petrova+vpn@почта.рф today", "sent to *** today"),
        ("Authorization: Bearer 0123456789abcdef0123", "Authorization: ***"),
        ("header Basic MTAwNTAwOnRlc3Rfa2V5", "header ***"),
        ("panel eyJhbGciOiJIUzI1NiJ9.eyJ1dWlkIjoiMSJ9.abc-def", "panel ***"),
        ("key live_Xy0123456789abcdefghijklmnopqrstuv", "key ***"),
        ("paid by 4111 1111 1111 1111 at last", "paid by *** at last"),
        ("paid by 5555555555554444", "paid by ***"),
        ("call +7 (912) 345-67-89 back", "call *** back"),
        ("no room\nDETAIL:  Key (email)=(a b) exists.\n[SQL: INSERT]", "no room\nDETAIL=***\n[SQL: INSERT]"),
        ("row\nDETAIL:  Failing row (1, a\nb).", "row\nDETAIL=***"),
        (
            "bad [type=int, input_value='Анна, 5', input_type=str]",
            "bad [type=int, input_value=***, input_type=str]",
        ),
    ],
)
def test_a_secret_inside_a_text_is_masked_and_the_rest_stays(text: str, left: str) -> None:
    assert scrub(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "payment.settled",
        "22e18a2f-000f-5000-a000-1db6312b7767",
        "2026-11-28T10:00:00.123456+00:00",
        "4111111111111112",  # no card: its check digit is another
        "update 900000000000 of user 7000000001",
        "getpro/sales/settle.py:settle 127.0.0.1:5432",
        "basic authentication is off",
        "@my_support",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert scrub(text) == text


NESTED = {"a": {"bot_token": "x", "list": [{"password": "y"}, "a@b.ru"]}}
PLAIN = {"order_key": "k", "email": None, "count": 3, "ok": True}
OBJECTS = {"one": SecretStr("s"), "two": Path("/sub/x"), "three": ValueError("a@b.ru")}


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (NESTED, {"a": {"bot_token": "***", "list": [{"password": "***"}, "***"]}}),
        (PLAIN, PLAIN),
        (OBJECTS, {"one": "**********", "two": "/sub/x", "three": "***"}),
        ((UUID(int=1),), ["00000000-0000-0000-0000-000000000001"]),
    ],
)
def test_fields_are_looked_at_however_deep_and_whatever_they_are(value: Any, left: Any) -> None:
    assert scrub(value) == left


def test_a_long_text_is_looked_through_in_time_that_grows_with_it() -> None:
    """Somebody else's answer may be a megabyte of letters."""
    began = time.process_time()
    assert scrub(f"{'a' * 200_000} {'1' * 200_000} a@b.ru").endswith(" ***")
    assert time.process_time() - began < 2
