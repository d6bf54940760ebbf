"""The drill: the shop from its copies alone, timed, written down where it is read on that day."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from copies import copies_in
from getpro.backups import drills, room, service
from getpro.backups.deps import Deps
from getpro.backups.drills import Drill
from getpro.backups.errors import NotRestored
from getpro.operations import drill
from getpro.operations.pictures import Bar, one_by_one
from getpro.platform.typesetting import draw
from shop import Shop

PLAN = "before\n<!-- учения -->\nold\n<!-- /учения -->\nafter\n"


@pytest.fixture
def deps(shop: Shop, database_url: str, tmp_path: Path) -> Deps:
    plan = tmp_path / "plan.md"
    plan.write_text(PLAN, encoding="utf-8")
    return replace(copies_in(tmp_path, db=shop.db, database_url=database_url, clock=shop.clock), plan=plan)


async def test_a_drill_takes_the_newest_copy_and_writes_down_how_long_it_took(deps: Deps, shop: Shop) -> None:
    await shop.purchase(await shop.customer("alice"))
    made = await service.create(deps, asked_by="olga")
    shop.clock.now += timedelta(hours=5)
    used: list[str] = []
    held = await drills.rehearse(replace(deps, use=used.append), asked_by="olga")
    assert held.is_good, held.trouble
    assert (held.source, held.rpo) == (made.name, timedelta(hours=5))
    assert [name for name, _ in held.steps][-3:] == ["Версия схемы", "Секреты", "Пробная покупка"]
    assert used
    assert not list(deps.trials.glob("scratch"))
    assert deps.plan is not None
    assert deps.plan.read_text(encoding="utf-8") == PLAN  # it belongs to a checkout
    plan = (deps.folder / "plan.md").read_text(encoding="utf-8")
    assert plan.startswith("before\n<!-- учения -->\n| Когда (UTC) |")
    assert plan.endswith("<!-- /учения -->\nafter\n")
    assert made.name in plan
    assert "old" not in plan
    assert "5 ч 0 мин" in (deps.folder / drills.PAGE).read_text(encoding="utf-8")
    async with deps.db.read("test") as session:
        assert [one.asked_by for one in await drills.newest_first(session, most=9)] == ["olga"]


async def test_a_drill_that_does_not_sell_or_has_no_copy_is_kept_as_bad(deps: Deps) -> None:
    none = await drills.rehearse(deps, asked_by="olga")
    assert (none.source, none.rpo, none.is_good) == ("", None, False)

    def cannot(_: str) -> None:
        raise NotRestored("купить нельзя")

    await service.create(deps, asked_by="olga")
    bad = await drills.rehearse(replace(deps, use=cannot), asked_by="olga")
    assert bad.trouble == "купить нельзя"
    async with deps.db.read("test") as session:
        assert len(await drills.newest_first(session, most=9)) == 2


async def test_a_drill_is_not_held_where_it_would_fill_the_disk(
    deps: Deps, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await service.create(deps, asked_by="olga")
    assert made.manifest is not None
    free = 2 * made.manifest.database_bytes + 128 * 2**20 + 256 * 2**20 - 1
    monkeypatch.setattr(room, "free_bytes", lambda _: free)
    held = await drills.rehearse(deps, asked_by="olga")
    assert (held.source, held.rpo, "нет места на диске" in (held.trouble or "")) == (made.name, None, True)


@pytest.mark.parametrize(
    ("rto", "rpo", "trouble", "level"),
    [
        (timedelta(minutes=3), timedelta(seconds=21), None, "ok"),
        (timedelta(minutes=16), timedelta(seconds=21), None, "wrong"),
        (timedelta(minutes=3), timedelta(hours=5), None, "wrong"),
        (timedelta(minutes=3), None, "копий нет", "wrong"),
    ],
)
async def test_what_was_promised_is_what_is_green(
    deps: Deps, rto: timedelta, rpo: timedelta | None, trouble: str | None, level: str
) -> None:
    async def rehearse() -> Drill:
        return Drill(deps.clock(), "2getpro-x", rto, rpo, [], trouble, "olga")

    [found] = [one async for one in drill.look(rehearse)]
    assert found.level == level


async def test_past_drills_are_drawn() -> None:
    bars = [Bar("15.10", 180, is_good=True), Bar("15.11", 950, is_good=False)]
    for some in (bars, []):
        assert (await draw(one_by_one("Учения", some))).startswith(b"\x89PNG")
