"""Pages of multipart uploads, by key and then upload id."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from s3proxy.catalog import keys, tables
from s3proxy.catalog.listing import Range, gather, walk
from s3proxy.catalog.records import BucketRecord, UploadRecord
from s3proxy.catalog.tables import ID_BYTES, UPLOADS
from s3proxy.kv.engine import Engine, Snapshot
from s3proxy.s3.listing import MarkedPage


class UploadLister:
    """Reads pages of uploads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list_uploads(
        self,
        bucket: BucketRecord,
        *,
        prefix: str = "",
        delimiter: str = "",
        key_marker: str = "",
        upload_id_marker: str = "",
        limit: int = 1000,
    ) -> MarkedPage[UploadRecord]:
        """Return up to `limit` uploads and common prefixes after the markers."""
        wanted = Range(prefix.encode(), delimiter.encode(), key_marker.encode())
        with self._engine.read() as view:
            rest = _rest_of_key(view, bucket, wanted, upload_id_marker)
            rows = chain(rest, _entries(view, bucket, wanted))
            return gather(rows, limit, lambda upload: (upload.key, upload.upload_id))


def _rest_of_key(
    view: Snapshot, bucket: BucketRecord, wanted: Range, upload_id_marker: str
) -> Iterator[UploadRecord]:
    """Yield the marked key's uploads above the upload id marker; ignored without a key."""
    key = wanted.marked_key
    if not (upload_id_marker and key):
        return
    node = keys.get(view, UPLOADS, bucket.id, key)
    if node is not None:
        yield from _of_node(view, node, upload_id_marker.encode() + b"\x00")


def _entries(view: Snapshot, bucket: BucketRecord, wanted: Range) -> Iterator[UploadRecord | str]:
    for key, node in walk(view, UPLOADS, bucket.id, wanted):
        if node is None:
            yield key.decode()
        else:
            yield from _of_node(view, node, b"")


def _of_node(view: Snapshot, node: bytes, start: bytes) -> Iterator[UploadRecord]:
    for stored, value in view.scan(UPLOADS, node + start, keys.successor(node)):
        if len(stored) > ID_BYTES:
            yield tables.uploads.decode(value)
