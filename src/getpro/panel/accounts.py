"""The accounts that we made on the panel, as we know them."""

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert

from getpro.panel.models import panel_accounts
from getpro.panel.service import PanelAccount
from getpro.platform.database import Session
from getpro.platform.prepared import Prepared, named

_OF_SUBSCRIPTION = Prepared(
    select(panel_accounts).where(panel_accounts.c.subscription_id == bindparam("subscription_id"))
)


def _remember() -> Prepared:
    confirmed = ("panel_user_id", "username", "short_uuid", "subscription_url", "confirmed_at")
    statement = insert(panel_accounts).values(named("subscription_id", *confirmed))
    return Prepared(
        statement.on_conflict_do_update(
            index_elements=["subscription_id"], set_={name: statement.excluded[name] for name in confirmed}
        )
    )


_REMEMBER = _remember()


async def of_subscription(session: Session, subscription_id: int) -> PanelAccount | None:
    row = await _OF_SUBSCRIPTION.first(session, subscription_id=subscription_id)
    return None if row is None else account_of(row)


async def remember(session: Session, subscription_id: int, account: PanelAccount, *, now: datetime) -> None:
    """Write the account that the panel has just confirmed."""
    await _REMEMBER.run(
        session,
        subscription_id=subscription_id,
        panel_user_id=account.panel_user_id,
        username=account.username,
        short_uuid=account.short_uuid,
        subscription_url=account.subscription_url,
        confirmed_at=now,
    )


def account_of(row: Any) -> PanelAccount:
    """The account in a row that holds all columns of ``panel_accounts``."""
    return PanelAccount(
        panel_user_id=row.panel_user_id,
        username=row.username,
        short_uuid=row.short_uuid,
        subscription_url=row.subscription_url,
    )
