"""As whom the server runs: PostgreSQL refuses to run as root."""

import fcntl
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

NAME: Final = "getpro"
USERS: Final = Path("/etc/passwd")


@dataclass(frozen=True, slots=True)
class Account:
    uid: int
    gid: int

    @property
    def is_other(self) -> bool:
        """Whether the server's user is not who we are."""
        return self.uid != os.geteuid()

    def as_user(self) -> dict[str, Any]:
        """What to give ``subprocess`` to run as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.is_other else {}

    def own(self, path: Path) -> None:
        """Hand a file or folder over to this user."""
        if self.is_other:
            os.chown(path, self.uid, self.gid)


def server_account() -> Account:
    """Ourselves; as root the system user ``getpro``, made when it is missing, or else ``nobody``."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    for name in (NAME, "nobody"):
        if name == NAME and not _exists(name):
            _make(name)
        if _exists(name):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise OSError("there is no user that PostgreSQL could run as")


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _make(name: str) -> None:
    useradd = shutil.which("useradd")
    if useradd is None:
        return
    with USERS.open() as users:
        # Of two that make the same user at once useradd lets the second give it another number.
        fcntl.flock(users, fcntl.LOCK_EX)
        if not _exists(name):
            subprocess.run(  # noqa: S603 -- our own constant name
                [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name],
                check=False,
                capture_output=True,
            )
