"""What can go wrong when something is sold, as types.

SaleError
├── UnknownProvider     the way to pay is switched off
├── UnknownEvent        there is no such notice in the inbox
├── EmailNeeded         a receipt must be sent and we have no address
├── TrialUsed           the only trial has been had, or the customer has a subscription
├── CannotResolve       the operator asked for something that does not fit the entry
├── CannotRefund        the money cannot be given back, or not in this way
├── CustomerBlocked     an operator has shut the customer out
├── ShopClosed          people work on the shop: nothing new is sold
├── WayClosed           no new payments are begun in this way
├── ShopHeld            the database was brought back, and its books are not whole yet
├── RestoreBusy         another process is at the books of a restored database
├── NotAllowed          whoever asks is no operator
└── CannotDo            the operator asked for something that makes no sense here
"""


class SaleError(Exception):
    """Expected trouble: the door shows it in the customer's words."""


class UnknownProvider(SaleError):
    """The way to pay is switched off."""


class UnknownEvent(SaleError):
    """There is no such notice in the inbox."""


class EmailNeeded(SaleError):
    """A receipt must be sent and we have no address."""


class TrialUsed(SaleError):
    """The only trial has been had, or the customer has had a subscription."""


class CannotResolve(SaleError):
    """The operator asked for something that does not fit the entry; the text says why."""


class CannotRefund(SaleError):
    """The money cannot be given back, or not in this way; the text says why."""


class CustomerBlocked(SaleError):
    """An operator has shut the customer out: nothing is sold to them."""


class ShopClosed(SaleError):
    """People work on the shop: nothing new is sold."""


class WayClosed(SaleError):
    """No new payments are begun in this way."""


class ShopHeld(SaleError):
    """The database was brought back, and its books are not whole yet: nothing is sold."""


class RestoreBusy(SaleError):
    """Another process is at the books of a restored database."""


class NotAllowed(SaleError):
    """Whoever asks is no operator."""


class CannotDo(SaleError):
    """The operator asked for something that makes no sense here; the text says why."""
