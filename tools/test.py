"""``./2getpro test``: linters, types, import rules, tests; with pytest's arguments only pytest.

Options: ``--full`` kills longer, plays more sequences, runs the mutants and measures copies of a gigabyte;
``--install-system`` installs missing Debian packages by apt, as CI does. With CI=true a missing tool fails
and nothing is skipped.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
IN_CI = os.environ.get("CI") == "true"
NEEDED = {
    "browser": {"chromium": "chromium"},
    "documents": {"curl": "curl"},
    "monitoring": {
        "promtool": "prometheus",
        "amtool": "prometheus-alertmanager",
        "prometheus-blackbox-exporter": "prometheus-blackbox-exporter",
        "prometheus-node-exporter": "prometheus-node-exporter",
    },
}
"""Tests by their marker, the programs that they use, and the Debian packages that bring those."""
NEEDED_IF_FULL = {
    "containers": {
        "podman": "podman",
        "runc": "runc",
        "/usr/lib/podman/netavark": "netavark",
        "/usr/lib/podman/aardvark-dns": "aardvark-dns",
        "docker": "docker.io",
        "docker-compose": "docker-compose",
        "debootstrap": "debootstrap",
    },
}
KILLS_IF_FULL = 100
EXAMPLES_IF_FULL = 25


def main(arguments: list[str]) -> int:
    if arguments and arguments[0] in {"-h", "--help"}:
        print(__doc__)
        return 0
    is_full = "--full" in arguments
    may_install = IN_CI or "--install-system" in arguments
    chosen = [argument for argument in arguments if argument not in {"--full", "--install-system"}]
    needed = NEEDED | (NEEDED_IF_FULL if is_full else {})
    missing = _missing(needed, may_install=may_install)
    if missing and IN_CI:
        print(f"Не хватает: {', '.join(missing)}", file=sys.stderr)
        return 1
    steps = [] if chosen else _checks()
    steps.append(("pytest", _pytest(chosen, is_full=is_full, missing=missing)))
    if is_full and not chosen:
        steps.append(("mutants", [sys.executable, "tools/mutants/run.py"]))
        # Last and alone: what runs beside it would be measured, too.
        steps.append(("copies", [sys.executable, "-m", "bench", "--copies"]))
    return _run(steps)


def _checks() -> list[tuple[str, list[str]]]:
    return [
        ("ruff check", [str(BIN / "ruff"), "check", "--quiet"]),
        ("ruff format", [str(BIN / "ruff"), "format", "--check", "--quiet"]),
        ("mypy", [str(BIN / "mypy")]),
        ("import rules", [str(BIN / "lint-imports"), "--no-cache"]),
    ]


def _pytest(chosen: list[str], *, is_full: bool, missing: dict[str, str]) -> list[str]:
    command = [sys.executable, "-m", "pytest"]
    if chosen:
        return [*command, *chosen]
    if missing:
        without = ", ".join(sorted(set(missing.values())))
        print(f"Не хватает: {', '.join(missing)}; не будет проверок {without}. Установить: --install-system")
    strict = ["-p", "no_skips"] if IN_CI else []
    return [
        *command,
        *strict,
        "-n",
        "2",
        "--dist",
        "loadgroup",
        "-q",
        "--durations=8",
        *_left_out(is_full=is_full, missing=missing),
        *(["--kills", str(KILLS_IF_FULL), "--examples", str(EXAMPLES_IF_FULL)] if is_full else []),
    ]


def _left_out(*, is_full: bool, missing: dict[str, str]) -> list[str]:
    """What takes long is for ``--full``; what needs a program, for who has it."""
    without = sorted(set(missing.values()))
    reasons = [*([] if is_full else ["not long"]), *(f"not {marker}" for marker in without)]
    return ["-m", " and ".join(reasons)] if reasons else []


def _missing(needed: dict[str, dict[str, str]], *, may_install: bool) -> dict[str, str]:
    """Programs that are not there, and the marker of the tests that need them."""
    packages = {program: package for group in needed.values() for program, package in group.items()}
    missing = [program for program in packages if shutil.which(program) is None]
    if missing and may_install:
        as_root = [] if os.geteuid() == 0 else ["sudo"]
        # With that run level no package's server is started.
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        wanted = [packages[program] for program in missing]
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", *wanted]):
            subprocess.run([*as_root, *command], check=False, env=environment, stdout=subprocess.DEVNULL)
    return {
        program: marker
        for marker, group in needed.items()
        for program in group
        if shutil.which(program) is None
    }


def _run(steps: list[tuple[str, list[str]]]) -> int:
    """Run every step, also after one has failed; print what each took."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tools'}"}
    results = []
    for name, command in steps:
        print(f"== {name}", flush=True)
        started = time.monotonic()
        code = subprocess.run(command, check=False, cwd=ROOT, env=environment).returncode
        results.append((name, code, time.monotonic() - started))
    print(
        "\n"
        + "\n".join(
            f"{'ok  ' if code == 0 else 'FAIL'} {name:<14}{took:6.1f} s" for name, code, took in results
        )
    )
    return 1 if any(code for _, code, _ in results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
