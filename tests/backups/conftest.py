"""Copies of the shop's database in a folder of the test's own."""

from pathlib import Path

import pytest

from copies import copies_in
from getpro.backups.deps import Deps
from shop import Shop


@pytest.fixture
def deps(shop: Shop, database_url: str, tmp_path: Path) -> Deps:
    return copies_in(tmp_path, db=shop.db, database_url=database_url, clock=shop.clock)
