"""Everything that is sealed, sealed anew: every table, every kind of row between the records."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.master_keys import former_keys, open_sealer, replace_master_key
from s3proxy.catalog.objects import Deletion
from s3proxy.catalog.records import BucketRecord, Encryption, ObjectRecord
from s3proxy.catalog.resealing import BATCH_ROWS
from tests.catalog.catalogs import Clock, bucket_record, object_record, set_state, upload_record
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
