"""How each job of the shop ended: the product's process writes it down, the sandbox reads it."""

import asyncio
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from getpro.platform.jobs import Ended
from getpro.sandbox.timeline import SHOP, Timeline

JOBS_FILE: Final = "jobs.jsonl"
_LOOKS_EVERY_SECONDS: Final = 0.2


def write_down(path: Path, ended: Ended) -> None:
    """Add one JSON object, on a line of its own."""
    failed = "не вышло" if ended.is_over else "будет ещё раз"
    line = {
        "began_at": ended.began_at,
        "at": time.time(),
        "name": ended.name,
        "arguments": ended.arguments,
        "outcome": "готово" if ended.error is None else failed,
        "is_good": ended.error is None,
        "seconds": ended.seconds,
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


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
