"""Lifecycle against put: what is written while old objects expire survives, whole."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest
import trio

from s3proxy.catalog.records import BucketRecord
from s3proxy.s3.lifecycle import DAY_NS, Expiration, Filter, Lifecycle, NoncurrentExpiration, Rule
from s3proxy.s3.lifecycle_xml import lifecycle_configuration
from s3proxy.workers.lifecycle import LifecycleWorker
from tests.ops.lab import Lab, md5, open_lab

TASKS = 64
KEYS = 16
RULES = Lifecycle(
    (
        Rule("aged", True, Filter(), Expiration(days=1)),
        Rule("old", True, Filter(), noncurrent_expiration=NoncurrentExpiration(1)),
    )
)


def bucket_of(lab: Lab) -> BucketRecord:
    found = lab.catalog.get_bucket("www")
    assert found is not None
    return found


async def _make_old(lab: Lab, versioning: str) -> None:
    await lab.catalog.update_bucket(
        bucket_of(lab), lambda old: msgspec.structs.replace(old, versioning=versioning)
    )
    for number in range(KEYS):
        for _ in range(2):
            await lab.put(f"/www/k{number}", b"old" * 500)
    document = lifecycle_configuration(RULES, kept=True)
    await lab.catalog.put_bucket_config(bucket_of(lab), "lifecycle", document)
    lab.clock.ns += 5 * DAY_NS


@pytest.mark.parametrize("versioning", ["", "Enabled", "Suspended"])
async def test_put_while_objects_expire_survives(tmp_path: Path, versioning: str) -> None:
    async with open_lab(tmp_path) as lab:
        await _make_old(lab, versioning)
        written: dict[str, set[str]] = {f"k{number}": set() for number in range(KEYS)}
        done = trio.Event()

        async def write(number: int) -> None:
            key = f"k{number % KEYS}"
            data = f"new {number} ".encode() * random.choice((1, 300))
            for _ in range(random.randrange(8)):
                await trio.lowlevel.checkpoint()
            await lab.put(f"/www/{key}", data)
            written[key].add(md5(data))

        async def expire() -> None:
            while not done.is_set():
                # Another walk by the same rules: what counts is what they meet, not how often.
                worker = LifecycleWorker(lab.services, objects_per_s=10**9)
                while await worker.work():
                    pass
                await lab.catalog.engine.commit(lambda txn: txn.delete("progress", row))

        row = bucket_of(lab).id + b"lifecycle"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expire)
            async with trio.open_nursery() as writers:
                for number in range(TASKS):
                    writers.start_soon(write, number)
            done.set()

        for key, etags in written.items():
            answer = await lab.get(f"/www/{key}")
            assert answer.etag in etags
            assert md5(answer.body) == answer.etag
        kept = {one.record.etag for one in lab.catalog.list_versions(bucket_of(lab)).entries}
        if versioning == "Enabled":
            assert set().union(*written.values()) <= kept
        else:
            assert md5(b"old" * 500) not in kept


async def test_object_replaced_after_it_was_judged_survives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_lab(tmp_path) as lab:
        await _make_old(lab, "")
        expire_versions = lab.catalog.expire_versions

        async def late(
            bucket: BucketRecord, lifecycle: Lifecycle, found: list[object], announcer: None
        ) -> int:
            assert len(found) == KEYS
            await lab.put("/www/k7", b"new")
            return await expire_versions(bucket, lifecycle, found, announcer)

        monkeypatch.setattr(lab.catalog, "expire_versions", late)
        worker = LifecycleWorker(lab.services, objects_per_s=10**9)
        while await worker.work():
            pass
        assert [key for key, _ in lab.catalog.scan_objects(bucket_of(lab))] == ["k7"]
        assert (await lab.get("/www/k7")).body == b"new"
        assert worker.counts["expired"] == KEYS - 1
