"""An upgrade of all packages, tried where it can break nothing: a fresh environment that is thrown away.

A release that nobody has looked at yet may be poisoned. None is built, only pip of ours runs while they are
installed, and what runs on them is given nothing of the shop's: not its settings, not its folder, not its
home. Files that this user may read are not kept from it.
"""

import importlib.metadata
import json
import os
import shutil
import sys
import tempfile
import tomllib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import getpro
from getpro.checks.check import Finding, Line
from getpro.operations import container
from getpro.operations.dependencies import OWN, PIP, normal
from getpro.platform.programs import Ended, run_program

MADE: Final = Line("upgrade.made", "Обновление на пробу")
STARTS: Final = Line("upgrade.starts", "Программа на нём")
TESTED: Final = Line("upgrade.tested", "Проверки программы на нём")
_LOCK: Final = "requirements-dev.lock"
_IMPORTS: Final = "import getpro.running, getpro.cli.ops, getpro.sandbox.shop.command"
"""Everything that runs, and with it every package."""
_NOWHERE: Final = "http://127.0.0.1:9"
_NOBODYS: Final = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing",
    "TELEGRAM_BOT_TOKEN": "1:nobodys",
    "TELEGRAM_API_URL": _NOWHERE,
    "PANEL_URL": _NOWHERE,
    "PANEL_TOKEN": "nobodys",
}
"""Settings of a shop that there is not: the doctor goes through all checks, and every one is refused."""
_NEEDED: Final = frozenset({"PATH", "LANG", "LC_ALL", "TMPDIR", "TZ"})
"""What programs need of the environment; whatever else is there may be a secret."""
_NEEDED_BY_PIP: Final = _NEEDED | {"HOME", "NETRC", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"}
_PROXIES: Final = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"})
_STAY: Final = "Не обновляйте; покажите разработчикам."
_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Product:
    """What is tried: the code, what it asks for, and where its tests are."""

    code: Path
    """The folder ``getpro``."""
    requirements: Sequence[str]
    clone: Path | None
    """None where it was installed without its tests."""


def this_product() -> Product:
    """The one that is running; raises OSError, or PackageNotFoundError where nobody says what it needs."""
    code = Path(getpro.__file__).parent
    clone = code.parents[1]
    if (clone / "tools/test.py").exists():
        project = tomllib.loads((clone / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        return Product(code, project["dependencies"], clone)
    return Product(code, importlib.metadata.requires(OWN) or [], None)


async def look(*, marks: Collection[Path] = container.MARKS) -> AsyncIterator[Finding]:
    """Not in a container: hundreds of megabytes would be charged to the memory that the shop lives on."""
    if container.is_around(marks):
        yield MADE.unknown(
            "в контейнере не пробуют: не хватит памяти, которая нужна магазину",
            "Попробуйте вне Docker, лучше на другой машине: ./2getpro ops tuesday --try.",
        )
        return
    try:
        product = this_product()
    except (OSError, ValueError, KeyError, importlib.metadata.PackageNotFoundError) as error:
        yield MADE.unknown(f"не узнать, что нужно программе: {type(error).__name__}", _STAY)
        return
    async for finding in try_upgrade(product):
        yield finding


async def try_upgrade(product: Product) -> AsyncIterator[Finding]:
    """Install the newest that fits into a fresh environment, start the program there, run its tests."""
    with tempfile.TemporaryDirectory(prefix="2getpro-upgrade-") as folder:
        python, failed = await _environment(Path(folder), product)
        if failed is not None:
            yield MADE.unknown(f"не собрать: {failed.last_words}", "Проверьте сеть и повторите.")
            return
        yield MADE.ok(await _changes(python))
        source = Path(folder) / "src"
        shutil.copytree(product.code, source / "getpro", ignore=shutil.ignore_patterns("__pycache__"))
        yield await _started(python, source)
        yield await _tested(python, product)


async def _environment(folder: Path, product: Product) -> tuple[Path, Ended | None]:
    """The Python of a fresh environment with the newest packages, and what failed on the way there."""
    environment = folder / "environment"
    python = environment / "bin/python"
    install = [
        *PIP, "--python", str(python), "install", "--quiet", "--retries=1", "--only-binary=:all:",
    ]  # fmt: skip
    steps: list[list[str]] = [[sys.executable, "-m", "venv", "--without-pip", str(environment)]]
    if product.clone is not None:  # what only the tests need, as it is pinned
        steps.append([*install, "--no-deps", "--require-hashes", "-r", str(product.clone / _LOCK)])
    steps.append([*install, "--upgrade", "--upgrade-strategy=eager", *product.requirements])
    for step in steps:
        ended = await run_program(*step, env=_for_pip(), cwd=folder)
        if ended.code != 0:
            return python, ended
    return python, None


def _for_pip() -> dict[str, str]:
    """How it reaches its index, perhaps with a password: nothing that is new runs with it."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _NEEDED_BY_PIP or name.upper() in _PROXIES or name.startswith("PIP_")
    }


def _bare(home: Path) -> dict[str, str]:
    return {name: os.environ[name] for name in _NEEDED if name in os.environ} | {"HOME": str(home)}


async def _changes(python: Path) -> str:
    old, new = await _versions(None), await _versions(python)
    moved = [name for name in sorted(new) if old.get(name, new[name]) != new[name]]
    changed = [f"{name} {old[name]} → {new[name]}" for name in moved]
    if not changed:
        return "новее нет ничего, что подходит программе"
    more = f" и ещё {len(changed) - _SHOWN}" if len(changed) > _SHOWN else ""
    return f"обновилось пакетов {len(changed)}: {', '.join(changed[:_SHOWN])}{more}"


async def _versions(python: Path | None) -> Mapping[str, str]:
    """By pip of ours: started, a new environment already runs what its packages put there for that."""
    where = (
        [] if python is None else [f"--path={path}" for path in python.parents[1].glob("lib/*/site-packages")]
    )
    ended = await run_program(*PIP, "list", "--format=json", *where, env=_for_pip())
    return {normal(row["name"]): row["version"] for row in json.loads(ended.said)}


async def _started(python: Path, source: Path) -> Finding:
    """Everything is loaded; then the doctor, who needs almost all of it, must give some diagnosis."""
    home = source.parent
    environment = _bare(home) | {"PYTHONPATH": str(source)}
    loaded = await run_program(python, "-c", _IMPORTS, env=environment, cwd=home)
    if loaded.code != 0:
        return STARTS.wrong(f"не загружается: {loaded.last_words}", _STAY)
    asked = await run_program(
        python, "-m", "getpro", "doctor", "--json", env=environment | _NOBODYS, cwd=home
    )
    try:
        broken = [row["title"] for row in json.loads(asked.said)["findings"] if "сломалась" in row["seen"]]
    except (ValueError, KeyError, TypeError):
        return STARTS.wrong(f"doctor не отвечает: {asked.last_words}", _STAY)
    if broken:
        return STARTS.wrong(f"у doctor сломались проверки: {', '.join(broken)}", _STAY)
    return STARTS.ok("загружается, doctor работает")


async def _tested(python: Path, product: Product) -> Finding:
    if product.clone is None:
        return TESTED.attention(
            "здесь их нет: они есть только в копии репозитория",
            "Повторите там, где есть копия: git clone, ./2getpro ops tuesday --try.",
        )
    with tempfile.TemporaryDirectory(prefix="2getpro-home-") as home:
        ended = await run_program(
            python, product.clone / "tools/test.py", env=_bare(Path(home)), cwd=product.clone
        )
    if ended.code != 0:
        told = ended.said.decode(errors="replace").splitlines()
        failed = [line.removeprefix("FAILED ") for line in told if line.startswith("FAILED ")]
        return TESTED.wrong(f"не прошли: {', '.join(failed[:_SHOWN]) or ended.last_words}", _STAY)
    return TESTED.ok("прошли все")
