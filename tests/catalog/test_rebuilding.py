"""What was found at providers, in any order, makes the catalog that was lost."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest

from s3proxy.catalog import rebuilding
from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.objects import Deletion
from s3proxy.catalog.rebuilding import Telling
from s3proxy.catalog.records import BucketRecord, ObjectRecord
from tests.catalog.catalogs import (
    blob,
    bucket_record,
    garbage_blobs,
    object_record,
    open_catalog,
    set_state,
)

HOME = ("disk", "s3gw-bucket")


async def adopted(catalog: Catalog) -> BucketRecord:
    bucket = await catalog.adopt_bucket(bucket_record(), {"cors": b"<x/>"}, HOME)
    assert bucket is not None
    return bucket


def telling(key: str, record: ObjectRecord, revision: int = 1) -> Telling:
    places = {one.id: (one,) for one in record.blobs}
    return Telling(key, record, places, HOME, revision)


def shown(catalog: Catalog, bucket: BucketRecord) -> list[tuple[str, ObjectRecord, bool]]:
    page = catalog.list_versions(bucket)
    return [(entry.key, entry.record, entry.latest) for entry in page.entries]


async def random_history(catalog: Catalog, rng: random.Random) -> BucketRecord:
    """Writes and deletions, before and after versioning was enabled and suspended."""
    bucket = await catalog.create_bucket(bucket_record())
    for state in ("", "Enabled", "Suspended", "Enabled"):
        if state:
            bucket = await set_state(catalog, bucket, state)
        for _ in range(12):
            key = rng.choice("abc")
            if rng.random() < 0.3:
                await catalog.delete_object(bucket, Deletion(key))
            else:
                await catalog.put_object(bucket, key, object_record(blob()))
    return bucket


@pytest.mark.parametrize("seed", range(8))
async def test_rebuilding_in_any_order_gives_the_same_versions(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    for name in ("lost", "new"):
        (tmp_path / name).mkdir()
    async with open_catalog(tmp_path / "lost") as lost:
        bucket = await random_history(lost, rng)
        before = shown(lost, bucket)
        current = {key: lost.get_object(bucket, key) for key in "abc"}
    told = [telling(key, record) for key, record, _ in before] * 2
    rng.shuffle(told)
    async with open_catalog(tmp_path / "new") as catalog:
        bucket = await adopted(catalog)
        outcomes = [await catalog.adopt_version(bucket, one) for one in told]
        assert shown(catalog, bucket) == before
        assert {key: catalog.get_object(bucket, key) for key in "abc"} == current
        assert outcomes.count("added") == len(before)
        assert outcomes.count("known") == len(before)
        # What is written from now on is newer than all of it.
        bucket = await set_state(catalog, bucket, "Enabled")
        record = await catalog.put_object(bucket, "a", object_record(blob()))
        assert record.sequence > max(one.sequence for _, one, _ in before)
        assert catalog.get_object(bucket, "a") == record


async def test_rebuilding_a_newer_telling_of_a_version_is_taken(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await adopted(catalog)
        record = object_record(blob())
        tagged = msgspec.structs.replace(record, tags={"a": "b"})
        assert await catalog.adopt_version(bucket, telling("k", tagged, 7)) == "added"
        assert await catalog.adopt_version(bucket, telling("k", record, 5)) == "known"
        assert catalog.get_object(bucket, "k") == tagged
        assert await catalog.adopt_version(bucket, telling("k", record, 9)) == "updated"
        assert catalog.get_object(bucket, "k") == record


async def test_rebuilding_never_replaces_a_newer_object(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await adopted(catalog)
        newer = msgspec.structs.replace(object_record(blob()), modified_ns=2)
        await catalog.put_object(bucket, "k", newer)
        assert await catalog.adopt_version(bucket, telling("k", object_record(blob()))) == "older"
        assert catalog.get_object(bucket, "k") == newer


async def test_rebuilding_joins_the_places_of_one_blob(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await adopted(catalog)
        one, two, three = blob(), blob("b"), blob("c")
        record = object_record(one)
        plain = Telling("k", record, {one.id: (one,)})
        await catalog.adopt_version(bucket, plain)
        assert catalog.places_of(one) == (one,)
        assert await catalog.adopt_place(bucket, "k", "null", one.id, two)
        assert await catalog.adopt_place(bucket, "k", "null", one.id, two)
        assert catalog.places_of(one) == (one, two)
        await catalog.adopt_version(bucket, Telling("k", record, {one.id: (three,)}))
        assert catalog.places_of(one) == (one, two, three)
        assert not await catalog.adopt_place(bucket, "k", "null", two.id, three)


async def test_rebuilding_blob_whose_own_place_is_gone_has_its_copies(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await adopted(catalog)
        gone, copy = blob(), blob("b")
        told = Telling("k", object_record(gone), {gone.id: (copy,)})
        assert await catalog.adopt_version(bucket, told) == "added"
        assert catalog.places_of(gone) == (copy,)


async def test_rebuilding_a_container_of_another_bucket_is_refused(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        await adopted(catalog)
        assert await catalog.adopt_bucket(bucket_record("other"), {}, HOME) is None
        again = await catalog.adopt_bucket(bucket_record(), {}, ("b", "elsewhere"))
        assert again is not None
        assert again.names == {"b": "elsewhere"}
        assert catalog.get_bucket_config(again, "cors") == b"<x/>"


async def test_rebuilding_gives_up_no_blob_that_something_new_points_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await set_state(catalog, await adopted(catalog), "Enabled")
        blobs = [blob() for _ in range(6)]
        for one in blobs:
            await catalog.put_object(bucket, "k", object_record(one))
        unknown, intended, last = blob(), blob(), blobs[-1]
        await catalog.intend(intended, bucket, "k").wait()
        await catalog.adopt_place(
            bucket, "k", shown(catalog, bucket)[0][1].version_id, last.id, unknown
        )
        for one in (last, unknown, intended):
            assert not await catalog.drop_unknown(bucket, "k", one)
        # Of what is older the caller knows: no more is read where every writer waits.
        monkeypatch.setattr(rebuilding, "LOOKED_AT_MAX", 5)
        assert not await catalog.drop_unknown(bucket, "k", blobs[1])
        assert await catalog.drop_unknown(bucket, "k", blobs[0])
        assert garbage_blobs(catalog) == {blobs[0].id}
