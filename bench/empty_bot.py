"""``python -m bench.empty_bot PORT API_URL``: aiogram's own webhook handler around handlers that only answer.

The ceiling: nothing built on aiogram can be faster. A message is answered by one call, a button by two.
"""

import sys

import uvloop
from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.types import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message
from aiogram.webhook.aiohttp_server import SimpleRequestHandler
from aiohttp import web

BUTTONS = InlineKeyboardMarkup(
    inline_keyboard=[
        [
            InlineKeyboardButton(text="Menu", callback_data="go:menu"),
            InlineKeyboardButton(text="Plans", callback_data="go:plans"),
        ]
    ]
)


async def on_message(message: Message) -> None:
    await message.answer("Hello", reply_markup=BUTTONS)


async def on_button(query: CallbackQuery) -> None:
    assert isinstance(query.message, Message)
    await query.message.edit_text(f"You pressed {query.data}", reply_markup=BUTTONS)
    await query.answer()


def main(port: int, api_url: str) -> None:
    dispatcher = Dispatcher()
    dispatcher.message.register(on_message)
    dispatcher.callback_query.register(on_button)
    bot = Bot("1:bench", session=AiohttpSession(api=TelegramAPIServer.from_base(api_url)))
    app = web.Application()
    SimpleRequestHandler(dispatcher, bot).register(app, path="/webhooks/telegram")
    uvloop.install()
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
