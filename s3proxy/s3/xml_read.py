"""XML that clients send, read with a hardened parser.

No document type, no entities, no external anything; bounds on bytes, depth and elements. Namespaces
are ignored, as by S3; unknown elements are passed over where S3 does so.
"""

from collections.abc import Collection
from itertools import pairwise
from typing import Final
from xml.etree.ElementTree import ParseError

import msgspec
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from s3proxy.s3.checksums import DIGEST_BYTES, element_name
from s3proxy.s3.conditions import unquote_etag
from s3proxy.s3.errors import S3Error, invalid_argument
from s3proxy.s3.xml import SCHEMA_INSTANCE

# 1,000 keys of 1,024 bytes fit even when every byte is a reference of six characters.
DELETE_BYTES_MAX: Final = 8 * 2**20
DELETE_KEYS_MAX: Final = 1000
COMPLETE_BYTES_MAX: Final = 4 * 2**20
COMPLETE_PARTS_MAX: Final = 10_000
CONFIGURATION_BYTES_MAX: Final = 64 * 1024
_TYPE: Final = f"{{{SCHEMA_INSTANCE}}}type"
_DEPTH_MAX: Final = 8
# 10,000 parts of a number, an ETag and five checksums.
_ELEMENTS_MAX: Final = 100_000
_CHECKSUM_ELEMENTS: Final = {element_name(algorithm): algorithm for algorithm in DIGEST_BYTES}


class Node(msgspec.Struct):
    """An element: its local name, its text and its children in order; `kind` is its xsi:type."""

    name: str
    text: str
    children: list["Node"]
    kind: str = ""

    def child_text(self, name: str) -> str | None:
        """Text of the first child of that name; None when there is none."""
        for child in self.children:
            if child.name == name:
                return child.text
        return None


class DeleteEntry(msgspec.Struct, frozen=True):
    """One key of DeleteObjects.

    Attributes:
        etag: the ETag the object must have, without quotes; None: unconditional.
        unsupported: element of a condition that general purpose buckets do not have; "" for none.
    """

    key: str
    version_id: str = ""
    etag: str | None = None
    unsupported: str = ""


class DeleteRequest(msgspec.Struct, frozen=True):
    """Body of DeleteObjects."""

    entries: list[DeleteEntry]
    quiet: bool


class CompletedPart(msgspec.Struct, frozen=True):
    """One part of CompleteMultipartUpload; checksums by algorithm, in base64."""

    number: int
    etag: str
    checksums: dict[str, str]


def read_create_bucket(body: bytes) -> str:
    """The LocationConstraint of CreateBucketConfiguration; "" for none or an empty body.

    Raises:
        S3Error: MalformedXML; NotImplemented for directory buckets and tags.
    """
    if not body:
        return ""
    root = parse(body, "CreateBucketConfiguration", CONFIGURATION_BYTES_MAX)
    for child in root.children:
        if child.name in ("Location", "Bucket", "Tags") and (child.children or child.text.strip()):
            message = f"{child.name} of CreateBucketConfiguration is not implemented."
            raise S3Error("NotImplemented", message, Element=child.name)
    return (root.child_text("LocationConstraint") or "").strip()


def read_versioning(body: bytes) -> str:
    """The Status of a VersioningConfiguration: "Enabled" or "Suspended".

    Raises:
        S3Error: MalformedXML, IllegalVersioningConfigurationException; NotImplemented (MFA delete).
    """
    root = parse(body, "VersioningConfiguration", CONFIGURATION_BYTES_MAX)
    if (root.child_text("MfaDelete") or "").strip() not in ("", "Disabled"):
        raise S3Error("NotImplemented", "MFA delete is not implemented.", Element="MfaDelete")
    status = root.child_text("Status")
    if status is None:
        raise S3Error("IllegalVersioningConfigurationException")
    if status not in ("Enabled", "Suspended"):
        raise S3Error("MalformedXML")
    return status


def read_delete(body: bytes) -> DeleteRequest:
    """Body of DeleteObjects: 1 to 1,000 keys.

    Raises:
        S3Error: MalformedXML.
    """
    root = parse(body, "Delete", DELETE_BYTES_MAX)
    entries = [_delete_entry(child) for child in root.children if child.name == "Object"]
    if not 0 < len(entries) <= DELETE_KEYS_MAX:
        raise S3Error("MalformedXML")
    quiet = (root.child_text("Quiet") or "").strip().lower() == "true"
    return DeleteRequest(entries, quiet)


def read_complete(body: bytes) -> list[CompletedPart]:
    """Body of CompleteMultipartUpload: 1 to 10,000 parts in ascending order of number.

    Raises:
        S3Error: MalformedXML, InvalidArgument, InvalidPartOrder.
    """
    root = parse(body, "CompleteMultipartUpload", COMPLETE_BYTES_MAX)
    parts = [_completed_part(child) for child in root.children if child.name == "Part"]
    if not 0 < len(parts) <= COMPLETE_PARTS_MAX:
        raise S3Error("MalformedXML")
    if any(part.number <= before.number for before, part in pairwise(parts)):
        raise S3Error("InvalidPartOrder")
    return parts


def parse(body: bytes, root: str, bytes_max: int) -> Node:
    """Parse a document whose root has the given local name.

    Raises:
        S3Error: MalformedXML; MaxMessageLengthExceeded over bytes_max.
    """
    if len(body) > bytes_max:
        raise S3Error("MaxMessageLengthExceeded", MaxMessageLengthBytes=str(bytes_max))
    builder = _Builder()
    parser = DefusedXMLParser(target=builder, forbid_dtd=True)
    try:
        parser.feed(body)
        parser.close()
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise S3Error("MalformedXML") from None
    if builder.root is None or builder.root.name != root:
        raise S3Error("MalformedXML")
    return builder.root


def single_children(
    node: Node, names: Collection[str], *, repeated: Collection[str] = ()
) -> dict[str, Node]:
    """The children by name, each of which may be there once.

    Args:
        repeated: names of further children, of any number, that are not in the answer.
    Raises:
        S3Error: MalformedXML for an unknown child, or one that is there twice.
    """
    found: dict[str, Node] = {}
    for child in node.children:
        if child.name in repeated:
            continue
        if child.name not in names or child.name in found:
            raise S3Error("MalformedXML")
        found[child.name] = child
    return found


class _Builder:
    """Target of the parser: a tree of nodes, bounded while it grows."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self._open: list[Node] = []
        self._texts: list[list[str]] = []
        self._elements = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if len(self._open) == _DEPTH_MAX or self._elements > _ELEMENTS_MAX:
            raise ValueError("document too deep or too large")
        node = Node(tag.rpartition("}")[2], "", [], attributes.get(_TYPE, ""))
        if self._open:
            self._open[-1].children.append(node)
        else:
            self.root = node
        self._open.append(node)
        self._texts.append([])

    def data(self, text: str) -> None:
        self._texts[-1].append(text)

    def end(self, tag: str) -> None:
        self._open.pop().text = "".join(self._texts.pop())

    def close(self) -> None:
        """Nothing is left to do."""


def _delete_entry(node: Node) -> DeleteEntry:
    key = node.child_text("Key")
    if not key:
        raise S3Error("MalformedXML")
    etag = node.child_text("ETag")
    unsupported = [
        name for name in ("LastModifiedTime", "Size") if node.child_text(name) is not None
    ]
    return DeleteEntry(
        key,
        node.child_text("VersionId") or "",
        None if etag is None else unquote_etag(etag),
        "".join(unsupported[:1]),
    )


def _completed_part(node: Node) -> CompletedPart:
    text = (node.child_text("PartNumber") or "").strip()
    etag = (node.child_text("ETag") or "").strip()
    if not etag or not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise S3Error("MalformedXML")
    number = int(text)
    if not 1 <= number <= COMPLETE_PARTS_MAX:
        message = "Part number must be an integer between 1 and 10000, inclusive"
        raise invalid_argument(message, "partNumber", text)
    checksums = {
        _CHECKSUM_ELEMENTS[child.name]: child.text.strip()
        for child in node.children
        if child.name in _CHECKSUM_ELEMENTS and child.text.strip()
    }
    return CompletedPart(number, unquote_etag(etag), checksums)
