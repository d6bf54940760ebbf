"""``2getpro web``."""

import typer

from getpro.cli.processes import start

app = typer.Typer(add_completion=False)


@app.command()
def web() -> None:
    """Запустить только приём обновлений и уведомлений; процессов может быть несколько."""
    start(web=True, worker=False, migrate=False)
