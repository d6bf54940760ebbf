"""What the routines find red calls people, once; green again it is over; a missed one calls, too."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from sqlalchemy import update

from duty import MOSCOW, Watch, watch
from getpro.checks.check import Finding, Line
from getpro.operations.alarms import patience
from getpro.operations.deps import Deps
from getpro.operations.jobs import look_for_missed, schedules
from getpro.operations.routines import ROUTINES, Routine, carry_out
from getpro.platform import schedules as planned
from getpro.platform.settings import OperationsSettings
from monitors import ROOT
from operations.test_routines import looking_at

__all__ = ["watch"]

ROOM = Line("room", "Комната")


@pytest.fixture
def deps(watch: Watch, tmp_path: Path) -> Deps:
    return Deps(
        db=watch.shop.db,
        jobs=watch.shop.jobs,
        clock=watch.shop.clock,
        zone=MOSCOW,
        settings=OperationsSettings(),
        folders={"data": tmp_path},
        incidents=watch.deps,
    )


def named(name: str, *findings: Finding) -> Routine:
    return replace(looking_at(*findings), name=name)


async def test_what_is_red_calls_once_and_is_over_when_another_routine_finds_it_green(
    watch: Watch, deps: Deps
) -> None:
    for hours in range(3):
        await carry_out(deps, named("watch", ROOM.wrong("грязно", "уберите"), ROOM.ok("светло")))
        watch.shop.clock.now = watch.began + timedelta(minutes=20 * hours)
    await watch.work()
    assert watch.calls() == ["chat"]
    assert watch.shown().splitlines()[0] == "🟡 L1 · Комната: грязно"
    assert watch.shown().splitlines()[-1] == "→ уберите"
    await carry_out(deps, named("evening", ROOM.attention("пыльно", "протрите")))
    await watch.work()
    assert "🟢 Сигналов больше нет" in watch.shown()


async def test_what_could_not_be_checked_is_as_red(watch: Watch, deps: Deps) -> None:
    await carry_out(deps, looking_at(ROOM.unknown("дверь закрыта", "откройте")))
    assert (await watch.one()).title == "Комната: не проверено: дверь закрыта"


async def test_money_and_copies_are_graver(watch: Watch, deps: Deps) -> None:
    await carry_out(deps, looking_at(Line("money.stuck", "Застряло").wrong("трое ждут", "решите")))
    assert (await watch.one()).level == "L2"


async def test_whoever_looks_by_hand_calls_nobody_but_sees_it_end(watch: Watch, deps: Deps) -> None:
    red = looking_at(ROOM.wrong("грязно", "уберите"))
    await carry_out(deps, red, asked_by="ольга", tell=False)
    assert await watch.rows("SELECT FROM incidents") == []
    await carry_out(deps, red)
    await carry_out(deps, looking_at(ROOM.ok("чисто")), asked_by="ольга", tell=False)
    assert (await watch.one()).quiet_since is not None


async def test_a_routine_that_did_not_take_place_calls_and_is_over_with_its_run(
    watch: Watch, deps: Deps
) -> None:
    now = watch.shop.clock()
    async with deps.db.begin("test") as session:
        await planned.declare(session, schedules("Europe/Moscow"), now=now)
    await look_for_missed(deps)
    assert await watch.rows("SELECT FROM incidents") == []
    async with deps.db.begin("test") as session:
        rows = planned.schedules
        await session.execute(update(rows).where(rows.c.name == "ops_morning").values(last_run_at=now))
    watch.shop.clock.forward(minutes=31)
    for _ in range(2):
        await look_for_missed(deps)
    assert (await watch.one()).title == "Утренняя проверка: не состоялась"
    await carry_out(deps, named("morning", ROOM.ok("чисто")))
    assert (await watch.one()).quiet_since is not None
    assert "morning" in ROUTINES


def test_the_rule_about_missed_routines_waits_as_long_as_the_shop_itself() -> None:
    """What may run for hours is not late after half of one."""
    rules = yaml.safe_load((ROOT / "deploy/prometheus/rules/watching.yml").read_text(encoding="utf-8"))
    [rule] = [
        one for group in rules["groups"] for one in group["rules"] if one.get("alert") == "RoutineMissed"
    ]
    own = {name: int(seconds) for name, seconds in re.findall(r'routine="(\w+)"} ?\) > (\d+)', rule["expr"])}
    usual = re.search(r'routine!~"([\w|]+)"}\) > (\d+)', rule["expr"])
    assert usual is not None
    assert set(usual[1].split("|")) == set(own)
    for routine in ROUTINES.values():
        assert own.get(routine.name, int(usual[2])) == patience(routine).total_seconds(), routine.name
