"""Uploads whose length shows only at their end: kept in a file first, then put as any other.

Stores take bytes of a known length alone. The file has no name: it goes with the process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from s3proxy.backends.disk import Disk
from s3proxy.backends.disk_errors import os_errors
from s3proxy.http.body import FileBody
from s3proxy.http.handler import Request, Response
from s3proxy.ops.payload_source import receive
from s3proxy.s3.errors import S3Error

if TYPE_CHECKING:
    from s3proxy.http.body import Body, ByteSource
    from s3proxy.http.request_body import RequestBody
    from s3proxy.ops.call import Call
    from s3proxy.s3.headers import Headers

Put = Callable[["Call"], Awaitable[Response]]


async def put_spooled(call: Call, source: ByteSource, headers: Headers, put: Put) -> Response:
    """Write `source` to a file, and let `put` take it from there.

    Raises:
        BackendError: there is no room for it.
    """
    directory = call.services.settings.spool_dir or tempfile.gettempdir()
    with os_errors("spool", directory, "spool"):
        spool = tempfile.TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115 - the next line
    with spool:
        with os_errors("spool", directory, "spool"):
            length = await Disk().write(spool.fileno(), source, length=-1)
        body = FileBody(spool.fileno(), 0, length, close=False)
        return await put_body(call, body, headers, put)


async def put_body(call: Call, body: Body, headers: Headers, put: Put) -> Response:
    """Let `put` perform the call with another body."""
    request = call.request
    upload = cast(Any, _Upload(headers, body))
    call.request = Request(
        upload,
        upload,
        request.id,
        request.peer,
        request.secure,
        tls_version=request.tls_version,
    )
    try:
        return await put(call)
    finally:
        call.request = request


class Unmeasured:
    """The body of a request that is in chunks of the transfer coding; a ByteSource."""

    length = -1

    def __init__(self, body: RequestBody, bytes_max: int) -> None:
        self._body = body
        self._bytes_max = bytes_max
        self._count = 0

    async def read_into(self, buffer: memoryview) -> int:
        """See `ByteSource.read_into`.

        Raises:
            S3Error: EntityTooLarge, IncompleteBody, RequestTimeout.
        """
        count = await receive(self._body, buffer)
        self._count += count
        if self._count > self._bytes_max:
            raise S3Error("EntityTooLarge", MaxSizeAllowed=str(self._bytes_max))
        return count


class _Upload:
    """Head and body, in one, of the PutObject that stands for another request."""

    chunked = False
    expect_continue = False
    method = "PUT"

    def __init__(self, headers: Headers, body: Body) -> None:
        self._body = body
        self._left = body.length
        self.content_length = self.length = body.length
        self.get = headers.get
        self.prefixed = headers.prefixed

    @property
    def consumed(self) -> bool:
        """See `RequestBody.consumed`."""
        return not self._left

    async def read_into(self, buffer: memoryview) -> int:
        """See `RequestBody.read_into`."""
        count = await self._body.read_into(buffer)
        self._left -= count
        return count
