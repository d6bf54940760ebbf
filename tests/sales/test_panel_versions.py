"""The shop and the true client before panels of both kinds, and before one that is upgraded meanwhile."""

import contextlib
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from getpro.panel import accounts
from getpro.panel.client import PanelClient
from getpro.panel.errors import PanelRefused
from getpro.platform.settings import PanelSettings, ShopSettings
from getpro.sales import reconcile
from getpro.sales.reconcile import Difference
from getpro.sales.stuck import StuckWork, list_stuck
from getpro.sandbox.panel import PanelSimulator
from getpro.sandbox.panel.editions import Edition
from getpro.sandbox.serving import serving
from getpro.sandbox.shop.world import free_port
from shop import Shop, days

TOKEN = "panel-token"
OLD, NEW = "2.8.1", "3.3.2"


@contextlib.asynccontextmanager
async def panel_for(
    shop: Shop, version: str, *, port: int, instead_of: PanelSimulator | None = None
) -> AsyncIterator[PanelSimulator]:
    """``instead_of``: the panel that was upgraded to this one, with its users and squads."""
    panel = PanelSimulator(TOKEN, version=version, public_url="http://panel.example", clock=shop.clock)
    if instead_of is not None:
        panel.state.users, panel.state.squads = instead_of.state.users, instead_of.state.squads
    async with serving(panel.app, port=port):
        yield panel


@contextlib.asynccontextmanager
async def connected(shop: Shop, port: int) -> AsyncIterator[None]:
    """The shop speaks to the panel on that port with its true client."""
    settings = PanelSettings(url=f"http://127.0.0.1:{port}", token=SecretStr(TOKEN))
    client = PanelClient(settings, ShopSettings(), owner="shop")
    shop.panel = client  # type: ignore[assignment] # in the place of the fake
    yield
    await client.close()


async def known_as(shop: Shop, *subscriptions: int) -> list[str]:
    """The identities that the shop remembers."""
    async with shop.db.begin("test") as session:
        found = [await accounts.of_subscription(session, number) for number in subscriptions]
    return [account.panel_user_id for account in found if account is not None]


async def differing(shop: Shop) -> list[tuple[Difference, str]]:
    findings = (await reconcile.compare_panel(shop.deps)).findings
    return [(finding.difference, finding.username) for finding in findings]


@pytest.mark.parametrize("version", [OLD, NEW])
async def test_a_purchase_a_renewal_and_a_repair_reach_a_panel_of_either_kind(
    shop: Shop, version: str
) -> None:
    port = free_port()
    async with panel_for(shop, version, port=port) as panel, connected(shop, port):
        alice = await shop.customer("alice")
        await shop.purchase(alice)
        await shop.purchase(alice)
        (user,) = panel.state.users.values()
        assert user.expireAt == await shop.subscription_end(alice) == shop.clock() + days(60)
        assert await known_as(shop, 1) == [str(getattr(user, panel.state.edition.key))]
        assert await differing(shop) == []
        user.status, user.expireAt, user.squads = "DISABLED", shop.clock() + days(1), []
        comparison = await reconcile.compare_panel(shop.deps)
        kinds = [Difference.DISABLED, Difference.SHORTER, Difference.SQUADS]
        assert [finding.difference for finding in comparison.findings] == kinds
        assert await reconcile.apply(shop.deps, comparison) == 1
        assert await shop.run_jobs() == []
        assert await differing(shop) == []
        panel.state.delete(user)
        assert await differing(shop) == [(Difference.MISSING, "tg_101")]


async def test_a_panel_that_is_upgraded_while_the_shop_runs_keeps_its_users(shop: Shop) -> None:
    alice, bob = await shop.customer("alice"), await shop.customer("bob")
    port = free_port()
    async with connected(shop, port):
        async with panel_for(shop, OLD, port=port) as old:
            await shop.purchase(alice)
            await shop.purchase(bob)
            uuids = [user.uuid for user in old.state.users.values()]
            assert await known_as(shop, 1, 2) == uuids
        async with panel_for(shop, NEW, port=port, instead_of=old) as new:
            users = list(new.state.users.values())
            for user in users:
                user.description = "changed by an operator"
            renewal = await shop.order(alice)
            await shop.notice(shop.pay(renewal))
            assert [type(error) for error in await shop.run_jobs()] == [PanelRefused]  # it still spoke 2.8
            assert await shop.run_jobs() == []
            assert await known_as(shop, 1, 2) == ["1", uuids[1]]
            comparison = await reconcile.compare_panel(shop.deps)
            assert [finding.difference for finding in comparison.findings] == [Difference.RENUMBERED]
            assert await reconcile.apply(shop.deps, comparison) == 1
            assert await shop.run_jobs() == []
            assert await known_as(shop, 1, 2) == ["1", "2"]
            assert await differing(shop) == []
            assert list(new.state.users.values()) == users
            assert [user.expireAt - shop.clock() for user in users] == [days(60), days(30)]


async def test_a_delivery_to_a_panel_of_an_unknown_version_waits_and_says_why(shop: Shop) -> None:
    alice = await shop.customer("alice")
    port = free_port()
    async with panel_for(shop, NEW, port=port) as panel, connected(shop, port):
        panel.state.edition = Edition()
        panel.state.edition.version = "4.0.0"
        await shop.purchase(alice)
        shop.clock.forward(minutes=6)
        (item,) = await list_stuck(shop.deps)
        assert item.kind is StuckWork.NOT_DELIVERED_REFUSED
        assert "'4.0.0'" in item.details
        assert "2.7, 2.8 и 3.x" in item.details
        assert panel.state.users == {}
        panel.state.edition.version = "3.5.0"
        assert await shop.run_jobs() == []
        assert await list_stuck(shop.deps) == []
        assert [user.telegramId for user in panel.state.users.values()] == [alice]
