"""``2getpro backup``: copies of the database, and the proof of them."""

import asyncio
import contextlib
import getpass
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

import typer
from pyrage import x25519
from rich.console import Console
from rich.table import Table

from getpro.backups import fetching, sending, service, store, telegram
from getpro.backups.bucket import Bucket
from getpro.backups.choice import choose
from getpro.backups.deps import Deps
from getpro.backups.environment import opened, write_out
from getpro.backups.errors import BackupError, Busy, Damaged, NoRoom, OffsiteError
from getpro.backups.folder import SETTINGS, names
from getpro.backups.keys import FILE, note_shown, read_identity
from getpro.backups.manifest import Manifest
from getpro.backups.progress import OnStep
from getpro.backups.sending import Sent, Unsent, required
from getpro.backups.signature import SEALS, Seal
from getpro.backups.states import BackupKind, BackupState
from getpro.backups.store import Backup
from getpro.backups.wal import Log
from getpro.bootstrap.backups import Preparing, bucket, folder
from getpro.cli.database import database, database_if_any
from getpro.cli.restore_screens import reach_lines
from getpro.cli.settings import read_settings
from getpro.cli.shop import quietly
from getpro.cli.tables import KINDS, WIDE, in_words
from getpro.kit.clock import utc_now
from getpro.kit.trouble import Trouble
from getpro.platform.cipher import database_keys, new_key, put_new_first
from getpro.platform.database import Database
from getpro.platform.postgres import default_directory
from getpro.platform.settings import CopySettings, DatabaseSettings, Settings

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Копии базы: магазин делает и проверяет их сам по расписанию, здесь они по команде.",
)
AsJson = Annotated[bool, typer.Option("--json", help="Для программ")]
Result = TypeVar("Result")
_TURN_SECONDS = 600
_MIB = 1024**2
_STATES = {
    BackupState.MAKING: "делается",
    BackupState.MADE: "[green]✓ есть[/]",
    BackupState.FAILED: "[red]✗ не вышла[/]",
    BackupState.LOST: "[red]✗ файла нет[/]",
    BackupState.DELETED: "[dim]срок вышел[/]",
}


@app.command()
def create() -> None:
    """Сделать копию сейчас. Магазин тем временем продаёт."""
    who = getpass.getuser()
    made = _run("Копия не сделана.", lambda deps, tell: service.create(deps, asked_by=who, on_progress=tell))
    typer.echo(f"Сделана: {made.name}, {_size(made.bytes)}. Проверить: 2getpro backup verify")


@app.command()
def base(
    *, full: Annotated[bool, typer.Option("--full", help="Всю заново, а не только изменившееся")] = False
) -> None:
    """Сделать базовую копию сейчас: от неё журнал базы ведёт на любую минуту. Обычно магазин делает её сам.

    Нужен работающий магазин: журнал забирает он.
    """
    who = getpass.getuser()
    kind = BackupKind.FULL if full else BackupKind.INCREMENTAL
    made = _run(
        "Базовая копия не сделана.",
        lambda deps, tell: service.create_base(deps, kind, asked_by=who, on_progress=tell),
    )
    typer.echo(f"Сделана: {made.name}, {_size(made.bytes)}. Проверить: 2getpro backup verify {made.name}")


@app.command()
def verify(
    name: Annotated[str | None, typer.Argument(help="Какую; без имени новейшую")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Восстановить копию в отдельную базу, сверить до строки и копейки и купить в ней. Базу потом удалить.

    Код 0: копия годится; 2: нет.
    """
    tried: Backup = _run(
        "Копия не проверена.",
        lambda deps, tell: service.verify(deps, name, on_progress=tell),
    )
    said = tried.verification or {}
    if as_json:
        typer.echo(
            json.dumps({"name": tried.name, "is_good": tried.is_good} | said, ensure_ascii=False, indent=2)
        )
    else:
        for step, seconds in said["steps"]:
            typer.echo(f"{step}: {seconds:.1f} с".replace(".", ","))
        typer.echo(
            f"{tried.name}: {'годится' if tried.is_good else 'НЕ ГОДИТСЯ: ' + said.get('trouble', '')}"
        )
        if not tried.is_good:
            typer.echo("Что делать: docs/operations/runbooks/restore-test.md")
    raise typer.Exit(0 if tried.is_good else 2)


@app.command(name="list")
def show(*, as_json: AsJson = False) -> None:
    """Показать копии: когда сделаны, сколько весят, когда восстановлены для пробы."""
    settings = read_settings(Settings)
    zone = settings.zone

    async def read(deps: Deps, _: OnStep) -> tuple[list[Backup], dict[str, Seal], list[str]]:
        with contextlib.suppress(Busy):  # while one is being made, the list is of how things stood before
            await service.tidy(deps)
        async with deps.db.read("backup: list") as session:
            known = await store.newest_first(session, most=100)
        seals = {
            one.name: seal
            for one in known
            if one.state is BackupState.MADE and (seal := service.seal_of(deps, one)) is not None
        }
        return known, seals, await asyncio.to_thread(reach_lines, deps.folder, deps.keys.identity, zone=zone)

    copies, seals, minutes = _run("Копии не показать.", read)
    sends = settings.backup.s3_bucket is not None
    if as_json:
        shown = [_plain(copy, sends=sends) | _plain_seal(seals.get(copy.name)) for copy in copies]
        typer.echo(json.dumps(shown, ensure_ascii=False, indent=2))
        return
    table = Table(
        "Копия", "Какая", "Сделана", "Размер", "Состояние", "Восстановлена для пробы", header_style="bold"
    )
    if sends:
        table.add_column("Вне машины")
    for copy in copies:
        tried = "" if copy.verified_at is None else in_words(copy.verified_at, zone)
        verdict = {None: "[yellow]ещё нет[/]", True: f"[green]✓[/] {tried}", False: f"[red]✗[/] {tried}"}
        state = _STATES[copy.state] + (f": {copy.trouble}" if copy.trouble else "")
        if said := SEALS.get(seals.get(copy.name, Seal.OURS)):
            state += f" [yellow]({said})[/]"
        is_there = copy.state is BackupState.MADE
        table.add_row(
            copy.name,
            KINDS[copy.kind],
            in_words(copy.started_at, zone),
            _size(copy.bytes),
            state,
            verdict[copy.is_good] if is_there else tried,
            *([_offsite(copy, zone)] if sends else []),
        )
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)
    for line in minutes:
        typer.echo(line)
    if not copies:
        typer.echo("Ещё ни одной. Сделать сейчас: 2getpro backup create")


@app.command()
def prune(*, dry_run: Annotated[bool, typer.Option("--dry-run", help="Только показать")] = False) -> None:
    """Удалить копии, срок которых вышел (BACKUP_KEEP_…). Новейшая и новейшая проверенная остаются всегда."""
    gone = _run(
        "Копии не удалены.", lambda deps, _: service.to_prune(deps) if dry_run else service.prune(deps)
    )
    for copy in gone:
        typer.echo(f"{'Удалилась бы' if dry_run else 'Удалена'}: {copy.name}, {_size(copy.bytes)}")
    left = [] if dry_run else _run("Копии не показать.", lambda deps, _: _left_offsite(deps))
    if left:
        why = next((copy.offsite_trouble for copy in left if copy.offsite_trouble), "удалит следующий prune")
        typer.echo(f"Вне машины осталось: {len(left)}: {why}")
    if not gone:
        typer.echo("Удалять нечего.")


@app.command()
def send() -> None:
    """Отправить в хранилище вне машины (BACKUP_S3_…) копии, которых там ещё нет. Прерванное продолжается.

    Код 0: там всё; 2: какая-то копия не отправлена.
    """
    done: Sent = _run("Копии не отправлены.", lambda deps, tell: sending.send(deps, on_progress=tell))
    for copy in done.copies:
        typer.echo(f"Отправлена: {copy.name}, {_size(copy.bytes)}")
    for (why, remedy), copies in _by_reason(done.failed).items():
        others = f" и ещё {len(copies) - 1}" if copies[1:] else ""
        what = f"НЕ ОТПРАВЛЕНА: {copies[0]}{others}"
        typer.echo(f"{what}: {why}. {remedy}")
    if not done.copies and not done.failed:
        typer.echo("Вне машины уже всё.")
    raise typer.Exit(2 if done.failed else 0)


def _by_reason(failed: Sequence[Unsent]) -> dict[tuple[str, str], list[str]]:
    """What is the same of all is said once."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in failed:
        found.setdefault((one.why, one.remedy), []).append(one.copy.name)
    return found


@app.command()
def fetch(
    name: Annotated[str | None, typer.Argument(help="Какую; без имени новейшую ночную")] = None,
    *,
    only_list: Annotated[bool, typer.Option("--list", help="Только показать, что там лежит")] = False,
    to: Annotated[
        Path | None, typer.Option("--to", help="В какую папку", show_default="папка копий магазина")
    ] = None,
) -> None:
    """Вернуть копию из хранилища вне машины в папку копий и сверить её контрольную сумму.

    Хватает BACKUP_S3_…: ни базы, ни остальных настроек магазина не нужно. Базовая вернётся с теми, на
    которых стоит, и с журналом после неё.
    """
    known = read_settings(CopySettings)
    lies = folder(known) if to is None else to.absolute()
    with (
        _told("Копия не возвращена.", "Что там лежит: 2getpro backup fetch --list"),
        contextlib.closing(required(bucket(known.backup))) as place,
    ):
        if only_list:
            _show_found(asyncio.run(fetching.find(place)), known.zone)
            return
        # Another folder is another shop's, or nobody's yet.
        catalogue = database_if_any() if lies == folder(known) else contextlib.nullcontext()
        with catalogue as url, quietly("Возвращаем копию") as tell:
            got = asyncio.run(_fetched(place, lies, name, url, tell))
    typer.echo(f"Возвращена в {lies}: {got.name}, {_size(got.file_bytes)}")
    if got.physical is not None:
        _tell_log(lies, got, known)
    if url is not None:
        typer.echo(f"Проверить: 2getpro backup verify {got.name}")


@app.command()
def key(
    *,
    of_database: Annotated[
        bool, typer.Option("--database", help="Ключи секретов в самой базе, а не ключ копий")
    ] = False,
    new: Annotated[
        bool, typer.Option("--new", help="С --database: сделать новый; прежние остаются открывать")
    ] = False,
) -> None:
    """Напечатать ключ копий. Сохраните его не на этом сервере: без него копий не открыть."""
    if of_database:
        _database_key(new=new)
    elif new:
        raise typer.BadParameter("--new бывает только с --database")
    else:
        typer.echo(_run("Ключа нет.", _shown))


def _database_key(*, new: bool) -> None:
    """The first of them encrypts, any decrypts."""
    known = read_settings(DatabaseSettings)
    if not new:
        typer.echo("\n".join(database_keys(known)))
        return
    if known.database_keys is not None:
        raise Trouble(
            "Новый ключ базы не записан.",
            "Ключи заданы в DATABASE_KEYS.",
            f"Впишите его туда первым, через запятую: {new_key()}",
        )
    typer.echo(f"Новый ключ стоит первым в {put_new_first(known)}. Перезапустите магазин.")


@app.command(name="telegram")
def to_telegram(name: Annotated[str | None, typer.Argument(help="Какую; без имени новейшую")] = None) -> None:
    """Отослать копию в чат Telegram из BACKUP_TELEGRAM_CHAT: зашифрованную, большую частями."""
    sent, files = _run("Копия не отослана.", lambda deps, _: telegram.send(deps, name))
    typer.echo(f"Отослана: {sent}, файлов {files}.")


@app.command()
def settings(
    name: Annotated[str | None, typer.Argument(help="Из какой копии; без имени из новейшей")] = None,
    *,
    to: Annotated[Path, typer.Option("--to", help="Куда; поверх файла не пишет")] = Path(".env"),
    where: Annotated[Path | None, typer.Option("--from", help="Папка копий")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="Файл с ключом копий")] = None,
) -> None:
    """Записать настройки из копии в .env: для магазина на новой машине. Базы для этого не нужно."""
    known = read_settings(CopySettings)
    lies = where or folder(known)
    identity = read_identity(key or (known.data_dir or default_directory()) / FILE)
    chosen = name or _newest_with_settings(lies, identity)
    if chosen is None:
        raise Trouble(
            "Настройки не записаны.",
            f"В {lies} их нет ни с одной копией.",
            "Укажите папку копий: --from ПАПКА.",
        )
    try:
        beside = Manifest.beside(lies, chosen)
        if beside is not None and (seal := beside.seal(identity)) is Seal.BROKEN:
            raise Damaged(f"{chosen}: {SEALS[seal]}")
        expected = None if beside is None else beside.settings
        write_out(to.absolute(), opened(lies, chosen, identity, expected=expected))
    except BackupError as error:
        raise Trouble("Настройки не записаны.", f"{error}.", "Другая копия или ключ: --help") from error
    typer.echo(f"Записаны из {chosen}: {to.absolute()}. Проверить: 2getpro doctor")


def _newest_with_settings(folder: Path, identity: x25519.Identity) -> str | None:
    with contextlib.suppress(BackupError):  # none is there, or none that can be believed
        found = choose(folder, None, identity, now=utc_now()).manifest.name
        if (folder / f"{found}{SETTINGS}").exists():
            return found
    return next((one for one in reversed(names(folder)) if (folder / f"{one}{SETTINGS}").exists()), None)


async def _shown(deps: Deps, _: OnStep) -> str:
    note_shown(deps.trials.parent, deps.keys.identity)
    return str(deps.keys.identity)


def _run(what: str, act: Callable[[Deps, OnStep], Awaitable[Any]]) -> Any:
    settings = read_settings(Settings)
    with (
        _told(what, "Что было раньше, цело: 2getpro backup list"),
        database(migrate=False) as url,
        quietly("Открываем базу") as on_progress,
    ):

        async def in_turn(deps: Deps) -> Any:
            return await _in_turn(lambda: act(deps, on_progress), on_progress)

        return asyncio.run(_with_deps(settings, url, in_turn))


@contextlib.contextmanager
def _told(what: str, remedy: str) -> Iterator[None]:
    """What goes wrong in the block, as Trouble; ``remedy`` is for what has none of its own."""
    try:
        yield
    except BackupError as error:
        own = error.remedy if isinstance(error, OffsiteError) else remedy
        if isinstance(error, NoRoom):
            own = "Освободите место: docs/operations/runbooks/disk.md; лишние копии: 2getpro backup prune"
        raise Trouble(what, f"{error}.", own) from error


async def _fetched(place: Bucket, lies: Path, name: str | None, url: str | None, tell: OnStep) -> Manifest:
    catalogue = None if url is None else Database(url, pool_size=2)
    try:
        return await _in_turn(
            lambda: fetching.fetch(place, lies, name, catalogue=catalogue, on_progress=tell), tell
        )
    finally:
        if catalogue is not None:
            await catalogue.close()


async def _in_turn(act: Callable[[], Awaitable[Result]], tell: OnStep) -> Result:
    """Wait while the shop itself or another command is at the copies."""
    deadline, is_told = time.monotonic() + _TURN_SECONDS, False
    while True:
        try:
            return await act()
        except Busy:
            if time.monotonic() > deadline:
                raise
            if not is_told:
                tell("Ждём: с копиями работает другой процесс")
            is_told = True
            await asyncio.sleep(1)


async def _with_deps(settings: Settings, url: str, act: Callable[[Deps], Awaitable[Any]]) -> Any:
    db = Database(url, pool_size=2)
    try:
        with contextlib.closing(Preparing(settings, db=db, database_url=url)) as prepare:
            return await act(prepare())
    finally:
        await db.close()


async def _left_offsite(deps: Deps) -> list[Backup]:
    async with deps.db.read("backup: left off-site") as session:
        deleted = await store.newest_first(session, BackupState.DELETED)
    return [copy for copy in deleted if copy.offsite_place and deps.bucket]


def _tell_log(folder: Path, got: Manifest, known: CopySettings) -> None:
    """How far the log that came with a base backup leads."""
    key = (known.data_dir or default_directory()) / FILE
    if key.exists():
        lines = reach_lines(folder, read_identity(key), zone=known.zone)
    else:
        lines = ["По какую минуту, скажет 2getpro restore list --from ПАПКА --key ФАЙЛ"]
    assert got.physical is not None
    files = len(Log(folder, got.physical.system, got.physical.segment_bytes).names())
    typer.echo("\n".join([f"Журнал с ней: файлов {files}.", *lines]))


def _show_found(found: fetching.Found, zone: ZoneInfo) -> None:
    table = Table("Копия", "Какая", "Сделана", "Размер", header_style="bold")
    for copy in found.copies:
        table.add_row(copy.name, KINDS[copy.kind], in_words(copy.moment, zone), _size(copy.bytes))
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)
    typer.echo(f"Журнал базы: файлов {found.log_files}, {_size(found.log_bytes)}")


def _offsite(copy: Backup, zone: ZoneInfo) -> str:
    if copy.offsite_at is not None:
        return f"[green]✓[/] {in_words(copy.offsite_at, zone)}"
    if copy.offsite_trouble is not None:
        return f"[red]✗[/] {copy.offsite_trouble}"
    return "[yellow]ещё нет[/]" if copy.state is BackupState.MADE else ""


def _size(size: int | None) -> str:
    if size is None:
        return ""
    if size < _MIB:
        return f"{size / 1024:.0f} КБ"
    return f"{size / _MIB:.1f} МБ".replace(".", ",")


def _plain_seal(seal: Seal | None) -> dict[str, str | None]:
    return {"seal": None if seal is None else seal.name.lower()}


def _plain(copy: Backup, *, sends: bool) -> dict[str, Any]:
    times = {
        at: None if moment is None else moment.isoformat()
        for at, moment in (
            ("started_at", copy.started_at),
            ("finished_at", copy.finished_at),
            ("verified_at", copy.verified_at),
        )
    }
    known = {
        "name": copy.name,
        "kind": copy.kind,
        "state": copy.state,
        "bytes": copy.bytes,
        "trouble": copy.trouble,
    }
    proof = {"is_good": copy.is_good, "verification": copy.verification}
    if not sends:
        return known | times | proof
    sent_at = None if copy.offsite_at is None else copy.offsite_at.isoformat()
    there = {"offsite_place": copy.offsite_place, "offsite_trouble": copy.offsite_trouble}
    return known | times | proof | {"offsite_at": sent_at} | there
