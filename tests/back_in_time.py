"""The town's shop brought back in time: its database as it was, everybody else as they are."""

import asyncio
from datetime import datetime

import psycopg
from sqlalchemy import text

from getpro.platform import restores
from getpro.sales.after_restore import Report, reconcile_after_restore
from getpro.sandbox.telegram.state import Person
from town import Town


async def keep_copy(here: Town) -> str:
    """Copy the shop's database; return the copy's name."""
    return await _swap(here, 'CREATE DATABASE "{name}_{number}" TEMPLATE "{name}"')


async def bring_back(here: Town, copy: str, *, moment: datetime) -> None:
    """Put the copy in the place of the shop's database and hold the shop, as whoever restores does."""
    await _swap(here, 'DROP DATABASE "{name}"', f'CREATE DATABASE "{{name}}" TEMPLATE "{copy}"')
    async with here.shop.db.begin("test") as session:
        await restores.mark_restored(session, moment, now=here.clock())


async def _swap(here: Town, *statements: str) -> str:
    await here.end()
    here.books.close()
    server, _, name = here.database_url.rpartition("/")
    number = str(len(here.telegram.state.calls))
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.format(name=name, number=number).encode())
    here.books = psycopg.connect(here.database_url, autocommit=True)
    here.books.execute("SET timezone TO 'UTC'")
    await here.start()
    return f"{name}_{number}"


async def reconcile(here: Town, moment: datetime) -> Report:
    return await here.in_shop(reconcile_after_restore(here.shop.sales, restored_to=moment))


async def order(here: Town, person: Person, provider: str, *, plan: int = 1) -> str:
    """Come to the payment page; return what names it at the provider's."""

    async def press() -> None:
        here.telegram.people.send(person, "/plans")
        await here._all_arrived()
        here.press(person, f"buy:{plan}:{provider}")

    before = {name: set(objects) for name, objects in _objects(here).items()}
    await here.do(press)
    (made,) = _objects(here)[provider].keys() - before[provider]
    return str(made)


def _objects(here: Town) -> dict[str, dict[str, object]]:
    invoices = {invoice["hash"]: invoice for invoice in here.cryptopay.books.invoices.values()}
    return {
        "yookassa": dict(here.yookassa.books.payments),
        "cryptopay": dict(invoices),
        "stars": dict(here.telegram.state.invoices),
    }


async def pay(here: Town, person: Person, provider: str, page: str) -> bool:
    """Pay; whether the provider took it. Nobody works in the shop meanwhile."""
    taken = [True]

    async def act() -> None:
        if provider == "yookassa":
            here.yookassa.books.pay(page)
        elif provider == "cryptopay":
            here.cryptopay.books.pay(page)
        else:
            taken[0], _ = await here.telegram.pay(person, link=f"https://t.me/${page}")

    await here.do(act)
    return taken[0]


async def buy(here: Town, person: Person, provider: str, *, plan: int = 1) -> None:
    """A whole purchase, delivered."""
    assert await pay(here, person, provider, await order(here, person, provider, plan=plan))
    await here.work()


async def press(here: Town, person: Person, data: str) -> None:
    async def act() -> None:
        here.press(person, data)

    await here.do(act)
    await here.work()


async def newcomer(here: Town, user_id: int, name: str) -> Person:
    person = here.telegram.state.add_person(user_id, name)

    async def act() -> None:
        here.telegram.people.send(person, "/start")

    await here.do(act)
    return person


def on_panel(here: Town) -> dict[int, tuple[str, datetime]]:
    """How each customer stands there."""
    users = here.panel.state.users.values()
    return {user.telegramId: (user.status, user.expireAt) for user in users if user.telegramId is not None}


async def numbers(here: Town) -> dict[str, int]:
    async with here.shop.db.read("test") as session:
        rows = await session.execute(
            text(
                "SELECT sequencename, coalesce(last_value, 0) AS last FROM pg_sequences"
                " WHERE schemaname = 'public'"
            )
        )
        return {row.sequencename: row.last for row in rows}


async def settle_down(here: Town) -> None:
    """Let the shop do what is left: everything has its time."""
    await here.work()
    await asyncio.sleep(0)
    await here.work()
