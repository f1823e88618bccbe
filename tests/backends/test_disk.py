"""Buffers and threads: bounds, and what is given back."""

import os
from pathlib import Path

import pytest
import trio

from s3proxy.backends.disk import SMALL_BUFFER_BYTES, BufferPool, Disk
from s3proxy.backends.errors import BodyRejected
from tests.backends.stores import FailingSource, HangingSource, Source, SourceError

SIZE = 300_000


@pytest.fixture
def pool() -> BufferPool:
    return BufferPool(buffers_max=3, buffer_bytes=64 << 10)


@pytest.fixture
def target(tmp_path: Path) -> int:
    return os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)


async def test_pool_that_is_lent_out_gives_small_buffers(pool: BufferPool) -> None:
    taken = [pool.take() for _ in range(5)]
    assert [len(buffer) for buffer in taken] == [64 << 10] * 3 + [SMALL_BUFFER_BYTES] * 2
    for buffer in taken:
        pool.give(buffer)
    assert pool.lent == 0


@pytest.mark.parametrize("length", [SIZE, -1])
@pytest.mark.parametrize("offset", [0, 1000])
async def test_write_of_more_than_the_buffers_arrives_in_order(
    pool: BufferPool, target: int, length: int, offset: int
) -> None:
    data = os.urandom(SIZE)
    assert await Disk(pool).write(target, Source(data), length=length, offset=offset) == SIZE
    assert os.pread(target, SIZE + 1, offset) == data
    assert pool.lent == 0
    os.close(target)


async def test_writers_beyond_the_pool_all_get_on(pool: BufferPool, tmp_path: Path) -> None:
    disk, data = Disk(pool, threads_max=2), os.urandom(SIZE)

    async def write(number: int) -> None:
        fd = os.open(tmp_path / str(number), os.O_RDWR | os.O_CREAT)
        await disk.write(fd, Source(data), length=SIZE)
        assert os.pread(fd, SIZE + 1, 0) == data
        os.close(fd)

    async with trio.open_nursery() as nursery:
        for number in range(12):
            nursery.start_soon(write, number)
    assert pool.lent == 0


async def test_write_that_fails_gives_its_buffers_back(pool: BufferPool, target: int) -> None:
    with pytest.raises(SourceError):
        await Disk(pool).write(target, FailingSource(bytes(SIZE)), length=SIZE)
    with pytest.raises(BodyRejected):
        await Disk(pool).write(target, Source(bytes(SIZE)), length=SIZE - 1)
    os.close(target)
    with pytest.raises(OSError, match="Bad file descriptor"):
        await Disk(pool).write(target, Source(bytes(SIZE)), length=SIZE)
    assert pool.lent == 0


async def test_write_that_is_cancelled_gives_its_buffers_back(
    pool: BufferPool, target: int
) -> None:
    source = HangingSource(bytes(SIZE))
    async with trio.open_nursery() as nursery:

        async def write() -> None:
            await Disk(pool).write(target, source, length=SIZE)

        nursery.start_soon(write)
        await source.reached.wait()
        assert pool.lent > 0
        nursery.cancel_scope.cancel()
    assert pool.lent == 0
    os.close(target)


@pytest.mark.parametrize("clone", [True, False])
async def test_copy_of_a_part_lands_at_its_offset(
    target: int, tmp_path: Path, clone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not clone:

        def refuse(*_: object) -> int:
            raise OSError(18, "Invalid cross-device link")

        monkeypatch.setattr("os.copy_file_range", refuse)
    data = os.urandom(SIZE)
    source = os.open(tmp_path / "source", os.O_RDWR | os.O_CREAT)
    os.write(source, data)
    disk = Disk()
    await disk.copy(source, target, (0, SIZE), 0)
    assert os.pread(target, SIZE + 1, 0) == data
    await disk.copy(source, target, (1000, 2000), 10)
    assert os.pread(target, 1000, 10) == data[1000:2000]
    os.close(source)
    os.close(target)
