"""x-amz-copy-source: which object a copy reads."""

import msgspec

from s3proxy.s3.errors import S3Error, invalid_argument
from s3proxy.s3.headers import Headers
from s3proxy.s3.names import check_key, check_version_id, is_addressable_bucket
from s3proxy.s3.uri import percent_decode


class CopySource(msgspec.Struct, frozen=True):
    """The object to read."""

    bucket: str
    key: str
    version_id: str = ""


def parse_copy_source(headers: Headers) -> CopySource:
    """Read x-amz-copy-source: `bucket/key`, percent-encoded, with or without a leading slash.

    A version is named by `?versionId=` behind it.

    Raises:
        S3Error: InvalidArgument, KeyTooLongError; NotImplemented for the ARN of an
            access point.
    """
    name = "x-amz-copy-source"
    value = headers.get(name.encode()) or ""
    path, _, version_id = value.partition("?versionId=")
    if path.startswith("arn:"):
        message = "Copy sources named by ARN are not implemented."
        raise S3Error("NotImplemented", message, Header=name)
    try:
        decoded = percent_decode(path.encode("latin-1"))
    except S3Error:
        raise invalid_argument("Copy Source must be URL-encoded UTF-8", name, value) from None
    bucket, _, key = decoded.removeprefix("/").partition("/")
    if not bucket or not key:
        message = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"
        raise invalid_argument(message, name, value)
    if not is_addressable_bucket(bucket):
        raise invalid_argument("Invalid copy source bucket name", name, value)
    check_key(key)
    if "?versionId=" in value:
        check_version_id(version_id)
    return CopySource(bucket, key, version_id)
