"""``2getpro migrate``."""

import typer

from getpro.cli.database import database

app = typer.Typer(add_completion=False)


@app.command()
def migrate() -> None:
    """Обновить базу данных до версии программы. Повторный запуск ничего не меняет."""
    with database(migrate=True):
        typer.echo("База данных обновлена.")
