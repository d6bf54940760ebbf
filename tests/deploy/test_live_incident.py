"""An incident from the dead database to its report, with the real Prometheus and Alertmanager."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pypdfium2
import pytest

from deploy.test_live_alerts import Live, live
from folders import open_up
from getpro.sandbox.shop.actor import Actor
from getpro.sandbox.telegram.state import Person

pytestmark = [pytest.mark.long, pytest.mark.monitoring, pytest.mark.timeout(900)]

OLGA, TIMUR = 5002, 5003
PATIENCE_SECONDS = 240
PICTURES = Path(__file__).parents[2] / "artifacts" / "incident"
TEAM = """
INSERT INTO people (person_id, name, roles, added_at) OVERRIDING SYSTEM VALUE
VALUES (5002, 'olga', '{on_call}', now()), (5003, 'timur', '{tech_lead}', now());
INSERT INTO contact_ways (person_id, telegram_id, shown) SELECT person_id, person_id, 'Telegram' FROM people;
DELETE FROM escalation_steps WHERE level = 'L3';
INSERT INTO escalation_steps (level, position, role, reach, wait_seconds)
VALUES ('L3', 1, 'on_call', 'telegram', 1), ('L3', 2, 'tech_lead', 'telegram', 300);
"""
"""The engineer's limit is over at the next look at the clock, while the alert still fires."""


async def test_a_dead_database_calls_until_it_is_taken_and_ends_with_a_report(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    if os.geteuid() != 0:
        pytest.skip("a disk of its own is mounted for node_exporter: run it as root")
    async with live(open_up(tmp_path), is_alertmanager_hasty=False) as shop:
        await shop.watches()
        with psycopg.connect(shop.here.database_url, autocommit=True) as connection:
            connection.execute(TEAM)
        olga, timur = await joins(shop, OLGA, "Ольга"), await joins(shop, TIMUR, "Тимур")
        began, before = time.monotonic(), shop.newest
        await asyncio.to_thread(shop.here.cluster.kill)
        await until("told past the shop", lambda: shop.told("База не отвечает (L3", after=before))
        figure(f"PostgreSQL killed, told past the shop after {time.monotonic() - began:.0f} s")
        await asyncio.to_thread(shop.here.cluster.start)
        await until("the engineer called", lambda: "База не отвечает" in page(olga))
        await until("the tech lead called", lambda: "База не отвечает" in page(timur))
        figure(f"the engineer, then the tech lead called within {time.monotonic() - began:.0f} s")
        press(shop, timur, "Взять")
        await until("taken, for everybody to see", lambda: "взял timur" in page(olga))
        await until("quiet", lambda: "Сигналов больше нет" in page(timur))
        press(shop, timur, "Решён")
        await until("asked how it ended", lambda: "Ответьте на это сообщение" in page(timur))
        shop.here.telegram.people.send(
            timur, "Убит PostgreSQL; запустили снова", reply_to=newest(timur)["message_id"]
        )
        await until("its words kept", lambda: "решён. Закроется, когда станет тихо" in page(timur))
        await shop.here.move_clock(300)
        await until("closed", lambda: page(timur).startswith("🟢"))
        await until("its report", lambda: papers(shop.chat) != [])
        figure(f"closed, and its report there, after {time.monotonic() - began:.0f} s")
        pdf = shop.here.telegram.state.files[papers(shop.chat)[0]["file_id"]]
        assert "Убит PostgreSQL" in keep(pdf)


async def joins(shop: Live, user_id: int, name: str) -> Person:
    person = shop.here.telegram.state.add_person(user_id, name)
    await Actor(shop.here).start(person)
    return person


async def until(what: str, happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.1)


def newest(person: Person) -> dict[str, Any]:
    """The last page; an empty message where there is none."""
    pages = [one for one in person.messages.values() if " · с " in one.get("text", "")]
    return pages[-1] if pages else {"text": ""}


def page(person: Person) -> str:
    return str(newest(person)["text"])


def press(shop: Live, person: Person, label: str) -> None:
    shop.here.telegram.people.press(person, newest(person)["message_id"], label)


def papers(chat: Person) -> list[dict[str, Any]]:
    return [one["document"] for one in chat.messages.values() if "document" in one]


def keep(pdf: bytes) -> str:
    """Pictures of the pages, to be looked at; their text."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    (PICTURES / "report.pdf").write_bytes(pdf)
    document = pypdfium2.PdfDocument(pdf)
    for number, one in enumerate(document, 1):
        one.render(scale=1.5).to_pil().save(PICTURES / f"report-{number}.png")
    return "\n".join(one.get_textpage().get_text_range() for one in document)
