"""The product boots on a restored database, all of its outside played, and sells there once."""

import asyncio
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from getpro.backups.errors import NotRestored
from getpro.bootstrap.synthetic import buy
from getpro.kit.trouble import Trouble
from getpro.sandbox.panel import PanelSimulator
from getpro.sandbox.providers.yookassa import YooKassaSimulator
from getpro.sandbox.serving import LOOPBACK, serving
from getpro.sandbox.shop.product import SandboxSettings
from getpro.sandbox.shop.world import Product, free_port
from getpro.sandbox.telegram import TelegramSimulator

_TOKEN: Final = "7000000001:restored"  # noqa: S105 -- opens nothing
_PANEL_TOKEN: Final = "restored"  # noqa: S105
_SHOP_ID: Final = "1"
_SECRET_KEY: Final = "test_restored"  # noqa: S105


def sell_once(database_url: str) -> None:
    """Raises NotRestored with what stopped it. Nothing of it leaves this machine."""
    try:
        asyncio.run(_sell_once(database_url))
    except Trouble as trouble:
        raise NotRestored(f"{trouble.what} {trouble.why}") from trouble


async def _sell_once(database_url: str) -> None:
    panel = PanelSimulator(_PANEL_TOKEN)
    apps: dict[str, web.Application] = {
        "telegram": TelegramSimulator(_TOKEN).app,
        "panel": panel.app,
        "yookassa": YooKassaSimulator(_SHOP_ID, _SECRET_KEY).app,
    }
    async with (
        serving(apps["telegram"]) as telegram_url,
        serving(apps["panel"]) as panel_url,
        serving(apps["yookassa"]) as yookassa_url,
    ):
        panel.public_url = panel_url
        port = free_port()
        values: dict[str, Any] = {
            "database_url": database_url,
            "listen_host": LOOPBACK,
            "listen_port": port,
            "metrics_port": 0,
            "telegram": {"bot_token": _TOKEN, "api_url": telegram_url},
            "yookassa": {"shop_id": _SHOP_ID, "secret_key": _SECRET_KEY, "api_url": f"{yookassa_url}/v3"},
            "panel": {"url": panel_url, "token": _PANEL_TOKEN},
            "operations": {"synthetic": False},
        }
        with tempfile.TemporaryDirectory(prefix="2getpro-proof-") as directory:
            file = _private(Path(directory) / "product.json", json.dumps(values))
            product = Product(file, f"http://{LOOPBACK}:{port}", Path(directory) / "product.log")
            try:
                await product.start()
                made = await buy(
                    SandboxSettings(**values), database_url=database_url, asked_by="restore test"
                )
            finally:
                await product.stop()
    if not made.is_success:
        raise NotRestored("; ".join(one.seen for one in made.findings if one.level not in {"ok", "absent"}))


def _private(path: Path, text: str) -> Path:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return path
