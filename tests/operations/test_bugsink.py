"""The product fails, and Bugsink, a real server of Sentry's protocol, has it; the watch reads it there."""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest

from bugsink import Bugsink, bugsink
from commanded import Commanded
from folders import open_up
from getpro import __version__
from getpro.operations.looks.issues import ISSUES
from getpro.sandbox.shop import world as sandbox
from getpro.sandbox.shop.actor import Actor
from getpro.sandbox.shop.world import World, world

FIRST_NAME, EMAIL = "Аделаида-Несравненная", "adelaida.secret@example.ru"
SECRETS = (FIRST_NAME, EMAIL, sandbox.BOT_TOKEN.partition(":")[2], sandbox.PANEL_TOKEN, sandbox.SECRET_KEY)
HER = 1001

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


async def fail_everywhere(here: World) -> None:
    """An order cannot be written, twice; its notice cannot be kept; its job cannot be done."""
    actor, person = Actor(here), here.telegram.state.add_person(HER, FIRST_NAME)
    await actor.start(person)
    for data in ("go:plans", "plan:1", "buy:1:yookassa"):
        await actor.press(person, data)
    with psycopg.connect(here.database_url, autocommit=True) as database:
        refuse = "ALTER TABLE {} ADD CONSTRAINT broken CHECK (false) NOT VALID"
        allow = "ALTER TABLE {} DROP CONSTRAINT broken"
        database.execute(refuse.format("payments"))
        for _ in range(2):
            await actor.write(person, EMAIL, sees="Что-то пошло не так")
        database.execute(allow.format("payments"))
        here.telegram.people.send(person, EMAIL)
        await actor.until(lambda: here.yookassa.books.payments, "нет заказа")
        database.execute(refuse.format("provider_events"))
        database.execute(refuse.format("subscriptions"))
        here.yookassa.books.pay(actor.newest_payment())
        await actor.until(lambda: _logged(here, "Exception in ASGI application"), "запрос не отказал")
        database.execute(allow.format("provider_events"))
        await actor.until(lambda: _logged(here, '"jobs.failed"'), "работа не отказала")
        database.execute(allow.format("subscriptions"))
    await actor.has_access(person, "Доступ открыт")


def _logged(here: World, event: str) -> bool:
    return event in here.product.log_file.read_text(encoding="utf-8")


@dataclass(frozen=True)
class Reported:
    """What the server holds: its issues, and the events of each, newest first."""

    issues: list[dict[str, Any]]
    events: dict[str, list[dict[str, Any]]]

    @classmethod
    async def read(cls, server: Bugsink) -> "Reported":
        issues = await server.issues()
        return cls(issues, {one["id"]: await server.events(one["id"]) for one in issues})

    def about(self, **tags: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The one issue whose events have these tags, and what each event says."""
        [issue] = [
            one
            for one in self.issues
            if all(tags.items() <= event["data"]["tags"].items() for event in self.events[one["id"]])
        ]
        return issue, [event["data"] for event in self.events[issue["id"]]]


async def test_what_fails_in_an_update_a_job_and_a_request_is_in_bugsink_and_in_the_watch(
    tmp_path: Path,
) -> None:
    async with bugsink(open_up(tmp_path)) as server:
        more = {"SENTRY_DSN": server.dsn, "SENTRY_ENVIRONMENT": "test", "YOOKASSA_RECEIPTS": "true"}
        making = partial(Commanded, more=more | {"SENTRY_API_TOKEN": server.token})
        async with world(tmp_path, durable=False, retry_scale=0.05, make_product=making) as here:
            await fail_everywhere(here)
            assert isinstance(here.product, Commanded)
            await here.product.stop()  # what was on its way has arrived
            reported = await Reported.read(server)
            assert_is_all_there(reported)
            links = [user.shortUuid for user in here.panel.state.users.values()]
            everything = json.dumps(reported.events, ensure_ascii=False)
            assert links
            assert [one for one in (*SECRETS, *links) if one in everything] == []
            await the_watch_shows_it(here.product, server)


def assert_is_all_there(reported: Reported) -> None:
    order, twice = reported.about(update_kind="message", event="bot.update_failed")
    assert order["digested_event_count"] == len(twice) == 2  # two failures, one error
    assert order["transaction"] == "payments.store:add_order"
    _, [*notices] = reported.about(door="yookassa", event="uvicorn.error")
    _, [*settles] = reported.about(job="settle", event="jobs.failed")
    for event in (*twice, *notices, *settles):
        assert (event["release"], event["environment"]) == (f"2getpro@{__version__}", "test")
    for event in (*twice, *settles):
        assert event["user"]["id"] == str(HER)
    assert len({event["tags"]["update_id"] for event in twice}) == 2
    assert all(event["tags"]["job_id"] and event["tags"]["payment_id"] for event in settles)
    assert all(event["tags"]["charge_id"] for event in notices)
    assert len(reported.issues) == 3


async def the_watch_shows_it(product: Commanded, server: Bugsink) -> None:
    """As red, money first, with links that lead there; what somebody has called solved is not shown."""
    shown = await watched(product)
    assert [(one["level"], one["seen"].startswith("деньги, новая")) for one in shown] == [("wrong", True)] * 3
    async with aiohttp.ClientSession() as http:
        for one in shown:
            async with http.get(one["remedy"], allow_redirects=False) as answer:
                assert answer.status in {200, 302}, one["remedy"]
    for issue in await server.issues():
        await server.resolve(issue["id"])
    [calm] = await watched(product)
    assert (calm["level"], calm["seen"]) == ("ok", "с прошлой проверки ни одной, не решено 0")


async def watched(product: Commanded) -> list[dict[str, Any]]:
    said = json.loads(await product.command("ops", "watch", "--json"))
    return [one for one in said["findings"] if one["name"] == ISSUES.name]
