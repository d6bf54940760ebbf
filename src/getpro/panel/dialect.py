"""How the versions of the panel differ in the calls that we make; everything else is the same in them."""

import re
from dataclasses import dataclass
from typing import Any, Final

from getpro.panel.errors import PanelRefused

SUPPORTED: Final = "Магазин работает с панелями 2.7, 2.8 и 3.x."


@dataclass(frozen=True, slots=True)
class Dialect:
    """What panels of some versions call a user, and how they list all of them."""

    key: str
    """Under this name a user's identity stands in an answer and in the body of a change."""
    has_stream: bool
    """Whether all users come as a stream with a cursor; otherwise as numbered pages."""

    @property
    def list_path(self) -> str:
        return "/api/users/stream" if self.has_stream else "/api/users"

    def identity(self, user: dict[str, Any]) -> str:
        return str(user[self.key])

    def named(self, panel_user_id: str) -> dict[str, str | int]:
        """What names the user in the body of a change."""
        return {self.key: int(panel_user_id) if panel_user_id.isdecimal() else panel_user_id}

    def following(self, page: dict[str, Any], start: int) -> dict[str, str] | None:
        """The parameters of the page after ``page``; None after the last. ``start`` users came before it.

        Pages by number shift when users are made or deleted meanwhile: somebody may come twice or not at all.
        """
        if self.has_stream:
            return {"cursor": str(page["nextCursor"])} if page["hasMore"] else None
        following, total = start + len(page["users"]), page["total"]
        return {"start": str(following)} if start < following < total else None


# 2.8 has the stream as well; 2.7 is not known to.
_UUIDS: Final = Dialect(key="uuid", has_stream=False)
_NUMBERS: Final = Dialect(key="id", has_stream=True)


def dialect_of(version: str) -> Dialect:
    """The dialect of a panel that calls itself ``version``, e.g. ``3.3.2``; raises PanelRefused.

    An unknown version is not guessed at: what a call does there would be found out on customers.
    """
    found = re.match(r"(\d+)\.(\d+)(?!\d)", version)
    if found is not None and found[1] == "3":
        return _NUMBERS
    if found is not None and found[0] in {"2.7", "2.8"}:
        return _UUIDS
    raise PanelRefused(f"Панель версии {version[:40]!r} магазину незнакома. {SUPPORTED}")
