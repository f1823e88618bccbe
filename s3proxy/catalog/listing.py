"""Pages of keys: prefix, delimiter, start, limit, at a cost that depends on the page alone.

A common prefix is skipped with one seek to its successor, however many keys it covers.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple, TypeVar

from s3proxy.catalog import keys, tables
from s3proxy.kv.engine import Snapshot
from s3proxy.s3.listing import ListedObject, MarkedPage

E = TypeVar("E")


class Range(NamedTuple):
    """What a page is asked for: keys with `prefix`, above `after`, grouped at `delimiter`."""

    prefix: bytes
    delimiter: bytes
    after: bytes

    @property
    def marked_key(self) -> bytes:
        """`after`, if it is a key that has a place of its own on pages; else b""."""
        prefix, delimiter, after = self
        grouped = delimiter and after.find(delimiter, len(prefix)) >= 0
        return b"" if grouped or not after.startswith(prefix) else after


def walk(
    view: Snapshot, keyspace: str, node: bytes, wanted: Range
) -> Iterator[tuple[bytes, bytes | None]]:
    """Yield (key, value), and (common prefix, None) once for each group, in byte order."""
    prefix, delimiter, _ = wanted
    start: bytes | None = _first(wanted)
    stop = keys.successor(prefix)
    if start is not None and not delimiter:
        rows = keys.scan(view, keyspace, node, start)
        # (stop,) > (key, value) is stop > key, compared in C.
        yield from rows if stop is None else takewhile((stop,).__gt__, rows)
        return
    while start is not None:
        common = b""
        for key, value in keys.scan(view, keyspace, node, start):
            if stop is not None and key >= stop:
                return
            if (cut := key.find(delimiter, len(prefix))) >= 0:
                common = key[: cut + len(delimiter)]
                break
            yield key, value
        if not common:
            return
        yield common, None
        start = keys.successor(common)


def gather(
    rows: Iterable[E | str], limit: int, markers_of: Callable[[E], tuple[str, str]]
) -> MarkedPage[E]:
    """Make a page of up to `limit` rows.

    Args:
        rows: entries, and as text the common prefixes among them; read no further than needed.
        markers_of: the key and the id of an entry.
    """
    page: MarkedPage[E] = MarkedPage([], [])
    for row in rows:
        if len(page.entries) + len(page.common_prefixes) >= limit:
            page.truncated = limit > 0
            break
        if isinstance(row, str):
            page.common_prefixes.append(row)
            page.next_key_marker, page.next_id_marker = row, ""
        else:
            page.entries.append(row)
            page.next_key_marker, page.next_id_marker = markers_of(row)
    return page


def _first(wanted: Range) -> bytes | None:
    """Return the least key that may be on the page; None: no key can be."""
    prefix, delimiter, after = wanted
    if after < prefix:
        return prefix
    if delimiter and after.startswith(prefix):
        cut = after.find(delimiter, len(prefix))
        if cut >= 0 and cut + len(delimiter) == len(after):
            # The last page ended with this common prefix, and all it covers.
            return keys.successor(after)
    return after + b"\x00"


def listed(rows: Sequence[tuple[bytes, bytes]]) -> list[ListedObject]:
    """Return what a listing tells of objects, by their keys and stored records."""
    if not rows:
        return []
    stored, values = zip(*rows, strict=True)
    records = tables.listed.decode_all(values)
    return [
        ListedObject(
            key,
            fields.size,
            fields.etag,
            fields.modified_ns,
            fields.storage_class,
            next(iter(fields.checksums)) if fields.checksums else "",
            fields.checksum_type,
        )
        for key, fields in zip(map(bytes.decode, stored), records, strict=True)
    ]
