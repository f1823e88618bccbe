"""Configurations of which the gateway has one state: it is told, and may be put, and no other.

    request payment      the bucket's owner pays
    transfer acceleration  off: never on, or suspended
    access by tags (ABAC)  disabled
    analytics, request metrics, intelligent tiering  none, by whatever id
    replication  none

Anything else would be promised and not done, so it is refused by name. SDKs and tools ask for these
before they do anything else; NotImplemented would stop them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from s3proxy.http.handler import Response
from s3proxy.ops.payload_source import read_document
from s3proxy.ops.resolve import XML_HEADERS
from s3proxy.s3.errors import S3Error
from s3proxy.s3.xml import document, element
from s3proxy.s3.xml_read import CONFIGURATION_BYTES_MAX, parse, single_children

if TYPE_CHECKING:
    from s3proxy.ops.call import Call

Function = Callable[["Call"], Awaitable[Response]]
_ACCELERATE: Final = "accelerate"


async def get_bucket_request_payment(call: Call) -> Response:
    """GetBucketRequestPayment."""
    payer = element("Payer", "BucketOwner")
    return Response(200, XML_HEADERS, document("RequestPaymentConfiguration", payer))


async def put_bucket_request_payment(call: Call) -> Response:
    """PutBucketRequestPayment: BucketOwner.

    Raises:
        S3Error: NotImplemented for Requester: nobody is charged here.
    """
    await _require(call, "RequestPaymentConfiguration", "Payer", "BucketOwner", "Requester")
    return Response(200)


async def get_bucket_accelerate_configuration(call: Call) -> Response:
    """GetBucketAccelerateConfiguration: empty, or Suspended after that was put."""
    kept = call.services.catalog.get_bucket_config(call.bucket, _ACCELERATE)
    return Response(200, XML_HEADERS, kept or document("AccelerateConfiguration", ""))


async def put_bucket_accelerate_configuration(call: Call) -> Response:
    """PutBucketAccelerateConfiguration: Suspended.

    Raises:
        S3Error: NotImplemented for Enabled.
    """
    root = "AccelerateConfiguration"
    await _require(call, root, "Status", "Suspended", "Enabled")
    kept = document(root, element("Status", "Suspended"))
    await call.services.catalog.put_bucket_config(call.bucket, _ACCELERATE, kept)
    return Response(200)


async def get_bucket_abac(call: Call) -> Response:
    """GetBucketAbac."""
    return Response(200, XML_HEADERS, document("AbacStatus", element("Status", "Disabled")))


async def put_bucket_abac(call: Call) -> Response:
    """PutBucketAbac: Disabled.

    Raises:
        S3Error: NotImplemented for Enabled.
    """
    await _require(call, "AbacStatus", "Status", "Disabled", "Enabled")
    return Response(200)


async def get_bucket_replication(call: Call) -> Response:
    """GetBucketReplication: there is none.

    Raises:
        S3Error: ReplicationConfigurationNotFoundError.
    """
    raise S3Error("ReplicationConfigurationNotFoundError", BucketName=call.bucket.name)


async def delete_bucket_replication(call: Call) -> Response:
    """DeleteBucketReplication: there is none, which is no error."""
    return Response(204)


async def delete_absent(call: Call) -> Response:
    """Delete a configuration by its id: there is none.

    Raises:
        S3Error: NoSuchConfiguration.
    """
    raise S3Error("NoSuchConfiguration", BucketName=call.bucket.name)


def none_of(root: str) -> Function:
    """The get of configurations that have ids: of one, which is not there, or of all.

    Args:
        root: of the list's document.
    """

    async def get(call: Call) -> Response:
        if "id" in call.route.query:
            raise S3Error("NoSuchConfiguration", BucketName=call.bucket.name)
        return Response(200, XML_HEADERS, document(root, element("IsTruncated", "false")))

    return get


async def _require(call: Call, root: str, name: str, kept: str, refused: str) -> None:
    """Read a document of one element, whose value has to be the one that is the case."""
    node = parse(await read_document(call, CONFIGURATION_BYTES_MAX), root, CONFIGURATION_BYTES_MAX)
    value = (single_children(node, {name})[name].text if node.children else "").strip()
    if value == refused:
        message = f"{name} {refused} of {root} is not implemented."
        raise S3Error("NotImplemented", message, BucketName=call.bucket.name)
    if value != kept:
        raise S3Error("MalformedXML")


# operation -> (function, action)
SETTLED: dict[str, tuple[Function, str]] = {
    "get_bucket_request_payment": (get_bucket_request_payment, "s3:GetBucketRequestPayment"),
    "put_bucket_request_payment": (put_bucket_request_payment, "s3:PutBucketRequestPayment"),
    "get_bucket_accelerate_configuration": (
        get_bucket_accelerate_configuration,
        "s3:GetAccelerateConfiguration",
    ),
    "put_bucket_accelerate_configuration": (
        put_bucket_accelerate_configuration,
        "s3:PutAccelerateConfiguration",
    ),
    "get_bucket_abac": (get_bucket_abac, "s3:GetBucketAbac"),
    "put_bucket_abac": (put_bucket_abac, "s3:PutBucketAbac"),
    "get_bucket_replication": (get_bucket_replication, "s3:GetReplicationConfiguration"),
    "delete_bucket_replication": (delete_bucket_replication, "s3:PutReplicationConfiguration"),
    "get_bucket_analytics_configuration": (
        none_of("ListBucketAnalyticsConfigurationResult"),
        "s3:GetAnalyticsConfiguration",
    ),
    "delete_bucket_analytics_configuration": (delete_absent, "s3:PutAnalyticsConfiguration"),
    "get_bucket_metrics_configuration": (
        none_of("ListMetricsConfigurationsResult"),
        "s3:GetMetricsConfiguration",
    ),
    "delete_bucket_metrics_configuration": (delete_absent, "s3:PutMetricsConfiguration"),
    "get_bucket_intelligent_tiering_configuration": (
        none_of("ListBucketIntelligentTieringConfigurationsOutput"),
        "s3:GetIntelligentTieringConfiguration",
    ),
    "delete_bucket_intelligent_tiering_configuration": (
        delete_absent,
        "s3:PutIntelligentTieringConfiguration",
    ),
}
