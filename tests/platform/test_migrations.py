import hashlib
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory

from getpro import migrations
from getpro.kit.trouble import Trouble
from getpro.messaging import partitions


def test_the_tables_are_what_the_code_says(database_url: str) -> None:
    command.check(migrations.alembic_config(database_url))


def test_the_named_head_is_the_newest_revision(database_url: str) -> None:
    script = ScriptDirectory.from_config(migrations.alembic_config(database_url))
    assert script.get_heads() == [migrations.HEAD]


def test_migrating_twice_is_harmless(database_url: str) -> None:
    migrations.upgrade(database_url)
    assert migrations.is_current(database_url)


def test_a_panel_user_keeps_number_and_mark_and_loses_the_plain_link(server: str) -> None:
    name = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        # The subscription is of no matter.
        connection.execute(f'ALTER DATABASE "{name}" SET session_replication_role = replica')
        config = migrations.alembic_config(f"{server}/{name}")
        command.upgrade(config, "0001")
        with psycopg.connect(f"{server}/{name}") as database:
            database.execute("INSERT INTO panel_accounts VALUES (7, 17, 'tg_101', 'short', 'link', now())")
        command.upgrade(config, "head")
        with psycopg.connect(f"{server}/{name}") as database:
            kept = database.execute(
                "SELECT panel_user_id, username, short_uuid_sha256, encrypted_url FROM panel_accounts"
            ).fetchone()
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    assert kept == ("17", "tg_101", hashlib.sha256(b"short").digest(), None)


def test_a_migration_that_fails_is_named_and_leaves_the_database_as_it_was(server: str) -> None:
    url = f"{server}/broken_one"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE broken_one")
    command.upgrade(migrations.alembic_config(url), "0003")
    with psycopg.connect(url, autocommit=True) as database:
        database.execute("ALTER TABLE users ADD COLUMN blocked_at int")  # 0005 makes one of its own
    with pytest.raises(Trouble) as caught:
        migrations.upgrade(url)
    assert caught.value.what == "Миграция 0005_blocked не выполнилась, база осталась как была."
    assert "blocked_at" in caught.value.why
    assert "2getpro migrate" in caught.value.remedy
    with psycopg.connect(url) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchone() == ("0003",)


def tables(connection: "psycopg.Connection[Any]", schema: str) -> set[str]:
    rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema])
    return {row[0] for row in rows}


def test_a_database_without_the_synthetic_tables_gets_them_and_loses_nothing(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as database:
        database.execute("SET client_min_messages = error")
        database.execute(f"DROP SCHEMA {migrations.SYNTHETIC} CASCADE")
        database.execute("INSERT INTO users (user_id) VALUES (101)")
        assert not migrations.is_current(database_url)
        migrations.upgrade(database_url)
        assert migrations.is_current(database_url)
        of_the_shop = {name for name in tables(database, "public") if not name.startswith("message_logs_")}
        assert tables(database, migrations.SYNTHETIC) == of_the_shop
        assert database.execute("SELECT user_id FROM users").fetchall() == [(101,)]
        assert database.execute("SELECT count(*) FROM synthetic.users").fetchone() == (0,)


def test_a_role_that_may_not_make_the_schema_is_told_who_must(server: str) -> None:
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute("CREATE ROLE modest LOGIN PASSWORD 'modest'")
        connection.execute("CREATE DATABASE of_another")
    address = urlsplit(server)
    url = f"postgresql://modest:modest@{address.hostname}:{address.port}/of_another"
    with psycopg.connect(f"{server}/of_another", autocommit=True) as database:
        database.execute("GRANT ALL ON SCHEMA public TO modest")
        with pytest.raises(Trouble) as caught:
            migrations.upgrade(url)
        assert "Роли modest нельзя" in caught.value.why
        assert tables(database, "public") == set()
        [told] = re.findall('CREATE SCHEMA .* AUTHORIZATION "modest"', caught.value.remedy)
        database.execute(told.encode())
        migrations.upgrade(url)
        assert "users" in tables(database, "public") & tables(database, migrations.SYNTHETIC)


def test_telegram_ids_are_plain_bigint(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "SELECT DISTINCT data_type, column_default, is_identity FROM information_schema.columns"
            " WHERE table_name = 'users' AND column_name = 'user_id'"
        ).fetchall()
    assert row == [("bigint", None, "NO")]


@pytest.mark.parametrize(
    ("now", "first", "last"),
    [
        (datetime(2026, 1, 31, 23, 59, tzinfo=UTC), "message_logs_2025_12", "message_logs_2026_04"),
        (datetime(2026, 12, 1, tzinfo=UTC), "message_logs_2026_11", "message_logs_2027_03"),
    ],
)
def test_months_of_the_message_log_are_made_ahead(now: datetime, first: str, last: str) -> None:
    made = partitions.statements(now)
    assert first in made[0]
    assert last in made[-1]
    assert len(made) == 5


def test_a_message_of_today_and_of_three_months_ahead_has_a_place(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO message_logs (user_id, timestamp, kind)"
            " SELECT 1, now() + n * interval '28 days', 'message' FROM generate_series(-1, 3) n"
        )
