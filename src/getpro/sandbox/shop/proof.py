"""The product boots on a restored database, all of its outside played, and sells there once.

``python -m getpro.sandbox.shop.proof`` reads the database's address from its input. Code 0: it sold; 1: what
stopped it is the last line of its output. Nothing of it leaves this machine.
"""

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from getpro.backups.errors import NotRestored
from getpro.bootstrap.synthetic import buy
from getpro.kit.trouble import Trouble
from getpro.platform.cipher import new_key
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


def main() -> int:
    try:
        asyncio.run(_sell_once(sys.stdin.read().strip()))
    except Trouble as trouble:
        sys.stdout.write(f"{trouble.what} {trouble.why}\n")
        return 1
    except NotRestored as error:
        sys.stdout.write(f"{error}\n")
        return 1
    return 0


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
            "database_keys": new_key(),
            "listen_host": LOOPBACK,
            "listen_port": port,
            "metrics_port": 0,
            "telegram": {"bot_token": _TOKEN, "api_url": telegram_url},
            "yookassa": {"shop_id": _SHOP_ID, "secret_key": _SECRET_KEY, "api_url": f"{yookassa_url}/v3"},
            "panel": {"url": panel_url, "token": _PANEL_TOKEN},
            "operations": {"synthetic": False},
            "backup": {"enabled": False},
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


if __name__ == "__main__":
    sys.exit(main())
