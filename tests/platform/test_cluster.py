"""The embedded server as those who share it see it: it lives as long as somebody uses it."""

import os
from pathlib import Path

import psycopg
import pytest

from folders import open_up
from getpro.kit.trouble import Trouble
from getpro.platform.postgres import Cluster


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return open_up(tmp_path) / "postgres"


def answer(url: str) -> object:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT 1").fetchone()


def test_the_server_stops_when_the_last_user_leaves_whoever_started_it(home: Path) -> None:
    operator, shop = Cluster(home, durable=False), Cluster(home, durable=False)
    operator.start()
    shop.start()
    operator.leave()
    assert answer(shop.url()) == (1,)
    with Cluster.running(home):
        pass
    assert answer(shop.url()) == (1,)
    shop.leave()
    assert shop.server_pid() is None
    operator.stop()


def test_what_lies_beside_the_data_is_for_its_owner_alone(home: Path) -> None:
    home.mkdir()
    (home / "server.log").touch(mode=0o644)
    with Cluster.running(home, durable=False):
        modes = {name: (home / name).stat().st_mode & 0o777 for name in ("password", "port", "server.log")}
        owners = {path.stat().st_uid for path in (home / "data", home / "password", home / "port")}
    assert modes == dict.fromkeys(modes, 0o600)
    assert len(owners) == 1


def test_a_killed_server_comes_back_at_the_same_address_with_its_data(home: Path) -> None:
    killed = Cluster(home)
    killed.start()
    with psycopg.connect(killed.url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept ()")
    url = killed.url()
    killed.kill()
    with Cluster.running(home) as again:
        assert again == url
        with psycopg.connect(again) as connection:
            assert connection.execute("SELECT to_regclass('kept')::text").fetchone() == ("kept",)
        killed.leave()
        assert answer(again) == (1,)
    assert Cluster(home).server_pid() is None


@pytest.mark.long
def test_a_world_made_anew_keeps_its_server_when_a_user_of_the_old_one_leaves(home: Path) -> None:
    old = Cluster(home, durable=False)
    old.start()
    Cluster(home).stop()
    home.rename(home.with_name("thrown-away"))
    with Cluster.running(home, durable=False) as url:
        old.leave()
        assert answer(url) == (1,)
    old.stop()


def test_where_the_data_of_a_running_shop_are_gone_no_empty_ones_are_made(home: Path) -> None:
    shop = Cluster(home, durable=False)
    shop.start()
    shop.kill()
    shop.data.rename(home / "gone")
    with pytest.raises(Trouble, match="База магазина пропала"):
        shop.revive()
    assert not shop.is_made
    (home / "gone").rename(shop.data)
    shop.revive()
    assert answer(shop.url()) == (1,)
    shop.stop()


def test_a_folder_of_somebody_elses_is_left_to_them(home: Path) -> None:
    if os.geteuid() != 0:
        return  # only root could take it
    home.mkdir()
    os.chown(home, 12345, 12345)
    with pytest.raises(Trouble, match="PostgreSQL не может работать в этой папке"):
        Cluster(home, durable=False).start()
    assert home.stat().st_uid == 12345
