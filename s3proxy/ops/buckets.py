"""Buckets: ListBuckets, CreateBucket, HeadBucket, DeleteBucket, GetBucketLocation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3proxy.catalog.records import BucketRecord
from s3proxy.http.handler import Response
from s3proxy.ops.payload_source import read_document
from s3proxy.ops.resolve import XML_HEADERS, owner_of
from s3proxy.ops.storage_classes import remove_containers
from s3proxy.placement import choose_backend, container_name
from s3proxy.s3 import xml
from s3proxy.s3.errors import S3Error
from s3proxy.s3.listing import make_token, parse_list_buckets
from s3proxy.s3.object_lock import parse_lock_enabled
from s3proxy.s3.xml_read import CONFIGURATION_BYTES_MAX, read_create_bucket

if TYPE_CHECKING:
    from s3proxy.ops.call import Call


async def list_buckets(call: Call) -> Response:
    """ListBuckets: the tenant's, managed and attached, by name."""
    parameters = parse_list_buckets(call.route.query)
    region = call.services.settings.region
    found = [
        bucket
        for bucket in call.services.catalog.list_buckets(call.sender.identity.tenant)
        if bucket.name.startswith(parameters.prefix) and bucket.name > parameters.after
    ]
    if parameters.region not in ("", region):
        found = []
    shown = found[: parameters.max_buckets]
    token = make_token(shown[-1].name) if len(found) > len(shown) else ""
    entries = [
        xml.BucketEntry(bucket.name, bucket.created_ns, region if parameters.limited else "")
        for bucket in shown
    ]
    owner = owner_of(call)
    document = xml.list_buckets(entries, owner, prefix=parameters.prefix, next_token=token)
    return Response(200, XML_HEADERS, document)


async def create_bucket(call: Call) -> Response:
    """CreateBucket: always a managed one; the LocationConstraint chooses the backend.

    In us-east-1, and only there, S3 answers 200 to its owner who makes a bucket again.

    Raises:
        S3Error: BucketAlreadyOwnedByYou, InvalidLocationConstraint, MalformedXML, InvalidArgument.
    """
    location = read_create_bucket(await read_document(call, CONFIGURATION_BYTES_MAX))
    services = call.services
    settings = services.settings
    name, tenant = call.route.bucket, call.sender.identity.tenant
    locks = parse_lock_enabled(call.route.headers)
    backend = choose_backend(
        services.backends, location, settings.default_backend, region=settings.region
    )
    async with services.key_locks.hold_bucket(tenant, name):
        existing = services.catalog.get_bucket(name, tenant)
        if existing is not None:
            again = _is_made_again(call, existing, backend if location else existing.backend)
            if again and existing.object_lock == locks:
                return Response(200, [("Location", f"/{name}")])
            raise S3Error("BucketAlreadyOwnedByYou", BucketName=name)
        container = container_name(settings.container_seed, tenant, name, 0, backend)
        await services.backend(backend).create_container(container)
        record = BucketRecord(
            name=name,
            kind="managed",
            backend=backend,
            container=container,
            region=settings.region,
            created_ns=services.now_ns(),
            owner=call.sender.identity.user_id,
            tenant=tenant,
            versioning="Enabled" if locks else "",
            object_lock=locks,
        )
        await services.catalog.create_bucket(record)
    return Response(200, [("Location", f"/{name}")])


def _is_made_again(call: Call, existing: BucketRecord, backend: str) -> bool:
    """Whether the request asks for the bucket that is there, in the region where that is fine."""
    return (
        call.services.settings.region == "us-east-1"
        and existing.kind == "managed"
        and existing.owner == call.sender.identity.user_id
        and existing.backend == backend
    )


async def head_bucket(call: Call) -> Response:
    """HeadBucket."""
    headers = [
        ("Content-Type", "application/xml"),
        ("x-amz-bucket-region", call.services.settings.region),
        ("x-amz-access-point-alias", "false"),
    ]
    return Response(200, headers)


async def delete_bucket(call: Call) -> Response:
    """DeleteBucket: an empty managed one.

    Raises:
        S3Error: BucketNotEmpty; InvalidBucketState for an attached one.
    """
    bucket = call.bucket
    if bucket.kind != "managed":
        message = "This bucket is attached to existing data; it can be detached, not deleted."
        raise S3Error("InvalidBucketState", message, BucketName=bucket.name)
    async with call.services.key_locks.hold_bucket(bucket.tenant, bucket.name):
        await call.services.catalog.delete_bucket(bucket.name, bucket.tenant)
        await remove_containers(call.services, bucket)
    return Response(204)


async def get_bucket_location(call: Call) -> Response:
    """GetBucketLocation: the region that requests are signed for, whatever backend holds them."""
    return Response(200, XML_HEADERS, xml.location(call.services.settings.region))
