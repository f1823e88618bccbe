"""Pages of versions: by key, then newest first; delete markers are among them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import msgspec

from s3proxy.catalog import tables, versions
from s3proxy.catalog.listing import Range, gather, walk
from s3proxy.catalog.records import NULL_VERSION, BucketRecord, ObjectRecord
from s3proxy.catalog.tables import OBJECTS, VERSIONS
from s3proxy.kv.engine import Engine, Snapshot
from s3proxy.s3.listing import ListPage, MarkedPage

Row = tuple[bytes, bytes | None]


class VersionEntry(msgspec.Struct):
    """One version of a key."""

    key: str
    record: ObjectRecord
    latest: bool


VersionPage = MarkedPage[VersionEntry]


class VersionLister:
    """Reads pages of versions."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list_versions(
        self,
        bucket: BucketRecord,
        *,
        prefix: str = "",
        delimiter: str = "",
        key_marker: str = "",
        version_id_marker: str = "",
        limit: int = 1000,
    ) -> VersionPage:
        """Return up to `limit` versions and common prefixes after the markers.

        Cost: O(page), whatever the bucket holds and however many versions a key has.
        """
        wanted = Range(prefix.encode(), delimiter.encode(), key_marker.encode())
        with self._engine.read() as view:
            rest = _rest_of_key(view, bucket, wanted, version_id_marker)
            rows = chain(rest, _entries(view, bucket, wanted))
            return gather(rows, limit, lambda entry: (entry.key, entry.record.named_version))


def null_versions(page: ListPage) -> VersionPage:
    """A page of objects as the page of their only versions."""
    entries = [
        VersionEntry(
            entry.key,
            ObjectRecord(
                size=entry.size,
                etag=entry.etag,
                modified_ns=entry.modified_ns,
                storage_class=entry.storage_class,
                checksums={entry.checksum_algorithm: ""} if entry.checksum_algorithm else {},
                checksum_type=entry.checksum_type,
            ),
            latest=True,
        )
        for entry in page.objects
    ]
    last = bool(entries) and entries[-1].key == page.next_after
    return MarkedPage(
        entries, page.common_prefixes, page.truncated, page.next_after, NULL_VERSION if last else ""
    )


def _rest_of_key(
    view: Snapshot, bucket: BucketRecord, wanted: Range, version_id_marker: str
) -> Iterator[VersionEntry]:
    """Yield the marked key's versions behind the marked one; it may be gone by now.

    Of a null version that is gone nobody knows where it was: all versions of the key come again.
    """
    key = wanted.marked_key
    if not (version_id_marker and key):
        return
    current = versions.find(view, bucket, key)
    node = versions.find_node(view, bucket, key)
    marked = current is not None and current.named_version == version_id_marker
    after = b"" if marked else versions.order_of(version_id_marker, node)
    if not marked and not after:
        yield from _of_key(view, key, current, node)
        return
    name = key.decode()
    if current is not None and not marked and versions.order_in_node(current.sequence) > after:
        # What was newer is gone since the last page, and an older version current now.
        yield VersionEntry(name, current, latest=True)
    if node is not None:
        for record in versions.older(view, node, after):
            yield VersionEntry(name, record, latest=False)


def _entries(view: Snapshot, bucket: BucketRecord, wanted: Range) -> Iterator[VersionEntry | str]:
    current_rows = walk(view, OBJECTS, bucket.id, wanted)
    node_rows = walk(view, VERSIONS, bucket.id, wanted)
    for key, current, node in _merged(current_rows, node_rows):
        if current is None and node is None:
            yield key.decode()
        else:
            yield from _of_key(
                view,
                key,
                None if current is None else tables.objects.decode(current),
                None if node is None else versions.node_of(node),
            )


def _of_key(
    view: Snapshot, key: bytes, current: ObjectRecord | None, node: versions.Node | None
) -> Iterator[VersionEntry]:
    name = key.decode()
    if current is not None:
        yield VersionEntry(name, current, latest=True)
    if node is not None:
        latest = current is None
        for record in versions.older(view, node):
            yield VersionEntry(name, record, latest)
            latest = False


def _merged(
    current_rows: Iterator[Row], node_rows: Iterator[Row]
) -> Iterator[tuple[bytes, bytes | None, bytes | None]]:
    """Yield (key, current object, node) in order of the keys; of a common prefix both are None."""
    end: Row = (b"", None)
    current, node = next(current_rows, end), next(node_rows, end)
    while current[0] or node[0]:
        if current[0] == node[0]:
            yield current[0], current[1], node[1]
            current, node = next(current_rows, end), next(node_rows, end)
        elif not node[0] or (current[0] and current[0] < node[0]):
            yield current[0], current[1], None
            current = next(current_rows, end)
        else:
            yield node[0], None, node[1]
            node = next(node_rows, end)
