"""``2getpro reconcile`` as an operator types it after a restore."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from getpro import cli
from getpro.checks import database
from getpro.kit.clock import utc_now
from getpro.panel.client import PanelClient
from getpro.panel.service import WantedAccess
from getpro.platform.settings import Settings
from getpro.sandbox.panel import PanelSimulator
from getpro.sandbox.serving import serving
from getpro.sandbox.telegram import TelegramSimulator

TOKEN = "42:TEST"


@dataclass
class Done:
    code: int
    said: str
    complained: str


@dataclass
class Place:
    """A restored database, and an outside that is simulated."""

    panel: PanelSimulator
    database_url: str

    async def reconcile(self, *arguments: str) -> Done:
        return await asyncio.to_thread(_run, "reconcile", *arguments)

    def marks(self) -> list[Any]:
        with psycopg.connect(self.database_url) as connection:
            return connection.execute("SELECT reconciled_at IS NULL FROM restores").fetchall()


def _run(*arguments: str) -> Done:
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        code = cli.execute(list(arguments))
    return Done(code, stdout.getvalue(), stderr.getvalue())


@pytest.fixture
async def place(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    telegram, panel = TelegramSimulator(TOKEN), PanelSimulator("panel-token")
    async with serving(telegram.app) as telegram_url, serving(panel.app) as panel_url:
        settings = {
            "DATABASE_URL": database_url,
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_API_URL": telegram_url,
            "PANEL_URL": panel_url,
            "PANEL_TOKEN": "panel-token",
        }
        (tmp_path / ".env").write_text("\n".join(f"{name}={value}" for name, value in settings.items()))
        monkeypatch.chdir(tmp_path)
        yield Place(panel, database_url)


async def judged(place: Place) -> str:
    """What the doctor says of the database."""
    return " ".join([finding.seen async for finding in database.look(place.database_url, "UTC")])


async def test_without_a_mark_or_a_time_there_is_nothing_to_go_by(place: Place) -> None:
    done = await place.reconcile()
    assert done.code == 2
    assert "В базе нет отметки" in done.complained
    assert "Магазин закрыт" not in done.complained
    for written in ("вчера", "2100-01-01 00:00"):
        assert (await place.reconcile("--restored-to", written)).code == cli.USAGE
    assert place.marks() == []


async def test_what_the_panel_has_more_is_told_and_the_shop_goes_on(place: Place) -> None:
    settings = Settings()  # type: ignore[call-arg] # those of the place
    panel = PanelClient(settings.panel, settings.shop, owner="2getpro:42")
    end = utc_now().replace(microsecond=0) + timedelta(days=3)
    await panel.create(WantedAccess(subscription_id=7, user_id=555, end_date=end), "tg_555")
    await panel.close()
    moment = (utc_now() - timedelta(hours=1)).isoformat()
    place.panel.faults.now.away = True
    away = await place.reconcile("--restored-to", moment)
    assert away.code == 2
    assert "Магазин закрыт, пока сверка не дойдёт до конца" in away.complained
    assert place.marks() == [(True,)]
    assert "сверка не закончена" in await judged(place)
    place.panel.faults.now.away = False
    done = await place.reconcile()
    assert done.code == 1, done.complained
    assert "… Спрашиваю провайдеров" in done.said
    assert "клиент взят с панели: пробный период или подарок" in done.said
    assert "u555" in done.said
    assert "Сверка закончена, магазин открыт." in done.said
    assert place.marks() == [(False,)]
    assert "сверка" not in await judged(place)
    told = json.loads((await place.reconcile("--restored-to", moment, "--json")).said)
    (finding,) = told["findings"]
    assert (finding["kind"], finding["end_after"]) == ("newcomer", end.isoformat())


async def test_where_nothing_has_happened_since_nobody_has_anything_to_look_at(place: Place) -> None:
    done = await place.reconcile("--restored-to", "2026-01-01 00:00")
    assert done.code == 0, done.complained
    assert "Сверка закончена, магазин открыт.\n" in done.said
