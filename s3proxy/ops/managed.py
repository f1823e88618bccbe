"""Managed buckets: catalog records that point at immutable blobs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from s3proxy.backends.errors import BackendError
from s3proxy.catalog.objects import Deletion
from s3proxy.catalog.records import (
    BlobRef,
    BucketRecord,
    Encryption,
    ObjectRecord,
    PartRecord,
    UploadRecord,
)
from s3proxy.catalog.version_listing import VersionPage
from s3proxy.http.body import Body, BytesBody, SegmentsBody
from s3proxy.http.errors import BodyCutShort
from s3proxy.ops.blob_writer import WrittenBlob
from s3proxy.ops.encrypted_bytes import EncryptingPayload
from s3proxy.ops.managed_uploads import ManagedUploads
from s3proxy.ops.namespace import Change, Completion, CopyFrom, ObjectWrite, Payload
from s3proxy.ops.placed_writer import copy_placed, owed_for, write_placed
from s3proxy.ops.placing import STANDARD, Plan, plan_of
from s3proxy.ops.replica_reader import Mender, open_place, open_replica
from s3proxy.ops.retention import lock_of_new
from s3proxy.ops.storage_classes import blob_writer, bucket_writer, class_writer
from s3proxy.s3.conditions import WriteCondition
from s3proxy.s3.encryption import SSE_C
from s3proxy.s3.errors import S3Error
from s3proxy.s3.listing import ListPage, ListVersionsParameters

if TYPE_CHECKING:
    from s3proxy.catalog.outbox import Announcer
    from s3proxy.ops.call import Services
    from s3proxy.ops.chunk_cipher import ObjectCipher


class ManagedNamespace(msgspec.Struct, eq=False):
    """The objects of one managed bucket."""

    _services: Services
    bucket: BucketRecord
    _announcer: Announcer | None = None

    async def find(self, key: str, version_id: str = "") -> ObjectRecord | None:
        """See `Namespace.find`; one catalog read."""
        return self._services.catalog.get_object(self.bucket, key, version_id)

    async def find_to_read(
        self, key: str, version_id: str = ""
    ) -> tuple[ObjectRecord | None, bytes | None]:
        """See `Namespace.find_to_read`; record and inline data are of one snapshot."""
        return self._services.catalog.get_object_with_inline(self.bucket, key, version_id)

    async def open(self, key: str, record: ObjectRecord, first: int, last: int) -> Body:
        """See `Namespace.open`; of a segmented object only what the range touches is opened."""
        pieces = _pieces(record.blobs, first, last)
        if not pieces:
            return BytesBody(b"")
        body = await self._open_blob((key, record), *pieces[0])
        if len(pieces) == 1:
            return body
        openers = [partial(self._open_next, (key, record), *piece) for piece in pieces[1:]]
        return SegmentsBody(body, openers, last - first + 1)

    async def put(self, key: str, payload: Payload, write: ObjectWrite) -> ObjectRecord:
        """See `Namespace.put`."""
        if write.condition is not None:
            # Saves the upload where it cannot succeed; the transaction decides.
            write.condition.check(self._current_etag(key))
        if self.bucket.counted:
            self._services.catalog.require_room(self.bucket, key, payload.length)
        stored: Payload = payload
        if write.cipher is not None:
            stream = write.cipher.whole(payload.length)
            stored = EncryptingPayload(payload, write.cipher, stream)
        writer = None
        if not write.tags and write.storage_class == STANDARD:
            writer = self._services.plain_writers[self.bucket.tenant, self.bucket.name]
        if writer is None:
            written = await self._write_by_rules(key, stored, write)
        else:
            written = await writer.write(key, stored, write)
        record = self._record(written, write, payload.length)
        return await self._commit(key, written, record, write.condition)

    async def _write_by_rules(self, key: str, payload: Payload, write: ObjectWrite) -> WrittenBlob:
        """Store a payload where rules of placement, or its storage class, want it."""
        services, bucket = self._services, self.bucket
        plan = plan_of(services, bucket, write.tags, write.storage_class)
        if plan is not None:
            return await write_placed(services, bucket, key, payload, write=write, plan=plan)
        writer = await class_writer(services, bucket, write.storage_class)
        return await writer.write(key, payload, write)

    async def copy(self, source: CopyFrom, key: str, write: ObjectWrite) -> ObjectRecord | None:
        """See `Namespace.copy`.

        An object copied onto itself changes its record only, where it has one version. Another copy
        gets a blob of its own, made by the backend. Where both are encrypted by the gateway's own
        keys, the copy keeps the bytes as they are, and the data key that opens them.
        """
        record = source.record
        if source.algorithm and source.algorithm not in record.checksums:
            return None
        if _kind(record.encryption) == SSE_C or _kind(record.encryption) != _kind(write.encryption):
            return None
        if self.bucket.counted:
            self._services.catalog.require_room(self.bucket, key, record.size)
        plan = plan_of(self._services, self.bucket, write.tags, write.storage_class)
        if plan is not None:
            if source.key == key and not self.bucket.versioning:
                return await self._rewrite(key, record, write, plan)
            written = await copy_placed(self._services, self.bucket, (source, key), write, plan)
        else:
            writer = await class_writer(self._services, self.bucket, write.storage_class)
            stays = all(writer.keeps(blob) for blob in record.blobs)
            if source.key == key and stays and not self.bucket.versioning:
                return await self._rewrite(key, record, write)
            if not stays or not is_whole(record) or not writer.store.features.copy:
                return None
            written = await writer.copy(source, key, write)
        if written is None:
            return None
        copied = self._record(written, write, record.size)
        copied = msgspec.structs.replace(copied, encryption=record.encryption)
        return await self._commit(key, written, copied, write.condition)

    async def find_tags(self, key: str, record: ObjectRecord) -> dict[str, str]:
        """See `Namespace.find_tags`."""
        return record.tags

    async def update(self, key: str, change: Change, version_id: str = "") -> ObjectRecord | None:
        """See `Namespace.update`; one transaction."""
        return await self._services.catalog.update_object(
            self.bucket, key, change, version_id=version_id, announcer=self._announcer
        )

    async def delete(self, deletion: Deletion) -> ObjectRecord | None:
        """See `Namespace.delete`."""
        return await self._services.catalog.delete_object(
            self.bucket, deletion, announcer=self._announcer
        )

    async def delete_many(self, deletions: list[Deletion]) -> list[ObjectRecord | Exception | None]:
        """See `Namespace.delete_many`; one transaction for all."""
        return [
            *await self._services.catalog.delete_objects(
                self.bucket, deletions, announcer=self._announcer
            )
        ]

    async def list_versions(self, parameters: ListVersionsParameters) -> VersionPage:
        """See `Namespace.list_versions`; O(page)."""
        return self._services.catalog.list_versions(
            self.bucket,
            prefix=parameters.prefix,
            delimiter=parameters.delimiter,
            key_marker=parameters.key_marker,
            version_id_marker=parameters.version_id_marker,
            limit=parameters.max_keys,
        )

    async def list_page(self, prefix: str, delimiter: str, after: str, limit: int) -> ListPage:
        """See `Namespace.list_page`; O(page)."""
        return self._services.catalog.list_page(
            self.bucket, prefix=prefix, delimiter=delimiter, after=after, limit=limit
        )

    async def create_upload(self, upload: UploadRecord) -> None:
        """See `Namespace.create_upload`."""
        plan = plan_of(self._services, self.bucket, upload.tags, upload.storage_class)
        if plan is None:
            writer = await class_writer(self._services, self.bucket, upload.storage_class)
        else:
            writer = bucket_writer(self._services, self.bucket)
        await ManagedUploads(self._services, self.bucket, writer, None, plan).create(upload)

    async def put_part(
        self,
        upload: UploadRecord,
        number: int,
        payload: Payload,
        *,
        cipher: ObjectCipher | None = None,
    ) -> PartRecord:
        """See `Namespace.put_part`."""
        if self.bucket.counted:
            self._services.catalog.require_part_room(
                self.bucket, upload.upload_id, number, payload.length
            )
        uploads = await self._uploads(upload)
        return await uploads.put_part(upload, number, payload, cipher=cipher)

    async def complete_upload(self, upload: UploadRecord, completion: Completion) -> ObjectRecord:
        """See `Namespace.complete_upload`."""
        if completion.condition is not None:
            completion.condition.check(self._current_etag(upload.key))
        if self.bucket.counted:  # its bytes are counted with its parts
            self._services.catalog.require_room(self.bucket, upload.key, 0)
        return await (await self._uploads(upload)).complete(upload, completion)

    async def find_completed(
        self, key: str, upload_id: str, named: list[tuple[int, str]]
    ) -> ObjectRecord | None:
        """See `Namespace.find_completed`."""
        done = self._services.catalog.get_completed(self.bucket, key, upload_id, named)
        if done is None:
            return None
        return ObjectRecord(
            size=0,
            etag=done.etag,
            modified_ns=0,
            checksums=done.checksums,
            checksum_type=done.checksum_type,
            version_id=done.version_id,
        )

    async def abort_upload(self, upload: UploadRecord) -> None:
        """See `Namespace.abort_upload`; blobs and native uploads become garbage."""
        await self._services.catalog.abort_upload(self.bucket, upload.key, upload.upload_id)

    async def _uploads(self, upload: UploadRecord) -> ManagedUploads:
        plan = plan_of(self._services, self.bucket, upload.tags, upload.storage_class)
        if upload.blob is not None:
            writer = blob_writer(self._services, self.bucket, upload.blob)
        elif plan is not None:
            writer = bucket_writer(self._services, self.bucket)
        else:
            writer = await class_writer(self._services, self.bucket, upload.storage_class)
        return ManagedUploads(self._services, self.bucket, writer, self._announcer, plan)

    def _current_etag(self, key: str) -> str | None:
        record = self._services.catalog.get_object(self.bucket, key)
        return None if record is None else record.etag

    async def _open_blob(
        self, owner: tuple[str, ObjectRecord], blob: BlobRef, first: int, last: int
    ) -> Body:
        services = self._services
        if len(services.backends) == 1 and (not blob.backend or blob.backend in services.backends):
            return await open_place(services, blob, first, last)
        places = services.catalog.places_of(blob)
        key, record = owner
        mender = Mender(services, self.bucket, key, record.named_version, blob)
        doubtful = record.encryption is not None
        return await open_replica(services, places, first, last, damaged=mender, doubtful=doubtful)

    async def _open_next(
        self, owner: tuple[str, ObjectRecord], blob: BlobRef, first: int, last: int
    ) -> Body:
        """The same amid an answer, where no error can be told any more."""
        try:
            return await self._open_blob(owner, blob, first, last)
        except (BackendError, S3Error, OSError) as error:
            raise BodyCutShort(f"the next blob cannot be opened: {error}") from error

    def _record(self, written: WrittenBlob, write: ObjectWrite, size: int) -> ObjectRecord:
        return ObjectRecord(
            size=size,
            etag=written.etag,
            modified_ns=written.written_ns or self._services.now_ns(),
            storage_class=write.storage_class,
            checksum_type="FULL_OBJECT" if written.checksums else "",
            checksums=written.checksums,
            system=write.system,
            user=write.user,
            blobs=(written.blob,),
            tags=write.tags,
            encryption=write.encryption,
            lock=lock_of_new(self._services, self.bucket, write.lock),
            owner=write.owner,
            acl=write.acl,
        )

    async def _commit(
        self,
        key: str,
        written: WrittenBlob,
        record: ObjectRecord,
        condition: WriteCondition | None,
    ) -> ObjectRecord:
        try:
            return await self._services.catalog.put_object(
                self.bucket,
                key,
                record,
                condition=condition,
                intents=written.intents,
                inline=written.inline,
                announcer=self._announcer,
                owed=() if written.owed is None else (written.owed,),
            )
        except BaseException:
            await bucket_writer(self._services, self.bucket).abandon(written)
            raise

    async def _rewrite(
        self, key: str, old: ObjectRecord, write: ObjectWrite, plan: Plan | None = None
    ) -> ObjectRecord:
        record = msgspec.structs.replace(
            old,
            modified_ns=self._services.now_ns(),
            system=write.system,
            user=write.user,
            storage_class=write.storage_class,
            tags=write.tags,
            owner=write.owner,
            acl=write.acl,
        )
        return await self._services.catalog.put_object(
            self.bucket,
            key,
            record,
            condition=write.condition,
            replaces=old,
            announcer=self._announcer,
            owed=() if plan is None else owed_for(self._services, old.blobs, plan),
        )


def is_whole(record: ObjectRecord) -> bool:
    """Whether an object is one blob at a backend, whose ETag a copy of it has, too."""
    whole = len(record.blobs) == 1 and not record.parts and "-" not in record.etag
    return whole and bool(record.blobs[0].backend)


def _kind(encryption: Encryption | None) -> str:
    return "" if encryption is None else encryption.kind


def _pieces(blobs: tuple[BlobRef, ...], first: int, last: int) -> list[tuple[BlobRef, int, int]]:
    """The blobs that hold bytes first..last of the object, each with its own range."""
    pieces = []
    start = 0
    for blob in blobs:
        stop = start + blob.size
        if first < stop and start <= last:
            pieces.append((blob, max(first - start, 0), min(last, stop - 1) - start))
        start = stop
    return pieces
