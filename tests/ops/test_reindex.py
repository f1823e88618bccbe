"""A rebuild over a catalog that knows of writes under way, and over what nobody can read."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from msgspec.structs import replace

from s3proxy.backends.errors import BackendError, PermissionDenied, Throttled, Unavailable
from s3proxy.backends.s3_store import S3Store
from s3proxy.backends.store import PutOptions, Reading
from s3proxy.catalog.records import BlobRef, BucketRecord, ObjectRecord
from s3proxy.catalog.versions import order_in_node
from s3proxy.http.body import BytesBody
from s3proxy.ops import about, reindex, reindex_walk
from s3proxy.ops.about import beside
from s3proxy.ops.blob_writer import new_id
from s3proxy.ops.containers import containers_of
from s3proxy.ops.manifests import (
    BUCKET_NAME,
    VERSIONS_PREFIX,
    Found,
    FoundBucket,
    encode_bucket,
    encode_version,
    version_name,
)
from s3proxy.ops.reindex import Reindex
from s3proxy.placement import container_name
from s3proxy.s3.listing import ListPage
from tests.catalog.catalogs import garbage_blobs
from tests.ops.lab import Lab, md5


def far(lab: Lab) -> BucketRecord:
    bucket = lab.catalog.get_bucket("far")
    assert bucket is not None
    return bucket


def store(lab: Lab) -> Any:
    """Of the bucket, at the endpoint; the same one each time."""
    return lab.services.backend("moto").blobs(far(lab).container)


async def put_raw(lab: Lab, name: str, data: bytes, **user: str) -> None:
    await store(lab).put(name, BytesBody(data), PutOptions(length=len(data), user=user))


async def told(lab: Lab, key: str, sequence: int, data: bytes = b"data") -> str:
    """A version at the endpoint, with its manifest, that the catalog has not got; its id."""
    blob = BlobRef(new_id(), "moto", far(lab).container, "", len(data))
    blob = BlobRef(blob.id, blob.backend, blob.container, f"{key}~{blob.id}", blob.size)
    said = about.About(tenant="main", bucket="far", written_ns=1, flags=about.VERSIONED)
    await put_raw(lab, blob.name, data, **beside({}, said))
    version_id = order_in_node(sequence).hex() + "0" * 16
    record = ObjectRecord(
        size=len(data),
        etag=md5(data),
        modified_ns=1,
        blobs=(blob,),
        sequence=sequence,
        version_id=version_id,
    )
    manifest = encode_version(Found("main", "far", key, record, {blob.id: (blob,)}, 1))
    await put_raw(lab, version_name(key, sequence), manifest)
    return version_id


@pytest.fixture
async def told_lab(s3_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """One whose container says whose it is, and is the only one at the endpoint."""

    async def containers() -> list[str]:
        return [far(s3_lab).container]

    monkeypatch.setattr(s3_lab.services.backend("moto"), "containers", containers)
    await put_raw(s3_lab, BUCKET_NAME, encode_bucket(FoundBucket(far(s3_lab), {}, 1)))
    return s3_lab


def versions(lab: Lab) -> list[tuple[str, str]]:
    page = lab.catalog.list_versions(far(lab))
    return [(entry.key, entry.record.named_version) for entry in page.entries]


class Refusing:
    """Opens of a store, of which those of names with a certain part fail."""

    def __init__(self, lab: Lab, monkeypatch: pytest.MonkeyPatch, part: str, error: Exception):
        self._open, self._part, self._error = store(lab).open, part, error
        monkeypatch.setattr(store(lab), "open", self)

    async def __call__(self, name: str) -> Reading:
        if self._part in name:
            raise self._error
        reading: Reading = await self._open(name)
        return reading


async def stored(lab: Lab, data: bytes) -> BlobRef:
    """A blob of the object `key` that no record points at."""
    blob_id = new_id()
    blob = BlobRef(blob_id, "moto", far(lab).container, f"key~{blob_id}", len(data))
    store = lab.services.backend("moto").blobs(blob.container)
    await store.put(blob.name, BytesBody(data), PutOptions(length=len(data)))
    return blob


async def test_reindex_blob_of_a_write_that_never_ended_replaces_nothing(s3_lab: Lab) -> None:
    await s3_lab.put("/far/key", b"x" * 5000)
    before = s3_lab.catalog.get_object(far(s3_lab), "key")
    blob = await stored(s3_lab, b"never acknowledged")
    await s3_lab.catalog.intend(blob, far(s3_lab), "key").wait()
    report = await Reindex(s3_lab.services, ["moto"]).run()
    assert s3_lab.catalog.get_object(far(s3_lab), "key") == before
    assert s3_lab.catalog.open_intents() == []
    assert blob.id in garbage_blobs(s3_lab.catalog)
    assert report.counts["garbage"] == 1


async def test_reindex_blob_that_waits_for_the_collector_is_taken_for_nothing(
    s3_lab: Lab,
) -> None:
    await s3_lab.put("/far/key", b"x" * 5000)
    await s3_lab.ask("DELETE", "/far/key")
    await Reindex(s3_lab.services, ["moto"]).run()
    assert s3_lab.catalog.get_object(far(s3_lab), "key") is None


async def test_reindex_takes_no_object_of_a_tenant_for_a_manifest(told_lab: Lab) -> None:
    for number in range(3):
        await told_lab.put(f"/far/.s3gw/versions/{number}", b"[" * 5000)
    report = await Reindex(told_lab.services, ["moto"]).run()
    assert report.problems == []
    assert report.counts == {"containers": 1, "blobs": 3}


async def test_reindex_passes_over_a_manifest_of_more_bytes_than_any_has(
    told_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reindex, "BYTES_MAX", 10_000)
    await put_raw(told_lab, f"{VERSIONS_PREFIX}0/0", bytes(10_001))
    version_id = await told(told_lab, "key", 7)
    report = await Reindex(told_lab.services, ["moto"]).run()
    assert versions(told_lab) == [("key", version_id)]
    (problem,) = report.problems
    assert "it has 10001 bytes" in problem


async def test_reindex_reads_no_two_large_manifests_at_once(
    told_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reindex, "LARGE_BYTES", 10)
    for number in range(8):
        await told(told_lab, f"key{number}", 7)
    together: list[int] = [0]
    read_whole = reindex.read_whole

    async def watched(*arguments: Any) -> bytes:
        together.append(together[-1] + 1)
        await trio.sleep(0.01)
        data = await read_whole(*arguments)
        together.append(together[-1] - 1)
        return data

    monkeypatch.setattr(reindex, "read_whole", watched)
    report = await Reindex(told_lab.services, ["moto"]).run()
    assert report.counts["added"] == 8
    assert max(together) == 1


@pytest.mark.parametrize("kind", [PermissionDenied, Unavailable])
async def test_reindex_passes_over_what_a_backend_refuses_and_takes_it_later(
    told_lab: Lab, monkeypatch: pytest.MonkeyPatch, kind: type[BackendError]
) -> None:
    refused, other = await told(told_lab, "refused", 7), await told(told_lab, "other", 8)
    with monkeypatch.context() as patch:
        error = kind("open", "key", "for good", "moto")
        Refusing(told_lab, patch, version_name("refused", 7), error)
        report = await Reindex(told_lab.services, ["moto"]).run()
    # Its blob alone would make another version of it, which would share the bytes with this one.
    assert versions(told_lab) == [("other", other)]
    assert (report.counts["refused"], report.counts["withheld"]) == (1, 1)
    assert "for good" in report.problems[0]
    report = await Reindex(told_lab.services, ["moto"]).run()
    assert report.problems == []
    assert versions(told_lab) == [("other", other), ("refused", refused)]


async def test_reindex_passes_over_a_container_that_a_backend_refuses(
    told_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    version_id = await told(told_lab, "key", 7)
    with monkeypatch.context() as patch:
        error = PermissionDenied("open", BUCKET_NAME, "for good", "moto")
        Refusing(told_lab, patch, BUCKET_NAME, error)
        report = await Reindex(told_lab.services, ["moto"]).run()
    assert (report.counts, report.problems_count) == ({"refused": 1}, 1)
    await Reindex(told_lab.services, ["moto"]).run()
    assert versions(told_lab) == [("key", version_id)]


async def test_reindex_ends_where_it_is_no_longer_one_object_that_is_refused(
    told_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reindex_walk, "REFUSED_MAX", 3)
    for number in range(5):
        await told(told_lab, f"key{number}", 7)
    Refusing(told_lab, monkeypatch, VERSIONS_PREFIX, PermissionDenied("open", hint="all"))
    with pytest.raises(Unavailable, match="more than 3 objects are refused"):
        await Reindex(told_lab.services, ["moto"]).run()


@pytest.mark.parametrize("error", [Unavailable("open"), Throttled("open")])
async def test_reindex_ends_with_the_error_itself_where_the_backend_is_down(
    told_lab: Lab, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    for number in range(3):
        await told(told_lab, f"key{number}", 7)

    async def check() -> None:
        if isinstance(error, Unavailable):
            raise error

    with monkeypatch.context() as patch:
        patch.setattr(told_lab.services.backend("moto"), "check", check)
        Refusing(told_lab, patch, VERSIONS_PREFIX, error)
        with pytest.raises(type(error)):
            await Reindex(told_lab.services, ["moto"]).run()
    report = await Reindex(told_lab.services, ["moto"]).run()
    assert report.counts["added"] == 3


async def test_reindex_blob_that_says_another_key_than_its_name_is_not_believed(
    told_lab: Lab,
) -> None:
    said = about.About(tenant="main", bucket="far", key="other", written_ns=1)
    await put_raw(told_lab, f"key~{new_id()}", b"x", **beside({}, said))
    report = await Reindex(told_lab.services, ["moto"]).run()
    assert versions(told_lab) == []
    assert "of another key" in report.problems[0]


async def test_reindex_reads_a_key_once_for_all_its_versions(
    told_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 41):
        await told(told_lab, "key", number)
    asked = []
    list_versions = told_lab.catalog.list_versions

    def watched(*arguments: Any, **named: Any) -> Any:
        asked.append(named["prefix"])
        return list_versions(*arguments, **named)

    monkeypatch.setattr(told_lab.catalog, "list_versions", watched)
    report = await Reindex(told_lab.services, ["moto"]).run()
    assert report.counts["added"] == report.counts["blobs"] == 40
    assert len(asked) == 3  # its only reading, in pages of 4, 16 and 64


async def forget(lab: Lab) -> str:
    """Lose the record of the bucket; returns the container, which stays."""
    container = far(lab).container
    await lab.catalog.delete_bucket("far")
    await lab.catalog.forget_container("moto", container, removed=True)
    return container


async def test_reindex_container_of_many_manifests_and_none_of_the_bucket_is_known_by_a_blob(
    told_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reindex, "ASKED_MAX", 3)
    for number in range(1, 6):
        await told(told_lab, "key", number)
    await store(told_lab).delete(BUCKET_NAME)
    container = await forget(told_lab)

    async def containers() -> list[str]:
        return [container]

    monkeypatch.setattr(told_lab.services.backend("moto"), "containers", containers)
    report = await Reindex(told_lab.services, ["moto"]).run()
    assert report.problems == []
    assert far(told_lab).container == container
    assert len(versions(told_lab)) == 5


async def test_reindex_blob_that_goes_after_it_was_listed_does_not_hide_the_next(
    told_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 3):
        await told(told_lab, "key", number)
    await store(told_lab).delete(BUCKET_NAME)
    listing = S3Store.list

    async def list_and_delete(self: S3Store, prefix: str, **more: Any) -> ListPage:
        page = await listing(self, prefix, **more)
        if page.objects and not gone:
            gone.append(next(one.key for one in page.objects if one.key.startswith("key~")))
            await self.delete(gone[0])
        return page

    gone: list[str] = []
    container = await forget(told_lab)

    async def containers() -> list[str]:
        return [container]

    monkeypatch.setattr(told_lab.services.backend("moto"), "containers", containers)
    monkeypatch.setattr(S3Store, "list", list_and_delete)
    await Reindex(told_lab.services, ["moto"]).run()
    assert gone != []
    assert far(told_lab).container == container


async def test_reindex_page_without_names_that_is_not_the_last_hides_no_blobs(
    told_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    await told(told_lab, "key", 1)
    await store(told_lab).delete(BUCKET_NAME)
    listing = S3Store.list
    asked: list[str] = []

    async def list_nothing_first(self: S3Store, prefix: str, **more: Any) -> ListPage:
        asked.append(more["after"])
        page = await listing(self, prefix, **more)
        return replace(page, objects=[], truncated=True) if len(asked) == 1 else page

    container = await forget(told_lab)

    async def containers() -> list[str]:
        return [container]

    monkeypatch.setattr(told_lab.services.backend("moto"), "containers", containers)
    monkeypatch.setattr(S3Store, "list", list_nothing_first)
    await Reindex(told_lab.services, ["moto"]).run()
    assert far(told_lab).container == container


async def test_reindex_container_that_says_nothing_is_the_bucket_s_that_the_catalog_knows(
    told_lab: Lab,
) -> None:
    version_id = await told(told_lab, "key", 7)
    (name,) = [
        one.key
        for one in (await store(told_lab).list("key", delimiter="", after="", limit=9)).objects
    ]
    await put_raw(told_lab, name, b"data")  # without a word of whose it is
    await store(told_lab).delete(BUCKET_NAME)
    report = await Reindex(told_lab.services, ["moto"]).run()
    assert report.problems == []
    assert versions(told_lab) == [("key", version_id)]


async def test_reindex_leaves_containers_that_have_the_name_of_another_backend(
    told_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = container_name(1, "main", "far", 0, "disk")
    mine = far(told_lab).container

    async def containers() -> list[str]:
        return [other, f"shared/{other}/", mine]

    monkeypatch.setattr(told_lab.services.backend("moto"), "containers", containers)
    report = await Reindex(told_lab.services, ["moto"]).run()
    assert (report.counts["elsewhere"], report.counts["containers"]) == (2, 1)
    assert report.problems == []
    assert containers_of(far(told_lab)) == [("moto", mine)]


async def put_closed(lab: Lab, written_ns: int, flags: str = about.ENCRYPTED, of: str = "") -> str:
    """An encrypted blob of `key` that no manifest tells of; its id."""
    blob_id = new_id()
    said = about.About(tenant="main", bucket="far", written_ns=written_ns, flags=flags, blob_id=of)
    await put_raw(lab, f"key~{blob_id}", b"closed", **beside({}, said))
    return blob_id


async def test_reindex_encrypted_blob_that_was_overwritten_is_no_loss(told_lab: Lab) -> None:
    await told_lab.put("/far/key", b"x" * 5000)
    latest = told_lab.catalog.get_latest(far(told_lab), "key")
    assert latest is not None
    await put_closed(told_lab, latest.modified_ns - 1)
    report = await Reindex(told_lab.services, ["moto"]).run()
    assert (report.problems, report.counts["older"]) == ([], 1)
    await put_closed(told_lab, latest.modified_ns - 1, about.ENCRYPTED + about.VERSIONED)
    report = await Reindex(told_lab.services, ["moto"]).run()
    assert report.counts["encrypted"] == 1  # a version of its own


async def test_reindex_encrypted_blob_without_a_manifest_is_told_once(told_lab: Lab) -> None:
    first = await put_closed(told_lab, 1)
    await put_closed(told_lab, 1, of=first)
    report = await Reindex(told_lab.services, ["moto"]).run()
    assert report.problems == ["far: key: encrypted, and no manifest has its key"]
    assert report.counts["encrypted"] == 2
