"""The file ``.env``: read with its comments, changed line by line, replaced as a whole."""

import io
import os
import pwd
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from getpro.kit.trouble import Trouble, system_words

_PLAIN: Final = re.compile(r"[\w./:@,+=%?&~-]*", re.ASCII)
"""What every reader of such files takes as it stands."""


@dataclass(frozen=True, slots=True)
class EnvFile:
    """What stands in the file; one that is not there is empty."""

    path: Path
    text: str

    @classmethod
    def read(cls, path: Path) -> "EnvFile":
        """Raises Trouble for a file that cannot be read, or has a line that says nothing."""
        path = path.resolve()
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return cls(path, "")
        except OSError as error:
            raise Trouble(
                f"Файл {path} не читается.", f"{system_words(error).capitalize()}.", _remedy(path, error)
            ) from error
        except UnicodeDecodeError as error:
            raise Trouble(f"Файл {path} не читается.", "Это не UTF-8.", "Сохраните его в UTF-8.") from error
        for binding in parse_stream(io.StringIO(text)):
            if binding.error:  # without its text: it may hold a secret
                raise Trouble(
                    f"Файл {path} не читается.",
                    f"Строка {binding.original.line}: нужно ИМЯ=значение, кавычки парами.",
                    "Исправьте её или поставьте перед ней #.",
                )
        return cls(path, text)

    @property
    def values(self) -> dict[str, str]:
        """What the settings would read in it; an empty value is none."""
        found = dotenv_values(stream=io.StringIO(self.text))
        return {name.upper(): value for name, value in found.items() if value}

    def changed(self, changes: Mapping[str, str]) -> "EnvFile":
        """With these values: a line that says otherwise is replaced, a new name goes to the end.

        Everything else stays as it is, word for word. An empty value empties the line, and makes none.
        Raises Trouble for a value that the file would give back otherwise.
        """
        lines, left = [], dict(changes)
        for binding in parse_stream(io.StringIO(self.text)):
            name, text = (binding.key or "").upper(), binding.original.string
            wanted = changes.get(name)
            if wanted is None or wanted == (binding.value or ""):
                lines.append(text if text.endswith(("\n", "\r")) else f"{text}\n")
            else:
                blank = text[: len(text) - len(text.lstrip())]
                lines.append(f"{blank}{name}={_written(wanted)}\n")
            left.pop(name, None)
        lines += [f"{name}={_written(value)}\n" for name, value in left.items() if value]
        after = EnvFile(self.path, "".join(lines))
        for name, value in changes.items():
            if after.values.get(name, "") != value:
                raise Trouble(
                    f"{name} не записать в .env.", "В значении есть ${…}.", f"Задайте {name} в окружении."
                )
        return after

    def write(self) -> None:
        """Put this in the file's place, whole or not at all; what was there stays in ``.env.bak``.

        Both are for their owner alone. As root, the owner stays who it was. Raises Trouble.
        """
        fresh = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            owner = (self.path if self.path.exists() else self.path.parent).stat()
            if self.path.exists():
                _put(self.path.with_name(f"{self.path.name}.bak"), fresh, self.path.read_bytes(), owner)
            _put(self.path, fresh, self.text.encode(), owner)
        except OSError as error:
            raise self._unwritable(system_words(error)) from error

    def require_writable(self) -> None:
        """Raises Trouble where :meth:`write` would."""
        if not os.access(self.path.parent, os.W_OK):
            raise self._unwritable("нет прав на папку")

    def _unwritable(self, why: str) -> Trouble:
        return Trouble(
            f"Файл {self.path} не записать.",
            f"{why.capitalize()}.",
            "Запустите от владельца папки или освободите место.",
        )


def _remedy(path: Path, error: OSError) -> str:
    """What to do about a file that the system does not let us read."""
    if isinstance(error, IsADirectoryError):
        return f"Настройки лежат в файле: уберите папку {path}."
    try:
        owner = path.stat().st_uid
    except OSError:
        return "Запустите от пользователя, которому открыта эта папка."
    if owner != 0:
        return f"Запустите от его владельца: sudo -u {_name(owner)} …"
    return f"Отдайте файл тому, от кого работает магазин: sudo chown {_name(os.geteuid())} {path}"


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _put(path: Path, fresh: Path, content: bytes, owner: os.stat_result) -> None:
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
        if os.geteuid() == 0:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
    fresh.replace(path)


def _written(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{quoted}'"
