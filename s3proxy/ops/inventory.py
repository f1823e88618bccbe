"""Inventory configurations of a bucket: put, get, list, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3proxy.http.handler import Response
from s3proxy.ops.payload_source import read_document
from s3proxy.ops.resolve import XML_HEADERS, require_managed
from s3proxy.s3.errors import S3Error, invalid_argument
from s3proxy.s3.inventory import (
    CONFIGURATIONS_MAX,
    LISTED_MAX,
    Inventory,
    check_id,
    inventory_configuration,
    list_inventories,
    read_inventory,
)
from s3proxy.s3.listing import make_token, read_token
from s3proxy.s3.xml_read import CONFIGURATION_BYTES_MAX

if TYPE_CHECKING:
    from s3proxy.catalog.records import BucketRecord
    from s3proxy.ops.call import Call, Services

KIND = "inventory"


async def put_bucket_inventory_configuration(call: Call) -> Response:
    """PutBucketInventoryConfiguration.

    Raises:
        S3Error: what is wrong with the document; InvalidS3DestinationBucket;
            TooManyConfigurations; NotImplemented for an attached bucket.
    """
    require_managed(call, "Inventory")
    identifier = check_id(call.route.query)
    inventory = read_inventory(await read_document(call, CONFIGURATION_BYTES_MAX))
    if inventory.id != identifier:
        message = "The id of the request is not that of its document."
        raise invalid_argument(message, "id", identifier)
    find_target(call.services, call.bucket, inventory)
    catalog = call.services.catalog
    others = [name for name, _ in catalog.list_bucket_configs(call.bucket, KIND)]
    if identifier not in others and len(others) >= CONFIGURATIONS_MAX:
        raise S3Error("TooManyConfigurations", BucketName=call.bucket.name)
    document = inventory_configuration(inventory)
    await catalog.put_bucket_config(call.bucket, config_name(identifier), document)
    return Response(204)


async def get_bucket_inventory_configuration(call: Call) -> Response:
    """GetBucketInventoryConfiguration; ListBucketInventoryConfigurations without an id.

    Raises:
        S3Error: NoSuchConfiguration.
    """
    if "id" not in call.route.query:
        return _list(call)
    name = config_name(check_id(call.route.query))
    document = call.services.catalog.get_bucket_config(call.bucket, name)
    if document is None:
        raise S3Error("NoSuchConfiguration", BucketName=call.bucket.name)
    return Response(200, XML_HEADERS, document)


async def delete_bucket_inventory_configuration(call: Call) -> Response:
    """DeleteBucketInventoryConfiguration.

    Raises:
        S3Error: NoSuchConfiguration.
    """
    name = config_name(check_id(call.route.query))
    if not await call.services.catalog.delete_bucket_config(call.bucket, name):
        raise S3Error("NoSuchConfiguration", BucketName=call.bucket.name)
    return Response(204)


def config_name(identifier: str) -> str:
    """The name in the catalog of the configuration with this id."""
    return f"{KIND}\0{identifier}"


def find_target(services: Services, bucket: BucketRecord, inventory: Inventory) -> BucketRecord:
    """The bucket that gets the reports: a managed one of the same tenant and owner.

    Raises:
        S3Error: InvalidS3DestinationBucket.
    """
    target = services.catalog.get_bucket(inventory.target, bucket.tenant)
    if target is None:
        message = "The specified destination bucket does not exist."
    elif target.kind != "managed" or target.owner != bucket.owner:
        message = "The destination has to be a managed bucket of the same owner."
    elif inventory.account not in ("", bucket.owner, bucket.tenant):
        message = "The destination bucket does not belong to the account that was named."
    else:
        return target
    raise S3Error("InvalidS3DestinationBucket", message, BucketName=inventory.target)


def _list(call: Call) -> Response:
    token = call.route.query.get("continuation-token", "")
    after = read_token(token) if token else ""
    found = call.services.catalog.list_bucket_configs(call.bucket, KIND, after)
    shown = found[:LISTED_MAX]
    next_token = make_token(shown[-1][0]) if len(found) > len(shown) else ""
    inventories = [read_inventory(document) for _, document in shown]
    return Response(200, XML_HEADERS, list_inventories(inventories, token, next_token))


# operation -> (function, action)
OPERATIONS = {
    "put_bucket_inventory_configuration": (
        put_bucket_inventory_configuration,
        "s3:PutInventoryConfiguration",
    ),
    "get_bucket_inventory_configuration": (
        get_bucket_inventory_configuration,
        "s3:GetInventoryConfiguration",
    ),
    "delete_bucket_inventory_configuration": (
        delete_bucket_inventory_configuration,
        "s3:PutInventoryConfiguration",
    ),
}
