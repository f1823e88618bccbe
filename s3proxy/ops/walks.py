"""Walks over what a bucket holds: in short snapshots, so that what is walked may change."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from s3proxy.catalog.records import BlobRef, BucketRecord, ObjectRecord, UploadRecord
    from s3proxy.catalog.version_listing import VersionEntry
    from s3proxy.ops.call import Services

PAGE_ROWS: Final = 32  # each may have 10,000 blobs, and they are read in one go
# Yielded without a pause.
BLOBS_MAX: Final = 128
BUCKETS_MAX: Final = 64
# Of a key that is looked up by itself: most have one version, and other keys follow it.
FIRST_ROWS: Final = 4


async def buckets_of(services: Services) -> AsyncGenerator[BucketRecord]:
    """Yield the buckets of all tenants; lets others run, however many there are."""
    for count, bucket in enumerate(services.catalog.scan_buckets(), 1):
        yield bucket
        if count % BUCKETS_MAX == 0:
            await trio.lowlevel.checkpoint()


async def versions_of(
    services: Services, bucket: BucketRecord, after: str = ""
) -> AsyncGenerator[VersionEntry]:
    """Yield the versions of the keys behind `after`, by key, newest first."""
    key, version_id = after, ""
    while True:
        page = services.catalog.list_versions(
            bucket, key_marker=key, version_id_marker=version_id, limit=PAGE_ROWS
        )
        for entry in page.entries:
            yield entry
        if not page.truncated:
            return
        key, version_id = page.next_key_marker, page.next_id_marker
        await trio.lowlevel.checkpoint()


async def versions_of_key(
    services: Services, bucket: BucketRecord, key: str
) -> AsyncIterator[ObjectRecord]:
    """Yield the versions of one key, newest first."""
    marker = version_id = ""
    limit = FIRST_ROWS
    while True:
        page = services.catalog.list_versions(
            bucket, prefix=key, key_marker=marker, version_id_marker=version_id, limit=limit
        )
        for entry in page.entries:
            if entry.key != key:
                return
            yield entry.record
        if not page.truncated:
            return
        marker, version_id = page.next_key_marker, page.next_id_marker
        limit = min(limit * 4, PAGE_ROWS)
        await trio.lowlevel.checkpoint()


async def uploads_of(services: Services, bucket: BucketRecord) -> AsyncIterator[UploadRecord]:
    """Yield the multipart uploads under way."""
    key = upload_id = ""
    while True:
        page = services.catalog.list_uploads(bucket, key_marker=key, upload_id_marker=upload_id)
        for upload in page.entries:
            yield upload
        if not page.truncated:
            return
        key, upload_id = page.next_key_marker, page.next_id_marker
        await trio.lowlevel.checkpoint()


async def blobs_of(services: Services, bucket: BucketRecord) -> AsyncGenerator[BlobRef]:
    """Yield the blobs of all versions, then of all parts."""
    count = 0
    async for entry in versions_of(services, bucket):
        for blob in entry.record.blobs:
            yield blob
            count += 1
            if count % BLOBS_MAX == 0:
                await trio.lowlevel.checkpoint()
    async for upload in uploads_of(services, bucket):
        for part in services.catalog.list_parts(bucket, upload.upload_id):
            if part.blob is not None:
                yield part.blob
        await trio.lowlevel.checkpoint()


async def uploads_of_key(
    services: Services, bucket: BucketRecord, key: str
) -> AsyncIterator[UploadRecord]:
    """Yield the multipart uploads of one key that are under way."""
    marker = upload_id = ""
    limit = FIRST_ROWS
    while True:
        page = services.catalog.list_uploads(
            bucket, prefix=key, key_marker=marker, upload_id_marker=upload_id, limit=limit
        )
        for upload in page.entries:
            if upload.key != key:
                return
            yield upload
        if not page.truncated:
            return
        marker, upload_id = page.next_key_marker, page.next_id_marker
        limit = min(limit * 4, PAGE_ROWS)
        await trio.lowlevel.checkpoint()
