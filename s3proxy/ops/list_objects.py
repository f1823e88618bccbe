"""ListObjects, version 1 and 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3proxy.http.handler import Response
from s3proxy.ops.resolve import XML_HEADERS, find_user, open_namespace, owner_of
from s3proxy.s3.listing import (
    ListPage,
    ListParameters,
    parse_list_objects,
    parse_list_objects_v2,
)
from s3proxy.s3.xml import Owner
from s3proxy.s3.xml_listings import NOBODY
from s3proxy.s3.xml_listings import list_objects as list_result

if TYPE_CHECKING:
    from s3proxy.ops.call import Call


async def list_objects(call: Call) -> Response:
    """ListObjects, version 1."""
    return await _answer(call, parse_list_objects(call.route.query))


async def list_objects_v2(call: Call) -> Response:
    """ListObjectsV2."""
    return await _answer(call, parse_list_objects_v2(call.route.query))


async def _answer(call: Call, parameters: ListParameters) -> Response:
    page = ListPage([], [], False, "")
    if parameters.max_keys:
        namespace = open_namespace(call.services, call.bucket)
        page = await namespace.list_page(
            parameters.prefix, parameters.delimiter, parameters.after, parameters.max_keys
        )
    if not parameters.shows_owner:
        return Response(200, XML_HEADERS, list_result(call.bucket.name, parameters, page))
    owner = owner_of(call, call.bucket)
    others = NOBODY if call.access.enforced else _others(call, page)
    document = list_result(call.bucket.name, parameters, page, owner=owner, others=others)
    return Response(200, XML_HEADERS, document)


def _others(call: Call, page: ListPage) -> dict[str, Owner]:
    """Owners of those objects of a page that are not the bucket owner's, by key."""
    catalog, bucket = call.services.catalog, call.bucket
    find = catalog.get_object if bucket.kind == "managed" else catalog.get_attributes
    records = ((entry.key, find(bucket, entry.key)) for entry in page.objects)
    return {
        key: find_user(call, record.owner)
        for key, record in records
        if record is not None and record.owner
    }
