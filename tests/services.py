"""The services around a shop, simulated, and a folder with the settings that lead to them."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from getpro.sandbox.panel import PanelSimulator
from getpro.sandbox.providers.cryptopay import CryptoPaySimulator
from getpro.sandbox.providers.yookassa import YooKassaSimulator
from getpro.sandbox.serving import serving
from getpro.sandbox.telegram import TelegramSimulator

BOT_TOKEN = "42:bot-token-of-a-test"
SHOP_ID, SECRET_KEY = "100500", "test_key-of-a-test"
CRYPTOPAY_TOKEN = "1:cryptopay-of-a-test"
PANEL_TOKEN = "panel-token-of-a-test"
SECRETS = (BOT_TOKEN, SECRET_KEY, CRYPTOPAY_TOKEN, PANEL_TOKEN)

OPERATORS = -1001
"""The operators' group."""


@dataclass
class Services:
    telegram: TelegramSimulator
    panel: PanelSimulator
    yookassa: YooKassaSimulator
    folder: Path
    urls: dict[str, str]

    @property
    def env_file(self) -> Path:
        return self.folder / ".env"

    def begin(self, text: str = "") -> None:
        """A file that says where the services are, as of somebody with mirrors, and ``text``."""
        self.env_file.write_text(
            f"# мой магазин\nTELEGRAM_API_URL={self.urls['telegram']}\n"
            f"YOOKASSA_API_URL={self.urls['yookassa']}/v3\nCRYPTOPAY_API_URL={self.urls['cryptopay']}\n{text}",
            encoding="utf-8",
        )
        self.env_file.chmod(0o600)

    def begin_complete(self, **changes: str) -> None:
        """A file with which nothing is wrong, apart from ``changes``."""
        settings = {
            "TELEGRAM_BOT_TOKEN": BOT_TOKEN,
            "PANEL_URL": self.urls["panel"],
            "PANEL_TOKEN": PANEL_TOKEN,
            "PANEL_SQUADS": "Premium",
            "YOOKASSA_SHOP_ID": SHOP_ID,
            "YOOKASSA_SECRET_KEY": SECRET_KEY,
            "YOOKASSA_TIMEOUT_SECONDS": "5",
            "YOOKASSA_RECEIPTS": "true",
            "CRYPTOPAY_TOKEN": CRYPTOPAY_TOKEN,
            "STARS_ENABLED": "false",
            "SHOP_SUPPORT": "@olga  # до мая",
            "GETPRO_DATA_DIR": str(self.folder),
            "GETPRO_PORT": "9",
            "GETPRO_METRICS_PORT": "0",
            "OPERATIONS_CHAT": str(OPERATORS),
        } | changes
        self.begin("".join(f"{name}={value}\n" for name, value in settings.items()))

    def answers(self) -> dict[str, str]:
        """What stands in the file, as it stands there."""
        lines = self.env_file.read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


@contextlib.asynccontextmanager
async def services(folder: Path) -> AsyncIterator[Services]:
    """All of them while the block runs; the panel has two squads."""
    telegram, panel = TelegramSimulator(BOT_TOKEN), PanelSimulator(PANEL_TOKEN)
    yookassa = YooKassaSimulator(SHOP_ID, SECRET_KEY)
    panel.state.squads[str(uuid4())] = "Premium"
    olga = telegram.state.add_person(104, "Ольга")
    telegram.state.add_group(OPERATORS, "Операторы", [olga]).bot_status = "member"
    apps = {
        "telegram": telegram.app,
        "panel": panel.app,
        "yookassa": yookassa.app,
        "cryptopay": CryptoPaySimulator(CRYPTOPAY_TOKEN).app,
    }
    async with contextlib.AsyncExitStack() as running:
        urls = {name: await running.enter_async_context(serving(app)) for name, app in apps.items()}
        yield Services(telegram, panel, yookassa, folder, urls)
