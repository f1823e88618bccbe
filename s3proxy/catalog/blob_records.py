"""Records of blobs that come and go, and of where they are; catalog/records.py has the rules."""

import msgspec

from s3proxy.catalog.records import BlobRef, Record


class IntentRecord(Record, frozen=True, kw_only=True):
    """A blob that a gateway is about to write; open until an object or nothing points at it."""

    blob: BlobRef
    bucket_id: bytes
    key: str
    created_ns: int
    gateway: str


class GarbageRecord(Record, frozen=True, kw_only=True):
    """A blob nothing points at, to be deleted from its backend when due.

    With `backend_upload_id` it is a native multipart upload that is to be aborted.
    """

    id: bytes
    due_ns: int
    blob: BlobRef
    backend_upload_id: str = ""


class Transfer(msgspec.Struct, array_like=True, frozen=True):
    """A copy on its way in parts, which a retry or a restart goes on with.

    Its parts are in `copied_parts`; `backend_upload_id` is of the native upload that holds them.
    """

    copy: BlobRef
    backend_upload_id: str
    part_bytes: int


class CopiesRecord(Record, frozen=True, kw_only=True):
    """All places that hold a blob's bytes; of a blob without one, it is the only place.

    Attributes:
        places: each with an id and a name of its own; the blob that records point at is one of
            them until its backend is drained.
    """

    places: tuple[BlobRef, ...]
    transfers: tuple[Transfer, ...] = ()


class DebtCounts(Record, frozen=True, kw_only=True):
    """What is owed to a backend, dead letters apart."""

    objects: int = 0
    bytes: int = 0
    dead: int = 0
