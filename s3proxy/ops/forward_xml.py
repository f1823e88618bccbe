"""Names in the endpoint's documents: its bucket, address and owner become the client's."""

from __future__ import annotations

import re
from collections.abc import Mapping

from s3proxy.s3.xml import Owner, escape, owner_element

# Elements that hold the bucket's name, with the operations whose answers have them.
_NAMED = {
    "list_objects": "Name",
    "list_objects_v2": "Name",
    "list_object_versions": "Name",
    "list_multipart_uploads": "Bucket",
    "list_parts": "Bucket",
    "create_multipart_upload": "Bucket",
    "complete_multipart_upload": "Bucket",
}
_OWNED = frozenset({"list_objects", "list_object_versions", "list_multipart_uploads", "list_parts"})
# In keys and names `<` is escaped.
_OWNER = re.compile(rb"<(Owner|Initiator)>.*?</\1>", re.DOTALL)


def names_bucket(operation: str) -> bool:
    """Whether the answer to an operation names the bucket."""
    return operation in _NAMED


def names_owner(operation: str, query: Mapping[str, str]) -> bool:
    """Whether the answer to an operation names the owner of what is in the bucket."""
    if operation == "list_objects_v2":
        return query.get("fetch-owner", "").lower() == "true"
    return operation in _OWNED


def own(document: bytes, owner: Owner) -> bytes:
    """Put the bucket's owner in place of the endpoint's account, which is nobody's here."""
    elements = {
        name: owner_element(owner, name.decode()).encode() for name in (b"Owner", b"Initiator")
    }
    return _OWNER.sub(lambda found: elements[found[1]], document)


def rename(document: bytes, operation: str, *, target: str, bucket: str, location: str) -> bytes:
    """Put the client's name of the bucket in place of the endpoint's.

    The element comes before any key in these documents, and keys are escaped, so the first match is
    the one.

    Args:
        location: URL of the object here, for Location.
    """
    element = _NAMED[operation]
    there = f"<{element}>{escape(target)}</{element}>".encode()
    here = f"<{element}>{escape(bucket)}</{element}>".encode()
    document = document.replace(there, here, 1)
    if operation == "complete_multipart_upload":
        before, opening, rest = document.partition(b"<Location>")
        _, closing, after = rest.partition(b"</Location>")
        if closing:
            document = before + opening + escape(location).encode() + closing + after
    return document
