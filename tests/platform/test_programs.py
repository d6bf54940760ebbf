"""Programs that run beside us: how they end, and that none outlives whoever waits for it."""

import asyncio
import os
from pathlib import Path

import pytest

from getpro.platform.programs import run_program
from waiting import until


async def test_a_program_gives_what_it_said_and_how_it_ended() -> None:
    ended = await run_program("sh", "-c", "cat; echo 'not so' >&2; exit 3", stdin=b"hello\n")
    assert (ended.code, ended.said, ended.last_words) == (3, b"hello\n", "not so")
    assert (await run_program("true")).last_words == "без объяснений"
    with pytest.raises(FileNotFoundError):
        await run_program("/no/such/program")


async def test_a_program_that_takes_too_long_is_gone_with_what_it_has_started(tmp_path: Path) -> None:
    child = tmp_path / "child"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await run_program("sh", "-c", f"sleep 60 & echo $! > {child}; wait")
    await until(lambda: not is_running(int(child.read_text())))


def is_running(pid: int) -> bool:
    """Whether it is more than a zombie that nobody has buried yet."""
    try:
        os.kill(pid, 0)
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
