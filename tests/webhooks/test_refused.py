"""Who may not touch an incident is refused at the shop's own doors, and that stands on record."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from doors import Knocker, open_doors
from duty import CHAT, OLGA, TIMUR, Watch
from getpro.incidents import calling, service, team
from getpro.incidents.states import Level
from getpro.incidents.team import Actor
from webhooks.test_alerts import alert, doors_of, notification, post

SECRET = "telegram-secret"
STRANGER = 900


@pytest.fixture
async def door(staffed: Watch) -> AsyncIterator[Knocker]:
    """The shop's doors, with its bot behind one of them."""
    doors = doors_of(staffed.shop, staffed)
    own = replace(doors, handle_update=staffed.bot.handle, telegram_secret=SecretStr(SECRET))
    async with open_doors(own) as knocker:
        yield knocker


@pytest.fixture
async def paged(staffed: Watch) -> Watch:
    async with staffed.deps.db.begin("test") as session:
        await service.open_by_hand(session, staffed.deps, "Беда", level=Level.L2, by=Actor("Ольга"))
    await staffed.work()
    return staffed


async def send(door: Knocker, update_id: int, secret: str = SECRET, **what: Any) -> int:
    body = {"update_id": update_id, **what}
    return await door.post("/webhooks/telegram", body, X_Telegram_Bot_Api_Secret_Token=secret)


def someone(user_id: int) -> dict[str, Any]:
    return {"id": user_id, "is_bot": False, "first_name": "Боб"}


def press(user_id: int, data: str) -> dict[str, Any]:
    """Of a button under a message that is long gone."""
    query = {"id": str(user_id), "from": someone(user_id), "chat_instance": "1", "data": data}
    return {"callback_query": query}


def reply(user_id: int, said: str, page: int) -> dict[str, Any]:
    chat = {"id": CHAT, "type": "supergroup", "title": "Операторы"}
    to = {"message_id": page, "date": 1, "chat": chat, "text": "Беда"}
    message = {"message_id": 999, "date": 2, "chat": chat, "from": someone(user_id), "text": said}
    return {"message": message | {"reply_to_message": to}}


DEEDS = ("take", "later", "up", "done", "drop")


async def test_a_strangers_press_is_refused_and_on_record(door: Knocker, paged: Watch) -> None:
    before = await paged.one()
    for number, deed in enumerate(DEEDS):
        assert await send(door, number + 1, **press(STRANGER, f"inc:{deed}:1")) == 200
    assert await paged.one() == before
    refused = [said for said in await paged.line() if "Отказано" in said]
    assert refused == [
        f"Боб (900): Отказано: {deed}" for deed in ("взять", "отложить", "поднять", "закрыть", "отпустить")
    ]


async def test_a_fired_colleagues_old_button_and_unfinished_reply_are_refused(
    door: Knocker, paged: Watch
) -> None:
    await send(door, 1, **press(TIMUR, "inc:take:1"))
    await send(door, 2, **press(TIMUR, "inc:done:1"))
    assert (await paged.one()).asked == TIMUR
    async with paged.deps.db.begin("test") as session:
        await team.remove_person(session, "timur", now=paged.now)
    page = paged.page()
    await send(door, 3, **press(TIMUR, "inc:drop:1"))
    await send(door, 4, **reply(TIMUR, "всё хорошо", page))
    await send(door, 5, **reply(TIMUR, "всё хорошо; расходитесь", page))
    assert ((await paged.one()).state, (await paged.one()).cause) == ("taken", None)
    assert [said for said in await paged.line() if "Отказано" in said] == [
        "timur: Отказано: отпустить",
        "timur: Отказано: написать в хронику",
    ]
    await paged.work()
    assert (await paged.one()).state == "open", "and what he held calls others"


async def test_who_may_not_open_an_incident_stands_in_the_log(door: Knocker, paged: Watch) -> None:
    private = {"id": STRANGER, "type": "private", "first_name": "Боб"}
    said = {"message_id": 7, "date": 2, "chat": private, "from": someone(STRANGER)}
    with capture_logs() as logs:
        assert await send(door, 1, message=said | {"text": "/incident L3 Паника"}) == 200
    assert [(one["user_id"], one["deed"]) for one in logs if one["event"] == "incidents.refused"] == [
        (STRANGER, "L3 Паника")
    ]
    assert len(await paged.rows("SELECT FROM incidents")) == 1


async def test_an_update_that_telegram_did_not_send_presses_nothing(door: Knocker, paged: Watch) -> None:
    before = await paged.one()
    assert await send(door, 1, secret="guessed", **press(OLGA, "inc:take:1")) == 401
    assert await paged.one() == before
    assert door.counted["telegram: secret"] == 1


async def test_a_call_played_once_more_is_old_also_where_a_person_was_quicker_than_alertmanager(
    door: Knocker, staffed: Watch
) -> None:
    firing = notification(alert("A"))
    await post(door, firing)
    async with staffed.deps.db.begin("test") as session:
        now = staffed.now
        await calling.resolved(session, staffed.deps, 1, by="timur", cause="провод", fix="нашли", now=now)
    assert await post(door, notification(alert("A", status="resolved"), status="resolved")) == 200
    assert await post(door, firing) == 409
    assert (await staffed.one()).state == "resolved"
