"""The server that errors are reported to: what is new there, or back, since the last watch.

Asked by the API of Bugsink, or, with an organization, by Sentry's own. Sources: the schema that a Bugsink
shows at ``/api/canonical/0/schema/``; https://docs.sentry.io/api/events/list-an-organizations-issues.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from sqlalchemy import select

from getpro.checks.check import CALL_SECONDS, Finding, Line
from getpro.checks.outside import why
from getpro.operations.models import BY_SCHEDULE, check_runs
from getpro.platform.database import DATABASE_AWAY, Database
from getpro.platform.settings import SentrySettings

ISSUES: Final = Line("errors.issues", "Ошибки на сервере ошибок")
_MONEY: Final = ("payments.", "sales.", "panel.", "subscriptions.", "webhooks.notices")
"""Rooms that money goes through; an error's transaction begins with where it is at home."""
_SHOWN: Final = 5
_LONGEST_TITLE: Final = 80
_USUAL_SPAN: Final = timedelta(hours=2)
_REMEDY: Final = "Проверьте SENTRY_API_URL, SENTRY_API_TOKEN и что сервер ошибок работает."


@dataclass(frozen=True, slots=True)
class Issue:
    """Events that are one error."""

    title: str
    place: str
    first_at: datetime
    last_at: datetime
    events: int
    is_back: bool
    """It had been called solved. Bugsink's API does not tell."""
    url: str

    @property
    def is_about_money(self) -> bool:
        return self.place.startswith(_MONEY)


async def look(settings: SentrySettings, db: Database, *, now: datetime) -> AsyncIterator[Finding]:
    """What nobody has called solved or muted: new and back is red, what goes on is yellow; money first."""
    if settings.address is None or settings.project is None or settings.api_token is None:
        yield ISSUES.attention("ещё не настроено", "Укажите SENTRY_DSN и SENTRY_API_TOKEN.")
        return
    since = await _last_watch(db, now=now)
    try:
        found = await _open_issues(settings)
    except (aiohttp.ClientError, TimeoutError, OSError, KeyError, TypeError, ValueError) as error:
        yield ISSUES.unknown(f"{settings.address}: {_why(error)}", _REMEDY)
        return
    seen = ranked((issue for issue in found if issue.last_at >= since), since=since)
    for issue in seen[:_SHOWN]:
        yield _told(issue, since=since)
    if len(seen) > _SHOWN:
        yield ISSUES.attention(f"и ещё {len(seen) - _SHOWN}", settings.address)
    if not seen:
        yield ISSUES.ok(f"с прошлой проверки ни одной, не решено {len(found)}")


def _why(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientResponseError):
        is_token = error.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
        return "SENTRY_API_TOKEN не подходит" if is_token else f"ответ {error.status}, а нужен список ошибок"
    if isinstance(error, KeyError | TypeError | ValueError):
        return "ответ не разобрать"
    return why(error)


def ranked(issues: Iterable[Issue], *, since: datetime) -> list[Issue]:
    """The money's first, then the new ones and those that are back, then the most frequent."""
    return sorted(
        issues, key=lambda issue: (not issue.is_about_money, not _is_news(issue, since), -issue.events)
    )


def _is_news(issue: Issue, since: datetime) -> bool:
    return issue.is_back or issue.first_at >= since


def _told(issue: Issue, *, since: datetime) -> Finding:
    is_new = issue.first_at >= since
    word = "новая" if is_new else "вернулась" if issue.is_back else "снова"
    money = "деньги, " if issue.is_about_money else ""
    seen = f"{money}{word}, всего {issue.events}: {issue.title[:_LONGEST_TITLE]} ({issue.place})"
    tell = ISSUES.wrong if _is_news(issue, since) else ISSUES.attention
    return tell(seen, issue.url)


async def _last_watch(db: Database, *, now: datetime) -> datetime:
    """When somebody looked last; the usual span before now where nobody has, or where it cannot be asked."""
    query = (
        select(check_runs.c.started_at)
        .where(check_runs.c.routine == "watch", check_runs.c.asked_by == BY_SCHEDULE)
        .order_by(check_runs.c.started_at.desc())
        .limit(1)
    )
    try:
        async with db.read("issues: last watch") as session:
            found: datetime | None = await session.scalar(query)
    except DATABASE_AWAY:
        found = None
    return now - _USUAL_SPAN if found is None or found > now else found


async def _open_issues(settings: SentrySettings) -> list[Issue]:
    """A page of them, last seen first. Raises what aiohttp does, KeyError, TypeError, ValueError."""
    assert settings.address is not None
    if settings.organization is None:
        page = await _ask(
            settings,
            "/api/canonical/0/issues/",
            {"project": str(settings.project), "sort": "last_seen", "order": "desc"},
        )
        raw = [one for one in page["results"] if not one["is_resolved"] and not one["is_muted"]]
        return [_of_bugsink(one, settings.address) for one in raw]
    page = await _ask(
        settings,
        f"/api/0/organizations/{settings.organization}/issues/",
        {"project": str(settings.project), "query": "is:unresolved", "sort": "date", "limit": "100"},
    )
    return [_of_sentry(one) for one in page]


async def _ask(settings: SentrySettings, path: str, params: dict[str, str]) -> Any:
    assert settings.api_token is not None
    headers = {"Authorization": f"Bearer {settings.api_token.get_secret_value()}"}
    timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout, headers=headers) as http,
        http.get(f"{settings.address}{path}", params=params, allow_redirects=False) as answer,
    ):
        answer.raise_for_status()
        return await answer.json()


def _of_bugsink(raw: Any, address: str) -> Issue:
    return Issue(
        title=f"{raw['calculated_type']}: {raw['calculated_value']}",
        place=raw["transaction"],
        first_at=datetime.fromisoformat(raw["first_seen"]),
        last_at=datetime.fromisoformat(raw["last_seen"]),
        events=int(raw["digested_event_count"]),
        is_back=False,
        url=f"{address}/issues/issue/{raw['id']}/event/last/",
    )


def _of_sentry(raw: Any) -> Issue:
    return Issue(
        title=raw["title"],
        place=raw["culprit"] or "",
        first_at=datetime.fromisoformat(raw["firstSeen"]),
        last_at=datetime.fromisoformat(raw["lastSeen"]),
        events=int(raw["count"]),
        is_back=raw.get("substatus") == "regressed",
        url=raw["permalink"],
    )
