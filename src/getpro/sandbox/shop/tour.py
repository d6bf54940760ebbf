"""``2getpro sandbox --tour``: a scripted day and month without a browser; all books compared at the end."""

import asyncio
import math
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from datetime import time as time_of_day
from typing import Final
from zoneinfo import ZoneInfo

from getpro.sandbox.shop.account import show
from getpro.sandbox.shop.actor import PATIENCE_SECONDS, Actor
from getpro.sandbox.shop.judge import Verdict, judge
from getpro.sandbox.shop.shown import REMINDERS
from getpro.sandbox.shop.world import World
from getpro.sandbox.telegram import FIRST_PERSON
from getpro.sandbox.telegram.state import Person

MORNING: Final = time_of_day(10)
NOON: Final = time_of_day(12)
AFTER_A_PURCHASE: Final = (
    ("go:connect", "On which device?"),
    ("on:android", "1. Install Happ"),
    ("go:qr", "Point the other device’s camera at the code"),
    ("go:from_qr", "Connect: Android"),
    ("go:support", "Tell us what happened and we will help."),
    ("go:menu", "Your subscription is active until"),
    ("go:sub", "Last payment: Card or SBP"),
)
"""What Emma presses then, and what she reads."""
AFTER_A_REMINDER: Final = (
    ("go:reminders", "We remind you 3 days and 1 day before"),
    ("go:menu", "3 days left"),
    ("go:history", "1 month · 199"),
    ("/help", "This bot sells a VPN subscription"),
    ("/language", "Язык · Language"),
)
AFTER_ANOTHER: Final = (
    ("/terms", "A subscription gives you access to the VPN"),
    ("/paysupport", "Your money will not get lost"),
)


class Cast:
    """The people of the tour. Anna keeps the shop: it knows the first person as its operator."""

    def __init__(self, world: World) -> None:
        people = world.telegram.state
        self.anna = people.add_person(FIRST_PERSON, "Анна", username="anna")
        self.boris = people.add_person(FIRST_PERSON + 1, "Борис")
        self.vera = people.add_person(FIRST_PERSON + 2, "Вера")
        self.emma = people.add_person(FIRST_PERSON + 3, "Emma", language_code="en")


async def tour(world: World, *, say: Callable[[str], None]) -> bool:
    """Play day and month and print the books; True if they agree.

    Where the clock cannot be moved the month is left out, and that is said. Raises Trouble when a step
    does not happen.
    """
    began, zone = time.monotonic(), ZoneInfo(world.time_zone)
    actor, cast = Actor(world), Cast(world)
    if world.clock.is_movable:
        await _move_to(world, _next(MORNING, after=world.clock(), zone=zone))
    since = world.clock()
    await _purchases(actor, cast, say)
    await _refund(actor, cast, say)
    await _in_english(actor, cast, say)
    wanted: dict[int, tuple[str, ...]] = {}
    if world.clock.is_movable:
        wanted = await _month(actor, cast, say, zone)
    else:
        say("Часы на этой системе не переводятся: месяц пропущен")
    agrees = show(await _books_at_rest(world), wanted, zone)
    say(f"Прожито дней: {(world.clock() - since).days}, за {time.monotonic() - began:.0f} с")
    return agrees


async def _purchases(actor: Actor, cast: Cast, say: Callable[[str], None]) -> None:
    world, anna, boris, vera = actor.world, cast.anna, cast.boris, cast.vera
    say("Анна начинает с пробного периода")
    await actor.start(anna)
    await actor.press(anna, "go:trial")
    await actor.has_access(anna, "Доступ открыт")

    say("Борис покупает месяц через ЮKassa")
    await actor.start(boris)
    await actor.buy(boris, plan=1, provider="yookassa")
    world.yookassa.books.pay(actor.newest_payment())
    await actor.has_access(boris, "Доступ открыт")

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

    say("Вера покупает 12 месяцев через Crypto Pay")
    await actor.press(vera, "go:menu")
    await actor.buy(vera, plan=4, provider="cryptopay")
    world.cryptopay.books.pay(actor.newest_invoice(), "TON")
    await actor.sees(vera, "Доступ открыт")

    say("Борис продлевает звёздами, магазин убит посреди оплаты (kill -9) и поднят снова")
    await actor.press(boris, "go:menu")
    await actor.buy(boris, plan=1, provider="stars")
    await actor.pay_stars(boris)
    await world.product.kill()
    await world.product.start()
    await actor.sees(boris, "Оплата получена: ⭐\N{NO-BREAK SPACE}120\nДоступ открыт")


async def _refund(actor: Actor, cast: Cast, say: Callable[[str], None]) -> None:
    anna, boris, stars = cast.anna, cast.boris, "⭐\N{NO-BREAK SPACE}120"
    say("Борис передумал: Анна возвращает ему звёзды в чате, командой /admin")
    await actor.write(anna, f"/admin {boris.user_id}", sees="Борис")
    await actor.press(anna, f"cust:payments:{boris.user_id}", sees="Какой платёж?")
    await actor.press(anna, "pay:show", sees="Платёж p")
    await actor.press(anna, "pay:refund", sees=f"Почему возвращаем {stars}?")
    await actor.write(anna, "передумал", sees=f"Возвращено {stars}")
    await actor.sees(boris, f"Деньги возвращены: {stars}")


async def _in_english(actor: Actor, cast: Cast, say: Callable[[str], None]) -> None:
    emma = cast.emma
    say("Emma покупает месяц и подключает телефон: для неё всё по-английски")
    await actor.write(emma, "/start", sees="A fast, hassle-free VPN.")
    await actor.press(emma, "go:plans", sees="Choose a plan")
    await actor.press(emma, "plan:1", sees="How would you like to pay?")
    await actor.press(emma, "buy:1:yookassa", sees="Once the money arrives, this screen updates by itself")
    actor.world.yookassa.books.pay(actor.newest_payment())
    await actor.has_access(emma, "Access is open until")
    await _walk(actor, emma, AFTER_A_PURCHASE)


async def _walk(actor: Actor, person: Person, steps: tuple[tuple[str, str], ...]) -> None:
    """Press or write each, and read what belongs to it."""
    for step, words in steps:
        await (actor.write if step.startswith("/") else actor.press)(person, step, sees=words)


async def _month(
    actor: Actor, cast: Cast, say: Callable[[str], None], zone: ZoneInfo
) -> dict[int, tuple[str, ...]]:
    """Until after the end of what Emma has bought; return which reminders each of them must have had."""
    world, boris, emma = actor.world, cast.boris, cast.emma
    in_three_days, tomorrow, _, _ = REMINDERS

    def tell(what: str) -> None:
        say(f"{world.clock().astimezone(zone):%d.%m %H:%M} {what}")

    end = _end(world, emma)
    await _move_to(world, _day_of(end, NOON, zone, days=-3))
    await actor.sees(boris, "Подписка закончится через 3 дня")
    await actor.sees(emma, "Your subscription ends in 3 days")
    await _walk(actor, emma, AFTER_A_REMINDER)
    tell("Борису и Emma напомнили: осталось 3 дня")

    await _move_to(world, _day_of(end, NOON, zone, days=-1))
    await actor.sees(boris, "Подписка закончится завтра")
    await actor.sees(emma, "Your subscription ends tomorrow")
    await _walk(actor, emma, AFTER_ANOTHER)
    renewed = _end(world, boris) + timedelta(days=30)
    await actor.press(boris, "go:renew")
    await actor.pay_stars(boris)
    await actor.until(lambda: _end(world, boris) == renewed, "Панель не знает, что Борис продлил")
    await actor.has_access(boris, "Доступ открыт")
    tell("Напомнили: завтра конец. Борис продлевает прямо из напоминания")

    await _move_to(world, end)
    await actor.sees(emma, "Your subscription has ended")
    await actor.until(lambda: _status(world, emma) == "EXPIRED", "Панель не закрыла доступ Emma")
    await actor.write(emma, "/subscription", sees="Your subscription ended on")
    tell("Подписка Emma кончилась: панель закрыла доступ, ей об этом написали")

    await _move_to(world, _day_of(end, NOON, zone, days=1))
    await actor.sees(emma, "Your VPN access is closed")
    tell("Emma напомнили в последний раз")

    await _move_to(world, _day_of(end, NOON, zone, days=4))
    await _looked_for_reminders(actor, since=world.clock())
    tell("Больше никому ни слова")
    return {boris.user_id: (in_three_days, tomorrow), emma.user_id: tuple(REMINDERS)}


async def _looked_for_reminders(actor: Actor, *, since: datetime) -> None:
    def has_looked() -> bool:
        return any(
            line.kind == "job" and line.what == "remind" and line.at > since
            for line in actor.world.timeline.since(0)
        )

    await actor.until(has_looked, "Магазин не посмотрел, кому напомнить")


async def _move_to(world: World, moment: datetime) -> None:
    """Move the clock to ``moment``, which lies ahead."""
    await world.move_clock(math.ceil((moment - world.clock()).total_seconds()))


def _next(hour: time_of_day, *, after: datetime, zone: ZoneInfo) -> datetime:
    today = _day_of(after, hour, zone, days=0)
    return today if today > after else _day_of(after, hour, zone, days=1)


def _day_of(moment: datetime, hour: time_of_day, zone: ZoneInfo, *, days: int) -> datetime:
    """That hour, in ``zone``, of the day so many after that of ``moment``."""
    day = moment.astimezone(zone).date() + timedelta(days=days)
    return datetime.combine(day, hour, tzinfo=zone)


def _end(world: World, person: Person) -> datetime:
    """Until when the panel is open for this person."""
    [user] = [user for user in world.panel.state.users.values() if user.telegramId == person.user_id]
    return user.expireAt


def _status(world: World, person: Person) -> str:
    [user] = [user for user in world.panel.state.users.values() if user.telegramId == person.user_id]
    return user.status


async def _books_at_rest(world: World) -> list[Verdict]:
    """The verdicts once they agree, or as they are when patience is over."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    verdicts = await asyncio.to_thread(judge, world)
    while any(v.troubles for v in verdicts) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.5)
        verdicts = await asyncio.to_thread(judge, world)
    return verdicts
