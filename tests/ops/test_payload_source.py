"""Payloads give their last byte only when everything about them holds."""

import hashlib
from types import SimpleNamespace
from typing import Any

import pytest

from s3proxy.http.body import BytesBody
from s3proxy.http.errors import ProtocolError
from s3proxy.ops.payload_source import HASH_INLINE_BYTES_MAX, ObjectPayload, RequestPayload
from s3proxy.s3.payload import PayloadPlan, PayloadVerifier
from tests.ops.lab import FakeBody, md5
from tests.s3.chunked import frame
from tests.s3.heads import raises_s3

NOBODY: Any = SimpleNamespace(
    authorization=SimpleNamespace(signature="", amz_date="", scope="", payload_hash=""), key=None
)


def payload(body: FakeBody, plan: PayloadPlan) -> RequestPayload:
    fake: Any = body
    return RequestPayload(fake, plan, PayloadVerifier(plan, NOBODY))


def signed(data: bytes, sha256: str = "", piece: int = 1 << 20) -> RequestPayload:
    sha256 = sha256 or hashlib.sha256(data).hexdigest()
    plan = PayloadPlan(form="signed", length=len(data), sha256=sha256)
    return payload(FakeBody(data, piece), plan)


async def drain(source: RequestPayload | ObjectPayload, size: int) -> bytes:
    data = bytearray()
    buffer = memoryview(bytearray(size))
    while count := await source.read_into(buffer):
        data += buffer[:count]
    return bytes(data)


@pytest.mark.parametrize("size", [1, 1000, HASH_INLINE_BYTES_MAX, 3 * HASH_INLINE_BYTES_MAX])
@pytest.mark.parametrize("buffer", [1000, 4 * HASH_INLINE_BYTES_MAX])
async def test_payload_gives_its_bytes_and_digests(size: int, buffer: int) -> None:
    data = b"x" * size
    source = signed(data)
    assert await drain(source, buffer) == data
    assert (await source.digests()).md5.hex() == md5(data)
    assert await source.read_into(memoryview(bytearray(10))) == 0


async def test_payload_that_is_wrong_keeps_its_last_piece() -> None:
    source = signed(b"x" * 1000, sha256="0" * 64, piece=400)
    buffer = memoryview(bytearray(1000))
    assert await source.read_into(buffer) == 400
    assert await source.read_into(buffer) == 400
    with raises_s3("XAmzContentSHA256Mismatch"):
        await source.read_into(buffer)


@pytest.mark.parametrize("piece", [1, 10, 1 << 20])
async def test_payload_in_chunks_is_verified_to_the_end_of_its_framing(piece: int) -> None:
    plan = PayloadPlan(form="streaming-unsigned-trailer", length=20, trailer=True)
    whole = frame([b"x" * 20])
    source = payload(FakeBody(whole, piece), plan)
    assert await drain(source, 7) == b"x" * 20
    assert (await source.digests()).md5.hex() == md5(b"x" * 20)
    cut = payload(FakeBody(whole[:-2], piece), plan)
    with raises_s3("IncompleteBody"):
        await drain(cut, 7)
    longer = payload(FakeBody(whole + b"more", piece), plan)
    with raises_s3("IncompleteBody"):
        await drain(longer, 7)


@pytest.mark.parametrize("size", [0, 5, 600_000])
async def test_payload_read_all_gives_everything(size: int) -> None:
    data = b"x" * size
    source = signed(data, piece=100_000)
    assert await source.read_all() == data
    assert (await source.digests()).md5.hex() == md5(data)


async def test_payload_without_bytes_is_verified_by_its_digests() -> None:
    with raises_s3("XAmzContentSHA256Mismatch"):
        await signed(b"", sha256="0" * 64).digests()
    assert (await signed(b"").digests()).md5.hex() == md5(b"")


async def test_payload_is_passable_only_untouched_and_signed() -> None:
    source = signed(b"x" * 10, piece=5)
    assert source.passable() is not None
    await source.read_into(memoryview(bytearray(5)))
    assert source.passable() is None
    assert signed(b"").passable() is None
    plan = PayloadPlan(form="unsigned", length=3)
    assert payload(FakeBody(b"abc"), plan).passable() is None
    checked = PayloadPlan(form="signed", length=3, sha256="0" * 64, checksum=("crc32", "AAAAAA=="))
    assert payload(FakeBody(b"abc"), checked).passable() is None


async def test_payload_with_bad_http_framing_is_the_clients_fault() -> None:
    body = FakeBody(b"", error=ProtocolError(400, "bad chunk size"))
    plan = PayloadPlan(form="unsigned", length=3)
    with raises_s3("InvalidRequest"):
        await payload(body, plan).read_all()


@pytest.mark.parametrize("size", [0, 5, 300_000])
async def test_object_payload_hashes_what_it_reads(size: int) -> None:
    data = b"x" * size
    source = ObjectPayload(BytesBody(data), size, algorithm="sha256")
    assert await drain(source, 70_000) == data
    digests = await source.digests()
    assert digests.md5.hex() == md5(data)
    assert set(digests.checksums) == {"sha256"}
    again = ObjectPayload(BytesBody(data), size)
    assert await again.read_all() == data
    assert again.passable() is None


async def test_object_payload_cut_short_has_no_digests() -> None:
    source = ObjectPayload(BytesBody(b"abc"), 4)
    with raises_s3("InternalError"):
        await source.read_all()
    with raises_s3("InternalError"):
        await source.digests()
