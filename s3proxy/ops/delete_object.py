"""DeleteObject and DeleteObjects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3proxy.backends.errors import BackendError
from s3proxy.http.handler import Response
from s3proxy.ops.errors import as_s3_error
from s3proxy.ops.namespace import Namespace
from s3proxy.ops.payload_source import read_document
from s3proxy.ops.resolve import XML_HEADERS, open_namespace
from s3proxy.s3.conditions import WriteCondition, parse_write_condition
from s3proxy.s3.errors import S3Error, not_implemented_header
from s3proxy.s3.names import check_key, check_version_id
from s3proxy.s3.xml_objects import Deleted, NotDeleted
from s3proxy.s3.xml_objects import delete_objects as delete_result
from s3proxy.s3.xml_read import DELETE_BYTES_MAX, DeleteEntry, read_delete

if TYPE_CHECKING:
    from s3proxy.ops.call import Call


async def delete_object(call: Call) -> Response:
    """DeleteObject: 204 whether the key was there or not.

    Raises:
        S3Error: PreconditionFailed, NoSuchKey (If-Match).
    """
    condition = parse_write_condition(call.route.headers)
    if condition is not None and condition.if_none_match_any:
        raise not_implemented_header("If-None-Match")
    await open_namespace(call.services, call.bucket).delete(call.route.key, condition)
    return Response(204)


async def delete_objects(call: Call) -> Response:
    """DeleteObjects: up to 1,000 keys, each with its own outcome.

    Raises:
        S3Error: MalformedXML; InvalidRequest without a digest of the body.
    """
    require_digest(call)
    request = read_delete(await read_document(call, DELETE_BYTES_MAX))
    outcomes = await _delete_entries(open_namespace(call.services, call.bucket), request.entries)
    deleted = []
    failed = []
    for entry, error in zip(request.entries, outcomes, strict=True):
        if error is None:
            deleted.append(Deleted(entry.key, entry.version_id))
            continue
        known = as_s3_error(error)
        if known is None:
            raise error
        failed.append(NotDeleted(entry.key, known.code, known.message, entry.version_id))
    document = delete_result(() if request.quiet else deleted, failed)
    return Response(200, XML_HEADERS, document)


def require_digest(call: Call) -> None:
    """S3 takes this document only with a digest that a proxy cannot have bent unseen.

    Raises:
        S3Error: InvalidRequest.
    """
    headers = call.route.headers
    if headers.get(b"content-md5") is None and not any(
        name not in ("x-amz-checksum-algorithm", "x-amz-checksum-type")
        for name, _ in headers.prefixed(b"x-amz-checksum-")
    ):
        if headers.get(b"x-amz-trailer") is not None:
            return
        if len(call.sender.authorization.payload_hash) == 64:
            return  # the signature covers the body
        message = "Missing required header for this request: Content-MD5"
        raise S3Error("InvalidRequest", message)


async def _delete_entries(
    namespace: Namespace, entries: list[DeleteEntry]
) -> list[Exception | None]:
    outcomes: list[Exception | None] = [None] * len(entries)
    plain = []
    for index, entry in enumerate(entries):
        try:
            _check_entry(entry)
            if entry.etag is None:
                plain.append(index)
            else:
                await namespace.delete(entry.key, WriteCondition(if_match=entry.etag))
        except (S3Error, BackendError) as error:
            outcomes[index] = error
    if plain:
        results = await namespace.delete_many([entries[index].key for index in plain])
        for index, result in zip(plain, results, strict=True):
            outcomes[index] = result
    return outcomes


def _check_entry(entry: DeleteEntry) -> None:
    if entry.unsupported:
        raise S3Error("NotImplemented", f"The condition {entry.unsupported} is not implemented.")
    check_key(entry.key)
    if entry.version_id:
        check_version_id(entry.version_id)
