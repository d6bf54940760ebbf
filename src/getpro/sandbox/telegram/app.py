"""The Bot API's HTTP, the control calls of tests, and the chat page.

Control calls under ``/_sandbox`` (JSON): ``POST people`` {user_id, first_name, username?, language_code?};
``POST people/ID/send`` {text, reply_to?}; ``POST people/ID/press`` {message_id, button};
``POST people/ID/callback`` {data}; ``POST people/ID/pay`` {message_id | link};
``POST people/ID/block|unblock|deactivate``;
``GET people/ID/messages``; ``POST groups`` {title, user_id}, a group of that person's with the bot in it; in
it ``POST groups/ID/people/ID/send|press|block|unblock``, where to block is to put the bot out;
``GET groups/ID/messages``; ``GET calls?since=N``; ``GET charges``; ``GET unknown-parameters``;
``POST limits`` {on}; ``POST notices/forge``, whose body goes to the webhook with a wrong secret; and the
faults of every simulator.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from getpro.sandbox.faults import CONTROL_PREFIX, FaultSwitches
from getpro.sandbox.pages import render
from getpro.sandbox.serving import serve_alone
from getpro.sandbox.telegram import parameters
from getpro.sandbox.telegram.delivery import Delivery
from getpro.sandbox.telegram.errors import Refusal, too_many
from getpro.sandbox.telegram.limits import Limits
from getpro.sandbox.telegram.methods import Methods
from getpro.sandbox.telegram.people import People
from getpro.sandbox.telegram.schema import checked, method_names
from getpro.sandbox.telegram.state import Clock, Group, Invoice, Person, State, now
from getpro.sandbox.timeline import ABOUT, SHOP, Timeline, short

FIRST_PERSON = 1001
"""Who is there when the chat page is opened for the first time."""
FIRST_GROUP = -1_001_000_000_001
"""Groups are numbered downwards from here: a supergroup's number begins with -100."""

_NEVER_REPLIED = {"setWebhook", "deleteWebhook", "close", "logOut"}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class TelegramSimulator:
    """A Telegram with one bot. ``app`` serves it; ``state`` and ``people`` are for tests and judges."""

    def __init__(
        self,
        bot_token: str,
        *,
        bot_username: str = "sandbox_vpn_bot",
        retry_scale: float = 1.0,
        answer_seconds: float = 10.0,
        links: dict[str, str] | None = None,
        kill_path: str = "",
        time_zone: str | None = None,
        clock: Clock = now,
        timeline: Timeline | None = None,
    ) -> None:
        """``answer_seconds``: how long a pre-checkout query waits for the bot.

        ``links``, and ``kill_path``, which kills the shop, are offered on the chat page, whose times are in
        ``time_zone``; the browser's own without one.
        """
        self._token = bot_token
        self._links = links or {}
        self._kill_path = kill_path
        self._time_zone = time_zone
        self.state = State(bot_token, bot_username, clock)
        self.timeline = timeline or Timeline(clock)
        self.limits = Limits()
        self.faults = FaultSwitches(_fault)
        self.delivery = Delivery(
            faults=self.faults,
            on_reply=self._carry_out,
            retry_scale=retry_scale,
            time_of_day=self.state.time,
            timeline=self.timeline,
        )
        self.people = People(self.state, self.delivery, answer_seconds=answer_seconds)
        self.methods = Methods(self.state, self.delivery, self.limits)
        self.app = self._make_app()

    def first_person(self) -> Person:
        """Anna, who keeps the shop."""
        return self.state.add_person(FIRST_PERSON, "Анна", username="anna")

    def _make_app(self) -> web.Application:
        noted = self.timeline.calls("Telegram", "/bot")
        app = web.Application(client_max_size=50 * 1024 * 1024, middlewares=[noted, _explain])
        self.faults.install(app)
        control = f"{CONTROL_PREFIX}/people/{{user_id}}"
        group = f"{CONTROL_PREFIX}/groups/{{chat_id}}"
        app.router.add_routes(
            [
                web.get("/", self._first_chat),
                web.get(r"/chat/{chat_id:-?\d{1,18}}", self._chat_page),
                web.get("/photo/{file_id}", self._photo),
                web.get("/document/{file_id}", self._document),
                web.get("/file/bot{token}/{file_id}", self._photo),
                web.post(f"{CONTROL_PREFIX}/people", self._add_person),
                web.post(f"{CONTROL_PREFIX}/groups", self._add_group),
                *(
                    route
                    for where in (control, f"{group}/people/{{user_id}}")
                    for route in (
                        web.post(f"{where}/send", self._do_send),
                        web.post(f"{where}/press", self._do_press),
                        web.post(f"{where}/{{what:block|unblock}}", self._do_block),
                    )
                ),
                web.post(f"{control}/callback", self._do_callback),
                web.post(f"{control}/pay", self._do_pay),
                web.post(f"{control}/deactivate", self._do_deactivate),
                web.get(f"{control}/messages", self._show_messages),
                web.get(f"{group}/messages", self._show_messages),
                web.get(f"{CONTROL_PREFIX}/calls", self._show_calls),
                web.get(f"{CONTROL_PREFIX}/charges", self._show_charges),
                web.get(f"{CONTROL_PREFIX}/unknown-parameters", self._show_unknown),
                web.post(f"{CONTROL_PREFIX}/limits", self._set_limits),
                web.post(f"{CONTROL_PREFIX}/notices/forge", self._forge),
                web.route("*", "/bot{token}/{method}", self._call),
            ]
        )
        app.cleanup_ctx.append(self._background)
        return app

    async def _background(self, _: web.Application) -> Any:
        await self.delivery.open()
        yield
        await self.delivery.close()

    async def _call(self, request: web.Request) -> web.Response:
        if request.match_info["token"] != self._token:
            return web.json_response(Refusal("Unauthorized", 401).body(), status=401)
        method = method_names().get(request.match_info["method"].lower())
        if method is None:
            return web.json_response(Refusal("Not Found", 404).body(), status=404)
        try:
            given = await parameters.of_request(request)
            request[ABOUT] = self._about(method, given)
            result = await self._run(method, given)
        except Refusal as refusal:
            headers = {"Retry-After": str(refusal.parameters["retry_after"])} if refusal.code == 429 else {}
            return web.json_response(refusal.body(), status=refusal.code, headers=headers)
        return web.json_response({"ok": True, "result": _public(result)})

    async def _run(self, method: str, given: dict[str, Any]) -> Any:
        """Check, carry out and note one call; raises Refusal."""
        noted = {name: value for name, value in given.items() if not isinstance(value, bytes)}
        try:
            known, unknown = checked(method, given)
            if unknown:
                self.state.unknown_parameters.append({"method": method, "parameters": unknown})
            if method == "getUpdates":
                result: Any = await self.delivery.poll(
                    known.get("offset", 0),
                    known.get("limit", 100),
                    known.get("timeout", 0),
                    known.get("allowed_updates"),
                )
            else:
                result = self.methods.call(method, known)
        except Refusal as refusal:
            self.state.note_call(method, noted, refusal.code, refusal.description)
            raise
        if method != "getUpdates":
            self.state.note_call(method, noted, 200, "")
        return result

    async def _carry_out(self, reply: dict[str, Any]) -> None:
        """A method call in the answer to an update: its result, and its refusal, go unseen."""
        method = method_names().get(str(reply.get("method", "")).lower())
        if method is None or method.startswith("get") or method in _NEVER_REPLIED:
            return
        given = {name: value for name, value in reply.items() if name != "method"}
        outcome = 200
        try:
            await self._run(method, given)
        except Refusal as refusal:
            outcome = refusal.code
        about = f"{self._about(method, given)} · в ответе на обновление"
        self.timeline.add("call", SHOP, "Telegram", about, str(outcome), is_good=outcome == 200)

    def _about(self, method: str, given: dict[str, Any]) -> str:
        """A call in a line: what, to whom, its first words."""
        number = str(given.get("chat_id", ""))
        chat = self.state.chat(int(number)) if number.lstrip("-").isdecimal() else None
        words = str(given.get("text") or given.get("caption") or "")
        parts = [method, chat.name if chat else "", short(words)]
        return " · ".join(part for part in parts if part)

    async def pay(self, person: Person, *, message_id: int | None = None, link: str = "") -> tuple[bool, str]:
        """Pay an invoice by its message, anybody's, or by its link; raises Refusal 404."""
        return await self.people.pay(person, self.invoice(message_id=message_id, link=link))

    def invoice(self, *, message_id: int | None = None, link: str = "") -> Invoice:
        slug = link.rpartition("$")[2]
        for person in self.state.people.values():
            if message_id is not None and message_id in person.messages:
                slug = person.messages[message_id].get("_slug", "")
        if slug not in self.state.invoices:
            raise Refusal("there is no such invoice", 404)
        return self.state.invoices[slug]

    async def _first_chat(self, _: web.Request) -> web.StreamResponse:
        if not self.state.people:
            self.first_person()
        raise web.HTTPFound(f"/chat/{next(iter(self.state.people))}")

    async def _chat_page(self, request: web.Request) -> web.Response:
        """A person's chat with the bot, or a group as its first member has it."""
        chat = self.state.chat(int(request.match_info["chat_id"]))
        if chat is None:  # a page of the sandbox before this one
            raise web.HTTPFound("/")
        group = chat if isinstance(chat, Group) else None
        person = group.members[0] if group else chat
        assert isinstance(person, Person)
        return render(
            "chat.html",
            chat=chat,
            group=group,
            person=person,
            people=list(self.state.people.values()),
            groups=list(self.state.groups.values()),
            bot=self.state.bot(),
            links=self._links,
            kill_path=self._kill_path,
            time_zone=self._time_zone,
            is_english=person.language_code == "en",
            now=self.state.time(),
            commands=self.state.commands.get(person.language_code) or self.state.commands.get("", []),
        )

    async def _photo(self, request: web.Request) -> web.Response:
        if request.match_info.get("token", self._token) != self._token:
            raise Refusal("Unauthorized", 401)
        picture = self.state.files.get(request.match_info["file_id"])
        if picture is None:
            return web.Response(status=404)
        return web.Response(body=picture, content_type="image/png")

    async def _document(self, request: web.Request) -> web.Response:
        content = self.state.files.get(request.match_info["file_id"])
        if content is None:
            return web.Response(status=404)
        return web.Response(body=content, content_type="application/octet-stream")

    async def _add_person(self, request: web.Request) -> web.Response:
        body = await request.json()
        user_id = int(body.get("user_id") or max([1000, *self.state.people]) + 1)
        person = self.state.add_person(
            user_id,
            str(body["first_name"]),
            username=body.get("username"),
            language_code=body.get("language_code", "ru"),
        )
        return web.json_response(person.user())

    async def _add_group(self, request: web.Request) -> web.Response:
        body = await request.json()
        owner = self.state.existing(int(body["user_id"]))
        chat_id = min([FIRST_GROUP + 1, *self.state.groups]) - 1
        group = self.state.add_group(chat_id, str(body["title"]), [owner])
        self.people.add_bot(owner, group)
        return web.json_response(group.chat())

    async def _do_send(self, request: web.Request) -> web.Response:
        body, where = await request.json(), self._group(request)
        reply_to = body.get("reply_to")
        message = self.people.send(self._person(request), str(body["text"]), to=where, reply_to=reply_to)
        return web.json_response(message)

    async def _do_press(self, request: web.Request) -> web.Response:
        body, where = await request.json(), self._group(request)
        opened = self.people.press(
            self._person(request), int(body["message_id"]), str(body["button"]), where=where
        )
        return web.json_response(opened or {})

    async def _do_callback(self, request: web.Request) -> web.Response:
        self.people.callback(self._person(request), str((await request.json())["data"]), None)
        return web.json_response({})

    async def _do_pay(self, request: web.Request) -> web.Response:
        body = await request.json()
        paid, said = await self.pay(
            self._person(request), message_id=body.get("message_id"), link=str(body.get("link", ""))
        )
        return web.json_response({"paid": paid, "said": said})

    async def _do_block(self, request: web.Request) -> web.Response:
        """Block the bot, or put it out of the group; or the other way round."""
        person, group = self._person(request), self._group(request)
        is_out = request.match_info["what"] == "block"
        if group is not None:
            (self.people.remove_bot if is_out else self.people.add_bot)(person, group)
        else:
            (self.people.block if is_out else self.people.unblock)(person)
        return web.json_response({"blocked": is_out})

    async def _do_deactivate(self, request: web.Request) -> web.Response:
        person = self._person(request)
        person.is_deactivated = True
        return web.json_response({"deactivated": True})

    async def _show_messages(self, request: web.Request) -> web.Response:
        """The chat; with ``version`` it waits a while for something newer than that."""
        chat = self._group(request) or self._person(request)
        seen = int(request.query.get("version", -1))
        for _ in range(100):
            if chat.version > seen:
                break
            await asyncio.sleep(0.1)
        return web.json_response(
            {
                "version": chat.version,
                "blocked": not chat.has_bot,
                "messages": [self._shown(message) for message in chat.messages.values()],
                "toasts": chat.toasts[-3:],
            }
        )

    def _shown(self, message: dict[str, Any]) -> dict[str, Any]:
        """A message for the page: invoice links carry what the invoice asks for."""
        shown: dict[str, Any] = _public(message)
        return shown | ({"pay_link": f"https://t.me/${message['_slug']}"} if "_slug" in message else {})

    async def _show_calls(self, request: web.Request) -> web.Response:
        return web.json_response(self.state.calls[int(request.query.get("since", 0)) :])

    async def _show_charges(self, _: web.Request) -> web.Response:
        return web.json_response([asdict(charge) for charge in self.state.charges])

    async def _show_unknown(self, _: web.Request) -> web.Response:
        return web.json_response(self.state.unknown_parameters)

    async def _set_limits(self, request: web.Request) -> web.Response:
        self.limits.are_on = bool((await request.json())["on"])
        return web.json_response({"on": self.limits.are_on})

    async def _forge(self, request: web.Request) -> web.Response:
        return web.json_response({"status": await self.delivery.forge(await request.read())})

    def _person(self, request: web.Request) -> Person:
        return self.state.existing(int(request.match_info["user_id"]))

    def _group(self, request: web.Request) -> Group | None:
        """The group that the call is about, if it is about one."""
        chat_id = request.match_info.get("chat_id")
        return None if chat_id is None else self.state.existing_group(int(chat_id))


async def run(port: int, bot_token: str) -> None:
    """Serve a Telegram alone until SIGTERM."""
    await serve_alone(TelegramSimulator(bot_token).app, port=port, ready="Telegram simulator ready at {url}")


@web.middleware
async def _explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Control calls that cannot be done say why."""
    try:
        return await handler(request)
    except web.HTTPNotFound:
        if not request.path.startswith("/bot"):
            raise
        return web.json_response(Refusal("Not Found", 404).body(), status=404)
    except Refusal as refusal:
        return web.json_response({"error": refusal.description}, status=refusal.code)
    except (KeyError, ValueError, TypeError) as error:
        return web.json_response({"error": repr(error)}, status=400)


def _fault(status: int) -> dict[str, Any]:
    return (too_many(1) if status == 429 else Refusal("Internal Server Error", status)).body()


def _public(result: Any) -> Any:
    """Without what is ours alone."""
    if isinstance(result, dict):
        return {name: _public(value) for name, value in result.items() if not name.startswith("_")}
    return [_public(item) for item in result] if isinstance(result, list) else result
