"""``2getpro secrets``: every secret that the shop lives by, and new ones where it can make them itself."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from getpro.bootstrap.backups import folder
from getpro.cli.database import database
from getpro.cli.options import By
from getpro.cli.settings import read_settings
from getpro.cli.shop import quietly
from getpro.cli.tables import WIDE
from getpro.kit.clock import utc_now
from getpro.kit.trouble import Trouble
from getpro.operations import rotation, secrets
from getpro.operations.rotation import BackupKey, Reencrypted
from getpro.operations.secrets import BACKUP_KEY, CATALOGUE, DATABASE_KEY, Inventory, Known
from getpro.platform import cipher
from getpro.platform.database import Database
from getpro.platform.postgres import default_directory
from getpro.platform.settings import Settings

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Пароли и ключи: какие есть, сколько им, как сменить.",
)
Result = TypeVar("Result")
_ENV: Final = Path(".env")
_RESTART: Final = "Перезапустите магазин: systemctl restart 2getpro, в Docker docker-compose up -d."
_NEXT: Final = {
    "TELEGRAM_WEBHOOK_SECRET": (
        f"{_RESTART} Новый секрет он скажет Telegram сам; что пришло между делом, Telegram принесёт снова.",
    ),
    "OPERATIONS_ALERTS_TOKEN": (
        f"{_RESTART}",
        "Скажите Alertmanager: ./2getpro monitoring, потом docker-compose restart alertmanager.",
        "Что он скажет между делом со старым пропуском, повторит с новым.",
    ),
}


_BACKUP_KEY_SAID: Final = {
    BackupKey.BEGUN: (
        "Новый ключ сделан: backup.key.next, рядом с прежним. Сохраните его так же, как прежний.",
        f"{_RESTART} Всё, что магазин закроет с этого дня, открывают оба.",
        "Когда будут новая ночная копия и новая полная базовая (за неделю), повторите эту команду.",
    ),
    BackupKey.WAITING: (
        "Ещё рано: новейшие копии новым ключом не открываются.",
        "Подождите ночной копии и полной базовой, или сделайте их сами:",
        "2getpro backup create, 2getpro backup base --full",
    ),
    BackupKey.CHANGED: (
        "Сменён: backup.key теперь новый, прежний лежит рядом с датой в имени.",
        "Прежние копии открывает прежний: --key ФАЙЛ. Унесите его с машины и храните, пока хранятся они.",
        _RESTART,
    ),
}


@app.command(name="list")
def show_list(*, as_json: Annotated[bool, typer.Option("--json", help="Для программ")] = False) -> None:
    """Показать все секреты, самих их не показывая: где лежит, с какого дня, когда менять и как.

    Отпечаток сделан ключом, которого в базе нет: секрет по нему не угадать. Код 1: есть просроченный.
    """
    found = secrets.inventory(read_settings(Settings), _ENV)
    known = _with_database(lambda db: _remember(db, found))
    unread = [one for one in found.secrets if one.value is None]
    now = utc_now()
    is_late = any(one.until < now for one in known)
    if as_json:
        typer.echo(json.dumps([_plain(one) for one in known], ensure_ascii=False, indent=2))
        raise typer.Exit(1 if is_late else 0)
    zone = read_settings(Settings).zone
    shown = Table("Секрет", "Имя", "Где", "Отпечаток", "Известен с", "Менять до", "Как", header_style="bold")
    for column in shown.columns:
        column.overflow = "fold"
    for one in known:
        kind = one.secret.kind
        how = f"2getpro secrets rotate {one.secret.name}" if kind.is_ours else one.secret.how
        since, until = (f"{moment.astimezone(zone):%d.%m.%Y}" for moment in (one.since, one.until))
        late = "[red]" if one.until < now else ""
        shown.add_row(
            kind.title, one.secret.name, one.secret.where, one.fingerprint, since, f"{late}{until}", how
        )
    for hidden in unread:
        shown.add_row(
            hidden.kind.title, hidden.name, hidden.where, "не прочесть", "", "", "от владельца файла"
        )
    Console(width=None if sys.stdout.isatty() else WIDE).print(shown)
    raise typer.Exit(1 if is_late else 0)


def _plain(one: Known) -> dict[str, object]:
    return {
        "name": one.secret.name,
        "title": one.secret.kind.title,
        "where": one.secret.where,
        "fingerprint": one.fingerprint,
        "since": one.since.isoformat(),
        "until": one.until.isoformat(),
        "is_ours": one.secret.kind.is_ours,
        "how": one.secret.how,
    }


@app.command()
def rotate(name: Annotated[str, typer.Argument(help="Имя, как в списке")], by: By) -> None:
    """Сменить секрет, если магазин может сделать это сам; работающее при этом не ломается.

    Пример: 2getpro secrets rotate database.key
    """
    if (kind := CATALOGUE.get(name)) is None:
        raise typer.BadParameter("такого секрета нет: 2getpro secrets list")
    if not kind.is_ours:
        raise Trouble(
            f"{kind.title}: сам магазин его не сменит.",
            "Новый выдают не здесь.",
            f"По шагам: docs/operations/audit.md#{kind.how}",
        )
    if name in _FILES:
        _FILES[name](by)
        return
    rotation.change_setting(_ENV, name, os.environ)
    _with_database(lambda db: _note(db, name, by, "new value in .env"))
    typer.echo(f"Сменён: {name}. Прежний в .env.bak; удалите его, когда убедитесь, что всё работает.")
    for line in _NEXT[name]:
        typer.echo(line)


def _rotate_database_key(by: str) -> None:
    settings = read_settings(Settings)
    path = (settings.data_dir or default_directory()) / cipher.FILE
    if settings.database_keys is not None:
        raise Trouble(
            "Ключ ссылок не сменить.",
            "Он задан в DATABASE_KEYS, а не в папке данных.",
            "По шагам: docs/operations/audit.md#ключ-базы",
        )
    keys = cipher.database_keys(settings)

    async def flow(db: Database) -> Reencrypted:
        done = await rotation.change_database_key(db, path, keys)
        await _note(db, DATABASE_KEY, by, f"{done.rows} rows closed anew, {done.unopened} not opened")
        return done

    done = _with_database(flow)
    typer.echo(f"Сменён: {path}. Закрыто новым ключом: {done.rows}.")
    if done.unopened:
        typer.echo(
            f"Не открылось ни одним ключом: {done.unopened}. Эти ссылки магазин спросит у панели, прежние"
            " ключи остались в файле."
        )
    typer.echo(f"Прежний ключ пока открывает. {_RESTART} Сохраните новый вместе с ключом копий.")


def _rotate_backup_key(by: str) -> None:
    settings = read_settings(Settings)
    if not settings.backup.enabled:
        raise Trouble("Ключ копий не сменить.", "Копии делает не магазин.", "BACKUP_ENABLED=false в .env.")
    directory = settings.data_dir or default_directory()
    reached = rotation.change_backup_key(directory, folder(settings), now=utc_now(), zone=settings.zone)
    for line in _BACKUP_KEY_SAID[reached]:
        typer.echo(line)
    if reached is BackupKey.WAITING:
        raise typer.Exit(1)
    _with_database(lambda db: _note(db, BACKUP_KEY, by, reached.value))


_FILES: Final = {DATABASE_KEY: _rotate_database_key, BACKUP_KEY: _rotate_backup_key}


async def _remember(db: Database, found: Inventory) -> list[Known]:
    async with db.begin("secrets: list") as session:
        return await secrets.remember(session, found, now=utc_now())


async def _note(db: Database, name: str, by: str, outcome: str) -> None:
    async with db.begin("secrets: rotated") as session:
        await rotation.note(session, name, by=by, now=utc_now(), outcome=outcome)


def _with_database(flow: Callable[[Database], Awaitable[Result]]) -> Result:
    async def run(url: str) -> Result:
        db = Database(url, pool_size=2)
        try:
            return await flow(db)
        finally:
            await db.close()

    with database(migrate=False) as url, quietly("Спрашиваем базу…"):
        return asyncio.run(run(url))
