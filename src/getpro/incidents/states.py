"""The lives of an incident and of a page, a table of moves each; and the words that stand in the tables."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Level(StrEnum):
    """How grave it is, in the guide's words; compared as text, the graver is the greater."""

    L1 = "L1"
    """Minor: a small error, a customer's question."""
    L2 = "L2"
    """Major: trouble with payments, a part does not work."""
    L3 = "L3"
    """Critical: nothing works, data is lost, somebody has broken in."""

    @property
    def above(self) -> "Level | None":
        """The next graver one."""
        return {Level.L1: Level.L2, Level.L2: Level.L3}.get(self)


class IncidentState(StrEnum):
    OPEN = "open"
    """Nobody has taken it: it is escalated."""
    TAKEN = "taken"
    RESOLVED = "resolved"


MOVES: Final[Mapping[IncidentState, frozenset[IncidentState]]] = {
    IncidentState.OPEN: frozenset({IncidentState.TAKEN, IncidentState.RESOLVED}),
    IncidentState.TAKEN: frozenset({IncidentState.OPEN, IncidentState.RESOLVED}),  # dropped, or grown graver
    IncidentState.RESOLVED: frozenset(),  # what comes back is another one
}


class PageState(StrEnum):
    WAITING = "waiting"
    SENDING = "sending"
    """Claimed: it may have arrived, whatever has become of the process that was sending it."""
    SENT = "sent"
    DROPPED = "dropped"
    """Nobody needs it any more."""
    REFUSED = "refused"
    """It will never arrive by this way."""


PAGE_MOVES: Final[Mapping[PageState, frozenset[PageState]]] = {
    PageState.WAITING: frozenset({PageState.SENDING, PageState.DROPPED}),
    PageState.SENDING: frozenset(
        {PageState.SENDING, PageState.SENT, PageState.WAITING, PageState.REFUSED, PageState.DROPPED}
    ),
    PageState.SENT: frozenset(),
    PageState.DROPPED: frozenset(),
    PageState.REFUSED: frozenset(),
}


class Route(StrEnum):
    """By which a person is reached."""

    TELEGRAM = "telegram"
    OTHER = "other"
    """By Apprise: mail, SMS, push."""


class Reach(StrEnum):
    """How hard a step of the policy tries."""

    TELEGRAM = "telegram"
    """The other ways only where Telegram fails."""
    ALL = "all"
    """By every way at once."""


class Role(StrEnum):
    """The guide's contacts."""

    ON_CALL = "on_call"
    TECH_LEAD = "tech_lead"
    DEVOPS = "devops"
    EVERYONE = "everyone"
    """Of a step only: the whole team."""


class Source(StrEnum):
    """The doors by which signals come."""

    ALERTMANAGER = "alertmanager"
    ROUTINE = "routine"
    CUSTOMERS = "customers"


class EventKind(StrEnum):
    """What a line of the time line is about."""

    OPENED = "opened"
    SIGNAL = "signal"
    OVER = "over"
    LEVEL = "level"
    PAGED = "paged"
    NOT_PAGED = "not_paged"
    DELIVERED = "delivered"
    TAKEN = "taken"
    DROPPED = "dropped"
    SNOOZED = "snoozed"
    ASKED = "asked"
    """Whoever has taken it, whether they still work on it."""
    NOTE = "note"
    REFUSED = "refused"
    """Somebody without the right to tried."""
    DEED = "deed"
    """Something was done to the shop, or told to customers, from the incident."""
    CLOSING = "closing"
    """Cause and fix are said, and it is waited for quiet; or it has not become quiet."""
    FORCED = "forced"
    """Closed though it was not quiet; why."""
    RESOLVED = "resolved"
    CHANGE = "change"
    """What was done to the shop at that time: of ``changes``, not of the incident's own lines."""


class Complaint(StrEnum):
    """What a customer says does not work."""

    PAID = "paid"
    """They have paid, and have no access."""
    CONNECTION = "connection"
    OTHER = "other"


class DeedKind(StrEnum):
    """What can be done from an incident's page."""

    RETRY = "retry"
    """Deliver now what is paid and not delivered."""
    WAY_OFF = "way_off"
    WAY_ON = "way_on"
    SHOP_OFF = "shop_off"
    SHOP_ON = "shop_on"
    TELL = "tell"
    """Tell the customers who are touched how things stand."""
    OVER = "over"
    """Tell those that it works again, of an incident that was closed before it was quiet."""
    RESTART = "restart"
    """Say how the shop is restarted; it does nothing."""


class DeedState(StrEnum):
    PROPOSED = "proposed"
    DONE = "done"
    DROPPED = "dropped"


DEED_MOVES: Final[Mapping[DeedState, frozenset[DeedState]]] = {
    DeedState.PROPOSED: frozenset({DeedState.DONE, DeedState.DROPPED}),
    DeedState.DONE: frozenset(),  # what undoes it is another
    DeedState.DROPPED: frozenset(),
}
