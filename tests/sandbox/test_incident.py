"""An incident in the sandbox, from the switch that breaks something to the last word."""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from folders import open_up
from getpro.sandbox.shop.actor import Actor
from getpro.sandbox.shop.world import World, world
from getpro.sandbox.telegram import FIRST_GROUP, FIRST_PERSON
from getpro.sandbox.telegram.state import Group, Person

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]


@dataclass
class Chat:
    """The operators' group, and Anna in it."""

    here: World

    @property
    def group(self) -> Group:
        return self.here.telegram.state.groups[FIRST_GROUP]

    @property
    def anna(self) -> Person:
        return self.here.telegram.state.people[FIRST_PERSON]

    @property
    def pages(self) -> list[dict[str, Any]]:
        """What calls people, the newest last."""
        return [one for one in self.group.messages.values() if " · с " in one.get("text", "")]

    @property
    def newest(self) -> int:
        return int(self.pages[-1]["message_id"])

    async def shows(self, pattern: str) -> str:
        """Wait until the newest page shows it."""
        deadline = time.monotonic() + 60
        while not (self.pages and re.search(pattern, self.pages[-1]["text"])):
            assert time.monotonic() < deadline, (pattern, [one["text"] for one in self.pages[-3:]])
            await asyncio.sleep(0.05)
        return str(self.pages[-1]["text"])

    def press(self, label: str) -> None:
        self.here.telegram.people.press(self.anna, self.newest, label, where=self.group)

    def reply(self, words: str) -> None:
        self.here.telegram.people.send(self.anna, words, to=self.group, reply_to=self.newest)


async def test_an_incident_is_lived_through_in_two_minutes(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    async with world(open_up(tmp_path), durable=False, retry_scale=0.05) as here:
        chat, actor = Chat(here), Actor(here)
        boris = here.telegram.state.add_person(FIRST_PERSON + 1, "Борис")
        await routines_are_planned(here)
        began = time.monotonic()

        here.panel.faults.change({"away": True})
        await actor.start(boris)
        await actor.buy(boris, plan=1, provider="yookassa")
        here.yookassa.books.pay(actor.newest_payment())
        await actor.sees(boris, "Оплата получена")
        await here.move_clock(to="next_routine")
        page = await chat.shows("L2 · Оплачено, но не выдано")
        assert "Заплатили и ждут: 1, на 199\N{NO-BREAK SPACE}₽" in page
        first = chat.newest

        await here.move_clock(1800)
        await chat.shows("Напоминание: никто не взял")
        assert chat.newest > first
        chat.press("Взять")
        await chat.shows("взял @anna")

        here.panel.faults.clear()
        await here.move_clock(300)
        await actor.has_access(boris, "Доступ открыт")
        await here.move_clock(to="next_routine")
        await chat.shows("Сигналов больше нет")
        chat.press("Решён")
        await chat.shows("Ответьте на это сообщение")
        chat.reply("Панель была выключена; включили её")
        await chat.shows("Закроется, когда станет тихо")
        await here.move_clock(300)
        page = await chat.shows("🟢 L2")
        assert "Причина: Панель была выключена\nСделано: включили её" in page
        seconds = time.monotonic() - began
        figure(f"an incident in the sandbox, from the switch to the last word: {seconds:.0f} s")
        assert seconds < 120
        line = await time_line(here)
        called = [words.partition(":")[0] for words in line if words.startswith(("Позвали", "Напоминание"))]
        assert called == ["Позвали", "Напоминание"], "nobody was called after it was taken"
        for words in ("Позвали: чат операторов", "Напоминание: чат операторов", "Взял", "Решён"):
            assert any(one.startswith(words) for one in line), words


async def routines_are_planned(here: World) -> None:
    async with asyncio.timeout(60):
        while not await rows(here, "SELECT name FROM schedules WHERE name ^@ 'ops_' LIMIT 1"):
            await asyncio.sleep(0.05)


async def time_line(here: World) -> list[str]:
    return [words for [words] in await rows(here, "SELECT words FROM incident_events ORDER BY event_id")]


async def rows(here: World, query: str) -> list[Any]:
    async with await psycopg.AsyncConnection.connect(here.database_url) as connection:
        return await (await connection.execute(query)).fetchall()
