"""Manifests: what blobs alone do not say of a version, or of a bucket, as objects beside them.

    .s3gw/bucket                           the bucket
    .s3gw/versions/<key hash>/<order>      a version; order as in its key's node of the catalog

They are JSON with a format number; docs/formats/manifests.md has the fields. What a provider gives
back is data: `decode` takes only what this gateway could have written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_type_hints

import msgspec

from s3proxy.catalog.manifests import name_of
from s3proxy.catalog.records import (
    NULL_VERSION,
    BlobRef,
    BucketRecord,
    ObjectRecord,
)
from s3proxy.catalog.versions import is_version_id, order_in_node
from s3proxy.ops.about import is_blob_id, is_checksum
from s3proxy.ops.placing import decision_of
from s3proxy.s3 import acl
from s3proxy.s3.errors import S3Error
from s3proxy.s3.metadata import SYSTEM_HEADERS, USER_METADATA_BYTES_MAX
from s3proxy.s3.names import check_key, is_creatable_bucket
from s3proxy.s3.tenants import is_tenant_name

if TYPE_CHECKING:
    from s3proxy.ops.call import Services

PREFIX: Final = ".s3gw/"
BUCKET_NAME: Final = PREFIX + "bucket"
VERSIONS_PREFIX: Final = PREFIX + "versions/"
FORMAT: Final = 1
# 10,000 parts with long names at several places.
BYTES_MAX: Final = 64 << 20
# Of a field of a record, but for those that have a row for each part.
_FIELD_BYTES_MAX: Final = 1 << 20
_LONG_FIELDS: Final = frozenset({"blobs", "parts"})
_TIME_NS_MAX: Final = (1 << 63) - 1
_PARTS_MAX: Final = 10_000
_TAGS_MAX: Final = 10
_ETAG_CHARACTERS_MAX: Final = 128
_CONFIGS_MAX: Final = 10_000
_STATES: Final = ("", "Enabled", "Suspended")

R = TypeVar("R", BucketRecord, ObjectRecord)


class NotSound(Exception):  # noqa: N818 - what was found
    """What lies at a provider as a manifest is none that this gateway wrote."""


class VersionManifest(msgspec.Struct, frozen=True):
    """One version with the places of its blobs, by the ids that the record has for them."""

    format: int
    tenant: str
    bucket: str
    key: str
    version: dict[str, Any]
    places: dict[str, tuple[BlobRef, ...]]
    revision: int = 0


class _ToldVersion(msgspec.Struct, frozen=True):
    """A version's manifest as it is read: its fields are decoded as what they have to be."""

    format: int
    tenant: str
    bucket: str
    key: str
    version: dict[str, msgspec.Raw]
    places: dict[str, tuple[BlobRef, ...]]
    revision: int = 0


class _ToldBucket(msgspec.Struct, frozen=True):
    """A bucket's, likewise."""

    format: int
    bucket: dict[str, msgspec.Raw]
    configs: dict[str, bytes]
    revision: int = 0


class BucketManifest(msgspec.Struct, frozen=True):
    """A bucket with its configurations."""

    format: int
    bucket: dict[str, Any]
    configs: dict[str, bytes]
    revision: int = 0


class Found(msgspec.Struct, frozen=True):
    """A version as a manifest tells it."""

    tenant: str
    bucket: str
    key: str
    record: ObjectRecord
    places: Mapping[str, tuple[BlobRef, ...]]
    revision: int


class FoundBucket(msgspec.Struct, frozen=True):
    """A bucket as a manifest tells it."""

    record: BucketRecord
    configs: Mapping[str, bytes]
    revision: int


def version_name(key: str, sequence: int) -> str:
    """The name of a version's manifest."""
    return f"{folder_of(key)}{order_in_node(sequence).hex()}"


def folder_of(key: str) -> str:
    """What the names of the manifests of a key's versions begin with."""
    return f"{VERSIONS_PREFIX}{name_of(key.encode()).hex()}/"


def encode_version(found: Found) -> bytes:
    """The manifest of a version."""
    version = msgspec.structs.asdict(found.record)
    named = (found.tenant, found.bucket, found.key)
    places = dict(found.places)
    return msgspec.json.encode(VersionManifest(FORMAT, *named, version, places, found.revision))


def encode_bucket(found: FoundBucket) -> bytes:
    """The manifest of a bucket."""
    bucket = msgspec.structs.asdict(found.record)
    return msgspec.json.encode(BucketManifest(FORMAT, bucket, dict(found.configs), found.revision))


def decode_version(data: bytes, name: str) -> Found:
    """What a manifest tells of a version.

    Raises:
        NotSound: it could not be this gateway's, or lies under another's name.
    """
    try:
        manifest = msgspec.json.decode(data, type=_ToldVersion)
        record = _record(ObjectRecord, manifest.version)
        _check_named(manifest.format, manifest.revision, manifest.tenant, manifest.bucket)
        check_key(manifest.key)
        _check_record(record)
        _check_blobs(record, manifest.places)
    except (msgspec.DecodeError, msgspec.ValidationError, S3Error, TypeError, ValueError) as error:
        raise NotSound(str(error)) from error
    if name != version_name(manifest.key, record.sequence):
        raise NotSound("it is under the name of another version")
    named = (manifest.tenant, manifest.bucket, manifest.key)
    return Found(*named, record, manifest.places, manifest.revision)


def decode_bucket(data: bytes) -> FoundBucket:
    """What a manifest tells of a bucket.

    Raises:
        NotSound: it could not be this gateway's.
    """
    try:
        manifest = msgspec.json.decode(data, type=_ToldBucket)
        record = _record(BucketRecord, manifest.bucket)
        _check_named(manifest.format, manifest.revision, record.tenant, record.name)
        _require(record.kind == "managed", "its bucket is no managed one")
        _require(record.versioning in _STATES, "versioning")
        _require(not record.object_lock or record.versioning == "Enabled", "object lock")
        _require(len(manifest.configs) <= _CONFIGS_MAX, "configurations")
        for config in manifest.configs:
            _require(0 < len(config.encode()) <= 200 and config.isascii(), "configurations")
        _require(0 <= record.created_ns <= _TIME_NS_MAX, "time")
    except (msgspec.DecodeError, msgspec.ValidationError, TypeError, ValueError) as error:
        raise NotSound(str(error)) from error
    return FoundBucket(record, manifest.configs, manifest.revision)


def _record(kind: type[R], fields: dict[str, msgspec.Raw]) -> R:
    """A record of its fields by name; msgspec takes records as arrays alone.

    Fields of later versions, which are not known here, are passed over.
    """
    types = get_type_hints(kind)
    known = {name: raw for name, raw in fields.items() if name in types}
    for name, raw in known.items():
        _require(name in _LONG_FIELDS or len(raw) <= _FIELD_BYTES_MAX, name)
    return kind(**{name: msgspec.json.decode(raw, type=types[name]) for name, raw in known.items()})


def _check_named(version: int, revision: int, tenant: str, bucket: str) -> None:
    _require(0 <= revision < 1 << 63, "revision")
    _require(version == FORMAT, f"format {version} is not supported")
    _require(is_tenant_name(tenant), "tenant")
    _require(is_creatable_bucket(bucket), "bucket")


def _check_record(record: ObjectRecord) -> None:
    _require(record.format == 1, "format of the record")
    _require(0 <= record.sequence < 1 << 63, "sequence")
    _require(0 <= record.modified_ns <= _TIME_NS_MAX, "time")
    _require(is_version_id(record.named_version), "version id")
    if record.version_id:
        _require(record.version_id != NULL_VERSION, "version id")
        order = order_in_node(record.sequence).hex()
        _require(record.version_id.startswith(order), "version id and sequence")
    _require(0 <= record.size <= 1 << 50, "size")
    _require(len(record.parts) <= _PARTS_MAX, "parts")
    _require(_is_token(record.etag, _ETAG_CHARACTERS_MAX), "ETag")
    _require(_is_token(record.storage_class, 64), "storage class")
    _check_metadata(record)
    for algorithm, value in record.checksums.items():
        _require(is_checksum(algorithm, value), "checksum")
    _require(record.checksum_type in ("", "FULL_OBJECT", "COMPOSITE"), "checksum type")
    _require(len(record.tags) <= _TAGS_MAX, "tags")
    _require(all(len(k) <= 128 and len(v) <= 256 for k, v in record.tags.items()), "tags")
    _require(_is_token(record.owner, 128), "owner")
    acl.unpack(record.acl, record.owner)
    if record.lock is not None:
        _require(record.lock.mode in ("", "GOVERNANCE", "COMPLIANCE"), "lock")
        _require(record.lock.legal_hold in ("", "ON", "OFF"), "lock")
        _require(0 <= record.lock.retain_until_ns <= _TIME_NS_MAX, "lock")


def _check_metadata(record: ObjectRecord) -> None:
    _require(record.system.keys() <= SYSTEM_HEADERS.keys(), "metadata")
    user = sum(len(name) + len(value) for name, value in record.user.items())
    _require(user <= USER_METADATA_BYTES_MAX, "metadata")
    _require(all(_is_token(name, 2048) and name for name in record.user), "metadata")
    for value in (*record.system.values(), *record.user.values()):
        _require(_is_header_value(value), "metadata")


def _check_blobs(record: ObjectRecord, places: Mapping[str, tuple[BlobRef, ...]]) -> None:
    _require(len(record.blobs) <= _PARTS_MAX, "blobs")
    if record.delete_marker:
        _require(not record.blobs and not record.size, "delete marker")
        return
    _require(len({blob.id for blob in record.blobs}) == len(record.blobs), "blobs")
    _require(places.keys() == {blob.id for blob in record.blobs}, "places")
    stored = sum(blob.size for blob in record.blobs)
    exact = record.encryption is None
    _require(stored == record.size if exact else stored >= record.size, "sizes")
    for blob in record.blobs:
        for place in (blob, *places[blob.id]):
            _require(is_blob_id(place.id) and place.size == blob.size >= 0, "blob")
            _require(place.name.endswith(place.id) and len(place.name.encode()) <= 1024, "blob")


def _is_token(text: str, length_max: int) -> bool:
    return len(text) <= length_max and all("!" <= character <= "~" for character in text)


def _is_header_value(text: str) -> bool:
    return len(text) <= 4096 and all(
        character == "\t" or (" " <= character <= "\xff" and character != "\x7f")
        for character in text
    )


def _require(sound: bool, what: str) -> None:
    if not sound:
        raise ValueError(f"{what}: not what this gateway writes")


def containers_for(
    services: Services, bucket: BucketRecord, record: ObjectRecord
) -> tuple[tuple[str, str], ...]:
    """Where the manifest of a version belongs: beside its blobs, where metadata are kept.

    A delete marker has none: it is told wherever the bucket may have new data, as many times as
    that has copies.
    """
    if record.blobs:
        places = (place for blob in record.blobs for place in services.catalog.places_of(blob))
        found: Iterable[tuple[str, str]] = ((place.backend, place.container) for place in places)
    else:
        names = {bucket.backend: bucket.container, **bucket.names}
        decision = decision_of(services, bucket)
        found = [(name, names[name]) for name in decision.order if name in names][: decision.wanted]
    return tuple(dict.fromkeys(place for place in found if keeps_manifests(services, *place)))


def keeps_manifests(services: Services, backend: str, container: str) -> bool:
    """Whether a container can hold manifests; those of local backends hold blobs alone."""
    target = services.backends.get(backend)
    return target is not None and target.blobs(container).features.metadata


def places_of(services: Services, record: ObjectRecord) -> dict[str, tuple[BlobRef, ...]]:
    """All places of a version's blobs, by the ids that its record has for them."""
    return {blob.id: services.catalog.places_of(blob) for blob in record.blobs}
