"""The week as a picture for a phone."""

import struct
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from getpro.operations import week
from getpro.operations.deps import Deps
from getpro.operations.pictures import Bars, week_against_week
from getpro.platform.settings import OperationsSettings
from getpro.platform.typesetting import NotDrawn, draw
from shop import Shop


def size(png: bytes) -> tuple[int, int]:
    """Its width and height, from the first chunk."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


async def test_a_week_of_any_figures_is_drawn_a_phone_wide() -> None:
    monday = date(2026, 11, 30)
    charts = [
        Bars("Выручка, ₽", [0, 1, 999, 12_345, 99_999, 123_456, 12_345_678], [0.5] * 7),
        Bars("Новые клиенты", [0] * 7, [0] * 7),
    ]
    source = week_against_week(charts, monday, monday + timedelta(days=6))
    for words in ("30 ноября – 6 декабря", '"пн"', "[12\u00a0345]", "[123 тыс]", "[12,3 млн]"):
        assert words in source
    width, height = size(await draw(source))
    assert width == 1080
    assert 800 < height < 1600


async def test_what_cannot_be_drawn_says_why() -> None:
    with pytest.raises(NotDrawn, match="unclosed"):
        await draw("#box(")


async def test_the_week_is_drawn_by_the_operators_whole_days(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sold at ten at night in UTC: in Moscow that is the next day."""
    sources: list[str] = []

    async def keep(source: str) -> bytes:
        sources.append(source)
        return await draw(source)

    monkeypatch.setattr(week, "draw", keep)
    shop.clock.now = shop.clock.now.replace(hour=22)  # a Sunday
    await shop.purchase(await shop.customer("alice"))
    deps = Deps(shop.db, shop.jobs, shop.clock, ZoneInfo("Europe/Moscow"), OperationsSettings(), {})
    shop.clock.now += timedelta(days=7, hours=9)  # Monday morning, both there and here
    assert size(await week.picture(deps, shop.clock()))[0] == 1080
    [source] = sources
    assert "2 марта – 8 марта" in source
    columns = [line for line in source.splitlines() if "[199]" in line]
    assert ['"пн"' in line for line in columns] == [True]
