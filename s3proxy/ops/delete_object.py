"""DeleteObject and DeleteObjects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from s3proxy.catalog.objects import Deletion
from s3proxy.catalog.records import BucketRecord, ObjectRecord
from s3proxy.http.handler import Response
from s3proxy.ops.authorization import require_key
from s3proxy.ops.errors import as_s3_error
from s3proxy.ops.payload_source import read_document
from s3proxy.ops.resolve import XML_HEADERS, open_target
from s3proxy.ops.versions import deletion_headers
from s3proxy.s3.conditions import WriteCondition, parse_write_condition
from s3proxy.s3.errors import S3Error, not_implemented_header
from s3proxy.s3.names import check_key, could_be_version_id, invalid_version_id
from s3proxy.s3.object_lock import bypasses_governance
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
    version_id = call.route.query.get("versionId", "")
    _check_version(version_id)
    bypass = bypasses_governance(call.route.headers)
    deletion = Deletion(call.route.key, version_id, condition, bypass)
    removed = await open_target(call).delete(deletion)
    return Response(204, deletion_headers(call.bucket, version_id, removed))


async def delete_objects(call: Call) -> Response:
    """DeleteObjects: up to 1,000 keys, each with its own outcome.

    Raises:
        S3Error: MalformedXML; InvalidRequest without a digest of the body.
    """
    require_digest(call)
    request = read_delete(await read_document(call, DELETE_BYTES_MAX))
    bypass = bypasses_governance(call.route.headers)
    outcomes = await _delete_entries(call, request.entries, bypass)
    deleted = []
    failed = []
    for entry, outcome in zip(request.entries, outcomes, strict=True):
        if not isinstance(outcome, Exception):
            deleted.append(_deleted(call.bucket, entry, outcome))
            continue
        known = as_s3_error(outcome)
        if known is None:
            raise outcome
        failed.append(NotDeleted(entry.key, known.code, known.message, entry.version_id))
    call.batch = [
        *((one.key, one.version_id, "") for one in deleted),
        *((one.key, one.version_id, one.code) for one in failed),
    ]
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
    call: Call, entries: list[DeleteEntry], bypass: bool
) -> list[ObjectRecord | Exception | None]:
    namespace = open_target(call)
    outcomes: list[ObjectRecord | Exception | None] = [None] * len(entries)
    deletions: dict[int, Deletion] = {}
    for index, entry in enumerate(entries):
        try:
            deletion = _deletion(entry, bypass)
            # A policy may take long for a thousand keys: others have their turn.
            await trio.lowlevel.checkpoint()
            require_key(call, "s3:DeleteObject", entry.key, entry.version_id)
            if bypass:
                require_key(call, "s3:BypassGovernanceRetention", entry.key)
            deletions[index] = deletion
        except S3Error as error:
            outcomes[index] = error
    results = await namespace.delete_many([*deletions.values()])
    for index, result in zip(deletions, results, strict=True):
        outcomes[index] = result
    return outcomes


def _check_version(version_id: str) -> None:
    if version_id and not could_be_version_id(version_id):
        raise invalid_version_id(version_id)


def _deletion(entry: DeleteEntry, bypass: bool) -> Deletion:
    if entry.unsupported:
        raise S3Error("NotImplemented", f"The condition {entry.unsupported} is not implemented.")
    check_key(entry.key)
    _check_version(entry.version_id)
    condition = None if entry.etag is None else WriteCondition(if_match=entry.etag)
    return Deletion(entry.key, entry.version_id, condition, bypass)


def _deleted(bucket: BucketRecord, entry: DeleteEntry, removed: ObjectRecord | None) -> Deleted:
    if removed is None or not (bucket.versioning and removed.delete_marker):
        return Deleted(entry.key, entry.version_id)
    return Deleted(entry.key, entry.version_id, removed.named_version)
