"""The catalog's keyspaces, and how records become bytes and back.

docs/formats/catalog.md has the byte tables.
"""

from collections.abc import Iterable
from typing import Generic, TypeVar

import msgspec

from s3proxy.catalog.blob_records import (
    CopiesRecord,
    DebtCounts,
    GarbageRecord,
    IntentRecord,
)
from s3proxy.catalog.errors import UnsupportedRecord
from s3proxy.catalog.event_records import EventCounts, EventRecord
from s3proxy.catalog.manifest_records import ManifestRecord
from s3proxy.catalog.records import (
    FORMAT,
    AttributesRecord,
    BucketRecord,
    CompletedRecord,
    ConfigRecord,
    DebtRecord,
    KeyRecord,
    ListedFields,
    ObjectRecord,
    PartRecord,
    ProgressRecord,
    TenantRecord,
    TokenRecord,
    UploadRecord,
    UserRecord,
)
from s3proxy.catalog.usage_records import UsageRecord
from s3proxy.kv.engine import Transaction

META = "meta"
MARKS = "marks"
BUCKETS = "buckets"
BUCKET_CONFIGS = "bucket_configs"
OBJECTS = "objects"
VERSIONS = "versions"
INLINE = "inline"
INTENTS = "intents"
GARBAGE = "garbage"
COPIES = "copies"
COPIED_PARTS = "copied_parts"
DEBTS = "debts"
DEBT_ORDER = "debt_order"
DEBT_COUNTS = "debt_counts"
MANIFESTS = "manifests"
MANIFEST_ORDER = "manifest_order"
CONTAINERS = "containers"
PHYSICAL = "physical"
UPLOADS = "uploads"
PARTS = "parts"
COMPLETED = "completed"
COMPLETED_ORDER = "completed_order"
PROGRESS = "progress"
ATTRIBUTES = "attributes"
EVENTS = "events"
DEAD_EVENTS = "dead_events"
EVENT_COUNTS = "event_counts"
TENANTS = "tenants"
TOKENS = "tokens"
USAGE = "usage"
COUNTING = "counting"
USERS = "users"
USER_IDS = "user_ids"
KEYS = "keys"
USER_KEYS = "user_keys"

KEYSPACES = (
    META,
    MARKS,
    BUCKETS,
    BUCKET_CONFIGS,
    OBJECTS,
    VERSIONS,
    INLINE,
    INTENTS,
    GARBAGE,
    COPIES,
    COPIED_PARTS,
    DEBTS,
    DEBT_ORDER,
    DEBT_COUNTS,
    MANIFESTS,
    MANIFEST_ORDER,
    CONTAINERS,
    PHYSICAL,
    UPLOADS,
    PARTS,
    COMPLETED,
    COMPLETED_ORDER,
    PROGRESS,
    ATTRIBUTES,
    EVENTS,
    DEAD_EVENTS,
    EVENT_COUNTS,
    TENANTS,
    TOKENS,
    USAGE,
    COUNTING,
    USERS,
    USER_IDS,
    KEYS,
    USER_KEYS,
)

ID_BYTES = 8
LAST_ID = b"last_id"

R = TypeVar("R", bound="ListedFields | Record")
Record = (
    AttributesRecord
    | BucketRecord
    | CompletedRecord
    | ConfigRecord
    | CopiesRecord
    | DebtCounts
    | DebtRecord
    | EventCounts
    | EventRecord
    | GarbageRecord
    | IntentRecord
    | KeyRecord
    | ManifestRecord
    | ObjectRecord
    | PartRecord
    | ProgressRecord
    | TenantRecord
    | TokenRecord
    | UploadRecord
    | UsageRecord
    | UserRecord
)

encode = msgspec.msgpack.Encoder().encode


class Codec(Generic[R]):
    """Decodes one kind of record; refuses formats it does not know."""

    __slots__ = ("_decode", "_name")

    def __init__(self, kind: type[R]) -> None:
        self._decode = msgspec.msgpack.Decoder(kind).decode
        self._name = kind.__name__

    def decode(self, data: bytes) -> R:
        """Return the record in `data`.

        Raises:
            UnsupportedRecord: damaged, or of another format.
        """
        try:
            record = self._decode(data)
        except msgspec.DecodeError as error:
            raise self._damaged(error) from error
        if record.format != FORMAT:
            raise self._unknown(record)
        return record

    def decode_all(self, values: Iterable[bytes]) -> list[R]:
        """Return the records in `values`, in order; see `decode`."""
        try:
            records = [*map(self._decode, values)]
        except msgspec.DecodeError as error:
            raise self._damaged(error) from error
        for record in records:
            if record.format != FORMAT:
                raise self._unknown(record)
        return records

    def _damaged(self, error: msgspec.DecodeError) -> UnsupportedRecord:
        return UnsupportedRecord(f"{self._name}: {error}")

    def _unknown(self, record: R) -> UnsupportedRecord:
        return UnsupportedRecord(f"{self._name}: format {record.format} is not supported")


buckets = Codec(BucketRecord)
objects = Codec(ObjectRecord)
listed = Codec(ListedFields)
uploads = Codec(UploadRecord)
parts = Codec(PartRecord)
completed = Codec(CompletedRecord)
progress = Codec(ProgressRecord)
configs = Codec(ConfigRecord)
events = Codec(EventRecord)
event_counts = Codec(EventCounts)
tenants = Codec(TenantRecord)
tokens = Codec(TokenRecord)
usage = Codec(UsageRecord)
users = Codec(UserRecord)
keys = Codec(KeyRecord)
intents = Codec(IntentRecord)
garbage = Codec(GarbageRecord)
copies = Codec(CopiesRecord)
debts = Codec(DebtRecord)
debt_counts = Codec(DebtCounts)
manifests = Codec(ManifestRecord)
attributes = Codec(AttributesRecord)


def allocate_id(txn: Transaction) -> bytes:
    """Return an id (8 bytes, big-endian) that was never given before."""
    last = txn.get(META, LAST_ID)
    number = 1 + (int.from_bytes(last, "big") if last else 0)
    identifier = number.to_bytes(ID_BYTES, "big")
    txn.put(META, LAST_ID, identifier)
    return identifier
