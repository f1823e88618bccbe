"""Chunks on their way in and out, against the plain bytes; and what nobody may change in them."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.catalog.errors import UnsupportedRecord
from s3proxy.catalog.records import Encryption, ObjectRecord, PartSize
from s3proxy.http.body import Body, BytesBody
from s3proxy.ops.chunk_cipher import CHUNK_BYTES, TAG_BYTES, ObjectCipher, stored_size
from s3proxy.ops.encrypted_bytes import DecryptingBody, EncryptingPayload
from s3proxy.s3.errors import S3Error
from s3proxy.s3.payload import Digests

CHUNK = 48
KEY = bytes(range(32))
ENCRYPTION = Encryption("AES256", b"i" * 16, b"", "", CHUNK)


class PiecesPayload:
    """Plain bytes in pieces of given lengths; ends early when they are used up before `length`."""

    sha256 = "announced"
    md5 = b"announced"

    def __init__(self, data: bytes, piece: int, length: int | None = None) -> None:
        self.length = len(data) if length is None else length
        self._data = memoryview(data)
        self._piece = piece

    async def read_into(self, buffer: memoryview) -> int:
        count = min(len(buffer), self._piece, len(self._data))
        buffer[:count] = self._data[:count]
        self._data = self._data[count:]
        return count

    async def read_all(self) -> bytes:
        data, self._data = self._data, memoryview(b"")
        return bytes(data)

    async def digests(self) -> Digests:
        return Digests(b"m" * 16, {"crc32": "x"})

    def passable(self) -> None:
        return None


def encrypted(
    parts: list[bytes], chunk_bytes: int = CHUNK, *, salt: bytes = b"s", piece: int = 17
) -> tuple[ObjectCipher, ObjectRecord, bytes]:
    """A cipher, the record of the parts' object, and what is stored of it."""
    salts = tuple(salt + bytes([number]) for number in range(len(parts)))
    encryption = msgspec.structs.replace(ENCRYPTION, chunk_bytes=chunk_bytes, salts=salts)
    cipher = ObjectCipher(KEY, encryption)
    record = ObjectRecord(
        size=sum(map(len, parts)),
        etag="",
        modified_ns=0,
        parts=tuple(PartSize(number, len(part)) for number, part in enumerate(parts, 1)),
        encryption=encryption,
    )
    stored = b"".join(
        stored_part(cipher, number, part, piece) for number, part in enumerate(parts, 1)
    )
    return cipher, record, stored


def stored_part(cipher: ObjectCipher, number: int, part: bytes, piece: int) -> bytes:
    stream = cipher.part(cipher.encryption.salts[number - 1], number, len(part))
    payload = EncryptingPayload(PiecesPayload(part, piece), cipher, stream)
    assert payload.length == stored_size(len(part), cipher.encryption.chunk_bytes)
    return trio.run(drained, payload.read_into, 1000)


async def drained(read_into: Callable[[memoryview], Awaitable[int]], size: int) -> bytes:
    data = b""
    buffer = memoryview(bytearray(size))
    while count := await read_into(buffer):
        data += buffer[:count]
    assert not await read_into(buffer)
    return data


def decrypted(
    cipher: ObjectCipher,
    record: ObjectRecord,
    stored: bytes,
    span: tuple[int, int] | None = None,
    *,
    size: int = 100,
    prepare: bool = False,
) -> bytes:
    """The plain bytes of a span, and a check that nothing but its chunks was read."""
    first, last = span or (0, record.size - 1)

    async def open_stored(start: int, stop: int) -> Body:
        assert 0 <= start <= stop
        return BytesBody(stored[start : stop + 1])

    async def run() -> bytes:
        body = DecryptingBody(cipher.pieces(record, first, last), open_stored, last - first + 1)
        try:
            if prepare:
                await body.prepare()
            return await drained(body.read_into, size)
        finally:
            await body.aclose()

    return trio.run(run)


@given(
    st.lists(st.integers(0, 3 * CHUNK), min_size=1, max_size=4),
    st.integers(1, 200),
    st.integers(1, 200),
    st.booleans(),
    st.data(),
)
def test_any_range_of_any_parts_comes_back(
    sizes: list[int], piece: int, size: int, prepare: bool, data: st.DataObject
) -> None:
    parts = [os.urandom(count) for count in sizes]
    plain = b"".join(parts)
    cipher, record, stored = encrypted(parts, piece=piece)
    if not plain:
        assert stored == b""
        return
    first = data.draw(st.integers(0, len(plain) - 1))
    last = data.draw(st.integers(first, len(plain) - 1))
    found = decrypted(cipher, record, stored, (first, last), size=size, prepare=prepare)
    assert found == plain[first : last + 1]


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - TAG_BYTES, CHUNK_BYTES, 1_000_000])
@pytest.mark.parametrize("buffer", [CHUNK_BYTES - 1, 256 * 1024, 1 << 20])
def test_chunks_of_the_usual_size(size: int, buffer: int) -> None:
    plain = os.urandom(size)
    cipher, record, stored = encrypted([plain], CHUNK_BYTES, piece=100_000)
    assert len(stored) == stored_size(size, CHUNK_BYTES)
    if size:
        assert decrypted(cipher, record, stored, size=buffer) == plain


def test_range_reads_the_chunks_it_touches_only() -> None:
    parts = [bytes(200), bytes(100)]
    cipher, record, stored = encrypted(parts)
    (piece,) = cipher.pieces(record, 40, 70)
    assert piece.stored == (CHUNK, 3 * CHUNK - 1)
    first, second = cipher.pieces(record, 199, 200)
    start = stored_size(200, CHUNK)
    assert first.stored == (6 * CHUNK, start - 1)
    assert second.stored == (start, start + CHUNK - 1)
    assert len(stored) == start + stored_size(100, CHUNK)


def test_whole_payload_at_once_is_what_pieces_are() -> None:
    cipher = ObjectCipher(KEY, ENCRYPTION)
    plain = os.urandom(300)
    made = [EncryptingPayload(PiecesPayload(plain, 7), cipher, cipher.whole(300)) for _ in range(2)]
    assert trio.run(made[0].read_all) == trio.run(drained, made[1].read_into, 50)


def test_payload_that_ends_early_gives_less_than_announced() -> None:
    cipher = ObjectCipher(KEY, ENCRYPTION)
    short = PiecesPayload(bytes(99), 10, length=100)
    payload = EncryptingPayload(short, cipher, cipher.whole(100))
    assert len(trio.run(drained, payload.read_into, 1000)) < payload.length


@pytest.mark.parametrize(("kind", "same"), [("AES256", True), ("SSE-C", False)])
def test_digests_are_of_the_plain_bytes_but_for_the_etag_of_customers(
    kind: str, same: bool
) -> None:
    cipher = ObjectCipher(KEY, msgspec.structs.replace(ENCRYPTION, kind=kind))
    payload = EncryptingPayload(PiecesPayload(b"", 1), cipher, cipher.whole(0))
    digests = trio.run(payload.digests)
    assert (digests.md5 == b"m" * 16, len(digests.md5)) == (same, 16)
    assert digests.checksums == {"crc32": "x"}
    assert (payload.passable(), payload.md5, payload.sha256) == (None, b"", "")


PLAIN = [os.urandom(3 * CHUNK), os.urandom(CHUNK), os.urandom(5)]


def assert_refused(
    cipher: ObjectCipher, record: ObjectRecord, stored: bytes, prepare: bool = False
) -> None:
    with pytest.raises(S3Error) as caught:
        decrypted(cipher, record, stored, prepare=prepare)
    assert caught.value.code == "InternalError"


def test_every_flipped_bit_is_found() -> None:
    cipher, record, stored = encrypted(PLAIN)
    for position in range(len(stored)):
        damaged = bytearray(stored)
        damaged[position] ^= 1 << position % 8
        assert_refused(cipher, record, bytes(damaged))


def test_every_cut_is_found() -> None:
    cipher, record, stored = encrypted(PLAIN)
    for length in range(len(stored)):
        assert_refused(cipher, record, stored[:length])


def test_cut_after_a_whole_chunk_that_fits_the_size_is_found() -> None:
    cipher, record, stored = encrypted([bytes(3 * (CHUNK - TAG_BYTES))])
    smaller = [PartSize(1, 2 * (CHUNK - TAG_BYTES))]
    cut = msgspec.structs.replace(record, size=smaller[0].size, parts=tuple(smaller))
    assert_refused(cipher, cut, stored[: 2 * CHUNK])


def test_swapped_repeated_and_moved_chunks_are_found() -> None:
    cipher, record, stored = encrypted([bytes(96), bytes(96)])
    chunks = [stored[start : start + CHUNK] for start in range(0, len(stored), CHUNK)]
    for here in range(len(chunks)):
        for there in range(len(chunks)):
            if here != there:
                moved = [*chunks]
                moved[here] = chunks[there]
                assert_refused(cipher, record, b"".join(moved))


def test_part_sent_before_under_the_same_number_is_found() -> None:
    cipher, record, stored = encrypted(PLAIN)
    _, _, before = encrypted(PLAIN, salt=b"t")
    assert_refused(cipher, record, before[:CHUNK] + stored[CHUNK:])


def test_bytes_of_another_object_are_found_before_the_answer() -> None:
    cipher, record, stored = encrypted(PLAIN)
    other = ObjectCipher(bytes(32), cipher.encryption)
    assert_refused(other, record, stored, prepare=True)


def test_what_was_read_before_the_damage_is_right() -> None:
    plain = os.urandom(96)
    cipher, record, stored = encrypted([plain])
    damaged = stored[:-1] + bytes([stored[-1] ^ 1])
    found = bytearray()

    async def run() -> None:
        async def open_stored(start: int, stop: int) -> Body:
            return BytesBody(damaged[start : stop + 1])

        body = DecryptingBody(cipher.pieces(record, 0, 95), open_stored, 96)
        buffer = memoryview(bytearray(32))
        while count := await body.read_into(buffer):
            found.extend(buffer[:count])

    with pytest.raises(S3Error):
        trio.run(run)
    assert found == plain[:64]


@pytest.mark.parametrize("chunk_bytes", [0, TAG_BYTES, CHUNK_BYTES + 1])
def test_chunks_of_another_program_are_refused(chunk_bytes: int) -> None:
    with pytest.raises(UnsupportedRecord, match=str(chunk_bytes)):
        ObjectCipher(KEY, msgspec.structs.replace(ENCRYPTION, chunk_bytes=chunk_bytes))
