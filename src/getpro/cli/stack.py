"""What docker-compose.yml wants to read in ``.env``, beside the shop's own settings."""

import secrets
from collections.abc import Callable
from typing import Final

MARK: Final = "COMPOSE_PROJECT_NAME"
"""Stands in ``.env`` where the shop runs in the stack; Compose names containers and volumes after it."""
_PASSWORDS: Final = (
    "POSTGRES_PASSWORD",
    "GETPRO_DB_PASSWORD",
    "GRAFANA_PASSWORD",
    "OPERATIONS_ALERTS_TOKEN",
    "BUGSINK_SECRET_KEY",
)
_BYTES: Final = 32


def settings(before: Callable[[str], str]) -> dict[str, str]:
    """The stack's settings; a password that there is ``before`` stays: the database knows it already."""
    made = {name: before(name) or secrets.token_urlsafe(_BYTES) for name in _PASSWORDS}
    return {MARK: before(MARK) or "2getpro"} | made
