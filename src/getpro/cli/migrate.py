"""``2getpro migrate``."""

from typing import Annotated

import typer

from getpro.cli.database import database

app = typer.Typer(add_completion=False)


@app.command()
def migrate(
    *, without_backup: Annotated[bool, typer.Option("--without-backup", help="Без копии перед этим")] = False
) -> None:
    """Обновить базу данных до версии программы. Повторный запуск ничего не меняет.

    Если есть что обновлять, сначала делается копия базы.
    """
    with database(migrate=True, copy_first=not without_backup):
        typer.echo("База данных обновлена.")
