"""Everything that is sealed, sealed anew: every table, every kind of row between the records."""

import secrets
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.describing import WrittenManifest
from s3proxy.catalog.master_keys import former_keys, open_sealer, replace_master_key
from s3proxy.catalog.objects import Deletion
from s3proxy.catalog.records import BucketRecord, Encryption, ObjectRecord
from s3proxy.catalog.resealing import BATCH_ROWS, sealers
from tests.catalog.catalogs import (
    Clock,
    blob,
    bucket_record,
    object_record,
    set_state,
    upload_record,
)
from tests.kv.engines import running

LONG = "k" * 1000


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    async with running(tmp_path, keyspaces=()) as engine:
        yield Catalog(engine, open_sealer(tmp_path), now_ns=Clock(), garbage_delay_s=0)


def sealed(catalog: Catalog, data_key: bytes) -> Encryption:
    identifier = secrets.token_bytes(16)
    return Encryption("AES256", identifier, catalog.seal_data_key(data_key, identifier))


def opened(catalog: Catalog, encryption: Encryption | None) -> bytes:
    assert encryption is not None
    return catalog.unseal_data_key(encryption.sealed_key, encryption.id)


async def put(
    catalog: Catalog, bucket: BucketRecord, key: str, encryption: Encryption | None
) -> ObjectRecord:
    record = msgspec.structs.replace(object_record(), encryption=encryption)
    return await catalog.put_object(bucket, key, record)


async def walk(catalog: Catalog) -> tuple[int, int]:
    """Rows read and sealed anew, in all."""
    batch = await catalog.reseal()
    read, changed = batch.read, batch.changed
    while batch.keyspace:
        batch = await catalog.reseal(batch.keyspace, batch.after)
        read, changed = read + batch.read, changed + batch.changed
    return read, changed


async def test_every_sealed_row_is_sealed_anew_and_opens(catalog: Catalog, tmp_path: Path) -> None:
    bucket = await catalog.create_bucket(bucket_record())
    bucket = await set_state(catalog, bucket, "Enabled")
    versions = []
    for key in ("a", LONG, LONG + "b"):
        for data_key in (b"1", b"2", b"3"):
            made = await put(catalog, bucket, key, sealed(catalog, data_key))
            versions.append((key, made.version_id, data_key))
        await catalog.delete_object(bucket, Deletion(key))
    await put(catalog, bucket, "plain", None)
    customer = Encryption("SSE-C", b"i", b"sealed by others", "md5")
    await put(catalog, bucket, "customer", customer)
    for key in ("u", LONG):
        upload = msgspec.structs.replace(
            upload_record(key, "upload"), encryption=sealed(catalog, b"upload")
        )
        await catalog.create_upload(bucket, upload)
    secret = (await catalog.create_key("alice", "AKIA", "secret")).secret

    replace_master_key(tmp_path)
    assert (await walk(catalog))[1] == len(versions) + 2 + 1
    for path in former_keys(tmp_path):
        path.unlink()
    fresh = Catalog(catalog.engine, open_sealer(tmp_path))
    for key, version_id, data_key in versions:
        record = fresh.get_object(bucket, key, version_id)
        assert record is not None
        assert opened(fresh, record.encryption) == data_key
    for key in ("u", LONG):
        kept = fresh.get_upload(bucket, key, "upload")
        assert kept is not None
        assert opened(fresh, kept.encryption) == b"upload"
    held = fresh.get_object(bucket, "customer")
    assert held is not None
    assert held.encryption == customer
    key_record = fresh.get_key("AKIA")
    assert key_record is not None
    assert fresh.unseal(key_record) == secret
    assert (await walk(fresh))[1] == 0


async def test_more_rows_than_a_batch_are_walked_in_order(catalog: Catalog, tmp_path: Path) -> None:
    bucket = await catalog.create_bucket(bucket_record())
    encryption = sealed(catalog, b"data key")
    count = 2 * BATCH_ROWS + 1
    for number in range(count):
        await put(catalog, bucket, f"{number:05}", encryption if number % 2 else None)
    replace_master_key(tmp_path)
    batch = await catalog.reseal("objects")
    assert (batch.read, batch.changed, batch.keyspace) == (BATCH_ROWS, BATCH_ROWS // 2, "objects")
    assert (await walk(catalog))[1] == BATCH_ROWS // 2
    assert await walk(catalog) == (count, 0)


async def test_row_that_does_not_open_stops_the_walk(catalog: Catalog, tmp_path: Path) -> None:
    bucket = await catalog.create_bucket(bucket_record())
    await put(catalog, bucket, "k", sealed(catalog, b"data key"))
    replace_master_key(tmp_path).unlink()
    fresh = Catalog(catalog.engine, open_sealer(tmp_path))
    with pytest.raises(Exception, match="another master key"):
        await walk(fresh)


async def test_upload_that_is_completed_amid_the_walk_is_not_passed_over(
    catalog: Catalog, tmp_path: Path
) -> None:
    bucket = await catalog.create_bucket(bucket_record())
    upload = msgspec.structs.replace(
        upload_record("k", "upload"), encryption=sealed(catalog, b"upload")
    )
    await catalog.create_upload(bucket, upload)
    replace_master_key(tmp_path)
    batch, completed = await catalog.reseal(), False
    while batch.keyspace:
        batch = await catalog.reseal(batch.keyspace, batch.after)
        if completed:
            continue
        completed = True
        found = catalog.get_upload(bucket, "k", "upload")
        assert found is not None
        record = msgspec.structs.replace(object_record(), encryption=found.encryption)
        await catalog.complete_upload(bucket, "k", "upload", record, parts=[])
    (former,) = former_keys(tmp_path)
    former.unlink()
    other = Catalog(catalog.engine, open_sealer(tmp_path), now_ns=Clock(), garbage_delay_s=0)
    made = other.get_object(bucket, "k")
    assert made is not None
    assert opened(other, made.encryption) == b"upload"


async def test_what_began_before_a_rotation_is_stored_under_the_new_key(
    catalog: Catalog, tmp_path: Path
) -> None:
    """Objects, uploads and completed uploads, with the former key's file gone by then."""
    bucket = await catalog.create_bucket(bucket_record())
    await catalog.create_upload(bucket, upload_record("u", "u"))
    begun = [sealed(catalog, data_key) for data_key in (b"1", b"2", b"3")]
    replace_master_key(tmp_path).unlink()
    assert (await walk(catalog))[1] == 0
    await put(catalog, bucket, "k", begun[0])
    upload = msgspec.structs.replace(upload_record("v", "v"), encryption=begun[1])
    await catalog.create_upload(bucket, upload)
    record = msgspec.structs.replace(object_record(), encryption=begun[2])
    await catalog.complete_upload(bucket, "u", "u", record, parts=[])
    assert catalog.count_stale() == 0
    other = Catalog(catalog.engine, open_sealer(tmp_path), now_ns=Clock(), garbage_delay_s=0)
    found = [other.get_object(bucket, "k"), other.get_upload(bucket, "v", "v")]
    found.append(other.get_object(bucket, "u"))
    keys = [opened(other, one.encryption) for one in found if one is not None]
    assert keys == [b"1", b"2", b"3"]


async def test_version_that_moves_to_where_the_walk_has_been_is_counted(
    catalog: Catalog, tmp_path: Path
) -> None:
    bucket = await catalog.create_bucket(bucket_record())
    bucket = await set_state(catalog, bucket, "Enabled")
    await put(catalog, bucket, "k", sealed(catalog, b"data key"))
    marker = await catalog.delete_object(bucket, Deletion("k"))
    assert marker is not None
    replace_master_key(tmp_path)
    batch = await catalog.reseal()
    while batch.keyspace != "versions":
        batch = await catalog.reseal(batch.keyspace, batch.after)
    await catalog.delete_object(bucket, Deletion("k", marker.version_id))
    assert (await catalog.reseal(batch.keyspace, batch.after)).changed == 0
    assert catalog.count_stale() == 1
    assert (await walk(catalog))[1] == 1
    assert catalog.count_stale() == 0


async def test_walk_waits_for_the_transaction_that_is_open(tmp_path: Path) -> None:
    """It looked at the former key before that was exchanged, and commits afterwards."""
    looked, exchanged = threading.Event(), threading.Event()
    async with running(tmp_path, keyspaces=()) as engine:
        sealer = open_sealer(tmp_path)
        writer = Catalog(engine, sealer, now_ns=Clock(), garbage_delay_s=0)
        bucket = await writer.create_bucket(bucket_record())
        encryption = sealed(writer, b"data key")
        is_current = sealer.is_current

        def late(value: bytes) -> bool:
            current = is_current(value)
            looked.set()
            exchanged.wait()
            return current

        sealer.is_current = late  # type: ignore[method-assign]
        other = Catalog(engine, open_sealer(tmp_path), now_ns=Clock(), garbage_delay_s=0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(put, writer, bucket, "k", encryption)
            await trio.to_thread.run_sync(looked.wait)
            replace_master_key(tmp_path)
            nursery.start_soon(_release, exchanged)
            assert (await walk(other))[1] == 1
        assert other.count_stale() == 0


async def _release(event: threading.Event) -> None:
    await trio.testing.wait_all_tasks_blocked()
    event.set()


async def test_manifests_that_hold_a_sealed_key_are_due_again(catalog: Catalog) -> None:
    bucket = await catalog.create_bucket(msgspec.structs.replace(bucket_record(), manifests=True))
    await put(catalog, bucket, "sealed", sealed(catalog, b"data key"))
    parted = object_record(blob(), blob())
    await catalog.put_object(bucket, "plain", parted)
    due = catalog.due_manifests(2**62, 10)
    place = ("disk", "container")
    await catalog.settle_manifests([WrittenManifest(one, (place,)) for one in due])
    assert catalog.due_manifests(2**62, 10) == []
    assert await catalog.note_sealed_manifests() == (b"", 1)
    assert [one.key for one in catalog.due_manifests(2**62, 10)] == ["sealed"]


async def test_sealers_are_found_in_every_table(catalog: Catalog, tmp_path: Path) -> None:
    found = []
    bucket = await catalog.create_bucket(bucket_record())
    bucket = await set_state(catalog, bucket, "Enabled")
    with catalog.engine.read() as view:
        assert sealers(view) == set()
    changes = (
        lambda: catalog.create_key("alice"),
        lambda: put(catalog, bucket, LONG, sealed(catalog, b"1")),
        lambda: put(catalog, bucket, LONG, None),
        lambda: catalog.create_upload(
            bucket,
            msgspec.structs.replace(upload_record("u", "u"), encryption=sealed(catalog, b"2")),
        ),
    )
    for change in changes:
        await change()
        with catalog.engine.read() as view:
            found.append(len(sealers(view)))
        replace_master_key(tmp_path)
    assert found == [1, 2, 2, 3]
