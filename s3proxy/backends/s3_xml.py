"""Documents that an S3 endpoint answers with, and the one that is sent to it.

Read with the hardened, bounded parser of s3/xml_read.py; what cannot be read raises ValueError.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import unquote_plus
from xml.sax.saxutils import escape

from msgspec import Struct

from s3proxy.s3.errors import S3Error
from s3proxy.s3.listing import ListedObject, ListPage
from s3proxy.s3.xml_read import Node, parse

LIST_BYTES_MAX = 8 << 20  # 1,000 keys of 1,024 bytes, each byte percent-encoded, take 3 MiB
RESULT_BYTES_MAX = 64 << 10


class ErrorAnswer(Struct, frozen=True):
    """An <Error> document."""

    code: str
    message: str
    request_id: str


class CopyAnswer(Struct, frozen=True):
    """A CopyObjectResult or CopyPartResult."""

    etag: str
    modified_ns: int


def read_error(body: bytes) -> ErrorAnswer | None:
    """The error a body stands for; None when it is none, or nothing that can be read."""
    if b"<Error" not in body[:512]:
        return None
    try:
        root = _parse(body, "Error", RESULT_BYTES_MAX)
    except ValueError:
        return None
    return ErrorAnswer(
        code=(root.child_text("Code") or "").strip(),
        message=(root.child_text("Message") or "").strip(),
        request_id=(root.child_text("RequestId") or "").strip(),
    )


def read_upload_id(body: bytes) -> str:
    """UploadId of an InitiateMultipartUploadResult; ValueError."""
    root = _parse(body, "InitiateMultipartUploadResult", RESULT_BYTES_MAX)
    return _required(root, "UploadId")


def read_complete_etag(body: bytes) -> str:
    """ETag of a CompleteMultipartUploadResult; ValueError."""
    root = _parse(body, "CompleteMultipartUploadResult", RESULT_BYTES_MAX)
    return unquote_etag(_required(root, "ETag"))


def read_copy(body: bytes, document: str = "CopyObjectResult") -> CopyAnswer:
    """What a copy made; ValueError."""
    root = _parse(body, document, RESULT_BYTES_MAX)
    modified = root.child_text("LastModified") or ""
    return CopyAnswer(unquote_etag(_required(root, "ETag")), parse_iso8601(modified))


def read_list(body: bytes) -> ListPage:
    """A ListBucketResult (version 2); keys are decoded where the endpoint encoded them.

    Raises:
        ValueError.
    """
    root = _parse(body, "ListBucketResult", LIST_BYTES_MAX)
    encoded = (root.child_text("EncodingType") or "").strip() == "url"
    objects = []
    prefixes = []
    for child in root.children:
        if child.name == "Contents":
            objects.append(_listed(child, encoded))
        elif child.name == "CommonPrefixes":
            prefixes.append(_text(child, "Prefix", encoded))
    truncated = (root.child_text("IsTruncated") or "").strip() == "true"
    last = max([entry.key for entry in objects[-1:]] + prefixes[-1:], default="")
    return ListPage(objects, prefixes, truncated and bool(last), last if truncated else "")


def read_buckets(body: bytes) -> list[str]:
    """The names in a ListAllMyBucketsResult; ValueError."""
    root = _parse(body, "ListAllMyBucketsResult", LIST_BYTES_MAX)
    buckets = [child for child in root.children if child.name == "Buckets"]
    return [_required(bucket, "Name") for found in buckets for bucket in found.children]


def write_complete(parts: Sequence[tuple[int, str]]) -> bytes:
    """A CompleteMultipartUpload document for (number, etag) pairs."""
    rows = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{escape(etag)}&quot;</ETag></Part>"
        for number, etag in parts
    )
    namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
    return f'<CompleteMultipartUpload xmlns="{namespace}">{rows}</CompleteMultipartUpload>'.encode()


def write_location(region: str) -> bytes:
    """A CreateBucketConfiguration; empty for us-east-1, whose constraint is none."""
    if region in ("", "us-east-1"):
        return b""
    namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
    constraint = f"<LocationConstraint>{escape(region)}</LocationConstraint>"
    return (
        f'<CreateBucketConfiguration xmlns="{namespace}">{constraint}</CreateBucketConfiguration>'
    ).encode()


def unquote_etag(etag: str) -> str:
    """An ETag without its quotes."""
    return etag.strip().removeprefix('"').removesuffix('"')


def parse_iso8601(text: str) -> int:
    """Nanoseconds since the epoch; 0 for what is no time."""
    try:
        return int(datetime.fromisoformat(text.strip()).timestamp() * 1000) * 1_000_000
    except ValueError:
        return 0


def _parse(body: bytes, root: str, bytes_max: int) -> Node:
    # Leading spaces are what keeps the connection of a long Complete alive.
    try:
        return parse(body.lstrip(), root, bytes_max)
    except S3Error as error:
        raise ValueError(f"not a {root} document: {error.code}") from error


def _listed(node: Node, encoded: bool) -> ListedObject:
    return ListedObject(
        key=_text(node, "Key", encoded),
        size=int(_required(node, "Size")),
        etag=unquote_etag(node.child_text("ETag") or ""),
        modified_ns=parse_iso8601(node.child_text("LastModified") or ""),
        storage_class=(node.child_text("StorageClass") or "").strip() or "STANDARD",
        checksum_algorithm=(node.child_text("ChecksumAlgorithm") or "").strip(),
        checksum_type=(node.child_text("ChecksumType") or "").strip(),
    )


def _text(node: Node, name: str, encoded: bool) -> str:
    text = node.child_text(name)
    if text is None:
        raise ValueError(f"{node.name} without {name}")
    return unquote_plus(text, errors="strict") if encoded else text


def _required(node: Node, name: str) -> str:
    text = (node.child_text(name) or "").strip()
    if not text:
        raise ValueError(f"{node.name} without {name}")
    return text
