"""The real pip and pip-audit, against a package index and an advisory service of the test's own."""

import asyncio
import contextlib
import hashlib
import inspect
import json
import re
import shutil
import ssl
import sys
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pip_audit._service import pypi as pip_audit_index

import getpro
from getpro.checks.check import Finding, Level
from getpro.operations.dependencies import Outdated, Packages, Risk
from getpro.operations.looks.dependencies import look_at_outdated, look_at_vulnerabilities
from getpro.operations.upgrade import MADE, STARTS, TESTED, Product, _started, _tested, look, try_upgrade
from getpro.platform.programs import run_program
from getpro.sandbox.serving import serving

AWAY = "http://127.0.0.1:9"


async def seen(look: AsyncIterator[Finding]) -> list[Finding]:
    return [finding async for finding in look]


def wheel(folder: Path, name: str, version: str, code: str = "", at_start: str = "") -> Path:
    """``at_start``: what every Python runs that starts where it is installed."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    about = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}.py", code)
        file.writestr(f"{name}.pth", at_start)
        file.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{about}/RECORD", "")
    return path


@dataclass
class Outside:
    """A package index and an advisory service, on loopback, and what they answer."""

    folder: Path
    url: str = ""
    sick: set[str] = field(default_factory=set)
    """Packages, and ``osv``, that are answered with 500."""
    advisories: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """Of which package and version, and in which versions it is fixed."""

    def publish(self, name: str, version: str, code: str = "", at_start: str = "") -> Path:
        return wheel(self.folder, name, version, code, at_start)

    async def listing(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name in self.sick:
            return web.Response(status=500)
        files = sorted(path.name for path in self.folder.glob(f"{name}-*") if path.is_file())
        links = "".join(f'<a href="/files/{file}">{file}</a>' for file in files)
        page = f"<!DOCTYPE html><html><body>{links}</body></html>"
        return web.Response(text=page, content_type="text/html")

    async def file(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(self.folder / request.match_info["file"])

    async def advice(self, request: web.Request) -> web.Response:
        if "osv" in self.sick:
            return web.Response(status=500)
        asked = await request.json()
        name, version = asked["package"]["name"], asked["version"]
        fixed = self.advisories.get((name, version))
        return web.json_response({} if fixed is None else {"vulns": [advisory(name, fixed)]})


def advisory(name: str, fixed: list[str]) -> dict[str, Any]:
    events = [{"introduced": "0"}, *({"fixed": version} for version in fixed)]
    return {
        "id": f"PYSEC-2026-{name}",
        "published": "2026-01-02T03:04:05Z",
        "modified": "2026-01-02T03:04:05Z",
        "details": "…",
        "affected": [
            {
                "package": {"name": name, "ecosystem": "PyPI"},
                "ranges": [{"type": "ECOSYSTEM", "events": events}],
            }
        ],
    }


@pytest.fixture
async def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Outside]:
    folder = tmp_path / "index"
    folder.mkdir()
    here = Outside(folder)
    app = web.Application()
    app.router.add_get("/simple/{name}/", here.listing)
    app.router.add_get("/files/{file}", here.file)
    app.router.add_post("/v1/query", here.advice)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, AWAY)  # whoever would go further than this machine is stopped here
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    async with serving(app) as url:
        here.url = url
        monkeypatch.setenv("PIP_INDEX_URL", f"{url}/simple")
        yield here


@pytest.fixture
def packages(outside: Outside, tmp_path: Path) -> Packages:
    """Three are installed, at 1.0.0; the index knows no other."""
    folder = tmp_path / "installed"
    for name in ("bulky", "middling", "shaky"):
        with zipfile.ZipFile(outside.publish(name, "1.0.0")) as file:
            file.extractall(folder)
    return Packages(folder, f"{outside.url}/v1/query")


@pytest.mark.parametrize(
    ("version", "latest", "risk"),
    [
        ("1.2.3", "1.2.4", Risk.PATCH),
        ("1.2.3", "1.3", Risk.MINOR),
        ("1.2.3", "2.0", Risk.MAJOR),
        ("0.4.1", "0.5.0", Risk.MAJOR),
        ("0.4.1", "0.4.2", Risk.PATCH),
        ("2025.1", "2026.1.1", Risk.MAJOR),
        ("3", "3.0.1", Risk.PATCH),
        ("1!1.0", "1!1.1", Risk.MINOR),
    ],
)
def test_an_upgrade_is_as_risky_as_the_number_that_it_changes(version: str, latest: str, risk: Risk) -> None:
    assert Outdated("x", version, latest).risk is risk


async def test_newer_packages_are_told_security_first_then_by_risk(
    outside: Outside, packages: Packages
) -> None:
    assert [one.level for one in await seen(look_at_outdated(packages))] == [Level.OK]
    for name, version in (("bulky", "2.0.0"), ("middling", "1.1.0"), ("shaky", "1.0.1")):
        outside.publish(name, version)
    outside.advisories["shaky", "1.0.0"] = ["1.0.1"]
    assert [(one.level, one.seen) for one in await seen(look_at_outdated(packages))] == [
        (Level.WRONG, "закрывает уязвимость: shaky 1.0.0 → 1.0.1"),
        (Level.ATTENTION, "крупные, могут сломать (major), 1: bulky 1.0.0 → 2.0.0"),
        (Level.ATTENTION, "средние (minor), 1: middling 1.0.0 → 1.1.0"),
    ]


async def test_an_index_that_does_not_answer_for_each_package_is_red(
    outside: Outside, packages: Packages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pip itself says ``[]`` then, and ends with 0."""
    outside.sick = {"middling"}
    [partly] = await seen(look_at_outdated(packages))
    assert (partly.level, partly.seen) == (Level.UNKNOWN, "каталог пакетов не ответил: middling")
    monkeypatch.setenv("PIP_INDEX_URL", f"{AWAY}/simple")
    [nothing] = await seen(look_at_outdated(packages))
    assert (nothing.level, "bulky, middling, shaky" in nothing.seen) == (Level.UNKNOWN, True)


async def test_a_vulnerable_package_is_red_and_one_that_nobody_has_fixed_yellow(
    outside: Outside, packages: Packages
) -> None:
    [fine] = await seen(look_at_vulnerabilities(packages))
    assert (fine.level, fine.seen) == (Level.OK, "известных нет, пакетов 3")
    outside.advisories = {("shaky", "1.0.0"): ["1.0.1"], ("bulky", "1.0.0"): []}
    found = {one.seen: one.level for one in await seen(look_at_vulnerabilities(packages))}
    assert found == {
        "bulky 1.0.0: PYSEC-2026-bulky, исправления ещё нет": Level.ATTENTION,
        "shaky 1.0.0: PYSEC-2026-shaky, исправлено в 1.0.1": Level.WRONG,
    }


async def test_an_advisory_service_that_fails_or_is_away_is_red(outside: Outside, packages: Packages) -> None:
    outside.sick = {"osv"}
    assert [one.level for one in await seen(look_at_vulnerabilities(packages))] == [Level.UNKNOWN]
    away = Packages(packages.folder, f"{AWAY}/v1/query")
    assert [one.level for one in await seen(look_at_vulnerabilities(away))] == [Level.UNKNOWN]


@pytest.fixture
async def an_index_that_knows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """A mirror in the place of the one that pip-audit asks, as behind a proxy: 404 for whatever it is."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    asked = re.search(r"https://([\w.]+)/\w+/\{", inspect.getsource(pip_audit_index))
    assert asked is not None
    made = await run_program(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-keyout", key, "-out", certificate, "-days", "2", "-subj", f"/CN={asked[1]}",
        "-addext", f"subjectAltName=DNS:{asked[1]}",
    )  # fmt: skip
    assert made.code == 0, made.complained
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await writer.start_tls(context)
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    here = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with here:
        proxy = f"http://127.0.0.1:{here.sockets[0].getsockname()[1]}"
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, proxy)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        yield


async def test_packages_that_pip_audit_skips_are_red(
    packages: Packages, an_index_that_knows_nothing: None
) -> None:
    """Pip-audit itself says "No known vulnerabilities found" then, and ends with 0."""
    [found] = await seen(look_at_vulnerabilities(Packages(packages.folder)))
    assert (found.level, found.seen) == (
        Level.UNKNOWN,
        "не проверено пакетов: 3 (bulky, middling, shaky)",
    )


async def test_where_nothing_is_installed_nothing_is_well(outside: Outside, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    nothing = Packages(tmp_path / "empty", f"{outside.url}/v1/query")
    assert [one.level for one in await seen(look_at_vulnerabilities(nothing))] == [Level.UNKNOWN]
    assert [one.level for one in await seen(look_at_outdated(nothing))] == [Level.UNKNOWN]


GREETS = "def greet():\n    return 'hello'\n"


@pytest.fixture
def product(tmp_path: Path, outside: Outside) -> Product:
    """A small product in a clone, with a lock and tests: it needs shaky, and calls what 1.0.0 has."""
    clone = tmp_path / "clone"
    code = clone / "src/getpro"
    for module in ("__init__", "running", "cli/__init__", "cli/ops"):
        path = code / f"{module}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (code / "sandbox/shop").mkdir(parents=True)
    (code / "sandbox/shop/command.py").write_text("")
    (code / "running.py").write_text("import shaky\nshaky.greet()\n")
    diagnosis = json.dumps({"findings": [{"title": "База", "seen": "не отвечает"}]})
    (code / "__main__.py").write_text(f"print({diagnosis!r})")
    digest = hashlib.sha256(outside.publish("shaky", "1.0.0", GREETS).read_bytes()).hexdigest()
    (clone / "requirements-dev.lock").write_text(f"shaky==1.0.0 --hash=sha256:{digest}\n")
    (clone / "tools").mkdir()
    (clone / "tools/test.py").write_text("import shaky\nassert shaky.greet() == 'hello'\n")
    return Product(code, ["shaky>=1"], clone)


@pytest.mark.long
async def test_an_upgrade_that_holds_is_told_with_what_it_changes(outside: Outside, product: Product) -> None:
    outside.publish("shaky", "1.1.0", GREETS)
    found = {one.name: one for one in await seen(try_upgrade(product))}
    assert [one.level for one in found.values()] == [Level.OK, Level.OK, Level.OK], found
    assert set(found) == {MADE.name, STARTS.name, TESTED.name}


@pytest.mark.long
async def test_an_upgrade_that_breaks_the_program_is_red_and_missing_tests_are_told(
    outside: Outside, product: Product
) -> None:
    outside.publish("shaky", "2.0.0", "")
    installed = Product(product.code, product.requirements, None)
    made, starts, tested = await seen(try_upgrade(installed))
    assert made.level is Level.OK
    assert (starts.level, "has no attribute 'greet'" in starts.seen) == (Level.WRONG, True)
    assert (tested.level, "только в копии репозитория" in tested.seen) == (Level.ATTENTION, True)


SECRET = "of-the-shop"


@pytest.mark.long
async def test_a_poisoned_release_finds_nothing_of_the_shop(
    outside: Outside, product: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks around whenever it is run: as any Python starts there, and as it is imported."""
    home, loot = tmp_path / "shop", tmp_path / "loot"
    home.mkdir()
    (home / ".env").write_text(f"TELEGRAM_BOT_TOKEN={SECRET}\n")
    monkeypatch.chdir(home)
    for name in ("TELEGRAM_BOT_TOKEN", "YOOKASSA_SECRET_KEY", "POSTGRES_PASSWORD", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"{outside.url.replace('//', f'//me:{SECRET}@')}/simple")
    looks = (
        f"import os; open({str(loot)!r}, 'a').write(repr([dict(os.environ), os.path.expanduser('~'),"
        " [open(one).read() for one in ('.env',) if os.path.exists(one)]]) + chr(10))"
    )
    outside.publish("shaky", "1.1.0", f"{looks}\n{GREETS}", at_start=f"{looks}\n")
    found = await seen(try_upgrade(product))
    assert [one.level for one in found] == [Level.OK, Level.OK, Level.OK], found
    seized = loot.read_text(encoding="utf-8")
    assert len(seized.splitlines()) >= 4
    assert SECRET not in seized
    assert str(home) not in seized


async def test_a_release_without_a_wheel_is_not_built(
    outside: Outside, product: Product, tmp_path: Path
) -> None:
    """Its setup.py would run as it is installed."""
    source = tmp_path / "source/shaky-1.1.0"
    source.mkdir(parents=True)
    (source / "setup.py").write_text("raise SystemExit('built')\n")
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: shaky\nVersion: 1.1.0\n")
    shutil.make_archive(str(outside.folder / "shaky-1.1.0"), "gztar", source.parent, source.name)
    only = Product(product.code, ["shaky>1"], None)
    [found] = await seen(try_upgrade(only))
    assert (found.level, "shaky>1" in found.seen, "built" in found.seen) == (Level.UNKNOWN, True, False)


@pytest.mark.long
async def test_the_doctor_examines_a_shop_that_there_is_not(tmp_path: Path) -> None:
    """The true one: it goes through its checks, and none of them breaks."""
    (tmp_path / "src").symlink_to(Path(getpro.__file__).parents[1])
    found = await _started(Path(sys.executable), tmp_path / "src")
    assert found.level is Level.OK, found.seen


async def test_an_upgrade_is_not_tried_inside_a_container(tmp_path: Path) -> None:
    [found] = await seen(look(marks=[tmp_path]))
    assert (found.level, "вне Docker" in found.remedy) == (Level.UNKNOWN, True)


async def test_tests_that_fail_on_the_upgrade_are_named(product: Product) -> None:
    assert product.clone is not None
    failing = "print('FAILED tests/test_x.py::test_y')\nprint('FAIL pytest')\nraise SystemExit(1)\n"
    (product.clone / "tools/test.py").write_text(failing)
    found = await _tested(Path(sys.executable), product)
    assert (found.level, found.seen) == (Level.WRONG, "не прошли: tests/test_x.py::test_y")


async def test_an_upgrade_that_cannot_be_fetched_is_red(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"{AWAY}/simple")
    [found] = await seen(try_upgrade(product))
    assert found.level is Level.UNKNOWN
