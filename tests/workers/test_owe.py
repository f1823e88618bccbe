"""Walks over buckets whose rules have changed, and what is published while they run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
import pytest
import trio

from s3proxy.catalog.records import BucketRecord, ObjectRecord
from s3proxy.catalog.settling import Owing
from s3proxy.http.body import BytesBody
from s3proxy.ops.managed import ManagedNamespace
from s3proxy.ops.namespace import CopyFrom, ObjectWrite
from s3proxy.ops.owing import walk_rules
from s3proxy.ops.payload_source import ObjectPayload
from s3proxy.ops.placing import set_rules, set_tenant_rules
from s3proxy.s3.placement import Rules
from s3proxy.workers.owe import Ower
from tests.catalog.catalogs import bucket_record, upload_record
from tests.workers.replicas import Replicas, open_replicas

DATA = b"the data"
PLAIN = ObjectWrite(system={}, user={})
ON_A, ON_B = Rules(regions=("a",)), Rules(regions=("b",))
BEFORE = pytest.mark.parametrize("before", [None, ON_A], ids=["plain", "rules"])


async def walked(replicas: Replicas) -> None:
    """All that the worker has to do."""
    ower = Ower(replicas.services, objects_per_s=10**6)
    while await ower.work():
        pass


async def put(replicas: Replicas, key: str = "k") -> None:
    """As a client would."""
    namespace = ManagedNamespace(replicas.services, replicas.bucket)
    await namespace.put(key, ObjectPayload(BytesBody(DATA), len(DATA)), PLAIN)


async def put_part(replicas: Replicas) -> None:
    upload = upload_record("k", "u")
    await replicas.catalog.create_upload(replicas.bucket, upload)
    namespace = ManagedNamespace(replicas.services, replicas.bucket)
    await namespace.put_part(upload, 1, ObjectPayload(BytesBody(DATA), len(DATA)))


async def publish_after_the_walk(
    replicas: Replicas, publish: Callable[[], Awaitable[None]], rules: Rules, tenant: str = ""
) -> None:
    """Have rules change, and the walk for them end, while a write is under way at `a`."""
    come, go = trio.Event(), trio.Event()

    async def wait(op: str, key: str) -> None:
        await trio.lowlevel.checkpoint()
        if op == "put":
            come.set()
            await go.wait()

    replicas.memories["a"].hook = wait
    async with trio.open_nursery() as nursery:
        nursery.start_soon(publish)
        await come.wait()
        if tenant:
            await set_tenant_rules(replicas.services, tenant, rules)
        else:
            await set_rules(replicas.services, replicas.bucket, rules)
        await walked(replicas)
        assert replicas.catalog.list_debts() == []
        go.set()


@BEFORE
async def test_put_published_after_the_walk_goes_where_the_rules_want_it(
    tmp_path: Path, before: Rules | None
) -> None:
    async with open_replicas(tmp_path, copies=1) as replicas:
        await replicas.set_rules(before)
        await walked(replicas)
        await publish_after_the_walk(replicas, partial(put, replicas), ON_B)
        assert replicas.on("k") == "a"
        await replicas.settle()
        assert replicas.on("k") == "b"


async def test_put_published_after_the_walk_for_rules_of_the_tenant_is_owed(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.set_rules(None)
        await publish_after_the_walk(replicas, partial(put, replicas), ON_B, tenant="main")
        await replicas.settle()
        assert replicas.on("k") == "b"


@BEFORE
async def test_part_published_after_the_walk_is_owed(tmp_path: Path, before: Rules | None) -> None:
    async with open_replicas(tmp_path, copies=1) as replicas:
        await replicas.set_rules(before)
        await walked(replicas)
        await publish_after_the_walk(replicas, partial(put_part, replicas), ON_B)
        (part,) = replicas.catalog.list_parts(replicas.bucket, "u")
        assert part.blob is not None
        await replicas.settle()
        assert [place.backend for place in replicas.catalog.places_of(part.blob)] == ["b"]


async def test_copy_onto_itself_published_after_the_walk_is_owed(tmp_path: Path) -> None:
    """Its plan is of before; what it goes on pointing at has been settled by other rules."""
    async with open_replicas(tmp_path, copies=1) as replicas:
        await put(replicas)
        record = replicas.catalog.get_object(replicas.bucket, "k")
        assert isinstance(record, ObjectRecord)
        namespace = ManagedNamespace(replicas.services, replicas.bucket)
        await set_rules(replicas.services, replicas.bucket, ON_A)
        await walked(replicas)
        await namespace.copy(CopyFrom("k", record), "k", PLAIN)
        assert [debt.blob for debt in replicas.catalog.list_debts()] == list(record.blobs)


async def test_write_decided_on_since_the_walk_owes_nothing(tmp_path: Path) -> None:
    async with open_replicas(tmp_path, copies=1) as replicas:
        await walked(replicas)
        await put(replicas)
        assert replicas.catalog.list_debts() == []


async def test_part_that_becomes_an_object_amid_the_walk_is_owed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_replicas(tmp_path, copies=1) as replicas:
        catalog = replicas.catalog
        first = (await replicas.put("first", DATA)).blobs[0]
        blob = await replicas.put_part("k", DATA, "a")
        await replicas.set_rules(ON_B)
        (upload,) = catalog.list_uploads(replicas.bucket).entries
        add = catalog.add_debts

        async def complete_first(bucket: BucketRecord, found: Sequence[Owing]) -> int:
            if catalog.get_upload(bucket, "k", upload.upload_id) is not None:
                await replicas.complete("k")
            return await add(bucket, found)

        monkeypatch.setattr(catalog, "add_debts", complete_first)
        await walked(replicas)
        assert {debt.blob.id for debt in catalog.list_debts()} == {first.id, blob.id}


async def test_walk_rules_of_a_tenant_that_came_back_are_others(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.set_rules(None)
        digests = []
        for rules in (ON_A, ON_B, ON_A):
            await set_tenant_rules(replicas.services, "main", rules)
            digests.append(walk_rules(replicas.services, replicas.bucket))
        assert len(set(digests)) == 3


async def test_walk_begins_once_for_the_same_rules(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await walked(replicas)
        walks = replicas.bucket.walks
        await walked(replicas)
        assert replicas.bucket.walks == walks == 1
        await replicas.catalog.update_bucket(
            replicas.bucket, lambda now: msgspec.structs.replace(now, revision=now.revision + 1)
        )
        await walked(replicas)
        assert replicas.bucket.walks == 1


async def test_ower_looks_at_each_bucket_twice_however_many_have_other_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_replicas(tmp_path, copies=1) as replicas:
        for number in range(20):
            await replicas.catalog.create_bucket(bucket_record(f"b{number}"))
        replicas.services.default_rules = ON_A
        ower = Ower(replicas.services, objects_per_s=10**6)
        stale, looks = ower._stale_rules, []

        def look(bucket: BucketRecord) -> bytes | None:
            looks.append(bucket.name)
            return stale(bucket)

        monkeypatch.setattr(ower, "_stale_rules", look)
        while await ower.work():
            pass
        assert len(looks) == 2 * 21
