"""Errors on their way to a server of Sentry's protocol: each once, with its ids, and without secrets."""

import asyncio
import contextlib
import json
import logging
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import structlog
from pydantic import SecretStr, ValidationError

from bot.chat import Chats
from doors import serve
from envelopes import Envelopes, envelopes
from fakes import FakeProvider
from getpro import __version__
from getpro.operations import logs
from getpro.payments.provider import Created
from getpro.platform import errors, metrics
from getpro.platform.database import Database
from getpro.platform.jobs import MONEY, Backoff, JobKind, JobName, Jobs
from getpro.platform.settings import SentrySettings
from shop import Shop
from written import Written, logging_into

SOURCE = Path(__file__).parents[2] / "src"
WORK = JobName("work", MONEY)
BOT_TOKEN = "7000000001:AAF0_x-ZzzzzzzzzzzzzzzzzzzzzzzzzzzzZ"
SECRETS = (BOT_TOKEN, "anna.petrova@example.ru", "4111111111111111", "aB3kLmN0pQrStUvW", "Тайное слово")
TOLD = (
    f"POST https://api.telegram.org/bot{BOT_TOKEN}/sendInvoice said 500 for anna.petrova@example.ru,"
    " 4111111111111111, https://sub.example/aB3kLmN0pQrStUvW\nDETAIL:  Failing row (Тайное слово)."
)
HEADER = "not-for-" + "anybody"  # in two: an event shows the lines of code around a failure


class Boom(Exception):
    """A bug of a test."""


class Broken(FakeProvider):
    """Fails with a text that holds everything that it may not."""

    async def create(self, order_key: UUID, request: dict[str, Any]) -> Created:
        body = {"email": SECRETS[1], "card": SECRETS[2], "name": SECRETS[4]}
        raise Boom(TOLD) if body else AssertionError


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    with logging_into(tmp_path, level="DEBUG") as here:
        yield here


@pytest.fixture
async def tracker() -> AsyncIterator[Envelopes]:
    async with envelopes() as here:
        yield here


@contextlib.asynccontextmanager
async def reporting(dsn: str, **more: Any) -> AsyncIterator[None]:
    """As the product reports; its end waits for what is on its way, so not in the server's own thread."""
    reported = errors.reported(SentrySettings(dsn=SecretStr(dsn), **more))
    reported.__enter__()
    try:
        yield
    finally:
        await asyncio.to_thread(reported.__exit__, None, None, None)


@contextlib.asynccontextmanager
async def working(jobs: Jobs) -> AsyncIterator[None]:
    task = asyncio.create_task(jobs.work(money=2, others=1))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool], *, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def run_job(db: Database, jobs: Jobs, kind: JobKind, written: Written) -> None:
    """Until its first try has been logged, and the queue has had time to say what it will."""
    jobs.register([kind])
    async with db.begin("test") as session:
        await jobs.defer(session, kind.job, payment_id=17)
    async with working(jobs):
        await until(lambda: any(line.get("job") == kind.name for line in written.lines))
        await asyncio.sleep(0.2)


def failing(error: Exception) -> Callable[..., Awaitable[None]]:
    async def run(**_: int) -> None:
        raise error

    return run


def assert_no_secret(text: str) -> None:
    assert [secret for secret in SECRETS if secret in text] == []


async def buy_in_vain(shop: Shop, *names: str) -> list[str | None]:
    """Each chooses a plan; the provider's client fails. What they are told at the top of the chat."""
    chats = Chats(shop)
    for name in names or ("alice",):
        person = chats.person(name, first_name=SECRETS[4])
        await person.says("/start")
        await person.presses_data(f"buy:1:{shop.provider.code}")
    return chats.phones.toasts


async def test_an_update_that_fails_becomes_one_event_with_whose_it_was(
    tracker: Envelopes, shop: Shop, written: Written
) -> None:
    shop.provider = Broken()
    async with reporting(tracker.dsn, environment="test"):
        toasts = await buy_in_vain(shop)
    assert toasts[-1] is not None
    [event] = tracker.events
    assert event["release"] == f"2getpro@{__version__}"
    assert (event["environment"], event["user"]) == ("test", {"id": "101"})
    assert event["transaction"] == "sales.checkout:ask_provider"
    tags = event["tags"]
    assert (tags["update_kind"], tags["event"]) == ("callback_query", "bot.update_failed")
    assert event["exception"]["values"][-1]["type"] == "Boom"
    [line] = written.told("bot.update_failed")
    assert (str(line["update_id"]), line["user_id"]) == (tags["update_id"], 101)
    assert line["level"] == "ERROR"


async def test_nothing_of_a_customer_but_the_id_leaves_with_an_event_or_stands_in_the_log(
    tracker: Envelopes, shop: Shop, written: Written
) -> None:
    shop.provider = Broken()
    async with reporting(tracker.dsn):
        await buy_in_vain(shop)
    assert_no_secret("".join(tracker.raw))
    assert_no_secret(written.text)
    [event] = tracker.events
    frames = [frame for one in event["exception"]["values"] for frame in one["stacktrace"]["frames"]]
    assert any("vars" in frame for frame in frames) is False
    assert {"breadcrumbs", "request", "extra"} & event.keys() == set()
    assert tracker.kinds == ["event"]


async def test_a_job_that_fails_becomes_one_event_with_its_ids(
    tracker: Envelopes, db: Database, jobs: Jobs, written: Written
) -> None:
    """The queue writes a line of its own about the same failure."""
    kind = JobKind(WORK, failing(Boom(TOLD)), Backoff(attempts=1))
    async with reporting(tracker.dsn):
        await run_job(db, jobs, kind, written)
    [event] = tracker.events
    tags = event["tags"]
    assert (tags["job"], tags["payment_id"], tags["event"]) == ("work", "17", "jobs.failed")
    [line] = written.told("jobs.failed")
    assert (str(line["job_id"]), line["payment_id"]) == (tags["job_id"], 17)
    assert [line["event"] for line in written.lines if line["level"] == "ERROR"] == ["jobs.failed"]
    assert_no_secret("".join(tracker.raw) + written.text)


async def test_trouble_that_was_expected_is_no_event(
    tracker: Envelopes, db: Database, jobs: Jobs, written: Written
) -> None:
    once = JobKind(WORK, failing(ConnectionError("away")), Backoff(attempts=1), (ConnectionError,))
    async with reporting(tracker.dsn):
        await run_job(db, jobs, once, written)
    assert tracker.events == []
    [line] = written.told("jobs.tried_again_later")
    assert line["level"] == "WARNING"


async def test_expected_trouble_is_an_error_once_it_is_given_up(
    db: Database, jobs: Jobs, written: Written
) -> None:
    twice = JobKind(WORK, failing(ConnectionError("away")), Backoff(attempts=2), (ConnectionError,))
    jobs.register([twice])
    async with db.begin("test") as session:
        await jobs.defer(session, WORK)
    async with working(jobs):
        await until(lambda: bool(written.told("jobs.given_up")))
    [line] = written.told("jobs.given_up")
    assert (line["level"], line["attempt"], line["job"]) == ("ERROR", 2, "work")


async def test_a_request_that_fails_becomes_one_event_with_its_door(
    tracker: Envelopes, written: Written
) -> None:
    async def door(scope: Any, receive: Any, send: Any) -> None:
        structlog.contextvars.bind_contextvars(door="yookassa", charge_id="22e18a2f")
        raise Boom(TOLD)

    async with reporting(tracker.dsn), serve(door) as url:
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET / HTTP/1.0\r\nAuthorization: Bearer {HEADER}\r\n\r\n".encode())
        assert b"500" in await reader.readline()
        writer.close()
    [event] = tracker.events
    assert (event["tags"]["door"], event["tags"]["charge_id"]) == ("yookassa", "22e18a2f")
    assert HEADER not in "".join(tracker.raw) + written.text
    assert_no_secret("".join(tracker.raw) + written.text)


async def test_an_event_is_grouped_as_the_log_groups_it(
    tracker: Envelopes, shop: Shop, written: Written
) -> None:
    shop.provider = Broken()
    async with reporting(tracker.dsn):
        await buy_in_vain(shop, "alice", "bob")
    line = logs.read(json.dumps(written.told("bot.update_failed")[0]))
    assert line is not None
    assert [event["fingerprint"] for event in tracker.events] == [list(logs.fingerprint(line))] * 2


async def test_what_is_written_without_an_exception_is_no_event(tracker: Envelopes, written: Written) -> None:
    log = structlog.get_logger("getpro.test")
    async with reporting(tracker.dsn):
        log.error("payment.stuck", kind="underpaid")
        try:
            raise Boom
        except Boom as error:
            log.warning("it.passes", exc_info=True)
            log.error("it.does_not", exc_info=error)
            log.exception("it.does_not", again=True)
    assert [event["tags"]["event"] for event in tracker.events] == ["it.does_not"]


def nobody_listens() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://{'f' * 32}@127.0.0.1:{taken.getsockname()[1]}/7"


async def test_a_server_that_is_away_slows_nobody(shop: Shop, written: Written) -> None:
    shop.provider = Broken()
    async with reporting(nobody_listens()):
        toasts = await buy_in_vain(shop, "alice", "bob", "charlie")
        assert len(toasts) == 3
        assert all(toasts)
        for number in range(300):  # more than are kept for it
            logging.getLogger("somebody").error("again", exc_info=Boom(number))
    assert [line for line in written.lines if line["logger"].startswith(("urllib3", "sentry"))] == []


async def test_a_server_that_never_answers_slows_neither_the_shop_nor_its_end(
    shop: Shop, written: Written
) -> None:
    shop.provider = Broken()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        async with reporting(f"http://{'f' * 32}@127.0.0.1:{silent.getsockname()[1]}/7"):
            toasts = await buy_in_vain(shop, "alice", "bob", "charlie")
            assert time.monotonic() - began < 3
        assert time.monotonic() - began < 6
    assert len(toasts) == 3
    assert all(toasts)


def test_without_a_dsn_the_sdk_is_not_even_loaded() -> None:
    code = (
        "import logging, sys\n"
        "import getpro.running, getpro.cli.run\n"
        "from getpro.platform import errors\n"
        "from getpro.platform.settings import SentrySettings\n"
        "with errors.reported(SentrySettings()):\n"
        "    logging.getLogger().error('it', exc_info=ValueError())\n"
        "print([name for name in sys.modules if name.startswith('sentry_sdk')])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(SOURCE)},
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("dsn", ["nonsense", "https://host/1", "https://key@host/", "https://key@host/name"])
def test_a_dsn_that_is_none_is_refused_before_the_shop_starts(dsn: str) -> None:
    with pytest.raises(ValidationError, match="нужен DSN") as refused:
        SentrySettings(dsn=SecretStr(dsn))
    assert dsn not in str(refused.value)


def test_the_api_is_asked_where_the_errors_go_unless_another_place_is_named() -> None:
    dsn = SecretStr("https://key@errors.example:8443/tracker/12")
    assert SentrySettings(dsn=dsn).address == "https://errors.example:8443/tracker"
    assert SentrySettings(dsn=dsn).project == "12"
    assert SentrySettings(dsn=dsn, api_url="https://sentry.example/").address == "https://sentry.example"


def test_lines_are_counted_by_level_and_errors_by_kind(written: Written) -> None:
    def counted() -> list[float]:
        read = metrics.REGISTRY.get_sample_value
        levels = [read("getpro_log_lines_total", {"level": level}) for level in ("WARNING", "ERROR")]
        return [value or 0 for value in (*levels, read("getpro_error_kinds_total"))]

    before, counting, log = counted(), metrics.CountLines(), structlog.get_logger("getpro.test")
    logging.getLogger().addHandler(counting)
    log.info("fine")
    log.warning("not.well")
    for error in (ValueError("a"), ValueError("b"), KeyError("c")):
        log.error("is.wrong", exc_info=error)
    logging.getLogger("somebody").error("another text each time: %s", object())
    logging.getLogger("somebody").error("another text each time: %s", object())
    assert [now - then for now, then in zip(counted(), before, strict=True)] == [1, 5, 3]
