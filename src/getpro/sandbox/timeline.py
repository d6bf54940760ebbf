"""What crossed a border: updates, calls, notices, jobs; the newest few hundred, without anything secret."""

import re
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from aiohttp import web
from aiohttp.typedefs import Middleware

from getpro.sandbox.faults import CONTROL_PREFIX

KEPT: Final = 400
SHOP: Final = "магазин"
NO_ANSWER: Final = "нет ответа"
_LONGEST: Final = 90
_LINKS: Final = re.compile(r"\S+://\S+|\bt\.me/\S+")
_SECRETS: Final = re.compile(r"(?=[\w:-]*[0-9])[\w:-]{22,}")
_TAGS: Final = re.compile(r"<[^>]*>")

Kind = Literal["update", "call", "notice", "job", "sandbox"]
Clock = Callable[[], datetime]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ABOUT: Final = web.RequestKey("about", str)
"""What a handler adds to the line of its call."""


@dataclass(slots=True)
class Crossing:
    """One line; ``number`` grows with every change, ``key`` stays."""

    key: int
    number: int
    at: datetime
    kind: Kind
    who: str
    whom: str
    what: str
    outcome: str
    is_good: bool
    seconds: float | None
    is_routine: bool
    times: int = 1


class Timeline:
    """The newest lines last. A routine that comes again counts on in its line while only routines come."""

    def __init__(self, clock: Clock = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._lines: deque[Crossing] = deque(maxlen=KEPT)
        self._last = 0

    def since(self, number: int) -> list[Crossing]:
        """What was added or counted on after ``number``, oldest first."""
        return [line for line in self._lines if line.number > number]

    def add(
        self,
        kind: Kind,
        who: str,
        whom: str,
        what: str,
        outcome: str,
        *,
        is_good: bool = True,
        seconds: float | None = None,
        is_routine: bool = False,
        at: datetime | None = None,
    ) -> None:
        """Add a line; links, tokens and whatever looks like one are taken out of its words."""
        self._last += 1
        words = (short(who), short(whom), short(what), outcome)
        before = self._again(kind, words) if is_routine else None
        line = Crossing(
            self._last if before is None else before.key,
            self._last,
            at or self._clock(),
            kind,
            *words,
            is_good,
            seconds,
            is_routine,
            1 if before is None else before.times + 1,
        )
        if before is not None:
            self._lines.remove(before)
        self._lines.append(line)

    def _again(self, kind: Kind, words: tuple[str, str, str, str]) -> Crossing | None:
        for line in reversed(self._lines):
            if not line.is_routine:
                return None
            if (line.kind, line.who, line.whom, line.what, line.outcome) == (kind, *words):
                return line
        return None

    def notice(self, who: str, what: str, status: int | None, *, is_good: bool, seconds: float) -> None:
        """A notice that was sent to the shop; ``status`` is its answer, None for none."""
        outcome = NO_ANSWER if status is None else str(status)
        self.add("notice", who, SHOP, what, outcome, is_good=is_good, seconds=seconds)

    def calls(self, whom: str, prefix: str, *, client_prefix: str | None = None) -> Middleware:
        """A middleware that notes the calls under ``prefix``: by the route, whose path holds no secret.

        Those under ``client_prefix`` are not the shop's, but a customer's program's.
        """

        @web.middleware
        async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
            if not request.path.startswith(prefix) or request.path.startswith(CONTROL_PREFIX):
                return await handler(request)
            began, outcome, is_good = time.monotonic(), NO_ANSWER, False
            try:
                answer = await handler(request)
                if request.transport is not None and not request.transport.is_closing():
                    outcome, is_good = str(answer.status), answer.status < 400
            except web.HTTPException as error:
                outcome = str(error.status)
                raise
            finally:
                is_clients = client_prefix is not None and request.path.startswith(client_prefix)
                what = _called(request)
                self.add(
                    "call",
                    "клиент" if is_clients else SHOP,
                    whom,
                    what,
                    outcome,
                    is_good=is_good,
                    seconds=time.monotonic() - began,
                    is_routine=is_good and what.startswith(("GET ", "get")),
                )
            return answer

        return note


def short(text: str) -> str:
    """The first line of ``text`` without tags, links, and what could be a token."""
    words = _TAGS.sub("", text).strip().partition("\n")[0]
    words = _SECRETS.sub("•••", _LINKS.sub("‹ссылка›", words))
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]}…"


def _called(request: web.Request) -> str:
    about: str | None = request.get(ABOUT)
    if about is not None:
        return about
    resource = request.match_info.route.resource
    path = "неизвестный путь" if resource is None else resource.canonical
    method = request.match_info.get("method")
    return method if method is not None else f"{request.method} {path}"
