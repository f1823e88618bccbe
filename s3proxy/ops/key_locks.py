"""Locks by key, for buckets whose store cannot decide a conditional write by itself.

They order the writers of this process. Whoever writes to an attached directory beside the gateway
is not held up by them.
"""

from __future__ import annotations

import trio


class KeyLocks:
    """Locks that exist while somebody holds or waits for them."""

    def __init__(self) -> None:
        self._locks: dict[tuple[bytes, str], trio.Lock] = {}

    @property
    def keys(self) -> int:
        """How many keys are held now."""
        return len(self._locks)

    def hold(self, bucket_id: bytes, key: str) -> KeyHold:
        """A hold on the lock of a key, not acquired yet."""
        return KeyHold(self._locks, (bucket_id, key))

    def hold_upload(self, bucket_id: bytes, upload_id: str) -> KeyHold:
        """A hold on a multipart upload; never the same lock as that of a key of this name."""
        return KeyHold(self._locks, (b"upload" + bucket_id, upload_id))

    def hold_part(self, bucket_id: bytes, upload_id: str, number: int) -> KeyHold:
        """A hold on one part of an upload."""
        return KeyHold(self._locks, (b"part" + bucket_id, f"{upload_id}/{number}"))

    def hold_bucket(self, tenant: str, name: str) -> KeyHold:
        """A hold on the name of a bucket."""
        return KeyHold(self._locks, (b"tenant" + tenant.encode(), name))

    async def wait_free(self, bucket_id: bytes, key: str) -> None:
        """Return once no writer that is at work now holds the key."""
        if (bucket_id, key) in self._locks:
            async with self.hold(bucket_id, key):
                pass


class KeyHold:
    """One holder's grip on a key's lock; also an async context manager."""

    __slots__ = ("_held", "_locks", "_name")

    def __init__(self, locks: dict[tuple[bytes, str], trio.Lock], name: tuple[bytes, str]) -> None:
        self._locks = locks
        self._name = name
        self._held: trio.Lock | None = None

    async def acquire(self) -> None:
        """Wait for the lock. When cancelled, it is not held."""
        lock = self._locks.setdefault(self._name, trio.Lock())
        try:
            await lock.acquire()
        except BaseException:
            self._forget(lock)
            raise
        self._held = lock

    def release(self) -> None:
        """Give the lock up, if it is held."""
        lock, self._held = self._held, None
        if lock is not None:
            lock.release()
            self._forget(lock)

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(self, *exception: object) -> None:
        self.release()

    def _forget(self, lock: trio.Lock) -> None:
        if not lock.locked() and not lock.statistics().tasks_waiting:
            self._locks.pop(self._name, None)
