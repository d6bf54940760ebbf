"""``2getpro sandbox``: the whole shop without accounts, and each simulator alone."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from getpro.cli.psql import run_psql
from getpro.kit.trouble import Trouble
from getpro.platform.postgres import Cluster, tools_for_our_own
from getpro.sandbox.panel import VERSION as PANEL_VERSION
from getpro.sandbox.panel import run as run_panel
from getpro.sandbox.providers.cryptopay import run as run_cryptopay
from getpro.sandbox.providers.yookassa import run as run_yookassa
from getpro.sandbox.serving import NotLoopback, PortTaken
from getpro.sandbox.shop import command
from getpro.sandbox.shop.clock import SandboxClock
from getpro.sandbox.telegram import run as run_telegram

app = typer.Typer(add_completion=False)

TERMINATED: Final = 143
"""As a shell names the end by SIGTERM."""

Port = Annotated[
    int, typer.Option("--port", min=0, max=65535, help="На каком порту слушать (только 127.0.0.1)")
]
Webhook = Annotated[
    str | None, typer.Option("--webhook", help="Куда слать уведомления (только этот компьютер)")
]
PanelVersion = Annotated[str, typer.Option("--panel-version", help="Какую панель играть: 3.3.2 или 2.8.1")]


@app.callback(invoke_without_command=True)
def sandbox(
    ctx: typer.Context,
    *,
    tour: Annotated[
        bool, typer.Option("--tour", help="Прожить день и месяц без браузера и сверить книги")
    ] = False,
    port: Annotated[int | None, typer.Option("--port", help="Порт страницы чата")] = None,
    directory: Annotated[Path | None, typer.Option("--dir", help="Папка песочницы")] = None,
    panel_version: PanelVersion = PANEL_VERSION,
) -> None:
    """Песочница: весь магазин в браузере, без аккаунтов.

    Не читает .env и окружение, слушает только этот компьютер. Пример: 2getpro sandbox --tour
    """
    ctx.obj = directory or command.sandbox_directory()
    if ctx.invoked_subcommand is not None:
        return
    if tour:
        home = directory or command.sandbox_directory().with_name("sandbox-tour")
        _on_loopback(lambda: _tour(home, panel_version))
    with command.only_one(ctx.obj):
        command.forget(ctx.obj)
        _on_loopback(
            lambda: asyncio.run(command.run_in_browser(ctx.obj, port=port, panel_version=panel_version))
        )


@app.command()
def telegram(port: Port, bot_token: Annotated[str, typer.Option("--bot-token")]) -> None:
    """Только Telegram: сервер Bot API и страница чата.

    Пример: 2getpro sandbox telegram --port 8081 --bot-token 42:TEST
    """
    if re.fullmatch(r"[0-9]+:\S+", bot_token) is None:
        raise Trouble("Это не токен бота.", "В нём число, двоеточие и секрет.", "Пример: --bot-token 42:TEST")
    _on_loopback(lambda: asyncio.run(run_telegram(port, bot_token)))


@app.command()
def yookassa(
    port: Port,
    shop_id: Annotated[str, typer.Option("--shop-id")],
    secret_key: Annotated[str, typer.Option("--secret-key")],
    webhook: Webhook = None,
) -> None:
    """Только ЮKassa: API, страница оплаты, уведомления.

    Пример: 2getpro sandbox yookassa --port 8083 --shop-id 1 --secret-key test_x
    """
    _on_loopback(lambda: asyncio.run(run_yookassa(port, shop_id, secret_key, webhook)))


@app.command()
def cryptopay(port: Port, token: Annotated[str, typer.Option("--token")], webhook: Webhook = None) -> None:
    """Только Crypto Pay: API, страница оплаты, уведомления.

    Пример: 2getpro sandbox cryptopay --port 8084 --token 1:TEST
    """
    _on_loopback(lambda: asyncio.run(run_cryptopay(port, token, webhook)))


@app.command()
def panel(
    port: Port,
    token: Annotated[str, typer.Option("--token")],
    panel_version: PanelVersion = PANEL_VERSION,
    webhook: Webhook = None,
    webhook_secret: Annotated[str, typer.Option("--webhook-secret")] = "",
) -> None:
    """Только панель Remnawave.

    Пример: 2getpro sandbox panel --port 8082 --token T
    """
    _on_loopback(lambda: asyncio.run(run_panel(port, token, panel_version, webhook, webhook_secret)))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)
def psql(ctx: typer.Context) -> None:
    """Открыть psql на базе песочницы: той, что работает, или той, что работала последней.

    Все параметры достаются самой psql. Пример: 2getpro sandbox psql -c "SELECT count(*) FROM payments"
    """
    if ctx.args == ["--help"]:
        typer.echo(ctx.get_help())
        return
    home: Path = ctx.obj / "postgres"
    if not (home / "data").exists():
        raise Trouble("У песочницы ещё нет базы.", f"В {ctx.obj} она не запускалась.", "2getpro sandbox")
    clock = SandboxClock(ctx.obj)  # its now() goes on where the sandbox's ended
    with Cluster.running(home, environment=clock.environment) as url:
        raise typer.Exit(run_psql(url, ctx.args, tools_for_our_own()))


def _tour(home: Path, panel_version: str) -> None:
    """Play the day, print the books; the exit code says whether they agree."""
    with command.only_one(home):
        command.forget(home)
        try:
            agrees = asyncio.run(command.run_tour(home, panel_version=panel_version))
        except asyncio.CancelledError:  # SIGTERM: everything is stopped
            raise typer.Exit(TERMINATED) from None
    typer.echo("Книги сошлись." if agrees else "Книги не сошлись.")
    raise typer.Exit(0 if agrees else 2)


def _on_loopback(start: Callable[[], None]) -> None:
    try:
        start()
    except NotLoopback as error:
        why = f"Она говорит только с этим компьютером, а не с {error.host!r}."
        raise Trouble("Так песочница не работает.", why, "Укажите адрес 127.0.0.1.") from None
    except PortTaken as error:
        raise Trouble("Порт занят.", str(error), "Выберите другой: --port") from None
    except ValueError as error:
        raise Trouble("Так песочница не работает.", str(error), "Посмотрите --help.") from None
