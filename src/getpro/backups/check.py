"""Whether copies could go off this machine now."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from getpro.backups.bucket import Bucket
from getpro.backups.errors import OffsiteAway, OffsiteError
from getpro.checks.check import Finding, Line

BUCKET: Final = Line("backups.bucket", "Хранилище копий")


async def look_at_bucket(bucket: Bucket) -> AsyncIterator[Finding]:
    """By beginning to write there; nothing is left."""
    try:
        await asyncio.to_thread(bucket.try_to_write)
    except OffsiteAway as error:
        yield BUCKET.unknown(str(error), error.remedy)
    except OffsiteError as error:
        yield BUCKET.wrong(str(error), error.remedy)
    else:
        yield BUCKET.ok(f"{bucket.address('')}: писать можно")
    finally:
        bucket.close()
