"""From the names in a request to the bucket, its owner and its namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3proxy.backends.s3_store import S3Store
from s3proxy.catalog.records import BucketRecord, UploadRecord
from s3proxy.ops.attached import AttachedNamespace
from s3proxy.ops.managed import ManagedNamespace
from s3proxy.ops.namespace import Namespace
from s3proxy.ops.notification import announcer_of
from s3proxy.s3.auth import ANONYMOUS
from s3proxy.s3.errors import S3Error
from s3proxy.s3.xml import Owner

if TYPE_CHECKING:
    from s3proxy.catalog.outbox import Announcer
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


def store_elsewhere(services: Services, bucket: BucketRecord) -> S3Store | None:
    """The store of a bucket that is another provider's, whose objects have no owner or ACL here.

    Raises:
        S3Error: ServiceUnavailable for a backend that is not configured.
    """
    if bucket.kind == "managed":
        return None
    store = services.backend(bucket.backend).files(bucket.container)
    return store if isinstance(store, S3Store) else None


def require_managed(call: Call, what: str) -> None:
    """Refuse what is kept of managed buckets alone.

    Raises:
        S3Error: NotImplemented for an attached bucket.
    """
    if call.bucket.kind != "managed":
        message = f"{what} of an attached bucket is not implemented: its data is not the gateway's."
        raise S3Error("NotImplemented", message, BucketName=call.bucket.name)


def owner_of(call: Call, bucket: BucketRecord | None = None) -> Owner:
    """The owner of a bucket; of the sender's buckets, the sender."""
    if bucket is None:
        return find_user(call, call.sender.identity.user_id)
    return find_user(call, bucket.owner or bucket.tenant)


def initiator_of(call: Call, upload: UploadRecord) -> Owner | None:
    """Who began an upload; None where that was not noted."""
    return find_user(call, upload.owner) if upload.owner else None


def object_owner(call: Call, user_id: str) -> Owner:
    """The owner of an object whose record names the user; "" for the bucket's owner."""
    if call.access.enforced or not user_id:
        return owner_of(call, call.bucket)
    return find_user(call, user_id)


def find_user(call: Call, user_id: str) -> Owner:
    """A user by id; a tenant, and a user who is not there, goes by the id alone."""
    for identity in (call.sender.identity, ANONYMOUS):
        if user_id == identity.user_id:
            return Owner(user_id, identity.user_name)
    user = call.services.catalog.get_user_by_id(user_id)
    return Owner(user_id, user_id if user is None else user.name)


def open_namespace(
    services: Services, bucket: BucketRecord, announcer: Announcer | None = None
) -> Namespace:
    """The objects of a bucket; `announcer` writes the events of what is done to them."""
    if bucket.kind == "managed":
        return ManagedNamespace(services, bucket, announcer)
    return AttachedNamespace(services, bucket, announcer)


def open_target(call: Call) -> Namespace:
    """The objects of the request's bucket, for an operation that changes them."""
    return open_namespace(call.services, call.bucket, announcer_of(call))
