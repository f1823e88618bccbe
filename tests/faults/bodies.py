"""aws-chunked bodies piece by piece, so that any piece can be made wrong."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass, field

from tests.faults.wire import SignedHead, signed_head

SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
FORMS = (SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER)
CRC32 = "x-amz-checksum-crc32"
WRONG_SIGNATURE = "0" * 64


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


@dataclass
class Chunked:
    """One upload in chunks, right unless a field says otherwise.

    Attributes:
        chunks: without the last, empty one.
        declared: x-amz-decoded-content-length; -1: as long as the chunks are.
        bad_chunk: index of the chunk whose signature is wrong; len(chunks): the last, empty one.
        trailer: its lines, of name and value; None: the checksum of the chunks.
        bad_trailer_signature: the signature of the trailer is wrong.
        tail: what comes instead of the last chunk and all behind it; None: what is right.
        after: bytes after the end.
        headers: further ones.
    """

    form: str
    chunks: list[bytes]
    declared: int = -1
    bad_chunk: int = -1
    trailer: list[tuple[str, str]] | None = None
    bad_trailer_signature: bool = False
    tail: bytes | None = None
    after: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def payload(self) -> bytes:
        return b"".join(self.chunks)

    def request(self, port: int, target: str) -> list[bytes]:
        """Head and body; Content-Length is that of the body as it is sent."""
        # Signatures have one length, so a first signing tells how long the body will be.
        length = len(self._body(self._head(port, target, 0)))
        head = self._head(port, target, length)
        return [head.data, self._body(head)]

    def _head(self, port: int, target: str, length: int) -> SignedHead:
        declared = len(self.payload) if self.declared < 0 else self.declared
        headers = {
            "Content-Length": str(length),
            "Content-Encoding": "aws-chunked",
            "x-amz-decoded-content-length": str(declared),
            **({"x-amz-trailer": CRC32} if self.form.endswith("TRAILER") else {}),
            **self.headers,
        }
        return signed_head(port, "PUT", target, headers, payload_hash=self.form)

    def _body(self, head: SignedHead) -> bytes:
        signed = self.form != UNSIGNED_TRAILER
        previous = head.signature
        pieces: list[bytes] = []
        for index, chunk in enumerate([*self.chunks, b""]):
            if index == len(self.chunks) and self.tail is not None:
                return b"".join(pieces) + self.tail + self.after
            extension = ""
            if signed:
                previous = head.sign_chunk(previous, chunk)
                shown = WRONG_SIGNATURE if index == self.bad_chunk else previous
                extension = f";chunk-signature={shown}"
            pieces.append(f"{len(chunk):x}{extension}\r\n".encode())
            pieces.append(chunk + b"\r\n" if chunk else b"")
        if self.form.endswith("TRAILER"):
            pieces.append(self._trailer(head, previous if signed else ""))
        return b"".join(pieces) + b"\r\n" + self.after

    def _trailer(self, head: SignedHead, previous: str) -> bytes:
        trailer = [(CRC32, crc32(self.payload))] if self.trailer is None else self.trailer
        lines = [f"{name}:{value}" for name, value in trailer]
        if previous:
            canonical = "".join(f"{line}\n" for line in lines).encode()
            signature = head.sign_trailer(previous, canonical)
            shown = WRONG_SIGNATURE if self.bad_trailer_signature else signature
            lines.append(f"x-amz-trailer-signature:{shown}")
        return "".join(f"{line}\r\n" for line in lines).encode()
