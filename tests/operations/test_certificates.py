"""Certificates of real TLS servers, made by openssl: how long they last, by whom and for whom."""

import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from getpro.bootstrap.operations import _urls
from getpro.checks.check import Finding, Level
from getpro.operations.looks import certificates
from getpro.platform.settings import OperationsSettings, Settings
from tls import made, server

NOW = datetime.now(UTC)


async def judged(url: str, *, trusting: Path | None, now: datetime = NOW) -> Finding:
    context = ssl.create_default_context(cafile=trusting)
    [found] = [one async for one in certificates.look([url], now=now, context=context)]
    return found


@pytest.mark.parametrize(
    ("days", "level"), [(60, Level.OK), (13, Level.ATTENTION), (5, Level.ATTENTION), (2, Level.WRONG)]
)
async def test_a_certificate_is_judged_by_the_days_that_are_left(
    tmp_path: Path, days: int, level: Level
) -> None:
    certificate, key = made(tmp_path, days=days)
    async with server(certificate, key) as url:
        found = await judged(url, trusting=certificate)
    assert found.level is level
    assert f"осталось {days - 1} дн" in found.seen or f"осталось {days} дн" in found.seen


async def test_a_certificate_that_browsers_refuse_is_red(tmp_path: Path) -> None:
    certificate, key = made(tmp_path, days=60)
    async with server(certificate, key) as url:
        assert (await judged(url, trusting=None)).level is Level.WRONG
    other = tmp_path / "other"
    other.mkdir()
    foreign, foreign_key = made(other, days=60, name="elsewhere.example")
    async with server(foreign, foreign_key) as url:
        found = await judged(url, trusting=foreign)
    assert (found.level, "Hostname mismatch" in found.seen) == (Level.WRONG, True)


async def test_a_server_that_keeps_a_link_of_its_chain_to_itself_is_red(tmp_path: Path) -> None:
    """Some browsers find the missing link elsewhere; Telegram and most programs do not."""
    root, root_key = made(tmp_path, days=60, name="root.example")
    middle, middle_key = signed(tmp_path, "middle", by=(root, root_key), extension="basicConstraints=CA:TRUE")
    leaf, leaf_key = signed(
        tmp_path, "leaf", by=(middle, middle_key), extension="subjectAltName=DNS:localhost"
    )
    async with server(leaf, leaf_key) as url:
        alone = await judged(url, trusting=root)
    assert (alone.level, "unable to get local issuer" in alone.seen) == (Level.WRONG, True)
    leaf.write_text(leaf.read_text() + middle.read_text())
    async with server(leaf, leaf_key) as url:
        assert (await judged(url, trusting=root)).level is Level.OK


def signed(folder: Path, name: str, *, by: tuple[Path, Path], extension: str) -> tuple[Path, Path]:
    """A certificate of that authority's, and its key."""
    certificate, key, request = (folder / f"{name}.{suffix}" for suffix in ("pem", "key", "csr"))
    (folder / f"{name}.ext").write_text(extension)
    subprocess.run(
        ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", request, "-subj", f"/CN={name}"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    subprocess.run(
        ["openssl", "x509", "-req", "-in", request, "-CA", by[0], "-CAkey", by[1], "-days", "60",
         "-out", certificate, "-extfile", folder / f"{name}.ext"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return certificate, key


async def test_a_server_that_is_not_there_is_red() -> None:
    assert (await judged("https://127.0.0.1:1", trusting=None)).level is Level.UNKNOWN


async def test_a_shop_without_tls_has_nothing_to_look_at() -> None:
    found = [one async for one in certificates.look(["http://127.0.0.1:8080"], now=NOW)]
    assert [one.level for one in found] == [Level.ATTENTION]


async def test_one_host_is_looked_at_once(tmp_path: Path) -> None:
    certificate, key = made(tmp_path, days=60)
    async with server(certificate, key) as url:
        context = ssl.create_default_context(cafile=certificate)
        looks = certificates.look([url, f"{url}/path"], now=NOW + timedelta(hours=1), context=context)
        assert len([one async for one in looks]) == 1


def test_the_operators_own_names_are_looked_at_beside_the_shops_and_the_panels() -> None:
    settings = Settings.model_validate(
        {
            "telegram": {"bot_token": "42:TEST"},
            "panel": {"url": "https://panel.example", "token": "t"},
            "operations": {"domains": "sub.example, console.example:8443"},
        }
    )
    assert _urls(settings) == (
        "https://panel.example",
        "https://sub.example",
        "https://console.example:8443",
    )
    with pytest.raises(ValidationError, match=r"sub\.example"):
        OperationsSettings.model_validate({"domains": "https://sub.example"})
