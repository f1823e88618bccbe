"""Writing the blobs of managed buckets, and giving up those that no record came to point at.

Write order: the intent is queued, the bytes stream to the backend, the intent becomes durable, the
blob becomes visible. The caller's transaction then settles the intent. Whatever fails before that,
`abandon` turns the blob into garbage, in a transaction that does nothing once the intent is
settled: so a write that was cancelled while it was being committed keeps its blob.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import trio

from s3proxy.backends.store import Backend, PutOptions, Stat, Store
from s3proxy.catalog.records import BlobRef, BucketRecord, Owed
from s3proxy.kv.errors import KvError
from s3proxy.ops.about import Beside, Described, about_of, describe
from s3proxy.ops.namespace import CopyFrom, ObjectWrite, Payload
from s3proxy.s3.errors import S3Error

if TYPE_CHECKING:
    from s3proxy.http.body import ByteSource
    from s3proxy.ops.call import Services


class WrittenBlob(msgspec.Struct, frozen=True):
    """A blob that is stored, or whose bytes go into the catalog with its record.

    Attributes:
        inline: the bytes, where the catalog is to keep them.
        intents: what the transaction that points at the blob has to settle.
        written_ns: the time that is kept beside the blob; 0: none is.
        copies: further places that hold the bytes, each with an intent.
        owed: what that transaction has to note of the places.
    """

    blob: BlobRef
    etag: str
    checksums: dict[str, str]
    inline: bytes | None = None
    intents: tuple[str, ...] = ()
    written_ns: int = 0
    copies: tuple[BlobRef, ...] = ()
    owed: Owed | None = None


# Blobs are never changed: one of another size was cut, or replaced, behind the gateway's back.
DAMAGED = "The object's data at its backend is not what was stored."


class BlobWriter(msgspec.Struct, eq=False):
    """Writes blobs of one managed bucket to one container of one backend."""

    _services: Services
    _bucket: BucketRecord
    _backend: Backend
    _container: str

    @property
    def _inline_bytes_max(self) -> int:
        return self._services.settings.inline_bytes_max if self._backend.type == "local" else -1

    @property
    def store(self) -> Store:
        """Where new blobs go."""
        return self._backend.blobs(self._container)

    def keeps(self, blob: BlobRef) -> bool:
        """Whether a blob is where this writer would put it."""
        if not blob.backend:
            return blob.size <= self._inline_bytes_max
        return self.holds(blob)

    def holds(self, blob: BlobRef) -> bool:
        """Whether a blob is in this writer's container."""
        return (blob.backend, blob.container) == (self._backend.name, self._container)

    def new_blob(self, key: str, size: int) -> BlobRef:
        """A reference to a blob not written yet."""
        blob_id = new_id()
        name = self._backend.blob_name(key, blob_id)
        return BlobRef(blob_id, self._backend.name, self._container, name, size)

    async def write(
        self, key: str, payload: Payload, write: ObjectWrite | None = None
    ) -> WrittenBlob:
        """Store a payload as a new blob; on local backends small ones are for the catalog.

        Args:
            write: metadata to keep beside the blob where the backend can, so that it can be read
                without the catalog.
        Raises:
            S3Error: the payload is not what was announced.
            BackendError, KvError: nothing points at what was written.
        """
        if payload.length <= self._inline_bytes_max:
            return await self._read_inline(payload)
        if len(self._services.backends) == 1:
            return await self.write_blob(key, payload, write)
        # There is nowhere else to go; but it ends when the backend stops answering.
        attempt = partial(self.write_blob, key, payload, write)
        return await self._services.health.attempt(self._backend.name, attempt, last_resort=True)

    async def write_blob(
        self,
        key: str,
        payload: Payload,
        write: ObjectWrite | None = None,
        *,
        original: WrittenBlob | None = None,
    ) -> WrittenBlob:
        """As `write`, whatever the length: to the backend.

        Args:
            original: the blob that records point at, where this is to be a copy of it.
        """
        store = self.store
        source: ByteSource = payload
        if not payload.length:
            await payload.digests()
        passed = payload.passable() if store.features.verifies_payload else None
        if passed is not None:
            source = passed
        options = PutOptions(length=payload.length, sha256=payload.sha256, md5=payload.md5)
        blob = self.new_blob(key, payload.length)
        now_ns = self._services.now_ns() if store.features.metadata else 0
        beside = Beside(now_ns, payload.checksum)
        if original is not None:
            beside = Beside(original.written_ns or now_ns, payload.checksum, original.blob)
        stat = await self.stored(
            key, blob, options, write, lambda: store.put(blob.name, source, options), beside=beside
        )
        intents = (blob.id,)
        if passed is not None:
            return WrittenBlob(blob, stat.etag, {}, intents=intents, written_ns=now_ns)
        digests = await payload.digests()
        etag = digests.md5.hex()
        return WrittenBlob(blob, etag, digests.checksums, intents=intents, written_ns=now_ns)

    async def copy(
        self, source: CopyFrom, key: str, write: ObjectWrite, place: BlobRef | None = None
    ) -> WrittenBlob:
        """Copy the one blob of `source` to a new blob.

        Args:
            place: where it lies on this backend, if not where the record says.
        """
        old = place or source.record.blobs[0]
        blob = self.new_blob(key, old.size)
        options = PutOptions(length=old.size)

        async def copied() -> Stat:
            stat = await self.store.copy(old.name, blob.name, options)
            if stat.size != old.size:
                raise S3Error("InternalError", DAMAGED)
            return stat

        record = source.record
        now_ns = self._services.now_ns() if self.store.features.metadata else 0
        beside = Beside(now_ns, next(iter(record.checksums.items()), None), etag=record.etag)
        await self.stored(key, blob, options, write, copied, beside=beside)
        written = WrittenBlob(blob, record.etag, record.checksums, intents=(blob.id,))
        return msgspec.structs.replace(written, written_ns=now_ns)

    async def abandon(self, written: WrittenBlob) -> None:
        """Queue a blob for deletion unless a record points at it by now; not cancellable."""
        if written.intents:
            await abandon_blobs(self._services, (written.blob, *written.copies))

    async def stored(
        self,
        key: str,
        blob: BlobRef,
        options: PutOptions,
        about: Described | None,
        store: Callable[[], Awaitable[Stat]],
        *,
        beside: Beside | None = None,
    ) -> Stat:
        """Have `store` write a new blob with `options`, within an intent, which stays open.

        Args:
            about: what describes the object beside the blob; None: it is a part.
        Raises:
            What `store` raises; the blob is garbage.
        """
        if self.store.features.metadata:
            beside = beside or Beside(self._services.now_ns())
            describe(options, about, about_of(self._bucket, key, blob, about, beside))
        intent = self._services.catalog.intend(blob, self._bucket, key)
        options.published = intent.wait
        try:
            return await store()
        except BaseException:
            await abandon_blobs(self._services, (blob,))
            raise

    async def _read_inline(self, payload: Payload) -> WrittenBlob:
        data = await payload.read_all()
        digests = await payload.digests()
        blob = BlobRef(ordered_id(self._services.now_ns()), "", "", "", len(data))
        return WrittenBlob(blob, digests.md5.hex(), digests.checksums, inline=data)


async def abandon_blobs(services: Services, blobs: Iterable[BlobRef]) -> None:
    """Queue blobs for deletion whose intents are still open; not cancellable."""
    with trio.CancelScope(shield=True):
        try:
            for blob in blobs:
                await services.catalog.drop_intent(blob.id, garbage=blob)
        except KvError:
            # The first error is the one to tell; recovery settles the intents at the next start.
            return


def new_id() -> str:
    """32 hexadecimal digits, never given twice: the id of a blob or an upload."""
    return os.urandom(16).hex()


def ordered_id(now_ns: int) -> str:
    """An id as of `new_id` that sorts by the time it was given.

    For bytes that lie in the catalog: those written together share pages there. With ids in random
    order every small PUT rewrites two pages of its own, which is most of what a commit writes.
    """
    return f"{now_ns:016x}{os.urandom(8).hex()}"
