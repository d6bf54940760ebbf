"""The log files read back: the same trouble together, new before known."""

import json
import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from getpro.operations import logs
from getpro.platform import logging as our_logging

NOW = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
DAY = timedelta(hours=24)


def written(directory: Path, name: str, *lines: dict[str, Any] | str) -> Path:
    path = directory / name
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def line(event: str, *, ago: timedelta, level: str = "ERROR", **fields: Any) -> dict[str, Any]:
    return {"timestamp": (NOW - ago).isoformat(), "level": level, "event": event, **fields}


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


def look(directory: Path, **options: Any) -> logs.Found:
    return logs.look(directory, since=NOW - DAY, **options)


def test_an_error_among_many_lines_is_found_and_not_only_in_the_last_hundred(tmp_path: Path) -> None:
    """The guide's line looks at the last hundred."""
    quiet = [line("ok", ago=hours(1), level="INFO") for _ in range(140)]
    written(tmp_path, "web.log", *quiet[:9], line("payment.stuck", ago=hours(2)), *quiet[9:])
    found = look(tmp_path)
    assert [(one.event, one.count) for one in found.troubles] == [("payment.stuck", 1)]
    assert found.lines == 141


def test_what_was_there_before_is_known_and_comes_after_what_is_new(tmp_path: Path) -> None:
    written(tmp_path, "web.log.1", line("old.trouble", ago=hours(30)), line("gone.trouble", ago=hours(40)))
    written(
        tmp_path,
        "web.log",
        *(line("old.trouble", ago=hours(3), user=number) for number in range(5)),
        line("new.trouble", ago=hours(1)),
    )
    found = look(tmp_path)
    assert [(one.event, one.count, one.is_new) for one in found.troubles] == [
        ("new.trouble", 1, True),
        ("old.trouble", 5, False),
    ]


def test_warnings_are_shown_when_asked_for(tmp_path: Path) -> None:
    written(tmp_path, "worker.log", line("slow", ago=hours(1), level="WARNING"))
    assert look(tmp_path).troubles == []
    assert [one.event for one in look(tmp_path, level="WARNING").troubles] == ["slow"]


def test_lines_of_somebody_else_and_cut_ones_are_counted_not_hidden(tmp_path: Path) -> None:
    written(
        tmp_path, "web.log", "Traceback (most recent call last):", '{"event": "cut', line("a", ago=DAY / 2)
    )
    found = look(tmp_path)
    assert (found.unreadable, len(found.troubles)) == (2, 1)


def test_of_files_that_ended_before_only_what_was_wrong_is_read(tmp_path: Path) -> None:
    written(
        tmp_path,
        "web.log.2",
        line("fine", ago=hours(99), level="INFO"),
        "cut",
        line("trouble", ago=hours(98)),
        line("slow", ago=hours(97), level="WARNING", said='"ERROR"'),
    )
    written(tmp_path, "web.log.1", "cut", line("other", ago=hours(50), level="CRITICAL"))
    written(tmp_path, "web.log", *(line(name, ago=hours(1)) for name in ("trouble", "other", "slow")))
    found = look(tmp_path)
    assert {one.event: one.is_new for one in found.troubles} == {
        "trouble": False,
        "other": False,
        "slow": True,
    }
    assert (found.lines, found.unreadable) == (3, 0)
    assert [(one.name, one.oldest) for one in found.writers] == [("web", NOW - hours(99))]


def test_lines_are_counted_however_they_are_written(tmp_path: Path) -> None:
    told = line("fine", ago=hours(1), level="INFO", said='{"timestamp": "never"}', inner={"timestamp": "x"})
    tight = json.dumps(line("bad", ago=hours(1)), separators=(",", ":"))
    before = {"timestamp": "2026-11-28T08:00:00Z", "level": "INFO", "event": "z", "said": "кириллица"}
    local = line("fine", ago=hours(1), level="INFO") | {"timestamp": "2026-11-28T08:00:00"}
    ordered = {name: told[name] for name in ("event", "said", "inner", "level", "timestamp")}
    written(tmp_path, "web.log", ordered, tight, json.dumps(before, ensure_ascii=False), json.dumps(local))
    found = look(tmp_path)
    assert (found.lines, found.unreadable, len(found.troubles)) == (3, 1, 1)


def test_each_process_is_seen_by_itself_and_a_routine_that_begins_is_no_sign_of_it(tmp_path: Path) -> None:
    written(tmp_path, "web.log", line("fine", ago=hours(30), level="INFO"))
    written(tmp_path, "worker.log", *(line("ops.begun", ago=hours(n), level="INFO") for n in (1, 2)))
    written(tmp_path, "worker-2.log", line("fine", ago=hours(1), level="INFO"))
    found = look(tmp_path)
    assert {one.name: one.lines for one in found.writers} == {"web": 0, "worker": 0, "worker-2": 1}
    assert found.lines == 3


def test_a_process_forgets_only_once_as_many_files_as_are_kept_are_full(tmp_path: Path) -> None:
    for number in range(1, our_logging.KEPT_FILES + 1):
        written(tmp_path, f"web.log.{number}", line("fine", ago=hours(number), level="INFO"))
    for name in ("worker.log.1", "worker.log"):
        written(tmp_path, name, line("fine", ago=hours(1), level="INFO"))
    forgetting = {one.name: one.forgets(NOW - DAY) for one in look(tmp_path).writers}
    assert forgetting == {"web": True, "worker": False}
    written(tmp_path, "web.log.7", line("fine", ago=hours(25), level="INFO"))
    assert not any(one.forgets(NOW - DAY) for one in look(tmp_path).writers)


def test_the_same_bug_with_other_words_is_the_same_trouble(tmp_path: Path) -> None:
    """With the real log: two customers meet one bug, a third another."""
    our_logging.configure(directory=tmp_path, name="web")
    log = structlog.get_logger("test")

    def fail(what: str) -> None:
        raise ValueError(what)

    for what in ("alice", "bob"):
        try:
            fail(what)
        except ValueError:
            log.exception("bot.update_failed", user=what)
    try:
        raise KeyError("charlie")
    except KeyError:
        log.exception("bot.update_failed")
    for handler in logging.getLogger().handlers:
        handler.flush()
    found = logs.look(tmp_path, since=datetime.now(UTC) - DAY)
    assert [(one.error, one.count) for one in found.troubles] == [("ValueError", 2), ("KeyError", 1)]


def test_old_files_go_and_rotated_ones_with_them(tmp_path: Path) -> None:
    """The guide's line leaves those that are called .log.1."""
    old, new = written(tmp_path, "web.log.3", "x"), written(tmp_path, "web.log", "y")
    other = written(tmp_path, "notes.txt", "z")
    for path in (old, other):
        os.utime(path, (0, (NOW - 40 * DAY).timestamp()))
    assert logs.prune(tmp_path, before=NOW - 30 * DAY) == [old]
    assert {path.name for path in tmp_path.iterdir()} == {new.name, other.name}


@pytest.mark.parametrize(
    ("text", "means"), [("30m", timedelta(minutes=30)), ("24h", DAY), ("7d", timedelta(days=7))]
)
def test_a_time_is_written_short(text: str, means: timedelta) -> None:
    assert logs.duration(text) == means


@pytest.mark.parametrize("text", ["", "24", "h", "1w", "-1h", "١h", "1.5h"])
def test_another_writing_of_a_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        logs.duration(text)
