"""The shop, or one way to pay, is closed for what is new and opened again; who did it is kept."""

from collections.abc import Mapping
from typing import Final

from getpro.catalog import closures
from getpro.platform import audit
from getpro.platform.database import Session
from getpro.sales.deps import Deps
from getpro.sales.errors import CannotDo, ShopClosed
from getpro.sales.staff import Operator, require

LONGEST_WORDS: Final = 600
"""They stand on a screen beside other things."""


async def close(
    session: Session,
    deps: Deps,
    what: str,
    *,
    by: Operator,
    reason: str,
    words: Mapping[str, str] | None = None,
) -> None:
    """Sell nothing new, or begin no new payments in one way; a step.

    ``what``: ``closures.SHOP`` or ``closures.way(code)``. ``words``: to customers, by language. What was
    begun goes on: money that comes is settled, what is paid is delivered. Raises NotAllowed,
    UnknownProvider, CannotDo where it is closed already.
    """
    require(deps, by)
    said = checked(words or {})
    if what != closures.SHOP:
        deps.provider(what.partition(":")[2])
    if not await closures.close(session, what, by=by.name, words=said, now=deps.clock()):
        raise CannotDo("это уже закрыто")
    await _note(session, deps, "close", what, by=by, reason=reason)


async def reopen(session: Session, deps: Deps, what: str, *, by: Operator, reason: str) -> None:
    """Sell again; a step. Raises NotAllowed, CannotDo where it is open."""
    require(deps, by)
    if not await closures.reopen(session, what):
        raise CannotDo("это и так открыто")
    await _note(session, deps, "open", what, by=by, reason=reason)


async def require_open(session: Session) -> closures.Closures:
    """What is closed, but for the shop itself: raises ShopClosed."""
    found = await closures.read(session)
    if found.shop is not None:
        raise ShopClosed
    return found


def checked(words: Mapping[str, str]) -> dict[str, str]:
    """The words without what no text may hold; raises CannotDo where they are too long."""
    said = {code: text.replace("\0", "").strip() for code, text in words.items()}
    if any(len(text) > LONGEST_WORDS for text in said.values()):
        raise CannotDo(f"в словах клиентам может быть до {LONGEST_WORDS} знаков")
    return {code: text for code, text in said.items() if text}


async def _note(session: Session, deps: Deps, deed: str, what: str, *, by: Operator, reason: str) -> None:
    await audit.note(
        session,
        actor=by.name,
        action=f"sales.{deed}",
        subject=what,
        reason=reason,
        outcome="closed" if deed == "close" else "open",
        now=deps.clock(),
    )
