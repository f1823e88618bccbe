"""Buckets: ListBuckets, CreateBucket, HeadBucket, DeleteBucket, GetBucketLocation."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from s3proxy.catalog.containers import LeftoverContainer
from s3proxy.catalog.elsewhere import PREFIX
from s3proxy.catalog.errors import NoSuchUpload
from s3proxy.catalog.records import BucketRecord
from s3proxy.http.handler import Response
from s3proxy.ops.authorization import require_service
from s3proxy.ops.bucket_homes import check_open, make_home, placed
from s3proxy.ops.containers import containers_of, remove_container
from s3proxy.ops.new_bucket import configs_of_new_bucket, put_first_acl
from s3proxy.ops.payload_source import read_document
from s3proxy.ops.placing import rules_of
from s3proxy.ops.provider_buckets import (
    attaching_backend,
    create_at_provider,
    delete_at_provider,
    require_at_provider,
)
from s3proxy.ops.region_table import region_at
from s3proxy.ops.regions import create_there, region_of
from s3proxy.ops.resolve import XML_HEADERS, find_bucket, open_namespace, owner_of
from s3proxy.s3 import xml
from s3proxy.s3.acl import has_acl_headers
from s3proxy.s3.errors import S3Error
from s3proxy.s3.listing import make_token, parse_list_buckets
from s3proxy.s3.object_lock import parse_lock_enabled
from s3proxy.s3.xml_read import CONFIGURATION_BYTES_MAX, read_create_bucket

if TYPE_CHECKING:
    from s3proxy.ops.call import Call, Services


async def list_buckets(call: Call) -> Response:
    """ListBuckets: the sender's own and those of the tenant, by name; of root, all there are.

    Raises:
        S3Error: AccessDenied.
    """
    require_service(call, "s3:ListAllMyBuckets")
    parameters = parse_list_buckets(call.route.query)
    identity = call.sender.identity
    services = call.services
    found = [
        bucket
        for bucket in services.catalog.list_buckets(identity.tenant)
        if bucket.name.startswith(parameters.prefix)
        and bucket.name > parameters.after
        and (identity.is_root or bucket.owner in ("", identity.user_id))
        and parameters.region in ("", region_of(services, bucket))
    ]
    shown = found[: parameters.max_buckets]
    token = make_token(shown[-1].name) if len(found) > len(shown) else ""
    entries = [
        xml.BucketEntry(
            bucket.name,
            bucket.created_ns,
            region_of(services, bucket) if parameters.limited else "",
        )
        for bucket in shown
    ]
    owner = owner_of(call)
    document = xml.list_buckets(entries, owner, prefix=parameters.prefix, next_token=token)
    return Response(200, XML_HEADERS, document)


async def create_bucket(call: Call) -> Response:
    """CreateBucket: a managed one or the backend's own, where the LocationConstraint says.

    In us-east-1, and only there, S3 answers 200 to its owner who makes a bucket again, and sets its
    ACL anew.

    Raises:
        S3Error: AccessDenied, BucketAlreadyExists, BucketAlreadyOwnedByYou, MalformedXML,
            InvalidArgument, InvalidLocationConstraint, InvalidBucketAclWithObjectOwnership;
            InvalidRequest where rules of placement leave too few backends; InvalidBucketState where
            its backend takes no new data.
    """
    if call.sender.identity.anonymous:
        raise S3Error("AccessDenied")
    location = read_create_bucket(await read_document(call, CONFIGURATION_BYTES_MAX))
    services = call.services
    settings = services.settings
    name, tenant = call.route.bucket, call.sender.identity.tenant
    locks = parse_lock_enabled(call.route.headers)
    _require_create(call, location or settings.region)
    configs = configs_of_new_bucket(call)
    record = _new_record(call)
    region = region_at(services.regions, location)
    if region is not None:
        record = msgspec.structs.replace(record, location=location)
        return await create_there(call, region, record, configs, locks=locks)
    record = placed(services, record, location)
    async with services.key_locks.hold_bucket(tenant, name):
        existing = services.catalog.get_bucket(name, tenant)
        if existing is not None:
            await _make_again(call, existing, record if location else existing, locks)
            return Response(200, [("Location", f"/{name}")])
        check_open(services, record)
        attaching = attaching_backend(services, record.backend)
        if attaching is not None and rules_of(services, record) is None:
            await create_at_provider(services, attaching, record, configs, locks=locks)
        else:
            await _create_managed(services, record, configs, locks=locks)
    return Response(200, [("Location", f"/{name}")])


def _new_record(call: Call) -> BucketRecord:
    """The record of a bucket under its own name, that has no place yet."""
    services, identity = call.services, call.sender.identity
    return BucketRecord(
        name=call.route.bucket,
        kind="attached",
        backend="",
        container=call.route.bucket,
        region=services.settings.region,
        created_ns=services.now_ns(),
        owner=identity.user_id,
        tenant=identity.tenant,
    )


async def _create_managed(
    services: Services, record: BucketRecord, configs: dict[str, bytes], *, locks: bool
) -> None:
    managed = msgspec.structs.replace(
        await make_home(services, record),
        kind="managed",
        versioning="Enabled" if locks else "",
        object_lock=locks,
    )
    await services.catalog.create_bucket(managed, configs)


def _require_create(call: Call, location: str) -> None:
    """Check what a CreateBucket needs.

    Raises:
        S3Error: AccessDenied.
    """
    headers = call.route.headers
    actions = ["s3:CreateBucket"]
    if parse_lock_enabled(headers):
        actions += ["s3:PutBucketObjectLockConfiguration", "s3:PutBucketVersioning"]
    if has_acl_headers(headers):
        actions.append("s3:PutBucketAcl")
    if headers.get(b"x-amz-object-ownership") is not None:
        actions.append("s3:PutBucketOwnershipControls")
    for action in actions:
        require_service(call, action, {"s3:locationconstraint": (location,)})


async def _make_again(call: Call, existing: BucketRecord, asked: BucketRecord, locks: bool) -> None:
    """Do what is left to do where the request asks for the bucket that is there.

    Raises:
        S3Error: BucketAlreadyExists, BucketAlreadyOwnedByYou.
    """
    user_id, name = call.sender.identity.user_id, existing.name
    if existing.owner not in ("", user_id):
        raise S3Error("BucketAlreadyExists", BucketName=name)
    same = existing.owner == user_id and _is_same_place(existing, asked)
    attached = same and existing.kind == "attached"
    if attached and await require_at_provider(call.services, existing, locks=locks):
        return
    if not same or existing.object_lock != locks or call.services.settings.region != "us-east-1":
        raise S3Error("BucketAlreadyOwnedByYou", BucketName=name)
    await put_first_acl(call, existing)


def _is_same_place(existing: BucketRecord, asked: BucketRecord) -> bool:
    if existing.backend.startswith(PREFIX):
        return False
    if existing.placement is not None or asked.placement is not None:
        return existing.location == asked.location
    return existing.backend == asked.backend


async def head_bucket(call: Call) -> Response:
    """HeadBucket."""
    headers = [
        ("Content-Type", "application/xml"),
        ("x-amz-bucket-region", region_of(call.services, call.bucket)),
        ("x-amz-access-point-alias", "false"),
    ]
    return Response(200, headers)


async def delete_bucket(call: Call) -> Response:
    """DeleteBucket: an empty one that CreateBucket made; managed, its uploads are aborted.

    Raises:
        S3Error: BucketNotEmpty; InvalidBucketState for one that the operator attached.
    """
    bucket, services = call.bucket, call.services
    if bucket.kind != "managed" and not bucket.owner:
        message = "This bucket is attached to existing data; it can be detached, not deleted."
        raise S3Error("InvalidBucketState", message, BucketName=bucket.name)
    async with services.key_locks.hold_bucket(bucket.tenant, bucket.name):
        if find_bucket(call, bucket.name).id != bucket.id:
            raise S3Error("NoSuchBucket", BucketName=bucket.name)
        if bucket.kind == "managed":
            await _abort_uploads(call)
        else:
            await delete_at_provider(services, bucket)
        deleted = await services.catalog.delete_bucket(bucket.name, bucket.tenant)
    for place in containers_of(deleted) if deleted.kind == "managed" else ():
        await remove_container(services, LeftoverContainer(*place, bucket.tenant, bucket.name))
    return Response(204)


async def _abort_uploads(call: Call) -> None:
    """Abort what is being uploaded to a bucket that holds no object, as S3 does."""
    catalog, bucket = call.services.catalog, call.bucket
    namespace = open_namespace(call.services, bucket)
    while catalog.is_empty(bucket) and (uploads := catalog.list_uploads(bucket).entries):
        for upload in uploads:
            with suppress(NoSuchUpload):  # completed or aborted since
                await namespace.abort_upload(upload)


async def get_bucket_location(call: Call) -> Response:
    """GetBucketLocation: the constraint it was made with, else the gateway's region."""
    location = call.bucket.location or call.services.settings.region
    return Response(200, XML_HEADERS, xml.location(location))
