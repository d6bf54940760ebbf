"""The form of ``DATABASE_URL``, and what is added to it."""

import re
from typing import Final

from psycopg.conninfo import conninfo_to_dict, make_conninfo

CONNECT_SECONDS: Final = 10


def impatient(url: str, *, seconds: int = CONNECT_SECONDS) -> str:
    """The address for a connection that is given up in time: a frozen server takes it and says nothing."""
    return make_conninfo(url, connect_timeout=seconds)


def name_of(url: str) -> str:
    """The database that an address leads to."""
    found = conninfo_to_dict(url)
    return str(found.get("dbname") or found.get("user") or "")


def wrong_address(url: str) -> tuple[str, str] | None:
    """What is wrong with the form of DATABASE_URL, and what to do; None where nothing is."""
    if not url.startswith(("postgresql://", "postgres://")):
        return (
            "DATABASE_URL: это не адрес PostgreSQL",
            "Нужен вида postgresql://имя:пароль@127.0.0.1:5432/2getpro_v2.",
        )
    if "@" in url and "@" not in re.split("[/?#]", url.partition("://")[2])[0]:
        return "DATABASE_URL: в имени или пароле есть /, ? или #", "Запишите их как %2F, %3F и %23."
    return None
