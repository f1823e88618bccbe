"""XML documents of S3: escaping, errors, and the answers about the service and its buckets.

Documents are built as text: an element tree costs ten times as much for a listing of 1,000 keys.
Objects' documents are in xml_objects.py, listings' in xml_listings.py.

Characters that XML 1.0 forbids (C0 controls, U+FFFE, U+FFFF) leave as numeric references, as from
S3: a strict parser refuses that one document, but the document itself is not cut or bent. With
encoding-type=url there are none. Where a name is only repeated to whoever sent it, in errors and
results of uploads, U+FFFD stands for them: a client must learn the code, or the upload's id.
"""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from s3proxy.s3.time import iso8601

if TYPE_CHECKING:
    from s3proxy.s3.errors import S3Error

DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
NAMESPACE: Final = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
SCHEMA_INSTANCE: Final = "http://www.w3.org/2001/XMLSchema-instance"

_SPECIAL: Final = re.compile('[&<>"\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]')
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_REFERENCES: Final = {
    **{code: f"&#x{code:x};" for code in (*range(0x20), *range(0x7F, 0xA0), 0xFFFE, 0xFFFF)},
    ord("\t"): "\t",
    ord("\n"): "\n",
    ord("\r"): "&#13;",
    ord("&"): "&amp;",
    ord("<"): "&lt;",
    ord(">"): "&gt;",
    ord('"'): "&quot;",
}


class Owner(msgspec.Struct, frozen=True):
    """A user as documents name one."""

    id: str
    display_name: str


class BucketEntry(msgspec.Struct, frozen=True):
    """A bucket in ListBuckets."""

    name: str
    created_ns: int
    region: str = ""


def escape(text: str) -> str:
    """Text as element content or attribute value."""
    return text.translate(_REFERENCES) if _SPECIAL.search(text) is not None else text


def element(name: str, text: str) -> str:
    """An element with escaped text."""
    return f"<{name}>{escape(text)}</{name}>"


def readable_element(name: str, text: str) -> str:
    """An element that every parser reads, with U+FFFD for what XML forbids."""
    return element(name, _FORBIDDEN.sub("\ufffd", text))


def document(root: str, content: str) -> bytes:
    """A whole document with S3's namespace."""
    return f"{DECLARATION}<{root}{NAMESPACE}>{content}</{root}>".encode()


def document_around(root: str, before: str, rows: bytes, after: str) -> bytes:
    """A whole document whose middle is encoded already."""
    return b"".join(
        (
            f"{DECLARATION}<{root}{NAMESPACE}>{before}".encode(),
            rows,
            f"{after}</{root}>".encode(),
        )
    )


def owner_element(owner: Owner, name: str = "Owner") -> str:
    """Owner or Initiator."""
    return (
        f"<{name}><ID>{escape(owner.id)}</ID>"
        f"<DisplayName>{escape(owner.display_name)}</DisplayName></{name}>"
    )


def error(error: "S3Error", resource: str, request_id: str, host_id: str = "") -> bytes:
    """The document of an error; alone of all it has no namespace, as from S3.

    Args:
        resource: path of the request, as sent.
        host_id: stands for S3's second request id; the request id when empty.
    """
    fields: Mapping[str, str] = {
        "Code": error.code,
        "Message": error.message,
        **error.fields,
        "Resource": error.fields.get("Resource", resource),
        "RequestId": request_id,
        "HostId": host_id or request_id,
    }
    content = "".join(readable_element(name, text) for name, text in fields.items())
    return f"{DECLARATION}<Error>{content}</Error>".encode()


def list_buckets(
    buckets: Iterable[BucketEntry], owner: Owner, *, prefix: str = "", next_token: str = ""
) -> bytes:
    """ListAllMyBucketsResult; next_token only when the list is cut short."""
    entries = [
        "<Bucket>"
        + element("Name", bucket.name)
        + element("CreationDate", iso8601(bucket.created_ns))
        + (element("BucketRegion", bucket.region) if bucket.region else "")
        + "</Bucket>"
        for bucket in buckets
    ]
    content = f"{owner_element(owner)}<Buckets>{''.join(entries)}</Buckets>"
    if prefix:
        content += element("Prefix", prefix)
    if next_token:
        content += element("ContinuationToken", next_token)
    return document("ListAllMyBucketsResult", content)


def location(region: str) -> bytes:
    """LocationConstraint; us-east-1 is the empty one."""
    return document("LocationConstraint", "" if region == "us-east-1" else escape(region))


def versioning(status: str) -> bytes:
    """VersioningConfiguration; empty for a bucket that never had versions."""
    return document("VersioningConfiguration", element("Status", status) if status else "")
