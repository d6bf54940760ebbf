"""Options of several commands: what an operator decides is kept with who and why."""

import getpass
from typing import Annotated

import typer


def _given(reason: str) -> str:
    if not reason.strip():
        raise typer.BadParameter("напишите, почему")
    return reason


Reason = Annotated[str, typer.Option("--reason", help="Почему; останется в записи", callback=_given)]
By = Annotated[
    str,
    typer.Option("--by", help="Кто решает", default_factory=getpass.getuser, show_default="имя в системе"),
]
