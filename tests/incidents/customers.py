"""Customers beside the team: they pay, wait, complain, and are told."""

from dataclasses import dataclass

from duty import Watch
from getpro.bot import jobs as bot_jobs
from getpro.payments.store import Payment


@dataclass
class Customers:
    """Anna, Boris and so on, numbered from 501, with the bot in front of them."""

    watch: Watch

    async def come(self, number: int, *, language: str = "ru") -> int:
        user_id = 500 + number
        self.watch.telegram.state.add_person(user_id, f"Клиент {number}", language_code=language)
        await self.says(user_id, "/start")
        return user_id

    async def pay(self, user_id: int) -> Payment:
        """Paid and settled; the panel has not been asked."""
        shop = self.watch.shop
        payment = await shop.order(user_id)
        await shop.notice(shop.pay(payment))
        await shop.run_jobs("settle")
        return payment

    async def waiting(self, number: int, *, language: str = "ru") -> int:
        user_id = await self.come(number, language=language)
        await self.pay(user_id)
        return user_id

    async def says(self, user_id: int, said: str) -> None:
        self.watch.telegram.people.send(self.watch.person(user_id), said)
        await self.watch.answer()

    async def presses(self, user_id: int, *data: str) -> None:
        """One button after the other, by what it says when pressed."""
        for one in data:
            person = self.watch.person(user_id)
            newest = max(person.messages)
            self.watch.telegram.people.callback(person, one, person.messages[newest])
            await self.watch.answer()

    async def complains(self, user_id: int, kind: str = "paid") -> None:
        await self.presses(user_id, f"trouble:{kind}")

    def sees(self, user_id: int) -> list[str]:
        messages = self.watch.person(user_id).messages
        said = str(messages[max(messages)]["text"])
        return said.replace("\N{NO-BREAK SPACE}", " ").splitlines()

    def buttons(self, user_id: int) -> list[str]:
        messages = self.watch.person(user_id).messages
        rows = messages[max(messages)]["reply_markup"]["inline_keyboard"]
        return [button["text"] for row in rows for button in row]

    async def news(self) -> None:
        """The notices that wait are sent."""
        for row in await self.watch.rows(
            "SELECT notice_id FROM notices WHERE sent_at IS NULL AND dropped_at IS NULL ORDER BY notice_id"
        ):
            await bot_jobs.send_notice(self.watch.bot.context, row.notice_id)

    async def told(self, user_id: int) -> list[str]:
        """The kinds of news about troubles that have gone out to a customer."""
        rows = await self.watch.rows(
            "SELECT kind FROM notices WHERE user_id = :id AND sent_at IS NOT NULL"
            " AND kind IN ('trouble', 'works_again') ORDER BY notice_id",
            id=user_id,
        )
        return [row.kind for row in rows]

    async def shown_to_operators(self) -> list[str]:
        rows = await self.watch.rows("SELECT text FROM operator_messages ORDER BY message_id")
        return [row.text for row in rows]
