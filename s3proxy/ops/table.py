"""Every S3 operation of the gateway: the function that performs it and the action it needs.

A route that names an operation missing here is a bug, which a test finds; nothing falls through.
Objects of a bucket that is attached to another S3 endpoint go the short way, through forward.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import msgspec

from s3proxy.backends.s3_store import S3Store
from s3proxy.http.handler import Response
from s3proxy.ops import (
    authorization,
    bucket_logging,
    buckets,
    copy_object,
    delete_object,
    get_object,
    inventory,
    lifecycle,
    list_objects,
    multipart,
    multipart_complete,
    multipart_lists,
    notification,
    object_attributes,
    object_tagging,
    post_object,
    put_object,
    versions,
)
from s3proxy.ops.acls_elsewhere import check_acl_elsewhere
from s3proxy.ops.bucket_configs import CONFIGURATIONS
from s3proxy.ops.bucket_policy import ACCESS
from s3proxy.ops.call import Call
from s3proxy.ops.encryption import check_key_transport
from s3proxy.ops.forward import FORWARDED
from s3proxy.ops.needs import COPIES
from s3proxy.ops.object_lock import OBJECT_LOCK
from s3proxy.ops.placing import is_read_only, refused_write
from s3proxy.ops.regions import check_here
from s3proxy.ops.resolve import check_owner, store_elsewhere
from s3proxy.ops.settled import SETTLED
from s3proxy.s3.errors import S3Error

Function = Callable[[Call], Awaitable[Response]]
Forwarded = Callable[[Call, S3Store], Awaitable[Response]]
WRITES: Final = frozenset(  # what brings data to a bucket
    {
        *("put_object", "post_object", "copy_object", "upload_part", "upload_part_copy"),
        "create_multipart_upload",
    }
)


class Operation(msgspec.Struct, frozen=True):
    """One S3 operation.

    Attributes:
        function: performs it for a sender who may, from the lookup of the bucket on. Raises
            S3Error, and what `errors.as_s3_error` maps.
        action: the IAM action the sender needs first; needs.py has the others.
    """

    function: Function
    action: str


class Operations(dict[str, Operation]):
    """Operations by name; the function of each lets only those do it who may."""

    def __missing__(self, name: str) -> Operation:
        """Refuse an operation that nobody knows.

        Raises:
            S3Error: NotImplemented.
        """
        raise S3Error("NotImplemented", Operation=name)


def _on_bucket(name: str, function: Function, action: str) -> Function:
    """Resolve the bucket, check that the sender may, then perform the operation there.

    The lookups are done when it is called; what it returns is the operation's own coroutine, so
    that a task that waits has one frame less to come back through.
    """
    forwarded = FORWARDED.get(name)
    copies = name in COPIES
    writes = name in WRITES

    def perform(call: Call) -> Awaitable[Response]:
        route = call.route
        identity = call.sender.identity
        found = call.services.access.by_name[identity.tenant, route.bucket]
        if found is None:
            raise S3Error("NoSuchBucket", BucketName=route.bucket)
        bucket, access = found
        call.bucket, call.access = bucket, access
        call.configured = not access.alone
        if not route.plain:
            check_owner(call, bucket, b"x-amz-expected-bucket-owner")
        do = function
        if bucket.kind != "managed":
            check_here(call, bucket)
            store = None if forwarded is None else store_elsewhere(call.services, bucket)
            if forwarded is not None and store is not None:
                do = partial(_forward, forwarded, store)
            if writes and is_read_only(call.services, bucket.backend):
                do = _refuse
        if access.is_open_to(identity) and not copies:
            return do(call)
        return authorization.perform(call, action, do)

    return perform


async def _refuse(call: Call) -> Response:
    raise refused_write(call.services, call.bucket.backend)


def _forward(forwarded: Forwarded, store: S3Store, call: Call) -> Awaitable[Response]:
    if not call.route.plain:
        check_key_transport(call)
        check_acl_elsewhere(call)
    return forwarded(call, store)


# operation -> (function, action); the bucket is there.
_ON_BUCKETS: dict[str, tuple[Function, str]] = {
    "head_bucket": (buckets.head_bucket, "s3:ListBucket"),
    "delete_bucket": (buckets.delete_bucket, "s3:DeleteBucket"),
    "get_bucket_location": (buckets.get_bucket_location, "s3:GetBucketLocation"),
    "list_objects": (list_objects.list_objects, "s3:ListBucket"),
    "list_objects_v2": (list_objects.list_objects_v2, "s3:ListBucket"),
    "get_object": (get_object.get_object, "s3:GetObject"),
    "head_object": (get_object.head_object, "s3:GetObject"),
    "get_object_attributes": (
        object_attributes.get_object_attributes,
        "s3:GetObjectAttributes",
    ),
    "get_object_tagging": (object_tagging.get_object_tagging, "s3:GetObjectTagging"),
    "put_object_tagging": (object_tagging.put_object_tagging, "s3:PutObjectTagging"),
    "delete_object_tagging": (object_tagging.delete_object_tagging, "s3:DeleteObjectTagging"),
    "put_object": (put_object.put_object, "s3:PutObject"),
    "post_object": (post_object.post_object, "s3:PutObject"),
    "copy_object": (copy_object.copy_object, "s3:PutObject"),
    "delete_object": (delete_object.delete_object, "s3:DeleteObject"),
    "delete_objects": (delete_object.delete_objects, "s3:DeleteObject"),
    "create_multipart_upload": (multipart.create_multipart_upload, "s3:PutObject"),
    "upload_part": (multipart.upload_part, "s3:PutObject"),
    "upload_part_copy": (copy_object.upload_part_copy, "s3:PutObject"),
    "complete_multipart_upload": (
        multipart_complete.complete_multipart_upload,
        "s3:PutObject",
    ),
    "abort_multipart_upload": (multipart.abort_multipart_upload, "s3:AbortMultipartUpload"),
    "list_parts": (multipart_lists.list_parts, "s3:ListMultipartUploadParts"),
    "list_multipart_uploads": (
        multipart_lists.list_multipart_uploads,
        "s3:ListBucketMultipartUploads",
    ),
    "get_bucket_versioning": (versions.get_bucket_versioning, "s3:GetBucketVersioning"),
    "put_bucket_versioning": (versions.put_bucket_versioning, "s3:PutBucketVersioning"),
    "list_object_versions": (versions.list_object_versions, "s3:ListBucketVersions"),
    **OBJECT_LOCK,
    **ACCESS,
    **CONFIGURATIONS,
    **SETTLED,
    **inventory.OPERATIONS,
    **lifecycle.OPERATIONS,
    **notification.OPERATIONS,
    **bucket_logging.OPERATIONS,
}

OPERATIONS: Final = Operations(
    {
        "list_buckets": Operation(buckets.list_buckets, "s3:ListAllMyBuckets"),
        "create_bucket": Operation(buckets.create_bucket, "s3:CreateBucket"),
        **{
            name: Operation(_on_bucket(name, function, action), action)
            for name, (function, action) in _ON_BUCKETS.items()
        },
    }
)
