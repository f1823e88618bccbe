import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from s3proxy.ops.key_locks import KeyLocks


async def test_holders_of_one_key_come_one_after_the_other() -> None:
    locks = KeyLocks()
    inside: list[int] = []
    most = 0

    async def enter(number: int) -> None:
        nonlocal most
        async with locks.hold(b"b", "k"):
            inside.append(number)
            most = max(most, len(inside))
            await trio.lowlevel.checkpoint()
            inside.remove(number)

    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(enter, number)
    assert most == 1
    assert locks.keys == 0


async def test_holders_of_other_keys_do_not_wait() -> None:
    locks = KeyLocks()
    with trio.fail_after(60):
        async with (
            locks.hold(b"b", "k"),
            locks.hold(b"b", "other"),
            locks.hold(b"c", "k"),
            locks.hold_upload(b"b", "k"),
            locks.hold_part(b"b", "k", 1),
            locks.hold_bucket("b", "k"),
        ):
            assert locks.keys == 6
    assert locks.keys == 0


async def test_holder_that_was_cancelled_while_waiting_leaves_the_lock_usable() -> None:
    locks = KeyLocks()
    async with trio.open_nursery() as nursery:
        first = locks.hold(b"b", "k")
        await first.acquire()
        nursery.start_soon(locks.hold(b"b", "k").acquire)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    first.release()
    first.release()
    assert locks.keys == 0
    with trio.fail_after(60):
        async with locks.hold(b"b", "k"):
            pass


async def test_wait_free_returns_when_the_holder_is_done() -> None:
    locks = KeyLocks()
    done: list[str] = []

    async def wait() -> None:
        await locks.wait_free(b"b", "k")
        done.append("waiter")

    async with trio.open_nursery() as nursery, locks.hold(b"b", "k"):
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        done.append("holder")
    assert done == ["holder", "waiter"]
    with trio.fail_after(60):
        await locks.wait_free(b"b", "free")


async def test_holder_that_fails_gives_the_lock_up() -> None:
    locks = KeyLocks()
    with pytest.raises(ValueError, match="x"):
        async with locks.hold(b"b", "k"):
            raise ValueError("x")
    assert locks.keys == 0
