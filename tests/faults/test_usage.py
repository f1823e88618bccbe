"""kill -9 while a bucket is counted and written to: its usage is what is there, to the byte."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.faults.wire import wait_until
from tests.faults.writers import Writer, kill_under
from tests.gateways import Gateway, local_backend

BUCKET = "counted"
CLIENTS = 3
KEYS = 400
PREFILLED = 1200  # more than two steps of a count
ROUNDS = 2
COUNT_S_MAX = 30.0


class Mixer(Writer):
    """Puts, deletes, removes versions, and uploads parts that it may complete or abort."""

    def act(self) -> None:
        key = f"k{self.random.randrange(KEYS):04}"
        body = bytes(self.random.randrange(2000))
        choice = self.random.random()
        if choice < 0.6:
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        elif choice < 0.75:
            self.s3.delete_object(Bucket=BUCKET, Key=key)
        elif choice < 0.85:
            self._remove_version(key)
        else:
            self._upload(key, body)
        self.acknowledged += 1

    def _remove_version(self, key: str) -> None:
        page = self.s3.list_object_versions(Bucket=BUCKET, Prefix=key)
        for version in page.get("Versions", [])[:1]:
            self.s3.delete_object(Bucket=BUCKET, Key=key, VersionId=version["VersionId"])

    def _upload(self, key: str, body: bytes) -> None:
        upload = {"Bucket": BUCKET, "Key": key}
        upload["UploadId"] = self.s3.create_multipart_upload(**upload)["UploadId"]
        etag = self.s3.upload_part(**upload, PartNumber=1, Body=body)["ETag"]
        end = self.random.randrange(3)
        if end == 0:
            parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
            self.s3.complete_multipart_upload(**upload, MultipartUpload=parts)
        elif end == 1:
            self.s3.abort_multipart_upload(**upload)


def pages(s3: Any, operation: str, found: str) -> Iterator[dict[str, Any]]:
    for page in s3.get_paginator(operation).paginate(Bucket=BUCKET):
        yield from page.get(found, [])


def there(s3: Any) -> tuple[int, int]:
    """Bytes and objects, by listings."""
    sizes = [version["Size"] for version in pages(s3, "list_object_versions", "Versions")]
    parts = 0
    for upload in pages(s3, "list_multipart_uploads", "Uploads"):
        named = {"Bucket": BUCKET, "Key": upload["Key"], "UploadId": upload["UploadId"]}
        parts += sum(part["Size"] for part in s3.list_parts(**named).get("Parts", []))
    return sum(sizes) + parts, len(sizes)


def usage(gateway: Gateway) -> dict[str, Any] | None:
    done = gateway.run("quota", "show", "--bucket", BUCKET, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] | None = json.loads(done.stdout)["usage"]
    return found


def set_quota(gateway: Gateway) -> None:
    """Have the bucket counted from the start."""
    gateway.run("quota", "clear", "--bucket", BUCKET)
    done = gateway.run("quota", "set", "--bucket", BUCKET, "--objects", "1000000000")
    assert done.returncode == 0, done.stderr


def is_counted(gateway: Gateway) -> bool:
    found = usage(gateway)
    return found is not None and not found["counting"]


@pytest.mark.slow
def test_kill_amid_a_count_and_writes_leaves_usage_exact(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, local_backend("disk", tmp_path / "blobs"))
    gateway.start()
    try:
        s3 = gateway.client()
        s3.create_bucket(Bucket=BUCKET)
        enabled = {"Status": "Enabled"}
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration=enabled)
        for number in range(PREFILLED):
            s3.put_object(Bucket=BUCKET, Key=f"k{number % KEYS:04}", Body=bytes(number))
        for seed in range(ROUNDS):
            writers = [Mixer(gateway.url, 10 * seed + number) for number in range(CLIENTS)]
            setting = Thread(target=set_quota, args=(gateway,))
            kill_under(gateway, writers, 30, delay_s=1 + 0.05 * seed, before=setting.start)
            setting.join()
            wait_until(lambda: is_counted(gateway), COUNT_S_MAX)
            found = usage(gateway)
            assert found is not None
            assert (found["bytes"], found["objects"]) == there(gateway.client())
    finally:
        gateway.stop()
