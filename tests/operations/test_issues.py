"""What a watch says of the server that errors are reported to; the answers are those of its API."""

import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr
from sqlalchemy import insert

from getpro.checks.check import Finding, Level
from getpro.operations.looks import issues
from getpro.operations.models import check_runs
from getpro.platform.database import Database
from getpro.platform.settings import SentrySettings
from getpro.sandbox.serving import serving

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TOKEN = "token-of-the-errors"
PLACE = "bot.handlers.own:show"


def of_bugsink(number: int = 1, *, first: timedelta, last: timedelta, **more: Any) -> dict[str, Any]:
    """An issue as Bugsink 2.5 lists it; ``first`` and ``last`` are how long ago."""
    return {
        "id": f"00000000-0000-4000-8000-{number:012}",
        "friendly_id": f"SHOP-{number}",
        "project": 7,
        "digest_order": number,
        "last_seen": (NOW - last).isoformat().replace("+00:00", "Z"),
        "first_seen": (NOW - first).isoformat().replace("+00:00", "Z"),
        "digested_event_count": 3,
        "stored_event_count": 3,
        "calculated_type": "KeyError",
        "calculated_value": "'confirmation'",
        "transaction": PLACE,
        "is_resolved": False,
        "is_resolved_unconditionally": False,
        "is_resolved_by_next_release": False,
        "is_muted": False,
    } | more


def of_sentry(*, first: timedelta, last: timedelta, **more: Any) -> dict[str, Any]:
    """An issue as Sentry's documentation shows it."""
    return {
        "id": "1",
        "shortId": "SHOP-1",
        "title": "KeyError: 'confirmation'",
        "culprit": PLACE,
        "permalink": "https://sentry.example/issues/1/",
        "level": "error",
        "status": "unresolved",
        "substatus": "ongoing",
        "firstSeen": (NOW - first).isoformat().replace("+00:00", "Z"),
        "lastSeen": (NOW - last).isoformat().replace("+00:00", "Z"),
        "count": "3",
        "userCount": 2,
    } | more


class Tracker:
    """Answers as an errors' server does."""

    def __init__(self) -> None:
        self.url = ""
        self.answer: Any = {"next": None, "previous": None, "results": []}
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def give(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, dict(request.query)))
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise web.HTTPUnauthorized
        return web.json_response(self.answer)

    def holds(self, *found: dict[str, Any]) -> None:
        self.answer = {"next": None, "previous": None, "results": list(found)}

    async def seen(self, db: Database, *, token: str = TOKEN, **more: Any) -> list[Finding]:
        host = self.url.removeprefix("http://")
        settings = SentrySettings(dsn=SecretStr(f"http://k@{host}/7"), api_token=SecretStr(token), **more)
        return [finding async for finding in issues.look(settings, db, now=NOW)]


@pytest.fixture
async def tracker() -> AsyncIterator[Tracker]:
    here, app = Tracker(), web.Application()
    app.router.add_get("/{path:.*}", here.give)
    async with serving(app) as url:
        here.url = url
        yield here


async def watched(db: Database, ago: timedelta, *, asked_by: str = "schedule") -> None:
    async with db.begin("test") as session:
        run = {"routine": "watch", "asked_by": asked_by, "level": "ok", "findings": []}
        await session.execute(
            insert(check_runs).values(run | {"started_at": NOW - ago, "finished_at": NOW - ago})
        )


async def test_what_is_new_is_red_and_what_goes_on_is_yellow(tracker: Tracker, db: Database) -> None:
    tracker.holds(
        of_bugsink(1, first=5 * MINUTE, last=MINUTE),
        of_bugsink(2, first=timedelta(days=3), last=MINUTE),
        of_bugsink(3, first=timedelta(days=3), last=timedelta(hours=3)),
    )
    new, known = await tracker.seen(db)
    assert (new.level, known.level) == (Level.WRONG, Level.ATTENTION)
    assert new.seen == f"новая, всего 3: KeyError: 'confirmation' ({PLACE})"
    assert new.remedy == f"{tracker.url}/issues/issue/00000000-0000-4000-8000-000000000001/event/last/"
    assert known.seen.startswith("снова, всего 3")
    assert tracker.asked == [
        ("/api/canonical/0/issues/", {"project": "7", "sort": "last_seen", "order": "desc"})
    ]


async def test_money_comes_first_then_what_is_new_then_what_is_frequent(
    tracker: Tracker, db: Database
) -> None:
    day, hour = timedelta(days=1), timedelta(hours=1)
    tracker.holds(
        of_bugsink(1, first=day, last=MINUTE, digested_event_count=900),
        of_bugsink(2, first=hour, last=MINUTE, digested_event_count=2),
        of_bugsink(3, first=hour, last=MINUTE, digested_event_count=40),
        of_bugsink(4, first=day, last=MINUTE, transaction="sales.settle:settle"),
        of_bugsink(5, first=hour, last=MINUTE, transaction="payments.providers.stars.provider:prove"),
        of_bugsink(6, first=day, last=MINUTE, transaction="panel.client:_call"),
        of_bugsink(7, first=day, last=MINUTE, digested_event_count=1),
    )
    found = await tracker.seen(db)
    assert [int(one.remedy.split("-")[-1].partition("/")[0]) for one in found[:5]] == [5, 4, 6, 3, 2]
    assert found[0].seen.startswith("деньги, новая")
    assert (found[5].seen, found[5].level) == ("и ещё 2", Level.ATTENTION)


async def test_what_somebody_has_called_solved_or_muted_is_not_told(tracker: Tracker, db: Database) -> None:
    tracker.holds(
        of_bugsink(1, first=5 * MINUTE, last=MINUTE, is_resolved=True),
        of_bugsink(2, first=5 * MINUTE, last=MINUTE, is_muted=True),
        of_bugsink(3, first=timedelta(days=3), last=timedelta(days=2)),
    )
    [found] = await tracker.seen(db)
    assert (found.level, found.seen) == (Level.OK, "с прошлой проверки ни одной, не решено 1")


async def test_a_watch_that_was_missed_hides_nothing(tracker: Tracker, db: Database) -> None:
    """By the last one of the schedule: who looked by hand a minute ago has told nobody."""
    tracker.holds(of_bugsink(1, first=timedelta(hours=5), last=timedelta(hours=5)))
    [quiet] = await tracker.seen(db)
    assert quiet.level is Level.OK
    await watched(db, timedelta(hours=6))
    await watched(db, MINUTE, asked_by="olga")
    [found] = await tracker.seen(db)
    assert found.level is Level.WRONG


async def test_sentry_itself_is_asked_by_its_own_api_and_tells_what_is_back(
    tracker: Tracker, db: Database
) -> None:
    day = timedelta(days=3)
    tracker.answer = [
        of_sentry(first=day, last=MINUTE, substatus="regressed"),
        of_sentry(first=day, last=MINUTE),
        of_sentry(first=MINUTE, last=MINUTE, culprit=None),
    ]
    found = await tracker.seen(db, organization="my-shop")
    assert [(one.level, one.seen.partition(",")[0]) for one in found] == [
        (Level.WRONG, "вернулась"),
        (Level.WRONG, "новая"),
        (Level.ATTENTION, "снова"),
    ]
    assert found[0].remedy == "https://sentry.example/issues/1/"
    [(path, query)] = tracker.asked
    assert path == "/api/0/organizations/my-shop/issues/"
    assert query == {"project": "7", "query": "is:unresolved", "sort": "date", "limit": "100"}


async def test_nothing_set_is_yellow(db: Database) -> None:
    for settings in (SentrySettings(), SentrySettings(dsn=SecretStr("http://k@127.0.0.1:1/7"))):
        [found] = [one async for one in issues.look(settings, db, now=NOW)]
        assert (found.level, found.seen) == (Level.ATTENTION, "ещё не настроено")


@pytest.mark.parametrize("answer", [[], {}, {"results": [{}]}, {"results": None}, "nonsense"])
async def test_an_answer_that_is_none_is_red(tracker: Tracker, db: Database, answer: Any) -> None:
    tracker.answer = answer
    [found] = await tracker.seen(db)
    assert (found.level, found.seen) == (Level.UNKNOWN, f"{tracker.url}: ответ не разобрать")


async def test_a_token_that_is_refused_and_a_server_that_is_away_are_red(
    tracker: Tracker, db: Database
) -> None:
    [refused] = await tracker.seen(db, token="wrong")
    assert (refused.level, "SENTRY_API_TOKEN не подходит" in refused.seen) == (Level.UNKNOWN, True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        tracker.url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    [away] = await tracker.seen(db)
    assert (away.level, "никто не слушает" in away.seen) == (Level.UNKNOWN, True)


async def test_a_database_that_is_away_hides_no_issue(tracker: Tracker) -> None:
    tracker.holds(of_bugsink(1, first=MINUTE, last=MINUTE))
    [found] = await tracker.seen(Database("postgresql://nobody@127.0.0.1:1/nothing"))
    assert found.level is Level.WRONG
