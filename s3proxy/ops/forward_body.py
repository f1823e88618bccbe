"""Request bodies on their way to the endpoint behind an attached bucket.

    signed, and the endpoint verifies payloads    the body as it is, spliced, under the same hash
    with a checksum in its trailer                decoded, verified, framed anew with that trailer
    anything else                                 decoded, verified, sent plain

Where the bytes pass through here, the last of them leave only after all of it was verified.
"""

from __future__ import annotations

import msgspec

from s3proxy._fast.aws_chunked import chunk_head, encoded_length, end
from s3proxy.backends.s3_request import UNSIGNED_PAYLOAD
from s3proxy.http.body import ByteSource
from s3proxy.ops.call import Call
from s3proxy.ops.payload_source import RequestPayload
from s3proxy.s3.checksums import DIGEST_BYTES, header_name
from s3proxy.s3.payload import PayloadPlan, PayloadVerifier, plan_payload

STREAMING = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
CHUNK_BYTES = 64 * 1024  # what SDKs send; endpoints refuse other chunks than the last below 8 KiB


class OutgoingBody(msgspec.Struct, frozen=True):
    """A body and what the request says of it.

    Attributes:
        length: as framed.
        headers: to be signed with the request.
        coding: aws-chunked stands in front of the object's Content-Encoding.
        splice: the source is the client's own body, which may bypass Python.
    """

    source: ByteSource
    length: int
    payload_hash: str
    headers: tuple[tuple[str, str], ...] = ()
    coding: bool = False
    splice: bool = False


async def outgoing_body(call: Call, *, verified_there: bool) -> OutgoingBody:
    """Plan the body of a PutObject or UploadPart; an empty one is verified at once.

    Raises:
        S3Error: see `plan_payload`.
    """
    plan = plan_payload(call.request.head, call.sender, headers=call.route.headers)
    md5 = call.route.headers.get(b"content-md5")
    headers = (("Content-MD5", md5),) if md5 is not None else ()
    if plan.form == "signed" and verified_there and plan.length:
        return OutgoingBody(
            call.request.body, plan.length, plan.sha256, headers=headers, splice=True
        )
    payload = RequestPayload(call.request.body, plan, PayloadVerifier(plan, call.sender, extra=()))
    if plan.trailer and plan.checksum is not None:
        return _framed(payload, plan, headers)
    if not plan.length:
        await payload.digests()
    payload_hash = plan.sha256 if plan.form == "signed" else UNSIGNED_PAYLOAD
    return OutgoingBody(payload, plan.length, payload_hash, headers=headers)


def _framed(
    payload: RequestPayload, plan: PayloadPlan, headers: tuple[tuple[str, str], ...]
) -> OutgoingBody:
    assert plan.checksum is not None
    algorithm = plan.checksum[0]
    name = header_name(algorithm)
    value_bytes = (DIGEST_BYTES[algorithm] + 2) // 3 * 4  # base64
    return OutgoingBody(
        TrailerSource(payload, algorithm),
        encoded_length(plan.length, CHUNK_BYTES, name, value_bytes),
        STREAMING,
        headers=(
            *headers,
            ("x-amz-decoded-content-length", str(plan.length)),
            ("x-amz-trailer", name),
        ),
        coding=True,
    )


class TrailerSource:
    """A payload in aws-chunked framing, without signatures, its checksum in the trailer."""

    def __init__(self, payload: RequestPayload, algorithm: str) -> None:
        self.length = None
        self._payload = payload
        self._algorithm = algorithm
        self._left = payload.length
        self._chunk_left = 0
        self._framing = b""
        self._ended = False

    async def read_into(self, buffer: memoryview) -> int:
        """See `ByteSource.read_into`; raises what the payload raises."""
        if not self._chunk_left:
            await self._next_framing()
        count = min(len(buffer), len(self._framing))
        buffer[:count] = self._framing[:count]
        self._framing = self._framing[count:]
        if self._framing or not self._chunk_left or count == len(buffer):
            return count
        room = min(len(buffer) - count, self._chunk_left)
        read = await self._payload.read_into(buffer[count : count + room])
        self._chunk_left -= read
        self._left -= read
        if not self._chunk_left:
            self._framing = b"\r\n"
        return count + read

    async def _next_framing(self) -> None:
        if self._left:
            self._chunk_left = min(self._left, CHUNK_BYTES)
            self._framing += chunk_head(self._chunk_left)
        elif not self._ended:
            self._ended = True
            digests = await self._payload.digests()
            value = digests.checksums[self._algorithm]
            self._framing += end(header_name(self._algorithm), value)
