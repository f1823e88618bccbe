"""kill -9 at random moments.

What was acknowledged is there, what was not is whole or absent, and nothing is left over.
"""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.gateways import Gateway, client

MIB = 1 << 20
CLIENTS = 16
SETTLE_S_MAX = 30.0


class Writer(threading.Thread):
    """Puts, copies, uploads in parts and deletes its own keys; remembers what was acknowledged.

    `expected` maps a key to the digests it may have: one where the last write was acknowledged,
    more where it was cut off; None stands for absence.
    """

    def __init__(self, url: str, number: int, seed: int) -> None:
        super().__init__(daemon=True)
        self._s3 = client(url, connect_timeout=5, read_timeout=20, retries={"max_attempts": 0})
        self._random = random.Random(seed)
        self._number = number
        self.expected: dict[str, set[str | None]] = {}
        self.acknowledged = 0

    def run(self) -> None:
        """Work until the gateway is gone."""
        actions = (self._write, self._write, self._write, self._multipart, self._copy, self._remove)
        try:
            while True:
                self._random.choice(actions)(f"w{self._number}/{self._random.randrange(6)}")
        except (ClientError, BotoCoreError):
            return

    def _change(self, key: str, outcome: str | None, act: Any) -> None:
        before = self.expected.get(key, {None})
        self.expected[key] = before | {outcome}
        act()
        self.expected[key] = {outcome}
        self.acknowledged += 1

    def _body(self) -> bytes:
        size = self._random.choice((10, 2000, 16 << 10, 100_000, 700_000))
        return self._random.randbytes(size)

    def _write(self, key: str) -> None:
        body = self._body()
        self._change(
            key, digest(body), lambda: self._s3.put_object(Bucket="kill", Key=key, Body=body)
        )

    def _remove(self, key: str) -> None:
        self._change(key, None, lambda: self._s3.delete_object(Bucket="kill", Key=key))

    def _copy(self, key: str) -> None:
        source = f"w{self._number}/source"
        if source not in self.expected or self.expected[source] == {None}:
            self._write(source)
        (outcome,) = self.expected[source]
        copy = {"Bucket": "kill", "Key": source}
        self._change(
            key, outcome, lambda: self._s3.copy_object(Bucket="kill", Key=key, CopySource=copy)
        )

    def _multipart(self, key: str) -> None:
        parts = [self._random.randbytes(5 * MIB), self._random.randbytes(1000)]
        upload = {"Bucket": "kill", "Key": key}
        upload["UploadId"] = self._s3.create_multipart_upload(**upload)["UploadId"]
        sent = [
            {"PartNumber": n, "ETag": self._s3.upload_part(**upload, PartNumber=n, Body=p)["ETag"]}
            for n, p in enumerate(parts, 1)
        ]
        complete = {"MultipartUpload": {"Parts": sent}}
        self._change(
            key,
            digest(b"".join(parts)),
            lambda: self._s3.complete_multipart_upload(**upload, **complete),
        )


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def kill_round(gateway: Gateway, seed: int) -> int:
    """Write from all clients, kill at a random moment, restart, check; returns what was acked."""
    writers = [Writer(gateway.url, n, seed * CLIENTS + n) for n in range(CLIENTS)]
    for writer in writers:
        writer.start()
    time.sleep(random.Random(seed).uniform(0.2, 2.0))
    gateway.kill()
    for writer in writers:
        writer.join(60)
        assert not writer.is_alive()
    gateway.start()
    s3 = gateway.client()
    for writer in writers:
        for key, allowed in writer.expected.items():
            assert read_digest(s3, key) in allowed, f"round {seed}: {key}"
    clear(s3)
    return sum(writer.acknowledged for writer in writers)


def read_digest(s3: Any, key: str) -> str | None:
    try:
        return digest(s3.get_object(Bucket="kill", Key=key)["Body"].read())
    except s3.exceptions.NoSuchKey:
        return None


def clear(s3: Any) -> None:
    """Empty the bucket, uploads included, so that every stored byte is then an orphan."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket="kill"):
        for item in page.get("Contents", []):
            s3.delete_object(Bucket="kill", Key=item["Key"])
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket="kill"):
        for upload in page.get("Uploads", []):
            s3.abort_multipart_upload(Bucket="kill", Key=upload["Key"], UploadId=upload["UploadId"])


def stored_files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def wait_until_collected(root: Path) -> None:
    deadline = time.monotonic() + SETTLE_S_MAX
    while stored_files(root) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert stored_files(root) == []


def run_rounds(folder: Path, rounds: int) -> None:
    gateway = Gateway(folder).start()
    try:
        gateway.client().create_bucket(Bucket="kill")
        acknowledged = sum(kill_round(gateway, seed) for seed in range(rounds))
        assert acknowledged > rounds * CLIENTS
        wait_until_collected(folder / "data" / "blobs")
        assert open_intents(gateway) == 0
    finally:
        gateway.stop()


def open_intents(gateway: Gateway) -> int:
    """Read from the catalog, beside the running gateway."""
    import trio

    from s3proxy.bootstrap import open_catalog
    from s3proxy.config import DataConfig

    async def count() -> int:
        async with open_catalog(DataConfig(dir=str(gateway.folder / "data"))) as (catalog, _):
            return len(catalog.open_intents())

    return trio.run(count)


@pytest.mark.slow
def test_kill_at_random_moments_loses_nothing_acknowledged(tmp_path: Path) -> None:
    run_rounds(tmp_path, 6)


@pytest.mark.soak
def test_kill_200_rounds(tmp_path: Path) -> None:
    run_rounds(tmp_path, int(os.environ.get("SOAK_ROUNDS", "200")))
