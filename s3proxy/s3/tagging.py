"""Tags of objects and buckets: the Tagging document, and the form of the `x-amz-tagging` header.

Source: Amazon S3 User Guide, "Categorizing your objects using tags"; API Reference,
"PutObjectTagging", "PutBucketTagging". A tag has the characters of the service model's pattern,
`[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]`; nothing is trimmed, and case matters.
"""

import unicodedata
from typing import Final

from s3proxy.s3.errors import S3Error, invalid_argument
from s3proxy.s3.headers import Headers
from s3proxy.s3.uri import percent_decode
from s3proxy.s3.xml import document as xml_document
from s3proxy.s3.xml import element
from s3proxy.s3.xml_read import Node, parse

OBJECT_TAGS_MAX: Final = 10
BUCKET_TAGS_MAX: Final = 50
TAG_KEY_CHARACTERS_MAX: Final = 128
TAG_VALUE_CHARACTERS_MAX: Final = 256
# 50 tags of the longest keys and values, every character a reference of ten.
TAGGING_BYTES_MAX: Final = 256 * 1024

_HEADER: Final = "x-amz-tagging"
_DIRECTIVE: Final = "x-amz-tagging-directive"
_RESERVED_PREFIX: Final = "aws:"
_PUNCTUATION: Final = frozenset("_.:/=+-@")
_MAJOR_CATEGORIES: Final = frozenset("LZN")


def parse_tagging(document: bytes, *, tags_max: int) -> dict[str, str]:
    """The tags of a Tagging document, in its order; an empty TagSet gives none.

    Args:
        document: the body, of at most TAGGING_BYTES_MAX bytes.
        tags_max: OBJECT_TAGS_MAX or BUCKET_TAGS_MAX.

    Raises:
        S3Error: MalformedXML; InvalidTag (key, value, duplicate, reserved); BadRequest (too many).
    """
    pairs = read_tagging(document)
    _check_count(len(pairs), tags_max)
    tags: dict[str, str] = {}
    for key, value in pairs:
        _check_tag(key, value)
        if key in tags:
            message = "Cannot provide multiple Tags with the same key"
            raise S3Error("InvalidTag", message, TagKey=key)
        tags[key] = value
    return tags


def read_tagging(document: bytes) -> list[tuple[str, str]]:
    """Keys and values of a Tagging document, unchecked: what others keep is theirs to judge.

    Raises:
        S3Error: MalformedXML.
    """
    root = parse(document, "Tagging", TAGGING_BYTES_MAX)
    if [child.name for child in root.children] != ["TagSet"]:
        raise S3Error("MalformedXML")
    return [_pair(child) for child in root.children[0].children]


def parse_tagging_header(headers: Headers) -> dict[str, str]:
    """The tags that `x-amz-tagging` gives an object: `key=value&key2=value2`, each URL-encoded.

    A key without `=` has an empty value; empty pieces are passed over.

    Raises:
        S3Error: InvalidArgument (encoding, duplicate keys); InvalidTag, also for too many.
    """
    text = headers.get(b"x-amz-tagging")
    return parse_tagging_form(text) if text else {}


def parse_tagging_form(text: str) -> dict[str, str]:
    """The tags in a header's value, which is latin-1 text of its bytes.

    Raises:
        S3Error: as parse_tagging_header.
    """
    pieces = [piece for piece in text.encode("latin-1").split(b"&") if piece]
    tags: dict[str, str] = {}
    for piece in pieces:
        raw_key, _, raw_value = piece.replace(b"+", b" ").partition(b"=")
        try:
            key, value = percent_decode(raw_key), percent_decode(raw_value)
        except S3Error:
            raise _unreadable(text) from None
        if key in tags:
            raise _unreadable(text)
        _check_tag(key, value)
        tags[key] = value
    _check_count(len(tags), OBJECT_TAGS_MAX)
    return dict(sorted(tags.items()))


def parse_tagging_directive(headers: Headers) -> str:
    """x-amz-tagging-directive of a copy: COPY, the default, or REPLACE.

    Raises:
        S3Error: InvalidArgument for another value.
    """
    directive = headers.get(b"x-amz-tagging-directive") or "COPY"
    if directive not in ("COPY", "REPLACE"):
        raise invalid_argument("Unknown tagging directive.", _DIRECTIVE, directive)
    return directive


def tagging(tags: dict[str, str]) -> bytes:
    """The Tagging document of these tags, in their order."""
    rows = (
        f"<Tag>{element('Key', key)}{element('Value', value)}</Tag>" for key, value in tags.items()
    )
    return xml_document("Tagging", f"<TagSet>{''.join(rows)}</TagSet>")


def _pair(node: Node) -> tuple[str, str]:
    """Key and value of a Tag element, which has each once and nothing else."""
    texts = {child.name: child.text for child in node.children if not child.children}
    if node.name != "Tag" or len(node.children) != 2 or texts.keys() != {"Key", "Value"}:
        raise S3Error("MalformedXML")
    return texts["Key"], texts["Value"]


def _check_count(count: int, tags_max: int) -> None:
    if count <= tags_max:
        return
    if tags_max == OBJECT_TAGS_MAX:
        raise S3Error("InvalidTag", f"Object tags cannot be greater than {tags_max}")
    raise S3Error("InvalidTag", f"Bucket tag count cannot be greater than {tags_max}")


def _check_tag(key: str, value: str) -> None:
    if not 0 < len(key) <= TAG_KEY_CHARACTERS_MAX or not _allowed(key):
        raise S3Error("InvalidTag", "The TagKey you have provided is invalid", TagKey=key)
    if key[: len(_RESERVED_PREFIX)].lower() == _RESERVED_PREFIX:
        raise S3Error("InvalidTag", "Your TagKey cannot be prefixed with aws:", TagKey=key)
    if len(value) > TAG_VALUE_CHARACTERS_MAX or not _allowed(value):
        message = "The TagValue you have provided is invalid"
        raise S3Error("InvalidTag", message, TagKey=key, TagValue=value)


def _allowed(text: str) -> bool:
    return all(
        character in _PUNCTUATION or unicodedata.category(character)[0] in _MAJOR_CATEGORIES
        for character in text
    )


def _unreadable(text: str) -> S3Error:
    message = (
        "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters"
        " without tag name duplicates."
    )
    return invalid_argument(message, _HEADER, text)
