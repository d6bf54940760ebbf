"""``2getpro heartbeat``: whether the shop is alive, asked from outside, and the sign that it gives itself."""

import asyncio
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from getpro.cli.deeds import only_looks
from getpro.cli.settings import read_settings
from getpro.incidents import silence
from getpro.incidents.other import Apprise, mail_server, mail_to
from getpro.incidents.silence import Call, Silence, Ways
from getpro.incidents.words import span
from getpro.kit.clock import utc_now
from getpro.kit.trouble import Trouble, system_words
from getpro.platform.bot_api import BotApi
from getpro.platform.postgres import default_directory
from getpro.platform.settings import OperationsSettings, WatcherSettings

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Жив ли магазин: знак наружу и проверка со второй машины.",
)

_WAITS: Final = 1
_SILENT: Final = 2


@app.command()
@only_looks
def check(
    *,
    after: Annotated[int, typer.Option(help="Через сколько минут молчания звать", min=0, max=60)] = 3,
    state: Annotated[
        Path | None, typer.Option(help="Папка, где помнить прошлую проверку", show_default="папка данных")
    ] = None,
    test: Annotated[bool, typer.Option("--test", help="Только позвать для пробы, всеми путями")] = False,
) -> None:
    """Со второй машины: отвечает ли магазин; молчит — позвать людей. Запускайте раз в минуту.

    Нужны PUBLIC_URL и кого звать: OPERATIONS_CHAT с TELEGRAM_BOT_TOKEN, почта, OPERATIONS_HEARTBEAT_OTHER.
    База не нужна. Код 0: отвечает, 1: молчит, но звать рано, или не сказать, что он вернулся, 2: молчит.
    """
    settings = read_settings(WatcherSettings)
    if settings.public_url is None:
        raise Trouble("Неизвестно, где магазин.", "PUBLIC_URL не задана.", "Впишите в .env адрес магазина.")
    folder = state or settings.data_dir or default_directory()
    try:
        with silence.alone(folder) as file:
            code = asyncio.run(
                _look(settings, settings.public_url, file, timedelta(minutes=after), test=test)
            )
    except OSError as error:
        why = f"{folder}: {system_words(error)}"
        raise Trouble("Прошлую проверку не запомнить.", why, "Укажите другую папку: --state") from error
    raise typer.Exit(code)


async def _look(
    settings: WatcherSettings, public_url: str, file: Path, patience: timedelta, *, test: bool
) -> int:
    api = None if settings.telegram is None else BotApi(settings.telegram)
    own = settings.operations
    ways = Ways(api, own.chat, Apprise(), _addresses(own))
    if not ways:
        remedy = "Впишите OPERATIONS_CHAT и TELEGRAM_BOT_TOKEN, или OPERATIONS_HEARTBEAT_OTHER."
        raise Trouble("Звать некого.", "В .env нет ни чата с ботом, ни почты, ни адресов Apprise.", remedy)
    try:
        if test:
            return await _test(settings, ways, public_url)
        return await _carry_on(settings, ways, public_url, file, patience)
    finally:
        if api is not None:
            await api.close()


async def _test(settings: WatcherSettings, ways: Ways, public_url: str) -> int:
    now = utc_now()
    told = silence.words(Call.TEST, public_url, trouble=None, since=now, now=now, zone=settings.zone)
    failed = await ways.tell(*told)
    _complain(failed)
    typer.echo(f"Позвали для пробы, дошло путей: {ways.count - len(failed)} из {ways.count}.")
    return _SILENT if failed else 0


async def _carry_on(
    settings: WatcherSettings, ways: Ways, public_url: str, file: Path, patience: timedelta
) -> int:
    """Look, say what is due, and remember what has arrived: what has not is said by the next look."""
    trouble = await silence.look(public_url)
    known, now = silence.recall(file), utc_now()
    is_alive = trouble is None
    due = silence.call(known, is_alive=is_alive, now=now, patience=patience)
    known = known or (None if is_alive else Silence(since=now))
    is_told = True
    if due is not None:
        assert known is not None
        told = silence.words(due, public_url, trouble=trouble, since=known.since, now=now, zone=settings.zone)
        failed = await ways.tell(*told)
        _complain(failed)
        is_told = len(failed) < ways.count
        if is_told:
            known = replace(known, told=known.told + 1, told_at=now)
    silence.remember(file, None if is_alive and is_told else known)
    return _say(trouble, known, now=now, is_told=is_told)


def _say(trouble: str | None, known: Silence | None, *, now: datetime, is_told: bool) -> int:
    if trouble is None:
        typer.echo("Магазин отвечает.")
        return 0 if is_told else _WAITS
    assert known is not None
    calls = f"позвали, всего раз: {known.told}" if known.told else "ещё не звали"
    typer.echo(f"Магазин молчит {span(now - known.since)}: {trouble}; {calls}.")
    return _SILENT if known.told or not is_told else _WAITS


def _complain(failed: list[str]) -> None:
    for one in failed:
        sys.stderr.write(f"Не дошло: {one}\n")


def _addresses(own: OperationsSettings) -> tuple[str, ...]:
    server = mail_server(own)
    mail = [] if server is None or own.mail_to is None else [mail_to(server, own.mail_to)]
    other = [] if own.heartbeat_other is None else own.heartbeat_other.get_secret_value().split()
    return (*mail, *other)


@app.command()
def send() -> None:
    """Дать знак внешней службе сейчас, не дожидаясь магазина: проверить, что он доходит.

    Код 0: дан и принят, 1: давать некому, знак виден только на /health/heartbeat, 2: не дан.
    """
    from getpro.cli.duty import with_incidents  # noqa: PLC0415 -- a second machine has no database
    from getpro.incidents.deps import Deps  # noqa: PLC0415
    from getpro.incidents.heartbeat import beat  # noqa: PLC0415

    async def flow(deps: Deps) -> tuple[str | None, bool]:
        return await beat(deps), deps.outside is not None

    trouble, has_outside = with_incidents(flow, remedy="Настройки: OPERATIONS_HEARTBEAT_URL")
    if trouble is not None:
        raise Trouble("Знак не дан.", trouble, "Исправьте и повторите: 2getpro heartbeat send")
    typer.echo(
        "Знак дан." if has_outside else "Знак дан, но наружу некуда: задайте OPERATIONS_HEARTBEAT_URL."
    )
    raise typer.Exit(0 if has_outside else _WAITS)
