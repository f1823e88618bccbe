"""From the names in a request to the bucket, its owner and its namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3proxy.catalog.records import BucketRecord, UploadRecord
from s3proxy.ops.attached import AttachedNamespace
from s3proxy.ops.managed import ManagedNamespace
from s3proxy.ops.namespace import Namespace
from s3proxy.s3.errors import S3Error
from s3proxy.s3.xml import Owner

if TYPE_CHECKING:
    from s3proxy.ops.call import Call, Services

XML_HEADERS = [("Content-Type", "application/xml")]


def find_bucket(call: Call, name: str) -> BucketRecord:
    """The bucket of that name in the sender's tenant.

    Raises:
        S3Error: NoSuchBucket.
    """
    bucket = call.services.catalog.get_bucket(name, call.sender.identity.tenant)
    if bucket is None:
        raise S3Error("NoSuchBucket", BucketName=name)
    return bucket


def check_owner(call: Call, bucket: BucketRecord, header: bytes) -> None:
    """Compare a bucket's owner with the one a header expects; the tenant's name stands for it too.

    Raises:
        S3Error: AccessDenied.
    """
    expected = call.route.headers.get(header)
    if expected is not None and expected not in (bucket.owner, bucket.tenant):
        raise S3Error("AccessDenied", "The bucket is not owned by the account that was expected.")


def require_managed(call: Call, what: str) -> None:
    """Refuse what is kept of managed buckets alone.

    Raises:
        S3Error: NotImplemented for an attached bucket.
    """
    if call.bucket.kind != "managed":
        message = f"{what} of an attached bucket is not implemented: its data is not the gateway's."
        raise S3Error("NotImplemented", message, BucketName=call.bucket.name)


def owner_of(call: Call, bucket: BucketRecord | None = None) -> Owner:
    """The owner of a bucket and all in it; of the sender's buckets, the sender."""
    identity = call.sender.identity
    return _user(call, identity.user_id if bucket is None else bucket.owner or bucket.tenant)


def initiator_of(call: Call, upload: UploadRecord) -> Owner | None:
    """Who began an upload; None where that was not noted."""
    return _user(call, upload.owner) if upload.owner else None


def _user(call: Call, user_id: str) -> Owner:
    """A user by id. Only the sender's name is at hand; another's id stands for it."""
    identity = call.sender.identity
    return Owner(user_id, identity.user_name if user_id == identity.user_id else user_id)


def open_namespace(services: Services, bucket: BucketRecord) -> Namespace:
    """The objects of a bucket."""
    if bucket.kind == "managed":
        return ManagedNamespace(services, bucket)
    return AttachedNamespace(services, bucket)
