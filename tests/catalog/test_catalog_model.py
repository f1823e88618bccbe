"""The catalog against a dictionary: any order of puts, deletes, listings and multipart uploads."""

import itertools
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import pytest
import trio
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.objects import Deletion
from s3proxy.catalog.records import BlobRef, BucketRecord, ObjectRecord, PartRecord
from s3proxy.s3.conditions import WriteCondition
from s3proxy.s3.errors import S3Error
from tests.catalog.catalogs import (
    blob,
    bucket_record,
    garbage_blobs,
    object_record,
    open_catalog,
    part_record,
    upload_record,
)

KEYS = st.sampled_from(
    [
        "a",
        "a/",
        "a/b",
        "a/c",
        "b",
        "\x00",
        "\x01/",
        "é",
        "p" * 480,
        "p" * 481,
        "p" * 1024,
        "z/" * 400,
    ]
)
T = TypeVar("T")


class CatalogModel(RuleBasedStateMachine):
    """Each step runs a Trio loop of its own on the same directory."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, ObjectRecord] = {}
        self.uploads: dict[str, tuple[str, dict[int, PartRecord]]] = {}
        self.dropped: set[str] = set()
        self.numbers = itertools.count()
        self.directory = TemporaryDirectory()

    def teardown(self) -> None:
        self.directory.cleanup()

    def step(self, action: Callable[[Catalog, BucketRecord], Awaitable[T]]) -> T:
        """Open the catalog afresh, act, close: every step also tests that all of it is stored."""

        async def run() -> T:
            async with AsyncExitStack() as stack:
                catalog = await stack.enter_async_context(open_catalog(Path(self.directory.name)))
                bucket = catalog.get_bucket("bucket")
                if bucket is None:
                    bucket = await catalog.create_bucket(bucket_record())
                outcome = await _caught(action(catalog, bucket))
            if isinstance(outcome, S3Error):
                raise outcome
            return outcome

        return trio.run(run)

    def drop(self, *blobs: BlobRef | None) -> None:
        self.dropped |= {ref.id for ref in blobs if ref is not None}

    @rule(key=KEYS, absent=st.booleans())
    def put(self, key: str, absent: bool) -> None:
        record = object_record(blob(), etag=f"etag-{next(self.numbers)}")
        condition = WriteCondition(if_none_match_any=absent)
        old = self.objects.get(key)
        try:
            stored = self.step(
                lambda catalog, bucket: catalog.put_object(bucket, key, record, condition=condition)
            )
        except S3Error as error:
            assert absent and old is not None and error.code == "PreconditionFailed"
            return
        assert stored == record
        self.drop(*(old.blobs if old else ()))
        self.objects[key] = record

    @rule(keys=st.lists(KEYS, max_size=3, unique=True))
    def delete(self, keys: list[str]) -> None:
        deletions = [Deletion(key) for key in keys]
        removed = self.step(lambda catalog, bucket: catalog.delete_objects(bucket, deletions))
        expected = [self.objects.pop(key, None) for key in keys]
        assert removed == expected
        for record in expected:
            self.drop(*(record.blobs if record else ()))

    @rule(key=KEYS)
    def create_upload(self, key: str) -> None:
        upload_id = f"u{next(self.numbers):05d}"
        self.step(lambda c, bucket: c.create_upload(bucket, upload_record(key, upload_id)))
        self.uploads[upload_id] = (key, {})

    @precondition(lambda self: self.uploads)
    @rule(data=st.data(), number=st.integers(1, 4))
    def put_part(self, data: st.DataObject, number: int) -> None:
        upload_id = data.draw(st.sampled_from(sorted(self.uploads)))
        key, parts = self.uploads[upload_id]
        part = part_record(number, blob(), etag=f"etag-{next(self.numbers)}")
        old = self.step(lambda c, bucket: c.put_part(bucket, key, upload_id, part))
        assert old == parts.get(number)
        self.drop(old.blob if old else None)
        parts[number] = part

    @precondition(lambda self: self.uploads)
    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        upload_id = data.draw(st.sampled_from(sorted(self.uploads)))
        key, parts = self.uploads[upload_id]
        used = data.draw(st.sets(st.sampled_from(sorted(parts)))) if parts else set()
        named = [(number, parts[number].etag) for number in sorted(used)]
        record = object_record(etag=f"etag-{next(self.numbers)}")
        for replayed in (False, True):
            answer = self.step(
                lambda c, bucket: c.complete_upload(bucket, key, upload_id, record, parts=named)
            )
            assert (answer.etag, answer.replayed) == (record.etag, replayed)
        old = self.objects.get(key)
        self.drop(*(old.blobs if old else ()))
        self.drop(*(part.blob for number, part in parts.items() if number not in used))
        blobs = tuple(part.blob for number, part in sorted(parts.items()) if number in used)
        self.objects[key] = object_record(*filter(None, blobs), etag=record.etag)
        del self.uploads[upload_id]

    @precondition(lambda self: self.uploads)
    @rule(data=st.data())
    def abort(self, data: st.DataObject) -> None:
        upload_id = data.draw(st.sampled_from(sorted(self.uploads)))
        key, parts = self.uploads.pop(upload_id)
        self.step(lambda c, bucket: c.abort_upload(bucket, key, upload_id))
        self.drop(*(part.blob for part in parts.values()))

    @invariant()
    def everything_is_as_the_model_says(self) -> None:
        async def compare(catalog: Catalog, bucket: BucketRecord) -> None:
            expected = sorted(self.objects, key=str.encode)
            page = catalog.list_page(bucket)
            assert [listed.key for listed in page.objects] == expected
            assert dict(catalog.scan_objects(bucket)) == self.objects
            for key, record in self.objects.items():
                assert catalog.get_object(bucket, key) == record
            uploads = catalog.list_uploads(bucket).entries
            assert [(upload.key, upload.upload_id) for upload in uploads] == sorted(
                ((key, upload_id) for upload_id, (key, _) in self.uploads.items()),
                key=lambda pair: (pair[0].encode(), pair[1]),
            )
            for upload_id, (_, parts) in self.uploads.items():
                found = catalog.list_parts(bucket, upload_id)
                assert found == [part for _, part in sorted(parts.items())]
            assert garbage_blobs(catalog) == self.dropped

        self.step(compare)


async def _caught(action: Awaitable[T]) -> T | S3Error:
    try:
        return await action
    except S3Error as error:
        return error


TestCatalogModel = pytest.mark.slow(CatalogModel.TestCase)
TestCatalogModel.settings = settings(
    max_examples=20,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
