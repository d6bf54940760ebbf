from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from getpro.platform.postgres import account

# Like useradd, it looks first and writes later.
USERADD = """#!/bin/sh
sleep 0.2
echo "$5" >> "$USERS"
"""


def test_two_that_need_the_servers_user_at_once_make_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = tmp_path / "passwd"
    users.touch()
    program = tmp_path / "useradd"
    program.write_text(USERADD)
    program.chmod(0o755)
    monkeypatch.setenv("USERS", str(users))
    monkeypatch.setattr(account, "USERS", users)
    monkeypatch.setattr(account, "_exists", lambda name: name in users.read_text().split())
    monkeypatch.setattr("shutil.which", lambda _: str(program))
    together = Barrier(2)

    def one(_: int) -> None:
        together.wait()
        account._make("getpro")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, range(2)))

    assert users.read_text().split() == ["getpro"]
