"""Alertmanager's notifications, as its webhook brings them, until they stand in the operators' chat."""

from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from doors import Knocker, open_doors
from getpro.operations.monitoring import DOOR as PATH
from getpro.webhooks.alerts import Notification, as_message
from getpro.webhooks.deps import Doors
from moments import broken_at
from shop import Shop

TOKEN = "alerts-token"
NEVER = "0001-01-01T00:00:00Z"


async def nobody(_: dict[str, Any]) -> None:
    return None


@pytest.fixture
async def door(shop: Shop) -> AsyncIterator[Knocker]:
    doors = Doors(
        sales=shop.deps,
        handle_update=nobody,
        telegram_secret=SecretStr("x"),
        panel_secret=None,
        trusted_proxies=[ip_network("127.0.0.1/32")],
        alerts_token=SecretStr(TOKEN),
    )
    async with open_doors(doors) as knocker:
        yield knocker


def alert(name: str, *, severity: str = "L2", status: str = "firing", summary: str = "") -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": name, "severity": severity, "job": "bot"},
        "annotations": {"summary": summary or name, "runbook_url": "docs/operations/runbooks/disk.md"},
        "startsAt": "2026-11-28T10:00:00.000Z",
        "endsAt": NEVER,
        "generatorURL": "http://prometheus:9090/graph",
        "fingerprint": f"{hash(name) & 0xFFFFFFFF:016x}",
    }


def notification(*alerts: dict[str, Any], status: str = "firing") -> dict[str, Any]:
    return {
        "version": "4",
        "groupKey": "{}:{}",
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


async def written(shop: Shop) -> list[str]:
    async with shop.db.begin("test") as session:
        rows = await session.scalars(text("SELECT text FROM operator_messages ORDER BY message_id"))
        return list(rows)


async def test_what_fires_is_told_once_however_often_alertmanager_repeats_it(
    door: Knocker, shop: Shop
) -> None:
    body = notification(alert("PanelUnreachable", summary="Панель не отвечает"))
    assert [await post(door, body) for _ in range(3)] == [200, 200, 200]
    assert await written(shop) == ["🔴 <b>Панель не отвечает</b> (L2)\n   → docs/operations/runbooks/disk.md"]


async def test_what_is_over_is_told_too(door: Knocker, shop: Shop) -> None:
    await post(door, notification(alert("A")))
    await post(door, notification(alert("A", status="resolved"), status="resolved"))
    assert (await written(shop))[1] == "🟢 Прошло: A"


async def test_a_further_alert_of_the_group_is_news(door: Knocker, shop: Shop) -> None:
    await post(door, notification(alert("A")))
    await post(door, notification(alert("B"), alert("A")))
    await post(door, notification(alert("A"), alert("B")))  # the same, in another order
    assert len(await written(shop)) == 2


@pytest.mark.parametrize(
    ("token", "body", "status"),
    [
        ("wrong", notification(), 401),
        ("", notification(), 401),
        (TOKEN, b"no json", 400),
        (TOKEN, {"status": "firing"}, 400),
        (TOKEN, notification({"status": "firing"}), 400),
        (TOKEN, b"x" * 2_000_000, 413),
    ],
)
async def test_what_is_no_notification_changes_nothing(
    door: Knocker, shop: Shop, token: str, body: Any, status: int
) -> None:
    assert await post(door, body, token) == status
    assert await written(shop) == []


async def test_a_shop_without_a_token_has_no_such_door(shop: Shop) -> None:
    doors = Doors(
        sales=shop.deps,
        handle_update=nobody,
        telegram_secret=SecretStr("x"),
        panel_secret=None,
        trusted_proxies=[],
    )
    async with open_doors(doors) as knocker:
        assert await post(knocker, notification(alert("A")), token="") == 404
        assert await post(knocker, notification(alert("A")), token="None") == 404


async def test_what_cannot_be_written_is_not_acknowledged(door: Knocker, shop: Shop) -> None:
    """Alertmanager tries again after a 5xx."""
    with broken_at("alerts: before commit"):
        assert await post(door, notification(alert("A"))) == 503
    assert await post(door, notification(alert("A"))) == 200
    assert len(await written(shop)) == 1


def test_the_gravest_stands_first_and_a_flood_is_counted() -> None:
    many = [alert(f"A{number:02}", severity="L1", summary="<&>") for number in range(12)]
    told = Notification.model_validate(notification(*many, alert("Z", severity="L3", summary="База")))
    lines = as_message(told).splitlines()
    assert lines[0] == "🚨 <b>База</b> (L3)"
    assert lines[2] == "🟡 <b>&lt;&amp;&gt;</b> (L1)"
    assert lines[-1] == "И ещё 3."
    assert "Что делать" not in as_message(told)
    linked = as_message(told, what_to_do="http://203.0.113.5:3000/d/getpro-runbooks").splitlines()
    assert linked[-1] == '<a href="http://203.0.113.5:3000/d/getpro-runbooks">Что делать</a>'


async def test_a_summary_is_never_too_long_nor_too_strange_to_be_told(door: Knocker, shop: Shop) -> None:
    assert await post(door, notification(alert("A", severity="L3", summary="беда\0" * 3000))) == 200
    [words] = await written(shop)
    assert words.startswith("🚨 <b>бедабеда")
    assert len(words) < 1000
