"""Plays people in the simulated Telegram: waits for what they would see, presses what they would press."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import psycopg

from getpro.kit.trouble import Trouble
from getpro.sandbox.shop.world import World
from getpro.sandbox.telegram.state import Person

PATIENCE_SECONDS: Final = 90.0
"""Longer than a minute: what a schedule passes over because another has the row comes with its next turn."""
_LOOKS_EVERY_SECONDS: Final = 0.05
_MOST_AT_ONCE: Final = 10
_BREATH_SECONDS: Final = 5.0
"""So many presses within so long: people are not faster, and the bot slows down who is."""


class Actor:
    """Raises Trouble for what does not happen within a minute."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._acted: dict[int, deque[float]] = {}

    async def start(self, person: Person, parameter: str = "") -> None:
        await self._breathe(person)
        self.world.telegram.people.send(person, f"/start {parameter}".strip())
        await self.until(lambda: self.find(person, "go:") is not None, f"{person.first_name}: нет меню")

    async def write(self, person: Person, text: str, *, sees: str) -> None:
        """Write to the bot and wait for an answer that is newer than that.

        Not before Telegram lets the bot answer: an answer that it refuses is lost.
        """
        await self._breathe(person)
        limits = self.world.telegram.limits
        await self.until(lambda: limits.has_room(person.user_id), f"{person.first_name}: чат переполнен")
        message = self.world.telegram.people.send(person, text)
        await self.sees(person, sees, after=message["message_id"])

    async def press(self, person: Person, data: str, *, sees: str = "") -> None:
        """Press the newest button whose data begins so, and wait until the bot has answered.

        ``sees``: wait for this text too.
        """
        await self._breathe(person)
        await self.until(lambda: self.find(person, data) is not None, f"{person.first_name}: нет {data}")
        found = self.find(person, data)
        assert found is not None
        before = len(self.world.telegram.state.calls)
        self.world.telegram.people.press(person, found[0], found[1])
        await self.until(
            lambda: any(
                call["method"] == "answerCallbackQuery" for call in self.world.telegram.state.calls[before:]
            ),
            f"{person.first_name}: бот не ответил на {data}",
        )
        if sees:
            await self.sees(person, sees)

    async def buy(self, person: Person, *, plan: int, provider: str) -> None:
        """From the menu to the payment page."""
        plans = "go:renew" if self.find(person, "go:plans") is None else "go:plans"
        if plans == "go:renew":
            self.world.telegram.people.send(person, "/plans")
        else:
            await self.press(person, plans)
        await self.press(person, f"plan:{plan}")
        await self.press(person, f"buy:{plan}:{provider}")
        await self.until(lambda: self._has_link(person), f"{person.first_name}: нет страницы оплаты")

    async def pay_stars(self, person: Person) -> None:
        """Pay the newest invoice."""
        await self.until(lambda: self._star_link(person) is not None, f"{person.first_name}: нет счёта")
        paid, said = await self.world.telegram.pay(person, link=self.pay_link(person))
        if not paid:
            raise self._trouble(f"{person.first_name} не может заплатить звёздами.", said)

    def pay_link(self, person: Person) -> str:
        link = self._star_link(person)
        if link is None:
            raise self._trouble(f"{person.first_name}: нет счёта на звёзды.", "Бот не прислал ссылку.")
        return link

    async def has_access(self, person: Person, words: str) -> None:
        """Wait until ``words`` tell that access is open, and until the shop has said all that it had to say.

        Whoever presses on sooner may see the screen turn back once more to what they have paid.
        """
        await self.sees(person, words)
        for _ in range(round(PATIENCE_SECONDS / _LOOKS_EVERY_SECONDS)):
            if not await asyncio.to_thread(_is_at_work, self.world.database_url):
                return
            await asyncio.sleep(_LOOKS_EVERY_SECONDS)
        raise self._trouble(f"После «{words}» магазин всё не закончит своих дел.")

    def newest_payment(self) -> str:
        return list(self.world.yookassa.books.payments)[-1]

    def newest_invoice(self) -> str:
        return str(list(self.world.cryptopay.books.invoices.values())[-1]["hash"])

    async def sees(self, person: Person, text: str, *, after: int = 0) -> None:
        """Wait until the chat shows the bot's ``text``, in a message that came ``after`` that one."""

        def is_there() -> bool:
            return any(
                text in m.get("text", m.get("caption", ""))
                for m in person.messages.values()
                if m["from"]["is_bot"] and m["message_id"] > after
            )

        await self.until(is_there, f"{person.first_name} не видит «{text}»")

    def find(self, person: Person, data: str) -> tuple[int, str] | None:
        for message in reversed(person.messages.values()):
            for button in _buttons(message):
                if str(button.get("callback_data", "")).startswith(data):
                    return message["message_id"], button["callback_data"]
        return None

    async def until(self, condition: Callable[[], Any], otherwise: str) -> None:
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while not condition():
            if asyncio.get_running_loop().time() > deadline:
                raise self._trouble(otherwise)
            await asyncio.sleep(_LOOKS_EVERY_SECONDS)

    def _trouble(self, what: str, why: str = "Шаг не случился за полторы минуты.") -> Trouble:
        return Trouble(what, why, f"Журнал: {self.world.product.log_file}")

    async def _breathe(self, person: Person) -> None:
        acted = self._acted.setdefault(person.user_id, deque(maxlen=_MOST_AT_ONCE))
        now = asyncio.get_running_loop().time()
        if len(acted) == _MOST_AT_ONCE and now - acted[0] < _BREATH_SECONDS:
            await asyncio.sleep(_BREATH_SECONDS - (now - acted[0]))
        acted.append(asyncio.get_running_loop().time())

    def _has_link(self, person: Person) -> bool:
        newest = list(person.messages.values())[-1]
        return any(button.get("url") for button in _buttons(newest))

    def _star_link(self, person: Person) -> str | None:
        for message in reversed(person.messages.values()):
            for button in _buttons(message):
                if str(button.get("url", "")).startswith("https://t.me/$"):
                    return str(button["url"])
        return None


def _is_at_work(database_url: str) -> bool:
    with psycopg.connect(database_url) as connection:
        found = connection.execute(
            "SELECT FROM procrastinate_jobs WHERE queue_name IN ('money', 'notices')"
            " AND status IN ('todo', 'doing') AND coalesce(scheduled_at, now()) <= now() LIMIT 1"
        )
        return found.fetchone() is not None


def _buttons(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [button for row in message.get("reply_markup", {}).get("inline_keyboard", []) for button in row]
