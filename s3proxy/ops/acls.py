"""Access control lists: GetBucketAcl, PutBucketAcl, GetObjectAcl, PutObjectAcl, and of new objects.

Where the bucket's owner owns every object (BucketOwnerEnforced), there are none: what is asked for
can only be that the owner has full control.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from s3proxy.catalog.records import ObjectRecord
from s3proxy.http.handler import Response
from s3proxy.ops.bucket_access import ACL
from s3proxy.ops.call import LookedAt
from s3proxy.ops.payload_source import read_document
from s3proxy.ops.resolve import XML_HEADERS, find_user, open_namespace, open_target
from s3proxy.ops.versions import find_object, require_object, version_header
from s3proxy.s3.acl import (
    FULL_CONTROL,
    Acl,
    Grant,
    Owners,
    is_public,
    pack,
    parse_acl_headers,
    unpack,
)
from s3proxy.s3.errors import S3Error
from s3proxy.s3.xml_acl import (
    ACL_BYTES_MAX,
    PREFERRED,
    PublicAccessBlock,
    access_control_policy,
    read_acl,
)

if TYPE_CHECKING:
    from s3proxy.ops.bucket_access import Access
    from s3proxy.ops.call import Call
    from s3proxy.s3.headers import Headers

_TO_OWNER = "bucket-owner-full-control"


async def get_bucket_acl(call: Call) -> Response:
    """GetBucketAcl."""
    access = call.access
    acl = Owners(access.owner_id).private if access.enforced else access.acl
    return acl_response(call, acl, access.owner_id, [])


async def put_bucket_acl(call: Call) -> Response:
    """PutBucketAcl.

    Raises:
        S3Error: AccessControlListNotSupported; AccessDenied for a public one where these are
            blocked; what is wrong with headers or document.
    """
    owners = Owners(call.access.owner_id)
    acl = await sent_acl(call, owners)
    await call.services.catalog.put_bucket_config(call.bucket, ACL, pack(acl, owners))
    return Response(200)


async def get_object_acl(call: Call) -> Response:
    """GetObjectAcl.

    Raises:
        S3Error: NoSuchKey, NoSuchVersion.
    """
    record = await find_object(call, open_namespace(call.services, call.bucket))
    access = call.access
    owner = access.owner_id if access.enforced else record.owner or access.owner_id
    acl = unpack(b"" if access.enforced else record.acl, owner)
    return acl_response(call, acl, owner, version_header(call.bucket, record))


async def put_object_acl(call: Call) -> Response:
    """PutObjectAcl: changes neither ETag nor Last-Modified.

    Raises:
        S3Error: NoSuchKey, NoSuchVersion; as PutBucketAcl.
    """
    namespace = open_target(call)
    found = await find_object(call, namespace)
    bucket_owner = call.access.owner_id
    owners = Owners(found.owner or bucket_owner, bucket_owner)
    acl = pack(await sent_acl(call, owners), owners)
    version_id = call.route.query.get("versionId", "")

    def change(record: ObjectRecord) -> ObjectRecord:
        (call.target or LookedAt(found)).require(record)
        return msgspec.structs.replace(record, acl=acl)

    changed = await namespace.update(call.route.key, change, version_id)
    return Response(200, version_header(call.bucket, require_object(call, changed)))


def acl_of_write(call: Call) -> tuple[str, bytes]:
    """Owner and ACL of the object that a request is to make, as they are kept in its record.

    Raises:
        S3Error: AccessControlListNotSupported, AccessDenied; what is wrong with the headers.
    """
    access = call.access
    if access.enforced:
        if not call.route.plain:
            check_owner_alone(call)
        return "", b""
    identity, headers = call.sender.identity, call.route.headers
    # What nobody signed is the bucket owner's: nobody else could prove to have written it.
    owned = access.owned_by(identity) or identity.anonymous
    writer = "" if owned else identity.user_id
    if call.route.plain:
        return writer, b""
    if access.ownership == PREFERRED and headers.get(b"x-amz-acl") == _TO_OWNER:
        writer = ""
    owners = Owners(writer or access.owner_id, access.owner_id)
    acl = parse_acl_headers(headers, owners, knows_user(call))
    if acl is None:
        return writer, b""
    check_public(access.block, acl)
    return writer, pack(acl, owners)


def check_public(block: PublicAccessBlock, acl: Acl) -> None:
    """Refuse a public ACL where these are blocked.

    Raises:
        S3Error: AccessDenied.
    """
    if block.block_public_acls and is_public(acl):
        message = (
            "User: is not authorized to set a public ACL because public ACLs are prevented by the"
            " BlockPublicAcls setting in S3 Block Public Access."
        )
        raise S3Error("AccessDenied", message)


def knows_user(call: Call) -> Callable[[str], bool]:
    """Whether a grant may name the user of an id: one of the tenant, or the bucket's owner."""
    tenant = call.sender.identity.tenant

    def known(user_id: str) -> bool:
        user = call.services.catalog.get_user_by_id(user_id)
        return user_id == tenant or (user is not None and user.tenant == tenant)

    return known


def acl_response(call: Call, acl: Acl, owner: str, headers: list[tuple[str, str]]) -> Response:
    """The answer that tells an ACL.

    Args:
        owner: user id of the owner of the bucket or object.
        headers: beside the document's.
    """

    def name_of(user_id: str) -> str:
        return find_user(call, user_id).display_name

    document = access_control_policy(acl, find_user(call, owner), name_of)
    return Response(200, [*XML_HEADERS, *headers], document)


async def sent_acl(call: Call, owners: Owners) -> Acl:
    """The ACL of a request that puts one: in its headers, or its document.

    Raises:
        S3Error: AccessControlListNotSupported, AccessDenied, UnexpectedContent,
            MissingSecurityHeader; what is wrong with headers or document.
    """
    headers, access = call.route.headers, call.access
    document = await read_document(call, ACL_BYTES_MAX)
    acl = parse_acl_headers(headers, owners, knows_user(call))
    if acl is not None and document:
        raise S3Error("UnexpectedContent")
    if acl is None and not document:
        raise S3Error("MissingSecurityHeader", MissingHeaderName="x-amz-acl")
    if acl is None:
        acl = read_acl(document, owners, knows_user(call))
    if access.enforced and not _is_owner_alone(headers, acl, access):
        raise S3Error("AccessControlListNotSupported")
    check_public(access.block, acl)
    return acl


def check_owner_alone(call: Call) -> None:
    """Refuse a write, where ACLs are off, that asks for more than full control of the owner.

    That is what `private` means where the owner writes; old clients say so whenever they write.

    Raises:
        S3Error: AccessControlListNotSupported.
    """
    headers, access, identity = call.route.headers, call.access, call.sender.identity
    writer = access.owner_id if access.owned_by(identity) else identity.user_id
    acl = parse_acl_headers(headers, Owners(writer, access.owner_id), lambda user_id: True)
    wanted = (None, (Grant(access.owner_id, FULL_CONTROL),))
    if headers.get(b"x-amz-acl") != _TO_OWNER and acl not in wanted:
        raise S3Error("AccessControlListNotSupported")


def _is_owner_alone(headers: Headers, acl: Acl, access: Access) -> bool:
    """Whether it is AWS's `bucket-owner-full-control`, or the same spelled out."""
    name = headers.get(b"x-amz-acl")
    if name is not None:
        return name == _TO_OWNER
    return acl == (Grant(access.owner_id, FULL_CONTROL),)
