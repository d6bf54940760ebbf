"""``2getpro monitoring``: the monitoring's own configuration, written from the settings."""

from pathlib import Path
from typing import Annotated, Final

import typer

from getpro.cli.settings import read_settings
from getpro.kit.trouble import Trouble, system_words
from getpro.operations.monitoring import OWN, configuration, write
from getpro.platform.settings import Settings

BOT_URL: Final = "http://bot:8080"
app = typer.Typer(add_completion=False)


@app.command()
def monitoring(
    folder: Annotated[Path, typer.Option(help="Куда записать")] = OWN,
    bot_url: Annotated[str, typer.Option(help="Где Alertmanager найдёт магазин")] = BOT_URL,
) -> None:
    """Записать из .env настройки Alertmanager и адреса для проб. После смены настроек — ещё раз.

    Код 0: записано, 1: записано, но сказать Alertmanager некому.
    """
    settings = read_settings(Settings)
    found = write_all(settings, folder=folder, bot_url=bot_url)
    own = settings.operations
    ways = {
        "магазину, а он — чату операторов": own.alerts_token is not None and own.chat is not None,
        "в Telegram мимо магазина": own.chat is not None,
        "на почту": own.mail_to is not None and own.mail_server is not None,
        "внешней службе": own.watchdog_url is not None,
    }
    for path in found:
        typer.echo(f"Записано: {path}")
    typer.echo(
        "Alertmanager скажет: " + (", ".join(way for way, is_set in ways.items() if is_set) or "никому")
    )
    if missing := [way for way, is_set in ways.items() if not is_set]:
        typer.echo("Не настроено: " + ", ".join(missing))
    typer.echo("Применить: docker-compose restart alertmanager")
    raise typer.Exit(0 if any(ways.values()) else 1)


def write_all(settings: Settings, *, folder: Path = OWN, bot_url: str = BOT_URL) -> list[Path]:
    """Write the files and return where they are; raises Trouble where they cannot be written."""
    found = configuration(settings, bot_url=bot_url)
    try:
        write(folder, found)
    except OSError as error:
        raise Trouble(
            "Настройки присмотра не записать.", f"{folder}: {system_words(error)}", "Проверьте права."
        ) from error
    return [folder / path for path in found]
