from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.errors import BucketNotEmpty, ObjectChanged
from s3proxy.catalog.objects import Deletion
from s3proxy.catalog.records import NULL_VERSION, BucketRecord, ObjectRecord
from s3proxy.s3.conditions import WriteCondition
from s3proxy.s3.errors import S3Error
from tests.catalog.catalogs import (
    blob,
    bucket_record,
    garbage_blobs,
    object_record,
    open_catalog,
    set_state,
)

KEYS = ["a", "a/b", "a/c", "b", "k" * 600]
STATES = ["Enabled", "Suspended"]


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    async with open_catalog(tmp_path) as opened:
        yield opened


@pytest.fixture
async def bucket(catalog: Catalog) -> BucketRecord:
    return await set_state(catalog, await catalog.create_bucket(bucket_record()), "Enabled")


async def put(catalog: Catalog, bucket: BucketRecord, key: str = "k") -> ObjectRecord:
    return await catalog.put_object(bucket, key, object_record(blob()))


def listed(catalog: Catalog, bucket: BucketRecord) -> list[tuple[str, str, bool]]:
    entries = catalog.list_versions(bucket).entries
    return [(entry.key, entry.record.named_version, entry.latest) for entry in entries]


async def test_put_object_with_versions_keeps_the_old_one(
    catalog: Catalog, bucket: BucketRecord
) -> None:
    first, second = await put(catalog, bucket), await put(catalog, bucket)
    assert first.version_id != second.version_id
    assert catalog.get_object(bucket, "k") == second
    assert catalog.get_object(bucket, "k", first.version_id) == first
    assert catalog.get_object(bucket, "k", second.version_id) == second
    assert catalog.get_object(bucket, "k", NULL_VERSION) is None
    assert garbage_blobs(catalog) == set()


async def test_put_object_from_before_the_versions_is_the_null_version(catalog: Catalog) -> None:
    bucket = await catalog.create_bucket(bucket_record())
    before = await put(catalog, bucket)
    bucket = await set_state(catalog, bucket, "Enabled")
    after = await put(catalog, bucket)
    assert catalog.get_object(bucket, "k", NULL_VERSION) == before
    assert listed(catalog, bucket) == [("k", after.version_id, True), ("k", "null", False)]


async def test_put_object_suspended_replaces_the_null_version_alone(
    catalog: Catalog, bucket: BucketRecord
) -> None:
    first = await put(catalog, bucket)
    bucket = await set_state(catalog, bucket, "Suspended")
    second = await put(catalog, bucket)
    third = await put(catalog, bucket)
    assert (second.version_id, third.version_id) == ("", "")
    assert listed(catalog, bucket) == [("k", "null", True), ("k", first.version_id, False)]
    bucket = await set_state(catalog, bucket, "Enabled")
    fourth = await put(catalog, bucket)
    bucket = await set_state(catalog, bucket, "Suspended")
    await put(catalog, bucket)
    assert [version for _, version, _ in listed(catalog, bucket)] == [
        NULL_VERSION,
        fourth.version_id,
        first.version_id,
    ]
    assert garbage_blobs(catalog) == {second.blobs[0].id, third.blobs[0].id}


async def test_delete_object_with_versions_leaves_a_marker(
    catalog: Catalog, bucket: BucketRecord
) -> None:
    first = await put(catalog, bucket)
    marker = await catalog.delete_object(bucket, Deletion("k"))
    assert marker is not None and marker.delete_marker
    assert catalog.get_object(bucket, "k") is None
    assert catalog.get_latest(bucket, "k") == marker
    assert catalog.get_object(bucket, "k", first.version_id) == first
    assert catalog.list_page(bucket).objects == []
    assert listed(catalog, bucket) == [
        ("k", marker.version_id, True),
        ("k", first.version_id, False),
    ]
    assert await catalog.delete_object(bucket, Deletion("k", marker.version_id)) == marker
    assert catalog.get_object(bucket, "k") == first
    assert garbage_blobs(catalog) == set()


async def test_delete_object_of_a_version_drops_its_blobs_and_promotes_the_next(
    catalog: Catalog, bucket: BucketRecord
) -> None:
    records = [await put(catalog, bucket) for _ in range(3)]
    assert await catalog.delete_object(bucket, Deletion("k", records[2].version_id)) == records[2]
    assert catalog.get_object(bucket, "k") == records[1]
    assert await catalog.delete_object(bucket, Deletion("k", records[0].version_id)) == records[0]
    assert catalog.get_object(bucket, "k") == records[1]
    assert await catalog.delete_object(bucket, Deletion("k", records[0].version_id)) is None
    assert await catalog.delete_object(bucket, Deletion("k", "0" * 32)) is None
    assert garbage_blobs(catalog) == {records[0].blobs[0].id, records[2].blobs[0].id}


async def test_delete_object_condition_is_of_what_is_deleted(
    catalog: Catalog, bucket: BucketRecord
) -> None:
    first = await catalog.put_object(bucket, "k", object_record(etag="one"))
    await catalog.put_object(bucket, "k", object_record(etag="two"))
    outcomes = await catalog.delete_objects(
        bucket,
        [
            Deletion("k", first.version_id, WriteCondition(if_match="two")),
            Deletion("k", first.version_id, WriteCondition(if_match="one")),
        ],
    )
    assert isinstance(outcomes[0], S3Error) and outcomes[0].code == "PreconditionFailed"
    assert outcomes[1] == first


async def test_delete_bucket_with_a_marker_is_not_empty(
    catalog: Catalog, bucket: BucketRecord
) -> None:
    marker = await catalog.delete_object(bucket, Deletion("k" * 1000))
    assert marker is not None
    with pytest.raises(BucketNotEmpty):
        await catalog.delete_bucket(bucket.name)
    await catalog.delete_object(bucket, Deletion("k" * 1000, version_id=marker.version_id))
    await catalog.delete_bucket(bucket.name)


async def test_put_object_replacing_itself_with_versions_is_refused(
    catalog: Catalog, bucket: BucketRecord
) -> None:
    """Two versions would point at the same blobs."""
    record = await put(catalog, bucket)
    with pytest.raises(ObjectChanged):
        await catalog.put_object(bucket, "k", record, replaces=record)


async def test_update_object_changes_an_old_version_in_its_place(
    catalog: Catalog, bucket: BucketRecord
) -> None:
    def tagged(record: ObjectRecord) -> ObjectRecord:
        return msgspec.structs.replace(record, tags={"k": "v"})

    first, second = await put(catalog, bucket), await put(catalog, bucket)
    changed = await catalog.update_object(bucket, "k", tagged, version_id=first.version_id)
    assert changed == tagged(first)
    assert catalog.get_object(bucket, "k", first.version_id) == changed
    assert catalog.get_object(bucket, "k") == second
    assert await catalog.update_object(bucket, "k", tagged) == tagged(second)
    assert await catalog.update_object(bucket, "k", tagged, version_id=NULL_VERSION) is None
    marker = await catalog.delete_object(bucket, Deletion("k"))
    assert marker is not None
    same = await catalog.update_object(bucket, "k", tagged, version_id=marker.version_id)
    assert same == marker


class Model:
    """Versions as a list, newest first, of (key, version id, is delete marker, blob ids)."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, bool, frozenset[str]]] = []
        self.state = ""
        self.dropped: set[str] = set()

    def write(self, key: str, stored: ObjectRecord) -> None:
        if self.state != "Enabled":
            self.drop(lambda row: row[:2] == (key, NULL_VERSION))
        blobs = frozenset(ref.id for ref in stored.blobs)
        self.rows.insert(0, (key, stored.named_version, stored.delete_marker, blobs))

    def drop(self, chosen: Callable[[tuple[str, str, bool, frozenset[str]]], bool]) -> None:
        for row in [row for row in self.rows if chosen(row)]:
            self.rows.remove(row)
            self.dropped |= row[3]

    def listing(self) -> list[tuple[str, str, bool]]:
        ordered = sorted(self.rows, key=lambda row: row[0].encode())
        keys = [row[0] for row in ordered]
        return [
            (key, version, keys.index(key) == place)
            for place, (key, version, *_) in enumerate(ordered)
        ]

    def live(self) -> list[str]:
        latest = {row[0]: row[2] for row in reversed(self.rows)}
        return sorted((key for key, marker in latest.items() if not marker), key=str.encode)


ACTIONS = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(KEYS)),
    st.tuples(st.just("delete"), st.sampled_from(KEYS)),
    st.tuples(st.just("remove"), st.integers(0, 30)),
    st.tuples(st.just("state"), st.sampled_from(STATES)),
)


async def _act(
    catalog: Catalog, bucket: BucketRecord, model: Model, action: str, on: object
) -> None:
    if action == "state":
        assert isinstance(on, str)
        model.state = on
        await set_state(catalog, bucket, on)
    elif action == "put":
        assert isinstance(on, str)
        model.write(on, await put(catalog, bucket, on))
    elif action == "delete":
        assert isinstance(on, str)
        outcome = await catalog.delete_object(bucket, Deletion(on))
        if model.state:
            assert outcome is not None
            model.write(on, outcome)
        else:
            model.drop(lambda row: row[0] == on)
    elif model.rows:
        assert isinstance(on, int)
        key, version, *_ = model.rows[on % len(model.rows)]
        assert await catalog.delete_object(bucket, Deletion(key, version)) is not None
        model.drop(lambda row: row[:2] == (key, version))


def _pages(catalog: Catalog, bucket: BucketRecord, limit: int) -> list[tuple[str, str, bool]]:
    rows: list[tuple[str, str, bool]] = []
    page = catalog.list_versions(bucket, limit=limit)
    while True:
        rows += [(entry.key, entry.record.named_version, entry.latest) for entry in page.entries]
        if not page.truncated:
            return rows
        page = catalog.list_versions(
            bucket,
            limit=limit,
            key_marker=page.next_key_marker,
            version_id_marker=page.next_id_marker,
        )


@settings(max_examples=60, deadline=None)
@given(actions=st.lists(ACTIONS, max_size=25), limit=st.integers(1, 4))
def test_versions_are_what_a_plain_list_would_keep(
    actions: list[tuple[str, object]], limit: int
) -> None:
    async def run(directory: Path) -> None:
        async with AsyncExitStack() as stack:
            catalog = await stack.enter_async_context(open_catalog(directory))
            bucket = await catalog.create_bucket(bucket_record())
            model = Model()
            for action, on in actions:
                await _act(catalog, bucket, model, action, on)
                assert _pages(catalog, bucket, limit) == model.listing()
                assert [e.key for e in catalog.list_page(bucket).objects] == model.live()
            assert garbage_blobs(catalog) == model.dropped
            for key, version, *_ in list(model.rows):
                await catalog.delete_object(bucket, Deletion(key, version))
            await catalog.delete_bucket(bucket.name)

    with TemporaryDirectory() as directory:
        trio.run(run, Path(directory))


@pytest.mark.parametrize(
    ("prefix", "key_marker", "expected"),
    [
        ("", "", ["a", ["a/"], "b"]),
        ("a", "", ["a", ["a/"]]),
        ("a/", "", ["a/b", "a/b", "a/c"]),
        ("", "a", [["a/"], "b"]),
        ("", "a/", ["b"]),
        ("", "a/b", [["a/"], "b"]),
        ("a/", "a/b", ["a/c"]),
    ],
)
async def test_list_versions_groups_at_the_delimiter(
    catalog: Catalog, bucket: BucketRecord, prefix: str, key_marker: str, expected: list[object]
) -> None:
    for key in ("a", "a/b", "a/b", "a/c", "b"):
        await put(catalog, bucket, key)
    await catalog.delete_object(bucket, Deletion("a/c"))
    oldest = listed(catalog, bucket)[4][1]
    await catalog.delete_object(bucket, Deletion("a/c", oldest))  # only its marker is left
    page = catalog.list_versions(bucket, prefix=prefix, delimiter="/", key_marker=key_marker)
    found: list[object] = [entry.key for entry in page.entries]
    found += [[common] for common in page.common_prefixes]
    assert sorted(map(str, found)) == sorted(map(str, expected))


async def test_list_versions_after_a_version_that_is_gone_goes_on_behind_its_place(
    catalog: Catalog, bucket: BucketRecord
) -> None:
    records = [await put(catalog, bucket) for _ in range(4)]
    await catalog.delete_object(bucket, Deletion("k", records[2].version_id))
    page = catalog.list_versions(bucket, key_marker="k", version_id_marker=records[2].version_id)
    assert [entry.record for entry in page.entries] == [records[1], records[0]]


async def test_pages_whose_versions_are_removed_one_after_the_other_miss_none(
    tmp_path: Path,
) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        bucket = await set_state(catalog, bucket, "Enabled")
        for _ in range(4):
            await catalog.put_object(bucket, "k", object_record())
        await catalog.delete_object(bucket, Deletion("k"))
        await catalog.put_object(bucket, "l", object_record())
        found, key_marker, version_id_marker = 0, "", ""
        while True:
            page = catalog.list_versions(
                bucket, key_marker=key_marker, version_id_marker=version_id_marker, limit=1
            )
            for entry in page.entries:
                found += 1
                await catalog.delete_object(bucket, Deletion(entry.key, entry.record.named_version))
            if not page.truncated:
                break
            key_marker, version_id_marker = page.next_key_marker, page.next_id_marker
        assert found == 6
        assert catalog.is_empty(bucket)
