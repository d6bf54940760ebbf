"""What is not sold just now, in the team's words."""

from datetime import datetime

from getpro.catalog.closures import Closures
from getpro.incidents.deps import Deps
from getpro.incidents.words import clock


def title(deps: Deps, code: str) -> str:
    """What operators call a way to pay; one that the shop has no more by its code."""
    known = deps.sales.providers.by_code.get(code)
    return code if known is None else known.title


def closed_in_words(deps: Deps, found: Closures, *, now: datetime) -> list[str]:
    """What is closed, since when and by whom: a line each."""
    shop = [] if found.shop is None else [("Магазин закрыт на работы", found.shop)]
    ways = [(f"Не принимаем новых оплат: {title(deps, code)}", one) for code, one in found.ways.items()]
    return [
        f"{what}, с {clock(one.closed_at, deps.zone, now=now)}, {one.closed_by}" for what, one in shop + ways
    ]
