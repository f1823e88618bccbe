"""The blobs of one key, in short snapshots, however many versions and parts it has."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

import trio

from s3proxy.ops.walks import uploads_of_key, versions_of_key

if TYPE_CHECKING:
    from s3proxy.catalog.records import BlobRef, BucketRecord
    from s3proxy.ops.call import Services

WINDOW_IDS: Final = 20_000
WINDOWS_MAX: Final = 8
KEYS_MAX: Final = 32
_LAST: Final = "g"  # behind all hexadecimal ids


async def blobs_of_key(
    services: Services, bucket: BucketRecord, key: str
) -> AsyncIterator[tuple[str, BlobRef]]:
    """Yield what of a key points at a blob, and the blob: an id of a version; "": an upload.

    What is there from the beginning to the end is among them: uploads come first, as completing one
    makes a version of its parts, and versions come from the newest to the oldest.
    """
    async for upload in uploads_of_key(services, bucket, key):
        if upload.blob is not None:
            yield "", upload.blob
        for part in services.catalog.list_parts(bucket, upload.upload_id):
            if part.blob is not None:
                yield "", part.blob
        await trio.lowlevel.checkpoint()
    async for record in versions_of_key(services, bucket, key):
        for blob in record.blobs:
            yield record.named_version, blob


def ids_of(services: Services, blob: BlobRef) -> Iterator[str]:
    """Yield the ids of a blob, of its places and of its copies under way."""
    known = services.catalog.get_copies(blob)
    yield blob.id
    yield from (place.id for place in known.places)
    yield from (transfer.copy.id for transfer in known.transfers)


class Pointer(NamedTuple):
    """Why a blob is one of a key's.

    Attributes:
        version: whose record points at it, by its id; "": an upload does.
        blob_id: of the blob that is pointed at; what was asked for is that, or a copy of it.
    """

    version: str
    blob_id: str


class _Window(NamedTuple):
    """The ids of a key from `first` to `last`."""

    first: str
    last: str
    ids: frozenset[str]


class KnownIds:
    """Whether ids are of blobs of a key: read once for many that are asked for in their order.

    A blob older than any write under way that nothing points at stays so: what was read of a key
    is as good later.
    """

    def __init__(self, services: Services, bucket: BucketRecord) -> None:
        self._services = services
        self._bucket = bucket
        self._windows: dict[str, _Window] = {}

    async def has(self, key: str, blob_id: str) -> bool:
        """Whether anything of a key has to do with a blob."""
        window = self._windows.pop(key, None)
        if window is None or not window.first <= blob_id <= window.last:
            window = await self._read(key, blob_id)
        self._windows[key] = window
        if len(self._windows) > WINDOWS_MAX:
            del self._windows[next(iter(self._windows))]
        return blob_id in window.ids

    async def _read(self, key: str, first: str) -> _Window:
        ids: set[str] = set()
        last = _LAST
        async for _, blob in blobs_of_key(self._services, self._bucket, key):
            ids.update(one for one in ids_of(self._services, blob) if first <= one <= last)
            if len(ids) > 2 * WINDOW_IDS:
                kept = sorted(ids)[:WINDOW_IDS]
                ids, last = set(kept), kept[-1]
        return _Window(first, last, frozenset(ids))


class Pointers:
    """What is known of the blobs of keys, by their ids; kept up to date by who adds to it.

    The whole of a key is read once, and kept while a few others are asked for.
    """

    def __init__(self, services: Services, bucket: BucketRecord) -> None:
        self._services = services
        self._bucket = bucket
        self._keys: dict[str, dict[str, Pointer]] = {}
        self._reading = trio.Lock()

    async def of_key(self, key: str) -> dict[str, Pointer]:
        """Why each blob is one of a key's: to be added to when one more is."""
        async with self._reading:
            found = self._keys.pop(key, None)
            if found is None:
                found = await self._read(key)
            self._keys[key] = found
            if len(self._keys) > KEYS_MAX:
                del self._keys[next(iter(self._keys))]
        return found

    async def _read(self, key: str) -> dict[str, Pointer]:
        found: dict[str, Pointer] = {}
        async for version, blob in blobs_of_key(self._services, self._bucket, key):
            pointer = Pointer(version, blob.id)
            found.update(dict.fromkeys(ids_of(self._services, blob), pointer))
        return found
