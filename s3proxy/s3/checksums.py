"""S3's additional checksums: names, lengths, headers, and those of multipart objects.

Source: Amazon S3 User Guide, "Checking object integrity".
"""

import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from s3proxy._fast.checksum import crc_combine, digest
from s3proxy.s3.errors import S3Error, not_implemented_header

if TYPE_CHECKING:
    from s3proxy.s3.headers import Headers

# Algorithm as it stands in header names -> bytes of its digest.
DIGEST_BYTES: Final[dict[str, int]] = {
    "crc32": 4,
    "crc32c": 4,
    "crc64nvme": 8,
    "sha1": 20,
    "sha256": 32,
}
HEADER_PREFIX: Final = "x-amz-checksum-"
_NOT_VALUES: Final = frozenset({"algorithm", "mode", "type"})
_UNSUPPORTED: Final = frozenset({"md5", "sha512", "xxhash64", "xxhash3", "xxhash128"})
# Checksum types a multipart upload may have, the default first.
MULTIPART_TYPES: Final[dict[str, tuple[str, ...]]] = {
    "crc32": ("COMPOSITE", "FULL_OBJECT"),
    "crc32c": ("COMPOSITE", "FULL_OBJECT"),
    "crc64nvme": ("FULL_OBJECT",),
    "sha1": ("COMPOSITE",),
    "sha256": ("COMPOSITE",),
}


def element_name(algorithm: str) -> str:
    """Element of a checksum in XML: ChecksumCRC32C."""
    return "Checksum" + algorithm.upper()


def header_name(algorithm: str) -> str:
    """Header of a checksum: x-amz-checksum-crc32c."""
    return HEADER_PREFIX + algorithm


def encode(digest: bytes) -> str:
    """The base64 form in which checksums are sent and stored."""
    return base64.b64encode(digest).decode()


def decode(algorithm: str, value: str) -> bytes | None:
    """Bytes of a base64 checksum; None when it is not one of the algorithm."""
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest if len(digest) == DIGEST_BYTES[algorithm] else None


def parse_checksum_header(headers: "Headers") -> tuple[str, str] | None:
    """The one checksum a request carries in its headers, as (algorithm, base64); None: none.

    Raises:
        S3Error: InvalidRequest for several; BadDigest for what is no checksum; NotImplemented for
            an algorithm AWS has and this gateway has not.
    """
    found = None
    for name, value in headers.prefixed(HEADER_PREFIX.encode()):
        algorithm = name[len(HEADER_PREFIX) :]
        if algorithm in _NOT_VALUES:
            continue
        if algorithm in _UNSUPPORTED:
            raise not_implemented_header(name)
        if found is not None:
            raise several_checksums()
        if algorithm not in DIGEST_BYTES:
            raise S3Error("InvalidRequest", f"Value for {name} header is invalid.")
        if decode(algorithm, value) is None:  # no body has this checksum
            raise S3Error("BadDigest", f"Value for {name} header is invalid.")
        found = (algorithm, value)
    return found


def parse_trailer_header(headers: "Headers") -> str:
    """Algorithm of the checksum that x-amz-trailer announces; "" when there is no such header.

    Raises:
        S3Error: InvalidRequest.
    """
    value = headers.get(b"x-amz-trailer")
    if value is None:
        return ""
    name = value.strip().lower()
    if name.count(",") and all(
        piece.strip().startswith(HEADER_PREFIX) for piece in name.split(",")
    ):
        raise several_checksums()
    algorithm = name.removeprefix(HEADER_PREFIX)
    if not name.startswith(HEADER_PREFIX) or algorithm not in DIGEST_BYTES:
        message = "The value specified in the x-amz-trailer header is not supported"
        raise S3Error("InvalidRequest", message)
    return algorithm


def parse_algorithm(headers: "Headers", name: str) -> str:
    """Algorithm named by x-amz-sdk-checksum-algorithm or x-amz-checksum-algorithm; "" when absent.

    Raises:
        S3Error: InvalidRequest for an unknown one, NotImplemented for one AWS has.
    """
    value = (headers.get(name.encode()) or "").lower()
    if value in _UNSUPPORTED:
        raise not_implemented_header(name)
    if value and value not in DIGEST_BYTES:
        message = (
            "Checksum algorithm provided is unsupported. Please try again with any of the valid"
            " types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]"
        )
        raise S3Error("InvalidRequest", message)
    return value


def parse_multipart_checksum(headers: "Headers") -> tuple[str, str]:
    """Algorithm and type a new multipart upload asks for; ("", "") when it asks for none.

    Raises:
        S3Error: InvalidRequest for a type without an algorithm, or one the algorithm cannot have.
    """
    algorithm = parse_algorithm(headers, "x-amz-checksum-algorithm")
    checksum_type = (headers.get(b"x-amz-checksum-type") or "").upper()
    if not checksum_type:
        return (algorithm, MULTIPART_TYPES[algorithm][0]) if algorithm else ("", "")
    if not algorithm:
        message = (
            "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm"
            " header."
        )
        raise S3Error("InvalidRequest", message)
    if checksum_type not in ("COMPOSITE", "FULL_OBJECT"):
        raise S3Error("InvalidRequest", "Value for x-amz-checksum-type header is invalid.")
    if checksum_type not in MULTIPART_TYPES[algorithm]:
        message = (
            f"The {checksum_type} checksum type cannot be used with the {algorithm} checksum"
            " algorithm."
        )
        raise S3Error("InvalidRequest", message)
    return algorithm, checksum_type


def composite(algorithm: str, parts: Sequence[str]) -> str:
    """COMPOSITE checksum of a multipart object: the digest of its parts' digests, `-`, their count.

    Args:
        parts: base64 checksums in part order.
    """
    joined = b"".join(base64.b64decode(part) for part in parts)
    return f"{encode(digest(algorithm, joined))}-{len(parts)}"


def full_object(algorithm: str, parts: Iterable[tuple[str, int]]) -> str:
    """FULL_OBJECT checksum from those of consecutive parts, for the CRC algorithms.

    Args:
        parts: (base64 checksum, size in bytes) in part order.
    """
    total = bytes(DIGEST_BYTES[algorithm])
    for value, size in parts:
        total = crc_combine(algorithm, total, base64.b64decode(value), size)
    return encode(total)


def multipart_etag(part_etags: Sequence[str]) -> str:
    """ETag of a multipart object: MD5 over its parts' MD5s, `-`, their count."""
    joined = b"".join(bytes.fromhex(etag) for etag in part_etags)
    return f"{digest('md5', joined).hex()}-{len(part_etags)}"


def several_checksums() -> S3Error:
    """The refusal of more than one checksum in a request."""
    message = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
    return S3Error("InvalidRequest", message)
