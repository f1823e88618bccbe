"""A rebuild over a catalog that knows of writes under way, and of garbage."""

from __future__ import annotations

from s3proxy.backends.store import PutOptions
from s3proxy.catalog.records import BlobRef, BucketRecord
from s3proxy.http.body import BytesBody
from s3proxy.ops.blob_writer import new_id
from s3proxy.ops.reindex import Reindex
from tests.catalog.catalogs import garbage_blobs
from tests.ops.lab import Lab


def far(lab: Lab) -> BucketRecord:
    bucket = lab.catalog.get_bucket("far")
    assert bucket is not None
    return bucket


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
