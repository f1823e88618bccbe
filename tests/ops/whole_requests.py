"""For every operation, a request that a bucket's owner succeeds with: the document included."""

from __future__ import annotations

import base64
from typing import NamedTuple

from s3proxy.s3.inventory import Inventory, inventory_configuration
from tests.ops.lab import md5
from tests.ops.requests import requests
from tests.ops.uploads import completion
from tests.s3 import policies


class Names(NamedTuple):
    """What a request names.

    Attributes:
        bucket: it is about this one's object `k`.
        other: a bucket that it refers to: a copy's source, where logs and reports go.
        version_id: of the object; "" for the current one.
        etag: of the upload's only part.
    """

    bucket: str
    other: str
    upload_id: str
    version_id: str
    etag: str


class Whole(NamedTuple):
    method: str
    target: str
    data: bytes
    headers: dict[str, str]


# Beside these, an operation of an object may name one of its versions.
_NO_VERSION = {
    *("copy_object", "put_object", "create_multipart_upload", "upload_part", "upload_part_copy"),
    *("complete_multipart_upload", "abort_multipart_upload", "list_parts"),
}
_HEADERS = {
    "create_bucket": {"x_amz_bucket_object_lock_enabled": "true"},
    "get_object_attributes": {"x_amz_object_attributes": "ETag,ObjectSize"},
    "put_bucket_acl": {"x_amz_acl": "private"},
    "put_object_acl": {"x_amz_acl": "private"},
}
_CONFIGURED = ("analytics", "intelligent-tiering", "inventory", "metrics")


def whole_requests(names: Names) -> dict[str, Whole]:
    """By operation; `post_object`, whose document is a form, is not there."""
    found = {}
    documents = _documents(names)
    for operation, asked in requests(names.upload_id).items():
        if operation == "post_object":
            continue
        headers = dict(asked.headers)
        if "x_amz_copy_source" in headers:
            headers["x_amz_copy_source"] = _source(names)
        data = documents.get(operation, b"")
        if data and operation not in ("put_object", "upload_part"):
            digest = bytes.fromhex(md5(data))
            headers["content_md5"] = base64.b64encode(digest).decode()
        headers |= _HEADERS.get(operation, {})
        target = asked.target
        if target.startswith("?") and target[1:] in _CONFIGURED:
            target += "&id=one"
        if names.version_id and target.startswith("/k") and operation not in _NO_VERSION:
            target += f"{'&' if '?' in target else '?'}versionId={names.version_id}"
        found[operation] = Whole(asked.method, f"/{names.bucket}{target}", data, headers)
    found["list_buckets"] = Whole("GET", "/", b"", {})
    return found


def _source(names: Names) -> str:
    version = f"?versionId={names.version_id}" if names.version_id else ""
    return f"{names.other}/k{version}"


def _documents(names: Names) -> dict[str, bytes]:
    bucket, other = names.bucket, names.other
    arn = f"arn:aws:s3:::{bucket}/*"
    service = {"Service": "logging.s3.amazonaws.com"}
    statement = policies.allow("s3:PutObject", arn, Principal=service)
    version = f"<VersionId>{names.version_id}</VersionId>" if names.version_id else ""
    lock = "<Mode>GOVERNANCE</Mode>"
    texts = {
        "delete_objects": f"<Delete><Object><Key>k</Key>{version}</Object></Delete>",
        "put_object": "new",
        "upload_part": "part",
        "complete_multipart_upload": completion(names.etag).decode(),
        "put_bucket_abac": "<AbacStatus><Status>Disabled</Status></AbacStatus>",
        "put_bucket_accelerate_configuration": (
            "<AccelerateConfiguration><Status>Suspended</Status></AccelerateConfiguration>"
        ),
        "put_bucket_cors": (
            "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin>"
            "<AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>"
        ),
        "put_bucket_encryption": (
            "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>"
            "<SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>"
            "</ServerSideEncryptionConfiguration>"
        ),
        "put_bucket_inventory_configuration": inventory_configuration(
            Inventory(id="one", enabled=True, target=other)
        ).decode(),
        "put_bucket_lifecycle_configuration": (
            "<LifecycleConfiguration><Rule><ID>one</ID><Filter/><Status>Enabled</Status>"
            "<Expiration><Days>9</Days></Expiration></Rule></LifecycleConfiguration>"
        ),
        "put_bucket_logging": (
            f"<BucketLoggingStatus><LoggingEnabled><TargetBucket>{other}</TargetBucket>"
            "<TargetPrefix>a/</TargetPrefix></LoggingEnabled></BucketLoggingStatus>"
        ),
        "put_bucket_notification_configuration": "<NotificationConfiguration/>",
        "put_bucket_ownership_controls": (
            "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerPreferred</ObjectOwnership>"
            "</Rule></OwnershipControls>"
        ),
        "put_bucket_policy": policies.document(statement).decode(),
        "put_bucket_request_payment": (
            "<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>"
        ),
        "put_bucket_tagging": _tagging("Tagging"),
        "put_object_tagging": _tagging("Tagging"),
        "put_bucket_versioning": (
            "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        ),
        "put_bucket_website": (
            "<WebsiteConfiguration><IndexDocument><Suffix>k</Suffix></IndexDocument>"
            "</WebsiteConfiguration>"
        ),
        "put_object_legal_hold": "<LegalHold><Status>OFF</Status></LegalHold>",
        "put_object_lock_configuration": (
            "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule>"
            f"<DefaultRetention>{lock}<Days>1</Days></DefaultRetention></Rule>"
            "</ObjectLockConfiguration>"
        ),
        "put_object_retention": (
            f"<Retention>{lock}<RetainUntilDate>2099-01-01T00:00:00Z</RetainUntilDate></Retention>"
        ),
        "put_public_access_block": (
            "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls>"
            "</PublicAccessBlockConfiguration>"
        ),
    }
    return {name: text.encode() for name, text in texts.items()}


def _tagging(root: str) -> str:
    return f"<{root}><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></{root}>"
