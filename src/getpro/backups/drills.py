"""The drill: the shop from what a lost machine leaves behind, against the clock.

A new environment out of the folder of copies and the key alone, the product booted there, one purchase made.
What it took is the recovery time (RTO); what of the last work is missing, the recovery point (RPO).
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import structlog
from pyrage import x25519
from sqlalchemy import insert, select

from getpro import migrations
from getpro.backups.choice import choose
from getpro.backups.deps import Deps
from getpro.backups.environment import read, require_secrets
from getpro.backups.errors import BackupError
from getpro.backups.folder import PASSED_THROUGH, held, written
from getpro.backups.interruption import ended_by, interruptible
from getpro.backups.models import drills
from getpro.backups.progress import OnProgress, silent
from getpro.backups.recovery import Target, last_commit
from getpro.backups.room import require_room_to_spare
from getpro.backups.sources import Copy, Source, minute_of
from getpro.backups.store import Stream, newest_stream
from getpro.backups.trial import SCRATCH, Steps, Trial, Use, thrown_away
from getpro.kit.clock import Clock
from getpro.kit.trouble import system_words
from getpro.platform.database import Session

log = structlog.get_logger(__name__)

PAGE: Final = "drills.md"
"""In the folder of copies: it must be there when the database is not."""
_ON_PAGE: Final = 24
_BEGIN, _END = "<!-- учения -->", "<!-- /учения -->"
_COMES_SECONDS: Final = 60
"""Twice as long as the log needs into the folder."""
_LOOK_SECONDS: Final = 0.5
_MINUTE: Final = 60
_HOUR: Final = 3600


@dataclass(frozen=True, slots=True)
class Drill:
    """How one went. ``rpo`` is None where nothing was brought up."""

    started_at: datetime
    source: str
    rto: timedelta
    rpo: timedelta | None
    steps: list[tuple[str, float]]
    trouble: str | None
    asked_by: str

    @property
    def is_good(self) -> bool:
        return self.trouble is None


async def rehearse(deps: Deps, *, asked_by: str, on_progress: OnProgress = silent) -> Drill:
    """Bring the shop up from its copies as if this machine were lost, and keep how it went; a flow.

    Nothing but the folder and the key is used. Raises Busy.
    """
    await _until_the_log_is_here(deps)
    with held(deps.trials, mode=PASSED_THROUGH):
        drill = await interruptible(
            _rehearse,
            deps.folder,
            deps.keys.identity,
            deps.trials / SCRATCH,
            deps.use,
            clock=deps.clock,
            asked_by=asked_by,
            on_progress=on_progress,
        )
    async with deps.db.begin("backup: drill") as session:
        await _keep(session, drill)
        past = await newest_first(session, most=_ON_PAGE)
    say = log.info if drill.is_good else log.error
    say("backup.drill", source=drill.source, rto_seconds=drill.rto.total_seconds(), trouble=drill.trouble)
    await asyncio.to_thread(_write_down, deps, past)
    return drill


async def _until_the_log_is_here(deps: Deps) -> None:
    """Right after a start the log in the folder ends before the shop was stopped.

    What is measured is what is lost of work, and not how long the shop had none. A log that does not come is
    not waited for long: then the loss is real.
    """
    began, deadline = deps.clock(), time.monotonic() + _COMES_SECONDS
    first = await _flowing(deps)
    while first is not None and time.monotonic() < deadline:
        now = await _flowing(deps)
        if now is None or (now.safe_until is not None and now.safe_until >= began):
            return
        await asyncio.sleep(_LOOK_SECONDS)


async def _flowing(deps: Deps) -> Stream | None:
    async with deps.db.read("backup: drill") as session:
        return await newest_stream(session)


def _write_down(deps: Deps, past: Sequence[Drill]) -> None:
    """Where it is read when nothing else is there: beside the copies, with the page for that day.

    The page of the program itself stays as it is: it belongs to a checkout.
    """
    try:
        with written(deps.folder / PAGE) as page:
            page.write(f"# Учения\n\n{as_markdown(past)}".encode())
        if deps.plan is not None and deps.plan.exists():
            before, begin, rest = deps.plan.read_text(encoding="utf-8").partition(_BEGIN)
            _, end, after = rest.partition(_END)
            if begin and end:
                with written(deps.folder / deps.plan.name) as page:
                    page.write(f"{before}{_BEGIN}\n{as_markdown(past[:1])}{_END}{after}".encode())
    except OSError as error:
        log.warning("backup.drill_not_written_down", error=system_words(error))


def _rehearse(
    folder: Path,
    identity: x25519.Identity,
    scratch: Path,
    use: Use,
    *,
    clock: Clock,
    asked_by: str,
    on_progress: OnProgress,
) -> Drill:
    started_at, began = clock(), time.monotonic()
    trial, source, reached = Trial(), None, None
    steps = Steps(trial, on_progress)
    with trial:
        steps("Что есть")
        source = _newest(folder, identity, started_at)
        with thrown_away(scratch):
            require_room_to_spare(scratch, source.restored_bytes)
            steps("Настройки")
            newest = choose(folder, None, identity, now=started_at).manifest
            settings = read(folder, newest, identity, scratch / "settings")
            with source.restored(scratch, steps) as (cluster, url), ended_by(cluster.kill):
                reached = last_commit(cluster) or source.moment
                steps("Версия схемы")
                migrations.upgrade(url)
                steps("Секреты")
                require_secrets(url, settings)
                steps("Пробная покупка")
                use(url)
                steps.end()
    return Drill(
        started_at=started_at,
        source="" if source is None else source.name,
        rto=timedelta(seconds=time.monotonic() - began),
        rpo=None if reached is None else max(timedelta(), started_at - reached),
        steps=trial.steps,
        trouble=trial.trouble,
        asked_by=asked_by,
    )


def _newest(folder: Path, identity: x25519.Identity, now: datetime) -> Source:
    """The end of the log, and where there is none the newest dump; raises NotThere."""
    try:
        return minute_of(folder, Target(), identity)
    except BackupError:
        return Copy(folder, choose(folder, None, identity, now=now).manifest, identity)


async def _keep(session: Session, drill: Drill) -> None:
    await session.execute(
        insert(drills).values(
            started_at=drill.started_at,
            source=drill.source,
            rto_seconds=drill.rto.total_seconds(),
            rpo_seconds=None if drill.rpo is None else drill.rpo.total_seconds(),
            steps=drill.steps,
            trouble=drill.trouble,
            asked_by=drill.asked_by,
        )
    )


async def newest_first(session: Session, *, most: int) -> list[Drill]:
    found = await session.execute(select(drills).order_by(drills.c.started_at.desc()).limit(most))
    return [_drill_of(row) for row in found]


def _drill_of(row: Any) -> Drill:
    return Drill(
        started_at=row.started_at,
        source=row.source,
        rto=timedelta(seconds=row.rto_seconds),
        rpo=None if row.rpo_seconds is None else timedelta(seconds=row.rpo_seconds),
        steps=[(name, seconds) for name, seconds in row.steps],
        trouble=row.trouble,
        asked_by=row.asked_by,
    )


def as_markdown(past: Sequence[Drill]) -> str:
    """A table for operators, newest first."""
    lines = ["| Когда (UTC) | Из чего | Восстановили за | Потеряли бы | Итог |", "|---|---|---|---|---|"]
    lines += [
        f"| {drill.started_at:%Y-%m-%d %H:%M} | {drill.source or '—'} | {span_words(drill.rto)}"
        f" | {'—' if drill.rpo is None else span_words(drill.rpo)} | {drill.trouble or 'годится'} |"
        for drill in past
    ]
    return "\n".join(lines) + "\n"


def span_words(span: timedelta) -> str:
    seconds = round(span.total_seconds())
    if seconds < _MINUTE:
        return f"{seconds} с"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} мин {seconds % _MINUTE} с"
    return f"{seconds // _HOUR} ч {seconds % _HOUR // _MINUTE} мин"
