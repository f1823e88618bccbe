"""What decides on access to a bucket, put, told and removed: policy, ownership, public access.

ACLs are in acls.py; what all of them mean together is in access.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from s3proxy.http.handler import Response
from s3proxy.ops import acls
from s3proxy.ops.bucket_access import OWNERSHIP, POLICY, PUBLIC_ACCESS_BLOCK
from s3proxy.ops.payload_source import read_document
from s3proxy.ops.resolve import XML_HEADERS
from s3proxy.s3.acl import Owners
from s3proxy.s3.errors import S3Error
from s3proxy.s3.policy import POLICY_BODY_BYTES_MAX, is_public, parse_policy
from s3proxy.s3.xml_acl import (
    ENFORCED,
    ownership_controls,
    policy_status,
    public_access_block,
    read_ownership_controls,
    read_public_access_block,
)
from s3proxy.s3.xml_read import CONFIGURATION_BYTES_MAX

if TYPE_CHECKING:
    from s3proxy.ops.call import Call

Function = Callable[["Call"], Awaitable[Response]]
_JSON_HEADERS = [("Content-Type", "application/json")]
_ABSENT = {
    OWNERSHIP: "OwnershipControlsNotFoundError",
    POLICY: "NoSuchBucketPolicy",
    PUBLIC_ACCESS_BLOCK: "NoSuchPublicAccessBlockConfiguration",
}


async def put_bucket_policy(call: Call) -> Response:
    """PutBucketPolicy.

    Raises:
        S3Error: MalformedPolicy; AccessDenied for a public one where these are blocked.
    """
    document = await read_document(call, POLICY_BODY_BYTES_MAX)
    policy = parse_policy(document, bucket=call.bucket.name)
    if call.access.block.block_public_policy and is_public(policy):
        message = (
            "Access Denied: public policies are prevented by the BlockPublicPolicy setting"
            " in S3 Block Public Access."
        )
        raise S3Error("AccessDenied", message)
    await call.services.catalog.put_bucket_config(call.bucket, POLICY, document)
    return Response(204)


async def get_bucket_policy(call: Call) -> Response:
    """GetBucketPolicy: the document as it was sent.

    Raises:
        S3Error: NoSuchBucketPolicy.
    """
    return Response(200, _JSON_HEADERS, _stored(call, POLICY))


async def get_bucket_policy_status(call: Call) -> Response:
    """GetBucketPolicyStatus.

    Raises:
        S3Error: NoSuchBucketPolicy.
    """
    _stored(call, POLICY)
    return Response(200, XML_HEADERS, policy_status(public=call.access.policy_public))


async def put_bucket_ownership_controls(call: Call) -> Response:
    """PutBucketOwnershipControls.

    Raises:
        S3Error: InvalidBucketAclWithObjectOwnership where ACLs would go off that grant something.
    """
    ownership = read_ownership_controls(await read_document(call, CONFIGURATION_BYTES_MAX))
    access = call.access
    if ownership == ENFORCED and access.acl != Owners(access.owner_id).private:
        raise S3Error("InvalidBucketAclWithObjectOwnership")
    document = ownership_controls(ownership)
    await call.services.catalog.put_bucket_config(call.bucket, OWNERSHIP, document)
    return Response(200)


async def put_public_access_block(call: Call) -> Response:
    """PutPublicAccessBlock."""
    block = read_public_access_block(await read_document(call, CONFIGURATION_BYTES_MAX))
    document = public_access_block(block)
    await call.services.catalog.put_bucket_config(call.bucket, PUBLIC_ACCESS_BLOCK, document)
    return Response(200)


def _stored(call: Call, name: str) -> bytes:
    document = call.services.catalog.get_bucket_config(call.bucket, name)
    if document is None:
        raise S3Error(_ABSENT[name], BucketName=call.bucket.name)
    return document


def _tell(name: str) -> Function:
    async def tell(call: Call) -> Response:
        return Response(200, XML_HEADERS, _stored(call, name))

    return tell


def _remove(name: str) -> Function:
    async def remove(call: Call) -> Response:
        await call.services.catalog.delete_bucket_config(call.bucket, name)
        return Response(204)

    return remove


# operation -> (function, action)
ACCESS: dict[str, tuple[Function, str]] = {
    "get_bucket_acl": (acls.get_bucket_acl, "s3:GetBucketAcl"),
    "put_bucket_acl": (acls.put_bucket_acl, "s3:PutBucketAcl"),
    "get_object_acl": (acls.get_object_acl, "s3:GetObjectAcl"),
    "put_object_acl": (acls.put_object_acl, "s3:PutObjectAcl"),
    "get_bucket_policy": (get_bucket_policy, "s3:GetBucketPolicy"),
    "put_bucket_policy": (put_bucket_policy, "s3:PutBucketPolicy"),
    "delete_bucket_policy": (_remove(POLICY), "s3:DeleteBucketPolicy"),
    "get_bucket_policy_status": (get_bucket_policy_status, "s3:GetBucketPolicyStatus"),
    "get_bucket_ownership_controls": (_tell(OWNERSHIP), "s3:GetBucketOwnershipControls"),
    "put_bucket_ownership_controls": (
        put_bucket_ownership_controls,
        "s3:PutBucketOwnershipControls",
    ),
    "delete_bucket_ownership_controls": (_remove(OWNERSHIP), "s3:PutBucketOwnershipControls"),
    "get_public_access_block": (_tell(PUBLIC_ACCESS_BLOCK), "s3:GetBucketPublicAccessBlock"),
    "put_public_access_block": (put_public_access_block, "s3:PutBucketPublicAccessBlock"),
    "delete_public_access_block": (
        _remove(PUBLIC_ACCESS_BLOCK),
        "s3:PutBucketPublicAccessBlock",
    ),
}
