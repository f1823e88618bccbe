"""The catalog's records: msgspec structs kept as msgpack arrays (docs/formats/catalog.md).

Every record that is stored by itself starts with its format number. Fields are only ever added at
the end with a default, so that older records stay readable; a change of meaning takes a new format
number. Times are nanoseconds since the epoch, sizes are bytes, ETags are bare (no quotes).
"""

import msgspec

from s3proxy.s3.limits import Quota, RateLimits
from s3proxy.s3.object_lock import ObjectLock
from s3proxy.s3.placement import Rules

FORMAT = 1
# What S3 calls the version of an object that was written while its bucket gave no version ids.
NULL_VERSION = "null"


class Record(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """Base of the records that are stored by themselves."""

    format: int = FORMAT


class BucketRecord(Record, frozen=True, kw_only=True):
    """A bucket; `id` (8 bytes, never used twice) is given by the catalog at creation.

    Attributes:
        configs: the kinds of configuration it has, so that a request need not look for one that is
            not there; None: not noted, in records of before.
        versioning: "Enabled", "Suspended", or "" where it never was on.
        object_lock: versions may be locked; then versioning stays on.
        owner: "" is the tenant: each of its users counts as the owner.
        revision: another number after every change of a configuration: what was made of them all is
            good while it stays.
        placement: rules of its own; None: those of the tenant, or of the server.
        names: its containers on other backends than `backend`, by the backend.
        placement_revision: another number after every change of its rules.
        location: the LocationConstraint that it was made with.
        manifests: what its blobs alone do not say is kept beside them (catalog/manifests.py).
        quota: what it may hold; None: whatever its tenant may.
        counted: it or its tenant has a quota, so `usage` has what it holds.
        walks: how many were begun over it to find what is not where it should be: where a write
            was decided on with another number, they may have passed it (catalog/walks.py).
    """

    name: str
    kind: str
    backend: str
    container: str
    region: str
    created_ns: int
    owner: str = ""
    tenant: str = "main"
    id: bytes = b""
    configs: tuple[str, ...] | None = None
    versioning: str = ""
    object_lock: bool = False
    revision: int = 0
    placement: Rules | None = None
    names: dict[str, str] = {}
    placement_revision: int = 0
    location: str = ""
    manifests: bool = False
    quota: Quota | None = None
    counted: bool = False
    walks: int = 0

    def may_have(self, kind: str) -> bool:
        """Whether it may have a configuration of that kind; False spares a look."""
        return self.configs is None or kind in self.configs


class BlobRef(msgspec.Struct, array_like=True, frozen=True):
    """Where immutable bytes are; `backend` "" means inline in the catalog."""

    id: str
    backend: str
    container: str
    name: str
    size: int


class PartSize(msgspec.Struct, array_like=True, frozen=True):
    """One part of a completed multipart upload: what `partNumber` and GetObjectAttributes need.

    Attributes:
        md5: of its bytes, where they are a blob of their own, and not encrypted.
    """

    number: int
    size: int
    checksums: dict[str, str] = {}
    md5: bytes = b""


class Encryption(msgspec.Struct, array_like=True, frozen=True):
    """How an object's bytes are encrypted (docs/formats/encryption.md).

    Attributes:
        kind: "AES256" (SSE-S3) or "SSE-C".
        id: names the data key, 16 random bytes; the sealed key opens under this name only.
        sealed_key: the data key, under the master key or the customer's.
        customer_md5: of the customer's key, base64, as S3 tells it; "" for SSE-S3.
        chunk_bytes: of a whole chunk as it is stored, its tag included.
        salts: of the parts, in order; () where the object came whole.
    """

    kind: str
    id: bytes
    sealed_key: bytes
    customer_md5: str = ""
    chunk_bytes: int = 64 * 1024
    salts: tuple[bytes, ...] = ()


class ObjectRecord(Record, frozen=True, kw_only=True):
    """A version of an object; what a listing needs comes first, where ListedFields can stop.

    Attributes:
        version_id: "" for the null version.
        sequence: puts the versions of a key in order; 0 for what was written before the bucket had
            versions.
        delete_marker: the object was deleted here; all but the time is empty.
        owner: a user id; "" for the bucket's owner.
        acl: of s3/acl.py; b"" for full control of the owner alone.
    """

    size: int
    etag: str
    modified_ns: int
    storage_class: str = "STANDARD"
    checksum_type: str = ""
    checksums: dict[str, str] = {}
    system: dict[str, str] = {}
    user: dict[str, str] = {}
    blobs: tuple[BlobRef, ...] = ()
    parts: tuple[PartSize, ...] = ()
    tags: dict[str, str] = {}
    version_id: str = ""
    sequence: int = 0
    delete_marker: bool = False
    owner: str = ""
    acl: bytes = b""
    encryption: Encryption | None = None
    lock: ObjectLock | None = None

    @property
    def named_version(self) -> str:
        """The version id as S3 gives it."""
        return self.version_id or NULL_VERSION


class ListedFields(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The head of an ObjectRecord; decoding skips the rest of the array."""

    format: int
    size: int
    etag: str
    modified_ns: int
    storage_class: str
    checksum_type: str
    checksums: dict[str, str]


class UploadRecord(Record, frozen=True, kw_only=True):
    """A multipart upload in progress; `blob` is the target of a backend's native upload.

    `owner` began it; `object_owner` and `acl` are the object's to be, as in ObjectRecord.
    """

    upload_id: str
    key: str
    initiated_ns: int
    system: dict[str, str] = {}
    user: dict[str, str] = {}
    checksum_algorithm: str = ""
    checksum_type: str = ""
    storage_class: str = "STANDARD"
    backend_upload_id: str = ""
    blob: BlobRef | None = None
    owner: str = ""
    tags: dict[str, str] = {}
    object_owner: str = ""
    acl: bytes = b""
    encryption: Encryption | None = None
    lock: ObjectLock | None = None


class PartRecord(Record, frozen=True, kw_only=True):
    """One uploaded part; `blob` is None where a backend's native upload holds the bytes.

    Attributes:
        salt: of an encrypted part, 16 random bytes, new with every upload of it.
        stored_etag: the backend's, where that is of other bytes than `etag` is.
    """

    number: int
    size: int
    etag: str
    modified_ns: int
    checksums: dict[str, str] = {}
    blob: BlobRef | None = None
    salt: bytes = b""
    stored_etag: str = ""


class ConfigRecord(Record, frozen=True, kw_only=True):
    """One configuration of a bucket, as an XML document."""

    document: bytes


class ProgressRecord(Record, frozen=True, kw_only=True):
    """How far a task that walks a bucket now and then has come.

    Attributes:
        round: which walk it is, such as the day; one that is `done` is followed by a later one.
        rules: digest of what the walk goes by; of others it is another walk.
        cursor: the key that was done last; "" at the start.
    """

    round: int
    rules: bytes = b""
    cursor: str = ""
    done: bool = False


class CompletedRecord(Record, frozen=True, kw_only=True):
    """A completed upload, remembered so that a repeated Complete gets the same answer.

    `digest` is over the key and the (number, ETag) of the parts named.
    """

    digest: bytes
    etag: str
    completed_ns: int
    checksums: dict[str, str] = {}
    checksum_type: str = ""
    version_id: str = ""


class TenantRecord(Record, frozen=True, kw_only=True):
    """A namespace of buckets, with the users in it.

    Attributes:
        placement: rules for its buckets, below their own; None: those of the server.
        quota: what its buckets may hold together; None: anything.
        placement_revision: another number after every change of its rules.
    """

    name: str
    created_ns: int
    enabled: bool = True
    placement: Rules | None = None
    quota: Quota | None = None
    placement_revision: int = 0


class UserRecord(Record, frozen=True, kw_only=True):
    """A user of a tenant; holds access keys.

    Attributes:
        policy: the JSON document that says what the user may do; empty: none.
    """

    user_id: str
    name: str
    created_ns: int
    tenant: str = "main"
    policy: bytes = b""
    enabled: bool = True


class KeyRecord(Record, frozen=True, kw_only=True):
    """An access key; its secret is sealed (catalog/seal.py).

    Attributes:
        limits: of its requests; None: the server's.
    """

    access_key: str
    user_id: str
    user_name: str
    sealed_secret: bytes
    created_ns: int
    enabled: bool = True
    generation: int = 0
    tenant: str = "main"
    limits: RateLimits | None = None


class TokenRecord(Record, frozen=True, kw_only=True):
    """A token of the control API; of its secret there is only a hash (catalog/tokens.py).

    Attributes:
        role: "admin", or "tenant-admin" of `tenant`.
        cost: scrypt's n, r and p.
    """

    id: str
    role: str
    tenant: str
    salt: bytes
    hash: bytes
    cost: tuple[int, int, int]
    created_ns: int


class AttributesRecord(Record, frozen=True, kw_only=True):
    """What a backend of an attached bucket cannot keep; valid while (size, mtime_ns) match."""

    size: int
    mtime_ns: int
    etag: str
    system: dict[str, str] = {}
    user: dict[str, str] = {}
    checksums: dict[str, str] = {}
    checksum_type: str = ""
    parts: tuple[PartSize, ...] = ()
    tags: dict[str, str] = {}
    owner: str = ""
    acl: bytes = b""


class DebtRecord(Record, frozen=True, kw_only=True):
    """A blob that is not, or may not be, where its rules want it.

    Attributes:
        since_ns: when it came to be owed; retries keep that.
        due_ns: when it is to be looked at; of a leased one, when the lease ends.
        replicas: what the object's tag asks for; 0: the rules.
        targets: backends that are expected to get a copy, for those who look.
        version_id: of the object, where it is not the null version or a part.
        waits_for: the backend that has to be up first; "" for none.
        lease: the gateway that is at it; "" for none.
        or_for: other backends that will do as well as the one that is waited for.
        upload_id, part_number: of the part that the blob is; "" and 0 for an object's.
        short: it has fewer copies than its rules want, and these leave no backend for more.
    """

    blob: BlobRef
    bucket_id: bytes
    tenant: str
    bucket: str
    key: str
    since_ns: int
    due_ns: int
    replicas: int = 0
    targets: tuple[str, ...] = ()
    tries: int = 0
    error: str = ""
    dead: bool = False
    version_id: str = ""
    waits_for: str = ""
    lease: str = ""
    or_for: tuple[str, ...] = ()
    upload_id: str = ""
    part_number: int = 0
    short: bool = False


class Owed(msgspec.Struct, frozen=True):
    """What a write knows of a blob beside its record.

    Attributes:
        copies: all its places, where there are several.
        targets: backends that owe it a copy; a debt is written where there are some.
        replicas: the object's tag, 0 without one.
    """

    blob: BlobRef
    copies: tuple[BlobRef, ...] = ()
    targets: tuple[str, ...] = ()
    replicas: int = 0
