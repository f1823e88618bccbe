"""Recovery at start: open intents become garbage, whatever state the backends are in."""

from __future__ import annotations

from pathlib import Path

import msgspec

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.records import BlobRef
from s3proxy.workers.recover import recover
from tests.catalog.catalogs import (
    blob,
    bucket_record,
    garbage_blobs,
    object_record,
    open_catalog,
    upload_record,
)
from tests.workers.fakes import FakeBackend, as_backend, unavailable


async def intend(catalog: Catalog) -> BlobRef:
    if catalog.get_bucket("bucket") is None:
        await catalog.create_bucket(bucket_record())
    bucket = catalog.get_bucket("bucket")
    assert bucket is not None
    target = blob()
    await catalog.intend(target, bucket, "key").wait()
    return target


async def test_recover_open_intents_become_garbage_once(tmp_path: Path) -> None:
    disk = FakeBackend()
    async with open_catalog(tmp_path) as catalog:
        targets = [await intend(catalog) for _ in range(3)]
        assert await recover(catalog, {"disk": as_backend(disk)}) == 3
        assert garbage_blobs(catalog) == {target.id for target in targets}
        assert catalog.open_intents() == []
        assert await recover(catalog, {"disk": as_backend(disk)}) == 0
        assert disk.asked == ["recover", "recover"]


async def test_recover_published_object_keeps_its_blob(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        target = await intend(catalog)
        bucket = catalog.get_bucket("bucket")
        assert bucket is not None
        await catalog.put_object(
            bucket, "key", object_record(target), condition=None, intents=[target.id]
        )
        assert await recover(catalog, {}) == 0
        assert garbage_blobs(catalog) == set()


async def test_recover_backend_without_answer_leaves_its_blobs_to_the_collector(
    tmp_path: Path,
) -> None:
    far, disk = FakeBackend(unavailable()), FakeBackend()
    async with open_catalog(tmp_path) as catalog:
        target = await intend(catalog)
        backends = {"far": as_backend(far), "disk": as_backend(disk)}
        assert await recover(catalog, backends) == 1
        assert disk.asked == ["recover"]
        assert garbage_blobs(catalog) == {target.id}


async def test_recover_forgets_uploads_to_attached_directories_that_the_catalog_lacks(
    tmp_path: Path,
) -> None:
    far, disk = FakeBackend(unavailable()), FakeBackend()
    async with open_catalog(tmp_path) as catalog:
        for name, backend in (("here", "disk"), ("also-here", "disk"), ("there", "far")):
            record = msgspec.structs.replace(bucket_record(name, kind="attached"), backend=backend)
            await catalog.create_bucket(msgspec.structs.replace(record, container="www"))
        for name in ("here", "also-here"):
            bucket = catalog.get_bucket(name)
            assert bucket is not None
            for number in range(1001 if name == "here" else 1):
                upload = upload_record("key", f"{number:04}")
                native = msgspec.structs.replace(upload, backend_upload_id=f"{name}-{number}")
                await catalog.create_upload(bucket, native)
        await catalog.create_bucket(bucket_record("managed"))
        assert await recover(catalog, {"disk": as_backend(disk), "far": as_backend(far)}) == 0
    assert disk.asked == ["recover", "forget www"]
    assert disk.known == {*(f"here-{n}" for n in range(1001)), "also-here-0"}


async def test_recover_keeps_uploads_to_the_directory_of_any_tenant(tmp_path: Path) -> None:
    disk = FakeBackend()
    async with open_catalog(tmp_path) as catalog:
        await catalog.create_tenant("acme")
        for tenant in ("main", "acme"):
            record = bucket_record("www", tenant, kind="attached")
            bucket = await catalog.create_bucket(record)
            native = msgspec.structs.replace(upload_record("k", "u"), backend_upload_id=tenant)
            await catalog.create_upload(bucket, native)
        await recover(catalog, {"disk": as_backend(disk)})
    assert disk.known == {"main", "acme"}
