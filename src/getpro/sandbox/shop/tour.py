"""``2getpro sandbox --tour``: a scripted day without a browser, and three books compared at its end."""

import asyncio
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

from getpro.kit.trouble import Trouble
from getpro.sandbox.shop.judge import Charge, Verdict, judge
from getpro.sandbox.shop.world import World
from getpro.sandbox.telegram.state import Person

PATIENCE_SECONDS = 60.0


async def tour(world: World, *, say: Callable[[str], None]) -> bool:
    """Play the day and print the books; True if they agree. Raises Trouble when a step does not happen."""
    actor = Actor(world)
    anna, boris, vera = (
        world.telegram.state.add_person(*who) for who in ((1001, "Анна"), (1002, "Борис"), (1003, "Вера"))
    )
    say("Анна начинает с пробного периода")
    await actor.start(anna)
    await actor.press(anna, "go:trial")
    await actor.sees(anna, "Доступ открыт")

    say("Борис покупает месяц через ЮKassa")
    await actor.start(boris)
    await actor.buy(boris, plan=1, provider="yookassa")
    world.yookassa.books.pay(actor.newest_payment())
    await actor.sees(boris, "Доступ открыт")

    say("Анна покупает три месяца, уведомление приходит пять раз")
    await actor.press(anna, "go:menu")
    await actor.buy(anna, plan=2, provider="yookassa")
    number = actor.newest_payment()
    world.yookassa.books.pay(number)
    world.yookassa.tell("payment.succeeded", world.yookassa.books.payments[number], copies=4)
    await actor.sees(anna, "Доступ открыт")

    say("Вера платит, банк отклоняет")
    await actor.start(vera)
    await actor.buy(vera, plan=1, provider="yookassa")
    declined = actor.newest_payment()
    world.yookassa.books.cancel(declined, party="payment_network", reason="insufficient_funds")
    await actor.sees(vera, "Оплата не прошла")

    say("Борис продлевает звёздами, магазин убит посреди оплаты (kill -9) и поднят снова")
    await actor.press(boris, "go:menu")
    await actor.buy(boris, plan=1, provider="stars")
    link = actor.pay_link(boris)
    paid, said = await world.telegram.pay(boris, link=link)
    if not paid:
        raise Trouble("Борис не смог заплатить звёздами.", said, "Посмотрите журнал магазина.")
    await world.product.kill()
    await world.product.start()
    await actor.sees(boris, "Доступ открыт")

    say("Вера покупает год криптовалютой")
    await actor.press(vera, "go:menu")
    await actor.buy(vera, plan=4, provider="cryptopay")
    world.cryptopay.books.pay(actor.newest_invoice(), "TON")
    await actor.sees(vera, "Доступ открыт")
    return _show(await actor.books_at_rest())


class Actor:
    """Plays people: waits for what they would see, presses what they would press."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def start(self, person: Person, parameter: str = "") -> None:
        self.world.telegram.people.send(person, f"/start {parameter}".strip())
        await self.until(lambda: self.find(person, "go:") is not None, f"{person.first_name}: нет меню")

    async def press(self, person: Person, data: str) -> None:
        """Press the newest button whose data begins so, and wait until the bot has answered."""
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

    def pay_link(self, person: Person) -> str:
        for message in reversed(person.messages.values()):
            for button in _buttons(message):
                if str(button.get("url", "")).startswith("https://t.me/$"):
                    return str(button["url"])
        raise Trouble(
            f"{person.first_name}: нет счёта на звёзды.", "Бот не прислал ссылку.", "Журнал магазина."
        )

    def newest_payment(self) -> str:
        return list(self.world.yookassa.books.payments)[-1]

    def newest_invoice(self) -> str:
        return str(list(self.world.cryptopay.books.invoices.values())[-1]["hash"])

    async def sees(self, person: Person, text: str) -> None:
        def is_there() -> bool:
            return any(text in m.get("text", "") for m in person.messages.values() if m["from"]["is_bot"])

        await self.until(is_there, f"{person.first_name} не видит «{text}»")

    def find(self, person: Person, data: str) -> tuple[int, str] | None:
        for message in reversed(person.messages.values()):
            for button in _buttons(message):
                if str(button.get("callback_data", "")).startswith(data):
                    return message["message_id"], button["callback_data"]
        return None

    async def books_at_rest(self) -> list[Verdict]:
        """The verdicts once they agree, or as they are when patience is over."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        verdicts = await asyncio.to_thread(judge, self.world)
        while any(v.troubles for v in verdicts) and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.5)
            verdicts = await asyncio.to_thread(judge, self.world)
        return verdicts

    async def until(self, condition: Callable[[], Any], otherwise: str) -> None:
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while not condition():
            if asyncio.get_running_loop().time() > deadline:
                raise Trouble(
                    otherwise, "Шаг не случился за минуту.", f"Журнал: {self.world.product.log_file}"
                )
            await asyncio.sleep(0.05)

    def _has_link(self, person: Person) -> bool:
        newest = list(person.messages.values())[-1]
        return any(button.get("url") for button in _buttons(newest))


def _buttons(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [button for row in message.get("reply_markup", {}).get("inline_keyboard", []) for button in row]


def _amounts(charges: list[Charge]) -> str:
    """In an order that both books share, so that a line stands beside its own."""
    return "\n".join(charge.amount for charge in sorted(charges, key=str)) or "—"


def _show(verdicts: list[Verdict]) -> bool:
    table = Table("Кто", "Заплатил", "Записано", "Дней", "Магазин до", "Панель до", "", header_style="bold")
    for verdict in verdicts:
        table.add_row(
            verdict.name,
            _amounts(verdict.taken),
            _amounts(verdict.recorded),
            f"{verdict.days_added:g} из {verdict.days_paid}",
            f"{verdict.shop_end:%d.%m.%Y %H:%M:%S}" if verdict.shop_end else "—",
            f"{verdict.panel_end:%d.%m.%Y %H:%M:%S}" if verdict.panel_end else "—",
            "✓" if not verdict.troubles else "; ".join(verdict.troubles),
        )
    Console().print(table)
    return not any(verdict.troubles for verdict in verdicts)
