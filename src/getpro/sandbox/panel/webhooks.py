"""The panel's webhooks: signed over the raw body, tried four times, never in a promised order."""

import hashlib
import hmac
import json
from datetime import datetime
from typing import Any

from getpro.sandbox.panel.moments import iso

TRIES = 4
REFUSED_FROM = 400
"""Every answer below is taken."""


def event_body(event: str, data: dict[str, Any], at: datetime) -> bytes:
    """What is sent about ``event``."""
    scope = event.partition(".")[0]
    body = {"scope": scope, "event": event, "timestamp": iso(at), "data": data}
    if scope == "user":
        body["meta"] = None
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def event_headers(secret: str, raw: bytes, stamp: str | None = None) -> dict[str, str]:
    """What is sent beside the body ``raw``; ``stamp``, if it is not the body's own."""
    return {
        "User-Agent": "Remnawave",
        "X-Remnawave-Timestamp": stamp or json.loads(raw)["timestamp"],
        "X-Remnawave-Signature": signature(secret, raw),
    }


def signature(secret: str, raw: bytes) -> str:
    """What stands in ``X-Remnawave-Signature`` for the body ``raw``."""
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
