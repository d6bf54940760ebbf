"""A copy in the owner's chat: encrypted, whole or in parts that make it whole again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from getpro.backups import jobs as backup_jobs
from getpro.backups import service, store, telegram
from getpro.backups.deps import Deps
from getpro.backups.errors import NotSent, NotThere, TooLarge
from getpro.backups.folder import ARCHIVE, LATEST, MANIFEST, SETTINGS
from getpro.backups.states import BackupState
from getpro.backups.telegram import TelegramChat
from getpro.platform.bot_api import BotApi
from getpro.platform.jobs import Jobs
from getpro.platform.settings import TelegramSettings
from getpro.sandbox.serving import serving
from getpro.sandbox.telegram import TelegramSimulator
from getpro.sandbox.telegram.state import Person

TOKEN = "7000000001:test"
OWNER = 104


class Owner:
    """Their chat with the bot."""

    def __init__(self, simulator: TelegramSimulator, person: Person) -> None:
        self.simulator, self.person = simulator, person

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [message for message in self.person.messages.values() if message["from"]["is_bot"]]

    @property
    def files(self) -> dict[str, bytes]:
        documents = [message["document"] for message in self.messages if "document" in message]
        return {one["file_name"]: self.simulator.state.files[one["file_id"]] for one in documents}


@pytest.fixture
async def owner(deps: Deps) -> AsyncIterator[tuple[Deps, Owner]]:
    simulator = TelegramSimulator(TOKEN)
    person = simulator.state.add_person(OWNER, "Ольга")
    simulator.people.send(person, "/start")
    async with serving(simulator.app) as url:
        settings = TelegramSettings(bot_token=SecretStr(TOKEN), api_url=url)

        @asynccontextmanager
        async def chat() -> AsyncIterator[TelegramChat]:
            api = BotApi(settings)
            try:
                yield TelegramChat(api, OWNER)
            finally:
                await api.close()

        yield replace(deps, telegram=chat, environment="A=b\n"), Owner(simulator, person)


async def test_a_copy_comes_in_parts_that_make_it_whole(owner: tuple[Deps, Owner]) -> None:
    """Faster than Telegram lets a bot write: it asks to wait, and is obeyed."""
    deps, chat = owner
    made = await service.create(deps, asked_by="olga")
    archive = deps.folder / f"{made.name}{ARCHIVE}"
    size = archive.stat().st_size // 2 + 1
    assert await telegram.send(deps, part_bytes=size) == (made.name, 4)
    first, second, settings, manifest = chat.files.items()
    assert (first[0], second[0]) == (f"{archive.name}.part01", f"{archive.name}.part02")
    assert first[1] + second[1] == archive.read_bytes()
    assert settings == (f"{made.name}{SETTINGS}", (deps.folder / f"{made.name}{SETTINGS}").read_bytes())
    assert manifest[0] == f"{made.name}{MANIFEST}"
    assert f"cat {archive.name}.part* > {archive.name}" in chat.messages[0]["caption"]
    assert 429 in {call["status"] for call in chat.simulator.state.calls}
    assert chat.simulator.state.unknown_parameters == []


async def test_a_copy_that_does_not_fit_is_refused_in_words(owner: tuple[Deps, Owner]) -> None:
    deps, chat = owner
    made = await service.create(deps, asked_by="olga")
    with pytest.raises(TooLarge, match=f"{made.name} в Telegram не помещается"):
        await telegram.send(deps, part_bytes=1000)
    assert [message.get("text", "")[:30] for message in chat.messages] == [f"⚠️ копия {made.name}"[:30]]
    assert chat.files == {}


async def test_after_the_nightly_copy_it_is_sent_and_a_failure_is_no_failed_copy(
    owner: tuple[Deps, Owner], jobs: Jobs
) -> None:
    deps, chat = owner
    kinds = {kind.name: kind for kind in backup_jobs.job_kinds(lambda: deps, jobs)}
    await kinds["make_backup"].run()
    with psycopg.connect(deps.database_url) as connection:
        rows = connection.execute("SELECT task_name, args FROM procrastinate_jobs").fetchall()
    [(name, arguments)] = rows
    chat.simulator.people.block(chat.person)
    with pytest.raises(kinds[name].expected, match="Telegram отказал: 403"):
        await kinds[name].run(**arguments)
    chat.simulator.people.unblock(chat.person)
    await kinds[name].run(**arguments)
    copy = arguments["name"]
    assert set(chat.files) == {f"{copy}{ARCHIVE}", f"{copy}{SETTINGS}", f"{copy}{MANIFEST}"}
    assert LATEST not in chat.files
    async with deps.db.read("test") as session:
        [made] = await store.newest_first(session)
    assert (made.name, made.state) == (copy, BackupState.MADE)


async def test_without_a_chat_or_a_copy_it_is_told(deps: Deps, jobs: Jobs, owner: tuple[Deps, Owner]) -> None:
    with pytest.raises(NotSent, match="BACKUP_TELEGRAM_CHAT"):
        await telegram.send(deps)
    with pytest.raises(NotThere, match="нет ни одной копии"):
        await telegram.send(owner[0])
    kinds = {kind.name: kind for kind in backup_jobs.job_kinds(lambda: deps, jobs)}
    await kinds["make_backup"].run()
    with psycopg.connect(deps.database_url) as connection:
        assert connection.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)
