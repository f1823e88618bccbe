"""What the catalog expects in a container, in the order in which a provider lists it."""

from __future__ import annotations

import heapq
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from itertools import count
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from s3proxy.catalog.records import BlobRef, BucketRecord, ObjectRecord
from s3proxy.ops.settle_debt import replicas_of
from s3proxy.ops.soundness import known_md5s
from s3proxy.ops.walks import versions_of, versions_of_key

if TYPE_CHECKING:
    from s3proxy.ops.call import Services

# Places of one key that are read, and wait, at once.
NAMES_AT_ONCE: Final = 2000
_NO_ID: Final = "0" * 32
_WIDE: Final = "\U0010ffff"  # four bytes


class Expected(msgspec.Struct, frozen=True):
    """One place of one blob.

    Attributes:
        version: the version whose record points at the blob, by its id.
        blob: the one that the record points at.
        md5: of its bytes, hexadecimal; "" where nobody knows it.
        replicas: how many copies the object's tags ask for; 0: nothing.
    """

    key: str
    version: str
    blob: BlobRef
    place: BlobRef
    md5: str
    replicas: int
    storage_class: str


class _More(NamedTuple):
    """What of a key is to be read, once it is its turn: names behind `after`."""

    key: str
    after: bytes


class _OfKey(msgspec.Struct):
    """The places of a key, while they are no more than are read at once."""

    key: str
    names: list[Expected] | None

    def add(self, more: Iterator[Expected]) -> None:
        """Add those of one version."""
        if self.names is not None:
            self.names += more
            if len(self.names) > NAMES_AT_ONCE:
                self.names = None


class ExpectedNames:
    """The places that the catalog has in one container, by their names.

    A blob is `<key>~<id>`: names are in another order than keys, since `~` sorts behind nearly all
    that may follow a key in a longer one. So names wait in a heap until no later key can come
    before them: those of keys that begin the present one, and no others. Of a key with very many
    versions some are read at a time, each time from all of them.
    """

    def __init__(
        self, services: Services, bucket: BucketRecord, backend: str, container: str
    ) -> None:
        self._services = services
        self._bucket = bucket
        self._place = (backend, container)
        self._backend = services.backend(backend)
        self._waiting: list[tuple[bytes, int, Expected | _More]] = []
        self._numbers = count()

    async def after(self, cursor: str) -> AsyncGenerator[Expected]:
        """Yield what is behind a name; in short snapshots, a checkpoint for each page."""
        start, first = cursor.encode(), self._first(cursor)
        for length in range(1, len(first) + 1):
            self._wait(start, _More(first[:length], start))
        async with aclosing(self._keys(first)) as keys:
            async for key, names in keys:
                while (expected := await self._next(self._stem(key))) is not None:
                    yield expected
                self._wait_for(key, names, start)
        while (expected := await self._next(None)) is not None:
            yield expected

    def _first(self, cursor: str) -> str:
        """What keys that may have names behind a cursor are behind, but for those that begin it."""
        key = cursor.rpartition("~")[0]
        is_cut = key and self._stem(key + _WIDE) == key.encode()
        return key if is_cut else cursor

    def _wait(self, name: bytes, what: Expected | _More) -> None:
        heapq.heappush(self._waiting, (name, next(self._numbers), what))

    def _wait_for(self, key: str, names: list[Expected] | None, start: bytes) -> None:
        if names is None:
            self._wait(max(start, self._stem(key)), _More(key, start))
            return
        for expected in names:
            name = expected.place.name.encode()
            if name > start:
                self._wait(name, expected)

    async def _next(self, bound: bytes | None) -> Expected | None:
        """Take the first of what waits, if that is before a name; None as such: whatever it is."""
        while self._waiting and (bound is None or self._waiting[0][0] < bound):
            what = heapq.heappop(self._waiting)[2]
            if isinstance(what, Expected):
                return what
            names, more = await self._read(what)
            for name, expected in names:
                self._wait(name, expected)
            if more:
                last = names[-1][0]
                self._wait(last, _More(what.key, last))
        return None

    async def _keys(self, cursor: str) -> AsyncGenerator[tuple[str, list[Expected] | None]]:
        """Yield the keys behind a cursor, with all their places, or None: they are very many."""
        found = _OfKey("", [])
        async with aclosing(versions_of(self._services, self._bucket, cursor)) as entries:
            async for entry in entries:
                if found.key and entry.key != found.key:
                    yield found.key, found.names
                if entry.key != found.key:
                    found = _OfKey(entry.key, [])
                found.add(self._of_version(entry.key, entry.record))
        if found.key:
            yield found.key, found.names

    async def _read(self, what: _More) -> tuple[list[tuple[bytes, Expected]], bool]:
        """The first places of a key behind a name, and whether there are more."""
        found: list[tuple[bytes, Expected]] = []
        more = False
        async for record in versions_of_key(self._services, self._bucket, what.key):
            for expected in self._of_version(what.key, record):
                name = expected.place.name.encode()
                if name > what.after:
                    found.append((name, expected))
            if len(found) > 2 * NAMES_AT_ONCE:
                more = True
                found.sort(key=itemgetter(0))
                del found[NAMES_AT_ONCE:]
        found.sort(key=itemgetter(0))
        return found[:NAMES_AT_ONCE] if more else found, more

    def _stem(self, key: str) -> bytes:
        """What no name of this key, or of a later one, comes before."""
        return self._backend.blob_name(key, _NO_ID)[: -len(_NO_ID) - 1].encode()

    def _of_version(self, key: str, record: ObjectRecord) -> Iterator[Expected]:
        wanted = (replicas_of(record.tags), record.storage_class)
        for blob, md5 in zip(record.blobs, known_md5s(record), strict=True):
            for place in self._here(blob):
                yield Expected(key, record.named_version, blob, place, md5, *wanted)

    def _here(self, blob: BlobRef) -> Iterator[BlobRef]:
        """Places of a blob in this container; one in the catalog has none."""
        places = self._services.catalog.places_of(blob) if blob.backend else ()
        return (place for place in places if (place.backend, place.container) == self._place)
