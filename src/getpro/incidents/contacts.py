"""Whether people can be reached: a message by every way, and whoever has got it says so."""

from dataclasses import dataclass
from html import escape

from getpro.incidents import team
from getpro.incidents.deps import Deps
from getpro.incidents.other import NotSent
from getpro.incidents.screens import PREFIX
from getpro.incidents.team import Person, Way
from getpro.platform.bot_api import BotApiRefused
from getpro.platform.http import ServiceUnavailable


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
