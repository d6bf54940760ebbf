"""What a user has: a clone with two commands, or an installed package; neither names a machine or a host."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from folders import open_up

ROOT = Path(__file__).parents[2]
LOCKS = tuple(sorted(ROOT.glob("requirements*.lock")))

pytestmark = pytest.mark.timeout(300)


def run(*command: str | Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")} | settings,
    )


def test_the_tour_runs_from_the_runtime_lock_alone_and_its_books_agree(tmp_path: Path) -> None:
    open_up(tmp_path)
    done = run(ROOT / "2getpro", "sandbox", "--tour", "--dir", tmp_path / "tour", DATABASE_URL="nowhere")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Книги сошлись." in done.stdout
    names = run(ROOT / ".venv" / "bin" / "python", "-m", "pip", "list").stdout
    assert "pytest" not in names


def test_as_root_everything_works_from_a_clone_that_nobody_else_may_enter(tmp_path: Path) -> None:
    private, data = tmp_path / "private", tmp_path / "data"
    open_up(tmp_path)
    private.mkdir(mode=0o700)
    data.mkdir()
    clone = private / "clone"
    shutil.copytree(ROOT / "src", clone / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("2getpro", "requirements.lock"):
        shutil.copy2(ROOT / name, clone / name)
    shutil.copytree(ROOT / ".venv", clone / ".venv", symlinks=True)
    done = run(clone / "2getpro", "migrate", GETPRO_DATA_DIR=str(data))
    assert done.returncode == 0, done.stderr
    done = run(clone / "2getpro", "psql", "-Atc", "SELECT count(*) FROM plans", GETPRO_DATA_DIR=str(data))
    assert (done.returncode, done.stdout) == (0, "4\n"), done.stderr


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The launcher and the program, with an environment that is already as its lock wants it."""
    for name in ("2getpro", "requirements.lock"):
        shutil.copy2(ROOT / name, tmp_path / name)
    (tmp_path / "src").symlink_to(ROOT / "src")
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    lock = (tmp_path / "requirements.lock").read_text()
    wanted = subprocess.run(["cksum"], input=lock, capture_output=True, text=True, check=True)
    (tmp_path / ".venv" / ".stamp").write_text(wanted.stdout.strip())
    return tmp_path


def test_hints_repeat_the_way_the_program_was_started(clone: Path) -> None:
    for name in ("./2getpro", str(clone / "2getpro")):
        done = subprocess.run([name, "nonsense"], capture_output=True, text=True, check=False, cwd=clone)
        assert (done.returncode, done.stderr.splitlines()[-1]) == (
            64,
            f"Что делать: Список команд: {name} --help",
        )
    done = subprocess.run(
        ["./2getpro", "customers", "show", "--help"], capture_output=True, text=True, check=False, cwd=clone
    )
    assert "Пример: ./2getpro customers show @anna" in done.stdout


def test_a_user_who_may_not_run_what_another_has_installed_is_told_what_to_do(clone: Path) -> None:
    def start() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["./2getpro", "--version"], capture_output=True, text=True, check=False, cwd=clone, timeout=20
        )

    (clone / ".venv" / "bin" / "python").chmod(0o644)
    done = start()
    assert (done.returncode, done.stdout) == (2, "")
    assert "удалите .venv и запустите от него ещё раз" in done.stderr


def test_an_installed_package_gives_the_same_command_with_its_migrations(server: str, tmp_path: Path) -> None:
    python = sys.executable
    built = run(python, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert run(python, "-m", "venv", "--without-pip", tmp_path / "venv").returncode == 0
    target = tmp_path / "venv" / "bin" / "python"
    uv = Path(python).with_name("uv")
    installed = run(uv, "pip", "install", "--offline", "--no-deps", "--python", target, wheel)
    assert installed.returncode == 0, installed.stderr
    lend_dependencies(tmp_path / "venv")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE installed")
    command = tmp_path / "venv" / "bin" / "2getpro"
    own = {"DATABASE_URL": f"{server}/installed", "GETPRO_DATA_DIR": str(tmp_path)}
    assert run(command, "migrate", **own).returncode == 0
    done = run(command, "psql", "-Atc", "SELECT count(*) FROM plans", **own)
    assert (done.returncode, done.stdout) == (0, "4\n"), done.stderr
    assert run(command, "sandbox", "--help").returncode == 0


def lend_dependencies(venv: Path) -> None:
    """The runtime lock's packages, without installing them a second time."""
    (theirs,) = (ROOT / ".venv" / "lib").glob("python*/site-packages")
    (ours,) = (venv / "lib").glob("python*/site-packages")
    (ours / "lent.pth").write_text(str(theirs))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_pins_and_hashes_everything_and_names_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert "@ " not in text
    pinned = re.findall(r"^[a-z0-9][\w.\-\[\]]*==", text, re.MULTILINE)
    entries = [line for line in text.splitlines() if line and line[0] not in " -#"]
    assert len(pinned) == len(entries) > 30
    blocks = re.split(r"\n(?=[a-z0-9])", text)[-len(entries) :]
    assert all("--hash=sha256:" in block for block in blocks)


def test_ci_does_what_the_readme_says() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "CI=true exec ./2getpro test" in script.read_text()
