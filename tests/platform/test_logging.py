"""What is in a log line, and what must never be."""

import json
import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from getpro.platform import logging as shop_logging
from written import logging_into

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
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["shop.log", *(f"shop.log.{number}" for number in range(1, 8))]
    assert all(path.stat().st_size <= 2000 for path in tmp_path.iterdir())
    assert newest == 199


def test_a_line_of_an_error_is_found_by_grep_as_the_guide_does_it(directory: Path) -> None:
    structlog.get_logger("shop").info("shop.ready")
    structlog.get_logger("shop").error("payment.stuck")
    found = subprocess.run(
        ["grep", "ERROR", str(directory / "shop.log")], capture_output=True, text=True, check=True
    )
    assert "payment.stuck" in found.stdout
    assert "shop.ready" not in found.stdout
