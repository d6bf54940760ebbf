"""Who acts for the shop, and whether they may: asked by each use case, whatever the door has shown."""

from dataclasses import dataclass

from getpro.sales.deps import Deps
from getpro.sales.errors import NotAllowed


@dataclass(frozen=True, slots=True)
class Operator:
    """A person who acts for the shop; the name stands in the records."""

    name: str
    telegram_id: int | None = None
    """None for whoever has the machine's command line, and with it everything."""


def is_operator(deps: Deps, telegram_id: int) -> bool:
    return telegram_id in deps.rules.operators


def require(deps: Deps, by: Operator) -> None:
    """Raises NotAllowed for whoever is no operator (any more)."""
    if by.telegram_id is not None and not is_operator(deps, by.telegram_id):
        raise NotAllowed
