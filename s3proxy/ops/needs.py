"""Which actions a request needs beside the one of its operation, and on what.

Source: Amazon S3 User Guide, "Required permissions for Amazon S3 API operations".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from s3proxy.s3.acl import has_acl_headers
from s3proxy.s3.copy_source import CopySource
from s3proxy.s3.tagging import parse_tagging_directive

if TYPE_CHECKING:
    from s3proxy.ops.bucket_access import Access
    from s3proxy.ops.call import Call
    from s3proxy.s3.headers import Headers

COPIES: Final = frozenset({"copy_object", "upload_part_copy"})
# What becomes an object with the tags and the ACL that the request names.
_WRITES: Final = frozenset({"copy_object", "create_multipart_upload", "post_object", "put_object"})
# An action -> the one on a version that the request names.
_OF_VERSION: Final = {
    **{
        f"s3:{verb}Object{noun}": f"s3:{verb}ObjectVersion{noun}"
        for verb, nouns in (
            ("Get", ("", "Acl", "Attributes", "Tagging", "Torrent")),
            ("Put", ("Acl", "Tagging")),
            ("Delete", ("", "Tagging")),
        )
        for noun in nouns
    },
}
_LOCKS: Final = {
    b"x-amz-object-lock-mode": "s3:PutObjectRetention",
    b"x-amz-object-lock-retain-until-date": "s3:PutObjectRetention",
    b"x-amz-object-lock-legal-hold": "s3:PutObjectLegalHold",
}


class Need(msgspec.Struct, frozen=True):
    """An action and the object it concerns.

    Attributes:
        key: "" for the bucket itself.
        being_written: the object is what the request is to make.
    """

    action: str
    key: str = ""
    version_id: str = ""
    being_written: bool = False


def of_version(action: str, version_id: str) -> str:
    """The action as it is called where the request names a version."""
    return _OF_VERSION.get(action, action) if version_id else action


def needs_of(call: Call, action: str) -> list[Need]:
    """What the sender needs in the bucket of the request; the action of the operation first."""
    route = call.route
    operation, key, headers = route.operation, route.key, route.headers
    version_id = route.query.get("versionId", "")
    needs = [Need(of_version(action, version_id), key, version_id)]
    if operation == "get_object_attributes":
        needs.append(Need(of_version("s3:GetObject", version_id), key, version_id))
    if operation in _WRITES and not route.plain:
        needs += _of_write(call, key, headers)
    bypass = headers.get(b"x-amz-bypass-governance-retention") or ""
    if bypass.lower() == "true" and operation != "delete_objects":
        needs.append(Need("s3:BypassGovernanceRetention", key))
    return needs


def needs_of_source(headers: Headers, source: CopySource, *, tagged: bool) -> list[Need]:
    """What the sender of a copy needs in the bucket of the source.

    Args:
        tagged: the copy takes tags along.
    """
    version_id = source.version_id
    needs = [Need(of_version("s3:GetObject", version_id), source.key, version_id)]
    if tagged and parse_tagging_directive(headers) != "REPLACE":
        action = of_version("s3:GetObjectTagging", version_id)
        needs.append(Need(action, source.key, version_id))
    return needs


def needs_for_acl(headers: Headers, access: Access) -> bool:
    """Whether the headers grant something to others than the bucket's owner and the writer.

    To let the bucket's owner have what is written is no change that it would have to allow.
    """
    if not has_acl_headers(headers):
        return False
    name = headers.get(b"x-amz-acl")
    if name is not None:
        return name not in ("private", "bucket-owner-read", "bucket-owner-full-control")
    owner = access.owner_id
    return any(
        item.strip().replace('"', "") != f"id={owner}"
        for _, value in headers.prefixed(b"x-amz-grant-")
        for item in value.split(",")
    )


def _of_write(call: Call, key: str, headers: Headers) -> list[Need]:
    needs = []
    if headers.get(b"if-match") is not None:
        needs.append(Need("s3:GetObject", key))
    if needs_for_acl(headers, call.access):
        needs.append(Need("s3:PutObjectAcl", key, being_written=True))
    if headers.get(b"x-amz-tagging"):
        needs.append(Need("s3:PutObjectTagging", key, being_written=True))
    locks = {action for name, action in _LOCKS.items() if headers.get(name) is not None}
    needs += [Need(action, key) for action in sorted(locks)]
    return needs
