"""Alertmanager's notifications, as its webhook brings them, until they stand in the operators' chat."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from pydantic import SecretStr

from doors import Knocker, open_doors
from duty import CHAT, Watch
from getpro.incidents.calling import QUIET
from getpro.operations.monitoring import DOOR as PATH
from getpro.webhooks import polling
from getpro.webhooks.deps import Doors
from moments import broken_at
from shop import Shop

TOKEN = "alerts-token"
NEVER = "0001-01-01T00:00:00Z"
BEGAN = "2026-03-01T11:59:00.000Z"


async def nobody(_: dict[str, Any]) -> None:
    return None


def doors_of(shop: Shop, watch: Watch | None, token: str | None = TOKEN) -> Doors:
    return Doors(
        sales=shop.deps,
        handle_update=nobody,
        telegram_secret=SecretStr("x"),
        panel_secret=None,
        trusted_proxies=[ip_network("127.0.0.1/32")],
        alerts_token=None if token is None else SecretStr(token),
        incidents=None if watch is None else watch.deps,
    )


@pytest.fixture
async def door(shop: Shop, watch: Watch) -> AsyncIterator[Knocker]:
    async with open_doors(doors_of(shop, watch)) as knocker:
        yield knocker


def alert(
    name: str,
    *,
    severity: str = "L2",
    status: str = "firing",
    summary: str = "",
    began: str = BEGAN,
    **labels: str,
) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": name, "severity": severity, "job": "bot"} | labels,
        "annotations": {"summary": summary or name, "runbook_url": "docs/operations/runbooks/disk.md"},
        "startsAt": began,
        "endsAt": NEVER,
        "generatorURL": "http://prometheus:9090/graph",
        "fingerprint": f"{name}{labels}",
    }


def notification(*alerts: dict[str, Any], status: str = "firing", group: str = "A") -> dict[str, Any]:
    return {
        "version": "4",
        "groupKey": f'{{}}:{{alertname="{group}"}}',
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "shop",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "alerts": list(alerts),
    }


async def post(door: Knocker, body: Any, token: str = TOKEN) -> int:
    return await door.post(PATH, body, Authorization=f"Bearer {token}")


async def test_what_fires_is_one_page_however_often_alertmanager_repeats_it(
    door: Knocker, watch: Watch
) -> None:
    body = notification(alert("PanelUnreachable", summary="Панель не отвечает"))
    assert [await post(door, body) for _ in range(3)] == [200, 200, 200]
    await watch.work()
    assert watch.calls() == ["chat"]
    title, stands, *steps, more = watch.shown().splitlines()
    assert (title, stands) == ("🔴 L2 · Панель не отвечает", "№1 · с 15:00 · ответ до 16:00")
    assert "1. Что занимает место." in steps
    assert more == "→ docs/operations/runbooks/disk.md"
    assert watch.buttons() == ["Взять", "Отложить 30 мин", "Выше", "Чем помочь", "Решён"]


async def test_what_is_over_is_seen_in_the_same_message_and_closes_after_a_quiet_time(
    door: Knocker, watch: Watch
) -> None:
    await post(door, notification(alert("A")))
    await watch.work()
    watch.shop.clock.forward(minutes=5)
    await post(door, notification(alert("A", status="resolved"), status="resolved"))
    await watch.work()
    assert "🟢 Сигналов больше нет с 15:05" in watch.shown()
    watch.shop.clock.forward(seconds=QUIET.total_seconds())
    await watch.work()
    assert watch.shown().splitlines() == [
        "🟢 L2 · A",
        "№1 · с 15:00 · решён в 15:15, за 15 мин",
        "",
        "Причина: сигналы прошли сами",
        "Сделано: ничего не делали",
    ]
    assert (watch.calls(), watch.buttons()) == (["chat"], [])


async def test_what_no_signal_speaks_of_any_more_calls_nobody(door: Knocker, watch: Watch) -> None:
    await post(door, notification(alert("A")))
    await watch.until(25)
    assert watch.calls() == ["chat"]
    await post(door, notification(alert("A", status="resolved"), status="resolved"))
    await watch.until(34)
    assert watch.calls() == [], "a reminder was due in between"
    await watch.until(35)
    assert (await watch.one()).state == "resolved"


async def test_alerts_of_a_group_and_those_that_begin_together_are_one_incident(
    door: Knocker, watch: Watch
) -> None:
    await post(door, notification(alert("A"), group="A"))
    await post(door, notification(alert("B"), alert("A"), group="A"))
    await post(door, notification(alert("C"), group="C"))
    watch.shop.clock.forward(minutes=2)
    await post(door, notification(alert("D"), group="C"))
    await watch.work()
    assert watch.calls() == ["chat"]
    assert "Сигналов: 4, горит 4" in watch.shown()
    await post(door, notification(alert("E"), group="E"))
    watch.shop.clock.forward(minutes=2)
    await post(door, notification(alert("F"), group="F"))
    await watch.work()
    assert watch.calls() == ["chat"], "it has begun later than all of the first"


async def test_a_graver_alert_raises_the_level_and_calls_anew(door: Knocker, watch: Watch) -> None:
    await post(door, notification(alert("A", severity="L1", summary="Мало места")))
    await watch.work()
    assert watch.calls() == ["chat"]
    await post(door, notification(alert("B", severity="L3", summary="База не отвечает"), group="B"))
    await watch.work()
    assert watch.calls() == ["chat"]
    assert watch.shown().startswith("🚨 L3 · База не отвечает\n")
    assert "магазин: L1 → L3: сигнал важнее прежних" in await watch.line()


async def test_one_that_flaps_goes_on_in_its_incident_and_calls_nobody_anew(
    door: Knocker, watch: Watch
) -> None:
    for minute in range(5):
        began = f"2026-03-01T12:{minute:02}:00Z"
        assert await post(door, notification(alert("A", began=began))) == 200
        watch.shop.clock.forward(seconds=30)
        over = notification(alert("A", began=began, status="resolved"), status="resolved")
        assert await post(door, over) == 200
        watch.shop.clock.forward(seconds=30)
        await watch.work()
    assert watch.calls() == ["chat"]
    assert "Сигналов: 1, горит 0, всего раз 5" in watch.shown()


async def test_the_findings_of_a_routine_and_the_alert_about_them_are_one_incident(
    door: Knocker, watch: Watch
) -> None:
    await post(door, notification(alert("RoutineMissed", routine="morning"), group="A"))
    watch.shop.clock.forward(minutes=10)
    await post(door, notification(alert("Other", routine="morning"), group="B"))
    assert (await watch.one()).turn == 1


@pytest.mark.parametrize(
    ("token", "body", "status"),
    [
        ("wrong", notification(alert("A")), 401),
        ("", notification(alert("A")), 401),
        (TOKEN, b"no json", 400),
        (TOKEN, {"status": "firing"}, 400),
        (TOKEN, notification({"status": "firing"}), 400),
        (TOKEN, b"x" * 2_000_000, 413),
    ],
)
async def test_what_is_no_notification_changes_nothing_and_is_counted(
    door: Knocker, watch: Watch, token: str, body: Any, status: int
) -> None:
    assert await post(door, body, token) == status
    assert await watch.rows("SELECT FROM incidents") == []
    assert sum(count for what, count in door.counted.items() if what.startswith("alertmanager: ")) == 1


async def test_a_call_played_once_more_after_it_was_over_is_refused(door: Knocker, watch: Watch) -> None:
    firing = notification(alert("A"))
    await post(door, firing)
    await post(door, notification(alert("A", status="resolved"), status="resolved"))
    assert await post(door, firing) == 409
    watch.shop.clock.forward(hours=1)
    await watch.work()
    assert await post(door, firing) == 409
    assert (await watch.one()).state == "resolved"
    assert door.counted["alertmanager: replay"] == 2
    assert await post(door, notification(alert("A", began="2026-03-01T13:00:00Z"))) == 200
    assert len(await watch.rows("SELECT FROM incidents")) == 2


async def test_an_old_call_that_it_is_over_does_not_end_what_fires_now(door: Knocker, watch: Watch) -> None:
    await post(door, notification(alert("A", began="2026-03-01T12:00:00Z")))
    await post(door, notification(alert("A", began=BEGAN, status="resolved"), status="resolved"))
    assert (await watch.one()).quiet_since is None


async def test_a_shop_without_a_token_has_no_such_door(shop: Shop, watch: Watch) -> None:
    for doors in (doors_of(shop, watch, None), doors_of(shop, None)):
        async with open_doors(doors) as knocker:
            assert await post(knocker, notification(alert("A")), token="") == 404
            assert await post(knocker, notification(alert("A")), token="None") == 404


async def test_what_cannot_be_written_is_not_acknowledged(door: Knocker, watch: Watch) -> None:
    """Alertmanager tries again after a 5xx."""
    with broken_at("alerts: before commit"):
        assert await post(door, notification(alert("A"))) == 503
    assert await post(door, notification(alert("A"))) == 200
    await watch.work()
    assert watch.calls() == ["chat"]


async def test_a_storm_is_one_incident_with_a_count_and_one_page(
    door: Knocker, watch: Watch, figure: Callable[[str], None]
) -> None:
    for number in range(20):
        some = [alert(f"A{number}", instance=str(one)) for one in range(25)]
        assert await post(door, notification(*some, group=f"A{number}")) == 200
        watch.shop.clock.now += timedelta(seconds=3)
    await watch.work()
    assert watch.calls() == ["chat"]
    shown = watch.shown().splitlines()
    assert "Сигналов: 500, горит 500" in shown
    assert "И ещё 495." in shown
    assert shown[-1] == "→ docs/operations/runbooks/disk.md"
    edits = [call for call in watch.telegram.state.calls if call["method"] == "editMessageText"]
    assert len(edits) <= 1


@pytest.mark.long
async def test_in_a_storm_of_single_calls_the_shop_still_sells(
    door: Knocker, watch: Watch, figure: Callable[[str], None]
) -> None:
    shop = watch.shop

    async def seconds_of_a_purchase(name: str) -> float:
        customer, began = await shop.customer(name), time.monotonic()
        await shop.purchase(customer)
        assert await shop.subscription_end(customer) is not None
        return time.monotonic() - began

    async def alerts(first: int) -> set[int]:
        """As a few connections of Alertmanager's bring them: each a group of its own."""
        pairs = [(alert(f"A{one}", part="a"), alert(f"A{one}", part="b")) for one in range(first, 250, 10)]
        return {await post(door, notification(*pair, group=str(pair))) for pair in pairs}

    usual = await seconds_of_a_purchase("alice")
    began, storm = time.monotonic(), asyncio.gather(*map(alerts, range(10)))
    await asyncio.sleep(0.1)
    within = await seconds_of_a_purchase("bob")
    assert not storm.done(), "the purchase was over before the storm"
    assert set().union(*await storm) == {200}
    figure(f"500 alerts in {time.monotonic() - began:.1f} s; a purchase {usual:.2f} s, within {within:.2f} s")
    assert within < 2
    await watch.work()
    assert watch.calls() == ["chat"]
    assert "Сигналов: 500, горит 500" in watch.shown()


async def test_a_shop_that_polls_hears_of_alerts(door: Knocker, watch: Watch, database_url: str) -> None:
    async with (
        polling._alone(database_url),
        asyncio.timeout(5),
    ):
        assert await post(door, notification(alert("A"))) == 200
    await watch.work()
    assert watch.calls() == ["chat"]


async def test_a_summary_is_never_too_long_nor_too_strange_to_be_told(door: Knocker, watch: Watch) -> None:
    assert await post(door, notification(alert("A", severity="L3", summary="<беда>\0" * 3000))) == 200
    await watch.work()
    assert watch.shown(CHAT).startswith("🚨 L3 · <беда><беда>")
    assert len(watch.shown()) < 1000


async def test_an_old_alert_among_new_ones_is_heard_of_and_the_new_ones_are_written(
    door: Knocker, watch: Watch
) -> None:
    await post(door, notification(alert("A")))
    await post(door, notification(alert("A", status="resolved"), status="resolved"))
    assert await post(door, notification(alert("A"), alert("B"))) == 409
    titles = await watch.rows("SELECT title FROM incident_signals ORDER BY signal_id")
    assert [row.title for row in titles] == ["A", "B"]
