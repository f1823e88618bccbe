"""XML of answers about objects: copies, deletes, multipart uploads, attributes."""

from collections.abc import Iterable, Mapping

import msgspec

from s3proxy.s3.checksums import element_name
from s3proxy.s3.time import iso8601
from s3proxy.s3.xml import (
    DECLARATION,
    NAMESPACE,
    document,
    element,
    escape,
    readable_element,
)


class Deleted(msgspec.Struct, frozen=True):
    """A key that is gone; version_id as the request named it.

    `marker_version_id` is of the delete marker that was made, or is gone; "" for no marker.
    """

    key: str
    version_id: str = ""
    marker_version_id: str = ""


class NotDeleted(msgspec.Struct, frozen=True):
    """A key that DeleteObjects could not delete, and why."""

    key: str
    code: str
    message: str
    version_id: str = ""


class AttributesPart(msgspec.Struct, frozen=True):
    """A part in GetObjectAttributes."""

    number: int
    size: int
    checksums: dict[str, str]


class AttributesParts(msgspec.Struct, frozen=True):
    """ObjectParts of GetObjectAttributes; `parts` is None where S3 gives the count alone.

    S3 lists the parts only of an object whose parts have additional checksums.
    """

    total: int
    marker: int = 0
    next_marker: int = 0
    max_parts: int = 1000
    truncated: bool = False
    parts: tuple[AttributesPart, ...] | None = None


class Attributes(msgspec.Struct, frozen=True):
    """Those attributes of an object that were asked for; None: not asked for, or not there."""

    etag: str | None = None
    checksums: dict[str, str] | None = None
    checksum_type: str = ""
    parts: AttributesParts | None = None
    storage_class: str | None = None
    size: int | None = None


def copy_object(
    etag: str, modified_ns: int, checksums: Mapping[str, str], checksum_type: str = ""
) -> bytes:
    """CopyObjectResult."""
    return document("CopyObjectResult", _copied(etag, modified_ns, checksums, checksum_type))


def copy_part(etag: str, modified_ns: int, checksums: Mapping[str, str]) -> bytes:
    """CopyPartResult."""
    return document("CopyPartResult", _copied(etag, modified_ns, checksums, ""))


def create_multipart_upload(bucket: str, key: str, upload_id: str) -> bytes:
    """InitiateMultipartUploadResult."""
    names = element("Bucket", bucket) + readable_element("Key", key)
    return document("InitiateMultipartUploadResult", names + element("UploadId", upload_id))


def complete_multipart_upload(
    location: str,
    bucket: str,
    key: str,
    etag: str,
    *,
    checksums: Mapping[str, str],
    checksum_type: str = "",
    declaration: bool = True,
) -> bytes:
    """CompleteMultipartUploadResult.

    Args:
        location: URL of the object.
        declaration: False when the XML declaration has been sent already, ahead of keep-alive
            whitespace.
    """
    content = (
        element("Location", location)
        + element("Bucket", bucket)
        + readable_element("Key", key)
        + _etag(etag)
        + _checksums(checksums, checksum_type)
    )
    root = "CompleteMultipartUploadResult"
    text = f"<{root}{NAMESPACE}>{content}</{root}>"
    return (DECLARATION + text if declaration else text).encode()


def delete_objects(deleted: Iterable[Deleted], failed: Iterable[NotDeleted]) -> bytes:
    """DeleteResult; for a quiet request `deleted` is left empty by the caller."""
    content = [
        f"<Deleted><Key>{escape(entry.key)}</Key>{_version(entry.version_id)}"
        f"{_marker(entry.marker_version_id)}</Deleted>"
        for entry in deleted
    ]
    content += [
        f"<Error><Key>{escape(entry.key)}</Key>{_version(entry.version_id)}"
        f"{element('Code', entry.code)}{element('Message', entry.message)}</Error>"
        for entry in failed
    ]
    return document("DeleteResult", "".join(content))


def object_attributes(attributes: Attributes) -> bytes:
    """GetObjectAttributesResponse. Here, alone of all, the ETag has no quotes."""
    content = ""
    if attributes.etag is not None:
        content += element("ETag", attributes.etag)
    if attributes.checksums:
        values = _checksums(attributes.checksums, attributes.checksum_type)
        content += f"<Checksum>{values}</Checksum>"
    if attributes.parts is not None:
        content += _object_parts(attributes.parts)
    if attributes.storage_class is not None:
        content += element("StorageClass", attributes.storage_class)
    if attributes.size is not None:
        content += f"<ObjectSize>{attributes.size}</ObjectSize>"
    return document("GetObjectAttributesResponse", content)


def _object_parts(parts: AttributesParts) -> str:
    content = ""
    if parts.parts is not None:
        content += (
            f"<PartNumberMarker>{parts.marker}</PartNumberMarker>"
            f"<NextPartNumberMarker>{parts.next_marker}</NextPartNumberMarker>"
            f"<MaxParts>{parts.max_parts}</MaxParts>"
            f"<IsTruncated>{'true' if parts.truncated else 'false'}</IsTruncated>"
        )
        content += "".join(
            f"<Part><PartNumber>{part.number}</PartNumber><Size>{part.size}</Size>"
            f"{_checksums(part.checksums, '')}</Part>"
            for part in parts.parts
        )
    return f"<ObjectParts>{content}<PartsCount>{parts.total}</PartsCount></ObjectParts>"


def _copied(etag: str, modified_ns: int, checksums: Mapping[str, str], checksum_type: str) -> str:
    modified = element("LastModified", iso8601(modified_ns))
    return modified + _etag(etag) + _checksums(checksums, checksum_type)


def _etag(etag: str) -> str:
    return f"<ETag>&quot;{escape(etag)}&quot;</ETag>"


def _checksums(checksums: Mapping[str, str], checksum_type: str) -> str:
    content = "".join(element(element_name(name), text) for name, text in checksums.items())
    if checksums and checksum_type:
        content += element("ChecksumType", checksum_type)
    return content


def _marker(version_id: str) -> str:
    if not version_id:
        return ""
    return f"<DeleteMarker>true</DeleteMarker>{element('DeleteMarkerVersionId', version_id)}"


def _version(version_id: str) -> str:
    return element("VersionId", version_id) if version_id else ""
