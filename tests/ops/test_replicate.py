"""Copying between backends at real endpoints, by whichever way there is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from s3proxy.backends.errors import BackendError
from s3proxy.backends.options import S3Options
from s3proxy.backends.s3 import S3Backend
from s3proxy.backends.store import PutOptions
from s3proxy.catalog.records import BlobRef
from s3proxy.http.body import BytesBody
from s3proxy.ops.blob_writer import new_id
from s3proxy.ops.lanes import ByteRate
from s3proxy.ops.replicate import Damaged, Miscopied, Original, copy_to
from tests.ops.lab import Lab, md5, open_lab
from tests.ops.providers import Region, region
from tests.polling import cut_off

DATA = bytes(range(256)) * 300


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[tuple[Lab, Region]]:
    """A lab with the backends `one` and `two`, and `twin` at the endpoint of `one`."""
    async with region(["one", "two"]) as found:
        options = S3Options(
            name="twin",
            endpoint=f"http://127.0.0.1:{found.providers['one'].port}",
            access_key="AKIDEXAMPLE",
            secret_key="secret",
        )
        twin = S3Backend(options, found.client)
        async with open_lab(directory, more=[*found.backends.values(), twin]) as lab:
            yield lab, found


async def stored(lab: Lab, backend: str, data: bytes = DATA) -> BlobRef:
    """A blob on a backend."""
    target = lab.services.backend(backend)
    blob_id = new_id()
    blob = BlobRef(blob_id, backend, "held", target.blob_name("k", blob_id), len(data))
    await target.blobs("held").put(blob.name, BytesBody(data), PutOptions(length=len(data)))
    return blob


async def read(lab: Lab, blob: BlobRef) -> bytes:
    reading = await lab.services.backend(blob.backend).blobs(blob.container).open(blob.name)
    found = bytearray()
    buffer = memoryview(bytearray(1 << 16))
    while count := await reading.body.read_into(buffer):
        found += buffer[:count]
    await reading.body.aclose()
    return bytes(found)


@pytest.mark.parametrize(("source", "target"), [("one", "two"), ("disk", "one"), ("two", "disk")])
async def test_copy_to_another_endpoint_streams(tmp_path: Path, source: str, target: str) -> None:
    async with opened(tmp_path) as (lab, _):
        blob = await stored(lab, source)
        known = Original(md5=md5(DATA))
        copy = await copy_to(lab.services, lab.bucket(), "k", [blob], target, original=known)
        assert (copy.backend, copy.size) == (target, len(DATA))
        assert copy.id != blob.id
        assert await read(lab, copy) == DATA
        assert [intent.blob for intent in lab.catalog.open_intents()] == [copy]


async def test_copy_to_the_same_endpoint_is_made_there(tmp_path: Path) -> None:
    async with opened(tmp_path) as (lab, found):
        blob = await stored(lab, "one")
        found.providers["one"].asked.clear()
        copy = await copy_to(lab.services, lab.bucket(), "k", [blob], "twin")
        assert copy.backend == "twin"
        assert await read(lab, copy) == DATA
        asked = [line.split()[0] for line in found.providers["one"].asked]
        assert asked == ["PUT", "PUT", "GET"]  # the bucket, the copy, and the test's own look


async def test_copy_to_reads_from_a_place_that_has_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as (lab, _):
        lost, kept = await stored(lab, "one"), await stored(lab, "disk")
        await lab.services.backend("one").blobs("held").delete(lost.name)
        copy = await copy_to(lab.services, lab.bucket(), "k", [lost, kept], "two")
        assert await read(lab, copy) == DATA


@pytest.mark.parametrize("target", ["one", "twin"])
@pytest.mark.parametrize("first", ["lost", "kept"])
async def test_copy_to_the_same_endpoint_of_what_is_lost_there_reads_from_another_place(
    tmp_path: Path, target: str, first: str
) -> None:
    async with opened(tmp_path) as (lab, _):
        lost, kept = await stored(lab, "one"), await stored(lab, "disk")
        await lab.services.backend("one").blobs("held").delete(lost.name)
        places = [lost, kept] if first == "lost" else [kept, lost]
        copy = await copy_to(lab.services, lab.bucket(), "k", places, target)
        assert await read(lab, copy) == DATA
        assert [intent.blob for intent in lab.catalog.open_intents()] == [copy]


async def test_copy_to_the_same_endpoint_of_what_is_wrong_there_says_that_it_is(
    s3_lab: Lab,
) -> None:
    await s3_lab.put("/far/key", DATA)
    (blob,) = s3_lab.record("key", "far").blobs
    held = s3_lab.services.backend("moto").blobs(blob.container)
    wrong = b"x" + DATA[1:]
    await held.put(blob.name, BytesBody(wrong), PutOptions(length=len(wrong)))
    known = Original(md5=md5(DATA))
    with pytest.raises(Damaged):
        await copy_to(s3_lab.services, s3_lab.bucket("far"), "key", [blob], "moto", original=known)


async def test_copy_to_of_bytes_that_are_wrong_leaves_garbage_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as (lab, found):
        blob = await stored(lab, "one", b"x" + DATA[1:])
        known = Original(md5=md5(DATA))
        with pytest.raises(Damaged):
            await copy_to(lab.services, lab.bucket(), "k", [blob], "two", original=known)
        assert lab.catalog.open_intents() == []
        assert len(lab.garbage()) == 1
        assert found.providers["two"].objects == {}


async def test_copy_to_that_arrives_as_something_else_is_no_copy(tmp_path: Path) -> None:
    async with opened(tmp_path) as (lab, found):
        blob = await stored(lab, "disk")
        found.providers["two"].etag = "0" * 32
        with pytest.raises(Miscopied):
            await copy_to(lab.services, lab.bucket(), "k", [blob], "two")
        assert len(lab.garbage()) == 1


async def test_copy_to_backend_that_fails_leaves_garbage_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as (lab, found):
        blob = await stored(lab, "disk")
        found.providers["two"].status = 500
        with pytest.raises(BackendError):
            await copy_to(lab.services, lab.bucket(), "k", [blob], "two")
        assert lab.catalog.open_intents() == []


async def test_copy_to_cancelled_leaves_garbage_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as (lab, found):
        blob = await stored(lab, "disk")
        await copy_to(lab.services, lab.bucket(), "k", [blob], "two")
        found.providers["two"].frozen = True

        async def copy() -> None:
            await copy_to(lab.services, lab.bucket(), "k", [blob], "two")

        await cut_off(copy, lambda: len(lab.catalog.open_intents()) == 1)
        assert len(lab.catalog.open_intents()) == 1
        assert len(lab.garbage()) == 1


async def test_byte_rate_spreads_bytes_over_time(autojump_clock: trio.testing.MockClock) -> None:
    rate = ByteRate(1000)
    began_s = trio.current_time()
    for _ in range(10):
        await rate.take(500)
    assert trio.current_time() - began_s == pytest.approx(4.0)  # a second's worth is free


async def test_byte_rate_unused_gives_a_second_at_most(
    autojump_clock: trio.testing.MockClock,
) -> None:
    rate = ByteRate(1000)
    await trio.sleep(100)
    began_s = trio.current_time()
    await rate.take(2500)
    assert trio.current_time() - began_s == pytest.approx(1.5)
