"""What nothing else has understood: a text, an old button."""

from aiogram import F, Router
from aiogram.methods import TelegramMethod
from aiogram.types import CallbackQuery, Message

from getpro.bot.context import Context
from getpro.bot.handlers import trouble
from getpro.bot.handlers.buying import EmailFor, Instead, Ordered, show_new_order, take_email
from getpro.bot.handlers.start import menu_screen
from getpro.bot.showing import say, show
from getpro.bot.turn import Turn

router = Router(name="other")


@router.message(~F.successful_payment, ~F.refunded_payment)
async def text(message: Message, turn: Turn, context: Context) -> TelegramMethod[Message] | None:
    """A message answers the question that was asked last, if any; else the menu says what can be done."""
    async with turn.begin("text") as session:
        asked = EmailFor.parse(turn.customer.dialog)
        if turn.customer.dialog == trouble.DIALOG:
            said = message.text or message.caption or ""
            result: Ordered | Instead = Instead(await trouble.take_words(session, said, turn, context))
        elif asked is None:
            result = Instead(await menu_screen(session, turn, context, is_lost=True))
        else:
            result = await take_email(session, message.text or "", asked, turn, context)
    if isinstance(result, Instead):
        return say(message, result.screen)
    await show_new_order(message.chat.id, result.payment, turn, context)
    return None


@router.callback_query()
async def old_button(query: CallbackQuery, turn: Turn, context: Context) -> TelegramMethod[bool]:
    """A button of a version that is gone opens the present state."""
    async with turn.look("old button") as session:
        screen = await menu_screen(session, turn, context)
        t = context.texts(turn.customer)
    return await show(query, screen, t("screen-old"))
