"""Putting a customer's access onto the panel: made, changed, made again; never somebody else's."""

import contextlib
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from getpro.panel.errors import PanelGone, PanelRefused
from getpro.panel.states import UserStatus

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WantedAccess:
    """The state that the panel is to have; absolute, so that it may be put any number of times."""

    subscription_id: int
    user_id: int
    end_date: datetime

    @property
    def usernames(self) -> tuple[str, str]:
        """The names to try: 3-36 characters of A-Za-z0-9_- and unique on the panel."""
        return f"tg_{self.user_id}", f"tg_{self.user_id}_{self.subscription_id}"


@dataclass(frozen=True, slots=True)
class PanelAccount:
    """A user of ours as the panel tells it."""

    panel_user_id: str
    """A number on a panel 3.x, a uuid on 2.x."""
    username: str
    short_uuid: str
    subscription_url: str

    @property
    def fingerprint(self) -> bytes:
        """By which the same user is known again: whoever reads it cannot make the link of it."""
        return hashlib.sha256(self.short_uuid.encode()).digest()


@dataclass(frozen=True, slots=True)
class KnownAccount:
    """A user of ours as we remember it."""

    panel_user_id: str
    username: str
    fingerprint: bytes
    encrypted_url: bytes | None
    """The link; None: the panel must be asked for it."""


@dataclass(frozen=True, slots=True)
class PanelUser:
    """A user as the panel shows it."""

    account: PanelAccount
    telegram_id: int | None
    description: str | None
    status: str
    expire_at: datetime
    squads: frozenset[str] = frozenset()
    """The uuids of the internal squads: without one of ours there is no access, whatever the status."""
    traffic_bytes: int = 0
    """0 is unlimited."""
    device_limit: int | None = None
    """0 is no limit; None is the panel's own."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a user has used of what they may, for a screen."""

    traffic_bytes: int
    traffic_limit_bytes: int
    """0 is unlimited."""
    device_limit: int | None
    """0 is no limit; None is the panel's own."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What every customer gets besides time."""

    squads: frozenset[str]
    traffic_bytes: int
    """A month; 0 is unlimited."""
    device_limit: int | None
    """None leaves it to the panel."""

    def is_more_traffic_than(self, user: PanelUser) -> bool:
        found = user.traffic_bytes
        return found != 0 and (self.traffic_bytes == 0 or found < self.traffic_bytes)

    def is_more_devices_than(self, user: PanelUser) -> bool:
        """Certainly more: 0 on the panel is no limit, and None is a number that we do not know."""
        return self.device_limit is not None and 0 < (user.device_limit or 0) < self.device_limit


class UsernameTaken(PanelRefused):
    """A user of this name exists: perhaps ours, from a call whose answer was lost."""


class Panel(Protocol):
    """What delivery needs of a panel: PanelClient in bootstrap, a fake in tests."""

    async def create(self, wanted: WantedAccess, username: str) -> PanelUser:
        """Make the user; raises UsernameTaken, PanelRefused, PanelUnavailable."""

    async def change(
        self, panel_user_id: str, wanted: WantedAccess, *, sparing: PanelUser | None = None
    ) -> PanelUser:
        """Write our fields and no others; raises PanelGone, PanelRefused, PanelUnavailable.

        ``sparing``: what that user has more than we give is left alone.
        """

    async def enable(self, panel_user_id: str) -> None:
        """Lift DISABLED; raises PanelGone, PanelRefused, PanelUnavailable."""

    async def disable(self, panel_user_id: str) -> None:
        """Shut out at once; raises PanelGone, PanelRefused, PanelUnavailable."""

    async def allowance(self) -> Allowance:
        """What every customer is given; raises PanelRefused, PanelUnavailable."""

    async def by_username(self, username: str) -> PanelUser | None:
        """The user of this name; raises PanelRefused, PanelUnavailable."""

    def users(self) -> AsyncIterator[PanelUser]:
        """Every user of the panel, ours or not; raises PanelRefused, PanelUnavailable."""

    def is_ours(self, user: PanelUser) -> bool:
        """Whether this shop made ``user``, for whichever subscription."""

    async def usage(self, panel_user_id: str) -> Usage | None:
        """What the user has used, None when gone; raises PanelRefused, PanelUnavailable."""

    async def devices(self, panel_user_id: str) -> int:
        """How many devices are connected; raises PanelGone, PanelRefused, PanelUnavailable."""

    async def close(self) -> None:
        """Give connections back."""

    def owns(self, user: PanelUser, wanted: WantedAccess) -> bool:
        """Whether this shop made ``user`` for this subscription."""


async def put(
    panel: Panel, wanted: WantedAccess, known: KnownAccount | None, *, takes_nothing: bool = False
) -> PanelAccount:
    """Bring the panel into the wanted state and return the account; raises PanelError.

    A user who was deleted on the panel is made again; a foreign user with our name is left alone.
    ``takes_nothing``: what a person has given on the panel beyond the wanted state stays.
    """
    user = await _change(panel, wanted, known, takes_nothing=takes_nothing) if known is not None else None
    if user is None:
        user = await _make(panel, wanted, takes_nothing=takes_nothing)
    if user.status == UserStatus.DISABLED:
        # Whoever has paid gets access: an operator who wants it closed blocks the customer in the shop.
        await panel.enable(user.account.panel_user_id)
    return user.account


async def shut_out(panel: Panel, user_id: int, known: KnownAccount, *, now: datetime) -> None:
    """Close the access of the user whom we know, where the panel would leave it open longer.

    An end in the past cannot be written there. Raises PanelRefused, PanelUnavailable.
    """
    found = recognized(await panel.by_username(known.username), known, user_id)
    if found is not None and found.expire_at > now and found.status != UserStatus.DISABLED:
        with contextlib.suppress(PanelGone):
            await panel.disable(found.account.panel_user_id)


def recognized(user: PanelUser | None, known: KnownAccount, user_id: int) -> PanelUser | None:
    """``user``, if it is the one whom we made for the customer and know as ``known``.

    On a panel that was set up anew, the number we know belongs to somebody else. On one that was upgraded
    from 2.x to 3.x the same user goes by another identity, but the link is the old one.
    """
    if user is None or (user.account.username, user.telegram_id) != (known.username, user_id):
        return None
    seen = user.account
    is_same = seen.panel_user_id == known.panel_user_id or seen.fingerprint == known.fingerprint
    return user if is_same else None


async def _change(
    panel: Panel, wanted: WantedAccess, known: KnownAccount, *, takes_nothing: bool
) -> PanelUser | None:
    """Change the user whom we know; None when there is no such user any more."""
    found = recognized(await panel.by_username(known.username), known, wanted.user_id)
    if found is None:
        log.warning("panel.user_gone", panel_user_id=known.panel_user_id)
        return None
    sparing = found if takes_nothing else None
    try:
        return await panel.change(found.account.panel_user_id, wanted, sparing=sparing)
    except PanelGone:
        return None


async def _make(panel: Panel, wanted: WantedAccess, *, takes_nothing: bool) -> PanelUser:
    """Make the user; one of ours that exists already, under whatever number, is changed instead."""
    for username in wanted.usernames:
        try:
            return await panel.create(wanted, username)
        except UsernameTaken:
            existing = await panel.by_username(username)
        if existing is not None and panel.owns(existing, wanted):
            sparing = existing if takes_nothing else None
            return await panel.change(existing.account.panel_user_id, wanted, sparing=sparing)
        log.warning("panel.foreign_user", panel_user=username)
    raise PanelRefused(f"the names {', '.join(wanted.usernames)} belong to users that we did not make")
