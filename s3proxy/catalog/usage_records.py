"""Records of what buckets and tenants hold; the rules for records are in catalog/records.py."""

from typing import Final

from s3proxy.catalog.records import Record

BUCKET_ROWS: Final = b"b"
TENANT_ROWS: Final = b"t"

# A version or a part of an upload among those of its bucket: its key, then which one it is.
Position = tuple[bytes, bytes]
START: Position = (b"", b"")


class UsageRecord(Record, frozen=True, kw_only=True):
    """What a bucket with a quota in force holds, or what those of a tenant hold together.

    Attributes:
        bytes, objects: of what is counted: all versions and parts up to the cursor.
        cursor: how far the count of a bucket has come; None: everything is counted. Of a tenant's
            record it says nothing.
        tenant, bucket: whose it is.
    """

    bytes: int = 0
    objects: int = 0
    cursor: Position | None = START
    tenant: str = ""
    bucket: str = ""
