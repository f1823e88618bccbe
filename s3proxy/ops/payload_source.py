"""Payloads on their way into an object: from a request, or from another object.

Both give their last byte only after everything announced of them has been verified, so that a store
which counts bytes never finishes an object of a bad body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from s3proxy._fast.checksum import Hasher
from s3proxy.http.buffers import BUFFERS
from s3proxy.http.errors import DeadlineExceeded, Disconnected, ProtocolError, TransportError
from s3proxy.s3 import checksums
from s3proxy.s3.errors import S3Error
from s3proxy.s3.payload import Digests, PayloadPlan, PayloadVerifier, plan_payload

if TYPE_CHECKING:
    from s3proxy.http.body import Body
    from s3proxy.http.request_body import RequestBody
    from s3proxy.ops.call import Call
    from s3proxy.s3.headers import Headers

# From here on a hop to a worker thread costs less than the stall of everybody else: MD5 and SHA-256
# of 128 KiB take about 0.3 ms.
HASH_INLINE_BYTES_MAX = 128 * 1024
_CHECKSUMS = b"x-amz-checksum-"


class RequestPayload:
    """The body of a request, decoded and verified while it is read."""

    __slots__ = ("_body", "_delivered", "_digests", "_plan", "_verifier", "length", "md5", "sha256")

    def __init__(self, body: RequestBody, plan: PayloadPlan, verifier: PayloadVerifier) -> None:
        self._body = body
        self._plan = plan
        self._verifier = verifier
        self._delivered = 0
        self._digests: Digests | None = None
        self.length = plan.length
        self.md5 = plan.content_md5
        self.sha256 = plan.sha256 if plan.form == "signed" else ""

    @property
    def checksum(self) -> tuple[str, str] | None:
        """See `namespace.Payload`."""
        declared = self._plan.checksum
        return declared if declared is not None and declared[1] else None

    async def read_into(self, buffer: memoryview) -> int:
        """Read payload to the start of `buffer`; see `namespace.Payload`.

        Raises:
            S3Error: what is wrong with the body; RequestTimeout, IncompleteBody.
        """
        while self._digests is None:
            count = await receive(self._body, buffer)
            if not count:
                self._digests = self._verifier.finish()
                return 0
            payload = await self._feed(buffer, count)
            self._delivered += payload
            if self._delivered == self.length:
                await self._finish()
            if payload:
                return payload
        return 0

    async def read_all(self) -> bytes:
        """The whole verified payload, for one that is known to be small."""
        buffer = BUFFERS.take()
        try:
            count = await self.read_into(buffer)
            if self._digests is not None:
                return bytes(buffer[:count])
            pieces = [bytes(buffer[:count])]
            while count := await self.read_into(buffer):
                pieces.append(bytes(buffer[:count]))
            return b"".join(pieces)
        finally:
            BUFFERS.give(buffer)

    async def digests(self) -> Digests:
        """The digests; reads and verifies what framing is left, no payload may be.

        Raises:
            S3Error: see `read_into`.
        """
        if self._digests is None:
            await self._finish()
        assert self._digests is not None
        return self._digests

    def passable(self) -> RequestBody | None:
        """The body itself, where only its signed SHA-256 (and MD5) are to be checked."""
        plan = self._plan
        untouched = not self._delivered and self._digests is None
        if plan.form == "signed" and plan.checksum is None and plan.length and untouched:
            return self._body
        return None

    async def _finish(self) -> None:
        """Take the framing behind the payload, its trailer included, and verify everything."""
        if not self._body.consumed:
            buffer = BUFFERS.take()
            try:
                while count := await receive(self._body, buffer):
                    self._verifier.feed(buffer, count)
            finally:
                BUFFERS.give(buffer)
        self._digests = self._verifier.finish()

    async def _feed(self, buffer: memoryview, count: int) -> int:
        if count < HASH_INLINE_BYTES_MAX:
            return self._verifier.feed(buffer, count)
        return await trio.to_thread.run_sync(self._verifier.feed, buffer, count)


class ObjectPayload:
    """Bytes of another object, hashed while they are read; closes nothing."""

    __slots__ = ("_algorithms", "_body", "_hasher", "_remaining", "length", "md5", "sha256")

    def __init__(self, body: Body, length: int, *, algorithm: str = "") -> None:
        self._body = body
        self._algorithms = (algorithm,) if algorithm else ()
        self._hasher = Hasher(("md5", *self._algorithms))
        self._remaining = length
        self.length = length
        self.md5 = b""
        self.sha256 = ""

    @property
    def checksum(self) -> tuple[str, str] | None:
        """None."""
        return None

    async def read_into(self, buffer: memoryview) -> int:
        """Read to the start of `buffer`.

        Raises:
            S3Error: InternalError, the source ended early; ServiceUnavailable, it broke.
            BackendError: it broke.
        """
        if not self._remaining:
            return 0
        try:
            count = await self._body.read_into(buffer[: self._remaining])
        except TransportError as error:
            # Not the client's connection: nothing is wrong with its request.
            message = "The copy source could not be read to its end."
            raise S3Error("ServiceUnavailable", message) from error
        if not count:
            raise S3Error("InternalError", "The copy source ended early.")
        self._remaining -= count
        await hash_into(self._hasher, buffer[:count])
        return count

    async def read_all(self) -> bytes:
        """The whole source."""
        data = bytearray(self.length)
        start = 0
        while count := await self.read_into(memoryview(data)[start:] if self._remaining else EMPTY):
            start += count
        return bytes(data)

    async def digests(self) -> Digests:
        """MD5, and the checksum asked for, of all that was read."""
        if self._remaining:
            raise S3Error("InternalError", "The copy source was not read to its end.")
        values = {name: checksums.encode(self._hasher.digest(name)) for name in self._algorithms}
        return Digests(self._hasher.digest("md5"), values)

    def passable(self) -> None:
        """Never: the bytes are the gateway's own."""


EMPTY = memoryview(bytearray())


async def receive(body: RequestBody, buffer: memoryview) -> int:
    """Read from the client; its faults become S3 errors: no store takes them for its own."""
    try:
        return await body.read_into(buffer)
    except DeadlineExceeded as error:
        raise S3Error("RequestTimeout") from error
    except Disconnected as error:
        raise S3Error("IncompleteBody") from error
    except ProtocolError as error:
        raise S3Error("InvalidRequest", error.reason) from error


async def hash_into(hasher: Hasher, data: memoryview) -> None:
    """Hash `data`, in a worker thread where that would hold up the loop."""
    if len(data) < HASH_INLINE_BYTES_MAX:
        hasher.update(data)
    else:
        await trio.to_thread.run_sync(hasher.update, data)


def request_payload(call: Call, *, algorithm: str = "") -> RequestPayload:
    """The body of the call as a payload, with its MD5 and one more digest when asked for.

    Raises:
        S3Error: see `plan_payload`.
    """
    plan = plan_payload(call.request.head, call.sender, headers=call.route.headers)
    extra = ("md5", algorithm) if algorithm else ("md5",)
    verifier = PayloadVerifier(plan, call.sender, extra=extra)
    return RequestPayload(call.request.body, plan, verifier)


async def read_document(call: Call, bytes_max: int, *, checksums_of_body: bool = True) -> bytes:
    """The verified body of a request that is an XML document; b"" where there is none.

    Args:
        checksums_of_body: False where x-amz-checksum-* headers speak of something else.
    Raises:
        S3Error: MaxMessageLengthExceeded, and see `plan_payload` and `RequestPayload.read_into`.
    """
    if call.document is not None:
        return call.document
    head, sender = call.request.head, call.sender
    headers = call.route.headers if checksums_of_body else WithoutChecksums(call.route.headers)
    plan = plan_payload(head, sender, headers=headers, length_required=False)
    if plan.length > bytes_max:
        raise S3Error("MaxMessageLengthExceeded", MaxMessageLengthBytes=str(bytes_max))
    verifier = PayloadVerifier(plan, sender, extra=())
    return await RequestPayload(call.request.body, plan, verifier).read_all()


class WithoutChecksums:
    """Headers without those that give a checksum."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def get(self, name: bytes, /) -> str | None:
        """See `Headers.get`."""
        return None if name.startswith(_CHECKSUMS) else self._headers.get(name)

    def prefixed(self, prefix: bytes, /) -> list[tuple[str, str]]:
        """See `Headers.prefixed`."""
        hidden = _CHECKSUMS.decode()
        found = self._headers.prefixed(prefix)
        return [(name, value) for name, value in found if not name.startswith(hidden)]
