"""The documents' commands, carried out: each fence marked ```` ```sh run ```` on a shop that really runs.

A page is one terminal: its commands run in their order, in the folder of the shop, and what one of them
exports the next ones have. A fence ```` ```text ```` that follows, before any other, is what the reader will
see: each of its lines must be found in what was printed, in their order; ``…`` stands for anything, and how
much room there is between words says nothing.

````sh run new```` is typed on a machine that has nothing but the program, the copies and their key.
"""

import asyncio
import contextlib
import itertools
import os
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp
import psycopg
import pytest
import pytest_asyncio

from folders import open_up
from getpro.platform.postgres import Cluster
from getpro.sandbox.shop.world import free_port
from guide_lines import GUIDE
from seed import SEED
from services import OPERATORS, PANEL_TOKEN, services
from storage import Place, Storage

ROOT = Path(__file__).parents[2]
SWIFT = ROOT / "tests/swift.py"
FENCE = re.compile(r"(?ms)^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^ *```$")
RUN, RUN_NEW, SEEN = "sh run", "sh run new", "text"
FINDERS: Final = re.compile(
    r"2getpro (doctor|ops|logs|payments stuck|panel reconcile|reconcile|incident list|contacts list)\b"
)
"""What these exit with says what they found: 1 and 2 are no failure of theirs."""
LOOKS: Final = re.compile(
    r"2getpro (doctor|ops \w+|logs --since \w+( --level \w+)?|payments stuck|query [\w-]+)"
)
"""They change nothing: one that stands on many pages is carried out once for all of them."""
START_SECONDS: Final = 120
PAGE_SECONDS: Final = 300
PAST: Final = (
    SEED
    + """
UPDATE subscriptions SET provisioned_version = wanted_version, next_reminder_at = NULL,
    end_date = date_trunc('second', end_date);
"""
)
"""All of it was delivered long ago, and nobody is to be reminded: nothing is wrong."""

pytestmark = [
    pytest.mark.documents,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(START_SECONDS + PAGE_SECONDS),
    pytest.mark.xdist_group("documents"),
]


@dataclass(frozen=True)
class Marked:
    """A fence that is to be run, where it stands, and what will be seen."""

    line: int
    text: str
    seen: tuple[str, ...]
    is_new: bool = False
    """On a new machine."""

    @property
    def typed(self) -> list[str]:
        return [f'(cd "$MACHINE" && {one})' if self.is_new else one for one in commands(self.text)]


def marked(text: str) -> list[Marked]:
    fences = [*FENCE.finditer(text), None]
    return [
        Marked(
            text.count("\n", 0, fence.start()) + 1,
            re.sub(rf"(?m)^{fence['indent']}", "", fence["text"]),
            tuple(following["text"].splitlines()) if following and following["info"] == SEEN else (),
            fence["info"] == RUN_NEW,
        )
        for fence, following in itertools.pairwise(fences)
        if fence and fence["info"] in {RUN, RUN_NEW}
    ]


PAGES = {
    str(path.relative_to(ROOT)): found
    for path in sorted((ROOT / "docs").rglob("*.md"))
    if (found := marked(path.read_text(encoding="utf-8")))
}


OF_COPIES: Final = (
    "docs/operations/backup.md",
    "docs/operations/disaster-recovery.md",
    "docs/operations/database.md",
    *(
        f"docs/operations/runbooks/{name}.md"
        for name in ("backup", "drill", "restore-test", "shop-held", "wal-archive")
    ),
)
"""Pages whose every command is carried out: here, or as it says there."""
ELSEWHERE: Final = {
    "2getpro ops drill": "tests/backups/test_drills.py",
    "2getpro restore --over-live": "tests/cli/test_restore.py",
    "mv /var/lib/2getpro/postgres /var/lib/2getpro/postgres-lost": "tests/cli/test_migrate.py",
    "2getpro restore --to end --into /var/lib/2getpro": "tests/cli/test_restore.py",
    "cat 2getpro-ДАТА-ВРЕМЯ.dump.zst.age.part* > 2getpro-ДАТА-ВРЕМЯ.dump.zst.age": (
        "tests/backups/test_telegram.py"
    ),
    "aws s3api create-bucket --bucket my-vpn-copies --object-lock-enabled-for-bucket": "tests/storage.py",
    **dict.fromkeys(
        (
            GUIDE["G23"],
            GUIDE["G45"],
            GUIDE["G46"].replace("exec ", "exec -T "),
            'gunzip -t backup.sql.gz && gunzip < backup.sql.gz | tail | grep "dump complete"',
        ),
        "tests/stack/test_guide_lines.py",
    ),
    **dict.fromkeys(
        (
            "./2getpro backup settings --from /backups --key /mnt/backup.key --to .env",
            "./2getpro setup",
            "sudo chown -R 10001 /backups",
            "docker-compose build && docker-compose up -d postgres",
            (
                "docker-compose run --rm --no-deps -T worker sh -c 'umask 077 && cat > data/backup.key'"
                " < /mnt/backup.key"
            ),
            "docker-compose run --rm --no-deps worker 2getpro restore --over-live --to end",
        ),
        "tests/stack/test_lost_server.py",
    ),
    **dict.fromkeys(
        (
            "export BACKUP_S3_ENDPOINT=https://storage.example BACKUP_S3_BUCKET=my-vpn-copies",
            "export BACKUP_S3_ACCESS_KEY_ID=reader-id BACKUP_S3_SECRET_ACCESS_KEY=reader-secret",
            "2getpro backup fetch --to /mnt/copies",
            "2getpro backup fetch 2getpro-20260301-030000-full --to /mnt/copies",
            ("unset BACKUP_S3_ENDPOINT BACKUP_S3_BUCKET BACKUP_S3_ACCESS_KEY_ID BACKUP_S3_SECRET_ACCESS_KEY"),
        ),
        "tests/backups/test_point_in_time.py",
    ),
    **dict.fromkeys(
        (
            "export SERVER='postgresql://postgres:ПАРОЛЬ@db.example/postgres'",
            'export PASSWORD="$(openssl rand -hex 24)"',
            'export NEW="postgresql://getpro:$PASSWORD@db.example/2getpro_v2"',
        ),
        "tests/house/test_document_commands.py",  # new_server, for the steps after it
    ),
}


def commands(text: str) -> Iterator[str]:
    """The commands of a fence: lines that belong together, such as a quotation, are one."""
    waiting = ""
    for line in text.splitlines(keepends=True):
        waiting += line
        if waiting.strip() and is_complete(waiting):
            yield waiting.strip()
            waiting = ""
    assert not waiting.strip(), f"no end of: {waiting}"


def is_complete(text: str) -> bool:
    read = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    return read.returncode == 0 and not read.stderr


@dataclass(frozen=True)
class Done:
    code: int
    said: str
    complained: str


def troubles(command: str, done: Done) -> list[str]:
    """What speaks against the command: it failed, or was refused, or broke."""
    is_fine = done.code in ({0, 1, 2} if FINDERS.search(command) else {0})
    is_broken = "Ошибка:" in done.complained or "Traceback" in done.complained
    return [] if is_fine and not is_broken else [f"{command}\n-> {done.code}\n{done.said}\n{done.complained}"]


def unseen(lines: tuple[str, ...], said: str) -> str | None:
    """The first line that was not printed where the page says, or None."""
    at = 0
    for line in lines:
        words = [r"\s+".join(map(re.escape, part.split())) for part in line.split("…")]
        found = re.compile(".*?".join(words)).search(said, at)
        if found is None:
            return line
        at = found.end()
    return None


@dataclass
class Terminal:
    """An operator in the folder of a shop that ``2getpro run`` runs, with a PostgreSQL of its own."""

    folder: Path
    database_url: str
    environment: dict[str, str]
    real: dict[str, str]
    """What stands in the documents for this shop's own."""
    looked: dict[str, Done] = field(default_factory=dict)

    async def type(self, typed: list[str]) -> list[Done]:
        """Carry out the commands, one after the other, in one shell; a look that was taken is not again."""
        for old in self.folder.glob("code.*"):
            old.unlink()
        lines = ["set -o pipefail"]
        for number, command in enumerate(typed):
            if command in self.looked:
                continue
            for written, real in self.real.items():
                command = re.sub(rf"(?<!\w){written}(?!\w)", real, command)  # noqa: PLW2901 -- the same, of this shop
            lines += [f"exec > said.{number} 2> complained.{number}", command, f"echo $? > code.{number}"]
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", "\n".join(lines)),
            cwd=self.folder,
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(PAGE_SECONDS):
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
        done = [self.looked.get(command) or self._done(number) for number, command in enumerate(typed)]
        self.looked |= {
            command: one for command, one in zip(typed, done, strict=True) if LOOKS.fullmatch(command)
        }
        return done

    def _done(self, number: int) -> Done:
        code, said, complained = (
            (self.folder / f"{name}.{number}").read_text(encoding="utf-8")
            for name in ("code", "said", "complained")
        )
        return Done(int(code), said, complained)


@contextlib.asynccontextmanager
async def running_shop(folder: Path, bucket: Place, **more: str) -> AsyncIterator[Terminal]:
    """A small shop with a past, its outside simulated, with nothing wrong; ``more`` is the environment's.

    Its copies go into ``bucket``, and into the operators' chat when they are told to.
    """
    port, metrics = free_port(), free_port()
    (folder / "logs").mkdir()
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "bin").mkdir()
    environment = {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
        "LANG": "C.UTF-8",
    } | more
    async with services(folder) as here, contextlib.AsyncExitStack() as running:
        here.begin_complete(
            GETPRO_PORT=str(port),
            GETPRO_METRICS_PORT=str(metrics),
            GETPRO_LOG_DIR=str(folder / "logs"),
            BACKUP_S3_ENDPOINT=bucket.storage.url,
            BACKUP_S3_BUCKET=bucket.name,
            BACKUP_S3_ACCESS_KEY_ID=bucket.key_id,
            BACKUP_S3_SECRET_ACCESS_KEY=bucket.secret,
            BACKUP_TELEGRAM_CHAT=str(OPERATORS),
        )
        start = partial(_started, running, cwd=folder, env=environment)
        commands_server = await start(str(SWIFT), "--serve", "swift", stdout=asyncio.subprocess.PIPE)
        with (folder / "run.log").open("wb") as log:
            product = await start("-m", "getpro", "run", stdout=log, stderr=log)
        launcher = folder / "bin" / "2getpro"
        launcher.write_text(
            f'#!/bin/sh\nexec "{sys.executable}" -S -E "{SWIFT}" "{folder}/swift" "$@"\n', encoding="utf-8"
        )
        launcher.chmod(0o755)
        assert commands_server.stdout is not None
        assert await commands_server.stdout.readline() == b"ready\n"
        await ready(product, f"http://127.0.0.1:{port}/health/ready")
        url = Cluster(folder / "postgres").url()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(PAST.encode())
        real = {
            "8080": str(port),
            "9464": str(metrics),
            "КЛИЕНТ": "2",
            "/mnt/copies": str(folder / "backups"),
            "/mnt/backup.key": str(folder / "backup.key"),
            "/var/lib/2getpro/data": "$MACHINE/data",
        }
        yield Terminal(folder, url, environment, real)


async def _started(
    running: contextlib.AsyncExitStack, *arguments: str, **how: Any
) -> asyncio.subprocess.Process:
    """A process of Python that is ended in order with what it runs in."""
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, **how)

    async def end() -> None:
        if process.returncode is None:
            process.terminate()
        await process.wait()

    running.push_async_callback(end)
    return process


async def ready(product: asyncio.subprocess.Process, url: str) -> None:
    async with asyncio.timeout(START_SECONDS), aiohttp.ClientSession() as session:
        while product.returncode is None:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.1)
    raise AssertionError("the shop has ended before it was ready: run.log in its folder says why")


@pytest.fixture(scope="module")
def new_server(server: str) -> Iterator[dict[str, str]]:
    """A PostgreSQL on which there is no shop yet, as the page about the database names it."""

    def clear() -> None:
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute('DROP DATABASE IF EXISTS "2getpro_v2"')
            connection.execute("DROP ROLE IF EXISTS getpro")

    clear()
    where = server.rpartition("@")[2]
    yield {
        "SERVER": f"{server}/postgres",
        "PASSWORD": "password-of-a-test",
        "NEW": f"postgresql://getpro:password-of-a-test@{where}/2getpro_v2",
    }
    clear()
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute('CREATE DATABASE "2getpro_v2"')  # as other tests find it on a server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def terminal(
    tmp_path_factory: pytest.TempPathFactory, new_server: dict[str, str], s3: Storage
) -> AsyncIterator[Terminal]:
    async with running_shop(open_up(tmp_path_factory.mktemp("shop")), s3.make(), **new_server) as here:
        yield here


@contextlib.contextmanager
def forgotten(database_url: str) -> Iterator[int]:
    """Somebody's session that holds what another one waits for; the holder's number."""
    change = "UPDATE users SET first_name = 'x' WHERE user_id = 1"
    with psycopg.connect(database_url) as holder, psycopg.connect(database_url) as waiting:
        holder.execute(change)
        waiter = threading.Thread(target=waiting.execute, args=[change])
        waiter.start()
        yield holder.info.backend_pid
        holder.close()
        waiter.join()
        waiting.rollback()


async def a_minute(terminal: Terminal) -> dict[str, str]:
    """What stands in the documents for one that can be gone back to, and for a transaction after it."""
    with psycopg.connect(terminal.database_url, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM backups WHERE kind = 'full'").fetchone() is None:
            await terminal.type(["2getpro backup base"])
        minute = datetime.now(UTC)
        changed = connection.execute(
            "UPDATE users SET first_name = 'x' WHERE user_id = 3 RETURNING pg_current_xact_id()::text, now()"
        ).fetchone()
        assert changed is not None
        number, at = changed
        async with asyncio.timeout(PAGE_SECONDS):
            while (
                connection.execute("SELECT 1 FROM wal_streams WHERE safe_until > %s", [at]).fetchone() is None
            ):
                await asyncio.sleep(0.2)
    return {"2026-11-23 14:05": f"{minute:%Y-%m-%d %H:%M:%S%z}", "81734": number}


@pytest.mark.parametrize("page", PAGES)
async def test_the_commands_of_a_page_do_what_it_says(page: str, terminal: Terminal) -> None:
    fences = PAGES[page]
    typed = [fence.typed for fence in fences]
    machine = terminal.folder / f"machine-{Path(page).stem}"
    machine.mkdir(exist_ok=True)
    terminal.environment["MACHINE"] = str(machine)
    if any("2026-11-23" in fence.text for fence in fences):
        terminal.real |= await a_minute(terminal)
    with contextlib.ExitStack() as meanwhile:
        if any("НОМЕР" in fence.text for fence in fences):
            terminal.real["НОМЕР"] = str(meanwhile.enter_context(forgotten(terminal.database_url)))
        done = iter(await terminal.type([command for each in typed for command in each]))
    found: list[str] = []
    for fence, each in zip(fences, typed, strict=True):
        said = ""
        for command in each:
            ended = next(done)
            found += [f"{page}:{fence.line}: {trouble}" for trouble in troubles(command, ended)]
            said += ended.said + ended.complained
        if (missing := unseen(fence.seen, said)) is not None:
            found.append(f"{page}:{fence.line}: nobody sees {missing!r} in\n{said}")
    assert not found, "\n\n".join(found)


async def test_every_command_on_the_pages_about_copies_is_carried_out() -> None:
    typed = {one for fences in PAGES.values() for fence in fences for one in commands(fence.text)}
    left = {
        one
        for page in OF_COPIES
        for fence in FENCE.finditer((ROOT / page).read_text(encoding="utf-8"))
        if fence["info"] in {"", "sh"}
        for one in commands(fence["text"])
    }
    assert left - typed == set(ELSEWHERE)
    assert not [
        test for test in ELSEWHERE.values() if test.startswith("tests/") and not (ROOT / test).exists()
    ]


async def test_the_search_for_secrets_in_the_log_finds_one(terminal: Terminal) -> None:
    (searching,) = [
        fence.text for fence in PAGES["docs/operations/security.md"] if "grep -rlFf" in fence.text
    ]
    told = terminal.folder / "logs" / "told.log"
    told.write_text(f'{{"event": "panel.asked", "header": "Bearer {PANEL_TOKEN}"}}\n', encoding="utf-8")
    try:
        *_, done = await terminal.type(list(commands(searching)))
    finally:
        told.unlink()
    assert done.said.split() == [str(told)]


@pytest.mark.parametrize(
    ("seen", "said", "missing"),
    [
        (("Всё в порядке.",), "Проверено строк: 19.  Всё   в\nпорядке.", None),
        (("Проверено строк: … порядке.",), "Проверено строк: 19. Всё в порядке.", None),
        (("t", "t"), "t", "t"),
        (("b", "a"), "a b", "a"),
    ],
)
async def test_what_will_be_seen_is_looked_for_in_its_order(
    seen: tuple[str, ...], said: str, missing: str | None
) -> None:
    assert unseen(seen, said) == missing


@pytest.mark.parametrize(
    ("command", "done", "is_trouble"),
    [
        ("2getpro doctor", Done(2, "", ""), False),
        ("2getpro doctor", Done(2, "", "Ошибка: База данных не отвечает."), True),
        ("2getpro doctor", Done(64, "", ""), True),
        ("2getpro migrate", Done(2, "", ""), True),
        ("no-such-command", Done(127, "", ""), True),
    ],
)
async def test_a_command_that_failed_is_told_from_one_that_found_something(
    command: str, done: Done, *, is_trouble: bool
) -> None:
    assert bool(troubles(command, done)) is is_trouble


async def test_a_page_marks_commands_and_what_will_be_seen() -> None:
    page = "```sh run\na\n```\nwords\n```text\nsaid\n```\n```\nb\n```\n  ```sh run\n  c 'd\n  e'\n  ```\n"
    first, second = marked(page)
    assert (first.line, first.text, first.seen) == (1, "a\n", ("said",))
    assert (list(commands(second.text)), second.seen) == (["c 'd\ne'"], ())
