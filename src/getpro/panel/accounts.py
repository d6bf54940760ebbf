"""The accounts that we made on the panel, as we know them."""

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert

from getpro.panel.models import panel_accounts
from getpro.panel.service import KnownAccount, PanelAccount
from getpro.platform.cipher import Cipher
from getpro.platform.database import Session
from getpro.platform.prepared import Prepared, named

_OF_SUBSCRIPTION = Prepared(
    select(panel_accounts).where(panel_accounts.c.subscription_id == bindparam("subscription_id"))
)


def _remember() -> Prepared:
    confirmed = ("panel_user_id", "username", "short_uuid_sha256", "encrypted_url", "confirmed_at")
    statement = insert(panel_accounts).values(named("subscription_id", *confirmed))
    return Prepared(
        statement.on_conflict_do_update(
            index_elements=["subscription_id"], set_={name: statement.excluded[name] for name in confirmed}
        )
    )


_REMEMBER = _remember()


async def of_subscription(session: Session, subscription_id: int) -> KnownAccount | None:
    row = await _OF_SUBSCRIPTION.first(session, subscription_id=subscription_id)
    return None if row is None else account_of(row)


async def remember(
    session: Session, subscription_id: int, account: PanelAccount, *, cipher: Cipher, now: datetime
) -> None:
    """Write the account that the panel has just confirmed; nobody who reads the table can use its link."""
    await _REMEMBER.run(
        session,
        subscription_id=subscription_id,
        panel_user_id=account.panel_user_id,
        username=account.username,
        short_uuid_sha256=account.fingerprint,
        encrypted_url=cipher.encrypt(account.subscription_url),
        confirmed_at=now,
    )


def account_of(row: Any) -> KnownAccount:
    """The account in a row that holds all columns of ``panel_accounts``."""
    return KnownAccount(
        panel_user_id=row.panel_user_id,
        username=row.username,
        fingerprint=row.short_uuid_sha256,
        encrypted_url=row.encrypted_url,
    )
