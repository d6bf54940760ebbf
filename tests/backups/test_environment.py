"""The settings beside a copy: closed, tried with it, enough for a rebuild."""

import contextlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from getpro.backups import drills, environment, service
from getpro.backups.deps import Deps
from getpro.backups.environment import opened
from getpro.backups.errors import NotRestored
from getpro.backups.folder import ARCHIVE, SETTINGS, hash_of, remove
from getpro.backups.store import Backup
from getpro.bootstrap.backups import what_is_set
from getpro.platform.cipher import FILE, Cipher, make_key, new_key
from getpro.platform.env_file import EnvFile
from getpro.platform.settings import CopySettings
from shop import Shop

NEEDED = "TELEGRAM_BOT_TOKEN=42:SECRET\nPANEL_URL=http://panel.example\nPANEL_TOKEN=t\n"


def steps(copy: Backup) -> list[str]:
    return [step for step, _ in (copy.verification or {})["steps"]]


async def test_settings_are_kept_closed_and_tried_with_their_copy(deps: Deps) -> None:
    deps = replace(deps, environment=NEEDED)
    assert "SECRET" not in repr(deps)
    made = await service.create(deps, asked_by="olga")
    path = deps.folder / f"{made.name}{SETTINGS}"
    closed = path.read_bytes()
    assert (path.stat().st_mode & 0o777, b"SECRET" in closed) == (0o600, False)
    assert made.manifest is not None
    assert made.manifest.settings is not None
    assert (made.manifest.settings.bytes, made.manifest.settings.sha256) == (len(closed), hash_of(path))
    assert opened(deps.folder, made.name, deps.keys.identity) == NEEDED
    tried = await service.verify(deps)
    assert (tried.is_good, "Настройки" in steps(tried)) == (True, True), tried.verification
    path.write_bytes(closed[:-1])
    tried = await service.verify(deps)
    assert (tried.is_good, f"{path.name}: не те байты" in (tried.verification or {})["trouble"]) == (
        False,
        True,
    )
    remove(deps.folder, made.name)
    assert not list(deps.folder.glob(f"{made.name}*"))


async def test_settings_that_no_shop_could_start_with_do_not_pass_and_are_not_told(deps: Deps) -> None:
    text = NEEDED.replace("42:SECRET", "SECRET")
    made = await service.create(replace(deps, environment=text), asked_by="olga")
    tried = await service.verify(deps)
    trouble = (tried.verification or {})["trouble"]
    assert (tried.is_good, "TELEGRAM_BOT_TOKEN" in trouble, "SECRET" in trouble) == (False, True, False)
    assert (deps.folder / f"{made.name}{ARCHIVE}").exists()


async def test_a_copy_whose_settings_cannot_open_the_secrets_in_it_does_not_pass(
    deps: Deps, shop: Shop, tmp_path: Path
) -> None:
    key, other = new_key(), new_key()
    shop.cipher = Cipher([key])
    await shop.purchase(await shop.customer("alice"))
    for text, is_good in [
        (f"{NEEDED}DATABASE_KEYS={other},{key}\n", True),
        (NEEDED, False),
        (f"{NEEDED}DATABASE_KEYS={other}\n", False),
    ]:
        shop.clock.now += timedelta(minutes=1)
        made = await service.create(replace(deps, environment=text, clock=shop.clock), asked_by="olga")
        assert made.manifest is not None
        settings = environment.read(deps.folder, made.manifest, deps.keys.identity, tmp_path / "plain")
        refused = pytest.raises(NotRestored, match="1 из 1")
        with contextlib.nullcontext() if is_good else refused:
            environment.require_secrets(deps.database_url, settings)
    tried = await service.verify(deps)
    assert "1 из 1" in str((tried.verification or {}).get("trouble"))
    held = await drills.rehearse(deps, asked_by="olga")
    assert "1 из 1" in str(held.trouble)


VALUES = {
    "TELEGRAM_BOT_TOKEN": "42:SECRET",
    "PANEL_TOKEN": 'it\'s "quoted" and # not a comment',
    "YOOKASSA_SECRET_KEY": "back\\slash $HOME",
    "SHOP_NAME": "Два\nслова",
}


def test_what_is_set_comes_back_word_for_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("GRAFANA_PASSWORD=of_the_stack\nPANEL_TOKEN=an_older_one\nSHOP_SUPPORT=\n")
    for name, value in VALUES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME_OF_SOMEBODY_ELSE", "x")
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "2getpro")
    monkeypatch.setenv("CRYPTOPAY_TOKEN", "1:${x}")
    monkeypatch.setenv("GETPRO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("DATABASE_KEYS")
    make_key(CopySettings())
    (tmp_path / ".env.back").write_text(what_is_set(CopySettings()))
    back = EnvFile.read(tmp_path / ".env.back")
    assert {name: back.values.get(name) for name in VALUES} == VALUES
    assert back.values["GRAFANA_PASSWORD"] == "of_the_stack"
    assert back.values["COMPOSE_PROJECT_NAME"] == "2getpro"
    assert back.values["DATABASE_KEYS"] == (tmp_path / "data" / FILE).read_text().strip()
    assert "HOME_OF_SOMEBODY_ELSE" not in back.text
    assert "SHOP_SUPPORT" not in back.values
    assert (
        "CRYPTOPAY_TOKEN" in back.values,
        '# Задайте в окружении, здесь не прочтётся: CRYPTOPAY_TOKEN="1:${x}"' in back.text,
    ) == (False, True)
