"""Multipart uploads of attached buckets: bytes in the store, records in the catalog.

The store forgets an upload when it completes it and the catalog does so afterwards; an abort goes
the other way round. So an upload that the catalog knows and the store does not was completed, and a
repeated Complete only finishes what was cut off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import trio

from s3proxy.backends.errors import BackendError, NoSuchUpload
from s3proxy.backends.store import PutOptions, Stat, Store
from s3proxy.catalog.records import BucketRecord, ObjectRecord, PartRecord, UploadRecord
from s3proxy.ops.managed_uploads import part_sizes
from s3proxy.ops.namespace import Completion, ObjectWrite, Payload
from s3proxy.ops.placed import Placed

if TYPE_CHECKING:
    from s3proxy.http.body import ByteSource
    from s3proxy.ops.attached import AttachedNamespace
    from s3proxy.ops.call import Services


class AttachedUploads:
    """The uploads of one attached bucket."""

    def __init__(self, services: Services, bucket: BucketRecord, store: Store) -> None:
        self._services = services
        self._catalog = services.catalog
        self._bucket = bucket
        self._store = store

    async def create(self, upload: UploadRecord) -> None:
        """See `Namespace.create_upload`."""
        options = PutOptions(system=upload.system, user=upload.user)
        native_id = await self._store.create_upload(upload.key, options)
        kept = msgspec.structs.replace(upload, backend_upload_id=native_id)
        try:
            await self._catalog.create_upload(self._bucket, kept)
        except BaseException:
            with trio.CancelScope(shield=True):
                await self._forget(kept)
            raise

    async def put_part(self, upload: UploadRecord, number: int, payload: Payload) -> PartRecord:
        """See `Namespace.put_part`; the same part is written by one client at a time."""
        locks = self._services.key_locks
        async with locks.hold_part(self._bucket.id, upload.upload_id, number):
            etag, checksums = await self._store_part(upload, number, payload)
            part = PartRecord(
                number=number,
                size=payload.length,
                etag=etag,
                modified_ns=self._services.now_ns(),
                checksums=checksums,
            )
            await self._catalog.put_part(self._bucket, upload.key, upload.upload_id, part)
        return part

    async def complete(
        self, namespace: AttachedNamespace, upload: UploadRecord, completion: Completion
    ) -> ObjectRecord:
        """See `Namespace.complete_upload`."""
        write = ObjectWrite(
            system=upload.system,
            user=upload.user,
            storage_class=upload.storage_class,
            condition=completion.condition,
            tags=upload.tags,
            owner=upload.object_owner,
            acl=upload.acl,
        )
        placed = Placed(write)
        placed.etag, placed.checksums = completion.etag, completion.checksums
        placed.checksum_type, placed.parts = completion.checksum_type, part_sizes(completion)
        options = PutOptions(length=completion.size)

        async def store() -> Stat:
            try:
                return await self._store.complete_upload(
                    upload.key, upload.backend_upload_id, completion.named, options
                )
            except NoSuchUpload:
                stat = await self._store.head(upload.key)
                if stat.size != completion.size:
                    raise
                return stat

        record = await namespace.place(upload.key, placed, options, store)
        await self._catalog.abort_upload(self._bucket, upload.key, upload.upload_id)
        return record

    async def abort(self, upload: UploadRecord) -> None:
        """See `Namespace.abort_upload`."""
        await self._catalog.abort_upload(self._bucket, upload.key, upload.upload_id)
        await self._store.abort_upload(upload.key, upload.backend_upload_id)

    async def _store_part(
        self, upload: UploadRecord, number: int, payload: Payload
    ) -> tuple[str, dict[str, str]]:
        source: ByteSource = payload
        passed = payload.passable() if self._store.features.verifies_payload else None
        if passed is not None:
            source = passed
        elif not payload.length:
            await payload.digests()
        options = PutOptions(length=payload.length, sha256=payload.sha256, md5=payload.md5)
        stat = await self._store.put_part(
            upload.key, upload.backend_upload_id, number, source, options
        )
        if passed is not None:
            return stat.etag, {}
        digests = await payload.digests()
        etag = stat.etag if self._store.features.etags else digests.md5.hex()
        return etag, digests.checksums

    async def _forget(self, upload: UploadRecord) -> None:
        try:
            await self._store.abort_upload(upload.key, upload.backend_upload_id)
        except BackendError:
            # Holds no bytes; the error that led here is the one to tell.
            return
