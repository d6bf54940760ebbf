"""``python tools/mutants/run.py [NAMES…] [--jobs N]``: every deliberate bug must turn a test red.

See README.md beside this file. The project itself is never changed: each patch goes onto a copy.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATCHES = Path(__file__).parent
LONGEST_SECONDS = 300
GREEN, RED = 0, 1
"""Pytest's exit codes; every other one means that it could not run the tests."""


@dataclass(frozen=True)
class Mutant:
    patch: Path
    bug: str
    tests: list[str]

    @property
    def name(self) -> str:
        return self.patch.stem


@dataclass(frozen=True)
class Verdict:
    name: str
    is_killed: bool
    how: str
    seconds: float


class Trouble(Exception):
    """The runner could not find out: the patch or the tests do not fit the code."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Apply each deliberate bug and expect red tests.")
    parser.add_argument("names", nargs="*", help="how the names of the mutants begin; all without")
    parser.add_argument("--jobs", type=int, default=2, help="how many run at once")
    options = parser.parse_args(arguments)
    mutants = [
        read(patch)
        for patch in sorted(PATCHES.glob("*.patch"))
        if not options.names or patch.name.startswith(tuple(options.names))
    ]
    if not mutants:
        print("there is no such mutant", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        Path(directory).chmod(0o755)  # as root the database of the tests is another user
        clean = Path(directory) / "clean"
        copy_project(clean)
        try:
            check_green(clean, mutants)
        except Trouble as trouble:
            print(f"Without a mutant the tests must be green: {trouble}", file=sys.stderr)
            return 1
        print("mutant | killed by | seconds", flush=True)
        with ThreadPoolExecutor(options.jobs) as pool:
            killed = 0
            for verdict in pool.map(lambda mutant: judge(clean, mutant), mutants):
                print(f"{verdict.name} | {verdict.how} | {verdict.seconds:.0f}", flush=True)
                killed += verdict.is_killed
    print(f"\n{killed} of {len(mutants)} mutants killed")
    return 0 if killed == len(mutants) else 1


def read(patch: Path) -> Mutant:
    """A mutant from the lines ``key: value`` above its diff."""
    head = patch.read_text(encoding="utf-8").partition("\ndiff --git ")[0]
    facts = dict(re.findall(r"^(bug|tests): (.+)$", head, re.MULTILINE))
    return Mutant(patch, facts["bug"], facts["tests"].split())


def copy_project(target: Path) -> None:
    """Copy what git knows or would add, as it stands in the working tree."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def check_green(clean: Path, mutants: list[Mutant]) -> None:
    """Run all tests named once on the unchanged code, else red would mean nothing; raises Trouble."""
    tests = dict.fromkeys(test for mutant in mutants for test in mutant.tests)
    code, output = run_tests(clean, tests)
    if code != GREEN:
        raise Trouble(f"pytest ended with {code}\n{end_of(output)}")


def judge(clean: Path, mutant: Mutant) -> Verdict:
    """Apply the patch to a copy of its own and run its tests there."""
    started = time.monotonic()
    try:
        killer = first_failure(clean, mutant)
        how = killer or "SURVIVED"
    except Trouble as trouble:
        killer, how = None, f"CANNOT TELL: {trouble}"
    return Verdict(mutant.name, killer is not None, how, time.monotonic() - started)


def first_failure(clean: Path, mutant: Mutant) -> str | None:
    """The first test that the bug turns red, None if all stay green; raises Trouble."""
    copy = clean.parent / mutant.name
    shutil.copytree(clean, copy)
    try:
        apply(mutant.patch, copy)
        code, output = run_tests(copy, mutant.tests)
    finally:
        shutil.rmtree(copy)
    failed = re.search(r"^FAILED (.+?)(?: - .*)?$", output, re.MULTILINE)
    if code == GREEN:
        return None
    if code == RED and failed:
        return failed[1]
    raise Trouble(f"pytest ended with {code}\n{end_of(output)}")


def end_of(output: str) -> str:
    return "\n".join(output.splitlines()[-20:])


def apply(patch: Path, copy: Path) -> None:
    """Raises Trouble for a patch that does not fit the code any more."""
    # Inside somebody's checkout git would look for that one's files.
    outside = os.environ | {"GIT_CEILING_DIRECTORIES": str(copy.parent)}
    command = ["git", "apply", str(patch)]
    done = subprocess.run(command, cwd=copy, env=outside, check=False, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise Trouble(f"the patch does not apply\n{done.stderr}")


def run_tests(copy: Path, tests: Iterable[str]) -> tuple[int, str]:
    """Pytest's exit code and output, stopped at the first failure; raises Trouble when it takes too long."""
    temporary = copy.with_suffix(".tmp")
    temporary.mkdir()
    path = os.pathsep.join([str(copy / "src"), str(copy / "tools")])
    options = ["-x", "-q", "--tb=short", "--show-capture=no", "-p", "no:cacheprovider"]
    # Beside the copy, so that nothing is left behind and no other run clears it away.
    own = {"PYTHONPATH": path, "PYTEST_DEBUG_TEMPROOT": str(temporary)}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=copy,
            env=os.environ | own,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LONGEST_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise Trouble(f"no end after {LONGEST_SECONDS} s") from None
    return done.returncode, done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
