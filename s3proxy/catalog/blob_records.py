"""Records of blobs that come and go; the rules for records are in catalog/records.py."""

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
