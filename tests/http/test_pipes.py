"""The pool of pipes."""

import os

import pytest

from s3proxy.http.pipes import PIPE_BYTES, SMALL_PIPE_BYTES, Pipe, PipePool


def is_open(pipe: Pipe) -> bool:
    try:
        os.fstat(pipe.read_fd)
        os.fstat(pipe.write_fd)
    except OSError:
        return False
    return True


def take(pool: PipePool) -> Pipe:
    pipe = pool.take()
    assert pipe is not None
    return pipe


def test_pipe_pool_gives_an_empty_pipe_again() -> None:
    pool = PipePool()
    pipe = take(pool)
    assert pipe.size_bytes == PIPE_BYTES
    pool.give(pipe)
    assert pool.take() is pipe
    pool.give(pipe)
    pool.close()
    assert not is_open(pipe)


def test_pipe_pool_closes_a_pipe_with_residue() -> None:
    pool = PipePool()
    pipe = take(pool)
    pipe.held = os.write(pipe.write_fd, b"residue")
    pool.give(pipe)
    assert not is_open(pipe)
    assert (pool.kept, pool.busy) == (0, 0)


def test_pipe_pool_keeps_a_bounded_number() -> None:
    pool = PipePool(kept_max=1)
    first, second = take(pool), take(pool)
    pool.give(first)
    pool.give(second)
    assert (is_open(first), is_open(second)) == (True, False)
    pool.close()


def test_pipe_pool_with_many_busy_makes_small_ones_and_does_not_keep_them() -> None:
    pool = PipePool(large_max=1)
    large, small = take(pool), take(pool)
    assert (large.size_bytes, small.size_bytes) == (PIPE_BYTES, SMALL_PIPE_BYTES)
    pool.give(small)
    assert not is_open(small)
    pool.give(large)
    assert is_open(large)
    pool.close()


def test_pipe_pool_without_descriptors_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_flags: int) -> tuple[int, int]:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "pipe2", refuse)
    pool = PipePool()
    assert pool.take() is None
    assert pool.busy == 0
