"""Multipart uploads of managed buckets.

Where the backend has multipart uploads of its own, the parts go there and become one blob.
Elsewhere each part is a blob, and the completed object's record lists them as segments.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import trio

from s3proxy.backends.errors import BackendError, NoSuchUpload, NotFound
from s3proxy.backends.store import PutOptions, Stat
from s3proxy.catalog.records import (
    BlobRef,
    BucketRecord,
    Encryption,
    ObjectRecord,
    PartRecord,
    PartSize,
    UploadRecord,
)
from s3proxy.ops.about import Beside, about_of, describe
from s3proxy.ops.blob_writer import BlobWriter, WrittenBlob
from s3proxy.ops.chunk_cipher import SALT_BYTES, ObjectCipher, stored_size
from s3proxy.ops.encrypted_bytes import EncryptingPayload
from s3proxy.ops.namespace import Completion, Payload
from s3proxy.ops.placed_writer import owed_for, write_placed
from s3proxy.ops.retention import lock_of_new
from s3proxy.ops.soundness import md5_of_part
from s3proxy.s3.errors import S3Error

if TYPE_CHECKING:
    from s3proxy.catalog.outbox import Announcer
    from s3proxy.ops.call import Services
    from s3proxy.ops.placing import Plan

_CONDITION_FAILED = frozenset({"PreconditionFailed", "NoSuchKey", "QuotaExceeded"})


class ManagedUploads:
    """The uploads of one managed bucket."""

    def __init__(
        self,
        services: Services,
        bucket: BucketRecord,
        writer: BlobWriter,
        announcer: Announcer | None = None,
        plan: Plan | None = None,
    ) -> None:
        self._services = services
        self._announcer = announcer
        self._catalog = services.catalog
        self._bucket = bucket
        self._writer = writer
        self._plan = plan

    async def create(self, upload: UploadRecord) -> None:
        """See `Namespace.create_upload`.

        A crash before the record is kept leaves an upload without parts at the backend.
        """
        if self._plan is not None or not self._writer.store.features.multipart:
            await self._catalog.create_upload(self._bucket, upload)
            return
        store = self._writer.store
        blob = self._writer.new_blob(upload.key, 0)
        options = PutOptions()
        beside = Beside(upload.initiated_ns)
        describe(options, upload, about_of(self._bucket, upload.key, blob, upload, beside))
        native_id = await store.create_upload(blob.name, options)
        kept = msgspec.structs.replace(upload, blob=blob, backend_upload_id=native_id)
        try:
            await self._catalog.create_upload(self._bucket, kept)
        except BaseException:
            await self._abort_native(blob, native_id)
            raise

    async def put_part(
        self,
        upload: UploadRecord,
        number: int,
        payload: Payload,
        *,
        cipher: ObjectCipher | None = None,
    ) -> PartRecord:
        """See `Namespace.put_part`."""
        stored, salt = payload, b""
        if cipher is not None:
            salt = os.urandom(SALT_BYTES)
            stream = cipher.part(salt, number, payload.length)
            stored = EncryptingPayload(payload, cipher, stream)
        if upload.blob is not None:
            part = await self._put_native_part(upload, upload.blob, number, stored)
            part = msgspec.structs.replace(part, size=payload.length, salt=salt)
            await self._keep_part(upload, part, None)
            return part
        written = await self._write(upload.key, stored)
        part = PartRecord(
            number=number,
            size=payload.length,
            etag=written.etag,
            modified_ns=self._services.now_ns(),
            checksums=written.checksums,
            blob=written.blob,
            salt=salt,
        )
        try:
            await self._keep_part(upload, part, written)
        except BaseException:
            await self._writer.abandon(written)
            raise
        return part

    async def complete(self, upload: UploadRecord, completion: Completion) -> ObjectRecord:
        """See `Namespace.complete_upload`."""
        blobs = tuple(part.blob for part in completion.parts if part.blob is not None)
        if upload.blob is not None:
            stat = await self._complete_native(upload, upload.blob, completion)
            blobs = (msgspec.structs.replace(upload.blob, size=_stored_size(upload, completion)),)
            if upload.encryption is None:
                completion = msgspec.structs.replace(completion, etag=stat.etag or completion.etag)
        record = msgspec.structs.replace(
            _object_of(upload, completion, blobs, self._services.now_ns()),
            lock=lock_of_new(self._services, self._bucket, upload.lock),
        )
        try:
            done = await self._catalog.complete_upload(
                self._bucket,
                upload.key,
                upload.upload_id,
                record,
                parts=completion.named,
                condition=completion.condition,
                announcer=self._announcer,
                owed=() if self._plan is None else owed_for(self._services, blobs, self._plan),
            )
        except S3Error as error:
            if upload.blob is not None and error.code in _CONDITION_FAILED:
                # The backend's upload is spent: a loser of a race cannot complete it again.
                await self._catalog.abort_upload(self._bucket, upload.key, upload.upload_id)
            raise
        return msgspec.structs.replace(record, version_id=done.version_id)

    async def _put_native_part(
        self, upload: UploadRecord, blob: BlobRef, number: int, payload: Payload
    ) -> PartRecord:
        store = self._writer.store
        if not payload.length:
            await payload.digests()
        passed = payload.passable() if store.features.verifies_payload else None
        options = PutOptions(length=payload.length, sha256=payload.sha256, md5=payload.md5)
        source = payload if passed is None else passed
        stat = await store.put_part(blob.name, upload.backend_upload_id, number, source, options)
        etag, checksums = stat.etag, {}
        if passed is None:
            digests = await payload.digests()
            if upload.encryption is not None:
                etag = ""  # the backend's is of the stored bytes
            etag, checksums = etag or digests.md5.hex(), digests.checksums
        return PartRecord(
            number=number,
            size=payload.length,
            etag=etag,
            modified_ns=self._services.now_ns(),
            checksums=checksums,
            stored_etag=stat.etag if upload.encryption is not None else "",
        )

    async def _keep_part(
        self,
        upload: UploadRecord,
        part: PartRecord,
        written: WrittenBlob | None,
    ) -> None:
        await self._catalog.put_part(
            self._bucket,
            upload.key,
            upload.upload_id,
            part,
            intents=() if written is None else written.intents,
            inline=None if written is None else written.inline,
            owed=() if written is None or written.owed is None else (written.owed,),
        )

    async def _write(self, key: str, payload: Payload) -> WrittenBlob:
        if self._plan is None:
            return await self._writer.write(key, payload)
        return await write_placed(
            self._services, self._bucket, key, payload, write=None, plan=self._plan
        )

    async def _complete_native(
        self, upload: UploadRecord, blob: BlobRef, completion: Completion
    ) -> Stat:
        store = self._writer.store
        named = [(part.number, part.stored_etag or part.etag) for part in completion.parts]
        try:
            return await store.complete_upload(
                blob.name, upload.backend_upload_id, named, PutOptions()
            )
        except NoSuchUpload:
            # An earlier Complete got this far and was cut off before its commit.
            try:
                stat = await store.head(blob.name)
            except NotFound:
                raise S3Error("NoSuchUpload", UploadId=upload.upload_id) from None
            if stat.size != _stored_size(upload, completion):
                raise
            return stat

    async def _abort_native(self, blob: BlobRef, native_id: str) -> None:
        with trio.CancelScope(shield=True):
            try:
                await self._writer.store.abort_upload(blob.name, native_id)
            except BackendError:
                # Holds no bytes; the error that led here is the one to tell.
                return


def _object_of(
    upload: UploadRecord, completion: Completion, blobs: tuple[BlobRef, ...], now_ns: int
) -> ObjectRecord:
    return ObjectRecord(
        size=completion.size,
        etag=completion.etag,
        modified_ns=now_ns,
        storage_class=upload.storage_class,
        checksum_type=completion.checksum_type,
        checksums=completion.checksums,
        system=upload.system,
        user=upload.user,
        blobs=blobs,
        parts=part_sizes(completion),
        tags=upload.tags,
        encryption=_encryption(upload, completion),
        owner=upload.object_owner,
        acl=upload.acl,
    )


def _encryption(upload: UploadRecord, completion: Completion) -> Encryption | None:
    if upload.encryption is None:
        return None
    salts = tuple(part.salt for part in completion.parts)
    return msgspec.structs.replace(upload.encryption, salts=salts)


def _stored_size(upload: UploadRecord, completion: Completion) -> int:
    """Bytes of the one blob that a native upload of the parts becomes."""
    if upload.encryption is None:
        return completion.size
    chunk_bytes = upload.encryption.chunk_bytes
    return sum(stored_size(part.size, chunk_bytes) for part in completion.parts)


def part_sizes(completion: Completion) -> tuple[PartSize, ...]:
    """What is kept of the parts of a completed object; a reader counts them from 1."""
    return tuple(
        PartSize(part.number, part.size, part.checksums, bytes.fromhex(md5_of_part(part)))
        for part in completion.parts
    )
