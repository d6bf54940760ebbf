"""The shop of a test with its bot in front."""

from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
import structlog

from bot.chat import Chats, Person
from shop import Shop


@pytest.fixture
def chats(shop: Shop) -> Chats:
    return Chats(shop)


@pytest.fixture
def alice(chats: Chats) -> Person:
    return chats.person("alice")


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged, kept instead of printed: a traceback in colours takes seconds."""
    with structlog.testing.capture_logs() as lines:
        yield lines
