"""Files that are there whole or not at all."""

import os
import time
from pathlib import Path

import pytest

from getpro.kit.files import open_plain, write_new
from getpro.kit.trouble import system_words


def test_a_file_is_its_owners_alone_and_never_over_another(tmp_path: Path) -> None:
    write_new(tmp_path / ".env", "A=b\n")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / ".env", "A=c\n")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(".env", "A=b\n")]
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600


def test_what_a_kill_has_left_goes_with_the_next_and_nothing_else(tmp_path: Path) -> None:
    old, anothers, somebodys = ".key.abcd_123", ".key.efgh4567", ".key.old"
    for name in (old, anothers, somebodys):
        (tmp_path / name).touch()
    for name in (old, somebodys):
        os.utime(tmp_path / name, (0, time.time() - 3700))
    write_new(tmp_path / "key", "secret\n")
    assert {path.name for path in tmp_path.iterdir()} == {"key", anothers, somebodys}


def test_only_a_plain_file_is_opened_and_nothing_is_waited_at(tmp_path: Path) -> None:
    plain, link, pipe = (tmp_path / name for name in ("plain", "link", "pipe"))
    plain.write_bytes(b"whole")
    with open_plain(plain) as file:
        assert file.read() == b"whole"
    link.symlink_to(plain)
    os.mkfifo(pipe)
    for path, words in (
        (link, "это ссылка, а не файл"),
        (pipe, "это не обычный файл"),
        (tmp_path, "это не обычный файл"),
    ):
        with pytest.raises(OSError) as told:  # noqa: PT011 -- of several kinds
            open_plain(path)
        assert system_words(told.value) == words
