"""What the synthetic purchase needs, handed in by bootstrap."""

from dataclasses import dataclass

from getpro.bot.app import ShopBot
from getpro.sales.deps import Deps as Sales
from getpro.synthetic.phone import Phone
from getpro.synthetic.provider import SyntheticProvider


@dataclass(frozen=True, slots=True)
class Deps:
    """The shop once more, on tables of its own. Its bot writes to ``phone``, its queue has no workers."""

    sales: Sales
    bot: ShopBot
    phone: Phone
    provider: SyntheticProvider
    user_id: int
    """Of who buys; nobody in Telegram has it."""


def synthetic_user_id(bot_id: int) -> int:
    """Beyond what Telegram gives, which fits into 52 bits, and another one for each shop of a panel.

    Within 53 bits: the panel counts in JavaScript. Source: https://core.telegram.org/bots/api#user.
    """
    return 2**52 + bot_id
