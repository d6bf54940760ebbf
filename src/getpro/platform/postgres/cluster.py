"""A PostgreSQL cluster of our own: made, started, adopted, recovered, stopped."""

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final
from urllib.parse import quote

from getpro.kit.clock import DEFAULT_ZONE
from getpro.kit.trouble import Trouble, system_words
from getpro.platform.postgres.account import Account, server_account
from getpro.platform.postgres.tools import SHARED_ROOT, Tools, embedded_tools

DATABASE: Final = "2getpro_v2"
SUPERUSER: Final = "postgres"
START_SECONDS: Final = 60
STOP_SECONDS: Final = 60
_LOCALE: Final = ("-E", "UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
_SMALL: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "wal_level": "replica",
    "max_wal_size": "512MB",
    "password_encryption": "scram-sha-256",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_min_messages": "warning",
}
_LASTING: Final = {
    "summarize_wal": "on",  # for incremental base backups
    "max_slot_wal_keep_size": "4GB",  # a copy of the log that nobody takes must not fill the disk
}
_FAST: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Cluster:
    """One data directory and the server on it, on a loopback port, behind a password in a 0600 file."""

    def __init__(
        self,
        directory: Path,
        *,
        time_zone: str = DEFAULT_ZONE,
        durable: bool = True,
        port: int = 0,
        environment: Mapping[str, str] | None = None,
        tools: Tools | None = None,
    ) -> None:
        """``durable=False`` is for tests: a power cut may cost the data. Port 0 takes a free one.

        ``environment`` is what the server needs beside its own, such as the sandbox's clock; ``tools`` are
        for data of another version than the wheel's.
        """
        self.directory = directory.absolute()  # the server is started elsewhere
        self._account: Account = server_account()
        self.tools: Tools = tools or embedded_tools(self._account)
        self._settings = _SMALL | {"TimeZone": time_zone, "log_timezone": time_zone}
        self._settings |= _LASTING if durable else _FAST
        self._wanted_port = port
        self._servers_own = dict(environment or {})
        self._server: subprocess.Popen[bytes] | None = None
        """The server, where it is a child of ours; it lives on when we end."""
        self._use: IO[str] | None = None
        """Holds a shared lock while we use the server."""

    @classmethod
    @contextlib.contextmanager
    def running(
        cls,
        directory: Path,
        *,
        time_zone: str = DEFAULT_ZONE,
        durable: bool = True,
        environment: Mapping[str, str] | None = None,
    ) -> Iterator[str]:
        """The address of the server while the block runs; whoever leaves last stops the server."""
        cluster = cls(directory, time_zone=time_zone, durable=durable, environment=environment)
        cluster.start()
        try:
            yield cluster.url()
        finally:
            cluster.leave()

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def is_made(self) -> bool:
        return (self.data / "PG_VERSION").exists()

    def start(self) -> None:
        """Make the cluster if it is missing, start its server if none runs, use it until :meth:`leave`."""
        try:
            self._prepare()
            with _locked(self._start_lock):
                if not self._answers():
                    if not self.is_made:
                        self._init()
                    self._forget_dead_server()
                    self._launch()
                    self._make_database()
                if self._use is None:
                    self._use = self._users.open("a")
                    fcntl.flock(self._use, fcntl.LOCK_SH)
        except OSError as error:
            raise Trouble(
                "Встроенная база не открылась.",
                f"{error.filename or self.directory}: {system_words(error)}.",
                "Запустите от того пользователя, что и магазин, или укажите другую папку в GETPRO_DATA_DIR.",
            ) from error

    def revive(self) -> None:
        """Start the server again if it has died, for those who use it; a living one is left alone.

        Raises Trouble where its data are gone: a new cluster would be another, empty one.
        """
        if self.server_pid() is None:
            if not self.is_made:
                raise Trouble(
                    "База магазина пропала.",
                    f"{self.data}: её файлов там больше нет.",
                    "Верните папку на место или базу из копии: docs/operations/disaster-recovery.md",
                )
            self.start()
            self._end_use()

    def leave(self) -> None:
        """Use the server no more; whoever leaves last stops it, whoever started it."""
        self._end_use()
        if self.server_pid() is None:
            return
        with _locked(self._start_lock), self._users.open("a") as users:
            try:  # on the file of now: the folder may have been thrown away and made again since the start
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            self.stop()

    def stop(self) -> None:
        """Stop the server in an orderly way, whoever uses it; nothing to stop is fine."""
        self._end_use()
        pid = self.server_pid()
        if pid is None:
            self._reap()  # somebody else may have stopped it
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + STOP_SECONDS
        while self.server_pid() is not None:
            if time.monotonic() > deadline:
                raise Trouble(
                    "PostgreSQL не останавливается.",
                    f"Процесс {pid} не завершился за {STOP_SECONDS} с.",
                    f"Посмотрите журнал {self.directory / 'server.log'}.",
                )
            time.sleep(0.02)
        self._reap()

    def kill(self) -> None:
        """SIGKILL to the server and all its processes, as a power cut would; for the crash tests."""
        if (pid := self.server_pid()) is not None:
            for process in [pid, *_children(pid)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            while self.server_pid() is not None:
                time.sleep(0.01)
            self._reap()

    def write(self, path: Path, text: str) -> None:
        """A file of the server's, for its user alone."""
        with self._private(path, os.O_TRUNC) as file:
            file.write(text)

    def own(self, path: Path) -> None:
        """Hand it over to the server's user."""
        self._account.own(path)

    def folder(self, path: Path) -> Path:
        """A folder for the server's user alone; made where it is missing."""
        path.mkdir(mode=0o700, exist_ok=True)
        self._account.own(path)
        return path

    def launch(self, settings: Mapping[str, str], *, seconds: int) -> None:
        """Start the server on data that lie there, with ``settings`` beside its own; it does not become used.

        Raises Trouble if it does not serve within ``seconds``.
        """
        self._prepare()
        self._launch(settings, seconds=seconds)

    @property
    def log_path(self) -> Path:
        return self.directory / "server.log"

    def as_user(self) -> dict[str, Any]:
        """What to give ``subprocess`` to run as the server's user."""
        return self._account.as_user()

    @property
    def _start_lock(self) -> Path:
        return self.directory / "start.lock"

    @property
    def _users(self) -> Path:
        """Everybody who uses the server holds a shared lock on it; the lock goes with its process."""
        return self.directory / "users.lock"

    def _end_use(self) -> None:
        if self._use is not None:
            self._use.close()
            self._use = None

    def _reap(self) -> None:
        if self._server is not None:
            self._server.wait()

    def url(self, database: str = DATABASE) -> str:
        """The address with its password: a secret."""
        return f"postgresql://{SUPERUSER}:{quote(self._password())}@127.0.0.1:{self.port}/{database}"

    def _password(self) -> str:
        try:
            return (self.directory / "password").read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return ""

    @property
    def port(self) -> int:
        """The port of the server; 0 while none was ever started."""
        try:
            return int((self.directory / "port").read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return 0

    def server_pid(self) -> int | None:
        """The process of a living server on this data directory, else None.

        A pid file outlives a SIGKILL, and another program may have the number by now: it counts only
        if that process is a postgres.
        """
        try:
            pid = int((self.data / "postmaster.pid").read_text(encoding="ascii").splitlines()[0])
        except (FileNotFoundError, ValueError, IndexError):
            return None
        return pid if _is_postgres(pid) else None

    def _prepare(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        if self._account.is_other and self.directory.stat().st_uid not in {os.geteuid(), self._account.uid}:
            raise Trouble(
                "PostgreSQL не может работать в этой папке.",
                f"{self.directory} принадлежит другому пользователю.",
                "Запустите от него или укажите другую папку в GETPRO_DATA_DIR.",
            )
        self._account.own(self.directory)
        if self._account.is_other and not _reachable(self.directory, self._account):
            raise Trouble(
                "PostgreSQL не может работать в этой папке.",
                f"Он работает не от root, а {self.directory} ему недоступна.",
                f"Укажите папку внутри {SHARED_ROOT} или запустите не от root.",
            )

    def _init(self) -> None:
        password = self.directory / "password"
        password.unlink(missing_ok=True)
        with self._private(password, os.O_EXCL) as file:
            file.write(secrets.token_urlsafe(24))
        for half_made in self.directory.glob("data.*"):
            shutil.rmtree(half_made)
        # Named so until it is whole: a folder from an initdb that was killed is no cluster.
        fresh = self.directory / f"data.{os.getpid()}"
        self.run(
            "initdb", "-D", str(fresh), "-U", SUPERUSER, "--auth=scram-sha-256", f"--pwfile={password}",
            "--data-checksums", "--no-instructions", *_LOCALE,
        )  # fmt: skip
        fresh.rename(self.data)

    def _private(self, path: Path, flags: int) -> IO[str]:
        """Open ``path`` to be written, made where it is missing; for the server's user alone."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o600)
        os.fchmod(descriptor, 0o600)  # an older program left it open to all
        self._account.own(path)
        return os.fdopen(descriptor, "w", encoding="ascii")

    def _launch(
        self, settings: Mapping[str, str] = MappingProxyType({}), *, seconds: int = START_SECONDS
    ) -> None:
        port = self._wanted_port or self._free_port()
        arguments = [self.tools.path("postgres"), "-D", str(self.data), "-p", str(port)]
        for name, value in (self._settings | dict(settings)).items():
            arguments += ["-c", f"{name}={value}"]
        with self._private(self.directory / "port", os.O_TRUNC) as file:
            file.write(str(port))
        log_path = self.log_path
        deadline = time.monotonic() + seconds
        self._server = self._spawn(arguments, log_path)
        try:
            self._await_answer(arguments, log_path, deadline=deadline)
        except BaseException:
            if self.server_pid() is None:  # else it is stopped, or adopted, as any other
                self._server.kill()
            raise

    def _await_answer(self, arguments: list[str], log_path: Path, *, deadline: float) -> None:
        assert self._server is not None
        while not self._answers():
            if self._server.poll() is not None and _is_waiting_for_dead_children(log_path):
                time.sleep(0.2)
                self._server = self._spawn(arguments, log_path)
            if self._server.poll() is not None or time.monotonic() > deadline:
                self._server.kill()
                raise Trouble(
                    "PostgreSQL не запустился.",
                    _last_line(log_path),
                    f"Полный журнал: {log_path}.",
                )
            time.sleep(0.02)

    def _spawn(self, arguments: list[str], log_path: Path) -> "subprocess.Popen[bytes]":
        with self._private(log_path, os.O_APPEND) as log_file:
            return subprocess.Popen(  # noqa: S603 -- our own program and settings
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=log_file,
                cwd="/",
                start_new_session=True,
                env=self._environment() | self._servers_own,
                **self._account.as_user(),
            )

    def _answers(self) -> bool:
        """Whether a server of ours accepts connections here."""
        if self.server_pid() is None:
            return False
        try:
            status = (self.data / "postmaster.pid").read_text(encoding="ascii").splitlines()[7].strip()
        except (FileNotFoundError, IndexError):
            return False
        return status == "ready"

    def _make_database(self) -> None:
        names = self._psql("-c", "SELECT datname FROM pg_database").split()
        if DATABASE not in names:
            self._psql("-c", f'CREATE DATABASE "{DATABASE}"')

    def _psql(self, *arguments: str) -> str:
        where = ("-h", "127.0.0.1", "-p", str(self.port), "-U", SUPERUSER, "-d", "postgres")
        return self.run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *where, *arguments)

    def _forget_dead_server(self) -> None:
        """Remove the pid file of a server that is dead: its number may belong to somebody else now."""
        if self.server_pid() is None:
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _free_port(self) -> int:
        """The port of last time if it is free, so that a waiting client finds the server again."""
        for port in (self.port, 0):
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
        raise Trouble("Нет свободного порта.", "Система не дала ни одного.", "Освободите порты.")

    def run(self, program: str, *arguments: str) -> str:
        """One of PostgreSQL's programs as the server's user: what it said; raises Trouble."""
        done = subprocess.run(  # noqa: S603 -- our own program and settings
            [self.tools.path(program), *arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd="/",
            env=self._environment(),
            **self._account.as_user(),
        )
        if done.returncode != 0:
            raise Trouble(
                f"{program} не выполнилась.",
                (done.stderr.strip() or done.stdout.strip() or "без объяснений").splitlines()[-1],
                f"Папка данных: {self.directory}.",
            )
        return str(done.stdout)

    def _environment(self) -> dict[str, str]:
        # The password travels in the environment: an argument would show in the list of processes.
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C.UTF-8",
            "PGPASSWORD": self._password(),
        } | self.tools.environment()


def default_directory() -> Path:
    """Where the product keeps its data when nothing is set."""
    if os.geteuid() == 0:
        return SHARED_ROOT
    if base := os.environ.get("XDG_DATA_HOME"):
        return Path(base) / "2getpro"
    try:
        return Path.home() / ".local" / "share" / "2getpro"
    except RuntimeError:
        raise Trouble(
            "Некуда положить данные.",
            "У пользователя нет домашней папки.",
            "Укажите папку в GETPRO_DATA_DIR.",
        ) from None


def _is_postgres(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    status = Path(f"/proc/{pid}/stat")
    if not status.exists():  # not Linux: the signal has answered
        return True
    name, _, rest = status.read_text().rpartition(")")
    return name.endswith("(postgres") and rest.split()[0] != "Z"


def _children(pid: int) -> list[int]:
    """The server's own processes: each is the leader of a session of its own, so no group holds them."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if stat.read_text().rpartition(")")[2].split()[1] == str(pid):
                found.append(int(stat.parent.name))
    return found


def _is_waiting_for_dead_children(log_path: Path) -> bool:
    """Whether the start failed only because processes of a killed server are still ending."""
    return any("shared memory block" in line for line in _lines(log_path)[-4:])


def _reachable(directory: Path, account: Account) -> bool:
    """Whether the account may enter the folder and write there."""
    probe = subprocess.run(  # noqa: S603 -- constants
        ["/bin/sh", "-c", 'test -x "$1" && test -w "$1"', "probe", str(directory)],
        check=False,
        cwd="/",
        **account.as_user(),
    )
    return probe.returncode == 0


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One start or stop at a time; the lock goes with the process that holds it."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _last_line(path: Path) -> str:
    lines = _lines(path)
    return lines[-1] if lines else "Журнал пуст."


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
