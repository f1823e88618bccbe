"""XML of listings: objects (version 1 and 2), versions, multipart uploads, parts."""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import Final

import msgspec

from s3proxy._fast.listing_xml import contents
from s3proxy._fast.sigv4 import uri_encode
from s3proxy.s3.checksums import element_name
from s3proxy.s3.listing import (
    ListedObject,
    ListPage,
    ListParameters,
    ListPartsParameters,
    ListUploadsParameters,
    ListVersionsParameters,
    MarkedPage,
    make_token,
)
from s3proxy.s3.time import iso8601
from s3proxy.s3.xml import (
    Owner,
    document,
    document_around,
    element,
    escape,
    owner_element,
    readable_element,
)

NOBODY: Final[Mapping[str, Owner]] = MappingProxyType({})


class ListedUpload(msgspec.Struct):
    """A multipart upload in progress; initiator None: the owner."""

    key: str
    upload_id: str
    initiated_ns: int
    owner: Owner
    storage_class: str = "STANDARD"
    checksum_algorithm: str = ""
    checksum_type: str = ""
    initiator: Owner | None = None


class ListedVersion(msgspec.Struct, kw_only=True):
    """A version of an object, or a delete marker, which has no more than its owner and time."""

    key: str
    version_id: str
    latest: bool
    delete_marker: bool
    modified_ns: int
    owner: Owner
    etag: str = ""
    size: int = 0
    storage_class: str = "STANDARD"
    checksum_algorithm: str = ""
    checksum_type: str = ""


class ListedPart(msgspec.Struct):
    """A part of an upload; checksums by algorithm, in base64."""

    number: int
    size: int
    etag: str
    modified_ns: int
    checksums: dict[str, str] = {}


class PartsPage(msgspec.Struct):
    """A page of parts and what their upload was made with; initiator None: the owner."""

    parts: list[ListedPart]
    truncated: bool
    owner: Owner
    storage_class: str = "STANDARD"
    checksum_algorithm: str = ""
    checksum_type: str = ""
    initiator: Owner | None = None


def list_objects(
    bucket: str,
    parameters: ListParameters,
    page: ListPage,
    *,
    owner: Owner | None = None,
    others: Mapping[str, Owner] = NOBODY,
) -> bytes:
    """ListBucketResult of either version.

    Args:
        owner: of all objects; None: not shown, as in version 2 without fetch-owner.
        others: owners of single objects, by key.
    """
    encode = url_encode if parameters.url_encoded else escape
    # In version 1 it is repeated as it was sent: SDKs do not decode it there.
    repeated = encode if parameters.version == 2 else escape
    content = [
        element("Name", bucket),
        f"<Prefix>{repeated(parameters.prefix)}</Prefix>",
        *(_positions_v2(parameters, page, encode) if parameters.version == 2 else ()),
        *(_positions_v1(parameters, page, encode) if parameters.version != 2 else ()),
        f"<MaxKeys>{parameters.max_keys}</MaxKeys>",
    ]
    if parameters.delimiter:
        content.append(f"<Delimiter>{encode(parameters.delimiter)}</Delimiter>")
    if parameters.url_encoded:
        content.append("<EncodingType>url</EncodingType>")
    content.append(f"<IsTruncated>{_boolean(page.truncated)}</IsTruncated>")
    rows = _contents(page.objects, owner, others, parameters.url_encoded)
    prefixes = "".join(_common_prefixes(page.common_prefixes, encode))
    return document_around("ListBucketResult", "".join(content), rows, prefixes)


def _contents(
    objects: Sequence[ListedObject], owner: Owner | None, others: Mapping[str, Owner], url: bool
) -> bytes:
    """The rows of a page, those of one owner after the other's."""
    if owner is None or not others:
        return contents(objects, b"" if owner is None else owner_element(owner).encode(), url)
    runs = groupby(objects, lambda entry: others.get(entry.key, owner))
    return b"".join(contents(run, owner_element(whose).encode(), url) for whose, run in runs)


def list_versions(
    bucket: str, parameters: ListVersionsParameters, page: MarkedPage[ListedVersion]
) -> bytes:
    """ListVersionsResult."""
    encode = url_encode if parameters.url_encoded else escape
    content = [
        element("Name", bucket),
        f"<Prefix>{encode(parameters.prefix)}</Prefix>",
        f"<KeyMarker>{encode(parameters.key_marker)}</KeyMarker>",
        element("VersionIdMarker", parameters.version_id_marker),
    ]
    if page.truncated:
        content.append(f"<NextKeyMarker>{encode(page.next_key_marker)}</NextKeyMarker>")
        if page.next_id_marker:
            content.append(element("NextVersionIdMarker", page.next_id_marker))
    content.append(f"<MaxKeys>{parameters.max_keys}</MaxKeys>")
    if parameters.delimiter:
        content.append(f"<Delimiter>{encode(parameters.delimiter)}</Delimiter>")
    if parameters.url_encoded:
        content.append("<EncodingType>url</EncodingType>")
    content.append(f"<IsTruncated>{_boolean(page.truncated)}</IsTruncated>")
    content.extend(_version(version, encode) for version in page.entries)
    content.extend(_common_prefixes(page.common_prefixes, encode))
    return document("ListVersionsResult", "".join(content))


def list_multipart_uploads(
    bucket: str, parameters: ListUploadsParameters, page: MarkedPage[ListedUpload]
) -> bytes:
    """ListMultipartUploadsResult."""
    encode = url_encode if parameters.url_encoded else escape
    content = [
        element("Bucket", bucket),
        f"<KeyMarker>{encode(parameters.key_marker)}</KeyMarker>",
        element("UploadIdMarker", parameters.upload_id_marker),
    ]
    if page.truncated:
        content.append(f"<NextKeyMarker>{encode(page.next_key_marker)}</NextKeyMarker>")
        content.append(element("NextUploadIdMarker", page.next_id_marker))
    content.append(f"<Prefix>{encode(parameters.prefix)}</Prefix>")
    if parameters.delimiter:
        content.append(f"<Delimiter>{encode(parameters.delimiter)}</Delimiter>")
    if parameters.url_encoded:
        content.append("<EncodingType>url</EncodingType>")
    content.append(f"<MaxUploads>{parameters.max_uploads}</MaxUploads>")
    content.append(f"<IsTruncated>{_boolean(page.truncated)}</IsTruncated>")
    content.extend(_upload(upload, encode) for upload in page.entries)
    content.extend(_common_prefixes(page.common_prefixes, encode))
    return document("ListMultipartUploadsResult", "".join(content))


def list_parts(bucket: str, key: str, parameters: ListPartsParameters, page: PartsPage) -> bytes:
    """ListPartsResult."""
    content = [
        element("Bucket", bucket),
        readable_element("Key", key),
        element("UploadId", parameters.upload_id),
        owner_element(page.initiator or page.owner, "Initiator"),
        owner_element(page.owner),
        element("StorageClass", page.storage_class),
        f"<PartNumberMarker>{parameters.part_number_marker}</PartNumberMarker>",
    ]
    if page.truncated and page.parts:
        next_marker = page.parts[-1].number
        content.append(f"<NextPartNumberMarker>{next_marker}</NextPartNumberMarker>")
    content.append(f"<MaxParts>{parameters.max_parts}</MaxParts>")
    content.append(f"<IsTruncated>{_boolean(page.truncated)}</IsTruncated>")
    content.append(_checksum_kind(page.checksum_algorithm, page.checksum_type))
    content.extend(_part(part) for part in page.parts)
    return document("ListPartsResult", "".join(content))


def url_encode(text: str) -> str:
    """A key under encoding-type=url: percent-encoded UTF-8, `/` kept."""
    return uri_encode(text.encode(), keep_slash=True).decode()


def _positions_v1(
    parameters: ListParameters, page: ListPage, encode: Callable[[str], str]
) -> list[str]:
    """Markers of version 1; S3 gives NextMarker only beside a delimiter."""
    content = [f"<Marker>{encode(parameters.marker)}</Marker>"]
    if page.truncated and parameters.delimiter:
        content.append(f"<NextMarker>{encode(page.next_after)}</NextMarker>")
    return content


def _positions_v2(
    parameters: ListParameters, page: ListPage, encode: Callable[[str], str]
) -> list[str]:
    content = []
    if parameters.start_after:
        content.append(f"<StartAfter>{encode(parameters.start_after)}</StartAfter>")
    if parameters.continuation_token is not None:
        content.append(element("ContinuationToken", parameters.continuation_token))
    if page.truncated:
        content.append(element("NextContinuationToken", make_token(page.next_after)))
    content.append(f"<KeyCount>{len(page.objects) + len(page.common_prefixes)}</KeyCount>")
    return content


def _checksum_kind(algorithm: str, checksum_type: str) -> str:
    content = ""
    if algorithm:
        content += f"<ChecksumAlgorithm>{escape(algorithm.upper())}</ChecksumAlgorithm>"
    if checksum_type:
        content += f"<ChecksumType>{escape(checksum_type)}</ChecksumType>"
    return content


def _common_prefixes(prefixes: Sequence[str], encode: Callable[[str], str]) -> list[str]:
    return [
        f"<CommonPrefixes><Prefix>{encode(prefix)}</Prefix></CommonPrefixes>" for prefix in prefixes
    ]


def _version(version: ListedVersion, encode: Callable[[str], str]) -> str:
    name = "DeleteMarker" if version.delete_marker else "Version"
    described = ""
    if not version.delete_marker:
        kind = _checksum_kind(version.checksum_algorithm, version.checksum_type)
        described = (
            f"<ETag>&quot;{escape(version.etag)}&quot;</ETag>{kind}<Size>{version.size}</Size>"
            f"{element('StorageClass', version.storage_class)}"
        )
    return (
        f"<{name}><Key>{encode(version.key)}</Key>{element('VersionId', version.version_id)}"
        f"<IsLatest>{_boolean(version.latest)}</IsLatest>"
        f"<LastModified>{iso8601(version.modified_ns)}</LastModified>"
        f"{described}{owner_element(version.owner)}</{name}>"
    )


def _upload(upload: ListedUpload, encode: Callable[[str], str]) -> str:
    return (
        f"<Upload><Key>{encode(upload.key)}</Key>"
        f"{element('UploadId', upload.upload_id)}"
        f"{owner_element(upload.initiator or upload.owner, 'Initiator')}"
        f"{owner_element(upload.owner)}"
        f"{element('StorageClass', upload.storage_class)}"
        f"<Initiated>{iso8601(upload.initiated_ns)}</Initiated>"
        f"{_checksum_kind(upload.checksum_algorithm, upload.checksum_type)}</Upload>"
    )


def _part(part: ListedPart) -> str:
    values = "".join(element(element_name(name), text) for name, text in part.checksums.items())
    return (
        f"<Part><PartNumber>{part.number}</PartNumber>"
        f"<LastModified>{iso8601(part.modified_ns)}</LastModified>"
        f"<ETag>&quot;{escape(part.etag)}&quot;</ETag><Size>{part.size}</Size>{values}</Part>"
    )


def _boolean(value: bool) -> str:
    return "true" if value else "false"
