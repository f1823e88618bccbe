"""What is kept of an object beside its blob, in user metadata of the backend, for the rebuilding.

One value, `x-amz-meta-s3gw-blob`, in the form of a query: what of a field is not said is empty.
docs/formats/manifests.md has the table. What a provider says is data, and never trusted: `read`
gives only what could have been written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import parse_qsl, quote

import msgspec

from s3proxy.catalog.records import BlobRef, BucketRecord, ObjectRecord
from s3proxy.s3 import checksums as algorithms
from s3proxy.s3.errors import S3Error
from s3proxy.s3.metadata import USER_METADATA_BYTES_MAX, without_redirect
from s3proxy.s3.names import check_key, is_creatable_bucket
from s3proxy.s3.tenants import is_tenant_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3proxy.backends.store import PutOptions
    from s3proxy.catalog.records import Encryption
    from s3proxy.s3.object_lock import ObjectLock

NAME: Final = "s3gw-blob"
FORMAT: Final = "1"
PART: Final = "p"
ENCRYPTED: Final = "e"
VERSIONED: Final = "v"
LOCKED: Final = "l"
_FLAGS: Final = frozenset(PART + ENCRYPTED + VERSIONED + LOCKED)
_TIME_NS_MAX: Final = (1 << 63) - 1
_ID_DIGITS: Final = 32
_FIELDS_MAX: Final = 16
_HEX: Final = frozenset("0123456789abcdef")


class Described(Protocol):
    """What says of an object what is kept beside its bytes: a write, or a record."""

    @property
    def system(self) -> dict[str, str]:
        """System headers, lower-case names."""

    @property
    def user(self) -> dict[str, str]:
        """x-amz-meta-* names without the prefix."""

    @property
    def encryption(self) -> Encryption | None:
        """How its bytes are encrypted."""

    @property
    def lock(self) -> ObjectLock | None:
        """What locks it."""


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a blob says of its object.

    Attributes:
        key: where the blob's name has only the beginning of it; "" else.
        blob_id: of the blob that records point at, where this is a copy of that; "" else.
        written_ns: when it was written.
        etag: where it may not be what the backend says.
        checksum: (algorithm, base64) as the client declared it, or ("", "").
        flags: PART of an upload, ENCRYPTED, VERSIONED bucket, LOCKED version.
    """

    tenant: str
    bucket: str
    key: str = ""
    blob_id: str = ""
    written_ns: int = 0
    etag: str = ""
    checksum: tuple[str, str] = ("", "")
    flags: str = ""


class Beside(msgspec.Struct, frozen=True):
    """What is known of a blob beside the write, or the record, that describes its object.

    Attributes:
        checksum: as the client declared it.
        original: the blob that records point at, where this is to be a copy of it.
        etag: where the backend's may be another.
    """

    written_ns: int
    checksum: tuple[str, str] | None = None
    original: BlobRef | None = None
    etag: str = ""


def about_of(
    bucket: BucketRecord,
    key: str,
    blob: BlobRef,
    described: Described | None,
    beside: Beside,
) -> About:
    """What is known of a blob that is about to be written.

    Args:
        described: the object; None: it is a part, or a segment.
    """
    flags = VERSIONED if bucket.versioning else ""
    written_ns, checksum, etag = beside.written_ns, beside.checksum, beside.etag
    if described is None:
        flags += PART
    else:
        flags += ENCRYPTED if described.encryption is not None else ""
        flags += LOCKED if described.lock is not None else ""
    if isinstance(described, ObjectRecord):
        etag, written_ns = described.etag, described.modified_ns
        checksum = next(iter(described.checksums.items()), None)
    return About(
        tenant=bucket.tenant,
        bucket=bucket.name,
        key="" if blob.name.startswith(f"{key}~") else key,
        blob_id="" if beside.original is None else beside.original.id,
        written_ns=written_ns,
        etag=etag,
        checksum=checksum or ("", ""),
        flags=flags,
    )


def describe(options: PutOptions, described: Described | None, about: About) -> None:
    """Have a write keep beside the blob what the client sent, and what the blob is."""
    if described is not None:
        options.system = without_redirect(described.system)
    options.user = beside({} if described is None else described.user, about)


def beside(user: Mapping[str, str], about: About) -> dict[str, str]:
    """User metadata with what is said of the blob, where there is room for it in S3's 2 KB.

    What the client sent is kept in any case, but for a value under our own name.
    """
    own = without_ours(user) if user else {}
    value = _written(about)
    size_bytes = sum(len(name) + len(text) for name, text in own.items()) if own else 0
    if size_bytes + len(NAME) + len(value) <= USER_METADATA_BYTES_MAX:
        own[NAME] = value
    return own


def _written(about: About) -> str:
    """The query. On the way of every PUT: only what may have to be quoted is."""
    value = f"f={FORMAT}&t={about.tenant}&b={about.bucket}&w={about.written_ns}"
    if about.key:
        value += f"&k={quote(about.key, safe='')}"
    if about.blob_id:
        value += f"&i={about.blob_id}"
    if about.etag:
        value += f"&e={quote(about.etag, safe='')}"
    if about.checksum[0]:
        value += f"&c={quote(':'.join(about.checksum), safe='')}"
    return f"{value}&s={about.flags}" if about.flags else value


def without_ours(user: Mapping[str, str]) -> dict[str, str]:
    """User metadata as the client sent it."""
    return {name: value for name, value in user.items() if name != NAME}


def read(user: Mapping[str, str]) -> About | None:
    """What a blob says of its object; None: nothing, or nothing that could be true."""
    value = user.get(NAME, "")
    if not value or len(value) > USER_METADATA_BYTES_MAX:
        return None
    try:
        pairs = parse_qsl(value, strict_parsing=True, errors="strict", max_num_fields=_FIELDS_MAX)
        fields = dict(pairs)
        about = _read(fields) if fields.get("f") == FORMAT and len(pairs) == len(fields) else None
    except (ValueError, S3Error):
        return None
    return about


def _read(fields: dict[str, str]) -> About | None:
    algorithm, _, digest = fields.get("c", "").partition(":")
    about = About(
        tenant=fields.get("t", ""),
        bucket=fields.get("b", ""),
        key=fields.get("k", ""),
        blob_id=fields.get("i", ""),
        written_ns=_time(fields.get("w", "")),
        etag=fields.get("e", ""),
        checksum=(algorithm, digest),
        flags=fields.get("s", ""),
    )
    if about.key:
        check_key(about.key)
    sound = (
        is_tenant_name(about.tenant)
        and is_creatable_bucket(about.bucket)
        and (not about.blob_id or is_blob_id(about.blob_id))
        and (not about.etag or is_etag(about.etag))
        and (not algorithm or is_checksum(algorithm, digest))
        and _FLAGS.issuperset(about.flags)
    )
    return about if sound else None


def is_blob_id(text: str) -> bool:
    """Whether the gateway could have given this id to a blob."""
    return len(text) == _ID_DIGITS and _HEX.issuperset(text)


def is_blob_name(name: str) -> bool:
    """Whether the gateway could have given this name to a blob: a key, or its beginning, an id."""
    return name[-_ID_DIGITS - 1 : -_ID_DIGITS] == "~" and is_blob_id(name[-_ID_DIGITS:])


def is_etag(text: str) -> bool:
    """Whether the gateway could have given this ETag to an object."""
    digest, dash, parts = text.partition("-")
    digits = not dash or (parts.isascii() and parts.isdecimal() and len(parts) <= 5)
    return is_blob_id(digest) and digits


def is_checksum(algorithm: str, value: str) -> bool:
    """Whether that is a checksum of a known algorithm; a composite one has a count behind it."""
    try:
        return algorithms.decode(algorithm, value.partition("-")[0]) is not None
    except KeyError:
        return False


def _time(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 19):
        raise ValueError(text)
    return min(int(text), _TIME_NS_MAX)
