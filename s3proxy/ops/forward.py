"""Operations on a bucket attached to another S3 endpoint: signed anew and relayed.

The request that goes out has the client's method, key, parameters and headers, as far as they are
known (forward_headers.py), and the gateway's signature. One exchange answers one request; the body
of the answer goes from socket to socket.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING

from s3proxy._fast.checksum import digest
from s3proxy.backends.s3_errors import ERROR_BYTES_MAX, TRANSPORT_ERRORS
from s3proxy.backends.s3_headers import length_line
from s3proxy.backends.s3_request import EMPTY_SHA256, Ask
from s3proxy.backends.s3_store import S3Store
from s3proxy.backends.s3_xml import LIST_BYTES_MAX
from s3proxy.backends.store import PutOptions
from s3proxy.http.client import Exchange
from s3proxy.http.handler import Response
from s3proxy.ops import acls_elsewhere, copy_object, post_object
from s3proxy.ops.delete_object import require_digest
from s3proxy.ops.encryption import new_cipher
from s3proxy.ops.forward_body import outgoing_body
from s3proxy.ops.forward_errors import from_endpoint
from s3proxy.ops.forward_headers import (
    ANSWER_HEADERS,
    answer_lines,
    forwarded_query,
    hoisted_headers,
    object_coding,
    request_lines,
)
from s3proxy.ops.forward_xml import names_bucket, names_owner, own, rename
from s3proxy.ops.payload_source import read_document
from s3proxy.ops.resolve import XML_HEADERS, find_bucket, owner_of
from s3proxy.s3 import xml_objects
from s3proxy.s3.acl import has_acl_headers
from s3proxy.s3.copy_source import parse_copy_source
from s3proxy.s3.encryption import COPY_SOURCE_CUSTOMER, CUSTOMER
from s3proxy.s3.lifecycle_xml import LIFECYCLE_BYTES_MAX
from s3proxy.s3.listing import parse_part_number
from s3proxy.s3.tagging import TAGGING_BYTES_MAX
from s3proxy.s3.xml_listings import url_encode
from s3proxy.s3.xml_read import COMPLETE_BYTES_MAX, CONFIGURATION_BYTES_MAX, DELETE_BYTES_MAX

if TYPE_CHECKING:
    from s3proxy.ops.call import Call

_ONCE = frozenset(
    {"abort_multipart_upload", "complete_multipart_upload", "create_multipart_upload"}
)
_DOCUMENT_BYTES_MAX = {
    "put_bucket_encryption": CONFIGURATION_BYTES_MAX,
    "put_bucket_lifecycle_configuration": LIFECYCLE_BYTES_MAX,
    "complete_multipart_upload": COMPLETE_BYTES_MAX,
    "delete_objects": DELETE_BYTES_MAX,
    "put_bucket_versioning": CONFIGURATION_BYTES_MAX,
    "put_object_legal_hold": CONFIGURATION_BYTES_MAX,
    "put_object_lock_configuration": CONFIGURATION_BYTES_MAX,
    "put_object_retention": CONFIGURATION_BYTES_MAX,
    "put_object_tagging": TAGGING_BYTES_MAX,
}
# What object lock may forbid.
_LOCKED = frozenset(
    {"put_object_legal_hold", "put_object_lock_configuration", "put_object_retention"}
)
# Documents that S3 takes with a digest only.
_DIGESTED = frozenset(
    {"delete_objects", "put_bucket_lifecycle_configuration", "put_object_tagging"}
)


async def forward_read(call: Call, store: S3Store) -> Response:
    """GET and HEAD of objects, lists, DELETE: requests without a body."""
    head = call.request.head
    route = call.route
    if route.plain:
        ask = Ask(op=route.operation, method=head.method, container=store.container, key=route.key)
    else:
        ask = Ask(
            op=route.operation,
            method=head.method,
            container=store.container,
            key=route.key,
            query=forwarded_query(call),
            headers=hoisted_headers(call, writes=False),
            raw=request_lines(call, writes=False),
        )
    exchange = await store.requests.send(ask, replayable=route.plain or _replayable(call))
    answer = exchange.head
    if answer.status == 200 and route.operation == "get_object":
        return Response(200, (), exchange.body, raw=answer.select(ANSWER_HEADERS))
    return await _relayed(call, store, ask, exchange)


async def forward_upload(call: Call, store: S3Store) -> Response:
    """PutObject and UploadPart."""
    verified_there = store.features.verifies_payload
    body = await outgoing_body(call, verified_there=verified_there)
    headers = [*hoisted_headers(call, writes=True), *body.headers]
    coding = object_coding(call)
    if body.coding:
        codings = ["aws-chunked", *(value for _, value in coding)]
        coding = [("Content-Encoding", ",".join(codings))]
    ask = Ask(
        op=call.route.operation,
        method="PUT",
        container=store.container,
        key=call.route.key,
        query=forwarded_query(call),
        headers=[*headers, *coding],
        raw=request_lines(call, writes=True) + length_line(body.length),
        payload_hash=body.payload_hash,
    )
    exchange = await store.requests.send(
        ask,
        body.source,
        length=body.length,
        replayable=_replayable(call),
        splice=body.splice,
    )
    return await _relayed(call, store, ask, exchange)


async def forward_form(call: Call, store: S3Store) -> Response:
    """POST Object, which the endpoint gets as a PutObject."""

    async def put(call: Call) -> Response:
        response = await forward_upload(call, store)
        if not isinstance(response.body, bytes):
            await response.body.aclose()
        headers = []
        for line in response.raw.decode("latin-1").splitlines():
            name, _, value = line.partition(":")
            if name.lower() == "etag":
                headers.append(("ETag", value.strip()))
            elif name.lower().startswith("x-amz-"):
                headers.append((name, value.strip()))
        return Response(200, headers)

    return await post_object.post_object(call, put)


async def forward_document(call: Call, store: S3Store) -> Response:
    """Small bodies, which are read whole: what starts and ends uploads, DeleteObjects, tags."""
    operation = call.route.operation
    if operation in _DIGESTED:
        require_digest(call)
    document = b""
    if operation in _DOCUMENT_BYTES_MAX:
        limit = _DOCUMENT_BYTES_MAX[operation]
        of_body = operation != "complete_multipart_upload"  # there they are the object's
        document = await read_document(call, limit, checksums_of_body=of_body)
    headers = hoisted_headers(call, writes=True)
    if document:
        headers.append(("Content-MD5", b64encode(digest("md5", document)).decode()))
    ask = Ask(
        op=operation,
        method=call.request.head.method,
        container=store.container,
        key=call.route.key,
        query=forwarded_query(call),
        headers=[*headers, *object_coding(call)],
        raw=request_lines(call, writes=True) + length_line(len(document)),
        payload_hash=sha256(document).hexdigest() if document else EMPTY_SHA256,
    )
    exchange = await store.requests.send(
        ask, document, length=len(document), replayable=_replayable(call)
    )
    return await _relayed(call, store, ask, exchange)


async def forward_copy(call: Call, store: S3Store) -> Response:
    """CopyObject and UploadPartCopy: by the endpoint where it has the source, else through here."""
    named = parse_copy_source(call.route.headers)
    source = find_bucket(call, named.bucket)
    here = source.kind == "attached" and source.backend == call.bucket.backend
    if not here:
        return await _copy_through(call, store)
    copy_source = store.requests.copy_source(source.container, named.key)
    if named.version_id:
        copy_source += f"?versionId={url_encode(named.version_id)}"
    ask = Ask(
        op=call.route.operation,
        method="PUT",
        container=store.container,
        key=call.route.key,
        query=forwarded_query(call),
        headers=[
            *hoisted_headers(call, writes=True),
            *object_coding(call),
            ("x-amz-copy-source", copy_source),
        ],
        raw=request_lines(call, writes=True) + length_line(0),
    )
    exchange = await store.requests.send(ask, replayable=_replayable(call))
    return await _relayed(call, store, ask, exchange)


def _replayable(call: Call) -> bool:
    """Whether the operation, done twice, gives the same answer and leaves the same behind."""
    return call.route.operation not in _ONCE and not (
        call.request.head.method not in ("GET", "HEAD") and call.request.head.prefixed(b"if-")
    )


async def _copy_through(call: Call, store: S3Store) -> Response:
    acls_elsewhere.refuse_acl_of_carried(call.route.headers)
    if call.route.operation == "copy_object":
        return await copy_object.copy_object(call)
    number = parse_part_number(call.route.query)
    new_cipher(call)  # refuses a key that could not be passed on
    source = await copy_object.find_source(call)
    payload, body = await copy_object.open_part(call, source, "")
    upload_id = call.route.query["uploadId"]
    options = PutOptions(length=payload.length)
    try:
        stat = await store.put_part(call.route.key, upload_id, number, payload, options)
    finally:
        await body.aclose()
    document = xml_objects.copy_part(stat.etag, stat.modified_ns, {})
    return Response(200, XML_HEADERS, document)


async def _relayed(call: Call, store: S3Store, ask: Ask, exchange: Exchange) -> Response:
    """The answer to the client; from here on the response's body owns the exchange.

    Raises:
        S3Error, BackendError: the endpoint refused.
    """
    head = exchange.head
    status = head.status
    if status >= 300 and status != 304:
        body = await _read_all(store, ask, exchange, ERROR_BYTES_MAX)
        raise from_endpoint(ask, call.bucket, head, body, denied=_may_be_denied(call))
    raw = answer_lines(head, writes=ask.method in ("PUT", "POST"))
    if ask.method == "HEAD" or status == 304:
        await exchange.aclose()
        return Response(status, (), raw=raw, length=head.content_length)
    operation = call.route.operation
    renames = store.container != call.bucket.name and names_bucket(operation)
    if renames or names_owner(operation, call.route.query):
        document = await _read_all(store, ask, exchange, LIST_BYTES_MAX)
        return Response(status, (), _renamed(call, store, document), raw=raw)
    return Response(status, (), exchange.body, raw=raw)


async def _read_all(store: S3Store, ask: Ask, exchange: Exchange, limit: int) -> bytes:
    try:
        return await exchange.read_all(limit)
    except TRANSPORT_ERRORS as error:
        raise store.requests.transport_error(ask, error) from error


def _may_be_denied(call: Call) -> bool:
    """Whether a refusal may be the client's: for a lock, an ACL, or a key of another object."""
    if call.route.plain:
        return False
    headers = call.route.headers
    return (
        call.route.operation in _LOCKED
        or (call.route.operation == "delete_object" and "versionId" in call.route.query)
        or has_acl_headers(headers)
        or any(bool(headers.prefixed(prefix)) for prefix in (CUSTOMER, COPY_SOURCE_CUSTOMER))
    )


def _renamed(call: Call, store: S3Store, document: bytes) -> bytes:
    if names_owner(call.route.operation, call.route.query):
        document = own(document, owner_of(call, call.bucket))
    if store.container == call.bucket.name:
        return document
    scheme = "https" if call.request.secure else "http"
    path = f"/{call.bucket.name}/{url_encode(call.route.key)}"
    return rename(
        document,
        call.route.operation,
        target=store.container,
        bucket=call.bucket.name,
        location=f"{scheme}://{call.request.head.host}{path}",
    )


FORWARDED = {
    "get_object_acl": acls_elsewhere.get_object_acl,
    "put_object_acl": acls_elsewhere.put_object_acl,
    "get_bucket_encryption": forward_read,
    "put_bucket_encryption": forward_document,
    "delete_bucket_encryption": forward_read,
    "get_bucket_lifecycle_configuration": forward_read,
    "put_bucket_lifecycle_configuration": forward_document,
    "delete_bucket_lifecycle": forward_read,
    "list_objects": forward_read,
    "list_objects_v2": forward_read,
    "list_multipart_uploads": forward_read,
    "list_parts": forward_read,
    "list_object_versions": forward_read,
    "get_bucket_versioning": forward_read,
    "put_bucket_versioning": forward_document,
    "get_object_lock_configuration": forward_read,
    "get_object_retention": forward_read,
    "get_object_legal_hold": forward_read,
    "put_object_lock_configuration": forward_document,
    "put_object_retention": forward_document,
    "put_object_legal_hold": forward_document,
    "get_object": forward_read,
    "head_object": forward_read,
    "get_object_attributes": forward_read,
    "get_object_tagging": forward_read,
    "delete_object_tagging": forward_read,
    "delete_object": forward_read,
    "abort_multipart_upload": forward_read,
    "post_object": forward_form,
    "put_object": forward_upload,
    "upload_part": forward_upload,
    "create_multipart_upload": forward_document,
    "complete_multipart_upload": forward_document,
    "delete_objects": forward_document,
    "put_object_tagging": forward_document,
    "copy_object": forward_copy,
    "upload_part_copy": forward_copy,
}
