"""Incidents beside a simulated Telegram and a real mail server, with a clock that is moved."""

import asyncio
import contextlib
import email
import email.policy
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import SecretStr
from sqlalchemy import text

from getpro.bot.app import ShopBot
from getpro.bot.message_log import MessageLog
from getpro.incidents import calling, jobs, team
from getpro.incidents.deps import Deps
from getpro.incidents.escalation import Night
from getpro.incidents.other import Apprise
from getpro.incidents.states import Role
from getpro.platform.bot_api import BotApi
from getpro.platform.jobs import RetryLater
from getpro.platform.settings import OperationsSettings, PanelSettings, ShopSettings, TelegramSettings
from getpro.platform.telegram import make_bot
from getpro.sandbox.serving import serving
from getpro.sandbox.shop.product import SandboxSettings
from getpro.sandbox.telegram import TelegramSimulator
from getpro.sandbox.telegram.state import Chat, Group, Person
from shop import Shop

TOKEN = "42:bot-token-of-a-test"
CHAT = -1001
OLGA, TIMUR, DIMA = 104, 105, 106
"""The engineer, the tech lead, the devops."""
MOSCOW = ZoneInfo("Europe/Moscow")
NO_NIGHT = Night(MOSCOW, 0, 0)


@dataclass
class Mailbox:
    """What a mail server has taken."""

    letters: list[tuple[str, str]] = field(default_factory=list)
    """To whom, and the subject."""
    bodies: list[str] = field(default_factory=list)
    """Beside them what was written."""
    is_away: bool = False
    seconds: float = 0
    """How long it takes to say that it has taken one."""

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802 -- aiosmtpd's name
        if self.is_away:
            return "451 come again"
        content = envelope.content
        assert isinstance(content, bytes)
        letter = email.message_from_bytes(content, policy=email.policy.default)
        body = letter.get_body(("plain",))
        self.bodies += ["" if body is None else body.get_content()] * len(envelope.rcpt_tos)
        self.letters += [(to, str(letter["Subject"])) for to in envelope.rcpt_tos]
        await asyncio.sleep(self.seconds)
        return "250 taken"


@dataclass
class Watch:
    """The team's day: calls as they arrive, and a clock that is moved to where something is due."""

    shop: Shop
    deps: Deps
    telegram: TelegramSimulator
    mail: Mailbox
    began: datetime
    bot: ShopBot
    telegram_url: str
    mail_port: int
    _read: tuple[int, int] = (0, 0)

    @property
    def now(self) -> datetime:
        return self.shop.clock.now

    @property
    def group(self) -> Group:
        return self.telegram.state.groups[CHAT]

    def person(self, user_id: int) -> Person:
        return self.telegram.state.people[user_id]

    async def work(self) -> None:
        """What the schedule and the workers do at this moment; a job that fails comes again later."""
        await calling.carry_on(self.deps)
        await self.run_jobs()

    async def run_jobs(self) -> list[Exception]:
        """Every job that waits, once, and what those have deferred."""
        kinds = {kind.name: kind for kind in jobs.job_kinds(self.deps)}
        tried: set[int] = set()
        failed: list[Exception] = []
        while True:
            async with self.shop.db.begin("test") as session:
                rows = await session.execute(
                    text(
                        "SELECT id, task_name, args FROM procrastinate_jobs WHERE status = 'todo' ORDER BY id"
                    )
                )
                waiting = [row for row in rows if row.id not in tried and row.task_name in kinds]
            if not waiting:
                return failed
            for job in waiting:
                tried.add(job.id)
                try:
                    await kinds[job.task_name].run(**job.args)
                except Exception as error:
                    if not isinstance(error, (RetryLater, *kinds[job.task_name].expected)):
                        raise
                    failed.append(error)
                    continue
                async with self.shop.db.begin("test") as session:
                    await session.execute(
                        text("DELETE FROM procrastinate_jobs WHERE id = :id"), {"id": job.id}
                    )

    async def until(self, minutes: float) -> None:
        """Live until so many minutes after the beginning, stopping wherever a step is due."""
        end = self.began + timedelta(minutes=minutes)
        while (due := await self._next_due()) is not None and due <= end:
            self.shop.clock.now = max(due, self.now)
            await self.work()
        self.shop.clock.now = end
        await self.work()

    async def go_to(self, minutes: float) -> None:
        """Only the clock moves."""
        self.shop.clock.now = self.began + timedelta(minutes=minutes)

    async def _next_due(self) -> datetime | None:
        async with self.shop.db.begin("test") as session:
            found: datetime | None = await session.scalar(
                text(
                    "SELECT min(next_step_at) FROM incidents"
                    " WHERE quiet_since IS NULL OR opened_by IS NOT NULL"  # of what is quiet nobody is called
                )
            )
        return found

    def calls(self) -> list[str]:
        """Who was called since the last look, e.g. ``olga``, ``chat``, ``mail olga``; a repeat is marked."""
        calls_read, letters_read = self._read
        names = {CHAT: "chat", OLGA: "olga", TIMUR: "timur", DIMA: "dima"}
        sent = [
            call
            for call in self.telegram.state.calls[calls_read:]
            if call["method"] == "sendMessage" and call["status"] == 200
            if call["parameters"]["chat_id"] in names and "Чем помочь" not in call["parameters"]["text"]
        ]
        found = [
            names[call["parameters"]["chat_id"]]
            + (" повтор" if "повтор: первый" in call["parameters"]["text"] else "")
            for call in sent
        ]
        letters = zip(self.mail.letters[letters_read:], self.mail.bodies[letters_read:], strict=True)
        found += [
            f"mail {to.partition('@')[0]}{' повтор' if 'овтор' in body else ''}" for (to, _), body in letters
        ]
        self._read = len(self.telegram.state.calls), len(self.mail.letters)
        return sorted(found)

    async def presses(self, user_id: int, label: str, *, chat_id: int = CHAT) -> str | None:
        """Somebody presses a button of the bot's newest message; what the press says to them."""
        chat = self.chat(chat_id)
        where = chat if isinstance(chat, Group) else None
        self.telegram.people.press(self.person(user_id), self.page(chat_id), label, where=where)
        before = len(chat.toasts)
        await self.answer()
        return str(chat.toasts[-1]["text"]) if len(chat.toasts) > before else None

    async def says(
        self, user_id: int, said: str, *, chat_id: int | None = CHAT, reply_to: int | None = None
    ) -> None:
        """Somebody writes, in the group or, without ``chat_id``, in private."""
        where = None if chat_id is None else self.group
        self.telegram.people.send(self.person(user_id), said, to=where, reply_to=reply_to)
        await self.answer()

    async def answer(self) -> list[dict[str, Any]]:
        """The bot is brought what has happened; the updates."""
        updates = await self.telegram.delivery.poll(0, 100, 0, None)
        for update in updates:
            await self.feed(update)
        if updates:
            await self.telegram.delivery.poll(updates[-1]["update_id"] + 1, 100, 0, None)
        return updates

    async def feed(self, update: dict[str, Any]) -> None:
        reply = await self.bot.handle(update)
        if reply is not None:
            await self.telegram._carry_out(reply)

    def chat(self, chat_id: int) -> Chat:
        chat = self.telegram.state.chat(chat_id)
        assert chat is not None
        return chat

    def page(self, chat_id: int = CHAT) -> int:
        """The number of the newest message with buttons, or that had them."""
        pages = (number for number, one in self.chat(chat_id).messages.items() if "reply_markup" in one)
        return max(pages)

    async def rows(self, query: str, **values: Any) -> list[Any]:
        async with self.shop.db.begin("test") as session:
            return list((await session.execute(text(query), values)).all())

    async def one(self) -> Any:
        """The only incident."""
        [found] = await self.rows("SELECT * FROM incidents")
        return found

    async def line(self) -> list[str]:
        """The time line of all."""
        return [
            f"{row.who}: {row.words}"
            for row in await self.rows("SELECT who, words FROM incident_events ORDER BY event_id")
        ]

    def shown(self, chat_id: int = CHAT) -> str:
        """The newest page in the chat."""
        return str(self.chat(chat_id).messages[self.page(chat_id)]["text"])

    def buttons(self, chat_id: int = CHAT) -> list[str]:
        rows = self.chat(chat_id).messages[self.page(chat_id)]["reply_markup"]["inline_keyboard"]
        return [button["text"] for row in rows for button in row]


@pytest.fixture
async def watch(shop: Shop) -> AsyncIterator[Watch]:
    """An operators' chat, and nobody in the team yet."""
    telegram, mailbox = TelegramSimulator(TOKEN, clock=shop.clock), Mailbox()
    telegram.limits.are_on = False  # the clock is moved, theirs is not
    everyone = [
        telegram.state.add_person(number, name)
        for number, name in ((OLGA, "Ольга"), (TIMUR, "Тимур"), (DIMA, "Дима"))
    ]
    for one in everyone:
        one.has_started = True
    telegram.state.add_group(CHAT, "Операторы", everyone).bot_status = "member"
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, hostname="localhost"), "127.0.0.1", 0)
    async with contextlib.AsyncExitStack() as running:
        url = await running.enter_async_context(serving(telegram.app))
        running.callback(server.close)
        api = BotApi(TelegramSettings(bot_token=SecretStr(TOKEN), api_url=url))
        running.push_async_callback(api.close)
        port = server.sockets[0].getsockname()[1]
        deps = Deps(
            db=shop.db,
            jobs=shop.jobs,
            clock=shop.clock,
            zone=MOSCOW,
            night=NO_NIGHT,
            telegram=api,
            other=Apprise(),
            cipher=shop.cipher,
            sales=shop.deps,
            chat_id=CHAT,
            operators=frozenset({OLGA}),
            mail_server=f"mailto://127.0.0.1:{port}/?smtp=127.0.0.1&mode=insecure&from=shop@shop.example",
        )
        own = TelegramSettings(bot_token=SecretStr(TOKEN), api_url=url)
        bot = make_bot(own)
        running.push_async_callback(bot.session.close)
        settings = SandboxSettings(
            telegram=own,
            panel=PanelSettings(url="http://127.0.0.1:9", token=SecretStr("t")),
            shop=ShopSettings(),
            operations=OperationsSettings(chat=CHAT),
        )
        log = MessageLog(shop.db)
        shop_bot = ShopBot(bot=bot, sales=shop.deps, settings=settings, log=log, incidents=deps)
        yield Watch(shop, deps, telegram, mailbox, shop.clock.now, shop_bot, url, port)


@pytest.fixture
async def staffed(watch: Watch) -> Watch:
    """Olga is on call, Timur leads, Dima is devops and has no mail."""
    assert watch.deps.mail_server is not None
    async with watch.deps.db.begin("test") as session:
        for name, role, number in (
            ("olga", Role.ON_CALL, OLGA),
            ("timur", Role.TECH_LEAD, TIMUR),
            ("dima", Role.DEVOPS, DIMA),
        ):
            await team.add_person(session, name, [role], now=watch.now)
            await team.set_telegram(session, name, number)
        for name in ("olga", "timur"):
            address = f"{watch.deps.mail_server}&to={name}@shop.example"
            await team.add_way(session, watch.deps, name, address, shown=f"почта {name}@shop.example")
    return watch
