"""POST Object: the upload of a browser's form, as the PutObject that it stands for.

The form's fields come before its file, and say who sends it and where it goes. How long the file is
shows only at its end, and an object's length has to be known before its first byte is stored: so
the file is received whole first, in memory where it is small, else in a temporary file.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from s3proxy.http.body import BytesBody
from s3proxy.http.buffers import BUFFERS
from s3proxy.http.handler import Request, Response
from s3proxy.ops.payload_source import receive
from s3proxy.ops.put_object import put_object
from s3proxy.ops.resolve import XML_HEADERS
from s3proxy.ops.spooled import Put, put_body, put_spooled
from s3proxy.s3.errors import S3Error
from s3proxy.s3.post_form import FileEnd, FormReader, parse_boundary
from s3proxy.s3.post_object import PostForm, post_response
from s3proxy.s3.xml_listings import url_encode

if TYPE_CHECKING:
    from s3proxy.http.request_body import RequestBody
    from s3proxy.ops.call import Call

# What is left of a form's body when its file begins; up to here it is received into memory.
MEMORY_BYTES_MAX = 256 * 1024


async def read_form(request: Request, bucket: str) -> PostForm:
    """Read the form of an upload up to its file.

    Raises:
        S3Error: MissingContentLength, PreconditionFailed (no form), InvalidArgument (a signature in
            the head, too; a field is missing or repeated), MalformedPOSTRequest,
            MaxPostPreDataLengthExceededError, IncompleteBody, RequestTimeout.
    """
    head = request.head
    if head.get(b"authorization") is not None or b"X-Amz-Signature=" in head.query:
        message = "Only one auth mechanism allowed; a form has its signature in its fields."
        raise S3Error("InvalidArgument", message, ArgumentName="Authorization")
    if head.content_length < 0:
        raise S3Error("MissingContentLength")
    boundary = parse_boundary(head.get(b"content-type") or "")
    reader = FormReader(boundary)
    buffer = BUFFERS.take()
    try:
        found = None
        while found is None:
            count = await receive(request.body, buffer)
            if not count:
                raise S3Error("MalformedPOSTRequest")
            found = reader.feed(bytes(buffer[:count]))
    finally:
        BUFFERS.give(buffer)
    return PostForm(bucket, boundary, found)


async def post_object(call: Call, put: Put = put_object) -> Response:
    """POST Object.

    Args:
        put: makes an object of the form, whose call has it as its headers.

    Raises:
        S3Error: what is wrong with the form behind its fields; EntityTooSmall, EntityTooLarge; what
            PutObject raises.
    """
    form = call.route.headers
    assert isinstance(form, PostForm)

    def checked(upload: Call) -> Awaitable[Response]:
        _check_size(form, upload.request.head.content_length)
        return put(upload)

    file = _FormFile(call.request.body, form)
    if file.remaining <= MEMORY_BYTES_MAX:
        stored = await put_body(call, BytesBody(await file.read_all()), form, checked)
    else:
        stored = await put_spooled(call, file, form, checked)
    return _answer(call, form, stored)


def _check_size(form: PostForm, length: int) -> None:
    least, greatest = form.length_range
    if length < least:
        raise S3Error("EntityTooSmall", ProposedSize=str(length), MinSizeAllowed=str(least))
    if length > greatest:
        raise S3Error("EntityTooLarge", ProposedSize=str(length), MaxSizeAllowed=str(greatest))


def _answer(call: Call, form: PostForm, stored: Response) -> Response:
    etag = dict(stored.headers)["ETag"].strip('"')
    if url := form.redirect(etag):
        return Response(303, [*stored.headers, ("Location", url)])
    location = location_of(call)
    headers = [*stored.headers, ("Location", location)]
    status = form.success_status
    if status == 201:
        document = post_response(location, call.bucket.name, form.key, etag)
        return Response(201, [*headers, *XML_HEADERS], document)
    return Response(status, headers)


def location_of(call: Call) -> str:
    """The URL of the call's object, on the host name that the client used."""
    request = call.request
    scheme = "https" if request.secure else "http"
    path = request.head.path.decode("latin-1").rstrip("/")
    return f"{scheme}://{request.head.host}{path}/{url_encode(call.route.key)}"


class _FormFile:
    """The bytes of a form's file; a ByteSource.

    Attributes:
        remaining: bytes from the file's first to the end of the form; the file has fewer.
    """

    length = -1

    def __init__(self, body: RequestBody, form: PostForm) -> None:
        self._body = body
        self._end = FileEnd(form.boundary)
        self._greatest = form.length_range[1]
        self._count = 0
        self._finished = False
        self.remaining = body.remaining + len(form.rest)
        self._ready = memoryview(b"")
        self._take(form.rest)

    async def read_into(self, buffer: memoryview) -> int:
        """See `ByteSource.read_into`.

        Raises:
            S3Error: EntityTooLarge, as soon as that is certain; MalformedPOSTRequest,
                IncorrectNumberOfFilesInPostRequest, IncompleteBody, RequestTimeout.
        """
        while not self._ready:
            if self._finished:
                return 0
            await self._receive()
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    async def read_all(self) -> bytes:
        """The whole file, for a form of which little remains."""
        pieces = []
        while self._ready or not self._finished:
            pieces.append(bytes(self._ready))
            self._ready = memoryview(b"")
            if not self._finished:
                await self._receive()
        return b"".join(pieces)

    async def _receive(self) -> None:
        buffer = BUFFERS.take()
        try:
            count = await receive(self._body, buffer)
            if count:
                self._take(bytes(buffer[:count]))
            else:
                self._end.finish()
                self._finished = True
        finally:
            BUFFERS.give(buffer)

    def _take(self, data: bytes) -> None:
        self._ready = memoryview(self._end.feed(data))
        self._count += len(self._ready)
        if self._count > self._greatest:
            raise S3Error("EntityTooLarge", MaxSizeAllowed=str(self._greatest))
