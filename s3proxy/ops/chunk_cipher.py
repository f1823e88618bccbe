"""Objects in authenticated chunks: AES-256-GCM, each chunk under its own nonce.

An object is one stream of bytes, or one for each of its parts. A stream has a key of its own, made
from the object's data key and a salt that is never used twice; so a chunk of another object, of
another part, or of an earlier upload of the same part does not open. Its nonce says which chunk of
the stream it is and whether it is the last. docs/formats/encryption.md has the byte table.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from s3proxy.catalog.errors import UnsupportedRecord
from s3proxy.catalog.records import Encryption, ObjectRecord
from s3proxy.s3.encryption import SSE_C

CHUNK_BYTES = 64 * 1024  # as stored: backends read and write whole pages
TAG_BYTES = 16
SALT_BYTES = 16
_INDEX_BYTES = 12  # of the nonce: the chunk's number and, in the last byte, whether it is the last
_STREAM_KEY = b"s3proxy stream key 1"
_ETAG = b"s3proxy etag 1"


class DamagedChunkError(Exception):
    """A chunk is not what was written there."""


class Piece(msgspec.Struct, frozen=True):
    """A stream's share of a range of the object.

    Attributes:
        start: offset of the stream in the stored bytes of the object.
        first, last: of the plain bytes of the stream, inclusive.
    """

    cipher: StreamCipher
    start: int
    first: int
    last: int

    @property
    def stored(self) -> tuple[int, int]:
        """First and last stored byte of the object that are needed."""
        cipher = self.cipher
        first = self.first // cipher.plain_bytes * cipher.chunk_bytes
        last = (self.last // cipher.plain_bytes + 1) * cipher.chunk_bytes
        return self.start + first, self.start + min(last, cipher.stored_size) - 1


class StreamCipher:
    """Encrypts and decrypts the chunks of one stream.

    Args:
        salt: never used with another stream of the data key.
        number: of the part; 0 for an object that came whole.
        size: plain bytes of the stream.
        chunk_bytes: of a whole chunk as it is stored.
    """

    __slots__ = ("_cipher", "_last", "chunk_bytes", "plain_bytes", "size", "stored_size")

    def __init__(
        self, data_key: bytes, salt: bytes, number: int, size: int, chunk_bytes: int
    ) -> None:
        context = _STREAM_KEY + number.to_bytes(4, "big") + chunk_bytes.to_bytes(4, "big") + salt
        self._cipher = AESGCM(hmac.digest(data_key, context, hashlib.sha256))
        self.chunk_bytes = chunk_bytes
        self.plain_bytes = chunk_bytes - TAG_BYTES
        self.size = size
        self.stored_size = stored_size(size, chunk_bytes)
        self._last = (size - 1) // self.plain_bytes

    def chunk_size(self, index: int) -> int:
        """Plain bytes of a chunk."""
        return min(self.plain_bytes, self.size - index * self.plain_bytes)

    def encrypt(self, index: int, plain: memoryview, target: memoryview) -> None:
        """Write the chunk of `plain` to `target`, which is TAG_BYTES longer."""
        self._cipher.encrypt_into(self._nonce(index), plain, None, target)

    def decrypt(self, index: int, chunk: memoryview, target: memoryview) -> None:
        """Write what is in `chunk` to `target`, which is TAG_BYTES shorter.

        Raises:
            DamagedChunkError: `target` holds nothing of use.
        """
        try:
            self._cipher.decrypt_into(self._nonce(index), chunk, None, target)
        except InvalidTag as error:
            raise DamagedChunkError(f"chunk {index}") from error

    def _nonce(self, index: int) -> bytes:
        return (index << 8 | (index == self._last)).to_bytes(_INDEX_BYTES, "big")


class ObjectCipher:
    """The key of one object, or of the parts of one upload.

    Raises:
        UnsupportedRecord: its chunks are larger than this program reads.
    """

    __slots__ = ("_data_key", "encryption")

    def __init__(self, data_key: bytes, encryption: Encryption) -> None:
        if not TAG_BYTES < encryption.chunk_bytes <= CHUNK_BYTES:
            raise UnsupportedRecord(f"chunks of {encryption.chunk_bytes} bytes")
        self._data_key = data_key
        self.encryption = encryption

    def whole(self, size: int) -> StreamCipher:
        """The stream of an object of `size` bytes that comes whole."""
        return self.part(self.encryption.id, 0, size)

    def part(self, salt: bytes, number: int, size: int) -> StreamCipher:
        """The stream of one part."""
        return StreamCipher(self._data_key, salt, number, size, self.encryption.chunk_bytes)

    def pieces(self, record: ObjectRecord, first: int, last: int) -> Iterator[Piece]:
        """The streams that hold bytes first..last (inclusive) of the object, in order."""
        start = stored = 0
        for salt, number, size in self._streams(record):
            stop = start + size
            if max(first, start) < min(last + 1, stop):
                cipher = self.part(salt, number, size)
                yield Piece(cipher, stored, max(first - start, 0), min(last, stop - 1) - start)
            start = stop
            stored += stored_size(size, self.encryption.chunk_bytes)

    def etag_digest(self, md5: bytes) -> bytes:
        """What stands in the ETag for the MD5 of the plain bytes.

        Of SSE-C it tells nothing of them to who has not got the key.
        """
        if self.encryption.kind != SSE_C:
            return md5
        return hmac.digest(self._data_key, _ETAG + md5, hashlib.sha256)[: len(md5)]

    def _streams(self, record: ObjectRecord) -> Iterator[tuple[bytes, int, int]]:
        """Salt, number and size of each stream."""
        if not self.encryption.salts:
            yield self.encryption.id, 0, record.size
            return
        for salt, part in zip(self.encryption.salts, record.parts, strict=True):
            yield salt, part.number, part.size


def stored_size(size: int, chunk_bytes: int) -> int:
    """Bytes that a stream of `size` plain bytes takes: a tag for each chunk; none has none."""
    plain_bytes = chunk_bytes - TAG_BYTES
    return size + (size + plain_bytes - 1) // plain_bytes * TAG_BYTES
