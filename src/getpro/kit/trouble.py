"""Trouble that is told to a person: what happened, why, and what to do."""

import errno
from typing import Final

_WORDS: Final = {
    errno.EACCES: "нет прав",
    errno.EPERM: "нет прав",
    errno.EROFS: "диск только для чтения",
    errno.ENOENT: "такого пути нет",
    errno.ENOTDIR: "в пути стоит файл, а не папка",
    errno.EISDIR: "это папка, а не файл",
    errno.EEXIST: "там уже что-то есть",
    errno.ELOOP: "это ссылка, а не файл",
    errno.ENOTSUP: "это не обычный файл",
    errno.ENOSPC: "нет места на диске",
    errno.EDQUOT: "исчерпана квота диска",
}


def system_words(error: OSError) -> str:
    """What the system says, in Russian where we have words for it."""
    return _WORDS.get(error.errno or 0) or error.strerror or type(error).__name__


class Trouble(Exception):
    """One sentence each; the command line prints them, and no traceback."""

    def __init__(self, what: str, why: str, remedy: str) -> None:
        super().__init__(f"{what} {why}")
        self.what = what
        self.why = why
        self.remedy = remedy
