"""Whether somebody may do something: one pure decision over policies, ownership and ACLs.

The order (docs/security.md has it with the reasons):

    1. A statement that denies, in the policy of the user or of the bucket, is the last word; only
       the bucket's owner and root can always get, put and delete the bucket's policy.
    2. Root, and what the policy of the user allows.
    3. The owner of the bucket without a policy of its own, but for the objects of others.
    4. What the policy of the bucket allows, of the objects of the bucket's owner.
    5. What ACLs grant, where they are on; whoever began an upload may list and abort it.
    6. Nothing else.

Source: Amazon S3 User Guide, "How Amazon S3 authorizes a request", "Access control list (ACL)
overview", "Blocking public access to your Amazon S3 storage".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from s3proxy.ops.bucket_access import Access
from s3proxy.s3.acl import allows, unpack
from s3proxy.s3.auth import Identity
from s3proxy.s3.policy import Decision, Policy, PolicyRequest, Principal, evaluate

if TYPE_CHECKING:
    from s3proxy.catalog.records import ObjectRecord

Context = Callable[[str], tuple[str, ...]]

# What an ACL grants on the bucket, and on the object.
_OF_BUCKET_ACL: Final = {
    "s3:ListBucket": "READ",
    "s3:ListBucketVersions": "READ",
    "s3:ListBucketMultipartUploads": "READ",
    "s3:PutObject": "WRITE",
    "s3:DeleteObject": "WRITE",
    "s3:GetBucketAcl": "READ_ACP",
    "s3:PutBucketAcl": "WRITE_ACP",
}
_OF_OBJECT_ACL: Final = {
    "s3:GetObject": "READ",
    "s3:GetObjectVersion": "READ",
    "s3:GetObjectAttributes": "READ",
    "s3:GetObjectVersionAttributes": "READ",
    "s3:GetObjectTorrent": "READ",
    "s3:GetObjectAcl": "READ_ACP",
    "s3:GetObjectVersionAcl": "READ_ACP",
    "s3:PutObjectAcl": "WRITE_ACP",
    "s3:PutObjectVersionAcl": "WRITE_ACP",
}
# What concerns an object that is there, and is its owner's to allow.
OF_OBJECT: Final = frozenset(
    {
        *_OF_OBJECT_ACL,
        *("s3:GetObjectTagging", "s3:GetObjectVersionTagging"),
        *("s3:PutObjectTagging", "s3:PutObjectVersionTagging"),
        *("s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging"),
    }
)
_OF_INITIATOR: Final = frozenset({"s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"})
_OF_POLICY: Final = frozenset({"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"})


class Question(msgspec.Struct, frozen=True):
    """One action of one sender on one resource of a bucket.

    Attributes:
        resource: the ARN.
        record: the object, where its owner or ACL matters and it is there.
        being_written: the action concerns an object that this request is to make.
        initiator: user id of who began the upload that is meant; "" for none.
    """

    sender: Identity
    access: Access
    action: str
    resource: str
    context: Context
    record: ObjectRecord | None = None
    being_written: bool = False
    initiator: str = ""


def may(question: Question) -> bool:
    """Whether the sender may do it."""
    sender, access, action = question.sender, question.access, question.action
    owns = access.owned_by(sender)
    by_user = _said_by(sender.policy, question)
    by_bucket = _said_by(access.policy, question)
    if by_user is Decision.DENY:
        return False
    if by_bucket is Decision.DENY and not (action in _OF_POLICY and (owns or sender.is_root)):
        return False
    if sender.is_root or by_user is Decision.ALLOW:
        return True
    foreign = _is_foreign(question)
    if owns and sender.policy is None and not foreign:
        return True
    if by_bucket is Decision.ALLOW and not foreign and (owns or not _is_restricted(access)):
        return True
    if owns and sender.policy is not None:
        return False
    if action in _OF_INITIATOR and not sender.anonymous:
        return sender.user_id == question.initiator
    return not access.enforced and _is_granted(question)


def may_in_service(sender: Identity, action: str, resource: str, context: Context) -> bool:
    """Whether the sender may do what concerns no bucket that is there."""
    if sender.anonymous:
        return False
    if sender.is_root or sender.policy is None:
        return True
    request = PolicyRequest(action, resource, principal_of(sender), context)
    return evaluate((sender.policy,), request) is Decision.ALLOW


def principal_of(sender: Identity) -> Principal | None:
    """The sender as policies know one."""
    if sender.anonymous:
        return None
    return Principal(sender.user_id, sender.user_name, sender.tenant)


def _said_by(policy: Policy | None, question: Question) -> Decision:
    if policy is None:
        return Decision.NONE
    principal = principal_of(question.sender)
    request = PolicyRequest(question.action, question.resource, principal, question.context)
    return evaluate((policy,), request)


def _is_foreign(question: Question) -> bool:
    """Whether the object belongs to somebody else than the bucket's owner."""
    record = question.record
    if question.access.enforced or question.being_written or record is None:
        return False
    return question.action in OF_OBJECT and record.owner != ""


def _is_restricted(access: Access) -> bool:
    return access.block.restrict_public_buckets and access.policy_public


def _is_granted(question: Question) -> bool:
    """Whether an ACL grants it: that of the object, or for other actions that of the bucket."""
    sender, access = question.sender, question.access
    user_id = None if sender.anonymous else sender.user_id
    public = not access.block.ignore_public_acls
    if question.being_written:
        return allows(access.acl, user_id, "WRITE", public=public)
    if question.action not in OF_OBJECT:
        permission = _OF_BUCKET_ACL.get(question.action, "")
        return bool(permission) and allows(access.acl, user_id, permission, public=public)
    record = question.record
    if record is None:
        return False
    if user_id is not None and user_id == record.owner:
        return True
    permission = _OF_OBJECT_ACL.get(question.action, "")
    acl = unpack(record.acl, record.owner or access.owner_id)
    return bool(permission) and allows(acl, user_id, permission, public=public)
