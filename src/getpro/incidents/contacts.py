"""Whether people can be reached: a message by every way, and whoever has got it says so."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Final

from getpro.incidents import team
from getpro.incidents.deps import Deps
from getpro.incidents.other import NotSent
from getpro.incidents.screens import PREFIX
from getpro.incidents.states import Role
from getpro.incidents.team import Person, Way
from getpro.incidents.words import ROLES
from getpro.platform.bot_api import BotApiRefused
from getpro.platform.http import ServiceUnavailable

_PATIENCE: Final = timedelta(days=1)
"""So long somebody may take to answer a test."""
_OLD: Final = timedelta(days=180)
"""People change their phones."""
_NEEDED: Final = (Role.ON_CALL, Role.TECH_LEAD, Role.DEVOPS)
"""The guide's contact list; one person may have several roles."""


@dataclass(frozen=True, slots=True)
class Gaps:
    """What is wrong with the team's contacts, a few words each."""

    red: list[str]
    """Somebody may not be reached."""
    yellow: list[str]
    """Not known yet, or not any more."""


def gaps(people: Sequence[Person], on_rota: Sequence[Person], *, now: datetime) -> Gaps:
    """Of the guide's contact list what is empty, unanswered or out of date; pure.

    ``on_rota`` may be called by their turn, whether they are still of the team or not.
    """
    members = {one.person_id for one in people}
    red = [f"нет: {ROLES[role].lower()}" for role in _NEEDED if not any(role in one.roles for one in people)]
    red += [f"{one.name} в графике, а в команде нет" for one in on_rota if one.person_id not in members]
    red += [f"{one.name}: никак не позвать" for one in people if not one.ways]
    yellow = []
    for one in people:
        for way in one.ways:
            how = f"{one.name}, {way.shown}"
            if way.answered_at is not None:
                if now - way.answered_at > _OLD:
                    yellow.append(f"{how}: проверяли больше полугода назад")
            elif way.trouble is not None:
                red.append(f"{how}: не дошло: {way.trouble}")
            elif way.tested_at is None:
                red.append(f"{how}: не проверялось")
            elif now - way.tested_at > _PATIENCE:
                red.append(f"{how}: проверку не подтвердили")
            else:
                yellow.append(f"{how}: ждём ответа")
    return Gaps(red, yellow)


@dataclass(frozen=True, slots=True)
class Tried:
    """How trying one way went; ``trouble`` is None where the message has left."""

    name: str
    way: str
    trouble: str | None


async def try_all(deps: Deps, name: str | None = None) -> list[Tried]:
    """Send a message by every way of ``name``, or of everybody; a flow. Raises NoSuchPerson."""
    async with deps.db.read("contacts: whom") as session:
        whom = await team.team(session) if name is None else [await team.person(session, name)]
    return [await _try(deps, person, way) for person in whom for way in person.ways]


async def _try(deps: Deps, person: Person, way: Way) -> Tried:
    async with deps.db.begin("contacts: tried") as session:
        code = await team.begin_test(session, way.way_id, now=deps.clock())
    trouble = None
    try:
        await _send(deps, person, way, code)
    except (BotApiRefused, ServiceUnavailable, NotSent) as error:
        trouble = str(error)
        async with deps.db.begin("contacts: not reached") as session:
            await team.test_failed(session, way.way_id, trouble)
    return Tried(person.name, way.shown, trouble)


async def _send(deps: Deps, person: Person, way: Way, code: str) -> None:
    if way.telegram_id is not None:
        button = {"text": "Получил", "callback_data": f"{PREFIX}:got:{code}"}
        words = f"{escape(person.name)}, так придёт вызов на инцидент. Нажмите «Получил»."
        await deps.telegram.ask(
            "sendMessage",
            chat_id=way.telegram_id,
            text=f"<b>Проверка связи</b>\n{words}",
            parse_mode="HTML",
            reply_markup={"inline_keyboard": [[button]]},
        )
        return
    address = None if way.sealed is None else deps.cipher.decrypt(way.sealed)
    if address is None:
        raise NotSent("адрес зашифрован другим ключом: задайте его заново")
    text = f"{person.name}, так придёт вызов на инцидент. Дошло: 2getpro contacts answered {code}"
    await deps.other.send([address], "Проверка связи", text)
