"""The keys of what tables keep encrypted: made once, set, changed, spoiled, lost."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from getpro.kit.trouble import Trouble
from getpro.platform.cipher import (
    FILE,
    Cipher,
    cipher,
    database_keys,
    has_keys,
    make_key,
    new_key,
    put_new_first,
)
from getpro.platform.settings import DatabaseSettings

LINK = "https://panel.example/api/sub/very-secret"


def settings(directory: Path, keys: str | None = None) -> DatabaseSettings:
    given = None if keys is None else SecretStr(keys)
    return DatabaseSettings(data_dir=directory, database_keys=given)


def test_what_is_encrypted_is_not_readable_and_comes_back() -> None:
    ours = Cipher([new_key()])
    once, again = ours.encrypt(LINK), ours.encrypt(LINK)
    assert once != again
    assert b"secret" not in once
    assert (ours.decrypt(once), Cipher([new_key()]).decrypt(once)) == (LINK, None)
    assert ours.decrypt(once[:-1]) is None


def test_a_new_first_key_encrypts_and_the_old_one_still_decrypts() -> None:
    old, new = new_key(), new_key()
    kept = Cipher([old]).encrypt(LINK)
    both = Cipher([new, old])
    assert both.decrypt(kept) == LINK
    assert Cipher([new]).decrypt(both.encrypt(LINK)) == LINK


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    wanted = settings(tmp_path / "data")
    with pytest.raises(Trouble, match="Ключа базы нет"):
        database_keys(wanted)

    def make(_: int) -> list[str]:
        make_key(wanted)
        return database_keys(wanted)

    with ThreadPoolExecutor(8) as together:
        found = list(together.map(make, range(8)))
    assert found == [found[0]] * 8
    file = tmp_path / "data" / FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [FILE]
    assert cipher(wanted).decrypt(Cipher(found[0]).encrypt(LINK)) == LINK


def test_a_new_key_comes_first_and_those_before_it_still_decrypt(tmp_path: Path) -> None:
    wanted = settings(tmp_path / "data")
    for number in range(1, 4):
        before = database_keys(wanted) if has_keys(wanted) else []
        file = put_new_first(wanted)
        assert (stat.S_IMODE(file.stat().st_mode), list(file.parent.iterdir())) == (0o600, [file])
        assert (database_keys(wanted)[1:], len(database_keys(wanted))) == (before, number)


def test_keys_that_are_set_need_no_file(tmp_path: Path) -> None:
    keys = [new_key(), new_key()]
    assert database_keys(settings(tmp_path, ",".join(keys))) == keys
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="нужны ключи") as told:
        settings(tmp_path, "short")
    assert "short" not in str(told.value)


@pytest.mark.parametrize("spoiled", [b"no key\n", b"\xff\xfe\n", b"AGE-SECRET-KEY-1AAAA\n", b""])
def test_a_spoiled_file_is_told_and_left_alone(tmp_path: Path, spoiled: bytes) -> None:
    (tmp_path / FILE).write_bytes(spoiled)
    with pytest.raises(Trouble) as told:
        cipher(settings(tmp_path))
    assert (told.value.what, FILE in told.value.why) == ("Ключ базы испорчен.", True)
    assert (tmp_path / FILE).read_bytes() == spoiled


def test_a_folder_that_takes_no_key_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(Trouble) as told:
        cipher(settings(tmp_path / "data"))
    assert "в пути стоит файл" in told.value.why
