"""kill -9 at random moments: what was acknowledged is there, the rest is whole or absent.

Nothing is left over: once the buckets are emptied, no blob, temporary, upload or intent remains.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.traces import (
    SETTLE_S_MAX,
    leftovers,
    logged_bugs,
    open_intents,
    stored_files,
    wait_until_gone,
)
from tests.faults.wire import ask
from tests.faults.writers import MIB, Writer, digest, kill_under
from tests.gateways import Gateway, attached, local_backend

CLIENTS = 16
KEYS = 6  # of each client
ROUNDS = 5
SOAK_ROUNDS = 200
BUCKETS = ("managed", "attached")  # half of the clients write to each


class PlainWriter(Writer):
    """Puts, copies, uploads in parts and deletes its own keys; remembers what was acknowledged.

    Attributes:
        expected: by key the digests it may have: one where the last write was acknowledged, more
            where it was cut off; None stands for absence.
    """

    def __init__(self, url: str, number: int, seed: int) -> None:
        super().__init__(url, seed)
        self._number = number
        self.bucket = BUCKETS[number % 2]
        self.expected: dict[str, set[str | None]] = {}

    def act(self) -> None:
        """Write or remove one key."""
        actions = (self._put, self._put, self._put, self._multipart, self._copy, self._remove)
        self.random.choice(actions)(self._key())

    def _key(self) -> str:
        """Some share their directories with other clients, some make and remove their own."""
        index = self.random.randrange(KEYS)
        return f"w{self._number}/{index}/deep" if index % 2 else f"shared/w{self._number}-{index}"

    def _change(self, key: str, outcome: str | None, act: Callable[[], Any]) -> None:
        before = self.expected.get(key, {None})
        self.expected[key] = before | {outcome}
        act()
        self.expected[key] = {outcome}
        self.acknowledged += 1

    def _put(self, key: str) -> None:
        body = self.random.randbytes(self.random.choice((10, 2000, 16 << 10, 100_000, 700_000)))
        put = {"Bucket": self.bucket, "Key": key, "Body": body}
        self._change(key, digest(body), lambda: self.s3.put_object(**put))

    def _remove(self, key: str) -> None:
        where = {"Bucket": self.bucket, "Key": key}
        self._change(key, None, lambda: self.s3.delete_object(**where))

    def _copy(self, key: str) -> None:
        source = f"w{self._number}/source"
        if source not in self.expected:
            self._put(source)
        (outcome,) = self.expected[source]
        copy = {"Bucket": self.bucket, "Key": key}
        copy["CopySource"] = f"{self.bucket}/{source}"
        self._change(key, outcome, lambda: self.s3.copy_object(**copy))

    def _multipart(self, key: str) -> None:
        parts = [self.random.randbytes(5 * MIB), self.random.randbytes(1000)]
        upload = {"Bucket": self.bucket, "Key": key}
        upload["UploadId"] = self.s3.create_multipart_upload(**upload)["UploadId"]
        sent = [
            {"PartNumber": n, "ETag": self.s3.upload_part(**upload, PartNumber=n, Body=p)["ETag"]}
            for n, p in enumerate(parts, 1)
        ]
        if self.random.randrange(4) == 0:
            self.s3.abort_multipart_upload(**upload)
            return
        complete = {**upload, "MultipartUpload": {"Parts": sent}}
        outcome = digest(b"".join(parts))
        self._change(key, outcome, lambda: self.s3.complete_multipart_upload(**complete))


def kill_round(gateway: Gateway, seed: int) -> int:
    """Write from all clients, kill at a random moment, restart, check; returns what was acked."""
    chance = random.Random(seed)
    writers = [PlainWriter(gateway.url, n, seed * CLIENTS + n) for n in range(CLIENTS)]
    wanted = chance.randrange(CLIENTS, 10 * CLIENTS)
    kill_under(gateway, writers, wanted, delay_s=chance.uniform(0, 0.05))
    s3 = gateway.client()
    for bucket in BUCKETS:
        check(s3, bucket, [writer for writer in writers if writer.bucket == bucket], seed)
        clear(s3, bucket)
    s3.close()
    return sum(writer.acknowledged for writer in writers)


def check(s3: Any, bucket: str, writers: list[PlainWriter], seed: int) -> None:
    """All that is there is what one of the writers wanted there, and listed as what it is."""
    listed = {item["Key"]: item for item in contents(s3, bucket)}
    for writer in writers:
        for key, allowed in writer.expected.items():
            found = None
            if key in listed:
                answer = s3.get_object(Bucket=bucket, Key=key)
                body = answer["Body"].read()
                found = digest(body)
                assert (answer["ETag"], len(body)) == (listed[key]["ETag"], listed[key]["Size"])
                del listed[key]
            assert found in allowed, f"round {seed}: {bucket}/{key}"
    assert not listed, f"round {seed}"


def contents(s3: Any, bucket: str) -> list[dict[str, Any]]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [item for page in pages for item in page.get("Contents", [])]


def clear(s3: Any, bucket: str) -> None:
    """Empty the bucket, uploads included, so that every stored byte is then an orphan."""
    for item in contents(s3, bucket):
        s3.delete_object(Bucket=bucket, Key=item["Key"])
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for upload in page.get("Uploads", []):
            where = {"Bucket": bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
            s3.abort_multipart_upload(**where)


def run_rounds(folder: Path, rounds: int) -> None:
    root = folder / "blobs"
    (root / "files").mkdir(parents=True)
    gateway = Gateway(folder, local_backend("disk", root) + attached("attached", "disk", "files"))
    gateway.start()
    try:
        gateway.client().create_bucket(Bucket="managed")
        acknowledged = sum(kill_round(gateway, seed) for seed in range(rounds))
        assert acknowledged > rounds * CLIENTS
        # What the last kill left of uploads that no client knows of goes at the next start.
        assert gateway.stop() == 0
        gateway.start()
        wait_until_gone(root, SETTLE_S_MAX)
        assert leftovers(root) == stored_files(root / "files") == []
        assert list((root / "files").glob(".s3proxy/uploads/*")) == []
        # Directories that were made for a key, or emptied of one, may stay; nobody sees them.
        answer = ask(gateway, "GET", "/attached?list-type=2&delimiter=%2F")
        assert b"<KeyCount>0</KeyCount>" in answer.body, answer
        assert open_intents(gateway) == 0
        assert logged_bugs(gateway) == []
    finally:
        gateway.stop()


@pytest.mark.slow
def test_kill_at_random_moments_loses_nothing_acknowledged(tmp_path: Path) -> None:
    run_rounds(tmp_path, ROUNDS)


@pytest.mark.soak
def test_kill_200_rounds_loses_nothing_acknowledged(tmp_path: Path) -> None:
    run_rounds(tmp_path, SOAK_ROUNDS)
