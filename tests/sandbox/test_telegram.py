"""The simulated Telegram, judged by aiogram: its client sends every call, its types read every answer."""

import asyncio
import json
import re
import struct
import time
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramConflictError,
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.methods import SendMessage
from aiogram.types import (
    BotCommand,
    BufferedInputFile,
    ChatMemberBanned,
    ChatMemberLeft,
    ChatMemberMember,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LabeledPrice,
    MenuButtonCommands,
    Message,
    TransactionPartnerUser,
    Update,
)
from aiogram.webhook.aiohttp_server import SimpleRequestHandler
from aiohttp import web

from getpro.sandbox.serving import serving
from getpro.sandbox.telegram import TelegramSimulator
from getpro.sandbox.telegram.limits import GROUP_A_MINUTE
from getpro.sandbox.telegram.state import Group, Person
from waiting import until

TOKEN = "42:TEST"
ALICE, BOB = 101, 102
OPERATORS = -1001000000007


def png(width: int, height: int) -> bytes:
    """A grey picture."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)

    header = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress((b"\0" + b"\x80" * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


PICTURE = png(40, 30)


@dataclass
class Telegram:
    """The simulator, a bot that speaks to it, and raw HTTP for what aiogram would not send."""

    simulator: TelegramSimulator
    bot: Bot
    http: aiohttp.ClientSession
    url: str

    async def call(self, method: str, **given: Any) -> tuple[int, Any]:
        """A call as JSON; its status, and its result or its description."""
        return await self._answer(self.http.post(f"{self.url}/bot{TOKEN}/{method}", json=given))

    async def control(self, path: str, **body: Any) -> Any:
        async with self.http.post(f"{self.url}/_sandbox/{path}", json=body) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def listed(self, path: str) -> Any:
        async with self.http.get(f"{self.url}/_sandbox/{path}") as response:
            return await response.json()

    async def _answer(self, request: Any) -> tuple[int, Any]:
        async with request as response:
            body = await response.json()
        assert body["ok"] is (response.status == 200)
        assert body["ok"] or body["error_code"] == response.status
        return response.status, body["result"] if body["ok"] else body["description"]


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[Telegram]:
    simulator = TelegramSimulator(TOKEN, **({"retry_scale": 0.01} | settings))
    session = AiohttpSession()
    async with serving(simulator.app) as url, aiohttp.ClientSession() as http:
        session.api = TelegramAPIServer.from_base(url)
        yield Telegram(simulator, Bot(TOKEN, session), http, url)
        if session._session is not None:
            await session._session.close()  # aiogram's own close waits for TLS, which is not here


@pytest.fixture
async def telegram() -> AsyncIterator[Telegram]:
    async with running() as here:
        yield here


@pytest.fixture
async def alice(telegram: Telegram) -> Person:
    return started(telegram, ALICE, "Alice")


def started(telegram: Telegram, user_id: int, name: str) -> Person:
    """Somebody who has pressed Start; the update has been read by nobody."""
    person = telegram.simulator.state.add_person(user_id, name, username=name.lower())
    telegram.simulator.people.send(person, "/start ref_1")
    return person


def keyboard(**button: Any) -> dict[str, Any]:
    return {"inline_keyboard": [[button]]}


def buttons(*data: str) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(
        inline_keyboard=[[InlineKeyboardButton(text=item, callback_data=item)] for item in data]
    )


@dataclass
class Door:
    """A bot's webhook: keeps what came and answers as the test says."""

    answer: Callable[[dict[str, Any]], web.Response] = lambda _: web.Response()
    seen: list[dict[str, Any]] = field(default_factory=list)
    secrets: list[str | None] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    url: str = ""

    async def take(self, request: web.Request) -> web.Response:
        self.moments.append(time.monotonic())
        self.secrets.append(request.headers.get("X-Telegram-Bot-Api-Secret-Token"))
        self.seen.append(await request.json())
        return self.answer(self.seen[-1])

    def texts(self, user_id: int) -> list[str]:
        return [u["message"]["text"] for u in self.seen if u["message"]["chat"]["id"] == user_id]


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    here = Door()
    app = web.Application()
    app.router.add_post("/webhook", here.take)
    async with serving(app) as url:
        here.url = f"{url}/webhook"
        yield here


async def test_aiogram_understands_the_answer_of_every_method_that_is_played(
    telegram: Telegram, alice: Person, door: Door
) -> None:
    bot, simulator = telegram.bot, telegram.simulator
    simulator.limits.are_on = False
    assert (await bot.get_me()).username == "sandbox_vpn_bot"
    assert (await bot.get_chat(ALICE)).first_name == "Alice"
    assert await bot.set_my_commands([BotCommand(command="plans", description="Plans")], language_code="en")
    assert [c.command for c in await bot.get_my_commands(language_code="en")] == ["plans"]
    assert await bot.set_my_name("Shop")
    assert await bot.set_my_description("Sells")
    assert await bot.set_my_short_description("Sells")
    assert await bot.set_chat_menu_button(menu_button=MenuButtonCommands())
    assert await bot.send_chat_action(ALICE, "typing")

    sent = await bot.send_message(ALICE, "Menu", reply_markup=buttons("a"))
    assert await sent.edit_reply_markup(reply_markup=buttons("b"))
    edited = await bot.edit_message_text("Plans", chat_id=ALICE, message_id=sent.message_id)
    assert isinstance(edited, Message)
    assert (edited.text, edited.message_id, edited.reply_markup) == ("Plans", sent.message_id, None)
    assert await bot.delete_message(ALICE, sent.message_id)
    photo = await bot.send_photo(ALICE, BufferedInputFile(PICTURE, "qr.png"), caption="QR")
    assert photo.photo is not None
    captioned = await bot.edit_message_caption(chat_id=ALICE, message_id=photo.message_id, caption="Yours")
    assert isinstance(captioned, Message)
    assert captioned.caption == "Yours"
    assert (await bot.get_file(photo.photo[0].file_id)).file_size == len(PICTURE)
    file = await bot.send_document(ALICE, BufferedInputFile(b"closed", "copy.age"), caption="Copy")
    assert file.document is not None
    assert (file.document.file_name, file.document.file_size, file.caption) == ("copy.age", 6, "Copy")

    simulator.people.callback(alice, "a", None)
    query = (await bot.get_updates(offset=-1))[0].callback_query
    assert query is not None
    assert await bot.answer_callback_query(query.id, text="Done")

    price = [LabeledPrice(label="Month", amount=120)]
    invoice = await bot.send_invoice(ALICE, "Month", "30 days", "order-1", "XTR", price)
    assert invoice.invoice is not None
    assert invoice.invoice.total_amount == 120
    link = await bot.create_invoice_link("Month", "30 days", "order-2", "XTR", price)
    charge = await paid(telegram, alice, link)
    assert (await bot.get_my_star_balance()).amount == 120
    assert len((await bot.get_star_transactions()).transactions) == 1
    assert await bot.refund_star_payment(ALICE, charge)

    assert await bot.set_webhook(door.url, secret_token="s", allowed_updates=["message"])
    info = await bot.get_webhook_info()
    assert (info.url, info.allowed_updates) == (door.url, ["message"])
    assert await bot.delete_webhook()
    assert {c["method"] for c in simulator.state.calls if c["status"] == 200} == set(simulator.methods.played)
    assert simulator.state.unknown_parameters == []


async def paid(telegram: Telegram, person: Person, link: str) -> str:
    """Pay by the link while the bot, polling, allows it; return the charge's id."""
    paying = asyncio.create_task(telegram.simulator.pay(person, link=link))
    question = (await telegram.bot.get_updates(offset=-1, timeout=5))[0].pre_checkout_query
    while question is None:
        question = (await telegram.bot.get_updates(offset=-1, timeout=5))[0].pre_checkout_query
    assert await telegram.bot.answer_pre_checkout_query(question.id, ok=True)
    assert await paying == (True, "")
    message = (await telegram.bot.get_updates(offset=-1))[0].message
    assert message is not None
    assert message.successful_payment is not None
    assert message.successful_payment.currency == "XTR"
    return message.successful_payment.telegram_payment_charge_id


INVOICE: dict[str, Any] = {
    "title": "Month",
    "description": "30 days",
    "payload": "order-1",
    "currency": "XTR",
    "prices": [{"label": "Month", "amount": 120}],
}


@pytest.mark.parametrize(
    ("method", "given", "description"),
    [
        ("sendMessage", {}, "chat_id is empty"),
        ("sendMessage", {"chat_id": ALICE}, "message text is empty"),
        ("sendMessage", {"chat_id": ALICE, "text": " \n"}, "message text is empty"),
        ("sendMessage", {"chat_id": 999, "text": "Hi"}, "chat not found"),
        ("sendMessage", {"chat_id": ALICE, "text": "я" * 4097}, "message is too long"),
        (
            "sendMessage",
            {"chat_id": ALICE, "text": "Hi", "reply_markup": "{"},
            "can't parse reply keyboard markup JSON object",
        ),
        (
            "sendMessage",
            {"chat_id": ALICE, "text": "Hi", "reply_markup": 5},
            "object expected as reply markup",
        ),
        (
            "sendMessage",
            {"chat_id": ALICE, "text": "Hi", "reply_markup": keyboard(callback_data="a")},
            "can't parse inline keyboard button: Can't find field \"text\"",
        ),
        (
            "sendMessage",
            {"chat_id": ALICE, "text": "Hi", "reply_markup": keyboard(text=5, callback_data="a")},
            'can\'t parse inline keyboard button: Field "text" must be of type String',
        ),
        (
            "sendMessage",
            {"chat_id": ALICE, "text": "Hi", "reply_markup": keyboard(text="Buy")},
            "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
        ),
        (
            "sendMessage",
            {"chat_id": ALICE, "text": "Hi", "reply_markup": keyboard(text="Buy", callback_data="я" * 33)},
            "BUTTON_DATA_INVALID",
        ),
        ("sendMessage", {"chat_id": ALICE, "text": "Hi", "parse_mode": "BB"}, "unsupported parse_mode"),
        ("sendPhoto", {"chat_id": ALICE}, "there is no photo in the request"),
        (
            "sendPhoto",
            {"chat_id": ALICE, "photo": "nothing"},
            "wrong file identifier/HTTP URL specified",
        ),
        (
            "sendPhoto",
            {"chat_id": ALICE, "photo": "nothing", "caption": "я" * 1025},
            "message caption is too long",
        ),
        ("editMessageText", {"text": "Hi", "message_id": 1}, "chat_id is empty"),
        ("editMessageText", {"text": "Hi", "chat_id": ALICE}, "message identifier is not specified"),
        (
            "editMessageText",
            {"text": "Hi", "chat_id": ALICE, "message_id": 9999},
            "message to edit not found",
        ),
        ("deleteMessage", {"chat_id": ALICE, "message_id": 9999}, "message to delete not found"),
        (
            "answerCallbackQuery",
            {"callback_query_id": "1"},
            "query is too old and response timeout expired or query ID is invalid",
        ),
        (
            "answerPreCheckoutQuery",
            {"pre_checkout_query_id": "1", "ok": True},
            "query is too old and response timeout expired or query ID is invalid",
        ),
        (
            "answerPreCheckoutQuery",
            {"pre_checkout_query_id": "1", "ok": "maybe"},
            'parameter "ok" must be of type Boolean',
        ),
        ("createInvoiceLink", INVOICE | {"title": ""}, 'parameter "title" is required'),
        ("createInvoiceLink", INVOICE | {"title": "я" * 33}, "invoice title is too long"),
        ("createInvoiceLink", INVOICE | {"description": "я" * 256}, "invoice description is too long"),
        ("createInvoiceLink", INVOICE | {"payload": "я" * 65}, "INVOICE_PAYLOAD_INVALID"),
        ("createInvoiceLink", INVOICE | {"currency": "RUB"}, "CURRENCY_INVALID"),
        ("createInvoiceLink", INVOICE | {"provider_token": "1:T"}, "STARS_INVOICE_INVALID"),
        ("createInvoiceLink", INVOICE | {"prices": INVOICE["prices"] * 2}, "STARS_INVOICE_INVALID"),
        (
            "createInvoiceLink",
            INVOICE | {"prices": [{"label": "Month", "amount": 0}]},
            "CURRENCY_TOTAL_AMOUNT_INVALID",
        ),
        ("createInvoiceLink", INVOICE | {"prices": "["}, "can't parse prices JSON object"),
        ("createInvoiceLink", INVOICE | {"prices": {}}, "expected an Array of labeled prices"),
        (
            "createInvoiceLink",
            INVOICE | {"prices": [{"amount": 1}]},
            "can't parse labeled price: Can't find field \"label\"",
        ),
        (
            "createInvoiceLink",
            INVOICE | {"prices": [{"label": "Month", "amount": "many"}]},
            'can\'t parse labeled price: Field "amount" must be of type Number',
        ),
        (
            "sendInvoice",
            INVOICE | {"chat_id": ALICE, "reply_markup": keyboard(text="No", callback_data="no")},
            "REPLY_MARKUP_BUY_EMPTY",
        ),
        (
            "refundStarPayment",
            {"user_id": "Alice", "telegram_payment_charge_id": "1"},
            "invalid user_id specified",
        ),
        ("refundStarPayment", {"user_id": 999, "telegram_payment_charge_id": "1"}, "USER_ID_INVALID"),
        ("refundStarPayment", {"user_id": ALICE, "telegram_payment_charge_id": "1"}, "CHARGE_NOT_FOUND"),
        ("getFile", {"file_id": "nothing"}, "invalid file_id"),
        (
            "setWebhook",
            {"url": "http://127.0.0.1:1/", "secret_token": "a b"},
            "secret token contains unallowed characters",
        ),
        (
            "setWebhook",
            {"url": "http://127.0.0.1:1/", "secret_token": "a" * 257},
            "secret token is too long",
        ),
        (
            "setWebhook",
            {"url": "https://shop.example/"},
            "bad webhook: the sandbox talks to this machine only, not to 'shop.example'",
        ),
    ],
)
async def test_a_call_that_telegram_refuses_is_refused_in_its_words(
    telegram: Telegram, alice: Person, method: str, given: dict[str, Any], description: str
) -> None:
    assert await telegram.call(method, **given) == (400, f"Bad Request: {description}")
    assert len(alice.messages) == 1
    assert telegram.simulator.state.calls[-1]["status"] == 400


@pytest.mark.parametrize(
    ("html", "complaint"),
    [
        ("<b>bold", 'Can\'t find end tag corresponding to start tag "b"'),
        ("bold</b>", "Unexpected end tag at byte offset 4"),
        ("<b>я<i>!</b></i>", 'Unmatched end tag at byte offset 9, expected "</i>", found "</b>"'),
        ("я <font>red</font>", 'Unsupported start tag "font" at byte offset 3'),
        ("5 < 6", 'Unsupported start tag "" at byte offset 2'),
        ("<!-- no -->", 'Unsupported start tag "!--" at byte offset 0'),
        ("1 <b", "Unclosed start tag at byte offset 2"),
        ('<a href="x>y</a>', "Unclosed start tag at byte offset 0"),
        ("<b>x</b", "Unclosed end tag at byte offset 4"),
        ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
    ],
)
async def test_bad_html_is_refused_with_its_place(
    telegram: Telegram, alice: Person, html: str, complaint: str
) -> None:
    with pytest.raises(TelegramBadRequest, match="can't parse entities") as refused:
        await telegram.bot.send_message(ALICE, html, parse_mode="HTML")
    assert refused.value.message == f"Bad Request: can't parse entities: {complaint}"


async def test_html_becomes_text_and_entities_counted_as_telegram_counts(
    telegram: Telegram, alice: Person
) -> None:
    html = (
        '🎉 <b>Доступ <i>открыт</i></b> &lt;до&gt; AT&T &copy; <A href="https://t.me/x?a=1&amp;b=2">тут</a>'
    )
    sent = await telegram.bot.send_message(ALICE, html, parse_mode="HTML")
    assert sent.text == "🎉 Доступ открыт <до> AT&T &copy; тут"
    entities = [(e.type, e.extract_from(sent.text), e.url) for e in sent.entities or []]
    assert entities == [
        ("bold", "Доступ открыт", None),
        ("italic", "открыт", None),
        ("text_link", "тут", "https://t.me/x?a=1&b=2"),
    ]


async def test_every_tag_of_telegram_is_known(telegram: Telegram, alice: Person) -> None:
    plain = (
        "b",
        "strong",
        "i",
        "em",
        "u",
        "ins",
        "s",
        "strike",
        "del",
        "tg-spoiler",
        "code",
        "pre",
        "blockquote",
    )
    html = " ".join(f"<{tag}>x</{tag}>" for tag in plain)
    html += ' <span class="tg-spoiler">x</span> <tg-emoji emoji-id="5">x</tg-emoji>'
    html += " <blockquote expandable>x</blockquote>"
    sent = await telegram.bot.send_message(ALICE, html, parse_mode="HTML")
    assert len(sent.entities or []) == len(plain) + 3


async def test_texts_of_the_longest_length_are_taken(telegram: Telegram, alice: Person) -> None:
    text = await telegram.bot.send_message(ALICE, f"<b>{'я' * 4096}</b>", parse_mode="HTML")
    picture = BufferedInputFile(PICTURE, "qr.png")
    photo = await telegram.bot.send_photo(ALICE, picture, caption="я" * 1024)
    assert (len(text.text or ""), len(photo.caption or "")) == (4096, 1024)


async def test_unknown_parameters_are_accepted_and_listed_with_their_place(
    telegram: Telegram, alice: Person
) -> None:
    button = {"text": "Buy", "callback_data": "buy", "colour": "red"}
    status, sent = await telegram.call(
        "sendMessage", chat_id=ALICE, text="Hi", loud=True, reply_markup=keyboard(**button)
    )
    assert (status, sent["text"]) == (200, "Hi")
    assert (await telegram.call("createInvoiceLink", **INVOICE, start_parameter="x"))[0] == 200
    assert await telegram.listed("unknown-parameters") == [
        {"method": "sendMessage", "parameters": ["loud", "reply_markup.inline_keyboard.colour"]},
        {"method": "createInvoiceLink", "parameters": ["start_parameter"]},
    ]


async def test_parameters_come_as_json_form_query_or_multipart_and_the_case_of_a_method_is_all_one(
    telegram: Telegram, alice: Person
) -> None:
    given = {
        "chat_id": str(ALICE),
        "text": "Hi",
        "reply_markup": json.dumps(keyboard(text="A", url="tg://x")),
    }
    multipart = aiohttp.FormData(given, default_to_multipart=True)
    base = f"{telegram.url}/bot{TOKEN}"
    requests: list[Any] = [
        telegram.http.post(f"{base}/sendMessage", json=given),
        telegram.http.post(f"{base}/SENDMESSAGE", data=given),
        telegram.http.get(f"{base}/sendmessage", params=given),
        telegram.http.post(f"{base}/SendMessage", data=multipart),
        telegram.http.post(f"{base}/sendMessage", params={"chat_id": ALICE}, json={"text": "Hi"}),
    ]
    telegram.simulator.limits.are_on = False
    for request in requests:
        status, sent = await telegram._answer(request)
        assert (status, sent["text"], sent["chat"]["id"]) == (200, "Hi", ALICE)


@pytest.mark.parametrize("body", ["{", "[1]", '"text"'])
async def test_json_that_is_no_object_is_refused(telegram: Telegram, body: str) -> None:
    url = f"{telegram.url}/bot{TOKEN}/sendMessage"
    sending = telegram.http.post(url, data=body, headers={"Content-Type": "application/json"})
    assert await telegram._answer(sending) == (400, "Bad Request: JSON object expected")


async def test_a_bad_token_and_an_unknown_method_are_told_apart(telegram: Telegram) -> None:
    stranger = Bot("43:OTHER", telegram.bot.session)
    with pytest.raises(TelegramUnauthorizedError, match="Unauthorized"):
        await stranger.get_me()
    assert await telegram.call("sellEverything") == (404, "Not Found")
    for path in ("/bot42", f"/bot{TOKEN}", f"/bot{TOKEN}/get/Me"):
        assert await telegram._answer(telegram.http.get(telegram.url + path)) == (404, "Not Found")


async def test_a_method_or_feature_that_is_not_played_says_so(telegram: Telegram, alice: Person) -> None:
    status, said = await telegram.call("sendDice", chat_id=ALICE)
    assert (status, said) == (501, "Not Implemented: the simulator does not play sendDice")
    assert (await telegram.call("createInvoiceLink", **INVOICE, subscription_period=2592000))[0] == 501
    assert (await telegram.call("sendMessage", chat_id=ALICE, text="*Hi*", parse_mode="Markdown"))[0] == 501


async def test_a_button_brings_its_data_and_is_answered_once(telegram: Telegram, alice: Person) -> None:
    longest = "я" * 32  # 64 bytes
    sent = await telegram.bot.send_message(ALICE, "Menu", reply_markup=buttons("buy:1", longest))
    telegram.simulator.people.press(alice, sent.message_id, longest)
    update = (await telegram.bot.get_updates(offset=-1))[0]
    query = update.callback_query
    assert query is not None
    assert (query.data, query.from_user.id) == (longest, ALICE)
    assert isinstance(query.message, Message)
    assert query.message.message_id == sent.message_id
    await query.answer("Done", show_alert=True)
    assert [(toast["text"], toast["alert"]) for toast in alice.toasts] == [("Done", True)]
    with pytest.raises(TelegramBadRequest, match="query is too old"):
        await query.answer("Again")


async def test_a_link_button_opens_and_brings_nothing(telegram: Telegram, alice: Person) -> None:
    link = InlineKeyboardButton(text="Open", url="https://shop.example/")
    sent = await telegram.bot.send_message(
        ALICE, "Menu", reply_markup=InlineKeyboardMarkup(inline_keyboard=[[link]])
    )
    opened = telegram.simulator.people.press(alice, sent.message_id, "Open")
    assert opened == {"url": "https://shop.example/", "copy": None}
    assert (await telegram.bot.get_updates(offset=-1))[0].callback_query is None


async def test_an_edit_that_changes_nothing_is_refused_and_one_of_the_keyboard_alone_is_not(
    telegram: Telegram, alice: Person
) -> None:
    sent = await telegram.bot.send_message(ALICE, "<b>Menu</b>", parse_mode="HTML", reply_markup=buttons("a"))
    with pytest.raises(TelegramBadRequest) as refused:
        await sent.edit_text("<b>Menu</b>", parse_mode="HTML", reply_markup=buttons("a"))
    assert refused.value.message == (
        "Bad Request: message is not modified: specified new message content and reply markup are exactly"
        " the same as a current content and reply markup of the message"
    )
    changed = await sent.edit_text("<b>Menu</b>", parse_mode="HTML", reply_markup=buttons("b"))
    assert isinstance(changed, Message)
    assert changed.edit_date is not None
    with pytest.raises(TelegramBadRequest, match="message is not modified"):
        await sent.edit_reply_markup(reply_markup=buttons("b"))
    plain = await sent.edit_text("Menu", reply_markup=buttons("b"))
    assert isinstance(plain, Message)
    assert plain.entities is None


async def test_only_the_bots_own_messages_of_the_right_kind_are_edited(
    telegram: Telegram, alice: Person
) -> None:
    bot = telegram.bot
    hers = next(iter(alice.messages))
    with pytest.raises(TelegramBadRequest, match="message can't be edited"):
        await bot.edit_message_text("Mine", chat_id=ALICE, message_id=hers)
    text = await bot.send_message(ALICE, "Menu")
    photo = await bot.send_photo(ALICE, BufferedInputFile(PICTURE, "qr.png"))
    with pytest.raises(TelegramBadRequest, match="there is no text in the message to edit"):
        await photo.edit_text("Text")
    with pytest.raises(TelegramBadRequest, match="there is no caption in the message to edit"):
        await text.edit_caption(caption="Caption")
    assert await bot.delete_message(ALICE, hers)
    assert await text.delete()
    with pytest.raises(TelegramBadRequest, match="message to edit not found"):
        await text.edit_text("Gone")


async def test_a_photo_is_uploaded_downloaded_and_sent_again_by_its_id(
    telegram: Telegram, alice: Person
) -> None:
    sent = await telegram.bot.send_photo(
        ALICE, BufferedInputFile(PICTURE, "qr.png"), caption="<b>QR</b>", parse_mode="HTML"
    )
    assert sent.photo is not None
    file_id = sent.photo[-1].file_id
    downloaded = await telegram.bot.download(file_id)
    assert downloaded is not None
    assert downloaded.read() == PICTURE
    again = await telegram.bot.send_photo(ALICE, file_id)
    assert again.photo == sent.photo
    assert telegram.simulator.state.unknown_parameters == []
    lost = aiohttp.FormData({"chat_id": str(ALICE), "photo": "attach://lost"}, default_to_multipart=True)
    sending = telegram.http.post(f"{telegram.url}/bot{TOKEN}/sendPhoto", data=lost)
    assert await telegram._answer(sending) == (400, "Bad Request: wrong file identifier/HTTP URL specified")


@pytest.mark.parametrize(
    ("picture", "description"),
    [
        (b"%PDF-1.7 of many pages", "IMAGE_PROCESS_FAILED"),
        (PICTURE[:20], "IMAGE_PROCESS_FAILED"),
        (png(2100, 100), "PHOTO_INVALID_DIMENSIONS"),
        (png(5001, 5000), "PHOTO_INVALID_DIMENSIONS"),
        (PICTURE + bytes(10 * 1024 * 1024), "file is too big for a photo"),
    ],
)
async def test_what_is_no_photo_is_refused(
    telegram: Telegram, alice: Person, picture: bytes, description: str
) -> None:
    with pytest.raises(TelegramBadRequest, match=description):
        await telegram.bot.send_photo(ALICE, BufferedInputFile(picture, "chart.png"))
    assert len(alice.messages) == 1


@pytest.mark.parametrize(("size", "shown"), [((1080, 540), (1080, 540)), ((2560, 1000), (1280, 500))])
async def test_a_photo_has_its_own_size_and_a_large_one_is_made_smaller(
    telegram: Telegram, alice: Person, size: tuple[int, int], shown: tuple[int, int]
) -> None:
    sent = await telegram.bot.send_photo(ALICE, BufferedInputFile(png(*size), "chart.png"))
    assert sent.photo is not None
    assert (sent.photo[-1].width, sent.photo[-1].height) == shown


async def invoice_link(telegram: Telegram, payload: str, stars: int = 120) -> str:
    price = [LabeledPrice(label="Month", amount=stars)]
    return await telegram.bot.create_invoice_link(
        "Month", "30 days", payload, "XTR", price, provider_token=""
    )


async def test_stars_go_from_a_link_by_the_bots_consent_to_a_payment_and_back(
    telegram: Telegram, alice: Person
) -> None:
    bot = telegram.bot
    link = await invoice_link(telegram, "order-1")
    assert link.startswith("https://t.me/$")
    first = await paid(telegram, alice, link)
    second = await paid(telegram, alice, await invoice_link(telegram, "order-2", stars=300))
    assert await bot.refund_star_payment(ALICE, first)
    refund = (await bot.get_updates(offset=-1))[0].message
    assert refund is not None
    assert refund.refunded_payment is not None
    assert (refund.refunded_payment.invoice_payload, refund.refunded_payment.total_amount) == ("order-1", 120)
    with pytest.raises(TelegramBadRequest, match="CHARGE_ALREADY_REFUNDED"):
        await bot.refund_star_payment(ALICE, first)

    rows = (await bot.get_star_transactions()).transactions
    assert [(row.id, row.amount) for row in rows] == [(first, 120), (second, 300), (first, 120)]
    assert [row.date for row in rows] == sorted(row.date for row in rows)
    assert [row.receiver is None for row in rows] == [True, True, False]
    assert isinstance(rows[1].source, TransactionPartnerUser)
    assert (rows[1].source.user.id, rows[1].source.invoice_payload) == (ALICE, "order-2")
    page = (await bot.get_star_transactions(offset=1, limit=1)).transactions
    assert [row.id for row in page] == [second]
    assert (await bot.get_my_star_balance()).amount == 300
    assert [charge["is_refunded"] for charge in await telegram.listed("charges")] == [True, False]


async def test_a_refused_pre_checkout_takes_nothing_and_shows_the_reason(
    telegram: Telegram, alice: Person
) -> None:
    price = [LabeledPrice(label="Month", amount=120)]
    sent = await telegram.bot.send_invoice(ALICE, "Month", "30 days", "order-1", "XTR", price)
    bob = started(telegram, BOB, "Bob")  # a forwarded invoice can be paid by anybody
    paying = asyncio.create_task(telegram.simulator.pay(bob, message_id=sent.message_id))
    await until(lambda: telegram.simulator.delivery.pending == 3)
    question = (await telegram.bot.get_updates(offset=-1))[0].pre_checkout_query
    assert question is not None
    assert (question.from_user.id, question.invoice_payload) == (BOB, "order-1")
    assert (question.currency, question.total_amount) == ("XTR", 120)
    await question.answer(ok=False, error_message="This is the invoice of somebody else")
    assert await paying == (False, "This is the invoice of somebody else")
    with pytest.raises(TelegramBadRequest, match="query is too old"):
        await question.answer(ok=True)
    assert telegram.simulator.state.charges == []


async def test_a_pre_checkout_that_is_not_answered_in_time_is_over() -> None:
    async with running(answer_seconds=0.05) as telegram:
        alice = started(telegram, ALICE, "Alice")
        was_paid, _ = await telegram.simulator.pay(alice, link=await invoice_link(telegram, "order-1"))
        question = (await telegram.bot.get_updates(offset=-1))[0].pre_checkout_query
        assert question is not None
        with pytest.raises(TelegramBadRequest, match="query is too old and response timeout expired"):
            await question.answer(ok=True)
        assert not was_paid
        assert telegram.simulator.state.charges == []


def test_a_bot_has_ten_seconds_for_a_pre_checkout() -> None:
    assert TelegramSimulator(TOKEN).people._answer_seconds == 10


async def test_a_chat_takes_a_burst_of_three_and_then_one_a_second(telegram: Telegram, alice: Person) -> None:
    started(telegram, BOB, "Bob")
    for number in range(3):
        await telegram.bot.send_message(ALICE, f"{number}")
    with pytest.raises(TelegramRetryAfter, match="Too Many Requests: retry after 1") as refused:
        await telegram.bot.send_message(ALICE, "4")
    assert refused.value.retry_after == 1
    await telegram.bot.send_message(BOB, "Hi")
    await asyncio.sleep(refused.value.retry_after)
    await telegram.bot.send_message(ALICE, "5")
    with pytest.raises(TelegramRetryAfter):
        await telegram.bot.send_message(ALICE, "6")
    texts = [m["text"] for m in alice.messages.values() if m["from"]["is_bot"]]
    assert texts == ["0", "1", "2", "5"]


async def test_thirty_messages_a_second_in_all(telegram: Telegram) -> None:
    people = [started(telegram, number, f"Client {number}").user_id for number in range(2000, 2060)]
    began = time.monotonic()
    answers = await asyncio.gather(*(telegram.call("sendMessage", chat_id=n, text="Hi") for n in people))
    seconds = time.monotonic() - began
    sent = [status for status, _ in answers].count(200)
    assert {status for status, _ in answers} == {200, 429}
    assert 30 <= sent <= 30 + 30 * seconds
    await telegram.control("limits", on=False)
    assert (await telegram.call("sendMessage", chat_id=people[0], text="Hi"))[0] == 200


async def test_a_blocked_bot_is_told_refused_and_heard_again(telegram: Telegram, alice: Person) -> None:
    await telegram.control(f"people/{ALICE}/block")
    blocked = (await telegram.bot.get_updates(offset=-1))[0].my_chat_member
    assert blocked is not None
    assert isinstance(blocked.old_chat_member, ChatMemberMember)
    assert isinstance(blocked.new_chat_member, ChatMemberBanned)
    with pytest.raises(TelegramForbiddenError, match="Forbidden: bot was blocked by the user"):
        await telegram.bot.send_message(ALICE, "Hi")
    telegram.simulator.people.send(alice, "/start")
    back = [update.my_chat_member for update in await telegram.bot.get_updates(offset=-2)]
    assert back[0] is not None
    assert isinstance(back[0].new_chat_member, ChatMemberMember)
    await telegram.bot.send_message(ALICE, "Hi")
    await telegram.control(f"people/{ALICE}/deactivate")
    with pytest.raises(TelegramForbiddenError, match="Forbidden: user is deactivated"):
        await telegram.bot.send_message(ALICE, "Hi")


@pytest.fixture
def operators(telegram: Telegram, alice: Person) -> Group:
    """Alice's group with the bot in it; nobody has read yet what the bot was told of that."""
    group = telegram.simulator.state.add_group(OPERATORS, "Operators", [alice])
    telegram.simulator.people.add_bot(alice, group)
    return group


async def test_a_bot_is_told_that_it_was_put_into_a_group_out_of_it_and_back(
    telegram: Telegram, alice: Person, operators: Group
) -> None:
    telegram.simulator.people.remove_bot(alice, operators)
    telegram.simulator.people.remove_bot(alice, operators)  # it is out already
    telegram.simulator.people.add_bot(alice, operators)
    updates = await telegram.bot.get_updates()
    changes = [update.my_chat_member for update in updates if update.my_chat_member]
    assert {(change.chat.id, change.chat.type, change.chat.title) for change in changes} == {
        (OPERATORS, "supergroup", "Operators")
    }
    assert {change.from_user.id for change in changes} == {ALICE}
    assert [(type(change.old_chat_member), type(change.new_chat_member)) for change in changes] == [
        (ChatMemberLeft, ChatMemberMember),
        (ChatMemberMember, ChatMemberBanned),
        (ChatMemberBanned, ChatMemberMember),
    ]
    said = [update.message for update in updates if update.message and update.message.chat.id == OPERATORS]
    assert [(bool(m.new_chat_members), m.left_chat_member is not None) for m in said] == [
        (True, False),
        (False, True),
        (True, False),
    ]


async def test_a_group_is_written_to_shown_pictures_and_edited_until_the_bot_is_put_out(
    telegram: Telegram, alice: Person, operators: Group
) -> None:
    bot = telegram.bot
    chat = await bot.get_chat(OPERATORS)
    assert (chat.type, chat.title) == ("supergroup", "Operators")
    report = await bot.send_message(OPERATORS, "<b>All is well</b>", parse_mode="HTML")
    assert (report.chat.id, report.chat.title) == (OPERATORS, "Operators")
    chart = await bot.send_photo(OPERATORS, BufferedInputFile(png(1080, 600), "week.png"), caption="Week")
    assert chart.photo is not None
    async with telegram.http.get(f"{telegram.url}/photo/{chart.photo[-1].file_id}") as response:
        assert (response.content_type, await response.read()) == ("image/png", png(1080, 600))
    assert await report.edit_text("All was well")
    hers = telegram.simulator.people.send(alice, "thanks", to=operators)
    with pytest.raises(TelegramBadRequest, match="message can't be deleted"):
        await bot.delete_message(OPERATORS, hers["message_id"])
    assert await chart.delete()
    assert [m.get("text") for m in operators.messages.values()] == [None, "All was well", "thanks"]
    assert [m.get("text") for m in alice.messages.values()] == ["/start ref_1"]
    telegram.simulator.people.remove_bot(alice, operators)
    with pytest.raises(TelegramForbiddenError, match="Forbidden: bot was kicked from the supergroup chat"):
        await bot.send_message(OPERATORS, "Still there?")
    with pytest.raises(TelegramBadRequest, match="chat not found"):
        await bot.send_message(OPERATORS - 1, "Anybody?")
    assert telegram.simulator.state.unknown_parameters == []


async def test_of_a_group_a_bot_hears_its_commands_and_the_buttons_and_nothing_else(
    telegram: Telegram, alice: Person, operators: Group
) -> None:
    people = telegram.simulator.people
    said = ("good morning", "/admin", "/admin@sandbox_vpn_bot now", "/admin@another_bot", "@sandbox_vpn_bot")
    for text in said:
        people.send(alice, text, to=operators)
    sent = await telegram.bot.send_message(OPERATORS, "Incident", reply_markup=buttons("take"))
    people.press(alice, sent.message_id, "take", where=operators)
    updates = await telegram.bot.get_updates()
    heard = [u.message for u in updates if u.message and u.message.chat.id == OPERATORS and u.message.text]
    assert [(m.text, m.from_user and m.from_user.id) for m in heard] == [
        ("/admin", ALICE),
        ("/admin@sandbox_vpn_bot now", ALICE),
    ]
    assert [entity.extract_from(m.text or "") for m in heard for entity in m.entities or []] == [
        "/admin",
        "/admin@sandbox_vpn_bot",
    ]
    query = updates[-1].callback_query
    assert query is not None
    assert (query.data, query.from_user.id) == ("take", ALICE)
    assert query.message is not None
    assert query.message.chat.id == OPERATORS
    assert await telegram.bot.answer_callback_query(query.id, text="Taken")
    assert ([toast["text"] for toast in operators.toasts], alice.toasts) == (["Taken"], [])


async def test_to_a_group_only_its_members_write(telegram: Telegram, operators: Group) -> None:
    bob = started(telegram, BOB, "Bob")
    friends = await telegram.control("groups", title="Friends", user_id=BOB)
    assert friends == {"id": OPERATORS - 1, "type": "supergroup", "title": "Friends"}
    for what, body in (
        ("send", {"text": "hello"}),
        ("press", {"message_id": 1, "button": "a"}),
        ("block", {}),
    ):
        path = f"{telegram.url}/_sandbox/groups/{OPERATORS}/people/{BOB}/{what}"
        async with telegram.http.post(path, json=body) as response:
            assert response.status == 403
            assert await response.json() == {"error": "they are no member of this group"}
    await telegram.control(f"groups/{friends['id']}/people/{BOB}/send", text="hello")
    await telegram.control(f"groups/{friends['id']}/people/{BOB}/block")
    shown = await telegram.listed(f"groups/{friends['id']}/messages")
    assert shown["blocked"]
    assert [m.get("text") for m in shown["messages"]] == [None, "hello", None]
    assert await telegram.listed("groups/-7/messages") == {"error": "no such group"}
    assert [m["text"] for m in bob.messages.values()] == ["/start ref_1"]


async def test_a_group_takes_twenty_messages_a_minute(
    telegram: Telegram, operators: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    monkeypatch.setattr("getpro.sandbox.telegram.limits.time", SimpleNamespace(monotonic=lambda: now))
    for _ in range(GROUP_A_MINUTE):
        await telegram.bot.send_message(OPERATORS, "Report")
    with pytest.raises(TelegramRetryAfter) as refused:
        await telegram.bot.send_message(OPERATORS, "One more")
    assert refused.value.retry_after == 3
    now += 3
    await telegram.bot.send_message(OPERATORS, "One more")
    with pytest.raises(TelegramRetryAfter):
        await telegram.bot.send_message(OPERATORS, "And one more")


async def test_polling_gives_the_same_updates_until_an_offset_confirms_them(
    telegram: Telegram, alice: Person
) -> None:
    for text in ("one", "two", "three"):
        telegram.simulator.people.send(alice, text)
    bot = telegram.bot
    updates = await bot.get_updates()
    assert await bot.get_updates() == updates
    assert texts_of(updates) == ["/start ref_1", "one", "two", "three"]
    assert updates[0].message is not None
    assert updates[0].message.entities is not None
    assert [(e.type, e.offset, e.length) for e in updates[0].message.entities] == [("bot_command", 0, 6)]
    assert texts_of(await bot.get_updates(offset=updates[1].update_id + 1, limit=1)) == ["two"]
    assert texts_of(await bot.get_updates(limit=0)) == ["two"]
    assert texts_of(await bot.get_updates(offset=-1)) == ["three"]
    assert await bot.get_updates(offset=updates[-1].update_id + 1) == []


def texts_of(updates: list[Update]) -> list[str | None]:
    return [update.message.text if update.message else None for update in updates]


async def test_long_polling_waits_for_something_and_not_longer(telegram: Telegram, alice: Person) -> None:
    newest = (await telegram.bot.get_updates())[-1].update_id
    began = time.monotonic()
    assert await telegram.bot.get_updates(offset=newest + 1, timeout=1) == []
    assert 1 <= time.monotonic() - began < 5
    waiting = asyncio.create_task(telegram.bot.get_updates(timeout=50))
    await asyncio.sleep(0.05)
    telegram.simulator.people.send(alice, "now")
    assert texts_of(await asyncio.wait_for(waiting, 5)) == ["now"]


async def test_kinds_of_updates_that_were_not_asked_for_do_not_come(
    telegram: Telegram, alice: Person
) -> None:
    await telegram.bot.get_updates(offset=-1, allowed_updates=["callback_query"])
    telegram.simulator.people.send(alice, "unheard")
    telegram.simulator.people.callback(alice, "heard", None)
    assert (await telegram.bot.get_updates(offset=-1))[0].callback_query is not None
    assert "unheard" not in texts_of(await telegram.bot.get_updates())


async def test_a_second_poller_ends_the_first(telegram: Telegram) -> None:
    first = asyncio.create_task(telegram.bot.get_updates(timeout=50))
    await until(lambda: telegram.simulator.delivery._poller == 1)
    second = asyncio.create_task(telegram.bot.get_updates(timeout=50))
    only_one = "terminated by other getUpdates request; make sure that only one bot instance is running"
    with pytest.raises(TelegramConflictError, match=f"Conflict: {only_one}"):
        await asyncio.wait_for(first, 5)
    started(telegram, ALICE, "Alice")
    assert texts_of(await asyncio.wait_for(second, 5)) == ["/start ref_1"]


async def test_a_webhook_ends_polling_and_forbids_it(telegram: Telegram, door: Door) -> None:
    polling = asyncio.create_task(telegram.bot.get_updates(timeout=50))
    await until(lambda: telegram.simulator.delivery._poller == 1)
    await telegram.bot.set_webhook(door.url)
    with pytest.raises(TelegramConflictError, match="Conflict: terminated by setWebhook request"):
        await asyncio.wait_for(polling, 5)
    with pytest.raises(TelegramConflictError) as refused:
        await telegram.bot.get_updates()
    assert refused.value.message == (
        "Conflict: can't use getUpdates method while webhook is active;"
        " use deleteWebhook to delete the webhook first"
    )
    await telegram.bot.set_webhook("")  # no address takes it away
    assert await telegram.bot.get_updates() == []


async def test_a_webhook_gets_what_waited_with_its_secret_and_in_order(
    telegram: Telegram, alice: Person, door: Door
) -> None:
    telegram.simulator.people.send(alice, "one")
    await telegram.bot.set_webhook(door.url, secret_token="Se-cret_1")
    telegram.simulator.people.send(alice, "two")
    await until(lambda: len(door.seen) == 3)
    assert door.texts(ALICE) == ["/start ref_1", "one", "two"]
    assert set(door.secrets) == {"Se-cret_1"}
    assert [Update.model_validate(update) for update in door.seen]
    assert (await telegram.bot.get_webhook_info()).pending_update_count == 0


async def test_pending_updates_are_dropped_on_request(telegram: Telegram, alice: Person, door: Door) -> None:
    await telegram.bot.set_webhook(door.url, drop_pending_updates=True)
    telegram.simulator.people.send(alice, "new")
    await until(lambda: door.seen)
    assert door.texts(ALICE) == ["new"]
    door.answer = lambda _: web.Response(status=500)
    telegram.simulator.people.send(alice, "old")
    await telegram.bot.delete_webhook(drop_pending_updates=True)
    assert await telegram.bot.get_updates() == []


async def test_an_update_that_failed_holds_up_its_own_chat_only(
    telegram: Telegram, alice: Person, door: Door
) -> None:
    bob = started(telegram, BOB, "Bob")
    failures = iter([302, 404, 500])

    def fail(update: dict[str, Any]) -> web.Response:
        if update["message"]["text"] != "poison":
            return web.Response(status=204)
        return web.Response(status=next(failures, 200), headers={"Location": f"{telegram.url}/"})

    door.answer = fail
    await telegram.bot.set_webhook(door.url, drop_pending_updates=True)
    for text in ("poison", "after"):
        telegram.simulator.people.send(alice, text)
    telegram.simulator.people.send(bob, "unharmed")
    await until(lambda: "after" in door.texts(ALICE))
    assert door.texts(ALICE) == ["poison"] * 4 + ["after"]
    assert door.texts(BOB) == ["unharmed"]
    came = [update["message"]["text"] for update in door.seen]
    assert came.index("unharmed") < came.index("after")
    info = await telegram.bot.get_webhook_info()
    assert info.last_error_message == "Wrong response from the webhook: 500 Internal Server Error"


async def test_a_failed_update_is_repeated_at_once_then_after_doubling_pauses(door: Door) -> None:
    door.answer = lambda _: web.Response(status=503 if len(door.seen) < 5 else 200)
    async with running(retry_scale=0.2) as telegram:
        started(telegram, ALICE, "Alice")
        await telegram.bot.set_webhook(door.url)
        await until(lambda: len(door.seen) == 5)
    at_once, *pauses = (b - a for a, b in zip(door.moments, door.moments[1:], strict=False))
    assert at_once < 0.2
    assert all(pause >= least for pause, least in zip(pauses, (0.2, 0.4, 0.8), strict=True))


async def test_a_bot_may_ask_for_the_pause(telegram: Telegram, alice: Person, door: Door) -> None:
    door.answer = lambda _: web.Response(status=200 if door.seen[1:] else 503, headers={"Retry-After": "20"})
    await telegram.bot.set_webhook(door.url)
    await until(lambda: len(door.seen) == 2)
    assert door.moments[1] - door.moments[0] >= 0.2  # twenty seconds on a clock a hundred times faster


async def test_a_webhook_that_is_set_anew_is_tried_at_once(door: Door) -> None:
    async with running(retry_scale=1000) as telegram:
        started(telegram, ALICE, "Alice")
        door.answer = lambda _: web.Response(status=200 if len(door.seen) > 2 else 500)
        await telegram.bot.set_webhook(door.url)
        await until(lambda: len(door.seen) == 2)
        await telegram.bot.set_webhook(door.url)
        await until(lambda: len(door.seen) == 3)


async def test_a_call_in_the_answer_to_an_update_is_carried_out(
    telegram: Telegram, alice: Person, door: Door
) -> None:
    replies: dict[str, dict[str, Any]] = {
        "json": {"method": "sendmessage", "chat_id": ALICE, "text": "by JSON"},
        "refused": {"method": "sendMessage", "chat_id": 999, "text": "nobody"},
        "ignored": {"method": "deleteWebhook"},
        "asking": {"method": "getMe"},
        "last": {"method": "sendMessage", "chat_id": ALICE, "text": "the end"},
    }
    door.answer = lambda update: web.json_response(replies[update["message"]["text"]])
    await telegram.bot.set_webhook(door.url, drop_pending_updates=True)
    for text in replies:
        telegram.simulator.people.send(alice, text)
    await until(lambda: newest_text(alice) == "the end")
    texts = [m["text"] for m in alice.messages.values() if m["from"]["is_bot"]]
    assert texts == ["by JSON", "the end"]
    assert (await telegram.bot.get_webhook_info()).url == door.url
    assert [call["method"] for call in telegram.simulator.state.calls if call["status"] == 400] == [
        "sendMessage"
    ]


def newest_text(person: Person) -> Any:
    return list(person.messages.values())[-1].get("text")


async def test_aiograms_own_webhook_server_is_served_and_understood(
    telegram: Telegram, alice: Person
) -> None:
    dispatcher = Dispatcher()

    @dispatcher.message()
    async def greet(message: Message) -> SendMessage:
        return SendMessage(chat_id=message.chat.id, text=f"Hello, {message.text}")  # goes as multipart

    app = web.Application()
    handler = SimpleRequestHandler(dispatcher, telegram.bot, handle_in_background=False, secret_token="s")
    app.router.add_post("/webhook", handler.handle)
    async with serving(app) as url:
        await telegram.bot.set_webhook(f"{url}/webhook", secret_token="s", drop_pending_updates=True)
        telegram.simulator.people.send(alice, "world")
        await until(lambda: newest_text(alice) == "Hello, world")
        forged = await telegram.control("notices/forge", update_id=1)
        assert forged == {"status": 401}


async def test_trouble_is_switched_on_and_off_by_http(telegram: Telegram, alice: Person, door: Door) -> None:
    bot = telegram.bot
    await telegram.control("faults", too_many_requests_rate=1)
    with pytest.raises(TelegramRetryAfter) as refused:
        await bot.get_me()
    assert refused.value.retry_after == 1
    await telegram.control("faults", too_many_requests_rate=0, error_rate=1, error_status=502)
    with pytest.raises(TelegramServerError, match="Internal Server Error"):
        await bot.get_me()
    await telegram.control("faults", error_rate=0, away=True, only="sendMessage")
    with pytest.raises(TelegramNetworkError):
        await bot.send_message(ALICE, "Hi")
    assert (await bot.get_me()).id == 42
    await telegram.control("faults", away=False, lose_answer_rate=1)
    with pytest.raises(TelegramNetworkError):
        await bot.send_message(ALICE, "done, though nobody knows")
    assert newest_text(alice) == "done, though nobody knows"
    await telegram.control("faults", slow_seconds=0.2, lose_answer_rate=0)
    began = time.monotonic()
    await bot.send_message(ALICE, "slow")
    assert time.monotonic() - began >= 0.2
    async with telegram.http.delete(f"{telegram.url}/_sandbox/faults") as response:
        assert (await response.json())["slow_seconds"] == 0
    async with telegram.http.post(f"{telegram.url}/_sandbox/faults", json={"error_rate": 2}) as response:
        assert response.status == 400


async def test_updates_are_doubled_or_lost_on_request(telegram: Telegram, alice: Person, door: Door) -> None:
    await telegram.bot.set_webhook(door.url, drop_pending_updates=True)
    await telegram.control("faults", notice_copies=3)
    telegram.simulator.people.send(alice, "three times")
    await telegram.control("faults", notice_copies=1, notices_lost_rate=1)
    telegram.simulator.people.send(alice, "never")
    await telegram.control("faults", notices_lost_rate=0)
    telegram.simulator.people.send(alice, "once")
    await until(lambda: "once" in door.texts(ALICE))
    assert door.texts(ALICE) == ["three times"] * 3 + ["once"]
    assert len({update["update_id"] for update in door.seen}) == 2


async def test_tests_play_people_by_http_alone(telegram: Telegram) -> None:
    await telegram.control("people", user_id=BOB, first_name="Bob", language_code="en")
    await telegram.control(f"people/{BOB}/send", text="/start")
    sent = await telegram.bot.send_message(BOB, "Menu", reply_markup=buttons("buy"))
    await telegram.control(f"people/{BOB}/press", message_id=sent.message_id, button="buy")
    await telegram.control(f"people/{BOB}/callback", data="from nowhere")
    data = [u.callback_query.data for u in await telegram.bot.get_updates() if u.callback_query]
    assert data == ["buy", "from nowhere"]
    chat = await telegram.listed(f"people/{BOB}/messages")
    assert [message.get("text") for message in chat["messages"]] == ["/start", "Menu"]
    assert [call["method"] for call in await telegram.listed("calls")] == ["sendMessage"]
    assert await telegram.listed("people/7/messages") == {"error": "no such person"}


async def test_the_chat_page_offers_each_command_once_in_the_persons_language(
    telegram: Telegram, alice: Person
) -> None:
    async def offered(person: Person) -> list[str]:
        async with telegram.http.get(f"{telegram.url}/chat/{person.user_id}") as response:
            return re.findall(r'<button data-command="[^"]+">([^<]+)</button>', await response.text())

    bob = telegram.simulator.state.add_person(BOB, "Bob", language_code="en")
    assert await offered(alice) == ["/start"]  # the bot has named none yet
    menu = [BotCommand(command="start", description="Menu"), BotCommand(command="plans", description="Buy")]
    await telegram.bot.set_my_commands(menu)
    russian = [BotCommand(command="start", description="Меню")]
    await telegram.bot.set_my_commands(russian, language_code="ru")
    assert await offered(alice) == ["/start — Меню"]
    assert await offered(bob) == ["/start — Menu", "/plans — Buy"]


async def test_a_forged_update_is_sent_without_the_secret_and_its_answer_told(
    telegram: Telegram, door: Door
) -> None:
    await telegram.bot.set_webhook(door.url, secret_token="secret")
    door.answer = lambda _: web.Response(status=401)
    assert await telegram.control("notices/forge", update_id=1) == {"status": 401}
    assert (door.seen, door.secrets) == ([{"update_id": 1}], ["forged"])
    await telegram.bot.set_webhook("http://127.0.0.1:9/")
    assert await telegram.control("notices/forge", update_id=1) == {"status": None}
