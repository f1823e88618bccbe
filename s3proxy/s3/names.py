"""What a bucket, a key and a version id may be called.

Source: Amazon S3 User Guide, "General purpose bucket naming rules" and "Naming Amazon S3 objects".
"""

import re
from functools import lru_cache
from typing import Final

from s3proxy.s3.errors import S3Error, invalid_argument

KEY_BYTES_MAX: Final = 1024

_CREATABLE: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{1,61})[a-z0-9]", re.ASCII)
# Buckets made before 2018 in us-east-1, and other servers' buckets, have upper case and
# underscores.
_ADDRESSABLE: Final = re.compile(r"[A-Za-z0-9._-]{3,255}", re.ASCII)
_ADDRESS: Final = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}", re.ASCII)
_RESERVED_PREFIXES: Final = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES: Final = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
_VERSION_ID: Final = re.compile(r"[A-Za-z0-9._-]{32}", re.ASCII)
# A provider's may look otherwise; they pass.
_OPAQUE_ID: Final = re.compile(r"[!-~]{1,1024}", re.ASCII)


def check_bucket_name(name: str) -> None:
    """Check the name of a bucket to be made.

    Raises:
        S3Error: InvalidBucketName.
    """
    if not is_creatable_bucket(name):
        raise S3Error("InvalidBucketName", BucketName=name)


@lru_cache(maxsize=1024)
def is_addressable_bucket(name: str) -> bool:
    """Whether a bucket of this name could exist: wider than what may be made."""
    return _ADDRESSABLE.fullmatch(name) is not None


@lru_cache(maxsize=256)
def is_creatable_bucket(name: str) -> bool:
    """Whether a bucket of this name may be made."""
    return (
        _CREATABLE.fullmatch(name) is not None
        and ".." not in name
        and ".-" not in name
        and "-." not in name
        and _ADDRESS.fullmatch(name) is None
        and not name.startswith(_RESERVED_PREFIXES)
        and not name.endswith(_RESERVED_SUFFIXES)
    )


def check_key(key: str) -> None:
    """Check an object key: 1 to 1,024 bytes of UTF-8. Everything else about it is kept verbatim.

    Raises:
        S3Error: KeyTooLongError, InvalidURI (not UTF-8), UserKeyMustBeSpecified (empty).
    """
    if not key:
        raise S3Error("UserKeyMustBeSpecified", "The object key must be specified.")
    if len(key) <= KEY_BYTES_MAX // 4:
        return
    size_bytes = len(key) if key.isascii() else len(key.encode())
    if size_bytes > KEY_BYTES_MAX:
        raise S3Error("KeyTooLongError", Size=str(size_bytes), MaxSizeAllowed=str(KEY_BYTES_MAX))


def check_version_id(version_id: str) -> None:
    """Check what a request gives as a version id; whether there is such a version shows later.

    Raises:
        S3Error: InvalidArgument.
    """
    if not version_id:
        message = "Version id cannot be the empty string"
        raise invalid_argument(message, "versionId", "")
    if _OPAQUE_ID.fullmatch(version_id) is None:
        raise invalid_version_id(version_id)


def no_such_version(key: str, version_id: str) -> S3Error:
    """NoSuchVersion, or InvalidArgument for what S3 gives to no version."""
    if not could_be_version_id(version_id):
        return invalid_version_id(version_id)
    return S3Error("NoSuchVersion", Key=key, VersionId=version_id)


def could_be_version_id(version_id: str) -> bool:
    """Whether S3 could have given this id to a version."""
    return version_id == "null" or _VERSION_ID.fullmatch(version_id) is not None


def invalid_version_id(version_id: str) -> S3Error:
    """InvalidArgument for a version id."""
    return invalid_argument("Invalid version id specified", "versionId", version_id)
