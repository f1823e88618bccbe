"""Buckets in the regions of other gateways: their requests are redirected there, or relayed.

The record of such a bucket is an attached one whose backend is `region:NAME`. With mode "forward"
that is an S3 backend for requests to this bucket alone, with the gateway's credentials there; with
"redirect" there is none, and every request is answered 307 before it is looked into.

A request is sent on once: one that comes from another gateway, and is for a bucket that is
elsewhere here, too, has met two tables that contradict each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NoReturn

import msgspec

from s3proxy._fast.sigv4 import uri_encode
from s3proxy.backends.s3_request import VIA
from s3proxy.catalog.elsewhere import PREFIX, backend_name
from s3proxy.http.handler import Response
from s3proxy.ops.provider_buckets import create_at_provider, require_at_provider
from s3proxy.s3.errors import S3Error

if TYPE_CHECKING:
    from s3proxy.catalog.records import BucketRecord
    from s3proxy.ops.call import Call, Services
    from s3proxy.ops.region_table import Region

# In the query of a Location: the region of the gateway that sent the request on. It is no
# parameter of S3's, and other servers ignore it.
MARKER: Final = "x-s3proxy-redirected"


def region_of(services: Services, bucket: BucketRecord) -> str:
    """The region that clients are told for a bucket."""
    return bucket.region if bucket.backend.startswith(PREFIX) else services.settings.region


def check_here(call: Call, bucket: BucketRecord) -> None:
    """Return where requests for an attached bucket are for this gateway to answer, or to relay.

    Raises:
        S3Error: TemporaryRedirect; InvalidBucketState in a loop; ServiceUnavailable for a region
            that is no longer configured.
    """
    if not bucket.backend.startswith(PREFIX):
        return
    region = call.services.regions.get(bucket.region)
    if region is None:
        message = f"The region {bucket.region}, which serves this bucket, is not configured."
        raise S3Error("ServiceUnavailable", message, BucketName=bucket.name)
    _check_first(call, region)
    if region.backend is None:
        _redirect(call, region)


async def create_there(
    call: Call,
    region: Region,
    record: BucketRecord,
    configs: Mapping[str, bytes],
    *,
    locks: bool,
) -> Response:
    """CreateBucket in another region: made there, or the client is sent there; and remembered.

    Args:
        record: without backend and region; its location is the constraint as the client gave it.

    Raises:
        S3Error: TemporaryRedirect; BucketAlreadyExists, BucketAlreadyOwnedByYou;
            InvalidBucketState in a loop.
    """
    _check_first(call, region)
    services, name = call.services, record.name
    record = msgspec.structs.replace(record, backend=backend_name(region.name), region=region.name)
    async with services.key_locks.hold_bucket(record.tenant, name):
        existing = services.catalog.get_bucket(name, record.tenant)
        if existing is not None:
            await _make_again(call, existing, record, locks=locks)
        elif region.backend is not None:
            await create_at_provider(services, region.backend, record, configs, locks=locks)
        else:
            await services.catalog.create_bucket(record, configs)
    if region.backend is None:
        _redirect(call, region)
    return Response(200, [("Location", f"/{name}"), ("x-amz-bucket-region", region.name)])


async def _make_again(
    call: Call, existing: BucketRecord, asked: BucketRecord, *, locks: bool
) -> None:
    if existing.owner not in ("", asked.owner):
        raise S3Error("BucketAlreadyExists", BucketName=existing.name)
    if existing.backend != asked.backend:
        raise S3Error("BucketAlreadyOwnedByYou", BucketName=existing.name)
    region = call.services.regions[asked.region]
    if region.backend is None:
        return
    if not await require_at_provider(call.services, existing, locks=locks):
        raise S3Error("BucketAlreadyOwnedByYou", BucketName=existing.name)


def _redirect(call: Call, region: Region) -> NoReturn:
    """Send the client to the other gateway with the same request.

    Raises:
        S3Error: TemporaryRedirect.
    """
    route, head = call.route, call.request.head
    host, url = region.address(route.bucket)
    if route.key or region.addressing == "virtual":
        url += "/" + uri_encode(route.key.encode(), keep_slash=True).decode()
    marker = f"{MARKER}={call.services.settings.region}"
    query = f"{head.query.decode('latin-1')}&{marker}" if head.query else marker
    error = S3Error("TemporaryRedirect", Endpoint=host, Bucket=route.bucket, Region=region.name)
    error.headers = (
        ("Location", f"{url}?{query}"),
        ("x-amz-bucket-region", region.name),
    )
    raise error


def _check_first(call: Call, region: Region) -> None:
    """Refuse to send on what another gateway has sent here."""
    sender = call.route.query.get(MARKER)
    relayed = VIA in (call.request.head.get(b"via") or "")
    if sender is None and not relayed:
        return
    by = f"the gateway of {sender}" if sender is not None else "another gateway"
    message = (
        f"This request was sent here by {by}, and here the bucket is in the region {region.name}:"
        " the [[region]] tables of the gateways contradict each other."
    )
    raise S3Error("InvalidBucketState", message, Bucket=call.route.bucket, Region=region.name)
