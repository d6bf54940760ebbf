"""The accounts that we made on the panel, as we know them."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from getpro.panel.models import panel_accounts
from getpro.panel.service import PanelAccount


async def of_subscription(session: AsyncSession, subscription_id: int) -> PanelAccount | None:
    row = (
        await session.execute(
            select(panel_accounts).where(panel_accounts.c.subscription_id == subscription_id)
        )
    ).first()
    return None if row is None else account_of(row)


async def remember(
    session: AsyncSession, subscription_id: int, account: PanelAccount, *, now: datetime
) -> None:
    """Write the account that the panel has just confirmed."""
    values = {
        "panel_user_id": account.panel_user_id,
        "username": account.username,
        "short_uuid": account.short_uuid,
        "subscription_url": account.subscription_url,
        "confirmed_at": now,
    }
    await session.execute(
        insert(panel_accounts)
        .values(subscription_id=subscription_id, **values)
        .on_conflict_do_update(index_elements=["subscription_id"], set_=values)
    )


def account_of(row: Any) -> PanelAccount:
    """The account in a row that holds all columns of ``panel_accounts``."""
    return PanelAccount(
        panel_user_id=row.panel_user_id,
        username=row.username,
        short_uuid=row.short_uuid,
        subscription_url=row.subscription_url,
    )
