"""Copying a blob to another backend, checked.

Write order: the intent of the copy is queued, the bytes go to the backend, the copy is compared,
and it is the caller's transaction that notes the place and settles the intent. What fails or is
cut off before that is garbage. Encrypted bytes are copied as they are stored.

A blob that is large, and owed, goes in parts, each of which stays at the backend once it is there
(catalog/transfers.py): the next try copies what is left.
"""

# Named for what was found.
# ruff: noqa: N818

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Final

import trio
from msgspec import Struct, structs

from s3proxy.backends.errors import (
    BackendError,
    NoSuchUpload,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    Rejected,
    Unavailable,
    Unsupported,
)
from s3proxy.backends.s3_store import S3Store
from s3proxy.backends.store import PutOptions, Stat, Store
from s3proxy.catalog.blob_records import Transfer
from s3proxy.catalog.records import BlobRef, BucketRecord
from s3proxy.http.body import Body, BytesBody
from s3proxy.http.errors import TransportError
from s3proxy.kv.errors import KvError
from s3proxy.ops.about import Beside, Described, about_of, describe
from s3proxy.ops.blob_writer import DAMAGED, BlobWriter
from s3proxy.ops.payload_source import ObjectPayload
from s3proxy.ops.placing import container_on
from s3proxy.ops.replica_reader import open_replica
from s3proxy.ops.soundness import READ_BYTES, differs, is_md5, told_md5
from s3proxy.s3.errors import S3Error

if TYPE_CHECKING:
    from s3proxy.ops.call import Services
    from s3proxy.ops.lanes import ByteRate

LARGE_BYTES: Final = 64 << 20
PART_BYTES_MIN: Final = 16 << 20
# A part has a row in the catalog until the copy is whole.
PARTS_MAX: Final = 1000
PARTS_PARALLEL: Final = 3
# What a copy may fail with, beside what the catalog raises.
FAILURES: Final = (BackendError, TransportError, S3Error, OSError)

# What a provider's own copy may fail with, that reading the bytes need not: its source is lost or
# wrong, and another place may have them; or it may read and write there, and not copy.
NOT_THERE: Final = (
    *(NotFound, PreconditionFailed, PermissionDenied, Rejected, Unsupported),
    S3Error,
)


class Damaged(S3Error):
    """A place has other bytes than were stored."""

    def __init__(self) -> None:
        super().__init__("InternalError", DAMAGED)


class Miscopied(S3Error):
    """A copy is not what was sent."""

    def __init__(self) -> None:
        super().__init__("InternalError", "A copy of the object's data is not what was sent.")


class Original(Struct, frozen=True):
    """What is known of a blob that is to be copied.

    Attributes:
        blob: the one that a debt is for; None: nothing is owed, and a copy is made in one go.
        about: what describes the object beside the copy; None: it is a part, or one of several.
        md5: of its bytes, hexadecimal; "" where that is not known: then a place's ETag is taken for
            it, where that can be one.
        rates: bounds on its bytes.
        turn: held while its bytes move. Its intent is on its way to the disk before.
    """

    blob: BlobRef | None = None
    about: Described | None = None
    md5: str = ""
    rates: tuple[ByteRate, ...] = ()
    turn: Callable[[], AbstractAsyncContextManager[None]] = nullcontext


async def copy_to(
    services: Services,
    bucket: BucketRecord,
    key: str,
    places: Sequence[BlobRef],
    backend: str,
    *,
    original: Original | None = None,
) -> BlobRef:
    """Copy a blob, from the best of its places, to a new blob on `backend`.

    Returns:
        The copy. Its intent is open under its id: the transaction that notes the place settles it.
    Raises:
        S3Error: no place has the bytes (Damaged: they are not what was stored), the copy is not
            what was sent (Miscopied), or the backend is not configured.
        BackendError, TransportError, KvError: nothing points at what was written.
        NoSuchBucket: the bucket is gone.
    When cancelled, the copy is garbage; of one in parts, the finished ones stay for the next try.
    """
    original = original or Original()
    container = await container_on(services, bucket, backend)
    writer = BlobWriter(services, bucket, services.backend(backend), container)
    copying = _Copying(services, bucket, key, places, original)
    size = places[0].size
    source = _server_side(services, places, writer.store)
    if source is not None:
        try:
            return await copying.at_the_provider(writer, source)
        except NOT_THERE:
            pass
    if not original.md5:
        known = structs.replace(original, md5=await told_md5(services, places))
        copying = structs.replace(copying, original=known)
    if size > LARGE_BYTES and writer.store.features.multipart and original.blob is not None:
        async with original.turn():
            return await _Transferring(copying, writer, original.blob).run()
    return await copying.in_one(writer)


def _server_side(services: Services, places: Sequence[BlobRef], store: Store) -> BlobRef | None:
    """A place from which the target's provider can copy by itself."""
    if not isinstance(store, S3Store):
        return None
    for place in services.health.order(places):
        backend = services.backends.get(place.backend)
        held = None if backend is None else backend.blobs(place.container)
        if isinstance(held, S3Store) and held.realm == store.realm:
            return place
    return None


class CopiedPayload(ObjectPayload):
    """Bytes of a blob; the last are given only once they are known to be right."""

    __slots__ = ("_left", "_rates")

    def __init__(self, body: Body, length: int, original: Original, *, md5: bytes = b"") -> None:
        super().__init__(body, length)
        self.md5 = md5
        self._left = length
        self._rates = original.rates

    async def read_into(self, buffer: memoryview) -> int:
        """See `ObjectPayload.read_into`; Damaged when the MD5 is another."""
        for rate in self._rates:
            buffer = buffer[: rate.piece_bytes]
        count = await super().read_into(buffer)
        self._left -= count
        if count and not self._left and self.md5 and self.md5 != (await self.digests()).md5:
            raise Damaged
        for rate in self._rates:
            await rate.take(count)
        return count


class _Copying(Struct, frozen=True, eq=False):
    """One blob on its way to one backend."""

    services: Services
    bucket: BucketRecord
    key: str
    places: Sequence[BlobRef]
    original: Original

    @property
    def beside(self) -> Beside:
        """What is to be known of the copy beside what describes its object."""
        known = (self.original.blob or self.places[0], *self.places)
        # The first copy of bytes in the catalog is what the record comes to point at.
        blob = next((place for place in known if place.backend), None)
        return Beside(self.services.now_ns(), original=blob)

    async def open(self, first: int, last: int) -> Body:
        """The bytes first..last of the blob, from wherever they can be had."""
        if last < first:
            return BytesBody(b"")
        return await open_replica(self.services, self.places, first, last)

    async def in_one(self, writer: BlobWriter) -> BlobRef:
        """Stream the blob through this process."""
        size = self.places[0].size
        copy = writer.new_blob(self.key, size)
        known = self.original.md5 if is_md5(self.original.md5) else ""
        options = PutOptions(length=size, md5=bytes.fromhex(known))

        async def put() -> Stat:
            async with self.original.turn(), aclosing(await self.open(0, size - 1)) as body:
                payload = CopiedPayload(body, size, self.original, md5=options.md5)
                send = partial(writer.store.put, copy.name, payload, options)
                stat = await self.attempt(copy, send)
                _compare(stat, size, known or (await payload.digests()).md5.hex())
                return stat

        about = self.original.about
        await writer.stored(self.key, copy, options, about, put, beside=self.beside)
        return copy

    async def at_the_provider(self, writer: BlobWriter, source: BlobRef) -> BlobRef:
        """Have the provider copy the blob between two of its buckets."""
        copy = writer.new_blob(self.key, source.size)
        held = self.services.backend(source.backend).blobs(source.container)
        target = writer.store
        assert isinstance(held, S3Store) and isinstance(target, S3Store)
        options = PutOptions(length=source.size)

        async def copied() -> Stat:
            make = partial(target.copy_from, held, source.name, copy.name, options)
            async with self.original.turn():
                stat = await self.attempt(copy, partial(make, size=source.size))
            _compare(stat, source.size, self.original.md5)
            return stat

        about = self.original.about
        await writer.stored(self.key, copy, options, about, copied, beside=self.beside)
        return copy

    async def attempt(self, copy: BlobRef, do: Callable[[], Awaitable[Stat]]) -> Stat:
        """Do something at the copy's backend, under the eyes of its breaker."""
        health = self.services.health
        stat = await health.attempt(copy.backend, do)
        health.note_write(copy.backend, failed=False)
        return stat


class _Transferring:
    """A large blob on its way in parts, several at once."""

    def __init__(self, copying: _Copying, writer: BlobWriter, blob: BlobRef) -> None:
        self._copying = copying
        self._catalog = copying.services.catalog
        self._store = writer.store
        self._writer = writer
        self._blob = blob
        self._failure: Exception | None = None

    async def run(self) -> BlobRef:
        """Copy what is not there yet, and make the object of all parts.

        Raises:
            Unavailable: nothing is owed any more, or the upload is gone; a next try begins anew.
        """
        transfer = await self._transfer()
        copy = transfer.copy
        try:
            await self._complete(transfer, await self._parts(transfer))
        except NoSuchUpload as error:
            await self._catalog.drop_transfer(self._blob, copy)
            raise Unavailable("copy", copy.name, "the upload is gone", copy.backend) from error
        await self._compare(copy)
        copying = self._copying
        ended = self._catalog.end_transfer(self._blob, copy, copying.bucket, copying.key)
        if not await ended:
            raise self._gone(copy)
        return copy

    async def _parts(self, transfer: Transfer) -> list[tuple[int, str]]:
        """Copy the parts that are not there yet; returns the ETags of all, by number."""
        etags = self._catalog.copied_parts(transfer.copy)
        numbers = range(1, -(-self._blob.size // transfer.part_bytes) + 1)
        missing = [number for number in numbers if number not in etags]
        limiter = trio.CapacityLimiter(PARTS_PARALLEL)
        async with trio.open_nursery() as nursery:
            for number in missing:
                await limiter.acquire_on_behalf_of(number)
                nursery.start_soon(self._part, transfer, number, etags, limiter)
        if self._failure is not None:
            raise self._failure
        return [(number, etags[number]) for number in numbers]

    async def _transfer(self) -> Transfer:
        """The transfer under way to this store, or a new one."""
        place = self._writer.new_blob(self._copying.key, self._blob.size)
        for transfer in self._catalog.get_copies(self._blob).transfers:
            found = transfer.copy
            if (found.backend, found.container) == (place.backend, place.container):
                return transfer
        options = PutOptions(length=self._blob.size)
        copying = self._copying
        about = copying.original.about
        describe(
            options, about, about_of(copying.bucket, copying.key, place, about, copying.beside)
        )
        create = partial(self._store.create_upload, place.name, options)
        upload_id = await self._copying.services.health.attempt(place.backend, create)
        part_bytes = max(PART_BYTES_MIN, -(-self._blob.size // PARTS_MAX))
        transfer = Transfer(place, upload_id, part_bytes)
        if not await self._catalog.begin_transfer(self._blob, transfer):
            await self._store.abort_upload(place.name, upload_id)
            raise self._gone(place)
        return transfer

    async def _part(
        self, transfer: Transfer, number: int, etags: dict[int, str], limiter: trio.CapacityLimiter
    ) -> None:
        try:
            if self._failure is None:
                etags[number] = await self._copy_part(transfer, number)
        except (*FAILURES, KvError) as error:
            self._failure = self._failure or error
        finally:
            limiter.release_on_behalf_of(number)

    async def _copy_part(self, transfer: Transfer, number: int) -> str:
        copy = transfer.copy
        first = (number - 1) * transfer.part_bytes
        length = min(transfer.part_bytes, self._blob.size - first)
        body = await self._copying.open(first, first + length - 1)
        try:
            payload = CopiedPayload(body, length, self._copying.original)
            put = partial(
                self._store.put_part,
                *(copy.name, transfer.backend_upload_id, number, payload),
                PutOptions(length=length),
            )
            stat = await self._copying.attempt(copy, put)
            _compare(stat, length, (await payload.digests()).md5.hex())
        finally:
            await body.aclose()
        if not await self._catalog.keep_copied_part(self._blob, copy, number, stat.etag):
            raise self._gone(copy)
        return stat.etag

    async def _complete(self, transfer: Transfer, parts: Sequence[tuple[int, str]]) -> None:
        copy = transfer.copy
        complete = partial(
            self._store.complete_upload,
            *(copy.name, transfer.backend_upload_id, parts, PutOptions()),
        )
        stat = await self._copying.attempt(copy, complete)
        if stat.size != self._blob.size:
            await self._catalog.drop_transfer(self._blob, copy)
            raise Miscopied

    async def _compare(self, copy: BlobRef) -> None:
        """Read the copy once, where the MD5 is known: its parts came at once, and at several tries.

        Raises:
            Damaged: it is not what was stored; a next try begins anew.
        """
        if not is_md5(self._copying.original.md5):
            return
        health = self._copying.services.health
        try:
            await health.attempt(copy.backend, partial(self._read, copy))
        except Damaged:
            await self._catalog.drop_transfer(self._blob, copy)
            raise

    async def _read(self, copy: BlobRef) -> None:
        original = self._copying.original
        reading = await self._store.open(copy.name)
        try:
            known = bytes.fromhex(original.md5)
            payload = CopiedPayload(reading.body, copy.size, original, md5=known)
            buffer = memoryview(bytearray(READ_BYTES))
            while await payload.read_into(buffer):
                pass
        finally:
            await reading.body.aclose()

    def _gone(self, copy: BlobRef) -> Unavailable:
        return Unavailable("copy", copy.name, "the blob is gone", copy.backend)


def _compare(stat: Stat, size: int, md5: str) -> None:
    """Compare what a backend says of a copy with what was copied.

    Args:
        md5: "" where nobody knows it.
    Raises:
        Miscopied: it is something else. An ETag that is no MD5 says nothing.
    """
    wrong = not stat.opaque_etag and differs(md5, stat.etag)
    if stat.size != size or wrong:
        raise Miscopied
