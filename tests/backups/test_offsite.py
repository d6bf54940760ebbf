"""A bucket that speaks S3: what is sent is there, whole, once; what cannot be done is told in plain words."""

import contextlib
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from getpro.backups import offsite
from getpro.backups.bucket import Bucket, Stored
from getpro.backups.errors import Damaged, NotThere, OffsiteAway, OffsiteError, OffsiteRefused
from getpro.backups.offsite import S3Bucket
from getpro.bootstrap.backups import Preparing
from getpro.platform.database import Database
from getpro.platform.settings import BackupSettings, CopySettings
from getpro.platform.wrong_settings import wrong_settings
from getpro.sandbox.shop.world import free_port
from storage import PART_BYTES, SECRET, WRITING, Counting, Place, Storage

SOURCE = Path(__file__).parents[2] / "src"
LARGE = 2 * PART_BYTES + 1000
"""Three parts."""


@pytest.fixture
def place(s3: Storage) -> Place:
    return s3.make()


@pytest.fixture
def bucket(place: Place) -> Iterator[Counting]:
    with contextlib.closing(place.bucket()) as made:
        yield made


def file_of(folder: Path, size: int) -> Path:
    path = folder / f"file-{size}"
    path.write_bytes(os.urandom(size))
    return path


def hash_of(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("size", [0, 5, LARGE])
def test_what_is_sent_is_there_and_comes_back(
    size: int, bucket: Counting, place: Place, tmp_path: Path
) -> None:
    path = file_of(tmp_path, size)
    bucket.put(path, "a/b", sha256=hash_of(path))
    assert place.objects() == {"a/b": path.read_bytes()}
    assert bucket.has("a/b") == Stored("a/b", size, hash_of(path))
    bucket.get("a/b", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == path.read_bytes()
    assert (tmp_path / "back").stat().st_mode & 0o777 == 0o600
    assert [one.key for one in bucket.listing("a/")] == ["a/b"]
    assert list(bucket.listing("b")) == []
    assert place.unfinished() == []


@pytest.mark.parametrize(("size", "writes"), [(5, ["PutObject"]), (LARGE, ["UploadPart"] * 3)])
def test_what_is_there_is_not_sent_again(
    size: int, writes: list[str], bucket: Counting, tmp_path: Path
) -> None:
    path = file_of(tmp_path, size)
    for _ in range(2):
        bucket.put(path, "key")
    assert [one for one in bucket.asked if one in {"PutObject", "UploadPart"}] == writes


def test_another_file_under_the_same_key_is_sent(bucket: Counting, place: Place, tmp_path: Path) -> None:
    for body in (b"one", b"two"):
        (tmp_path / "file").write_bytes(body)
        bucket.put(tmp_path / "file", "key")
    assert place.objects() == {"key": b"two"}


def test_nothing_there_is_nothing_and_deleting_it_is_fine(bucket: Counting, tmp_path: Path) -> None:
    assert bucket.has("nothing") is None
    with pytest.raises(NotThere, match=r"s3://.*/2getpro/nothing"):
        bucket.get("nothing", tmp_path / "file")
    bucket.delete("nothing")


class Interrupted(Exception):
    pass


def interrupt(*_: int) -> None:
    raise Interrupted


def killed_after_parts(parts: int, place: Place, path: Path, key: str) -> None:
    """Send it in a process that gets a kill -9 while the next part after so many is on its way."""
    command = (
        sys.executable,
        Path(__file__).with_name("uploading.py"),
        place.storage.url,
        place.name,
        path,
        key,
    )
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        for _ in range(parts):
            assert process.stdout.readline()
            process.stdin.write(b"\n")
            process.stdin.flush()
        process.kill()


def test_an_upload_that_was_killed_goes_on_where_it_was(
    bucket: Counting, place: Place, tmp_path: Path
) -> None:
    path = file_of(tmp_path, LARGE + 2 * PART_BYTES)
    killed_after_parts(2, place, path, "key")
    assert place.unfinished() == ["key"]
    assert place.objects() == {}
    bucket.put(path, "key")
    assert place.objects() == {"key": path.read_bytes()}
    assert place.unfinished() == []
    assert bucket.asked.count("UploadPart") in {2, 3}  # the kill came while the third part was on its way
    assert "CreateMultipartUpload" not in bucket.asked


def test_parts_that_are_not_those_of_the_file_are_sent_again(
    bucket: Counting, place: Place, tmp_path: Path
) -> None:
    path = file_of(tmp_path, LARGE)
    with pytest.raises(Interrupted):
        bucket.put(path, "key", on_bytes=interrupt)
    body = bytearray(path.read_bytes())
    body[0] ^= 1
    path.write_bytes(body)
    with pytest.raises(OffsiteError, match="не то, что послано"):  # it was begun as another file
        bucket.put(path, "key")
    bucket.put(path, "key")
    assert place.objects() == {"key": path.read_bytes()}


def test_of_a_part_the_servers_checksum_decides_and_without_one_its_tag() -> None:
    body, other = b"part", b"trap"
    digest = sha256(body).digest()
    listed = {"Size": 4, "ETag": f'"{md5(body, usedforsecurity=False).hexdigest()}"'}
    assert offsite._tag_of(listed, body, digest) == listed["ETag"]
    assert offsite._tag_of(listed, other, sha256(other).digest()) is None
    assert offsite._tag_of(listed | {"Size": 5}, body, digest) is None
    summed = {"Size": 4, "ETag": "opaque", "ChecksumSHA256": offsite._base64(digest)}
    assert offsite._tag_of(summed, body, digest) == "opaque"
    assert offsite._tag_of(summed, other, sha256(other).digest()) is None
    assert offsite._tag_of(None, body, digest) is None


def test_uploads_that_nobody_will_finish_are_given_up(bucket: Counting, place: Place) -> None:
    for key in ("copies/one", "copies/two", "wal/three"):
        bucket._begin(key, {})
    assert bucket.abort_unfinished("copies/", keep={"copies/two"}) == 1
    assert sorted(place.unfinished()) == ["copies/two", "wal/three"]


@contextlib.contextmanager
def flipping_a_byte(url: str, *, at: int) -> Iterator[str]:
    """An address in front of that one, on whose way the byte number ``at`` of a connection is altered."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def carry(source: socket.socket, target: socket.socket, flip: int | None) -> None:
            over = 0
            with contextlib.suppress(OSError):
                while data := bytearray(source.recv(65536)):
                    if flip is not None and over <= flip < over + len(data):
                        data[flip - over] ^= 1
                    over += len(data)
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client = listening.accept()[0]
                    with client, socket.create_connection((host, int(port))) as server:
                        there = threading.Thread(target=carry, args=(client, server, at))
                        there.start()
                        carry(server, client, None)
                        client.close()
                        there.join()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_byte_that_is_altered_on_its_way_is_found(place: Place, tmp_path: Path) -> None:
    """This server does not check what it gets, as others do; what it counts tells all the same."""
    path = file_of(tmp_path, LARGE)
    with (
        flipping_a_byte(place.storage.url, at=PART_BYTES // 2) as url,
        contextlib.closing(place.bucket(s3_endpoint=url)) as bucket,
        pytest.raises(OffsiteError, match="не то, что послано"),
    ):
        bucket.put(path, "key")
    with contextlib.closing(place.bucket()) as bucket:
        bucket.put(path, "key")
    assert place.objects() == {"key": path.read_bytes()}


@pytest.mark.parametrize("size", [5, LARGE])
def test_a_file_that_is_not_what_was_written_is_not_sent(
    size: int, bucket: Counting, place: Place, tmp_path: Path
) -> None:
    with pytest.raises(Damaged, match="не те байты"):
        bucket.put(file_of(tmp_path, size), "key", sha256="0" * 64)
    assert place.objects() == {}
    assert place.unfinished() == []


@pytest.mark.parametrize("size", [5, LARGE])
def test_what_is_locked_is_deleted_by_nobody_before_its_time(size: int, s3: Storage, tmp_path: Path) -> None:
    place = s3.make(lock=True)
    with contextlib.closing(place.bucket(s3_lock_days=3)) as bucket:
        bucket.put(file_of(tmp_path, size), "key")
        found = bucket._head("key") or {}
        assert found["ObjectLockMode"] == "COMPLIANCE"
        wanted = datetime.now(UTC) + timedelta(days=3)
        assert abs(found["ObjectLockRetainUntilDate"] - wanted) < timedelta(minutes=1)
        with pytest.raises(OffsiteRefused, match="заперт"):
            bucket.delete("key")
        assert bucket.has("key") is not None


def test_with_versions_a_deleted_file_is_gone_and_not_hidden(s3: Storage, tmp_path: Path) -> None:
    place = s3.make(lock=True)
    with contextlib.closing(place.bucket()) as bucket, contextlib.closing(s3.client()) as owner:
        for size in (1, 2):
            bucket.put(file_of(tmp_path, size), "key")
        owner.delete_object(Bucket=place.name, Key="2getpro/key")  # hides it
        bucket.delete("key")
        left = owner.list_object_versions(Bucket=place.name)
    assert (left.get("Versions"), left.get("DeleteMarkers")) == (None, None)


def test_who_may_delete_and_not_see_versions_hides_nothing_and_is_told_the_right(
    s3: Storage, tmp_path: Path
) -> None:
    place = s3.make(lock=True)  # so it has versions
    path = file_of(tmp_path, 5)
    with contextlib.closing(place.bucket()) as bucket:
        bucket.put(path, "key")
    with (
        s3.with_rights(
            place, *WRITING, "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:ListBucket"
        ) as writer,
        contextlib.closing(writer.bucket()) as bucket,
        pytest.raises(OffsiteRefused, match="смотреть версии") as told,
    ):
        bucket.delete("key")
    assert "s3:ListBucketVersions" in told.value.remedy
    assert place.objects() == {"key": path.read_bytes()}


def test_a_lock_where_the_bucket_has_none_is_told(place: Place, tmp_path: Path) -> None:
    with contextlib.closing(place.bucket(s3_lock_days=3)) as bucket:
        for act in (bucket.try_to_write, partial(bucket.put, file_of(tmp_path, 5), "key")):
            with pytest.raises(OffsiteError, match="нет Object Lock") as told:
                act()
            assert "BACKUP_S3_LOCK_DAYS" in told.value.remedy
    assert place.objects() == {}


def test_a_key_that_may_only_write_sends_and_is_told_what_it_may_not(
    s3: Storage, place: Place, tmp_path: Path
) -> None:
    small, large = file_of(tmp_path, 5), file_of(tmp_path, LARGE)
    with (
        s3.with_rights(place, *WRITING, "s3:ListBucketMultipartUploads") as writer,
        contextlib.closing(writer.bucket()) as bucket,
    ):
        bucket.try_to_write()
        for path in (small, large):
            bucket.put(path, path.name)
        for act in (
            lambda: bucket.has(small.name),
            lambda: bucket.get(small.name, tmp_path / "back"),
            lambda: bucket.delete(small.name),
            lambda: list(bucket.listing()),
        ):
            with pytest.raises(OffsiteRefused) as told:
                act()
            assert "s3:" in told.value.remedy
    assert place.objects() == {path.name: path.read_bytes() for path in (small, large)}


def test_a_key_that_may_not_write_is_told_so(s3: Storage, place: Place, tmp_path: Path) -> None:
    with (
        s3.with_rights(place, "s3:GetObject", "s3:ListBucket") as reader,
        contextlib.closing(reader.bucket()) as bucket,
    ):
        for act in (bucket.try_to_write, partial(bucket.put, file_of(tmp_path, 5), "key")):
            with pytest.raises(OffsiteRefused, match="нельзя писать") as told:
                act()
            assert "s3:PutObject" in told.value.remedy


def refusal(place: Place, **changes: Any) -> OffsiteError:
    with contextlib.closing(place.bucket(**changes)) as bucket, pytest.raises(OffsiteError) as told:
        bucket.try_to_write()
    assert SECRET not in str(told.value)
    return told.value


def test_each_wrong_setting_is_told_with_its_name(s3: Storage, place: Place) -> None:
    missing = refusal(place, s3_bucket="nobody-has-it")
    assert ("такого бакета нет" in str(missing), "BACKUP_S3_BUCKET" in missing.remedy) == (True, True)
    with s3.with_rights(place, *WRITING) as writer:
        unknown = refusal(replace(writer, key_id="AKIANOBODY"))
        assert "BACKUP_S3_ACCESS_KEY_ID" in unknown.remedy
        wrong = refusal(replace(writer, secret=SECRET))
        assert "BACKUP_S3_SECRET_ACCESS_KEY" in wrong.remedy
    nobody = refusal(place, s3_endpoint=f"http://127.0.0.1:{free_port()}")
    assert isinstance(nobody, OffsiteAway)
    assert "BACKUP_S3_ENDPOINT" in nobody.remedy


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that says the same to everybody."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with listening.accept()[0] as client:
                        client.recv(65536)
                        client.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def http(status: str, body: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    ("answer", "kind", "seen", "remedy"),
    [
        (
            http("403 Forbidden", "<Error><Code>RequestTimeTooSkewed</Code></Error>"),
            OffsiteError,
            "часы",
            "timedatectl",
        ),
        (
            http("503 Slow Down", "<Error><Code>SlowDown</Code></Error>"),
            OffsiteAway,
            "SlowDown",
            "позже",
        ),
        (
            http("400 Bad Request", "<Error><Code>AuthorizationHeaderMalformed</Code></Error>"),
            OffsiteError,
            "регионе",
            "BACKUP_S3_REGION",
        ),
        (http("200 OK", "<html><p>It works!</html>"), OffsiteAway, "ответило", "BACKUP_S3_ENDPOINT"),
        (b"SSH-2.0-OpenSSH\r\n", OffsiteAway, "http://127.0.0.1", "BACKUP_S3_ENDPOINT"),
    ],
)
def test_what_a_server_answers_otherwise_is_told_in_words(
    answer: bytes, kind: type[OffsiteError], seen: str, remedy: str, place: Place
) -> None:
    with answering(answer) as url:
        told = refusal(place, s3_endpoint=url)
    assert type(told) is kind
    assert (seen in str(told), remedy in told.remedy) == (True, True), (str(told), told.remedy)


def send_all(bucket: Bucket, files: "list[Path]") -> None:
    for path in files:
        bucket.put(path, path.name)


def test_many_threads_use_one(bucket: Counting, place: Place, tmp_path: Path) -> None:
    for number in range(24):
        (tmp_path / f"{number:02}").write_bytes(os.urandom(1000))
    files = sorted(tmp_path.iterdir())
    threads = [
        threading.Thread(target=send_all, args=(bucket, mine))
        for mine in (files[0::4], files[1::4], files[2::4], files[3::4])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert place.objects() == {path.name: path.read_bytes() for path in files}


def test_the_secret_is_in_no_log_and_in_no_repr(
    place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with contextlib.closing(place.bucket()) as bucket:
        bucket.put(file_of(tmp_path, 5), "key")
    assert "botocore" in caplog.text  # it did log
    assert SECRET not in caplog.text
    assert SECRET not in repr(place.settings())


def test_a_bucket_without_its_key_is_a_wrong_setting() -> None:
    with pytest.raises(ValidationError) as told:
        BackupSettings(s3_bucket="shop")
    assert [wrong.name for wrong in wrong_settings(told.value)] == [
        "S3_ACCESS_KEY_ID",
        "S3_SECRET_ACCESS_KEY",
    ]
    assert BackupSettings().s3_bucket is None


def test_it_is_what_copies_need(bucket: Counting) -> None:
    needed: Bucket = bucket
    assert isinstance(needed, S3Bucket)


def test_a_process_has_one_client_for_its_bucket_and_gives_it_back(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[S3Bucket] = []

    def close(bucket: S3Bucket) -> None:
        closed.append(bucket)

    monkeypatch.setattr(S3Bucket, "close", close)
    values: dict[str, Any] = {"data_dir": tmp_path, "backup": place.settings()}
    settings = CopySettings(**values)
    nobody = Database("postgresql://nobody@127.0.0.1:1/nothing")
    with contextlib.closing(Preparing(settings, db=nobody, database_url="")) as prepare:
        bucket = prepare().bucket
        assert isinstance(bucket, S3Bucket)
        assert prepare().bucket is bucket
        assert closed == []
    assert closed == [bucket]
    with contextlib.closing(Preparing(settings, db=nobody, database_url="")):
        pass  # who needs none makes none
    assert closed == [bucket]
