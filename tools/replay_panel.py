"""Replay recorded exchanges with a panel against our simulator; compare status, JSON shape, error code.

The recording is a file of JSON lines, each with panel_version, n, name, at, request (method, path,
headers, body or body_raw) and response (status, body) or transport_error. One simulator answers all of
them; its clock shows the time of each exchange, and its own jobs run before each. Ids, uuids, short uuids
and cursors of the recording are translated into those that the simulator has given. Two things that a
recording shows to have happened without a call that we play are done to the simulator directly: traffic
counted by a node, and the limit of devices switched in the panel's settings.

Exit code: 0 when every exchange that the simulator claims to play agrees, 1 when one does not,
2 when the file cannot be replayed.
"""

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from getpro.sandbox.panel import PanelSimulator
from getpro.sandbox.serving import serving

NOT_PLAYED: Final = frozenset(
    {"auth", "bandwidth-stats", "config-profiles", "hosts", "nodes", "subscription-settings"}
)
"""What the panel's operator does and a shop never does: signing in to its page, servers, their settings."""
_TOKEN: Final = "replayed-api-token"  # noqa: S105 -- our own, of a simulator that lives for a moment
_MASKED: Final = "Bearer TOKEN"
_MASKED_ADMIN: Final = "Bearer ADMINTOKEN"
_IDS: Final = frozenset({"id", "userId", "userIds", "cursor"})
_SECONDS: Final = 10

Exchange = dict[str, Any]


class NotReplayable(Exception):
    """The file holds nothing that could be replayed; the text says why."""


@dataclass(frozen=True)
class Answered:
    """What a panel did with a request: ``status`` is None where it closed the connection unanswered."""

    status: int | None
    body: Any
    """Parsed JSON; None for anything else."""

    def __str__(self) -> str:
        return "no answer" if self.status is None else str(self.status)


@dataclass
class Names:
    """The recording's names of things, translated into the simulator's."""

    ids: dict[str, int] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)

    def learn(self, recorded: Any, ours: Any) -> None:
        """Take over the names of things that stand at the same place in both answers."""
        if isinstance(recorded, list) and isinstance(ours, list):
            for left, right in zip(recorded, ours, strict=False):
                self.learn(left, right)
        if not isinstance(recorded, dict) or not isinstance(ours, dict):
            return
        if recorded.get("username") == ours.get("username") and "id" in recorded.keys() & ours.keys():
            self.ids[str(recorded["id"])] = ours["id"]
        for name in {"uuid", "shortUuid"} & recorded.keys() & ours.keys():
            self.words[recorded[name]] = ours[name]
        for name in recorded.keys() & ours.keys():
            self.learn(recorded[name], ours[name])

    def translated(self, value: Any, name: str = "") -> Any:
        """A request's body in the simulator's names."""
        if isinstance(value, dict):
            return {key: self.translated(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [self.translated(item, name) for item in value]
        if isinstance(value, str):
            return self.words.get(value, value)
        return self.ids.get(str(value), value) if name in _IDS else value

    def path(self, recorded: str) -> str:
        """A request's path and query in the simulator's names."""
        parts = urlsplit(recorded)
        steps = [self.words.get(step, str(self.ids.get(step, step))) for step in parts.path.split("/")]
        terms = [term.partition("=") for term in parts.query.split("&") if term]
        query = "&".join(
            f"{name}={self.ids.get(value, value) if name in _IDS else value}" for name, _, value in terms
        )
        return "/".join(steps) + (f"?{query}" if query else "")


class Replay:
    """One simulator, spoken to as the recorded panel was."""

    def __init__(self, version: str) -> None:
        self.now = datetime.now(UTC)
        self.panel = PanelSimulator(_TOKEN, version=version, clock=lambda: self.now)
        self.names = Names()
        self._made_token = ""

    async def ask(self, session: aiohttp.ClientSession, url: str, exchange: Exchange) -> Answered:
        """Send the recorded request and return what the simulator does with it."""
        request = exchange["request"]
        self.now = datetime.fromisoformat(exchange["at"])
        self.panel.state.run_jobs()
        body: Any = request.get("body_raw")
        if body is None and "body" in request:
            body = json.dumps(self.names.translated(request["body"]))
        try:
            async with session.request(
                request["method"],
                URL(url + self.names.path(request["path"]), encoded=True),
                headers=self._headers(exchange),
                data=None if body is None else body.encode(),
            ) as response:
                return Answered(response.status, _json_or_none(await response.text()))
        except aiohttp.ClientError:
            return Answered(None, None)

    def follow(self, exchange: Exchange, ours: Answered) -> None:
        """Learn the names in the answers, and do what the recording shows to have happened unseen."""
        recorded = _recorded(exchange)
        self.names.learn(recorded.body, ours.body)
        made = ours.body.get("response") if isinstance(ours.body, dict) else None
        if isinstance(made, dict) and "token" in made:
            self._made_token = made["token"]
        asked = exchange["request"].get("body")
        if isinstance(asked, dict) and "hwidSettings" in asked:
            switched = asked["hwidSettings"]
            self.panel.state.device_limit = switched["fallbackDeviceLimit"] if switched["enabled"] else None

    def catch_up(self, exchange: Exchange) -> None:
        """Count the traffic that the recorded answer shows and that no call has brought."""
        by_name = {user.username: user for user in self.panel.state.users.values()}
        for seen in _users_in(_recorded(exchange).body):
            user = by_name.get(seen["username"])
            if user is None:
                continue
            counted = "lifetimeUsedTrafficBytes"
            missing = seen["userTraffic"][counted] - user.traffic[counted]
            if missing > 0:
                self.panel.state.use_traffic(user, missing)

    def _headers(self, exchange: Exchange) -> dict[str, str]:
        """The recorded headers with living tokens.

        A recording hides every API token behind one word. Where the answer says that a token may not do
        this, it was the token made last; everywhere else the shop's own does as well.
        """
        headers = dict(exchange["request"]["headers"])
        body = _recorded(exchange).body
        is_lesser = isinstance(body, dict) and body.get("message") == "Forbidden resource"
        if headers.get("Authorization") == _MASKED:
            headers["Authorization"] = f"Bearer {self._made_token if is_lesser else _TOKEN}"
        elif headers.get("Authorization") == _MASKED_ADMIN:
            headers["Authorization"] = f"Bearer {self.panel.access.admin_token}"
        return headers


def differences(recorded: Answered, ours: Answered) -> Iterator[str]:
    """In words, what a client would notice: another status, a missing or new field, another type.

    Of an error the code and the message count as well: clients decide by them.
    """
    if recorded.status != ours.status:
        yield f"answered {recorded}, ours {ours}"
        return
    theirs, our = dict(_shape(recorded.body)), dict(_shape(ours.body))
    for path in sorted(theirs.keys() | our.keys()):
        if path not in our:
            yield f"{path} is missing in ours"
        elif path not in theirs:
            yield f"{path} is only in ours"
        elif theirs[path] != our[path]:
            yield f"{path} is {'/'.join(sorted(theirs[path]))}, ours {'/'.join(sorted(our[path]))}"
    if (recorded.status or 0) >= HTTPStatus.BAD_REQUEST and isinstance(recorded.body, dict):
        for name in ("errorCode", "message"):
            if name in recorded.body and recorded.body[name] != ours.body.get(name):
                yield f"$.{name} is {recorded.body[name]!r}, ours {ours.body.get(name)!r}"


def _shape(body: Any) -> dict[str, set[str]]:
    """Every place of a JSON value with the types found there; the elements of a list are one place."""
    found: dict[str, set[str]] = {}

    def look(value: Any, path: str) -> None:
        found.setdefault(path, set()).add(_kind(value))
        if isinstance(value, dict):
            for name, item in value.items():
                look(item, f"{path}.{name}")
        elif isinstance(value, list):
            for item in value:
                look(item, f"{path}[]")

    look(body, "$")
    return found


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names[type(value)]


def _recorded(exchange: Exchange) -> Answered:
    response = exchange.get("response")
    if exchange.get("transport_error") or response is None:
        return Answered(None, None)
    return Answered(response["status"], response.get("body"))


def _users_in(body: Any) -> Iterator[dict[str, Any]]:
    if isinstance(body, dict) and "userTraffic" in body:
        yield body
    elif isinstance(body, dict | list):
        for item in body.values() if isinstance(body, dict) else body:
            yield from _users_in(item)


def _json_or_none(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _area(exchange: Exchange) -> str:
    steps = urlsplit(exchange["request"]["path"]).path.split("/")
    return steps[2] if len(steps) > 2 else ""  # noqa: PLR2004 -- /api/<area>/…


def read(file: Path, version: str) -> list[Exchange]:
    """The exchanges of ``version`` in the order of the file; raises NotReplayable."""
    try:
        lines = [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
        chosen = [line for line in lines if line["panel_version"] == version]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotReplayable(f"{file} is no file of recorded exchanges: {error}") from error
    if not chosen:
        raise NotReplayable(f"{file} holds no exchange with panel {version}")
    return chosen


async def replay(exchanges: list[Exchange], here: Replay) -> bool:
    """Replay, print what differs and the sum, and return whether everything that is played agrees."""
    agreed, skipped = 0, Counter[str]()
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    async with serving(here.panel.app) as url, aiohttp.ClientSession(timeout=timeout) as session:
        for exchange in exchanges:
            here.catch_up(exchange)
            ours = await here.ask(session, url, exchange)
            here.follow(exchange, ours)
            if _area(exchange) in NOT_PLAYED:
                skipped[_area(exchange)] += 1
                continue
            found = list(differences(_recorded(exchange), ours))
            for difference in found:
                request = exchange["request"]
                print(
                    f"{exchange['n']} {exchange['name']} {request['method']} {request['path']}: {difference}"
                )
            agreed += not found
    played = len(exchanges) - skipped.total()
    told = f"; not played: {skipped.total()} ({_listed(skipped)})" if skipped else ""
    print(f"{agreed} of {played} exchanges agree{told}")
    return agreed == played


def _listed(areas: Counter[str]) -> str:
    return ", ".join(f"{area} {count}" for area, count in sorted(areas.items()))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="replay_panel.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="recorded exchanges, a JSON object a line")
    parser.add_argument(
        "--panel-version", default="3.3.2", help="replay only this version's lines (%(default)s)"
    )
    chosen = parser.parse_args(arguments)
    try:
        exchanges = read(chosen.file, chosen.panel_version)
        here = Replay(chosen.panel_version)
    except (NotReplayable, ValueError) as error:
        print(f"replay_panel.py: {error}", file=sys.stderr)
        return 2
    return 0 if asyncio.run(replay(exchanges, here)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
