"""``2getpro run``."""

import typer

from getpro.cli.processes import start

app = typer.Typer(add_completion=False)


@app.command()
def run() -> None:
    """Запустить магазин: веб, бот и работы в одном процессе."""
    start(web=True, worker=True, migrate=True)
