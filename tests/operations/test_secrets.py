"""Secrets by their age, never shown; new ones, made so that whoever runs meanwhile can go on."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pyrage
import pytest
from pydantic import SecretStr
from pyrage import x25519
from sqlalchemy import select, text, update

from getpro.backups import keys as backup_keys
from getpro.checks.check import Finding, Level
from getpro.cli.secrets import _FILES, _NEXT
from getpro.kit.trouble import Trouble
from getpro.operations import rotation
from getpro.operations.looks import secrets as looks
from getpro.operations.rotation import BackupKey
from getpro.operations.secrets import CATALOGUE, Inventory, Secret, fingerprint, inventory, remember
from getpro.panel.models import panel_accounts
from getpro.platform import cipher
from getpro.platform.cipher import Cipher, new_key
from getpro.platform.database import Database
from getpro.platform.settings import (
    BackupSettings,
    DatabaseSettings,
    Group,
    OperationsSettings,
    PanelSettings,
    Settings,
    TelegramSettings,
)
from getpro.sandbox.shop.product import SandboxSettings
from shop import KEY, NOW, Shop

MOSCOW = ZoneInfo("Europe/Moscow")
DAY = timedelta(days=1)
SOURCE = Path(__file__).parents[2] / "src/getpro"
BOT, PANEL = "TELEGRAM_BOT_TOKEN", "PANEL_TOKEN"


def of(*secrets_: tuple[str, str | None], keys: tuple[str, ...] = ("k1",)) -> Inventory:
    return Inventory([Secret(name, ".env", value) for name, value in secrets_], keys)


async def since(db: Database, found: Inventory, *, at: int = 0) -> list[int]:
    """Since how many days before each is known."""
    now = NOW + at * DAY
    async with db.begin("test") as session:
        return [(now - one.since).days for one in await remember(session, found, now=now)]


async def aged(db: Database, found: Inventory, *, at: int) -> list[Finding]:
    own: Callable[[], Inventory] = lambda: found  # noqa: E731
    return [one async for one in looks.look_at_ages(db, own, now=NOW + at * DAY, zone=MOSCOW)]


def test_every_secret_among_the_settings_is_in_the_catalogue() -> None:
    named = set()
    for name, field in Settings.model_fields.items():
        kinds = (field.annotation, *get_args(field.annotation))
        groups = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Group)]
        inside = {f"{name}_{inner}": own for group in groups for inner, own in group.model_fields.items()}
        for each, own in ({name: field} if not groups else inside).items():
            if "SecretStr" in repr(own.annotation):
                named.add(each.upper())
    assert named
    assert named <= set(CATALOGUE), named - set(CATALOGUE)


def test_the_page_says_of_each_how_it_is_changed() -> None:
    page = (SOURCE.parents[1] / "docs/operations/audit.md").read_text(encoding="utf-8")
    headings = re.findall(r"(?m)^### (.+)$", page)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert {kind.how for kind in CATALOGUE.values()} == anchors


def made(tmp_path: Path, **more: Any) -> SandboxSettings:
    given: dict[str, Any] = {
        "telegram": TelegramSettings(bot_token=SecretStr("42:TEST")),
        "panel": PanelSettings(url="http://127.0.0.1:9", token=SecretStr("panel-token")),
        "data_dir": tmp_path,
        "database_url": SecretStr("postgresql://getpro:p%40ss@db:5432/x"),
        "database_keys": SecretStr(KEY),
    }
    return SandboxSettings(**(given | more))


def test_what_is_set_is_found_with_where_it_lies_and_what_is_not_is_not(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GRAFANA_PASSWORD=admin\nPOSTGRES_PASSWORD=\n")
    (tmp_path / "backup.key").write_text("# public key: age1x\nAGE-SECRET-KEY-1XYZ\n")
    settings = made(tmp_path, operations=OperationsSettings(alerts_token=SecretStr("token")))
    found = {one.name: one for one in inventory(settings, tmp_path / ".env").secrets}
    assert list(found) == [
        BOT,
        PANEL,
        "OPERATIONS_ALERTS_TOKEN",
        "DATABASE_URL",
        "DATABASE_KEYS",
        "backup.key",
        "GRAFANA_PASSWORD",
    ]
    assert found["DATABASE_URL"].value == "p@ss"
    assert (found["backup.key"].value, found["backup.key"].where) == (
        "AGE-SECRET-KEY-1XYZ",
        str(tmp_path / "backup.key"),
    )
    assert "TEST" not in repr(found)


def test_a_shop_of_its_own_has_its_keys_in_files(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres/password").write_text("secret\n")
    settings = made(tmp_path, database_url=None, database_keys=None, backup=BackupSettings(enabled=False))
    (tmp_path / "backup.key").write_text("AGE-SECRET-KEY-1XYZ\n")
    with pytest.raises(Trouble, match="Ключа базы нет"):
        inventory(settings, tmp_path / "none")
    cipher.make_key(settings)
    names = [one.name for one in inventory(settings, tmp_path / "none").secrets]
    assert names == [BOT, PANEL, "database.key", "postgres/password"]  # copies are somebody else's


async def test_a_secret_is_as_old_as_it_is_known_and_a_new_one_is_young(db: Database) -> None:
    old = of((BOT, "one"), (PANEL, "two"))
    assert await since(db, old) == [0, 0]
    assert await since(db, old, at=40) == [40, 40]
    assert await since(db, of((BOT, "three"), (PANEL, "two")), at=50) == [0, 50]
    assert await since(db, old, at=60) == [60, 60]  # the one before came back: it is no new one


async def test_its_age_outlives_a_change_of_the_key_that_it_is_remembered_by(db: Database) -> None:
    await since(db, of((BOT, "one")))
    assert await since(db, of((BOT, "one"), keys=("k2", "k1")), at=30) == [30]
    assert await since(db, of((BOT, "one"), keys=("k3", "k2")), at=60) == [60]
    assert await since(db, of((BOT, "one"), keys=("k4",)), at=90) == [0]  # all keys lost: as if seen first


async def test_the_database_has_no_secret_and_nothing_to_guess_it_by(db: Database) -> None:
    await since(db, of((BOT, "42:TEST")))
    async with db.read("test") as session:
        [row] = (await session.execute(text("SELECT name, fingerprint FROM known_secrets"))).all()
    assert row == (BOT, fingerprint("k1", BOT, "42:TEST"))
    assert row.fingerprint != fingerprint("k2", BOT, "42:TEST")


async def test_a_secret_that_has_served_its_time_is_red_and_yellow_a_month_before(db: Database) -> None:
    found = of((BOT, "one"))
    assert [one.level for one in await aged(db, found, at=0)] == [Level.OK]
    assert [one.level for one in await aged(db, found, at=335)] == [Level.OK]
    [soon] = await aged(db, found, at=336)
    assert (soon.name, soon.level) == ("secrets.age.TELEGRAM_BOT_TOKEN", Level.ATTENTION)
    assert [one.level for one in await aged(db, found, at=365)] == [Level.ATTENTION]
    [late] = await aged(db, found, at=366)
    [later] = await aged(db, found, at=399)
    assert (late.level, late.seen) == (Level.WRONG, "известен с 01.03.2026, служить мог до 01.03.2027")
    assert late == later  # as it was accepted, so it stays
    assert late.remedy == "Смените: docs/operations/audit.md#токен-бота"
    [own] = await aged(db, of(("TELEGRAM_WEBHOOK_SECRET", "x")), at=0)
    assert own.level is Level.OK
    [own] = await aged(db, of(("TELEGRAM_WEBHOOK_SECRET", "x")), at=400)
    assert own.remedy == "Смените: 2getpro secrets rotate TELEGRAM_WEBHOOK_SECRET"


async def test_what_cannot_be_read_is_red(db: Database) -> None:
    [found] = await aged(db, of(("backup.key", None)), at=0)
    assert found.level is Level.UNKNOWN

    def away() -> Inventory:
        raise Trouble("Ключ базы испорчен.", "это не ключ.", "Верните файл.")

    for own in (None, away):
        [found] = [one async for one in looks.look_at_ages(db, own, now=NOW, zone=MOSCOW)]
        assert found.level is Level.UNKNOWN
        [found] = [one async for one in looks.look_at_strength(own)]
        assert found.level is Level.UNKNOWN


@pytest.mark.parametrize(
    ("found", "names"),
    [
        (of(("GRAFANA_PASSWORD", "x7!kQ2#pL9@vN4$w"), (BOT, "42:A")), ["secrets.strength"]),
        (of(("GRAFANA_PASSWORD", "admin")), ["secrets.weak.GRAFANA_PASSWORD"]),
        (of(("GRAFANA_PASSWORD", "a" * 40)), ["secrets.weak.GRAFANA_PASSWORD"]),
        (
            of(("GRAFANA_PASSWORD", "x7!kQ2#pL9@vN4$w"), ("POSTGRES_PASSWORD", "x7!kQ2#pL9@vN4$w")),
            ["secrets.shared.POSTGRES_PASSWORD"],
        ),
        (
            of(("DATABASE_URL", "x7!kQ2#pL9@vN4$w"), ("GETPRO_DB_PASSWORD", "x7!kQ2#pL9@vN4$w")),
            ["secrets.strength"],
        ),
    ],
)
async def test_what_is_easily_guessed_or_opens_two_doors_is_red(found: Inventory, names: list[str]) -> None:
    assert [one.name async for one in looks.look_at_strength(lambda: found)] == names


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "database.key"
    file.write_text(f"{KEY}\n")
    file.chmod(0o600)
    return file


def keys_in(file: Path) -> list[str]:
    return file.read_text().split()


def mode_of(file: Path) -> int:
    return file.stat().st_mode & 0o777


async def link(shop: Shop) -> bytes:
    async with shop.db.read("test") as session:
        found = await session.scalar(select(panel_accounts.c.encrypted_url))
    assert found is not None
    return bytes(found)


async def test_the_databases_key_is_changed_while_others_run(shop: Shop, key_file: Path) -> None:
    settings = DatabaseSettings(_env_file=None, data_dir=key_file.parent)  # type: ignore[call-arg]
    settings = settings.model_copy(update={"database_keys": None})
    running = cipher.cipher(settings)
    await shop.purchase(await shop.customer("alice"))
    before = running.decrypt(await link(shop))
    assert before is not None
    done = await rotation.change_database_key(shop.db, key_file, [KEY])
    assert (done.rows, done.unopened) == (1, 0)
    new, old = keys_in(key_file)
    assert (old, mode_of(key_file)) == (KEY, 0o600)
    sealed = await link(shop)
    assert Cipher([new]).decrypt(sealed) == before
    assert Cipher([KEY]).decrypt(sealed) is None
    assert running.decrypt(sealed) == before  # it reads the file anew
    closed_meanwhile = running.encrypt("x")
    assert cipher.cipher(settings).decrypt(closed_meanwhile) == "x"
    async with shop.db.begin("test") as session:
        await session.execute(update(panel_accounts).values(encrypted_url=closed_meanwhile))
    again = await rotation.change_database_key(shop.db, key_file, [new, old])
    assert (again.rows, again.unopened) == (1, 0)
    assert keys_in(key_file)[1:] == [new]  # the one before last is gone


async def test_killed_in_the_middle_everything_still_opens(
    shop: Shop, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.purchase(await shop.customer("alice"))

    async def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rotation, "_close_anew", killed)
    with pytest.raises(KeyboardInterrupt):
        await rotation.change_database_key(shop.db, key_file, [KEY])
    monkeypatch.undo()
    keys = keys_in(key_file)
    assert keys[1:] == [KEY]
    assert Cipher(keys).decrypt(await link(shop)) is not None
    assert (await rotation.change_database_key(shop.db, key_file, keys)).rows == 1


async def test_a_key_that_may_still_open_something_is_not_thrown_away(shop: Shop, key_file: Path) -> None:
    await shop.purchase(await shop.customer("alice"))
    async with shop.db.begin("test") as session:
        strange = Cipher([new_key()]).encrypt("x")
        await session.execute(update(panel_accounts).values(encrypted_url=strange))
    third = new_key()
    done = await rotation.change_database_key(shop.db, key_file, [KEY, third])
    assert (done.rows, done.unopened) == (0, 1)
    assert keys_in(key_file)[1:] == [KEY, third]


def test_all_that_is_closed_with_the_databases_key_is_closed_anew() -> None:
    callers = {
        str(file.relative_to(SOURCE))
        for file in SOURCE.rglob("*.py")
        if "cipher.encrypt(" in file.read_text(encoding="utf-8")
    }
    assert callers == {"incidents/team.py", "panel/accounts.py"}
    assert {column.table.name for _, column in rotation.ENCRYPTED} == {"contact_ways", "panel_accounts"}


def closed(copies: Path, name: str, *those: x25519.Identity) -> None:
    (copies / name).write_bytes(pyrage.encrypt(b"x" * 200_000, [one.to_public() for one in those]))
    stem = name.partition(".")[0]
    (copies / f"{stem}.json").write_text("{}")


def test_the_key_of_copies_is_changed_once_the_newest_open_with_the_next(tmp_path: Path) -> None:
    data, copies = tmp_path / "data", tmp_path / "copies"
    data.mkdir()
    copies.mkdir()
    first = backup_keys.keys(data, copies).identity

    def go_on() -> BackupKey:
        return rotation.change_backup_key(data, copies, now=NOW, zone=MOSCOW)

    closed(copies, "2getpro-20260201-030000.dump.zst.age", first)
    closed(copies, "2getpro-20260201-040000-full.base.zst.age", first)
    assert [go_on(), go_on()] == [BackupKey.BEGUN, BackupKey.WAITING]
    now = backup_keys.keys(data, copies, [str(x25519.Identity.generate().to_public())])
    assert (str(now.identity), len(now.recipients)) == (str(first), 3)
    coming = backup_keys.read_identity(data / "backup.key.next")
    assert str(coming.to_public()) == str(now.recipients[1])
    closed(copies, "2getpro-20260301-030000.dump.zst.age", first, coming)
    (copies / ".making-x").touch()
    assert go_on() is BackupKey.WAITING  # the log still leads on from a base of before
    closed(copies, "2getpro-20260301-040000-full.base.zst.age", first, coming)
    assert go_on() is BackupKey.CHANGED
    after = backup_keys.keys(data, copies)
    assert (str(after.identity), len(after.recipients)) == (str(coming), 1)
    old = data / "backup.key.2026-03-01"
    assert (str(backup_keys.read_identity(old)), mode_of(old)) == (str(first), 0o600)
    assert not (data / "backup.key.next").exists()


def test_a_change_of_the_copies_key_that_was_killed_is_ended_by_the_next(tmp_path: Path) -> None:
    first = backup_keys.keys(tmp_path, tmp_path).identity
    backup_keys.begin_change(tmp_path)
    old = tmp_path / "backup.key.2026-03-01"
    old.write_text((tmp_path / "backup.key").read_text())  # killed right after that
    backup_keys.end_change(tmp_path, kept_as=old.name)
    assert str(backup_keys.read_identity(old)) == str(first)
    assert str(backup_keys.keys(tmp_path, tmp_path).identity) != str(first)
    backup_keys.begin_change(tmp_path)
    with pytest.raises(Trouble):  # twice a day: the older one is not written over
        backup_keys.end_change(tmp_path, kept_as=old.name)


def test_a_setting_gets_a_new_value_in_the_file_and_the_old_file_stays(tmp_path: Path) -> None:
    file, name = tmp_path / ".env", "TELEGRAM_WEBHOOK_SECRET"
    file.write_text(f"# мой магазин\n{name}=before\nSHOP_NAME=x\n")
    rotation.change_setting(file, name, {})
    comment, line, last = file.read_text().splitlines()
    value = line.removeprefix(f"{name}=")
    assert (comment, last, len(value)) == ("# мой магазин", "SHOP_NAME=x", 43)
    taken = TelegramSettings(bot_token=SecretStr("42:T"), webhook_secret=SecretStr(value))
    assert taken.webhook_secret == SecretStr(value)
    assert f"{name}=before" in (tmp_path / ".env.bak").read_text()
    with pytest.raises(Trouble, match="задаёт окружение"):
        rotation.change_setting(file, name, {name: "x"})
    with pytest.raises(Trouble, match="его нет"):
        rotation.change_setting(file, "OPERATIONS_ALERTS_TOKEN", {})


def test_each_that_the_shop_makes_itself_says_what_comes_next() -> None:
    ours = {name for name, kind in CATALOGUE.items() if kind.is_ours}
    assert ours == {*_NEXT, *_FILES}


def test_a_secret_is_shown_by_none_of_its_words() -> None:
    one = Secret(BOT, ".env", "42:SECRET")
    assert "SECRET" not in repr(replace(one)) + repr(Inventory([one], ["k1"]))
