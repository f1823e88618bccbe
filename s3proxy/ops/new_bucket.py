"""What a new bucket has from the start: ownership, public access block and ACL.

By default, as on AWS since April 2023, ACLs are off and public access is blocked. Where the
operator has chosen another ownership, buckets are as they were before: nothing is blocked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3proxy.ops.acls import check_public, knows_user
from s3proxy.ops.bucket_access import ACL, OWNERSHIP, PUBLIC_ACCESS_BLOCK
from s3proxy.s3.acl import Acl, Owners, pack, parse_acl_headers
from s3proxy.s3.errors import S3Error, invalid_argument
from s3proxy.s3.xml_acl import (
    ALL_BLOCKED,
    ENFORCED,
    OWNERSHIPS,
    WRITER,
    PublicAccessBlock,
    ownership_controls,
    public_access_block,
)

if TYPE_CHECKING:
    from s3proxy.catalog.records import BucketRecord
    from s3proxy.ops.call import Call

_HEADER = "x-amz-object-ownership"


def first_configs(ownership: str, default: str) -> dict[str, bytes]:
    """The configurations of a bucket that nobody has asked anything for, but its ownership.

    Args:
        ownership: ObjectOwnership; "" takes the default.
        default: the operator's.
    """
    configs = {}
    if ownership or default != WRITER:
        configs[OWNERSHIP] = ownership_controls(ownership or default)
    if default == ENFORCED:
        configs[PUBLIC_ACCESS_BLOCK] = public_access_block(ALL_BLOCKED)
    return configs


def configs_of_new_bucket(call: Call) -> dict[str, bytes]:
    """The configurations that a CreateBucket asks for, by its headers.

    Raises:
        S3Error: InvalidArgument, InvalidBucketAclWithObjectOwnership; AccessDenied for a public
            ACL, as public access is blocked from the start.
    """
    default = call.services.settings.default_ownership
    ownership = call.route.headers.get(_HEADER.encode())
    if ownership is not None and ownership not in OWNERSHIPS:
        raise invalid_argument("Invalid x-amz-object-ownership header", _HEADER, ownership)
    configs = first_configs(ownership or "", default)
    owners = Owners(call.sender.identity.user_id)
    acl = _asked_for(call, owners)
    if acl == owners.private:
        return configs
    if (ownership or default) == ENFORCED:
        raise S3Error("InvalidBucketAclWithObjectOwnership")
    check_public(ALL_BLOCKED if PUBLIC_ACCESS_BLOCK in configs else PublicAccessBlock(), acl)
    configs[ACL] = pack(acl, owners)
    return configs


async def put_first_acl(call: Call, bucket: BucketRecord) -> None:
    """Give a bucket that its owner makes again the ACL which the request asks for.

    Raises:
        S3Error: InvalidBucketAclWithObjectOwnership, AccessDenied.
    """
    access = call.services.access.find(bucket)
    owners = Owners(access.owner_id)
    acl = _asked_for(call, owners)
    if acl == access.acl:
        return
    if access.enforced:
        raise S3Error("InvalidBucketAclWithObjectOwnership")
    check_public(access.block, acl)
    await call.services.catalog.put_bucket_config(bucket, ACL, pack(acl, owners))


def _asked_for(call: Call, owners: Owners) -> Acl:
    acl = parse_acl_headers(call.route.headers, owners, knows_user(call))
    return owners.private if acl is None else acl
