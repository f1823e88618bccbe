"""Inventory reports: lines of CSV, the manifest that names their files, and where all of it lies.

Source: Amazon S3 User Guide, "Locating your inventory list".
"""

import json
import uuid
from collections.abc import Callable, Iterable, Sequence
from time import gmtime, strftime
from typing import Final

import msgspec

from s3proxy.s3.inventory import FIELDS, Inventory
from s3proxy.s3.time import iso8601
from s3proxy.s3.xml_listings import url_encode

_ARN: Final = "arn:aws:s3:::"
_VERSION: Final = "2016-11-30"
_VERSION_COLUMNS: Final = ("VersionId", "IsLatest", "IsDeleteMarker")
# Not of delete markers.
_DATA_FIELDS: Final = frozenset({"Size", "ETag", "StorageClass", "EncryptionStatus"})


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A version as a report tells it.

    Attributes:
        encryption: "SSE-S3", "SSE-C" or "NOT-SSE".
        retain_until_ns, expires_ns: 0 for never.
    """

    bucket: str
    key: str
    version_id: str
    latest: bool
    marker: bool
    size: int
    modified_ns: int
    etag: str
    storage_class: str
    multipart: bool
    encryption: str
    owner: str
    lock_mode: str = ""
    retain_until_ns: int = 0
    legal_hold: str = ""
    checksums: Sequence[str] = ()
    expires_ns: int = 0


class ReportFile(msgspec.Struct, frozen=True):
    """A file of a report; `md5` in hexadecimal."""

    key: str
    size: int
    md5: str


def schema(inventory: Inventory) -> list[str]:
    """The names of the columns."""
    versions = _VERSION_COLUMNS if inventory.all_versions else ()
    return ["Bucket", "Key", *versions, *(name for name in FIELDS if name in inventory.fields)]


def csv_line(line: Line, columns: Sequence[str]) -> str:
    """One line, ended; every value in quotes, the key percent-encoded."""
    return ",".join([f'"{_value(line, name)}"' for name in columns]) + "\n"


def manifest(
    inventory: Inventory, bucket: str, created_ns: int, files: Iterable[ReportFile]
) -> bytes:
    """The manifest.json of a report."""
    content = {
        "sourceBucket": bucket,
        "destinationBucket": _ARN + inventory.target,
        "version": _VERSION,
        "creationTimestamp": str(created_ns // 1_000_000),
        "fileFormat": "CSV",
        "fileSchema": ", ".join(schema(inventory)),
        "files": [{"key": file.key, "size": file.size, "MD5checksum": file.md5} for file in files],
    }
    return json.dumps(content, indent=2, ensure_ascii=False).encode()


def symlinks(inventory: Inventory, files: Iterable[ReportFile]) -> bytes:
    """The symlink.txt of a report: its files, for Hive."""
    return "\n".join(f"s3://{inventory.target}/{file.key}" for file in files).encode()


def report_prefix(inventory: Inventory, bucket: str) -> str:
    """What the keys of all reports of a configuration begin with."""
    prefix = (inventory.prefix or "").rstrip("/")
    return f"{prefix}/{bucket}/{inventory.id}/" if prefix else f"{bucket}/{inventory.id}/"


def data_key(inventory: Inventory, bucket: str, seed: str, number: int) -> str:
    """The key of a data file.

    Args:
        seed: of the report: written again, it takes the place of what was written before.
    """
    name = uuid.uuid5(uuid.NAMESPACE_URL, f"{seed}/{number}")
    return f"{report_prefix(inventory, bucket)}data/{name}.csv.gz"


def manifest_prefix(inventory: Inventory, bucket: str, created_ns: int) -> str:
    """What the keys of manifest.json and manifest.checksum begin with."""
    stamp = strftime("%Y-%m-%dT%H-%MZ", gmtime(created_ns // 1_000_000_000))
    return f"{report_prefix(inventory, bucket)}{stamp}/"


def symlink_key(inventory: Inventory, bucket: str, created_ns: int) -> str:
    """The key of symlink.txt."""
    stamp = strftime("%Y-%m-%d-%H-%M", gmtime(created_ns // 1_000_000_000))
    return f"{report_prefix(inventory, bucket)}hive/dt={stamp}/symlink.txt"


def _value(line: Line, name: str) -> str:
    if line.marker and name in _DATA_FIELDS:
        return ""
    return _COLUMNS[name](line).replace('"', '""')


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _date(ns: int) -> str:
    return iso8601(ns) if ns else ""


_COLUMNS: Final[dict[str, Callable[[Line], str]]] = {
    "Bucket": lambda line: line.bucket,
    "Key": lambda line: url_encode(line.key),
    "VersionId": lambda line: line.version_id,
    "IsLatest": lambda line: _truth(line.latest),
    "IsDeleteMarker": lambda line: _truth(line.marker),
    "Size": lambda line: str(line.size),
    "LastModifiedDate": lambda line: iso8601(line.modified_ns),
    "ETag": lambda line: line.etag,
    "StorageClass": lambda line: line.storage_class,
    "IsMultipartUploaded": lambda line: _truth(line.multipart),
    "ReplicationStatus": lambda line: "",
    "EncryptionStatus": lambda line: line.encryption,
    "ObjectLockRetainUntilDate": lambda line: _date(line.retain_until_ns),
    "ObjectLockMode": lambda line: line.lock_mode,
    "ObjectLockLegalHoldStatus": lambda line: line.legal_hold,
    "IntelligentTieringAccessTier": lambda line: "",
    "BucketKeyStatus": lambda line: "DISABLED" if line.encryption == "SSE-S3" else "",
    "ChecksumAlgorithm": lambda line: " ".join(name.upper() for name in line.checksums),
    "ObjectOwner": lambda line: line.owner,
    "LifecycleExpirationDate": lambda line: _date(line.expires_ns),
}
