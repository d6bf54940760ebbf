"""A bucket that speaks S3, Amazon's or another's. It knows files and keys, and nothing of what they hold.

Loaded only where such a bucket is configured: botocore takes 20 MiB. Its client is safe for threads, and one
is made for as long as it is needed. Source: https://docs.aws.amazon.com/AmazonS3/latest/API/.

What is sent is hashed by us and by the server: its SHA-256 is in the request's signature, which any server of
this protocol checks, and is given as a checksum, which those that know it keep and tell. Nothing is believed
before the server's answer agrees, and, where the credentials may read, before a HEAD does. What was begun and
cut off is known by the server itself: there is no state of ours that could be lost or wrong.
"""

import base64
import contextlib
import hashlib
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any, Final

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    IncompleteReadError,
    ReadTimeoutError,
    SSLError,
)
from botocore.parsers import ResponseParserError
from botocore.session import Session

from getpro.backups.bucket import OnTransfer, Stored
from getpro.backups.errors import Damaged, NotThere, OffsiteAway, OffsiteError, OffsiteRefused
from getpro.kit.clock import Clock, utc_now
from getpro.kit.files import open_plain
from getpro.platform.settings import BackupSettings

PART_BYTES: Final = 16 * 2**20
"""Smaller files go in one request; S3 takes no part below 5 MiB but the last."""
_MOST_PARTS: Final = 10_000
_ATTEMPTS: Final = 4
_CONNECT_SECONDS: Final = 10
_READ_SECONDS: Final = 60
_READ_BYTES: Final = 2**20
_LOCK_MODE: Final = "COMPLIANCE"
_PROBE: Final = "write-test"
_DENIED: Final = frozenset({"AccessDenied", "403", "Forbidden", "AllAccessDisabled", "UnauthorizedAccess"})
_MISSING: Final = frozenset({"NoSuchKey", "404", "NotFound"})
_UNKNOWN: Final = frozenset({"NotImplemented", "501", "MethodNotAllowed", "405"})
"""What a server says to a part of the protocol that it does not have."""
_NO_LOCK: Final = frozenset({"ObjectLockConfigurationNotFoundError", "InvalidBucketState"})
_WORDS: Final = {
    "NoSuchBucket": (
        "такого бакета нет",
        "Проверьте BACKUP_S3_BUCKET и BACKUP_S3_ENDPOINT или создайте бакет.",
    ),
    "RequestTimeTooSkewed": (
        "часы этой машины и хранилища расходятся больше чем на 15 минут",
        "Поставьте часы: timedatectl set-ntp true.",
    ),
    "InvalidAccessKeyId": ("хранилище не знает ключа", "Проверьте BACKUP_S3_ACCESS_KEY_ID."),
    "SignatureDoesNotMatch": (
        "секрет не подходит к ключу",
        "Проверьте BACKUP_S3_SECRET_ACCESS_KEY, а если он верен, BACKUP_S3_REGION.",
    ),
    "AuthorizationHeaderMalformed": ("бакет в другом регионе", "Проверьте BACKUP_S3_REGION."),
    "PermanentRedirect": ("бакет в другом регионе", "Проверьте BACKUP_S3_REGION и BACKUP_S3_ENDPOINT."),
    "NoSuchUpload": ("начатая загрузка пропала", "Повторите: 2getpro backup send."),
}
_MAY: Final = {
    "put_object": ("писать", "s3:PutObject"),
    "create_multipart_upload": ("писать", "s3:PutObject"),
    "upload_part": ("писать", "s3:PutObject"),
    "complete_multipart_upload": ("писать", "s3:PutObject"),
    "put_object_retention": ("запирать", "s3:PutObjectRetention"),
    "abort_multipart_upload": ("прекращать загрузки", "s3:AbortMultipartUpload"),
    "delete_object": ("удалять", "s3:DeleteObject, s3:DeleteObjectVersion"),
    "get_object": ("читать", "s3:GetObject"),
    "head_object": ("читать", "s3:GetObject"),
    "list_object_versions": (
        "смотреть версии, а без них удалённое только спрячется",
        "s3:ListBucketVersions",
    ),
}
_LOOK: Final = ("смотреть список", "s3:ListBucket")


@dataclass(frozen=True, slots=True)
class _File:
    """What is to be sent; ``digests`` are the SHA-256 of its parts, ``sha256`` that of the whole in hex."""

    size: int
    part_bytes: int
    sha256: str
    digests: tuple[bytes, ...]

    @property
    def checksum(self) -> str:
        """As the server writes it: of parts, the hash of their hashes, and how many."""
        if len(self.digests) == 1:
            return _base64(self.digests[0])
        return f"{_base64(hashlib.sha256(b''.join(self.digests)).digest())}-{len(self.digests)}"

    def is_in(self, found: dict[str, Any]) -> bool:
        """Whether this is what a HEAD tells of."""
        is_named = found["ContentLength"] == self.size and found["Metadata"].get("sha256") == self.sha256
        return is_named and _agrees(found, self.checksum)


class S3Bucket:
    """See :class:`getpro.backups.bucket.Bucket`. ``settings`` must name a bucket."""

    def __init__(
        self,
        settings: BackupSettings,
        *,
        clock: Clock = utc_now,
        part_bytes: int = PART_BYTES,
        attempts: int = _ATTEMPTS,
        timeout_seconds: float = _READ_SECONDS,
    ) -> None:
        key_id, secret = settings.s3_access_key_id, settings.s3_secret_access_key
        assert settings.s3_bucket is not None
        assert key_id is not None
        assert secret is not None
        self._name, self._prefix = settings.s3_bucket, settings.s3_prefix
        self._endpoint = settings.s3_endpoint
        self._lock_days = settings.s3_lock_days
        self._clock = clock
        self._part_bytes = part_bytes
        session = Session()
        for file in ("config_file", "credentials_file"):  # somebody else's, for other buckets
            session.set_config_variable(file, os.devnull)
        style = "auto" if self._endpoint is None else "path" if settings.s3_path_style else "virtual"
        self._client = session.create_client(
            "s3",
            region_name=settings.s3_region,
            endpoint_url=self._endpoint,
            aws_access_key_id=key_id.get_secret_value(),
            aws_secret_access_key=secret.get_secret_value(),
            config=Config(
                signature_version="s3v4",
                connect_timeout=min(_CONNECT_SECONDS, timeout_seconds),
                read_timeout=timeout_seconds,
                retries={"mode": "standard", "total_max_attempts": attempts},
                tcp_keepalive=True,
                # Ours are in the headers; those in a trailer are refused by many servers.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                ignore_configured_endpoint_urls=True,
                s3={"addressing_style": style, "payload_signing_enabled": True},
            ),
        )

    def close(self) -> None:
        self._client.close()

    def address(self, key: str) -> str:
        return f"s3://{self._name}/{self._full(key)}"

    def put(
        self, path: Path, key: str, *, sha256: str | None = None, on_bytes: OnTransfer = lambda *_: None
    ) -> None:
        with open_plain(path) as file:
            seen = self._look_through(file)
            if sha256 is not None and seen.sha256 != sha256:
                raise Damaged(f"{path.name}: не те байты, что были записаны")
            if not self._is_there(key, seen):
                answer = self._sent(file, seen, key, on_bytes)
                self._require_sent(key, seen, answer)
        on_bytes(seen.size, seen.size)

    def has(self, key: str) -> Stored | None:
        found = self._head(key)
        return None if found is None else _stored(key, found["ContentLength"], found)

    def get(self, key: str, path: Path, *, on_bytes: OnTransfer = lambda *_: None) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for left in reversed(range(_ATTEMPTS)):
                try:
                    self._bring(key, file, on_bytes)
                except OffsiteAway:
                    if not left:
                        raise
                else:
                    break
            file.flush()
            os.fsync(file.fileno())

    def listing(self, prefix: str = "") -> Iterator[Stored]:
        for found in self._pages("list_objects_v2", Prefix=self._full(prefix)):
            for one in found.get("Contents", ()):
                yield _stored(one["Key"].removeprefix(f"{self._prefix}/"), one["Size"], {})

    def delete(self, key: str) -> None:
        for version in self._versions(key):
            self._ask("delete_object", key, **version)

    def abort_unfinished(self, prefix: str, *, keep: Collection[str] = ()) -> int:
        kept = {self._full(key) for key in keep}
        begun = [one for one in self._begun(prefix) if one["Key"] not in kept]
        for one in begun:
            self._abort(one["Key"], one["UploadId"])
        return len(begun)

    def try_to_write(self) -> None:
        """By an upload that is begun and given up: what it asks for is the right to write."""
        begun = self._begin(_PROBE, {})
        with contextlib.suppress(OffsiteRefused):  # to send asks for less
            self._abort(self._full(_PROBE), begun)

    def _look_through(self, file: IO[bytes]) -> "_File":
        """What the file is, before anything of it is sent."""
        size = os.fstat(file.fileno()).st_size
        part_bytes = max(self._part_bytes, -(-size // _MOST_PARTS))
        whole, digests = hashlib.sha256(), []
        for body in _parts(file, part_bytes):
            whole.update(body)
            digests.append(hashlib.sha256(body).digest())
        return _File(size, part_bytes, whole.hexdigest(), tuple(digests) or (whole.digest(),))

    def _sent(self, file: IO[bytes], seen: "_File", key: str, on_bytes: OnTransfer) -> dict[str, Any]:
        """The server's answer to all of it; in one request where that is allowed."""
        metadata = {"sha256": seen.sha256}
        if len(seen.digests) == 1:
            file.seek(0)
            said = _hashed(seen.digests[0]) | {"Metadata": metadata} | self._lock()
            return self._ask("put_object", key, Body=file.read(), **said)
        upload, there = self._resumed(key) or (self._begin(key, metadata), {})
        parts, over = [], 0
        for number, (body, digest) in enumerate(
            zip(_parts(file, seen.part_bytes), seen.digests, strict=False), start=1
        ):
            tag = _tag_of(there.get(number), body, digest) or self._send(key, upload, number, body, digest)
            parts.append({"PartNumber": number, "ETag": tag, "ChecksumSHA256": _base64(digest)})
            over += len(body)
            on_bytes(over, seen.size)
        if over != seen.size:
            raise Damaged(f"{key}: файл изменился, пока его слали")
        try:
            return self._ask(
                "complete_multipart_upload", key, UploadId=upload, MultipartUpload={"Parts": parts}
            )
        except OffsiteError:
            # The answer to a first try may have been lost, and the second finds no such upload.
            if self._is_there(key, seen):
                return {}
            raise

    def _send(self, key: str, upload: str, number: int, body: bytes, digest: bytes) -> str:
        """One part, and the server's name for it."""
        hashed = _hashed(digest)
        answer = self._ask("upload_part", key, UploadId=upload, PartNumber=number, Body=body, **hashed)
        _require_agreed(key, answer, _base64(digest))
        return str(answer["ETag"])

    def _resumed(self, key: str) -> "tuple[str, dict[int, dict[str, Any]]] | None":
        """What was begun for this key and never finished, and its parts; None without any, or unknown.

        Of several, which only a race could leave, one goes on.
        """
        begun = [one for one in self._begun(key) if one["Key"] == self._full(key)]
        if not begun:
            return None
        *others, newest = sorted(begun, key=lambda one: (one["Initiated"], one["UploadId"]))
        for other in others:
            self._abort(other["Key"], other["UploadId"])
        try:
            pages = list(self._pages("list_parts", Key=newest["Key"], UploadId=newest["UploadId"]))
        except OffsiteAway:
            raise
        except OffsiteError:  # it may not be looked at, or has gone: begin anew
            return None
        return newest["UploadId"], {
            part["PartNumber"]: part for page in pages for part in page.get("Parts", ())
        }

    def _begun(self, prefix: str) -> "list[dict[str, Any]]":
        """Uploads that were never finished; none where the credentials may not look, or the server cannot."""
        try:
            pages = list(self._pages("list_multipart_uploads", Prefix=self._full(prefix)))
        except OffsiteAway:
            raise
        except OffsiteError:
            return []
        return [one for page in pages for one in page.get("Uploads", ())]

    def _begin(self, key: str, metadata: dict[str, str]) -> str:
        said = {"Metadata": metadata, "ChecksumAlgorithm": "SHA256"} | self._lock()
        return str(self._ask("create_multipart_upload", key, **said)["UploadId"])

    def _abort(self, full_key: str, upload: str) -> None:
        try:
            with self._told("abort_multipart_upload"):
                self._client.abort_multipart_upload(Bucket=self._name, Key=full_key, UploadId=upload)
        except OffsiteAway:
            raise
        except OffsiteError:  # gone, or a lifecycle rule's to clear
            return

    def _lock(self) -> dict[str, Any]:
        """What has the file locked; raises OffsiteError where the bucket has no locks."""
        if not self._lock_days:
            return {}
        _ = self._has_locks
        until = self._clock() + timedelta(days=self._lock_days)
        return {"ObjectLockMode": _LOCK_MODE, "ObjectLockRetainUntilDate": until}

    @cached_property
    def _has_locks(self) -> bool:
        """Asked once: not every server refuses a lock that it does not know. True if it may not be asked."""
        try:
            self._client.get_object_lock_configuration(Bucket=self._name)
        except ClientError as error:
            if (code := _code(error)) in _NO_LOCK | _UNKNOWN:
                raise _without_lock() from error
            if code not in _DENIED:
                raise self._in_words(error, "get_object_lock_configuration") from error
        except (BotoCoreError, ResponseParserError, ValueError) as error:
            raise self._away(error) from error
        return True

    def _versions(self, key: str) -> "list[dict[str, str]]":
        """What to name to delete everything under the key: without its version, a file is only hidden."""
        try:
            pages = list(self._pages("list_object_versions", Prefix=self._full(key)))
        except (OffsiteAway, OffsiteRefused):
            raise
        except OffsiteError:  # a server without versions
            return [{}]
        return [
            {"VersionId": one["VersionId"]}
            for page in pages
            for one in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
            if one["Key"] == self._full(key)
        ]

    def _bring(self, key: str, file: IO[bytes], on_bytes: OnTransfer) -> None:
        """The rest of it, behind what the file has."""
        begin = file.tell()
        wanted = {"Range": f"bytes={begin}-"} if begin else {}
        answer = self._ask("get_object", key, **wanted)
        total = begin + answer["ContentLength"]
        with self._told("get_object"), contextlib.closing(answer["Body"]) as body:
            while piece := body.read(_READ_BYTES):
                file.write(piece)
                on_bytes(file.tell(), total)

    def _head(self, key: str) -> dict[str, Any] | None:
        try:
            return self._ask("head_object", key, ChecksumMode="ENABLED")
        except NotThere:
            return None

    def _is_there(self, key: str, seen: "_File") -> bool:
        """False also where the credentials may not know."""
        try:
            found = self._head(key)
        except OffsiteRefused:
            return False
        if found is None or not seen.is_in(found):
            return False
        self._require_locked(key, found)
        return True

    def _require_sent(self, key: str, seen: "_File", answer: dict[str, Any]) -> None:
        """By the answer to what was sent, and, where the credentials may read, by what lies there now."""
        _require_agreed(key, answer, seen.checksum)
        try:
            found = self._head(key)
        except OffsiteRefused:
            return
        if found is None or not seen.is_in(found):
            raise _altered(key)
        self._require_locked(key, found)

    def _require_locked(self, key: str, found: dict[str, Any]) -> None:
        """Lock what lies there without: it was begun before a lock was asked for, or the server forgot it."""
        if self._lock_days and "ObjectLockMode" not in found:
            until = self._lock()["ObjectLockRetainUntilDate"]
            version = {"VersionId": found["VersionId"]} if "VersionId" in found else {}
            wanted = {"Mode": _LOCK_MODE, "RetainUntilDate": until}
            self._ask("put_object_retention", key, Retention=wanted, **version)

    def _ask(self, operation: str, key: str, **said: Any) -> dict[str, Any]:
        with self._told(operation, key):
            call = getattr(self._client, operation)
            found: dict[str, Any] = call(Bucket=self._name, Key=self._full(key), **said)
            return found

    def _pages(self, operation: str, **said: Any) -> "Iterator[dict[str, Any]]":
        with self._told(operation):
            yield from self._client.get_paginator(operation).paginate(Bucket=self._name, **said)

    @contextlib.contextmanager
    def _told(self, operation: str, key: str = "") -> Iterator[None]:
        """Whatever goes wrong with the bucket in the block is OffsiteError, or NotThere."""
        try:
            yield
        except ClientError as error:
            if _code(error) in _MISSING:
                raise NotThere(f"{self.address(key)}: там ничего нет") from error
            raise self._in_words(error, operation) from error
        except (BotoCoreError, ResponseParserError) as error:
            raise self._away(error) from error

    def _in_words(self, error: ClientError, operation: str) -> OffsiteError:
        """By its code: the server's own text may quote what we sent."""
        code, at = _code(error), self.address("")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _WORDS:
            why, remedy = _WORDS[code]
            return OffsiteError(f"{at}: {why}", remedy)
        if code in _DENIED:
            may, rights = _MAY.get(operation, _LOOK)
            return OffsiteRefused(
                f"{at}: ключу нельзя {may}" + (", или файл заперт" if operation == "delete_object" else ""),
                f"Дайте ключу права {rights} на этот бакет.",
            )
        if self._lock_days and code in _NO_LOCK | {"InvalidRequest"}:
            return _without_lock()
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or code in {"SlowDown", "RequestTimeout"}:
            return OffsiteAway(
                f"{at}: хранилище ответило {code}",
                "Повторите позже: 2getpro backup send. Не пройдёт: проверьте BACKUP_S3_ENDPOINT.",
            )
        return OffsiteError(
            f"{at}: хранилище отказало, {code}", "Проверьте BACKUP_S3_ENDPOINT и остальные BACKUP_S3_…"
        )

    def _away(self, error: Exception) -> OffsiteAway:
        where = self._endpoint or "Amazon S3"
        for kinds, why in _AWAY:
            if isinstance(error, kinds):
                return OffsiteAway(f"{where}: {why}", "Проверьте BACKUP_S3_ENDPOINT и сеть сервера.")
        return OffsiteAway(f"{where}: {type(error).__name__}", "Проверьте BACKUP_S3_ENDPOINT и сеть сервера.")

    def _full(self, key: str) -> str:
        return f"{self._prefix}/{key}"


_AWAY: Final[tuple[tuple[tuple[type[Exception], ...], str], ...]] = (
    ((SSLError,), "сертификат TLS не подходит"),
    ((ConnectTimeoutError, ReadTimeoutError), "не отвечает вовремя"),
    ((EndpointConnectionError,), "соединения нет"),
    ((IncompleteReadError,), "ответ оборвался"),
    ((ResponseParserError,), "это не S3"),
)


def _without_lock() -> OffsiteError:
    return OffsiteError(
        "в бакете нет Object Lock, а BACKUP_S3_LOCK_DAYS его требует",
        "Создайте бакет с Object Lock или уберите BACKUP_S3_LOCK_DAYS.",
    )


def _altered(key: str) -> OffsiteError:
    return OffsiteError(
        f"{key}: в хранилище не то, что послано", "Повторите: 2getpro backup send. Повторится: смените его."
    )


def _require_agreed(key: str, answer: dict[str, Any], checksum: str) -> None:
    if not _agrees(answer, checksum):
        raise _altered(key)


def _agrees(answer: dict[str, Any], checksum: str) -> bool:
    """Whether the server's checksum, if it has one, is ours; of parts, some leave out how many there were."""
    told = str(answer.get("ChecksumSHA256", checksum))
    return told.partition("-")[0] == checksum.partition("-")[0]


def _parts(file: IO[bytes], part_bytes: int) -> Iterator[bytes]:
    file.seek(0)
    while body := file.read(part_bytes):
        yield body


def _tag_of(part: dict[str, Any] | None, body: bytes, digest: bytes) -> str | None:
    """The server's name for a part that it has as it must be, else None."""
    if part is None or part["Size"] != len(body):
        return None
    told = part.get("ChecksumSHA256")
    if told is None:  # a server without these checksums: by the older one, which is no secret's guard here
        is_same = str(part["ETag"]).strip('"') == hashlib.md5(body, usedforsecurity=False).hexdigest()
    else:
        is_same = told == _base64(digest)
    return str(part["ETag"]) if is_same else None


def _stored(key: str, size: int, found: dict[str, Any]) -> Stored:
    return Stored(key, size, found.get("Metadata", {}).get("sha256"))


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _hashed(digest: bytes) -> dict[str, str]:
    return {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": _base64(digest)}


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
