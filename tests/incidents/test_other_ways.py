"""Mail, SMS and push: whoever has got it by one way is not written to again by all the others' failures."""

import pytest

from duty import Watch
from getpro.incidents import other, service, team
from getpro.incidents.states import Level
from getpro.incidents.team import Actor


async def opened(watch: Watch) -> None:
    """Of the level that uses all ways."""
    async with watch.deps.db.begin("test") as session:
        for name in ("timur", "dima"):
            await team.remove_person(session, name, now=watch.now)
        await service.open_by_hand(session, watch.deps, "Беда", level=Level.L3, by=Actor("Ольга"))


async def test_one_way_that_is_broken_does_not_make_the_other_one_ring_for_ever(staffed: Watch) -> None:
    async with staffed.deps.db.begin("test") as session:
        broken = "mailto://127.0.0.1:9/?smtp=127.0.0.1&mode=insecure&from=shop@shop.example&to=o@shop.example"
        await team.add_way(session, staffed.deps, "olga", broken, shown="почта")
    await opened(staffed)
    for _ in range(3):
        await staffed.work()
    assert staffed.calls() == ["chat", "mail olga", "olga"]
    assert "магазин: Дошло: olga, почта, SMS, push; не приняли: mailto" in await staffed.line()


async def test_a_server_that_does_not_say_in_time_may_have_taken_it(
    staffed: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(other, "_SECONDS", 0.5)
    staffed.mail.seconds = 2
    await opened(staffed)
    await staffed.work()
    assert staffed.calls() == ["chat", "mail olga", "olga"]
    monkeypatch.undo()
    staffed.mail.seconds = 0
    await staffed.work()
    assert staffed.calls() == ["mail olga повтор"]
