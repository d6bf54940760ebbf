"""Containers without a Docker engine: podman answers for it, all in a folder of the test's own.

What cannot be had on such a machine is made: the base image by debootstrap, and the public images from
Debian's packages (``images/Dockerfile``). The product's image is built by the product's own Dockerfile.
"""

import contextlib
import os
import pty
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

ROOT: Final = Path(__file__).parents[1]
IMAGES: Final = Path(__file__).parent / "stack/images"
HERE: Final = Path("/backups")
"""Where the containers find this machine's copies."""
BASE: Final = "localhost/base:test"
SERVICES: Final = ("bot", "worker", "postgres", "prometheus", "alertmanager", "caddy")
"""Of the stack, those whose programs can be had here; Grafana and the exporters only as public images."""
_AUTHORITIES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
_STAYS: Final = ("Dockerfile", ".dockerignore", "docker-compose.yml", "requirements.lock", "deploy", "src")
"""What of the project a server has; the rest is for those who change it."""
_CONTAINERS_CONF: Final = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_config_dir = "{networks}"
"""
_STORAGE_CONF: Final = """\
[storage]
driver = "overlay"
graphroot = "{images}"
runroot = "{run}"
"""


@dataclass(frozen=True, slots=True)
class Said:
    code: int
    text: str


class Engine:
    """Podman with a Docker socket, and the images that the stack wants."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = os.environ | {
            "CONTAINERS_CONF": str(directory / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(directory / "storage.conf"),
            "DOCKER_HOST": f"unix://{directory / 'podman.sock'}",
        }
        (directory / "containers.conf").write_text(
            _CONTAINERS_CONF.format(networks=directory / "networks"), encoding="utf-8"
        )
        (directory / "storage.conf").write_text(
            _STORAGE_CONF.format(images=directory / "images", run=directory / "run"), encoding="utf-8"
        )

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        log = (self.directory / "podman.log").open("wb")
        address = self.environment["DOCKER_HOST"]
        process = subprocess.Popen(
            ["podman", "system", "service", "--time", "0", address],
            env=self.environment,
            stdout=log,
            stderr=log,
        )
        try:
            yield
        finally:
            self.ask("podman", "rm", "--all", "--force", "--volumes", check=False)
            process.terminate()
            process.wait()
            log.close()
            self.ask("podman", "system", "reset", "--force", check=False)

    def ask(self, *command: str, check: bool = True, seconds: float = 900) -> str:
        done = subprocess.run(
            command,
            check=False,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
        )
        assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
        return done.stdout

    def make_images(self, project: Path) -> None:
        self._make_base()
        self._build("2getpro:local", project)
        public = yaml.safe_load((project / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
        for service in ("postgres", "prometheus", "alertmanager", "caddy"):
            name = public[service]["image"]
            full = f"docker.io/{name if '/' in name else f'library/{name}'}"
            self._build(full, IMAGES, "--target", service, "--build-arg", "PRODUCT_IMAGE=2getpro:local")

    def _make_base(self) -> None:
        """Debian with Python, that trusts whom this machine trusts."""
        system = self.directory / "base"
        include = "--include=python3,python3-venv,ca-certificates"
        self.ask("debootstrap", "--variant=minbase", include, "bookworm", str(system))
        shutil.copy(_AUTHORITIES, system / "etc/ssl/certs/ca-certificates.crt")
        (system / "etc/pip.conf").write_text(f"[global]\ncert = {_AUTHORITIES}\n", encoding="utf-8")
        archive = self.directory / "base.tar"
        self.ask("tar", "-C", str(system), "-cf", str(archive), ".")
        self.ask("podman", "import", "--quiet", str(archive), BASE)
        archive.unlink()

    def _build(self, name: str, context: Path, *options: str) -> None:
        arguments = ["--quiet", "--format", "docker", "--build-arg", f"BASE_IMAGE={BASE}", *options]
        self.ask("podman", "build", *arguments, "--tag", name, str(context))


class Stack:
    """The stack in a folder as a server has it; ``backups`` is what the lines know as /backups."""

    def __init__(self, engine: Engine, project: Path, backups: Path) -> None:
        self.engine = engine
        self.project = project
        self.backups = backups

    def say(self, line: str, *, seconds: float = 120) -> Said:
        """Run a line in bash as a script would."""
        done = subprocess.run(
            self._command(line),
            check=False,
            cwd=self.project,
            env=self.engine.environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
        )
        return Said(done.returncode, done.stdout)

    def type(self, line: str, *, seconds: float = 120) -> Said:
        """Run a line in bash at a terminal, as a person does."""
        screen, keyboard = pty.openpty()
        os.set_blocking(screen, False)
        process = subprocess.Popen(
            self._command(f"stty rows 200 cols 200; {line}"),
            cwd=self.project,
            env=self.engine.environment,
            stdin=keyboard,
            stdout=keyboard,
            stderr=keyboard,
            start_new_session=True,
        )
        os.close(keyboard)
        seen, until = b"", time.monotonic() + seconds
        while True:
            ended = process.poll() is not None
            with contextlib.suppress(BlockingIOError, OSError):
                while piece := os.read(screen, 65536):
                    seen += piece
            if ended:
                break
            if time.monotonic() > until:
                process.kill()
                raise AssertionError(f"{line}\ndid not end; so far: {seen.decode(errors='replace')}")
            time.sleep(0.05)
        os.close(screen)
        return Said(process.returncode, seen.decode(errors="replace").replace("\r\n", "\n"))

    def _command(self, line: str) -> list[str]:
        """In a mount namespace of its own, where /backups is the test's folder."""
        bind = f"mount --bind {self.backups} /backups"
        return ["unshare", "--mount", "bash", "-c", f'{bind} && eval "$0"', line]

    def sql(self, statements: str, *, database: str = "2getpro_v2") -> str:
        line = f"docker-compose exec -T postgres psql -qAt -v ON_ERROR_STOP=1 -U postgres -d {database}"
        done = subprocess.run(
            line.split(),
            check=False,
            cwd=self.project,
            env=self.engine.environment,
            text=True,
            input=statements,
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def look_at_health(self) -> dict[str, str]:
        """Have each container's health asked for, as an engine does all the time; what was found."""
        found = {}
        for name in self.engine.ask("podman", "ps", "--format", "{{.Names}}").split():
            answer = self.engine.ask("podman", "healthcheck", "run", name, check=False)
            found[name] = answer.strip() or "healthy"
        return found

    @contextlib.contextmanager
    def up(self, *services: str) -> Iterator[None]:
        """``docker-compose up``, with podman's healthchecks made to run: they wait for systemd otherwise."""
        log = self.project / "up.log"
        with log.open("wb") as said:
            process = subprocess.Popen(
                ["docker-compose", "up", "-d", *services],
                cwd=self.project,
                env=self.engine.environment,
                stdout=said,
                stderr=said,
            )
            while process.poll() is None:
                self.look_at_health()
                time.sleep(1)
        assert process.returncode == 0, log.read_text(encoding="utf-8")
        try:
            yield
        finally:
            self.say("docker-compose down -v")

    def wait_until_ready(self) -> None:
        """The bot has migrated the database and answers."""
        deadline = time.monotonic() + 120
        while self.say("docker-compose exec -T bot answers http://127.0.0.1:8080/health/ready").code != 0:
            assert time.monotonic() < deadline, self.say("docker-compose logs --tail=50 bot").text
            time.sleep(1)


def lay_out(project: Path) -> None:
    """The project as a server has it."""
    for name in _STAYS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, project / name)
