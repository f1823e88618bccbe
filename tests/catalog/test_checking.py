"""What a check of a catalog's file finds."""

import os
from pathlib import Path

import msgspec
import pytest

from s3proxy.catalog import tables
from s3proxy.catalog.checking import check_file, codec_of
from s3proxy.catalog.records import BlobRef
from s3proxy.catalog.seal import key_id
from s3proxy.catalog.tables import INLINE, KEYSPACES, OBJECTS
from s3proxy.kv.engine import Transaction
from s3proxy.kv.errors import InvalidStore
from tests.catalog.catalogs import (
    MASTER_KEY,
    blob,
    bucket_record,
    object_record,
    open_catalog,
    part_record,
    upload_record,
)
from tests.kv.engines import running

NAME = "catalog.mdb"


async def fill(directory: Path) -> None:
    """A catalog with one of each: short and long keys, versions, uploads, inline bytes."""
    async with open_catalog(directory) as catalog:
        bucket = await catalog.create_bucket(bucket_record(), {"cors": b"<a/>"})
        bucket = await catalog.update_bucket(
            bucket, lambda found: msgspec.structs.replace(found, versioning="Enabled")
        )
        for key in ("short", "short", "long/" + "x" * 900):
            await catalog.put_object(bucket, key, object_record(blob()))
        inline = BlobRef("1" * 32, "", "", "", 3)
        await catalog.put_object(bucket, "inline", object_record(inline), inline=b"abc")
        await catalog.create_upload(bucket, upload_record("upload", "id"))
        await catalog.put_part(bucket, "upload", "id", part_record(1, None))
        await catalog.create_key("alice", "AKIA0", "secret")


async def damage(directory: Path, keyspace: str, key: bytes, value: bytes | None) -> None:
    async with running(directory, keyspaces=KEYSPACES) as engine:

        def change(txn: Transaction) -> None:
            if value is None:
                txn.delete(keyspace, key)
            else:
                txn.put(keyspace, key, value)

        await engine.commit(change)


async def test_check_file_counts_rows_and_names_the_master_keys(tmp_path: Path) -> None:
    await fill(tmp_path)
    report = await check_file(str(tmp_path / NAME), in_use=False)
    assert report.sound, report.problems
    assert report.rows["buckets"] == report.rows["keys"] == report.rows["parts"] == 1
    assert report.master_keys == {key_id(MASTER_KEY).hex(): 1}


async def test_check_file_of_one_in_use_leaves_it_usable(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        await catalog.create_bucket(bucket_record())
        report = await check_file(str(tmp_path / NAME), in_use=True)
        assert (report.sound, report.rows["buckets"]) == (True, 1)
        await catalog.create_bucket(bucket_record("other"))


@pytest.mark.parametrize(
    ("keyspace", "key", "value", "problem"),
    [
        (INLINE, b"1" * 32, None, "3 bytes belong in 1111"),
        (INLINE, b"1" * 32, b"ab", "found 2 bytes"),
        (OBJECTS, b"\0" * 7 + b"\1short", b"\x93\x63", "ObjectRecord"),
        ("keys", b"AKIA0", b"\x91\x05", "KeyRecord"),
    ],
)
async def test_check_file_names_a_row_that_is_not_sound(
    tmp_path: Path, keyspace: str, key: bytes, value: bytes | None, problem: str
) -> None:
    await fill(tmp_path)
    await damage(tmp_path, keyspace, key, value)
    report = await check_file(str(tmp_path / NAME), in_use=False)
    assert report.problems_count == 1
    assert problem in report.problems[0]


async def test_check_file_of_a_newer_version_names_the_keyspace(tmp_path: Path) -> None:
    await fill(tmp_path)
    async with running(tmp_path, keyspaces=("later",)):
        pass
    report = await check_file(str(tmp_path / NAME), in_use=False)
    assert report.problems == ["later: a keyspace that this version does not know"]


async def test_check_file_of_another_database_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path):
        pass
    with pytest.raises(InvalidStore, match="no catalog of s3proxy"):
        await check_file(str(tmp_path / NAME), in_use=False)


async def test_check_file_that_would_kill_its_reader_is_refused(tmp_path: Path) -> None:
    await fill(tmp_path)
    path = tmp_path / NAME
    os.truncate(path, 3 * 4096)
    with pytest.raises(InvalidStore):
        await check_file(str(path), in_use=False)


def test_every_kind_of_record_is_checked_somewhere() -> None:
    codecs = {codec for codec in vars(tables).values() if isinstance(codec, tables.Codec)}
    checked = {codec_of(keyspace) for keyspace in KEYSPACES} - {None}
    assert codecs - checked == {tables.listed}
