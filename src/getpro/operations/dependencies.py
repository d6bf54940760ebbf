"""The packages that the product runs on: what is newer at the index, what is known to be vulnerable.

Both programs say that all is well when they could ask nobody, so what they were answered is counted:
``pip list --outdated`` without its index prints an empty list and ends with 0; ``pip-audit`` skips what it
could not look up, says "No known vulnerabilities found" and ends with 0.
"""

import json
import re
import sys
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from getpro.platform.programs import Ended, run_program

PIP: Final = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
OWN: Final = "2getpro"
"""The product is a package, too, where it is installed; no index has it."""
_ASKED: Final = re.compile(r"location\(s\) to search for versions of ([\w.-]+):")
_ANSWERED: Final = re.compile(r"Fetched page \S*/([\w.-]+)/? as ")
_NAMED: Final = 5


class NotSeen(Exception):
    """It could not be found out; the text says why."""


@dataclass(frozen=True, slots=True)
class Packages:
    """Which packages are looked at, and who knows what is wrong with them."""

    folder: Path | None = None
    """Where they are installed. None: those that this program runs on."""
    osv_url: str | None = None
    """An advisory service that speaks OSV. None: the Python Package Index."""

    @property
    def where(self) -> tuple[str, ...]:
        return () if self.folder is None else ("--path", str(self.folder))


class Risk(StrEnum):
    """What an upgrade may break, by the part of the version that changes."""

    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"


@dataclass(frozen=True, slots=True)
class Outdated:
    name: str
    version: str
    latest: str

    @property
    def risk(self) -> Risk:
        """Before 1.0 the second number is what the first one is later."""
        old, new = _numbers(self.version), _numbers(self.latest)
        if old[0] != new[0] or (old[0] == 0 and old[1] != new[1]):
            return Risk.MAJOR
        return Risk.MINOR if old[1] != new[1] else Risk.PATCH

    def __str__(self) -> str:
        return f"{self.name} {self.version} → {self.latest}"


@dataclass(frozen=True, slots=True)
class Vulnerability:
    name: str
    version: str
    advisory: str
    fixed_in: tuple[str, ...]
    """Empty where nobody has fixed it yet."""

    def __str__(self) -> str:
        return f"{self.name} {self.version}: {self.advisory}"


@dataclass(frozen=True, slots=True)
class Audit:
    found: list[Vulnerability]
    skipped: list[str]
    """Packages that nothing is known about."""
    looked_at: int


async def outdated(packages: Packages) -> list[Outdated]:
    """What the index has newer; raises NotSeen unless it answered for each package."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        ended = await _run(
            *PIP, "list", "--outdated", "--format=json", "--retries=1", "--timeout=10", "--log", str(log),
            *packages.where,
        )  # fmt: skip
        told = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    found = _parsed(ended)
    asked, answered = (
        {normal(name) for name in pattern.findall(told)} - {OWN} for pattern in (_ASKED, _ANSWERED)
    )
    if not asked:
        raise NotSeen(f"pip ни о чём не спросил: {ended.last_words}")
    if silent := sorted(asked - answered):
        raise NotSeen(f"каталог пакетов не ответил: {some(silent)}")
    try:
        rows = [Outdated(row["name"], row["version"], row["latest_version"]) for row in found]
    except (KeyError, TypeError):
        raise NotSeen("ответ pip не разобрать") from None
    return sorted(rows, key=lambda row: row.name.lower())


async def audit(packages: Packages) -> Audit:
    """What is known to be wrong with them; raises NotSeen where the advisory service did not answer."""
    service = () if packages.osv_url is None else ("-s", "osv", "--osv-url", packages.osv_url)
    ended = await _run(
        sys.executable, "-m", "pip_audit", "--format=json", "--desc=off", "--progress-spinner=off",
        "--timeout=10", *service, *packages.where,
    )  # fmt: skip
    found = _parsed(ended)
    try:
        rows = [row for row in found["dependencies"] if normal(row["name"]) != OWN]
        vulnerabilities = [
            Vulnerability(row["name"], row["version"], one["id"], tuple(one["fix_versions"]))
            for row in rows
            for one in row.get("vulns", ())
        ]
        skipped = [row["name"] for row in rows if "skip_reason" in row]
    except (KeyError, TypeError):
        raise NotSeen("ответ pip-audit не разобрать") from None
    return Audit(vulnerabilities, skipped, len(rows) - len(skipped))


async def _run(*command: str) -> Ended:
    try:
        return await run_program(*command)
    except OSError as error:
        raise NotSeen(f"{command[2]} не запустить: {type(error).__name__}") from error


def _parsed(ended: Ended) -> Any:
    try:
        return json.loads(ended.said)
    except ValueError:
        raise NotSeen(ended.last_words) from None


def normal(name: str) -> str:
    """A package's name as indexes compare it. Source: PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _numbers(version: str) -> tuple[int, int]:
    """Its first two numbers, without an epoch."""
    found = [int(number) for number in re.findall(r"\d+", version.rpartition("!")[2])]
    first, second, *_ = [*found, 0, 0]
    return first, second


def some(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" и ещё {more}" if more > 0 else "")
