"""Comparing with the panel: strangers stay strangers, and what happens meanwhile is no difference."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from fakes import FakePanel
from getpro.panel.service import Allowance, PanelUser
from getpro.sales import reconcile
from getpro.sales.reconcile import Difference
from shop import NOW, Shop


async def test_a_stranger_who_has_our_number_is_not_our_customer(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    for name, telegram_id in (("tg_999", 999), (f"tg_{alice}", 999), ("tg_999", alice)):
        shop.panel.users_by_id.clear()
        assert shop.panel.foreign_user(name, telegram_id=telegram_id).account.panel_user_id == "1"
        comparison = await reconcile.compare_panel(shop.deps)
        assert [finding.difference for finding in comparison.findings] == [Difference.MISSING]


async def test_a_user_of_ours_whom_nothing_names_is_shown_though_the_number_is_known(shop: Shop) -> None:
    await shop.purchase(await shop.customer("alice"))
    shop.panel.users_by_id.clear()
    left = shop.panel.foreign_user("tg_777", telegram_id=777)
    shop.panel.users_by_id["1"] = replace(left, description="shop:77")
    findings = (await reconcile.compare_panel(shop.deps)).findings
    assert [finding.difference for finding in findings] == [Difference.MISSING, Difference.ORPHAN]


class SlowPanel(FakePanel):
    """While its users are listed something else happens."""

    async def meanwhile(self) -> None:
        pass

    async def users(self) -> AsyncIterator[PanelUser]:
        listed = list(self.users_by_id.values())
        await self.meanwhile()
        for user in listed:
            yield user


async def test_what_is_delivered_while_the_panel_is_listed_is_no_difference(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.panel = panel = SlowPanel()
    alice, bob, charlie = [await shop.customer(name) for name in ("alice", "bob", "charlie")]
    await shop.purchase(alice)
    await shop.purchase(charlie)
    shop.panel.set_expiry("2", NOW)

    async def purchases() -> None:
        await shop.purchase(alice)  # seen with the end before
        await shop.purchase(bob)  # not seen at all

    monkeypatch.setattr(panel, "meanwhile", purchases)
    comparison = await reconcile.compare_panel(shop.deps)
    found = [(finding.difference, finding.username) for finding in comparison.findings]
    assert found == [(Difference.SHORTER, f"tg_{charlie}")]
    assert comparison.compared == 1


async def test_a_user_who_is_being_made_is_no_orphan(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.notice(shop.pay(await shop.order(alice)))
    shop.panel.loses_answers = True
    await shop.run_jobs()
    shop.panel.loses_answers = False
    assert len(shop.panel.users_by_id) == 1
    assert (await reconcile.compare_panel(shop.deps)).findings == []
    await shop.run_jobs()
    assert (await reconcile.compare_panel(shop.deps)).findings == []


async def test_limits_above_what_the_shop_gives_are_counted_by_the_user(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("alice", "bob"):
        await shop.purchase(await shop.customer(name))
    shop.panel.users_by_id["1"] = replace(shop.panel.users_by_id["1"], device_limit=9, traffic_bytes=500)
    shop.panel.users_by_id["2"] = replace(shop.panel.users_by_id["2"], device_limit=1, traffic_bytes=100)

    async def lowered() -> Allowance:
        return Allowance(frozenset(), traffic_bytes=100, device_limit=3)

    monkeypatch.setattr(shop.panel, "allowance", lowered)
    comparison = await reconcile.compare_panel(shop.deps)
    assert (comparison.generous, comparison.to_apply, comparison.to_decide) == (1, [2], 0)
