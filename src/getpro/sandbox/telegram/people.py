"""What people do: write, press, pay, block; each becomes an update of the real shape."""

import asyncio
import secrets
from typing import Any

from getpro.sandbox.telegram.delivery import Delivery
from getpro.sandbox.telegram.errors import Refusal
from getpro.sandbox.telegram.state import Charge, Group, Invoice, Person, State


class People:
    """Acts for the people of the simulator; raises Refusal where a real app would not let them."""

    def __init__(self, state: State, delivery: Delivery, *, answer_seconds: float) -> None:
        self._state = state
        self._delivery = delivery
        self._answer_seconds = answer_seconds

    def send(
        self, person: Person, text: str, *, to: Group | None = None, reply_to: int | None = None
    ) -> dict[str, Any]:
        """Write to the bot, where the first message is what lets it write back, or to a group.

        Of a group a bot is brought the commands, but none that names another bot, and the replies to its own
        messages: privacy mode is on.
        """
        if to is not None:
            self._check_member(person, to)
        elif person.has_blocked:
            self.unblock(person)
        person.has_started = person.has_started or to is None
        content: dict[str, Any] = {"text": text}
        command = text.split(maxsplit=1)[0] if text.startswith("/") else ""
        if command:
            content["entities"] = [{"type": "bot_command", "offset": 0, "length": len(command)}]
        replied = None if reply_to is None else (to or person).messages.get(reply_to)
        if reply_to is not None and replied is None:
            raise Refusal(f"there is no message {reply_to}", 404)
        if replied is not None:
            content["reply_to_message"] = {k: v for k, v in replied.items() if k != "reply_to_message"}
        message = self._state.post(to or person, by=person, **content)
        addressee = command.partition("@")[2] or self._state.bot_username
        is_to_bot = replied is not None and replied["from"]["is_bot"]
        is_command = bool(command) and addressee == self._state.bot_username
        if to is None or (to.has_bot and (is_command or is_to_bot)):
            self._delivery.add(self._state.update(message=message))
        return message

    def press(
        self, person: Person, message_id: int, button: str, *, where: Group | None = None
    ) -> dict[str, Any] | None:
        """Press the first button whose data or label is ``button``; a link gives its address."""
        if where is not None:
            self._check_member(person, where)
        message = (where or person).messages.get(message_id)
        rows = (message or {}).get("reply_markup", {}).get("inline_keyboard", [])
        for item in (item for row in rows for item in row):
            if button not in {item.get("callback_data"), item["text"]}:
                continue
            if item.get("callback_data") is None:
                return {"url": item.get("url"), "copy": (item.get("copy_text") or {}).get("text")}
            self.callback(person, item["callback_data"], message, where=where)
            return None
        raise Refusal(f"there is no button {button!r}", 404)

    def callback(
        self, person: Person, data: str, message: dict[str, Any] | None, *, where: Group | None = None
    ) -> None:
        query_id = secrets.token_hex(9)
        chat = where or person
        self._state.queries[query_id] = chat
        query: dict[str, Any] = {
            "id": query_id,
            "from": person.user(),
            "chat_instance": str(chat.chat_id),
            "data": data,
        }
        if message is not None:
            query["message"] = {k: v for k, v in message.items() if not k.startswith("_")}
        self._delivery.add(self._state.update(callback_query=query))

    async def pay(self, person: Person, invoice: Invoice) -> tuple[bool, str]:
        """Pay an invoice: the bot is asked, then the Stars are taken. Return whether, and what was said."""
        query_id = str(secrets.randbelow(10**17))
        answer: asyncio.Future[tuple[bool, str]] = asyncio.get_running_loop().create_future()
        self._state.queries[query_id] = answer
        query = {
            "id": query_id,
            "from": person.user(),
            "currency": invoice.currency,
            "total_amount": invoice.amount,
            "invoice_payload": invoice.payload,
        }
        self._delivery.add(self._state.update(pre_checkout_query=query))
        try:
            is_allowed, said = await asyncio.wait_for(answer, self._answer_seconds)
        except TimeoutError:
            return False, "Бот не ответил вовремя: платёж отменён"
        finally:
            del self._state.queries[query_id]
        if is_allowed:
            self._take(person, invoice)
        return is_allowed, said

    def _take(self, person: Person, invoice: Invoice) -> None:
        charge_id = f"stx{secrets.token_urlsafe(24)}"
        moment = int(self._state.time())
        self._state.charges.append(Charge(charge_id, person.user_id, invoice.payload, invoice.amount, moment))
        partner = {"type": "user", "transaction_type": "invoice_payment", "user": person.user()}
        self._state.transactions.append(
            {
                "id": charge_id,
                "amount": invoice.amount,
                "date": moment,
                "source": partner | {"invoice_payload": invoice.payload},
            }
        )
        paid = {
            "currency": invoice.currency,
            "total_amount": invoice.amount,
            "invoice_payload": invoice.payload,
            "telegram_payment_charge_id": charge_id,
            "provider_payment_charge_id": f"{person.user_id}_{len(self._state.charges)}",
        }
        message = self._state.post(person, by=person, successful_payment=paid)
        self._delivery.add(self._state.update(message=message))

    def block(self, person: Person) -> None:
        if not person.has_blocked:
            person.has_blocked = True
            self._membership(person, "member", "kicked")

    def unblock(self, person: Person) -> None:
        if person.has_blocked:
            person.has_blocked = False
            self._membership(person, "kicked", "member")

    def add_bot(self, person: Person, group: Group) -> None:
        """Put the bot into the group, or back into it."""
        self._check_member(person, group)
        if not group.has_bot:
            before, group.bot_status = group.bot_status, "member"
            self._membership(person, before, "member", where=group)
            self._say_in(group, person, new_chat_members=[self._state.bot()])

    def remove_bot(self, person: Person, group: Group) -> None:
        """From then on the bot may not write there."""
        self._check_member(person, group)
        if group.has_bot:
            group.bot_status = "kicked"
            self._membership(person, "member", "kicked", where=group)
            self._say_in(group, person, left_chat_member=self._state.bot())

    def _say_in(self, group: Group, person: Person, **event: Any) -> None:
        """What a group says by itself; every bot in it is brought that, also its own last."""
        message = self._state.post(group, by=person, **event)
        self._delivery.add(self._state.update(message=message))

    def _check_member(self, person: Person, group: Group) -> None:
        if all(member is not person for member in group.members):
            raise Refusal("they are no member of this group", 403)

    def _membership(self, person: Person, before: str, after: str, *, where: Group | None = None) -> None:
        def member(status: str) -> dict[str, Any]:
            until = {"until_date": 0} if status == "kicked" else {}
            return {"user": self._state.bot(), "status": status, **until}

        chat = where or person
        event = {
            "chat": chat.chat(),
            "from": person.user(),
            "date": int(self._state.time()),
            "old_chat_member": member(before),
            "new_chat_member": member(after),
        }
        chat.version += 1
        self._delivery.add(self._state.update(my_chat_member=event))
