"""Versions of objects: the one a request names, what answers say of it, versioning itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from s3proxy.catalog.records import BucketRecord, ObjectRecord
from s3proxy.catalog.version_listing import VersionEntry, VersionPage
from s3proxy.http.handler import Response
from s3proxy.ops.namespace import Namespace
from s3proxy.ops.payload_source import read_document
from s3proxy.ops.resolve import XML_HEADERS, object_owner, open_namespace
from s3proxy.s3 import xml
from s3proxy.s3.errors import S3Error, method_not_allowed
from s3proxy.s3.listing import MarkedPage, parse_list_versions
from s3proxy.s3.names import no_such_version
from s3proxy.s3.time import http_date
from s3proxy.s3.xml_listings import ListedVersion, list_versions
from s3proxy.s3.xml_read import CONFIGURATION_BYTES_MAX, read_versioning

if TYPE_CHECKING:
    from s3proxy.ops.call import Call

Headers = list[tuple[str, str]]
_LOCKED = (
    "An Object Lock configuration is present on this bucket, so the versioning state cannot be"
    " changed."
)
_DELETE_MARKER = ("x-amz-delete-marker", "true")


async def find_object(call: Call, namespace: Namespace) -> ObjectRecord:
    """The object, or the version of it, that the request names.

    Raises:
        S3Error: NoSuchKey, NoSuchVersion; MethodNotAllowed for a delete marker.
    """
    version_id = call.route.query.get("versionId", "")
    return require_object(call, await namespace.find(call.route.key, version_id))


def require_object(call: Call, record: ObjectRecord | None) -> ObjectRecord:
    """What was found for the request's key and version, if it is an object.

    Raises:
        S3Error: NoSuchKey, NoSuchVersion; MethodNotAllowed for a delete marker.
    """
    if record is not None and not record.delete_marker:
        return record
    raise _absent(call, record)


def _absent(call: Call, marker: ObjectRecord | None) -> S3Error:
    key, version_id = call.route.key, call.route.query.get("versionId", "")
    if marker is not None:
        error = method_not_allowed(call.request.head.method, "DeleteMarker", ("DELETE",))
        error.headers += (
            ("x-amz-version-id", marker.named_version),
            _DELETE_MARKER,
            ("Last-Modified", http_date(marker.modified_ns)),
        )
        return error
    if version_id:
        return no_such_version(key, version_id)
    error = S3Error("NoSuchKey", Key=key)
    latest = None
    if call.bucket.versioning:
        latest = call.services.catalog.get_latest(call.bucket, key)
    if latest is not None and latest.delete_marker:
        error.headers = (("x-amz-version-id", latest.named_version), _DELETE_MARKER)
    return error


def version_header(
    bucket: BucketRecord, record: ObjectRecord, name: str = "x-amz-version-id"
) -> Headers:
    """Which version an answer is about; none in a bucket that never had any."""
    if bucket.versioning or record.version_id:
        return [(name, record.named_version)]
    return []


def written_version(record: ObjectRecord) -> Headers:
    """Which version a write made; S3 does not name the null version there."""
    return [("x-amz-version-id", record.version_id)] if record.version_id else []


def deletion_headers(bucket: BucketRecord, named: str, removed: ObjectRecord | None) -> Headers:
    """What DeleteObject answers: the version that is gone, or the delete marker in its place."""
    if not bucket.versioning:
        return []
    if removed is None:
        return [("x-amz-version-id", named)] if named else []
    headers = [("x-amz-version-id", removed.named_version)]
    return [*headers, _DELETE_MARKER] if removed.delete_marker else headers


async def get_bucket_versioning(call: Call) -> Response:
    """GetBucketVersioning."""
    return Response(200, XML_HEADERS, xml.versioning(call.bucket.versioning))


async def put_bucket_versioning(call: Call) -> Response:
    """PutBucketVersioning: on or suspended; it is never off again.

    Raises:
        S3Error: MalformedXML, IllegalVersioningConfigurationException; InvalidBucketState with
            object lock; NotImplemented for MFA delete, and for buckets that are attached.
    """
    status = read_versioning(await read_document(call, CONFIGURATION_BYTES_MAX))
    if call.bucket.kind != "managed":
        message = "This bucket is attached to existing data, which has no versions."
        raise S3Error("NotImplemented", message, BucketName=call.bucket.name)

    def change(bucket: BucketRecord) -> BucketRecord:
        if bucket.object_lock and status != "Enabled":
            raise S3Error("InvalidBucketState", _LOCKED, BucketName=bucket.name)
        return msgspec.structs.replace(bucket, versioning=status)

    await call.services.catalog.update_bucket(call.bucket, change)
    return Response(200)


async def list_object_versions(call: Call) -> Response:
    """ListObjectVersions; in a bucket without versions every object is the null version.

    Raises:
        S3Error: InvalidArgument.
    """
    parameters = parse_list_versions(call.route.query)
    page: VersionPage = MarkedPage([], [])
    if parameters.max_keys:
        page = await open_namespace(call.services, call.bucket).list_versions(parameters)
    listed = page.shown(lambda entry: _listed(entry, object_owner(call, entry.record.owner)))
    return Response(200, XML_HEADERS, list_versions(call.bucket.name, parameters, listed))


def _listed(entry: VersionEntry, owner: xml.Owner) -> ListedVersion:
    record = entry.record
    return ListedVersion(
        key=entry.key,
        version_id=record.named_version,
        latest=entry.latest,
        delete_marker=record.delete_marker,
        modified_ns=record.modified_ns,
        owner=owner,
        etag=record.etag,
        size=record.size,
        storage_class=record.storage_class,
        checksum_algorithm=next(iter(record.checksums), ""),
        checksum_type=record.checksum_type,
    )
