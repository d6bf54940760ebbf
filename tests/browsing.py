"""A browser as somebody holds it: what the tests of pages share."""

import base64
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from playwright.async_api import Browser, Locator, Page, ViewportSize, async_playwright, expect

PICTURES = Path(__file__).parents[1] / "artifacts" / "browser"
PHONE = ViewportSize(width=390, height=844)
DESK = ViewportSize(width=1280, height=900)
CHROMIUM = "/usr/bin/chromium"
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
"""As root, and without a word to anybody outside."""
PATIENCE = 20_000


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        await browser.close()


def button(page: Page, text: str) -> Locator:
    """The newest button in the chat that begins so."""
    return page.get_by_test_id("button").filter(has_text=text).last


async def shown(page: Page, text: str) -> None:
    await expect(page.get_by_test_id("message").filter(has_text=text).last).to_be_visible(timeout=PATIENCE)


async def picture(page: Page, name: str) -> None:
    await page.screenshot(path=PICTURES / f"{name}.png")


async def side_by_side(page: Page, names: Sequence[str], name: str) -> None:
    """One picture of several that were taken on a phone, as the documents show them."""
    sources = [base64.b64encode((PICTURES / f"{each}.png").read_bytes()).decode() for each in names]
    images = "".join(f'<img width=248 src="data:image/png;base64,{source}">' for source in sources)
    together = await page.context.new_page()
    style = "margin: 0; display: flex; gap: 12px; align-items: flex-start; width: max-content"
    await together.set_content(f'<!doctype html><body style="{style}">{images}')
    await together.locator("body").screenshot(path=PICTURES / f"{name}.png")
    await together.close()


async def fits(page: Page) -> bool:
    """Whether nothing sticks out at the side of a phone."""
    return bool(
        await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    )


@contextlib.asynccontextmanager
async def watched_page(size: ViewportSize) -> AsyncIterator[Page]:
    """A page of that size, in Russian. Anything on its console that is wrong fails the test."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    wrong: list[str] = []
    async with chromium() as browser:
        context = await browser.new_context(viewport=size, locale="ru-RU", device_scale_factor=2)
        context.set_default_timeout(PATIENCE)
        context.on("weberror", lambda error: wrong.append(str(error.error)))
        context.on(
            "console", lambda said: wrong.append(said.text) if said.type in {"error", "warning"} else None
        )
        yield await context.new_page()
        await context.close()
    assert wrong == []
