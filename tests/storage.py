"""A real server of the protocol S3: moto, a process of its own, with users and their rights if wanted."""

import contextlib
import itertools
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from botocore.session import Session

from getpro.backups.offsite import S3Bucket
from getpro.platform.settings import BackupSettings
from getpro.sandbox.shop.world import free_port

SECRET = "not-for-any-log"
PART_BYTES = 5 * 2**20
"""The least that S3 takes of a part that is not the last."""
WRITING = ("s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Storage:
    url: str

    def client(self, service: str = "s3") -> Any:
        """Of its owner, who may everything."""
        return Session().create_client(
            service,
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id="owner",
            aws_secret_access_key="owner",
        )

    def make(self, *, lock: bool = False) -> "Place":
        """A new bucket."""
        name = f"shop-{next(_NUMBERS)}"
        with contextlib.closing(self.client()) as client:
            client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=lock)
        return Place(self, name)

    @contextlib.contextmanager
    def with_rights(self, place: "Place", *actions: str) -> Iterator["Place"]:
        """Everybody needs rights while the block runs; the place that is handed out has a key with these."""
        user = f"writer-{next(_NUMBERS)}"
        with contextlib.closing(self.client("iam")) as client:
            client.create_user(UserName=user)
            key = client.create_access_key(UserName=user)["AccessKey"]
            allowed = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
            policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
            client.put_user_policy(UserName=user, PolicyName="writes", PolicyDocument=policy)
        self._require_rights("0")
        try:
            yield Place(self, place.name, key["AccessKeyId"], key["SecretAccessKey"])
        finally:
            self._require_rights("Infinity")

    def _require_rights(self, after_calls: str) -> None:
        request = Request(  # noqa: S310 -- our own
            f"{self.url}/moto-api/reset-auth",
            data=after_calls.encode(),
            headers={"Content-Type": "text/plain"},
        )
        with urlopen(request):  # noqa: S310 -- our own
            pass


@dataclass(frozen=True)
class Place:
    """A bucket there, and a key to it."""

    storage: Storage
    name: str
    key_id: str = "shop"
    secret: str = SECRET

    def settings(self, **changes: Any) -> BackupSettings:
        return BackupSettings.model_validate(
            {
                "s3_bucket": self.name,
                "s3_endpoint": self.storage.url,
                "s3_access_key_id": self.key_id,
                "s3_secret_access_key": self.secret,
            }
            | changes
        )

    def bucket(self, **changes: Any) -> "Counting":
        return Counting(self.settings(**changes), part_bytes=PART_BYTES, attempts=1)

    def objects(self) -> dict[str, bytes]:
        """Everything that lies there, by its key without the prefix."""
        with contextlib.closing(self.storage.client()) as client:
            found = client.list_objects_v2(Bucket=self.name).get("Contents", ())
            return {
                one["Key"].removeprefix("2getpro/"): client.get_object(Bucket=self.name, Key=one["Key"])[
                    "Body"
                ].read()
                for one in found
            }

    def unfinished(self) -> list[str]:
        """The keys of uploads that were begun and never finished."""
        with contextlib.closing(self.storage.client()) as client:
            found = client.list_multipart_uploads(Bucket=self.name)
            return [one["Key"].removeprefix("2getpro/") for one in found.get("Uploads", ())]

    def tamper(self, key: str) -> None:
        """Other bytes, of the same length, under the same words."""
        with contextlib.closing(self.storage.client()) as client:
            at = {"Bucket": self.name, "Key": f"2getpro/{key}"}
            found = client.get_object(**at)
            body = bytearray(found["Body"].read())
            body[len(body) // 2] ^= 1
            client.put_object(**at, Body=bytes(body), Metadata=found["Metadata"])


class Counting(S3Bucket):
    """The same, and counts what it asks the server."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.asked: list[str] = []
        self._client.meta.events.register("before-send.s3.*", self._count)

    def _count(self, event_name: str, **_: Any) -> None:
        self.asked.append(event_name.rpartition(".")[2])


@contextlib.contextmanager
def storage(folder: Path) -> Iterator[Storage]:
    """The server while the block runs."""
    port = free_port()
    with (
        (folder / "moto.log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log
        ) as process,
    ):
        try:
            _wait_for(port)
            yield Storage(f"http://127.0.0.1:{port}")
        finally:
            process.kill()


def _wait_for(port: int) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        threading.Event().wait(0.05)
    raise TimeoutError("moto does not answer")
