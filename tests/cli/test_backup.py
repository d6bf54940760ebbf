"""``2getpro backup`` as an operator types it."""

import asyncio
import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from folders import open_up
from getpro import cli
from getpro.backups import room
from getpro.backups.folder import held
from getpro.bootstrap import backups as bootstrap
from getpro.platform.env_file import EnvFile
from getpro.sandbox.serving import serving
from getpro.sandbox.telegram import TelegramSimulator
from storage import SECRET, Place, Storage


@dataclass
class Done:
    code: int
    said: str
    complained: str


async def backup(*arguments: str) -> Done:
    stdout, stderr = io.StringIO(), io.StringIO()

    def run() -> int:
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            return cli.execute(["backup", *arguments])

    code = await asyncio.to_thread(run)
    return Done(code, stdout.getvalue(), stderr.getvalue())


@pytest.fixture
def folder(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    open_up(tmp_path)
    found = {
        "DATABASE_URL": database_url,
        "TELEGRAM_BOT_TOKEN": "42:TEST",
        "PANEL_URL": "http://127.0.0.1:9",
        "PANEL_TOKEN": "t",
        "GETPRO_DATA_DIR": str(tmp_path),
    }
    (tmp_path / ".env").write_text("\n".join(f"{name}={value}" for name, value in found.items()))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bootstrap, "sell_once", lambda _: None)
    return tmp_path


async def test_a_copy_is_made_shown_tried_and_kept(folder: Path) -> None:
    assert "Ещё ни одной" in (await backup("list")).said
    made = await backup("create")
    assert (made.code, made.complained) == (0, "")
    assert "Сделана: 2getpro-" in made.said
    tried = await backup("verify")
    assert tried.code == 0, tried
    assert tried.said.rstrip().endswith("годится")
    assert "✓" in (await backup("list")).said
    [found] = json.loads((await backup("list", "--json")).said)
    assert (found["state"], found["is_good"], found["seal"]) == ("made", True, "ours")
    beside = folder / f"backups/{found['name']}.json"
    said = json.loads(beside.read_text())
    for signature, words in (("", "без печати"), (said["signature"][:-2] + "zz", "печать не сходится")):
        beside.write_text(json.dumps(said | {"signature": signature}))
        assert words in " ".join((await backup("list")).said.split())
    beside.write_text(json.dumps(said))
    assert (await backup("prune")).said == "Удалять нечего.\n"
    assert (await backup("key")).said.startswith("AGE-SECRET-KEY-")
    assert (folder / "backups/latest.sql.gz").exists()


async def test_a_copy_by_hand_waits_for_the_one_that_is_being_made(folder: Path) -> None:
    with held(folder / "backups"):
        making = asyncio.create_task(backup("create"))
        await asyncio.sleep(2)
        assert not making.done()
    done = await making
    assert (done.code, "Сделана" in done.said) == (0, True), done


async def test_settings_are_written_out_once_for_a_machine_that_has_none(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_KEYS")
    assert "Ключа базы нет." in (await backup("create")).complained
    assert (await backup("key", "--database", "--new")).code == 0
    made = (await backup("create")).said.split()[1].rstrip(",")
    fresh = tmp_path_factory.mktemp("fresh")
    monkeypatch.chdir(fresh)
    arguments = ("settings", "--from", str(folder / "backups"), "--key", str(folder / "backup.key"))
    done = await backup(*arguments)
    assert (done.code, f"Записаны из {made}" in done.said) == (0, True), done
    assert (fresh / ".env").stat().st_mode & 0o777 == 0o600
    keys = {"DATABASE_KEYS": (folder / "database.key").read_text().strip()}
    assert EnvFile.read(fresh / ".env").values == EnvFile.read(folder / ".env").values | keys
    again = await backup(*arguments)
    assert (again.code, f"{fresh}/.env уже есть" in again.complained) == (2, True), again
    none = await backup("settings", "2getpro-20250101-000000", *arguments[1:], "--to", "other")
    assert (none.code, "файла нет" in none.complained, (fresh / "other").exists()) == (2, True, False)


async def test_a_copy_is_sent_to_the_owners_chat(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator = TelegramSimulator("42:TEST")
    olga = simulator.state.add_person(104, "Ольга")
    simulator.people.send(olga, "/start")
    await backup("create")
    done = await backup("telegram")
    assert (done.code, "BACKUP_TELEGRAM_CHAT" in done.complained) == (2, True), done
    async with serving(simulator.app) as url:
        monkeypatch.setenv("TELEGRAM_API_URL", url)
        monkeypatch.setenv("BACKUP_TELEGRAM_CHAT", "104")
        done = await backup("telegram")
    assert (done.code, done.said.partition("2getpro-")[0], "файлов 3." in done.said) == (
        0,
        "Отослана: ",
        True,
    ), done
    sent = [message["document"]["file_name"] for message in olga.messages.values() if "document" in message]
    assert sorted(sent) == sorted(path.name for path in (folder / "backups").glob("2getpro-*"))


async def test_a_copy_that_is_no_good_is_2_and_says_why(folder: Path) -> None:
    await backup("create")
    [closed] = (folder / "backups").glob("*.zst.age")
    closed.write_bytes(closed.read_bytes()[:-1])
    tried = await backup("verify")
    assert (tried.code, "НЕ ГОДИТСЯ" in tried.said) == (2, True)
    said = json.loads((await backup("verify", "--json")).said)
    assert (said["is_good"], "не те байты" in said["trouble"]) == (False, True)


async def test_where_there_is_no_room_it_says_how_to_have_some(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "free_bytes", lambda _: 0)
    done = await backup("create")
    assert (done.code, "нет места на диске" in done.complained) == (2, True), done
    assert "runbooks/disk.md; лишние копии: 2getpro backup prune" in done.complained


async def test_what_cannot_be_done_is_said_in_a_sentence_and_nothing_is_lost(folder: Path) -> None:
    done = await backup("verify", "no-such")
    assert (done.code, "копии no-such нет" in done.complained) == (2, True)
    await backup("create")
    (folder / "backup.key").write_text("rubbish")
    broken = await backup("create")
    assert (broken.code, "Ключ копий испорчен" in broken.complained) == (2, True)
    (folder / "backup.key").unlink()
    gone = await backup("key")
    assert (gone.code, "Ключа копий нет" in gone.complained, gone.said) == (2, True, "")


@pytest.fixture
def place(folder: Path, s3: Storage) -> Place:
    """Where copies of the shop in ``folder`` go."""
    made = s3.make()
    found = {"BUCKET": made.name, "ENDPOINT": s3.url, "ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": SECRET}
    with (folder / ".env").open("a") as env_file:
        env_file.writelines(f"\nBACKUP_S3_{name}={value}" for name, value in found.items())
    return made


async def test_a_copy_leaves_the_machine_is_shown_and_comes_back(folder: Path, place: Place) -> None:
    await backup("create")
    assert "ещё нет" in (await backup("list")).said
    sent = await backup("send")
    assert (sent.code, sent.complained) == (0, "")
    assert sent.said.startswith("Отправлена: 2getpro-")
    assert (await backup("send")).said == "Вне машины уже всё.\n"
    assert "Вне машины" in (await backup("list")).said
    [found] = json.loads((await backup("list", "--json")).said)
    assert found["offsite_place"] == f"s3://{place.name}/2getpro/copies/{found['name']}"
    assert (found["offsite_at"] is not None, found["offsite_trouble"]) == (True, None)
    [closed] = (folder / "backups").glob("*.dump.zst.age")
    before = closed.read_bytes()
    closed.unlink()
    assert "файла нет" in (await backup("list")).said
    got = await backup("fetch", found["name"])
    assert (got.code, f"backup verify {found['name']}" in got.said) == (0, True)
    assert closed.read_bytes() == before
    assert "✓ есть" in (await backup("list")).said


async def test_what_does_not_leave_is_2_with_why_and_what_to_do_and_no_secret(
    folder: Path, place: Place
) -> None:
    for _ in range(2):
        await backup("create")
    settings = (folder / ".env").read_text()
    (folder / ".env").write_text(settings.replace(place.name, "nobody-has-it"))
    for command in ("send", "fetch"):
        done = await backup(command)
        assert done.code == 2
        told = done.said + done.complained
        assert (told.count("такого бакета нет"), "BACKUP_S3_BUCKET" in told) == (1, True), told
        assert ("и ещё 1: " in told) == (command == "send")
        assert SECRET not in told
    assert "✗ s3://nobody-has-it" in (await backup("list")).said
    (folder / ".env").write_text(settings.replace("BACKUP_S3_BUCKET", "IGNORED"))
    assert "Вне машины" not in (await backup("list")).said
    assert "offsite_at" not in (await backup("list", "--json")).said
    nowhere = await backup("send")
    assert (nowhere.code, "бакет не задан" in nowhere.complained) == (2, True)


async def test_a_setting_that_is_missing_is_named(folder: Path, place: Place) -> None:
    settings = (folder / ".env").read_text()
    (folder / ".env").write_text(settings.replace("BACKUP_S3_SECRET_ACCESS_KEY", "IGNORED"))
    done = await backup("send")
    assert (done.code, "BACKUP_S3_SECRET_ACCESS_KEY: нужен вместе" in done.complained) == (2, True)


async def test_what_must_stay_off_the_machine_is_told_when_it_goes_here(folder: Path, s3: Storage) -> None:
    place = s3.make(lock=True)
    found = {"BUCKET": place.name, "ENDPOINT": s3.url, "ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": SECRET}
    with (folder / ".env").open("a") as env_file:
        env_file.writelines(f"\nBACKUP_S3_{name}={value}" for name, value in found.items())
        env_file.write("\nBACKUP_S3_LOCK_DAYS=1\nBACKUP_KEEP_DAILY=1\nBACKUP_KEEP_WEEKLY=0")
        env_file.write("\nBACKUP_KEEP_MONTHLY=0\nBACKUP_KEEP_YEARLY=0")
    await backup("create")
    await asyncio.sleep(1)  # copies are named by the second
    await backup("create")
    assert (await backup("send")).code == 0
    pruned = await backup("prune")
    assert pruned.code == 0
    assert "Удалена: 2getpro-" in pruned.said
    assert "Вне машины осталось: 1: " in pruned.said
    assert "заперт" in pruned.said


def go_to_new_machine(there: Path, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is set there but the way to the bucket, and nothing lies there."""
    monkeypatch.chdir(open_up(there))
    monkeypatch.delenv("DATABASE_KEYS")
    found = {"BUCKET": place.name, "ENDPOINT": place.storage.url, "ACCESS_KEY_ID": "k"}
    for name, value in (found | {"SECRET_ACCESS_KEY": SECRET}).items():
        monkeypatch.setenv(f"BACKUP_S3_{name}", value)
    monkeypatch.setenv("GETPRO_DATA_DIR", str(there / "data"))


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_a_machine_without_a_shop_sees_and_has_what_lies_in_the_bucket(
    folder: Path, place: Place, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path_factory.mktemp("there")
    made = (await backup("create")).said.split()[1].rstrip(",")
    await backup("send")
    before = {path.name: path.read_bytes() for path in (folder / "backups").glob(f"{made}*")}
    go_to_new_machine(there, place, monkeypatch)
    listed = await backup("fetch", "--list")
    assert (listed.code, listed.complained) == (0, "")
    assert (made in listed.said, "обычная" in listed.said) == (True, True)
    assert "Журнал базы: файлов 0" in listed.said
    got = await backup("fetch", "--to", "copies")
    assert (got.code, got.complained, made in got.said) == (0, "", True)
    assert {path.name: path.read_bytes() for path in (there / "copies").glob("2getpro-*")} == before
    assert names_in(there) == {"copies"}  # neither a key nor a database
    none = await backup("fetch", "no-such")
    assert (none.code, "2getpro backup fetch --list" in none.complained) == (2, True)
    usual = await backup("fetch", made)
    assert (usual.code, "verify" in usual.said) == (0, False)
    assert names_in(there / "data") == {"backups"}
    monkeypatch.delenv("BACKUP_S3_BUCKET")
    nowhere = await backup("fetch", "--list")
    assert (nowhere.code, "бакет не задан" in nowhere.complained) == (2, True)


async def test_a_copy_comes_back_also_where_the_database_is_away(
    folder: Path, place: Place, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path_factory.mktemp("there")
    await backup("create")
    await backup("send")
    go_to_new_machine(there, place, monkeypatch)
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    got = await backup("fetch")
    assert (got.code, "База данных не отвечает" in got.complained) == (0, True), got
    assert len(list((there / "data/backups").glob("*.age"))) == 2
