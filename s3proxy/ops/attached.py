"""Attached buckets: a store is the authority, a side table adds what the store cannot keep.

A row of the side table holds while size and modification time are those of the file. A file that
somebody else placed gets an ETag derived from both, with a `-` in it, so that no client takes it
for an MD5.

A store without ETags of its own cannot decide If-Match. There every writer of this process holds
the key's lock from before its object becomes visible until its row is kept, and readers of such a
key wait for it.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

import trio
import xxhash

from s3proxy.backends.errors import (
    BackendError,
    InvalidKey,
    NoSuchContainer,
    NotFound,
    Unsupported,
)
from s3proxy.backends.s3_store import S3Store
from s3proxy.backends.store import PutOptions, Stat, Store
from s3proxy.catalog.errors import CatalogError, ObjectChanged
from s3proxy.catalog.objects import Deletion
from s3proxy.catalog.records import (
    NULL_VERSION,
    AttributesRecord,
    BucketRecord,
    ObjectRecord,
    PartRecord,
    UploadRecord,
)
from s3proxy.catalog.version_listing import VersionPage, null_versions
from s3proxy.http.body import Body
from s3proxy.kv.errors import KvError
from s3proxy.ops.attached_uploads import AttachedUploads
from s3proxy.ops.namespace import Change, Completion, CopyFrom, ObjectWrite, Payload
from s3proxy.ops.placed import Placed
from s3proxy.s3.checksums import multipart_etag
from s3proxy.s3.conditions import WriteCondition
from s3proxy.s3.errors import S3Error
from s3proxy.s3.listing import ListPage, ListVersionsParameters
from s3proxy.s3.metadata import DEFAULT_CONTENT_TYPE

if TYPE_CHECKING:
    from s3proxy.catalog.attributes import Tell
    from s3proxy.catalog.outbox import Announcer
    from s3proxy.http.body import ByteSource
    from s3proxy.ops.call import Services
    from s3proxy.ops.chunk_cipher import ObjectCipher

# Deletes of one request in flight together; each is a directory operation or a round trip.
_DELETES_MAX = 16


class AttachedNamespace:
    """The objects of one attached bucket."""

    __slots__ = ("_announcer", "_catalog", "_locks", "_services", "_store", "bucket")

    def __init__(
        self, services: Services, bucket: BucketRecord, announcer: Announcer | None = None
    ) -> None:
        self._services = services
        self._announcer = announcer
        self._catalog = services.catalog
        self._locks = services.key_locks
        self._store: Store = services.backend(bucket.backend).files(bucket.container)
        self.bucket = bucket

    @property
    def keeps_attributes(self) -> bool:
        """Whether the side table is needed."""
        return not (self._store.features.metadata and self._store.features.etags)

    async def find(self, key: str, version_id: str = "") -> ObjectRecord | None:
        """See `Namespace.find`; a key that the store could never hold is not there."""
        if version_id not in ("", NULL_VERSION):
            return None
        if self.keeps_attributes:
            await self._locks.wait_free(self.bucket.id, key)
        return await self._find(key)

    async def find_to_read(
        self, key: str, version_id: str = ""
    ) -> tuple[ObjectRecord | None, bytes | None]:
        """See `Namespace.find_to_read`."""
        return await self.find(key, version_id), None

    async def open(self, key: str, record: ObjectRecord, first: int, last: int) -> Body:
        """See `Namespace.open`; refuses an object that changed since `find`."""
        reading = await self._store.open(key, first, last)
        if (reading.stat.size, reading.stat.modified_ns) != (record.size, record.modified_ns):
            await reading.body.aclose()
            raise S3Error("ServiceUnavailable", "The object was replaced while it was read.")
        return reading.body

    async def put(self, key: str, payload: Payload, write: ObjectWrite) -> ObjectRecord:
        """See `Namespace.put`."""
        await self._check(key, write.condition)
        placed = Placed(write)
        source: ByteSource = payload
        passed = payload.passable() if self._store.features.verifies_payload else None
        if passed is not None:
            source = passed
        elif not payload.length:
            placed.take(await payload.digests())
        options = PutOptions(length=payload.length, sha256=payload.sha256, md5=payload.md5)

        async def store() -> Stat:
            stat = await self._store.put(key, source, options)
            if passed is None:
                placed.take(await payload.digests())
            return stat

        return await self.place(key, placed, options, store)

    async def copy(self, source: CopyFrom, key: str, write: ObjectWrite) -> ObjectRecord | None:
        """See `Namespace.copy`; onto itself, only the side table's row changes."""
        record = source.record
        if source.algorithm and source.algorithm not in record.checksums:
            return None
        placed = Placed(write)
        placed.take_from(record)
        if source.key == key and self.keeps_attributes:
            async with self._locks.hold(self.bucket.id, key):
                await self._check(key, write.condition)
                if await self._find(key) != record:
                    raise ObjectChanged(key)  # its tags or digests may be others now
                placed.parts = record.parts
                return await self._keep(key, placed, await self._store.head(key))
        if not self._store.features.copy:
            return None
        options = PutOptions(length=record.size)
        return await self.place(
            key, placed, options, lambda: self._store.copy(source.key, key, options)
        )

    async def place(
        self, key: str, placed: Placed, options: PutOptions, store: Callable[[], Awaitable[Stat]]
    ) -> ObjectRecord:
        """Run `store`, which makes the object visible, and keep what is known of it.

        Args:
            options: those that `store` uses; completed here.
        """
        options.system, options.user = placed.write.system, placed.write.user
        options.tags = placed.write.tags
        condition = placed.write.condition
        if condition is not None:
            options.if_none_match_any = condition.if_none_match_any
        if not self.keeps_attributes:
            if condition is not None:
                options.if_match = condition.if_match or ""
            return _record_of(key, await store(), None)
        hold = self._locks.hold(self.bucket.id, key)

        async def published() -> None:
            await hold.acquire()
            await self._check(key, condition)

        options.published = published
        try:
            return await self._keep(key, placed, await store())
        finally:
            hold.release()

    async def find_tags(self, key: str, record: ObjectRecord) -> dict[str, str]:
        """See `Namespace.find_tags`; an S3 endpoint is asked for them."""
        return await self._store.get_tags(key) if isinstance(self._store, S3Store) else record.tags

    async def update(self, key: str, change: Change, version_id: str = "") -> ObjectRecord | None:
        """See `Namespace.update`; a file that others placed gets a row by this."""
        async with self._locks.hold(self.bucket.id, key):
            record = await self._find(key) if version_id in ("", NULL_VERSION) else None
            if record is None:
                return None
            changed = change(record)
            write = ObjectWrite(
                system=record.system,
                user=record.user,
                tags=changed.tags,
                owner=changed.owner,
                acl=changed.acl,
            )
            placed = Placed(write)
            placed.take_from(record)
            placed.parts = record.parts
            stat = Stat(size=record.size, modified_ns=record.modified_ns)
            return await self._keep(key, placed, stat, changed=True)

    async def delete(self, deletion: Deletion) -> None:
        """See `Namespace.delete`."""
        if deletion.version_id not in ("", NULL_VERSION):
            return  # there is no such version
        key = deletion.key
        if not self.keeps_attributes:
            if deletion.condition is not None:
                raise S3Error("NotImplemented", "This bucket has no conditional deletes.")
            await self._store.delete(key)
            return
        async with self._locks.hold(self.bucket.id, key):
            await self._check(key, deletion.condition)
            tell = await self._tell_removed(key)
            try:
                await self._store.delete(key)
            except InvalidKey:
                return  # a key that the store cannot hold is not there
            await self._catalog.delete_attributes(self.bucket, key, tell)

    async def delete_many(self, deletions: list[Deletion]) -> list[ObjectRecord | Exception | None]:
        """See `Namespace.delete_many`."""
        results: list[ObjectRecord | Exception | None] = [None] * len(deletions)
        limiter = trio.CapacityLimiter(_DELETES_MAX)

        async def delete(index: int) -> None:
            async with limiter:
                try:
                    await self.delete(deletions[index])
                except (S3Error, BackendError, CatalogError, KvError) as error:
                    results[index] = error  # told to the client, key by key

        async with trio.open_nursery() as nursery:
            for index in range(len(deletions)):
                nursery.start_soon(delete, index)
        return results

    async def list_page(self, prefix: str, delimiter: str, after: str, limit: int) -> ListPage:
        """See `Namespace.list_page`; adds the side table's ETags."""
        page = await self._store.list(prefix, delimiter=delimiter, after=after, limit=limit)
        if not self._store.features.etags:
            for entry in page.objects:
                stat = Stat(size=entry.size, modified_ns=entry.modified_ns, etag=entry.etag)
                row = _valid(self._catalog.get_attributes(self.bucket, entry.key), stat)
                entry.etag = _etag(stat) if row is None else row.etag
                if row is not None and row.checksums:
                    entry.checksum_algorithm = next(iter(row.checksums))
                    entry.checksum_type = row.checksum_type
        return page

    async def list_versions(self, parameters: ListVersionsParameters) -> VersionPage:
        """See `Namespace.list_versions`: every object is its own null version."""
        page = await self.list_page(
            parameters.prefix, parameters.delimiter, parameters.key_marker, parameters.max_keys
        )
        return null_versions(page)

    async def create_upload(self, upload: UploadRecord) -> None:
        """See `Namespace.create_upload`."""
        await self._uploads().create(upload)

    async def put_part(
        self,
        upload: UploadRecord,
        number: int,
        payload: Payload,
        *,
        cipher: ObjectCipher | None = None,
    ) -> PartRecord:
        """See `Namespace.put_part`."""
        return await self._uploads().put_part(upload, number, payload)

    async def complete_upload(self, upload: UploadRecord, completion: Completion) -> ObjectRecord:
        """See `Namespace.complete_upload`."""
        await self._check(upload.key, completion.condition)
        return await self._uploads().complete(self, upload, completion)

    async def find_completed(
        self, key: str, upload_id: str, named: list[tuple[int, str]]
    ) -> ObjectRecord | None:
        """See `Namespace.find_completed`; known by the object, while it is the current one."""
        try:
            etag = multipart_etag([etag for _, etag in named])
        except ValueError:
            return None
        record = await self.find(key)
        return record if record is not None and record.etag == etag else None

    async def abort_upload(self, upload: UploadRecord) -> None:
        """See `Namespace.abort_upload`."""
        await self._uploads().abort(upload)

    def _uploads(self) -> AttachedUploads:
        if not self._store.features.multipart:
            hint = "the backend of this bucket has no multipart uploads"
            raise Unsupported("create_upload", "", hint, self.bucket.backend)
        return AttachedUploads(self._services, self.bucket, self._store)

    async def _find(self, key: str) -> ObjectRecord | None:
        try:
            stat = await self._store.head(key)
        except NoSuchContainer:
            raise
        except (NotFound, InvalidKey):
            return None
        row = self._catalog.get_attributes(self.bucket, key) if self.keeps_attributes else None
        return _record_of(key, stat, _valid(row, stat))

    async def _check(self, key: str, condition: WriteCondition | None) -> None:
        if condition is not None:
            record = await self._find(key)
            condition.check(None if record is None else record.etag)

    async def _keep(
        self, key: str, placed: Placed, stat: Stat, *, changed: bool = False
    ) -> ObjectRecord:
        """Keep the row of an object that is new, or of which only that `changed`."""
        row = AttributesRecord(
            size=stat.size,
            mtime_ns=stat.modified_ns,
            etag=placed.etag or _etag(stat),
            system=placed.write.system,
            user=placed.write.user,
            checksums=placed.checksums,
            checksum_type=placed.checksum_type,
            parts=placed.parts,
            tags=placed.write.tags,
            owner=placed.write.owner,
            acl=placed.write.acl,
        )
        record = _record_of(key, stat, row)
        tell = None
        if self._announcer is not None:
            announce = self._announcer.changed if changed else self._announcer.created
            tell = partial(announce, key=key, record=record)
        await self._catalog.put_attributes(self.bucket, key, row, tell)
        return record

    async def _tell_removed(self, key: str) -> Tell | None:
        """What writes the event of a removal; None: nobody wants it, or nothing is there."""
        record = None if self._announcer is None else await self._find(key)
        if self._announcer is None or record is None:
            return None
        return partial(self._announcer.removed, key=key, record=record)


def _valid(row: AttributesRecord | None, stat: Stat) -> AttributesRecord | None:
    if row is not None and (row.size, row.mtime_ns) == (stat.size, stat.modified_ns):
        return row
    return None


def _record_of(key: str, stat: Stat, row: AttributesRecord | None) -> ObjectRecord:
    if row is not None:
        return ObjectRecord(
            size=stat.size,
            etag=row.etag,
            modified_ns=stat.modified_ns,
            checksum_type=row.checksum_type,
            checksums=row.checksums,
            system=row.system,
            user=row.user,
            parts=row.parts,
            tags=row.tags,
            owner=row.owner,
            acl=row.acl,
        )
    return ObjectRecord(
        size=stat.size,
        etag=_etag(stat),
        modified_ns=stat.modified_ns,
        storage_class=stat.storage_class,
        checksum_type=stat.checksum_type,
        checksums=stat.checksums,
        system=stat.system or {"content-type": _guess_type(key)},
        user=stat.user,
    )


def _etag(stat: Stat) -> str:
    """The store's ETag, or one that changes with size and time and cannot be taken for an MD5."""
    if stat.etag:
        return stat.etag
    return xxhash.xxh3_128_hexdigest(f"{stat.size}:{stat.modified_ns}".encode()) + "-1"


def _guess_type(key: str) -> str:
    return mimetypes.guess_type(key, strict=False)[0] or DEFAULT_CONTENT_TYPE
