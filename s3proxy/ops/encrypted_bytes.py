"""Encrypted objects on their way to and from where their bytes lie.

    EncryptingPayload   a payload of plain bytes, read as what is to be stored
    DecryptingBody      a range of the plain bytes of an object, read from what is stored

A chunk that is not what was stored is read from another place of its blob, where there is one.
Both work a chunk at a time in the event loop: 64 KiB take about 8 us, a hop to a thread 60.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from s3proxy.http.body import Body, send_by_buffer
from s3proxy.http.buffers import BUFFER_BYTES, BUFFERS, BufferPool
from s3proxy.ops.chunk_cipher import (
    CHUNK_BYTES,
    TAG_BYTES,
    DamagedChunkError,
    ObjectCipher,
    Piece,
    StreamCipher,
)
from s3proxy.ops.replica_body import ReplicaBody
from s3proxy.s3.errors import S3Error

if TYPE_CHECKING:
    from s3proxy.http.transport import Transport
    from s3proxy.ops.namespace import Payload
    from s3proxy.s3.payload import Digests

# Encrypted bytes that were changed, cut or swapped behind the gateway's back.
TAMPERED = "The object's data does not open: it is not what was stored."

_EMPTY = memoryview(b"")
# One stored chunk each.
_CHUNKS = BufferPool(CHUNK_BYTES)


class EncryptingPayload:
    """A Payload of stored bytes.

    Args:
        payload: the plain bytes; what was announced of them is verified as they are read.
        cipher: of the object or upload.
        stream: of as many plain bytes.
    """

    __slots__ = (
        *("_cipher", "_filled", "_index", "_left", "_payload", "_pending", "_plain", "_stream"),
        *("_taken", "checksum", "length", "md5", "sha256"),
    )

    def __init__(self, payload: Payload, cipher: ObjectCipher, stream: StreamCipher) -> None:
        self._payload = payload
        self._cipher = cipher
        self._stream = stream
        self._index = 0
        self._left = payload.length
        self._plain = _EMPTY  # a pooled buffer while chunks wait in it
        self._taken = self._filled = 0
        self._pending = _EMPTY
        self.length = stream.stored_size
        self.md5 = b""
        self.sha256 = ""
        self.checksum = None

    async def read_into(self, buffer: memoryview) -> int:
        """See `namespace.Payload`; raises what reading the plain bytes raises."""
        written = 0
        while written < len(buffer):
            if self._pending:
                count = min(len(self._pending), len(buffer) - written)
                buffer[written : written + count] = self._pending[:count]
                self._pending = self._pending[count:]
                written += count
            elif self._taken < self._filled:
                written += self._encrypt_chunk(buffer[written:])
            elif written or not await self._fill():
                break
        return written

    async def read_all(self) -> bytes:
        """All that is to be stored, of a payload of a small length."""
        plain = memoryview(await self._payload.read_all())
        stored = bytearray(self.length)
        stream, target = self._stream, memoryview(stored)
        while plain:
            size = stream.chunk_size(self._index)
            stream.encrypt(self._index, plain[:size], target[: size + TAG_BYTES])
            plain, target = plain[size:], target[size + TAG_BYTES :]
            self._index += 1
        return bytes(stored)

    async def digests(self) -> Digests:
        """Those of the plain bytes, with what the ETag shows of the MD5."""
        digests = await self._payload.digests()
        return msgspec.structs.replace(digests, md5=self._cipher.etag_digest(digests.md5))

    def passable(self) -> None:
        """Never: what is stored is not what was sent."""

    def _encrypt_chunk(self, target: memoryview) -> int:
        """Encrypt the next chunk; 0 where it did not fit and has to be taken in pieces."""
        size = self._stream.chunk_size(self._index)
        plain = self._plain[self._taken : self._taken + size]
        fits = len(target) >= size + TAG_BYTES
        chunk = target[: size + TAG_BYTES] if fits else memoryview(bytearray(size + TAG_BYTES))
        self._stream.encrypt(self._index, plain, chunk)
        self._index += 1
        self._taken += size
        if fits:
            return size + TAG_BYTES
        self._pending = chunk
        return 0

    async def _fill(self) -> bool:
        """Read as many whole chunks as have room; False at the end."""
        buffer, self._plain = self._plain or BUFFERS.take(), _EMPTY
        room = max(BUFFER_BYTES // self._stream.chunk_bytes, 1) * self._stream.plain_bytes
        wanted = min(self._left, room)
        filled = 0
        while filled < wanted:
            count = await self._payload.read_into(buffer[filled:wanted])
            if not count:
                break
            filled += count
        self._left -= filled
        if not filled or filled < wanted:
            # Ended early: who stores it counts, too, and refuses the whole.
            BUFFERS.give(buffer)
            self._taken = self._filled = 0
            return False
        self._plain, self._taken, self._filled = buffer, 0, filled
        return True


class DecryptingBody:
    """A range of an encrypted object.

    Args:
        pieces: the streams it touches.
        open_stored: gives the stored bytes first..last (inclusive) of the object; closed here.
        length: plain bytes in all.
    """

    __slots__ = (
        *("_body", "_chunk", "_index", "_open_stored", "_pending", "_piece", "_pieces"),
        "length",
    )

    def __init__(
        self,
        pieces: Iterable[Piece],
        open_stored: Callable[[int, int], Awaitable[Body]],
        length: int,
    ) -> None:
        self._pieces = iter(pieces)
        self._open_stored = open_stored
        self._piece: Piece | None = None
        self._body: Body | None = None
        self._index = 0
        self._pending = _EMPTY
        self._chunk: memoryview | None = None
        self.length = length

    async def prepare(self) -> None:
        """Read and open the first chunk, so that what is wrong with it is known before the answer.

        Raises:
            S3Error: InternalError, the chunk is not what was stored.
        """
        if not self._pending and await self._next_chunk():
            assert self._piece is not None
            size = self._piece.cipher.chunk_size(self._index)
            self._pending = await self._decrypt_apart(self._piece, size)

    async def read_into(self, buffer: memoryview) -> int:
        """See `ByteSource.read_into`.

        Raises:
            S3Error: InternalError, a chunk is not what was stored; nothing of it is in `buffer`.
        """
        written = 0
        while written < len(buffer):
            if self._pending:
                count = min(len(self._pending), len(buffer) - written)
                buffer[written : written + count] = self._pending[:count]
                self._pending = self._pending[count:]
                written += count
                continue
            if not await self._next_chunk():
                break
            assert self._piece is not None
            size = self._piece.cipher.chunk_size(self._index)
            if len(buffer) - written >= size and self._wanted(self._piece, size) == (0, size):
                await self._decrypt(self._piece, buffer[written : written + size])
                written += size
            elif written:
                break
            else:
                self._pending = await self._decrypt_apart(self._piece, size)
        return written

    async def send_to(self, sink: Transport, *, timeout_s: float) -> None:
        """See `Body.send_to`; also raises what `read_into` raises."""
        await send_by_buffer(self, sink, timeout_s=timeout_s)

    async def aclose(self) -> None:
        """See `Body.aclose`."""
        chunk, self._chunk = self._chunk, None
        if chunk is not None:
            _CHUNKS.give(chunk)
        body, self._body = self._body, None
        if body is not None:
            await body.aclose()

    async def _next_chunk(self) -> bool:
        """See that a stream is open and has a chunk to come; False at the end."""
        piece = self._piece
        if piece is not None and self._index * piece.cipher.plain_bytes <= piece.last:
            return True
        if self._body is not None:
            await self._body.aclose()
            self._body = None
        self._piece = piece = next(self._pieces, None)
        if piece is None:
            return False
        self._index = piece.first // piece.cipher.plain_bytes
        self._body = await self._open_stored(*piece.stored)
        return True

    def _wanted(self, piece: Piece, size: int) -> tuple[int, int]:
        """The part of the next chunk, of `size` plain bytes, that lies in the range."""
        start = self._index * piece.cipher.plain_bytes
        return max(piece.first - start, 0), min(piece.last + 1 - start, size)

    async def _decrypt_apart(self, piece: Piece, size: int) -> memoryview:
        first, stop = self._wanted(piece, size)
        plain = memoryview(bytearray(size))
        await self._decrypt(piece, plain)
        return plain[first:stop]

    async def _decrypt(self, piece: Piece, plain: memoryview) -> None:
        """Read the next chunk and decrypt it to `plain`, which is as long as it is."""
        assert self._body is not None
        if self._chunk is None:
            self._chunk = _CHUNKS.take()
        chunk = self._chunk[: len(plain) + TAG_BYTES]
        await _fill(chunk, self._body)
        if not _opens(piece, self._index, chunk, plain):
            await self._decrypt_elsewhere(piece, chunk, plain)
        self._index += 1
        if self._index * piece.cipher.plain_bytes > piece.last:
            await self._trust()

    async def _decrypt_elsewhere(self, piece: Piece, chunk: memoryview, plain: memoryview) -> None:
        """Decrypt what another place has of a chunk that is not what was stored."""
        body = self._body
        while isinstance(body, ReplicaBody) and await body.doubt(len(chunk)):
            await _fill(chunk, body)
            if _opens(piece, self._index, chunk, plain):
                return
        raise S3Error("InternalError", TAMPERED)

    async def _trust(self) -> None:
        if isinstance(self._body, ReplicaBody):
            await self._body.trust()


def _opens(piece: Piece, index: int, chunk: memoryview, plain: memoryview) -> bool:
    """Decrypt a chunk to `plain`; False: it is not what was stored."""
    try:
        piece.cipher.decrypt(index, chunk, plain)
    except DamagedChunkError:
        return False
    return True


async def _fill(chunk: memoryview, body: Body) -> None:
    filled = 0
    while filled < len(chunk):
        count = await body.read_into(chunk[filled:])
        if not count:
            raise S3Error("InternalError", TAMPERED)
        filled += count
