"""The settings of a command, or plain words about what is wrong with them."""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from getpro.kit.trouble import Trouble
from getpro.platform.env_file import EnvFile
from getpro.platform.settings import DatabaseSettings
from getpro.platform.wrong_settings import wrong_settings

Kind = TypeVar("Kind", bound=DatabaseSettings)


def read_settings(kind: type[Kind]) -> Kind:
    """The settings of the environment and ``.env``; raises Trouble that names every wrong one.

    The file is looked at first: what hinders its reading is told in plain words.
    """
    EnvFile.read(Path(".env"))
    try:
        return kind()
    except ValidationError as error:
        raise Trouble(
            "Настройки не подходят.",
            "; ".join(map(str, wrong_settings(error))),
            "Исправьте их в .env или в окружении. Проверить всё сразу: 2getpro doctor",
        ) from None
