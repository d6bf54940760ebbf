"""``2getpro worker``."""

import typer

from getpro.cli.processes import start

app = typer.Typer(add_completion=False)


@app.command()
def worker() -> None:
    """Запустить только фоновые работы; процессов может быть несколько."""
    start(web=False, worker=True, migrate=False)
