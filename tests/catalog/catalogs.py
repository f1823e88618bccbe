"""Catalogs and records for tests."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.records import BlobRef, BucketRecord, ObjectRecord, PartRecord, UploadRecord
from s3proxy.catalog.seal import AesGcmSealer
from tests.kv.engines import running

MASTER_KEY = bytes(range(32))


class Clock:
    """A clock that stands still until told otherwise."""

    def __init__(self) -> None:
        self.ns = 1_700_000_000_000_000_000

    def __call__(self) -> int:
        return self.ns


@asynccontextmanager
async def open_catalog(
    directory: Path,
    *,
    clock: Clock | None = None,
    garbage_delay_s: float = 0.0,
    gateway: str = "here",
) -> AsyncIterator[Catalog]:
    """Run a catalog on `directory`; not durable, which the engine's tests are about."""
    async with running(directory, keyspaces=()) as engine:
        yield Catalog(
            engine,
            AesGcmSealer(MASTER_KEY),
            gateway=gateway,
            now_ns=clock or Clock(),
            garbage_delay_s=garbage_delay_s,
        )


def bucket_record(
    name: str = "bucket", tenant: str = "main", kind: str = "managed"
) -> BucketRecord:
    return BucketRecord(
        name=name,
        tenant=tenant,
        kind=kind,
        backend="disk",
        container=f"s3gw-{name}",
        region="us-east-1",
        created_ns=1,
    )


def blob(backend: str = "disk", size: int = 3) -> BlobRef:
    identifier = secrets.token_hex(16)
    return BlobRef(identifier, backend, "container", identifier, size)


def object_record(*blobs: BlobRef, etag: str = "etag", size: int = 3) -> ObjectRecord:
    return ObjectRecord(size=size, etag=etag, modified_ns=1, blobs=blobs)


def upload_record(key: str, upload_id: str, target: BlobRef | None = None) -> UploadRecord:
    return UploadRecord(
        upload_id=upload_id,
        key=key,
        initiated_ns=1,
        blob=target,
        backend_upload_id="native" if target else "",
    )


def part_record(number: int, target: BlobRef | None, etag: str = "") -> PartRecord:
    return PartRecord(
        number=number, size=3, etag=etag or f"etag-{number}", modified_ns=1, blob=target
    )


async def set_state(catalog: Catalog, bucket: BucketRecord, state: str) -> BucketRecord:
    """Enable or suspend versioning."""
    return await catalog.update_bucket(
        bucket, lambda record: msgspec.structs.replace(record, versioning=state)
    )


def garbage_blobs(catalog: Catalog) -> set[str]:
    """Return the ids of all blobs queued for deletion."""
    return {record.blob.id for record in catalog.due_garbage(2**62, 10**6)}
