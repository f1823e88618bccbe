"""Recovery at start: settles what an earlier run left open.

An intent is durable before its blob becomes visible and removed in the transaction that publishes
the object, so an open one belongs to a write that was never acknowledged: its blob is garbage.

An upload to an attached directory is made there before the catalog knows it, and removed there
after the catalog has forgotten it: one that the catalog does not know is nobody's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from s3proxy.backends.errors import BackendError
from s3proxy.backends.store import Backend
from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.records import BucketRecord
from s3proxy.log import get_logger

logger = get_logger("recover")


async def recover(catalog: Catalog, backends: Mapping[str, Backend]) -> int:
    """Clear temporaries and settle open intents; return how many there were.

    Runs before the S3 port opens. A backend that does not answer keeps its blobs for the collector,
    which retries.
    """
    for name, backend in backends.items():
        try:
            await backend.recover()
        except (BackendError, OSError) as error:
            logger.warning("temporaries not cleared", backend=name, error=str(error))
    await _forget_uploads(catalog, backends)
    intents = catalog.open_intents()
    for intent in intents:
        await catalog.drop_intent(intent.blob.id, garbage=intent.blob)
    if intents:
        logger.info("settled writes that an earlier run left open", count=len(intents))
    return len(intents)


async def _forget_uploads(catalog: Catalog, backends: Mapping[str, Backend]) -> None:
    known: dict[tuple[str, str], set[str]] = {}
    for bucket in catalog.scan_buckets():
        if bucket.kind == "attached":
            ids = known.setdefault((bucket.backend, bucket.container), set())
            ids.update(_upload_ids(catalog, bucket))
    for (name, target), ids in known.items():
        backend = backends.get(name)
        if backend is None:
            continue
        try:
            removed = await backend.forget_uploads(target, ids)
        except (BackendError, OSError) as error:
            logger.warning("uploads not cleared", backend=name, target=target, error=str(error))
        else:
            if removed:
                logger.info("removed unfinished uploads", backend=name, count=removed)


def _upload_ids(catalog: Catalog, bucket: BucketRecord) -> Iterator[str]:
    """Ids at the backend of all uploads to a bucket."""
    page = catalog.list_uploads(bucket)
    yield from (upload.backend_upload_id for upload in page.entries)
    while page.truncated:
        page = catalog.list_uploads(
            bucket,
            key_marker=page.next_key_marker,
            upload_id_marker=page.next_id_marker,
        )
        yield from (upload.backend_upload_id for upload in page.entries)
