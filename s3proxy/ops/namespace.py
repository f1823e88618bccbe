"""The object model that both kinds of bucket implement.

Operations speak S3 to the client and `Namespace` to the bucket:

    ManagedNamespace    the catalog is the authority, bytes are immutable blobs
    AttachedNamespace   a Store is the authority, a side table adds what the store cannot keep

Errors are S3Error; BackendError, TransportError and KvError pass through for `ops.errors` to map.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import msgspec

from s3proxy.catalog.objects import Deletion
from s3proxy.catalog.records import (
    BucketRecord,
    Encryption,
    ObjectRecord,
    PartRecord,
    UploadRecord,
)
from s3proxy.catalog.version_listing import VersionPage
from s3proxy.s3.conditions import WriteCondition
from s3proxy.s3.listing import ListPage, ListVersionsParameters
from s3proxy.s3.object_lock import ObjectLock

if TYPE_CHECKING:
    from s3proxy.http.body import Body
    from s3proxy.http.request_body import RequestBody
    from s3proxy.ops.chunk_cipher import ObjectCipher
    from s3proxy.s3.payload import Digests


# What becomes of a version whose bytes stay.
Change = Callable[[ObjectRecord], ObjectRecord]


class Payload(Protocol):
    """Bytes on their way into an object; a ByteSource that knows its digests at the end.

    Attributes:
        length: bytes in all.
        sha256: what the client signed for the whole payload, hex; "" where that is not known.
        md5: what the client declared; b"" for nothing.
        checksum: (algorithm, base64) that the client declared before the body; None: none.
    """

    length: int
    sha256: str
    md5: bytes

    @property
    def checksum(self) -> tuple[str, str] | None:
        """See above."""

    async def read_into(self, buffer: memoryview) -> int:
        """Fill the start of `buffer`; 0 at the end. The last byte comes once all is verified."""

    async def read_all(self) -> bytes:
        """The whole verified payload; for payloads of a known, small length."""

    async def digests(self) -> Digests:
        """Verify what is left to verify and give the digests; also what checks an empty payload."""

    def passable(self) -> RequestBody | None:
        """The untouched body where the receiver may verify it in our place, else None."""


class ObjectWrite(msgspec.Struct, frozen=True, kw_only=True):
    """What a write says about the object beside its bytes.

    Attributes:
        condition: what must hold of the object that is replaced; decided when the write happens.
        cipher: encrypts it; None: nothing does. Only managed buckets are asked for it.
        owner, acl: as in ObjectRecord.
    """

    system: dict[str, str]
    user: dict[str, str]
    storage_class: str = "STANDARD"
    condition: WriteCondition | None = None
    tags: dict[str, str] = {}
    cipher: ObjectCipher | None = None
    lock: ObjectLock | None = None

    @property
    def encryption(self) -> Encryption | None:
        """What the object's record says of its encryption."""
        return None if self.cipher is None else self.cipher.encryption

    owner: str = ""
    acl: bytes = b""


class CopyFrom(msgspec.Struct, frozen=True):
    """The source of a copy within one namespace; `algorithm`: a checksum to be computed, or ""."""

    key: str
    record: ObjectRecord
    algorithm: str = ""


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """A checked CompleteMultipartUpload.

    Attributes:
        parts: those the client named, in order, as they are kept.
        etag, size, checksums, checksum_type: of the object to be made.
    """

    parts: list[PartRecord]
    etag: str
    size: int
    checksums: dict[str, str]
    checksum_type: str
    condition: WriteCondition | None

    @property
    def named(self) -> list[tuple[int, str]]:
        """(number, ETag) of the parts."""
        return [(part.number, part.etag) for part in self.parts]


class Namespace(Protocol):
    """The objects of one bucket."""

    bucket: BucketRecord

    async def find(self, key: str, version_id: str = "") -> ObjectRecord | None:
        """The current object, or the version of that id, which may be a delete marker; or None."""

    async def find_to_read(
        self, key: str, version_id: str = ""
    ) -> tuple[ObjectRecord | None, bytes | None]:
        """What `find` gives, with all of its data where that came along for nothing."""

    async def open(self, key: str, record: ObjectRecord, first: int, last: int) -> Body:
        """The bytes first..last (both inclusive) of what `find` gave; the caller closes it.

        Of an encrypted object they are those that are stored: see `encryption.open_range`.
        """

    async def put(self, key: str, payload: Payload, write: ObjectWrite) -> ObjectRecord:
        """Store the payload as the object, durably; nothing is visible unless it all succeeded."""

    async def copy(self, source: CopyFrom, key: str, write: ObjectWrite) -> ObjectRecord | None:
        """Copy without the bytes passing here; None: that cannot be done, read and put."""

    async def find_tags(self, key: str, record: ObjectRecord) -> dict[str, str]:
        """The tags of what `find` gave, also where the record has not got them."""

    async def update(self, key: str, change: Change, version_id: str = "") -> ObjectRecord | None:
        """Change the tags or the ACL of what `find` gives, in its place.

        Returns:
            It after that; a delete marker as it is.
        """

    async def delete(self, deletion: Deletion) -> ObjectRecord | None:
        """Delete; what is not there is no error.

        Returns:
            The version that is gone, or the delete marker that was made, in buckets with versions.
        """

    async def delete_many(self, deletions: list[Deletion]) -> list[ObjectRecord | Exception | None]:
        """Delete each; in order, what `delete` gives or raises."""

    async def list_versions(self, parameters: ListVersionsParameters) -> VersionPage:
        """Versions and common prefixes after the markers: by key, then newest first."""

    async def list_page(self, prefix: str, delimiter: str, after: str, limit: int) -> ListPage:
        """Up to `limit` objects and common prefixes after `after`, in UTF-8 byte order."""

    async def create_upload(self, upload: UploadRecord) -> None:
        """Start a multipart upload and keep its record."""

    async def put_part(
        self,
        upload: UploadRecord,
        number: int,
        payload: Payload,
        *,
        cipher: ObjectCipher | None = None,
    ) -> PartRecord:
        """Store one part, replacing an earlier one of the same number; `cipher`: the upload's."""

    async def complete_upload(self, upload: UploadRecord, completion: Completion) -> ObjectRecord:
        """Make the object of the parts; the upload is gone afterwards."""

    async def find_completed(
        self, key: str, upload_id: str, named: list[tuple[int, str]]
    ) -> ObjectRecord | None:
        """What an earlier Complete of the upload with the same parts made, if it is known."""

    async def abort_upload(self, upload: UploadRecord) -> None:
        """Forget the upload and its parts."""
