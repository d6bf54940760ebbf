from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page

from browsing import DESK, PHONE, watched_page
from folders import open_up
from getpro.sandbox.shop.world import World, world


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(open_up(tmp_path), durable=False, retry_scale=0.05, with_kill_switch=True) as running:
        yield running


@pytest.fixture
async def phone(here: World) -> AsyncIterator[Page]:
    async with watched_page(PHONE) as page:
        yield page


@pytest.fixture
async def desk(here: World) -> AsyncIterator[Page]:
    async with watched_page(DESK) as page:
        yield page
