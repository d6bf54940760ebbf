"""Whether copies could go off this machine now, and whether their key is saved elsewhere."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from getpro.backups.bucket import Bucket
from getpro.backups.errors import OffsiteAway, OffsiteError
from getpro.backups.folder import has_copies
from getpro.backups.keys import FILE, read_identity, was_shown
from getpro.checks.check import Finding, Line
from getpro.kit.trouble import Trouble, system_words

KEY: Final = Line("backups.key", "Ключ копий")
BUCKET: Final = Line("backups.bucket", "Хранилище копий")


async def look_at_key(data: Path, copies: Path) -> AsyncIterator[Finding]:
    """The key in the data directory: without it nobody opens what this machine leaves behind."""
    path = data / FILE
    try:
        is_there = path.exists()
    except OSError as error:
        yield KEY.unknown(f"{path}: {system_words(error)}", "Запустите от того пользователя, что и магазин.")
        return
    if not is_there:
        if has_copies(copies):
            yield KEY.wrong(
                f"{path}: такого файла нет, а в {copies} копии, закрытые им",
                "Верните его из того места, где сохранили: docs/operations/backup.md#ключ",
            )
        else:
            yield KEY.ok("сделается вместе с первой копией")
        return
    try:
        shown = was_shown(data, read_identity(path))
    except Trouble as trouble:
        yield KEY.wrong(f"{trouble.what} {trouble.why}".rstrip("."), trouble.remedy)
        return
    if shown:
        yield KEY.ok("напечатан; откроет ли сохранённый: 2getpro backup settings --key ФАЙЛ --to opened.env")
    else:
        yield KEY.attention(
            "лежит только на этом сервере: погибнет он — копий не открыть никому",
            "Напечатайте и сохраните там, где храните пароли: 2getpro backup key",
        )


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
