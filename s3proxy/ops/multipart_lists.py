"""ListParts and ListMultipartUploads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3proxy.http.handler import Response
from s3proxy.ops.lifecycle import upload_headers
from s3proxy.ops.multipart import find_upload
from s3proxy.ops.resolve import XML_HEADERS, initiator_of, object_owner
from s3proxy.s3 import xml_listings
from s3proxy.s3.listing import parse_list_parts, parse_list_uploads

if TYPE_CHECKING:
    from s3proxy.catalog.records import UploadRecord
    from s3proxy.ops.call import Call


async def list_parts(call: Call) -> Response:
    """ListParts.

    Raises:
        S3Error: NoSuchUpload.
    """
    parameters = parse_list_parts(call.route.query)
    _, upload = find_upload(call)
    limit = parameters.max_parts
    stored = call.services.catalog.list_parts(
        call.bucket, upload.upload_id, after=parameters.part_number_marker, limit=limit + 1
    )
    page = xml_listings.PartsPage(
        parts=[
            xml_listings.ListedPart(
                part.number, part.size, part.etag, part.modified_ns, part.checksums
            )
            for part in stored[:limit]
        ],
        truncated=len(stored) > limit > 0,
        owner=object_owner(call, upload.object_owner),
        storage_class=upload.storage_class,
        checksum_algorithm=upload.checksum_algorithm,
        checksum_type=upload.checksum_type,
        initiator=initiator_of(call, upload),
    )
    document = xml_listings.list_parts(call.bucket.name, upload.key, parameters, page)
    headers = [*XML_HEADERS, *upload_headers(call, upload.initiated_ns)]
    return Response(200, headers, document)


async def list_multipart_uploads(call: Call) -> Response:
    """ListMultipartUploads."""
    parameters = parse_list_uploads(call.route.query)
    page = call.services.catalog.list_uploads(
        call.bucket,
        prefix=parameters.prefix,
        delimiter=parameters.delimiter,
        key_marker=parameters.key_marker,
        upload_id_marker=parameters.upload_id_marker,
        limit=parameters.max_uploads,
    )
    listed = page.shown(lambda upload: _listed(call, upload))
    document = xml_listings.list_multipart_uploads(call.bucket.name, parameters, listed)
    return Response(200, XML_HEADERS, document)


def _listed(call: Call, upload: UploadRecord) -> xml_listings.ListedUpload:
    return xml_listings.ListedUpload(
        upload.key,
        upload.upload_id,
        upload.initiated_ns,
        object_owner(call, upload.object_owner),
        upload.storage_class,
        upload.checksum_algorithm,
        upload.checksum_type,
        initiator_of(call, upload),
    )
