"""What is in a log line, and what must never be."""

import asyncio
import contextlib
import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from getpro.platform import logging as shop_logging
from written import logging_into

SOURCE = Path(__file__).parents[2] / "src"
LINK = "https://panel.example/api/sub/very-secret"


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """Where the log goes; the loggers of the other tests are put back after."""
    with logging_into(tmp_path):
        yield tmp_path


def lines(directory: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (directory / "shop.log").read_text(encoding="utf-8").splitlines()]


def fail(link: str) -> None:
    opened = {"subscription_url": link}
    raise ValueError(len(opened))


def test_a_failure_is_one_line_with_its_traceback_and_without_its_variables(directory: Path) -> None:
    try:
        fail(LINK)
    except ValueError:
        structlog.get_logger("shop").exception("job.failed", customer_id=42)
    (line,) = lines(directory)
    assert (line["level"], line["event"], line["customer_id"]) == ("ERROR", "job.failed", 42)
    assert "test_logging.py" in json.dumps(line)
    assert LINK not in json.dumps(line)


def test_of_a_synthetic_purchase_only_trouble_is_told(directory: Path) -> None:
    log = structlog.get_logger("shop")
    with structlog.contextvars.bound_contextvars(synthetic=True):
        log.info("payment.looked_at")
        log.warning("subscription.not_delivered")
    log.info("payment.looked_at", payment_id=7)
    assert [(line["event"], line.get("synthetic"), line.get("payment_id")) for line in lines(directory)] == [
        ("subscription.not_delivered", True, None),
        ("payment.looked_at", None, 7),
    ]


@pytest.mark.parametrize(
    "name", ["bot_token", "secret_key", "subscription_url", "Authorization", "password", "api_key"]
)
def test_what_is_called_a_secret_is_masked(directory: Path, name: str) -> None:
    structlog.get_logger("shop").warning("something.happened", **{name: LINK})
    assert LINK not in json.dumps(lines(directory))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("POST https://api.telegram.org/bot7000000001:AAF0_x-ZzzzzzzzzzzzzzzzzzzzzzzzzzzzZ/getMe", "getMe"),
        ("postgresql://postgres:s3cr-et@127.0.0.1:5432/2getpro_v2", "127.0.0.1:5432/2getpro_v2"),
    ],
)
def test_a_secret_inside_a_text_is_masked(directory: Path, text: str, left: str) -> None:
    try:
        raise OSError(text)
    except OSError:
        logging.getLogger("somebody").exception("it failed: %s", text)
    written = json.dumps(lines(directory))
    assert "AAF0" not in written
    assert "s3cr-et" not in written
    assert left in written


def test_other_peoples_loggers_take_the_same_way(directory: Path) -> None:
    logging.getLogger("somebody").error("broken: %s", "pipe")
    (line,) = lines(directory)
    assert (line["level"], line["event"]) == ("ERROR", "broken: pipe")


def test_files_change_at_their_size_and_the_oldest_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shop_logging, "_FILE_BYTES", 2000)
    with logging_into(tmp_path) as written:
        for number in range(200):
            structlog.get_logger("shop").info("shop.ready", number=number)
        newest = written.lines[-1]["number"]
    names = sorted(path.name for path in tmp_path.glob("[!.]*"))
    assert names == ["shop.log", *(f"shop.log.{number}" for number in range(1, 8))]
    assert all(path.stat().st_size <= 2000 for path in tmp_path.iterdir())
    assert newest == 199


WORKER = """
import sys
from pathlib import Path
import structlog
from getpro.platform import logging
logging._FILE_BYTES = 2000
logging.configure(directory=Path(sys.argv[1]), name="worker")
for _ in sys.stdin:
    for number in range(40):
        structlog.get_logger("worker").info("shop.ready", me=sys.argv[2], number=number)
    print("written", file=sys.stderr, flush=True)
"""


@contextlib.contextmanager
def worker(directory: Path, me: str) -> Iterator[Callable[[], None]]:
    """A process of that name, and what makes it write until its files change."""
    command = [sys.executable, "-c", WORKER, str(directory), me]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command,
        stdin=pipe,
        stdout=subprocess.DEVNULL,
        stderr=pipe,
        text=True,
        env={"PYTHONPATH": str(SOURCE)},
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        asking, answering = process.stdin, process.stderr

        def write() -> None:
            asking.write("go on\n")
            asking.flush()
            assert answering.readline() == "written\n"

        write()
        yield write
        process.kill()


def test_processes_of_one_name_do_not_rotate_each_others_files(tmp_path: Path) -> None:
    def writers(name: str) -> set[str]:
        texts = [path.read_text(encoding="utf-8") for path in tmp_path.glob(f"{name}.log*")]
        return {json.loads(line)["me"] for text in texts for line in text.splitlines()}

    with worker(tmp_path, "alice") as alice, worker(tmp_path, "bob") as bob:
        for _ in range(3):
            alice()
            bob()
        assert [writers(name) for name in ("worker", "worker-2")] == [{"alice"}, {"bob"}]
        assert shop_logging.is_written(tmp_path / "worker-2.log")
        assert sorted(path.name for path in tmp_path.glob("[!.]*.log")) == ["worker-2.log", "worker.log"]
    assert not shop_logging.is_written(tmp_path / "worker-2.log")
    with worker(tmp_path, "charlie"):
        assert "charlie" in writers("worker")


async def test_a_quiet_process_tells_that_its_log_is_still_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shop_logging, "_LOOKS_AT_CLOCK_SECONDS", 0.01)
    with logging_into(tmp_path, level="ERROR") as written:
        living = asyncio.create_task(shop_logging.show_life())
        await asyncio.sleep(0.1)
        assert written.lines == []
        later = time.time() + 3600  # a machine that slept
        monkeypatch.setattr(time, "time", lambda: later)
        await asyncio.sleep(0.1)
        living.cancel()
    assert [line["event"] for line in written.lines] == ["log.still_written"]


def test_a_line_of_an_error_is_found_by_grep_as_the_guide_does_it(directory: Path) -> None:
    structlog.get_logger("shop").info("shop.ready")
    structlog.get_logger("shop").error("payment.stuck")
    found = subprocess.run(
        ["grep", "ERROR", str(directory / "shop.log")], capture_output=True, text=True, check=True
    )
    assert "payment.stuck" in found.stdout
    assert "shop.ready" not in found.stdout
