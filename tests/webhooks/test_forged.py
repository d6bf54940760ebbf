"""Notices that lie, from the right address. YooKassa signs none: only what it says when asked counts."""

import copy
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import text

from doors import Knocker, open_doors
from getpro.payments.providers.yookassa.client import YooKassaClient
from getpro.payments.providers.yookassa.provider import YooKassa
from getpro.payments.store import Payment
from getpro.platform.settings import YooKassaSettings
from getpro.sales import checkout
from getpro.sandbox.providers.yookassa import YooKassaSimulator
from getpro.sandbox.serving import serving
from getpro.webhooks.deps import Doors
from getpro.webhooks.refusals import Refusals
from shop import ONE_MONTH, THREE_MONTHS, Shop, days

ADDRESS = "185.71.76.1"
AMOUNT = {"value": "99.50", "currency": "RUB"}


@dataclass
class Till:
    """The shop's door, and YooKassa behind it."""

    door: Knocker
    shop: Shop
    yookassa: YooKassaSimulator
    refusals: Refusals
    strangers: Iterator[int] = field(default_factory=lambda: itertools.count(5000))

    async def order(self, user_id: int, plan: int = ONE_MONTH) -> Payment:
        async with self.shop.db.begin("test") as session:
            written = await checkout.write_order(
                session, self.shop.deps, user_id=user_id, plan_id=plan, provider_code="yookassa"
            )
        return await checkout.ask_provider(self.shop.deps, written)

    def notice(self, payment: Payment, **changes: Any) -> dict[str, Any]:
        """What YooKassa would say were the payment paid, with changes."""
        assert payment.object_id is not None
        paid = copy.deepcopy(self.yookassa.books.payments[payment.object_id])
        paid |= {"status": "succeeded", "paid": True} | changes
        return {"type": "notification", "event": "payment.succeeded", "object": paid}

    async def knock(self, notice: Any) -> int:
        status = await self.door.post(
            "/webhooks/yookassa", json.dumps(notice).encode(), X_Forwarded_For=ADDRESS
        )
        await self.shop.run_jobs()
        return status

    async def given(self) -> list[tuple[int, int]]:
        """Who has been given how many days."""
        async with self.shop.db.begin("test") as session:
            rows = await session.execute(
                text(
                    "SELECT user_id, sum(c.days)::int AS days FROM subscription_changes c"
                    " JOIN subscriptions USING (subscription_id) GROUP BY user_id ORDER BY user_id"
                )
            )
            return [(row.user_id, row.days) for row in rows]


@pytest.fixture
async def till(shop: Shop) -> AsyncIterator[Till]:
    yookassa = YooKassaSimulator("1", "k")
    async with serving(yookassa.app) as url:
        group = YooKassaSettings(shop_id="1", secret_key=SecretStr("k"), api_url=f"{url}/v3")
        client = YooKassaClient(group)
        shop.more_providers = (YooKassa(group, client),)
        doors = Doors(
            sales=shop.deps,
            handle_update=lambda _: pytest.fail("no update is expected"),
            telegram_secret=SecretStr("s"),
            panel_secret=None,
            trusted_proxies=[ip_network("127.0.0.1/32")],
        )
        async with open_doors(doors) as door:
            yield Till(door, shop, yookassa, doors.refusals)
        await client.close()


async def test_a_notice_about_money_that_was_not_taken_gives_nothing(till: Till) -> None:
    payment = await till.order(await till.shop.customer("alice"))
    assert await till.knock(till.notice(payment)) == 200
    assert await till.given() == []
    assert payment.object_id is not None
    till.yookassa.books.pay(payment.object_id)
    await till.knock(till.notice(payment))
    assert await till.given() == [(101, 30)]


async def test_whoever_was_refused_is_counted_where_they_came_from(till: Till) -> None:
    for _ in range(3):
        assert await till.door.post("/webhooks/yookassa", b"{}", X_Forwarded_For="203.0.113.7") == 403
    await till.refusals.flush(till.shop.db)
    async with till.shop.db.read("test") as session:
        rows = (await session.execute(text("SELECT door, source, times FROM refusals"))).all()
    assert rows == [("yookassa", "203.0.113.7", 3)]


async def test_the_amount_in_a_notice_is_not_believed(till: Till) -> None:
    payment = await till.order(await till.shop.customer("alice"), THREE_MONTHS)
    assert payment.object_id is not None
    till.yookassa.books.pay(payment.object_id)
    await till.knock(till.notice(payment, amount={"value": "999999.00", "currency": "RUB"}))
    assert await till.given() == [(101, 90)]
    assert (await till.shop.payment(payment.payment_id)).paid == payment.asked


async def test_a_paid_notice_replayed_for_another_order_counts_for_its_own(till: Till) -> None:
    alice, bob = await till.shop.customer("alice"), await till.shop.customer("bob")
    hers, his = await till.order(alice), await till.order(bob, THREE_MONTHS)
    assert hers.object_id is not None
    till.yookassa.books.pay(hers.object_id)
    await till.knock(till.notice(hers, metadata={"order_key": str(his.order_key)}))
    await till.knock(till.notice(his, id=his.object_id, metadata={"order_key": str(hers.order_key)}))
    assert await till.given() == [(alice, 30)]
    assert await till.shop.subscription_end(alice) == till.shop.clock() + days(30)


async def test_a_refund_is_believed_when_yookassa_has_made_it_and_is_recorded_once(till: Till) -> None:
    alice = await till.shop.customer("alice")
    payment = await till.order(alice)
    assert payment.object_id is not None
    till.yookassa.books.pay(payment.object_id)
    await till.knock(till.notice(payment))
    told = {"id": "forged", "status": "succeeded", "payment_id": payment.object_id, "amount": AMOUNT}
    await till.knock({"type": "notification", "event": "refund.succeeded", "object": told})
    assert await till.given() == [(alice, 30)]
    made = till.yookassa.books.refund({"payment_id": payment.object_id, "amount": AMOUNT})
    for _ in range(3):
        await till.knock({"type": "notification", "event": "refund.succeeded", "object": made})
    assert await till.given() == [(alice, 15)]
    assert await till.shop.told(alice) == ["access_open", "refunded"]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in inner for place in places(part, (*path, key)))]


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copied = copy.copy(value)
    copied[path[0]] = changed(value[path[0]], path[1:], new)
    return copied


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=40) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_no_change_of_a_notice_moves_money_that_was_not_taken(till: Till, data: st.DataObject) -> None:
    payment = await till.order(await till.shop.new_customer(next(till.strangers)))
    notice: Any = till.notice(payment)
    for _ in range(data.draw(st.integers(1, 3), "changes")):
        place = data.draw(st.sampled_from(places(notice)), "place")
        notice = changed(notice, place, data.draw(anything, "new"))
    assert await till.knock(notice) in {200, 400}
    assert await till.given() == []
    assert (await till.shop.payment(payment.payment_id)).status == "pending"


@pytest.mark.parametrize("name", ["", "a\x00b", "\ud800", "../refunds", "a/b", "a" * 65, 7, None, ["a"]])
async def test_an_id_that_is_none_is_refused_before_it_is_kept_or_asked_for(till: Till, name: Any) -> None:
    assert await till.knock({"event": "payment.succeeded", "object": {"id": name}}) == 400
    assert till.door.counted["yookassa: form"] == 1
