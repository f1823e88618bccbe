"""kill -9 while versions are written, deleted, locked and moved: each that was acknowledged stays.

The bucket has versions, encryption, object lock, and a lifecycle rule that moves its objects to
another backend; a walk of the rules begins with each start of the gateway.
"""

from __future__ import annotations

import functools
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.faults.traces import (
    SETTLE_S_MAX,
    leftovers,
    logged_bugs,
    open_intents,
    stored_files,
    wait_until_gone,
)
from tests.faults.writers import MIB, Writer, digest, kill_under
from tests.gateways import Gateway, local_backend

BUCKET = "held"
CLIENTS = 8
KEYS = 3  # of each client
ROUNDS = 4
SIZES = (10, 16 << 10, 70_000, 300_000)
MARKER = None  # stands for a delete marker, where a digest would stand


class VersionWriter(Writer):
    """Writes, deletes and removes versions of its own keys; remembers what was acknowledged.

    Attributes:
        kept: digests by (key, version id).
        locked: those of them that nobody may remove.
        undecided: what the last request may have made or removed, if it was cut off.
    """

    def __init__(self, url: str, number: int) -> None:
        super().__init__(url, number)
        self._url = url
        self._number = number
        self.kept: dict[tuple[str, str], str | None] = {}
        self.locked: set[tuple[str, str]] = set()
        self.undecided: set[tuple[str, str] | str | None] = set()

    def begin_anew(self) -> VersionWriter:
        """A writer that goes on with what this one left."""
        following = VersionWriter(self._url, self._number + CLIENTS)
        following.kept, following.locked = self.kept, self.locked
        return following

    def act(self) -> None:
        """Write, mark or remove a version of one key."""
        actions = (self._put, self._put, self._put, self._parts, self._copy, self._mark)
        key = f"w{self._number % CLIENTS}/{self.random.randrange(KEYS)}"
        self.undecided.clear()
        self.random.choice((*actions, self._remove, self._remove))(key)
        self.acknowledged += 1

    def _keep(self, key: str, answer: dict[str, Any], found: str | None) -> None:
        self.kept[key, answer["VersionId"]] = found
        self.undecided.clear()

    def _put(self, key: str) -> None:
        body = self.random.randbytes(self.random.choice(SIZES))
        self.undecided.add(digest(body))
        lock = self.random.randrange(4) == 0
        until = datetime.now(UTC) + timedelta(days=1)
        headers = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}
        answer = self.s3.put_object(Bucket=BUCKET, Key=key, Body=body, **(headers if lock else {}))
        self._keep(key, answer, digest(body))
        if lock:
            self.locked.add((key, answer["VersionId"]))

    def _parts(self, key: str) -> None:
        bodies = [self.random.randbytes(5 * MIB), self.random.randbytes(1000)]
        upload = {"Bucket": BUCKET, "Key": key}
        upload["UploadId"] = self.s3.create_multipart_upload(**upload)["UploadId"]
        sent = [
            {
                "PartNumber": n,
                "ETag": self.s3.upload_part(**upload, PartNumber=n, Body=body)["ETag"],
            }
            for n, body in enumerate(bodies, 1)
        ]
        whole = digest(b"".join(bodies))
        self.undecided.add(whole)
        answer = self.s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": sent})
        self._keep(key, answer, whole)

    def _copy(self, key: str) -> None:
        objects = [known for known, found in self.kept.items() if found is not MARKER]
        if not objects:
            return
        source, version_id = self.random.choice(objects)
        found = self.kept[source, version_id]
        self.undecided.add(found)
        named = {"Bucket": BUCKET, "Key": source, "VersionId": version_id}
        answer = self.s3.copy_object(Bucket=BUCKET, Key=key, CopySource=named)
        self._keep(key, answer, found)

    def _mark(self, key: str) -> None:
        self.undecided.add(MARKER)
        self._keep(key, self.s3.delete_object(Bucket=BUCKET, Key=key), MARKER)

    def _remove(self, key: str) -> None:
        mine = [known for known in self.kept if known[0] == key]
        if not mine:
            return
        chosen = self.random.choice(mine)
        self.undecided.add(chosen)
        try:
            self.s3.delete_object(Bucket=BUCKET, Key=key, VersionId=chosen[1])
        except ClientError as error:
            assert error.response["Error"]["Code"] == "AccessDenied", error
            assert chosen in self.locked, error
        else:
            assert chosen not in self.locked, chosen
            del self.kept[chosen]
        self.undecided.clear()


def versions_of(s3: Any) -> list[tuple[str, str, str | None]]:
    """Key, version id and digest of every version there is."""
    found = []
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET):
        for entry in page.get("Versions", []):
            named = {"Bucket": BUCKET, "Key": entry["Key"], "VersionId": entry["VersionId"]}
            body = s3.get_object(**named)["Body"].read()
            assert len(body) == entry["Size"], entry
            found.append((entry["Key"], entry["VersionId"], digest(body)))
        for entry in page.get("DeleteMarkers", []):
            found.append((entry["Key"], entry["VersionId"], MARKER))
    return found


def check(s3: Any, writers: list[VersionWriter]) -> None:
    """All that is there is what was acknowledged, or was just being written or removed."""
    there = {(key, version_id): found for key, version_id, found in versions_of(s3)}
    by_name = {f"w{number}": writer for number, writer in enumerate(writers)}
    for writer in writers:
        for known in [known for known in writer.kept if known not in there]:
            assert known in writer.undecided, known
            del writer.kept[known]
    for (key, version_id), found in there.items():
        writer = by_name[key.partition("/")[0]]
        if (key, version_id) not in writer.kept:
            assert found in writer.undecided, (key, version_id)
            writer.kept[key, version_id] = found
        assert writer.kept[key, version_id] == found, (key, version_id)
    assert all(writer.locked <= there.keys() for writer in writers)


def put_rules(s3: Any, number: int) -> None:
    """Rules that were not there before, so that they are carried out at once."""
    move = {"Date": datetime(2024, 1, 1, tzinfo=UTC), "StorageClass": "STANDARD_IA"}
    rule = {"ID": str(number), "Status": "Enabled", "Filter": {"Prefix": ""}, "Transitions": [move]}
    s3.put_bucket_lifecycle_configuration(
        Bucket=BUCKET,
        LifecycleConfiguration={"Rules": [rule]},
        TransitionDefaultMinimumObjectSize="varies_by_storage_class",
    )


def make_bucket(s3: Any) -> None:
    s3.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})


def kill_round(gateway: Gateway, writers: list[VersionWriter], seed: int) -> None:
    chance = random.Random(seed)
    wanted = chance.randrange(2 * CLIENTS, 12 * CLIENTS)
    delay_s = chance.uniform(0, 0.05)
    rules = functools.partial(put_rules, gateway.client(), seed)
    kill_under(gateway, writers, wanted, delay_s=delay_s, before=rules)
    check(gateway.client(), writers)


def clear(s3: Any) -> None:
    for key, version_id, _ in versions_of(s3):
        named = {"Bucket": BUCKET, "Key": key, "VersionId": version_id}
        s3.delete_object(**named, BypassGovernanceRetention=True)
    s3.delete_bucket(Bucket=BUCKET)  # takes its uploads with it


def run_rounds(folder: Path, rounds: int) -> None:
    hot, cold = folder / "hot", folder / "cold"
    for root in (hot, cold):
        root.mkdir(parents=True)
    classes = '[[storage_class]]\nname = "STANDARD_IA"\nbackend = "cold"\n'
    gateway = Gateway(folder, local_backend("hot", hot) + local_backend("cold", cold) + classes)
    gateway.start()
    try:
        make_bucket(gateway.client())
        writers = [VersionWriter(gateway.url, number) for number in range(CLIENTS)]
        for seed in range(rounds):
            kill_round(gateway, writers, seed)
            writers = [writer.begin_anew() for writer in writers]
        assert stored_files(cold), "nothing was moved"
        clear(gateway.client())
        assert gateway.stop() == 0
        gateway.start()
        for root in (hot, cold):
            wait_until_gone(root, SETTLE_S_MAX)
            assert leftovers(root) == []
        assert open_intents(gateway) == 0
        assert logged_bugs(gateway) == []
    finally:
        gateway.stop()


@pytest.mark.slow
def test_kill_amid_versions_and_moves_loses_none_acknowledged(tmp_path: Path) -> None:
    run_rounds(tmp_path, ROUNDS)
