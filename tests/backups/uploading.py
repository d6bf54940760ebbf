"""A process that sends a file until it is killed: ``uploading.py ENDPOINT BUCKET FILE KEY``.

It says after each part how many bytes are over, and waits for a line before it goes on.
"""

import sys
from pathlib import Path

from getpro.backups.offsite import S3Bucket
from getpro.platform.settings import BackupSettings


def tell(over: int, _: int) -> None:
    sys.stdout.write(f"{over}\n")
    sys.stdout.flush()
    sys.stdin.readline()


if __name__ == "__main__":
    url, name, path, key = sys.argv[1:]
    settings = BackupSettings.model_validate(
        {"s3_bucket": name, "s3_endpoint": url, "s3_access_key_id": "k", "s3_secret_access_key": "s"}
    )
    S3Bucket(settings, part_bytes=5 * 2**20).put(Path(path), key, on_bytes=tell)
