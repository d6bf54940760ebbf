"""``2getpro restore``: the database of a moment, in a new place, over the living one, or in part."""

import asyncio
import contextlib
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, NoReturn, TypeVar
from zoneinfo import ZoneInfo

import psycopg
import typer
from pyrage import x25519
from rich.console import Console
from rich.table import Table

from getpro.backups import live, places, plan, room, tables, traces
from getpro.backups.choice import choose, dumps_in, manifests_in
from getpro.backups.environment import keys_beside
from getpro.backups.errors import (
    BackupError,
    Busy,
    Damaged,
    InUse,
    LogBroken,
    NoFolder,
    NoRoom,
    NoTransaction,
    NotRestored,
    NotThere,
    Unsuitable,
    WrongKey,
)
from getpro.backups.folder import PASSED_THROUGH, held
from getpro.backups.keys import FILE, read_identity
from getpro.backups.manifest import Facts
from getpro.backups.proof import Proof, proof_of
from getpro.backups.recovery import Target
from getpro.backups.signature import SEALS
from getpro.backups.sources import SERVER, Copy, Source, minute_of
from getpro.backups.trial import thrown_away
from getpro.bootstrap.backups import folder as usual_folder
from getpro.cli.database import database
from getpro.cli.deeds import only_looks
from getpro.cli.progress import bars
from getpro.cli.reconcile import reconcile
from getpro.cli.restore_screens import (
    Plan,
    after_coming_home,
    after_new_place,
    after_swap,
    customer_lines,
    plan_table,
    proof_words,
    reach_lines,
)
from getpro.cli.settings import read_settings
from getpro.cli.tables import BIGGEST_ID, KINDS, WIDE, in_words
from getpro.cli.words import as_started
from getpro.kit.clock import utc_now
from getpro.kit.files import write_new
from getpro.kit.trouble import Trouble, system_words
from getpro.platform import restores
from getpro.platform.cipher import FILE as DATABASE_KEY
from getpro.platform.cipher import database_keys, has_keys
from getpro.platform.database import Database
from getpro.platform.postgres import default_directory
from getpro.platform.postgres.address import impatient, name_of
from getpro.platform.settings import DatabaseSettings, ReadableSettings

app = typer.Typer(add_completion=False)
Result = TypeVar("Result")

From = Annotated[
    Path | None,
    typer.Option("--from", help="Папка с копиями", show_default="та, куда магазин их кладёт"),
]
Key = Annotated[
    Path | None,
    typer.Option("--key", help="Файл с ключом копий", show_default="backup.key папки данных"),
]
Name = Annotated[str | None, typer.Option("--name", help="Имя живой базы, чтобы не спрашивать")]
_END: Final = "end"
_SHORT: Final = timedelta(minutes=1)
_REMEDIES: Final[dict[type[BackupError], str]] = {
    WrongKey: "Укажите ключ, сохранённый с той машины: --key ФАЙЛ",
    Damaged: "Возьмите другую копию: --copy ИМЯ. Какие есть: 2getpro restore list",
    NotThere: "Что есть: 2getpro restore list; папка с копиями: --from ПАПКА",
    NoRoom: "Освободите место или укажите папку на другом диске: --into ПАПКА или GETPRO_DATA_DIR.",
    NoFolder: "Укажите другую папку.",
    Busy: "Подождите, пока он закончит.",
    InUse: "Остановите магазин и повторите: systemctl stop 2getpro, в Docker docker-compose stop bot worker",
    Unsuitable: "Что для этого нужно, сказано в docs/operations/disaster-recovery.md",
    NoTransaction: "Проверьте номер: он стоит в столбце xmin испорченной строки. Или назовите минуту: --to",
    NotRestored: "Устраните причину и повторите, или возьмите другую копию: --copy ИМЯ",
}


@app.callback(invoke_without_command=True)
def restore(
    ctx: typer.Context,
    *,
    copy: Annotated[str | None, typer.Option("--copy", help="Какую копию; без имени новейшую")] = None,
    folder: From = None,
    key: Key = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            help='На какую минуту, вместо копии: "2026-11-23 14:05" по часам магазина; end: до конца журнала',
        ),
    ] = None,
    before_transaction: Annotated[
        int | None,
        typer.Option("--before-transaction", min=3, max=2**32 - 1, help="Перед этой транзакцией (xid)"),
    ] = None,
    into: Annotated[
        Path | None, typer.Option("--into", help="В какую папку", show_default="restored в папке данных")
    ] = None,
    over_live: Annotated[
        bool, typer.Option("--over-live", help="Заменить живую базу; прежняя остаётся под другим именем")
    ] = False,
    name: Name = None,
    table: Annotated[str | None, typer.Option("--table", help="Только эту таблицу, в файл")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Файл для --table: .csv или .jsonl")] = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="Из --table только строки, которые с тех пор стали другими")
    ] = False,
    customer: Annotated[
        int | None,
        typer.Option("--customer", min=1, max=BIGGEST_ID, help="Показать всё об этом клиенте на тот момент"),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Не спрашивать")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Только показать, что будет сделано")] = False,
) -> None:
    """Восстановить базу из копии или на минуту: по умолчанию в новое место, живая база остаётся как есть.

    Хватает папки с копиями и ключа: 2getpro restore --from ПАПКА --key ФАЙЛ
    """
    if ctx.invoked_subcommand is not None:
        return
    _require_one_way(into=into, over_live=over_live, table=table, customer=customer)
    _require_one_way(copy=copy, to=to, before_transaction=before_transaction)
    settings = read_settings(ReadableSettings)
    with _in_words("Не восстановлено."):
        lying = usual_folder(settings) if folder is None else folder
        identity = read_identity(key or _data(settings) / FILE)
        minute = None if to in {None, _END} else _minute(to or "", settings.zone)
        target = Target(at=minute, before_transaction=before_transaction)
        if target == Target() and to is None:
            choice = choose(lying, copy, identity, now=utc_now())
            found = choice.manifest
            asked = _Asked(
                settings,
                lying,
                identity,
                Copy(lying, found, identity),
                found.facts,
                len(dumps_in(lying)) - 1,
                chosen=f"--copy {found.name}",
                proof=choice.proof,
                passed_over=choice.passed_over,
            )
        else:
            chosen = f"--before-transaction {before_transaction}" if to is None else f"--to {shlex.quote(to)}"
            brought = minute_of(lying, target, identity)
            proof = proof_of(lying, brought.base, identity)
            asked = _Asked(
                settings, lying, identity, brought, None, 0, chosen=chosen, minute=minute, proof=proof
            )
        plan.require_known(asked.source)
        asked.source.require_key()
        if over_live:
            _over_live(asked, name=name, dry_run=dry_run)
        elif table is not None:
            _table(asked, table, out, changed=changed, dry_run=dry_run)
        elif customer is not None:
            _customer(asked, customer, dry_run=dry_run)
        else:
            _new_place(asked, into, yes=yes, dry_run=dry_run)


@app.command(name="list")
@only_looks
def show(*, folder: From = None, key: Key = None) -> None:
    """Показать, из чего можно восстановить: копии в папке, минуты и прежние базы, которые ещё хранятся."""
    settings = read_settings(ReadableSettings)
    with _in_words("Не показать."):
        lying = usual_folder(settings) if folder is None else folder
        identity = _identity_if_any(settings, key)
        shown = Table(
            "Копия", "Какая", "На момент", "База весит", "Сервер", "Проба", "Печать", header_style="bold"
        )
        copies = manifests_in(lying)
        for one in copies:
            seal = one.seal(identity)
            shown.add_row(
                one.name,
                KINDS[one.kind],
                in_words(one.moment, settings.zone),
                room.in_megabytes(one.database_bytes),
                one.server,
                proof_words(proof_of(lying, one, identity), zone=settings.zone),
                SEALS.get(seal, "✓") if identity is not None else "нет ключа, чтобы проверить",
            )
        if copies:
            Console(width=None if sys.stdout.isatty() else WIDE).print(shown)
        else:
            typer.echo(f"{lying}: копий нет.")
        if identity is not None:
            _tell(reach_lines(lying, identity, zone=settings.zone))
        with _living(settings) as url:
            for was in [] if url is None else _kept(url):
                until = in_words(was.until, settings.zone)
                typer.echo(f"Прежняя база {was.name}: была живой до {until}, {room.in_megabytes(was.bytes)}")


def _identity_if_any(settings: DatabaseSettings, key: Path | None) -> x25519.Identity | None:
    """The list needs none: only what it says of seals and trials does."""
    path = key or _data(settings) / FILE
    return read_identity(path) if key is not None or path.exists() else None


@app.command()
def back(
    kept: Annotated[str | None, typer.Argument(help="Какую; без имени ту, что была последней")] = None,
    *,
    name: Name = None,
) -> None:
    """Вернуть прежнюю базу на место живой; нынешняя останется под другим именем."""
    with _in_words("Не вернуть."), database(migrate=False, any_version=True) as url:
        _require_named(name_of(url), name)
        come, leaving = live.back(url, kept, now=utc_now(), mark=_mark)
        typer.echo(f"Живая теперь {come}, под именем {name_of(url)}. Бывшая до неё: {leaving}.")
        typer.echo(as_started("Передумали: 2getpro restore back"))
    reconcile()


@app.command()
def drop(
    kept: Annotated[str, typer.Argument(help="Имя прежней базы из 2getpro restore list")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Не спрашивать")] = False,
) -> None:
    """Удалить прежнюю базу, которая осталась после замены. Обратно её вернёт только копия."""
    with _in_words("Не удалить."), database(migrate=False, any_version=True) as url:
        if all(one.name != kept for one in live.kept(url)):
            raise NotThere(f"прежней базы {kept} нет")
        if not yes:
            _require_agreed(f"Удалить {kept} насовсем?")
        live.drop(url, kept)
        typer.echo(f"Удалена: {kept}.")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be restored, and all that is known before."""

    settings: ReadableSettings
    folder: Path
    """Where the copies lie."""
    identity: x25519.Identity
    source: Source
    facts: Facts | None
    others: int
    chosen: str
    """The options that name the source."""
    minute: datetime | None = None
    """Where one was asked for."""
    proof: Proof | None = None
    """How the last trial of the copy went, or of the base backup."""
    passed_over: tuple[str, ...] = ()

    @property
    def restored(self) -> Path:
        """The folder in which all is restored that is not asked to be elsewhere."""
        return _data(self.settings) / places.RESTORED

    def tell_if_short(self) -> None:
        """Once it is brought up: what was asked for may lie behind the end of the log."""
        if self.minute is not None and self.minute - self.source.moment > _SHORT:
            last = in_words(self.source.moment, self.settings.zone)
            typer.echo(f"Последнее, что есть в журнале, записано {last}: было ли что-то потом, он не знает.")

    @property
    def scratch(self) -> Path:
        return self.restored / places.SCRATCH

    def show(
        self, url: str | None, *, where: str, folder: Path, needed: int, is_replaced: bool = False
    ) -> None:
        shown = Plan(
            source=self.source,
            facts=self.facts,
            where=where,
            since=plan.since(url, self.source.moment) if url and self.source.knows_moment else None,
            is_replaced=is_replaced,
            needed_bytes=needed,
            free_bytes=room.free_bytes(folder),
            trial_seconds=None if url is None else plan.seconds_of_last_trial(url),
            others=self.others,
            proof=self.proof,
            passed_over=self.passed_over,
        )
        console = Console(width=None if sys.stdout.isatty() else WIDE)
        console.print(plan_table(shown, now=utc_now(), zone=self.settings.zone))
        room.require_room(folder, needed)


def _new_place(asked: _Asked, into: Path | None, *, yes: bool, dry_run: bool) -> None:
    directory = (into or asked.restored / asked.source.name).absolute()
    places.sweep(asked.restored)
    needed = asked.source.restored_bytes
    places.require_empty(directory)
    with _living(asked.settings) as url:
        asked.show(url, where=f"новое место: {directory}", folder=directory, needed=needed)
    if dry_run:
        return
    if not yes:
        _require_agreed("Восстановить?")
    _timed(lambda on_progress: places.into_new_place(asked.source, directory, on_progress, mark=_mark))
    asked.tell_if_short()
    has_url, has_key = asked.settings.database_url is not None, _take_key_along(asked, directory)
    if not has_url and directory == _data(asked.settings).absolute():
        _tell(after_coming_home(directory, has_key=has_key))
        return
    _tell(after_new_place(directory, asked.chosen, has_url=has_url, has_key=has_key))


def _take_key_along(asked: _Asked, directory: Path) -> bool:
    """The key of the database, which a shop that lives there needs: from here, or from beside a copy."""
    there = asked.settings.model_copy(update={"data_dir": directory})
    if has_keys(there):
        return True
    if has_keys(asked.settings):
        found = database_keys(asked.settings)
    else:
        found = []
        with contextlib.suppress(BackupError):  # base backups alone: their settings lie beside dumps
            newest = choose(asked.folder, None, asked.identity, now=utc_now()).manifest
            found = keys_beside(asked.folder, newest.name, asked.identity)
    if found:
        write_new(directory / DATABASE_KEY, "".join(f"{key}\n" for key in found))
    return bool(found)


def _over_live(asked: _Asked, *, name: str | None, dry_run: bool) -> None:
    with database(migrate=False, any_version=True) as url:
        called = name_of(url)
        is_here = asked.settings.database_url is None
        needed = max(asked.source.archived_bytes, asked.source.restored_bytes if is_here else 0)
        there = "" if is_here else f"; на сервере базы нужно {room.in_megabytes(asked.source.database_bytes)}"
        where = f"вместо живой базы {called}, а она останется под другим именем{there}"
        asked.show(url, where=where, folder=asked.restored, needed=needed, is_replaced=True)
        if dry_run:
            return
        live.require_ready(url, asked.source)
        _require_named(called, name)
        with held(asked.restored, mode=PASSED_THROUGH), thrown_away(asked.scratch) as place:
            kept = _timed(
                lambda on_progress: live.over_live(
                    asked.source, url, place, now=utc_now(), on_progress=on_progress, mark=_mark
                )
            )
        asked.tell_if_short()
        _tell(after_swap(kept))
    reconcile()


def _table(asked: _Asked, table: str, out: Path | None, *, changed: bool, dry_run: bool) -> None:
    file = out or Path(f"{table}-{asked.source.name.removeprefix('2getpro-')}.csv")
    tables.require_writable(file)
    if asked.facts is not None and table not in asked.facts.rows:
        raise NotThere(f"таблицы {table} в копии нет; есть: {', '.join(sorted(asked.facts.rows))}")
    with _brought_up(asked, f"файл {file}", dry_run=dry_run) as (past, url):
        if past is None:
            return
        done = tables.export(past, table, file, living_url=url, only_different=changed)
    typer.echo(f"{file}: строк {done.rows}. В нём личные данные; читает его только владелец.")
    if (found := done.differences) is None:
        typer.echo("Живой таблицы нет, сравнить не с чем.")
    else:
        other = "" if found.changed is None else f", стало другими {found.changed}"
        typer.echo(f"С тех пор: исчезло {found.gone}{other}, появилось {found.added}.")
    typer.echo("В живой базе ничего не изменено.")


def _customer(asked: _Asked, customer: int, *, dry_run: bool) -> None:
    with _brought_up(asked, "на экран", dry_run=dry_run) as (past, _):
        if past is None:
            return
        found = traces.of_customer(past, customer)
    _tell(customer_lines(found, zone=asked.settings.zone))


@contextlib.contextmanager
def _brought_up(asked: _Asked, where: str, *, dry_run: bool) -> Iterator[tuple[str | None, str | None]]:
    """The past in a cluster that is thrown away (None: only the plan was wanted), and the living database.

    Nothing is asked: nothing that anybody has is changed.
    """
    with _living(asked.settings) as url:
        asked.show(url, where=where, folder=asked.restored, needed=asked.source.restored_bytes)
        if dry_run:
            yield None, url
            return
        with (
            held(asked.restored, mode=PASSED_THROUGH),
            thrown_away(asked.scratch) as place,
            bars() as on_progress,
            asked.source.restored(place, on_progress) as (_, past),
        ):
            yield past, url


@contextlib.contextmanager
def _living(settings: DatabaseSettings) -> Iterator[str | None]:
    """The address of the living database if there is one; a new machine gets none for being looked at."""
    is_there = (
        settings.database_url is not None or (_data(settings) / SERVER / "data" / "PG_VERSION").exists()
    )
    if not is_there:
        yield None
        return
    with database(migrate=False, any_version=True, even_away=True) as url:
        yield url


def _kept(url: str) -> list[live.Former]:
    with contextlib.suppress(Unsuitable):
        return live.kept(url)
    return []


def _mark(url: str, moment: datetime) -> None:
    """Hold the shop that is to live there until it knows of the money since ``moment``.

    A database from before there was a place for that has none; nor does its program look there.
    """
    with psycopg.connect(impatient(url), autocommit=True) as connection:
        has_place = connection.execute("SELECT to_regclass('restores') IS NOT NULL").fetchone() == (True,)
    if has_place:
        asyncio.run(_marked(url, moment))


async def _marked(url: str, moment: datetime) -> None:
    db = Database(url, pool_size=1)
    try:
        async with db.begin("restore: mark") as session:
            await restores.mark_restored(session, moment, now=utc_now())
    finally:
        await db.close()


def _minute(written: str, zone: ZoneInfo) -> datetime:
    """By the operator's clock, unless a zone is written with it."""
    try:
        moment = datetime.fromisoformat(written.strip())
    except ValueError as error:
        raise typer.BadParameter('время пишется как "2026-11-23 14:05"') from error
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    if moment > utc_now():
        raise typer.BadParameter("это время ещё не наступило")
    return moment


def _data(settings: DatabaseSettings) -> Path:
    return settings.data_dir or default_directory()


def _require_one_way(**ways: object) -> None:
    taken = [f"--{name.replace('_', '-')}" for name, value in ways.items() if value]
    if len(taken) > 1:
        raise typer.BadParameter(f"{' и '.join(taken)} вместе не бывают")


def _require_named(called: str, given: str | None) -> None:
    """That whoever replaces the living database knows which one it is; raises Trouble."""
    if given is None:
        _require_terminal(f"--name {called}")
        given = input(f"Чтобы заменить живую базу, наберите её имя ({called}): ").strip()
    if given != called:
        raise Trouble(
            "Ничего не изменено.",
            f"Набрано {given!r}, а живая база называется {called!r}.",
            "Проверьте, та ли это база, и повторите.",
        )


def _require_agreed(question: str) -> None:
    _require_terminal("--yes")
    if input(f"{question} [да/нет]: ").strip().lower() not in {"да", "д", "yes", "y"}:
        raise Trouble("Ничего не изменено.", "Вы не согласились.", "Передумаете — повторите.")


def _require_terminal(option: str) -> None:
    if not sys.stdin.isatty():
        raise Trouble("Ничего не изменено.", "Спросить некого: это не терминал.", f"Добавьте {option}")


def _timed(work: Callable[..., Result]) -> Result:
    began = time.monotonic()
    with bars() as on_progress:
        done = work(on_progress)
    typer.echo(f"Восстановлено за {time.monotonic() - began:.1f} с.".replace(".", ",", 1))
    return done


def _tell(lines: list[str]) -> None:
    typer.echo(as_started("\n".join(lines)))


@contextlib.contextmanager
def _in_words(what: str) -> Iterator[None]:
    try:
        yield
    except BackupError as error:
        _raise(what, error)
    except psycopg.Error as error:
        why = str(error).partition("\n")[0] or type(error).__name__
        raise Trouble(
            what, f"PostgreSQL: {why}.", "Проверьте, что он жив и место есть, и повторите."
        ) from error
    except OSError as error:
        why = f"{error.filename or ''}: {system_words(error)}".removeprefix(": ")
        raise Trouble(what, f"{why}.", "Проверьте место и права и повторите.") from error


def _raise(what: str, error: BackupError) -> NoReturn:
    if isinstance(error, LogBroken) and error.last is not None:
        last = error.last.astimezone(read_settings(ReadableSettings).zone)
        there = f'Дальше всего вернёт --to "{last:%Y-%m-%d %H:%M:%S}"; что было после, найдёт сверка денег.'
        raise Trouble(what, f"{error}.", there) from error
    remedy = next(words for kind, words in _REMEDIES.items() if isinstance(error, kind))
    raise Trouble(what, f"{error}.", remedy) from error
