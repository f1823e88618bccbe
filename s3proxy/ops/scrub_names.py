"""What the catalog expects in a container, in the order in which a provider lists it."""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import count
from typing import TYPE_CHECKING, Final

import msgspec

from s3proxy.catalog.records import BlobRef, BucketRecord, ObjectRecord
from s3proxy.ops.move_version import known_md5
from s3proxy.ops.walks import versions_of

if TYPE_CHECKING:
    from s3proxy.ops.call import Services

_NO_ID: Final = "0" * 32


class Expected(msgspec.Struct, frozen=True):
    """One place of one blob.

    Attributes:
        blob: the one that the record points at.
        md5: of its bytes, hexadecimal; "" where nobody knows it.
    """

    key: str
    record: ObjectRecord
    blob: BlobRef
    place: BlobRef
    md5: str


class ExpectedNames:
    """The places that the catalog has in one container, by their names.

    A blob is `<key>~<id>`: names are in another order than keys, since `~` sorts behind nearly all
    that may follow a key in a longer one. So names wait in a heap until no later key can come
    before them: those of keys that begin the present one, and no others.
    """

    def __init__(
        self, services: Services, bucket: BucketRecord, backend: str, container: str
    ) -> None:
        self._services = services
        self._bucket = bucket
        self._place = (backend, container)
        self._backend = services.backend(backend)

    async def after(self, cursor: str) -> AsyncIterator[Expected]:
        """Yield what is behind a name; in short snapshots, a checkpoint for each page."""
        waiting: list[tuple[bytes, int, Expected]] = []
        numbers = count()
        start = cursor.encode()
        async for key, records in self._keys(cursor):
            bound = self._stem(key).encode()
            while waiting and waiting[0][0] < bound:
                yield heapq.heappop(waiting)[2]
            for expected in self._of_key(key, records):
                name = expected.place.name.encode()
                if name > start:
                    heapq.heappush(waiting, (name, next(numbers), expected))
        while waiting:
            yield heapq.heappop(waiting)[2]

    async def _keys(self, cursor: str) -> AsyncIterator[tuple[str, list[ObjectRecord]]]:
        """Yield the keys that may have names behind a cursor, with all their versions."""
        catalog = self._services.catalog
        for length in range(1, len(cursor) + 1):
            records = catalog.versions_of_key(self._bucket, cursor[:length])
            if records:
                yield cursor[:length], records
        key, records = "", []
        async for entry in versions_of(self._services, self._bucket, cursor):
            if entry.key != key and records:
                yield key, records
                records = []
            key = entry.key
            records.append(entry.record)
        if records:
            yield key, records

    def _stem(self, key: str) -> str:
        """What no name of this key, or of a later one, comes before."""
        return self._backend.blob_name(key, _NO_ID)[: -len(_NO_ID) - 1]

    def _of_key(self, key: str, records: Iterable[ObjectRecord]) -> Iterator[Expected]:
        for record in records:
            md5 = known_md5(record).hex() if len(record.blobs) == 1 else ""
            for blob in record.blobs:
                for place in self._here(blob):
                    yield Expected(key, record, blob, place, md5)

    def _here(self, blob: BlobRef) -> Iterator[BlobRef]:
        """Places of a blob in this container; one in the catalog has none."""
        places = self._services.catalog.places_of(blob) if blob.backend else ()
        return (place for place in places if (place.backend, place.container) == self._place)
