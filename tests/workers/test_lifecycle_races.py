"""Lifecycle against put: what is written while old objects expire survives, whole."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest
import trio

from s3proxy.catalog.records import BucketRecord
from s3proxy.ops.call import Settings
from s3proxy.s3.errors import S3Error
from s3proxy.s3.lifecycle import (
    DAY_NS,
    Expiration,
    Filter,
    Lifecycle,
    NoncurrentExpiration,
    Rule,
    Transition,
)
from s3proxy.s3.lifecycle_xml import lifecycle_configuration
from s3proxy.workers.lifecycle import LifecycleWorker
from tests.ops.lab import Lab, disk_backend, md5, open_lab
from tests.ops.uploads import completion

TASKS = 64
KEYS = 16
RULES = Lifecycle(
    (
        Rule("aged", True, Filter(), Expiration(days=1)),
        Rule("old", True, Filter(), noncurrent_expiration=NoncurrentExpiration(1)),
    )
)


async def _make_old(lab: Lab, versioning: str) -> None:
    await lab.catalog.update_bucket(
        lab.bucket(), lambda old: msgspec.structs.replace(old, versioning=versioning)
    )
    for number in range(KEYS):
        for _ in range(2):
            await lab.put(f"/www/k{number}", b"old" * 500)
    document = lifecycle_configuration(RULES, kept=True)
    await lab.catalog.put_bucket_config(lab.bucket(), "lifecycle", document)
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

        row = lab.bucket().id + b"lifecycle"
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
        kept = {one.record.etag for one in lab.catalog.list_versions(lab.bucket()).entries}
        if versioning == "Enabled":
            assert set().union(*written.values()) <= kept
        else:
            assert md5(b"old" * 500) not in kept


async def test_put_while_objects_move_is_what_is_read(tmp_path: Path) -> None:
    settings = Settings(inline_bytes_max=1000, storage_classes={"GLACIER_IR": "cold"})
    cold = disk_backend("cold", tmp_path / "c")
    async with open_lab(tmp_path, more=[cold], settings=settings) as lab:
        await _make_old(lab, "")
        move = Rule("m", True, Filter(size_above=0), transitions=(Transition("GLACIER_IR", 1),))
        document = lifecycle_configuration(Lifecycle((move,)), kept=True)
        await lab.catalog.put_bucket_config(lab.bucket(), "lifecycle", document)
        worker = LifecycleWorker(lab.services, objects_per_s=10**9)
        written: dict[str, set[str]] = {f"k{number}": set() for number in range(KEYS)}

        async def write(number: int) -> None:
            key = f"k{number % (KEYS // 2)}"
            for _ in range(random.randrange(12)):
                await trio.lowlevel.checkpoint()
            data = f"new {number} ".encode() * random.choice((1, 300))
            await lab.put(f"/www/{key}", data)
            written[key].add(md5(data))

        async def walk() -> None:
            while await worker.work():
                pass

        async with trio.open_nursery() as nursery:
            nursery.start_soon(walk)
            for number in range(TASKS):
                nursery.start_soon(write, number)
        for key, etags in written.items():
            answer = await lab.get(f"/www/{key}")
            assert md5(answer.body) == answer.etag
            assert answer.etag in (etags or {md5(b"old" * 500)})
        assert worker.counts["moved"] >= KEYS // 2
        assert not lab.catalog.open_intents()
        garbage = set(lab.garbage())
        for _, record in lab.catalog.scan_objects(lab.bucket()):
            assert garbage.isdisjoint(blob.id for blob in record.blobs)


async def test_complete_against_abort_by_age_has_one_winner(tmp_path: Path) -> None:
    async with open_lab(tmp_path) as lab:
        uploads = Rule("u", True, Filter(), abort_days=1)
        document = lifecycle_configuration(Lifecycle((uploads,)), kept=True)
        await lab.catalog.put_bucket_config(lab.bucket(), "lifecycle", document)
        targets = []
        for number in range(TASKS):
            upload_id = (await lab.ask("POST", f"/www/k{number}?uploads")).text("UploadId")
            part = await lab.put(f"/www/k{number}?uploadId={upload_id}&partNumber=1", b"1" * 2000)
            targets.append((f"k{number}", upload_id, part.etag))
        lab.clock.ns += 3 * DAY_NS
        completed: set[str] = set()

        async def complete(key: str, upload_id: str, etag: str) -> None:
            for _ in range(random.randrange(8)):
                await trio.lowlevel.checkpoint()
            try:
                await lab.ask("POST", f"/www/{key}?uploadId={upload_id}", completion(etag))
            except S3Error as error:
                assert error.code == "NoSuchUpload"
            else:
                completed.add(key)

        worker = LifecycleWorker(lab.services, objects_per_s=10**9)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.work)
            for target in targets:
                nursery.start_soon(complete, *target)
        assert {key for key, _ in lab.catalog.scan_objects(lab.bucket())} == completed
        assert worker.counts["aborted"] == TASKS - len(completed)
        assert not lab.catalog.list_uploads(lab.bucket()).entries
        for key in completed:
            assert (await lab.get(f"/www/{key}")).body == b"1" * 2000


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
        assert [key for key, _ in lab.catalog.scan_objects(lab.bucket())] == ["k7"]
        assert (await lab.get("/www/k7")).body == b"new"
        assert worker.counts["expired"] == KEYS - 1
