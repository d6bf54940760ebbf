"""Every table of the product, for migrations and for checking them."""

from getpro.backups import models as backups
from getpro.catalog import models as catalog
from getpro.customers import models as customers
from getpro.incidents import models as incidents
from getpro.messaging import models as messaging
from getpro.operations import models as operations
from getpro.panel import models as panel
from getpro.payments import models as payments
from getpro.platform import audit, changes, restores, schedules
from getpro.platform.database import metadata
from getpro.subscriptions import models as subscriptions

__all__ = [
    "audit",
    "backups",
    "catalog",
    "changes",
    "customers",
    "incidents",
    "messaging",
    "metadata",
    "operations",
    "panel",
    "payments",
    "restores",
    "schedules",
    "subscriptions",
]
