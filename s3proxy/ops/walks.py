"""Walks over what a bucket holds: in short snapshots, so that what is walked may change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from s3proxy.catalog.records import BucketRecord, UploadRecord
    from s3proxy.catalog.version_listing import VersionEntry
    from s3proxy.ops.call import Services

PAGE_ROWS: Final = 256


async def versions_of(
    services: Services, bucket: BucketRecord, after: str = ""
) -> AsyncIterator[VersionEntry]:
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
