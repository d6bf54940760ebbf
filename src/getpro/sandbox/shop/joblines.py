"""How each job of the shop ended: the product's process writes it down, the sandbox reads it."""

import asyncio
import json
import logging
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from getpro.sandbox.timeline import SHOP, Timeline

JOBS_FILE: Final = "jobs.jsonl"
_ENDS: Final = {"job_success": "готово", "job_error_retry": "будет ещё раз", "job_error": "не вышло"}
_LOOKS_EVERY_SECONDS: Final = 0.2


class _JobLines(logging.Handler):
    """One JSON object a line for each job that has ended."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._begun: dict[int, tuple[float, float]] = {}
        """By job: the time of day, and the monotonic clock, which no sandbox moves."""

    def emit(self, record: logging.LogRecord) -> None:
        action, job = getattr(record, "action", ""), getattr(record, "job", {})
        if action == "start_job":
            self._begun[job["id"]] = record.created, time.monotonic()
        if action in _ENDS:
            began_at, began = self._begun.pop(job["id"], (record.created, time.monotonic()))
            line = {
                "began_at": began_at,
                "at": record.created,
                "name": job["task_name"],
                "arguments": job["task_kwargs"],
                "outcome": _ENDS[action],
                "is_good": action == "job_success",
                "seconds": time.monotonic() - began,
            }
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def write_jobs_down(path: Path) -> None:
    """The queue's own log says it; the product's log does not keep it, and neither does ours."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(
            lambda record: not record.name.startswith("procrastinate") or record.levelno >= logging.WARNING
        )
    queue = logging.getLogger("procrastinate.worker")
    queue.setLevel(logging.INFO)
    queue.addHandler(_JobLines(path))


async def follow_jobs(path: Path, timeline: Timeline) -> None:
    """Add what is written from now on to ``timeline``, until cancelled."""
    with path.open("w+", encoding="utf-8") as file:
        begun = ""
        while True:
            for piece in file:
                begun += piece
                if begun.endswith("\n"):
                    _add(timeline, begun)
                    begun = ""
            await asyncio.sleep(_LOOKS_EVERY_SECONDS)


def _add(timeline: Timeline, text: str) -> None:
    line = json.loads(text)
    arguments = " ".join(f"{name}={value}" for name, value in line["arguments"].items())
    timeline.add(
        "job",
        "очередь",
        SHOP,
        f"{line['name']} {arguments}".strip(),
        line["outcome"],
        is_good=line["is_good"],
        seconds=line["seconds"],
        is_routine=not arguments,
        at=datetime.fromtimestamp(line["at"], UTC),
    )
