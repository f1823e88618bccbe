"""The Protocols that every kind of backend implements, and the values that cross them.

A *backend* is one configured place. A *store* is a backend bound to one container, in one of two
roles:

- blobs: names are unique ids, written once, never changed, deleted only by the collector. `put` of
  a name that exists raises AlreadyExists.
- files: an existing bucket or directory, whose keys are the clients' keys. `put` replaces.

Contract, for both roles:

- A miss raises NotFound (NoSuchContainer when the container itself is missing); `delete` of a
  missing key succeeds.
- `put`, `put_part`, `copy`, `complete_upload` leave either the whole object or nothing, whatever
  interrupts them: an error of the source (raised unchanged), of the backend, or cancellation.
- ETags have no quotes. Ranges are inclusive and lie inside the object.
- Exceptions are BackendError subclasses, or those of the source.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from typing import Protocol

from msgspec import Struct, field

from s3proxy._fast.http1 import ResponseHead
from s3proxy.http.body import Body, ByteSource
from s3proxy.s3.listing import ListPage


class Features(Struct, frozen=True, kw_only=True):
    """What a store does by itself; the gateway adds or refuses the rest.

    Attributes:
        multipart: create_upload and its companions work.
        metadata: system and user metadata are kept with the object.
        etags: `Stat.etag` is the S3 ETag of the object; otherwise "" or a stand-in.
        copy: `copy` moves no bytes through this process.
        conditional: if_none_match_any is decided atomically, so of many writers one wins.
        verifies_payload: PutOptions.sha256 is checked at the other end.
        relays: `open` returns a body that comes from an upstream answer, with its head.
    """

    multipart: bool = False
    metadata: bool = False
    etags: bool = False
    copy: bool = False
    conditional: bool = False
    verifies_payload: bool = False
    relays: bool = False


class Stat(Struct, kw_only=True):
    """What is known of one object without reading it.

    Attributes:
        size: bytes of the whole object, also when a range was opened.
        modified_ns: last change, nanoseconds since the epoch.
        etag: without quotes; "" where the backend has none.
        system: lower-case header names (content-type, cache-control …).
        user: x-amz-meta-* names without the prefix, lower-case.
        checksums: algorithm (crc32, crc32c, crc64nvme, sha1, sha256) to base64.
        checksum_type: "FULL_OBJECT", "COMPOSITE" or "".
        parts_count: 0 unless the backend says that the object came in parts.
        opaque_etag: the ETag is no MD5, whatever it looks like: the backend encrypts by KMS.
    """

    size: int
    modified_ns: int
    etag: str = ""
    system: dict[str, str] = field(default_factory=dict)
    user: dict[str, str] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)
    checksum_type: str = ""
    storage_class: str = "STANDARD"
    parts_count: int = 0
    opaque_etag: bool = False


class PutOptions(Struct, kw_only=True):
    """How to write one object, part or copy.

    Attributes:
        length: bytes that the source will give; a source that gives fewer or more is rejected
            with BodyRejected. Ignored by create_upload, copy and complete_upload.
        system, user, tags: metadata to keep where Features.metadata says so; `copy` takes no tags.
        if_none_match_any: fail with PreconditionFailed when the key exists.
        if_match: fail with PreconditionFailed unless the current ETag is this one.
        sha256: hex digest of the payload when it is known beforehand.
        md5: raw digest of the payload when it is known beforehand.
        published: awaited after all bytes are at the backend and before the object becomes
            visible; when it raises, nothing becomes visible.
    """

    length: int = 0
    system: dict[str, str] = field(default_factory=dict)
    user: dict[str, str] = field(default_factory=dict)
    storage_class: str = ""
    checksums: dict[str, str] = field(default_factory=dict)
    if_none_match_any: bool = False
    if_match: str = ""
    sha256: str = ""
    md5: bytes = b""
    tags: dict[str, str] = field(default_factory=dict)
    published: Callable[[], Awaitable[None]] | None = None


class Reading(Struct):
    """An opened object: the caller sends or reads `body`, then closes it.

    `head` is the upstream's answer where Features.relays says so; its header lines can be passed on
    as they are.
    """

    stat: Stat
    body: Body
    head: ResponseHead | None = None


class Store(Protocol):
    """One container of one backend, in one role. Closes with its backend."""

    features: Features

    async def head(self, key: str) -> Stat:
        """Stat of `key`; NotFound."""

    async def open(self, key: str, first: int = 0, last: int | None = None) -> Reading:
        """Open bytes first..last (inclusive; None: to the end); NotFound, InvalidRange."""

    async def put(self, key: str, source: ByteSource, options: PutOptions) -> Stat:
        """Store the source's bytes whole. Durable on return where the backend is."""

    async def delete(self, key: str) -> None:
        """Remove `key`; a missing one is no error."""

    async def copy(self, source_key: str, target_key: str, options: PutOptions) -> Stat:
        """Copy within this container; metadata comes from `options`."""

    async def list(self, prefix: str, *, delimiter: str, after: str, limit: int) -> ListPage:
        """At most `limit` keys and common prefixes after `after`, in UTF-8 byte order."""

    async def create_upload(self, key: str, options: PutOptions) -> str:
        """Begin a multipart upload with this metadata; returns its id here."""

    async def put_part(
        self, key: str, upload_id: str, number: int, source: ByteSource, options: PutOptions
    ) -> Stat:
        """Store part `number` (1..10000), replacing it when it was sent before; NoSuchUpload."""

    async def complete_upload(
        self, key: str, upload_id: str, parts: Sequence[tuple[int, str]], options: PutOptions
    ) -> Stat:
        """Make the object of the named parts (number, etag); InvalidPart, NoSuchUpload."""

    async def abort_upload(self, key: str, upload_id: str) -> None:
        """Forget the upload and its parts; a missing one is no error."""


class Backend(Protocol):
    """One configured place where bytes live."""

    name: str
    type: str

    def blobs(self, container: str) -> Store:
        """The managed role: immutable blobs named by `blob_name`."""

    def files(self, target: str) -> Store:
        """The attached role: plain keys below an existing bucket or directory."""

    def blob_name(self, key: str, blob_id: str) -> str:
        """The name of a blob here, to be kept in its BlobRef."""

    def container(self, name: str) -> str:
        """What stands for the physical bucket `name` here: that, or a prefix in one for all."""

    async def create_container(self, container: str) -> None:
        """Make the container of a managed bucket; succeeds when it is there already."""

    async def delete_container(self, container: str) -> None:
        """Remove an empty container; a missing one is no error."""

    async def check(self) -> None:
        """Raise unless the backend answers."""

    async def capacity(self) -> tuple[int, int] | None:
        """Bytes in all and bytes that are free; None where nobody can tell."""

    async def recover(self) -> int:
        """Remove what an interrupted process left half-written; returns how many."""

    async def forget_uploads(self, target: str, known: Collection[str]) -> int:
        """Remove this gateway's uploads to an attached target but for the `known`; how many."""

    def blob_ids(self) -> Iterator[str]:
        """Ids of all stored blobs where they can be walked cheaply; blocking, in any order."""

    async def aclose(self) -> None:
        """Close what the backend holds."""
