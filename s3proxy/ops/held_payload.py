"""Payloads of placed writes: those that can be read again for the next backend, and those not.

HeldPayload      in memory, verified: read as often as it takes
TouchedPayload   streamed: another backend can have it as long as nothing was read
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from s3proxy.ops.encrypted_bytes import EncryptingPayload

if TYPE_CHECKING:
    from s3proxy.http.request_body import RequestBody
    from s3proxy.ops.namespace import Payload
    from s3proxy.s3.payload import Digests

# Up to here a payload is kept until a backend has it. Longer ones are not worth the memory: their
# clients send them in parts, and repeat a part that failed.
HELD_BYTES_MAX: Final = 1 << 20


class HeldBytes:
    """How much memory held payloads may take, all together."""

    __slots__ = ("left",)

    def __init__(self, total: int) -> None:
        self.left = total

    def take(self, count: int) -> bool:
        """Whether there is room for so many bytes; then they are taken."""
        if count > self.left:
            return False
        self.left -= count
        return True

    def give(self, count: int) -> None:
        """Give back what was taken."""
        self.left += count


class HeldPayload:
    """A verified payload in memory; see `namespace.Payload`."""

    __slots__ = ("_data", "_digests", "_start", "checksum", "length", "md5", "sha256")

    def __init__(self, data: bytes, digests: Digests, like: Payload, *, md5: bytes) -> None:
        self._data = memoryview(data)
        self._digests = digests
        self._start = 0
        self.length = len(data)
        self.md5 = md5
        self.sha256 = like.sha256
        self.checksum = like.checksum

    @classmethod
    async def of(cls, payload: Payload) -> HeldPayload:
        """Read a payload into memory.

        Raises:
            S3Error: the payload is not what was announced.
        """
        data = await payload.read_all()
        digests = await payload.digests()
        # So that whoever stores it can tell whether it came whole; of encrypted bytes the MD5 is
        # not known, but they have tags of their own.
        md5 = b"" if isinstance(payload, EncryptingPayload) else digests.md5
        return cls(data, digests, payload, md5=md5)

    def rewind(self) -> bool:
        """Begin anew; always possible."""
        self._start = 0
        return True

    async def read_into(self, buffer: memoryview) -> int:
        """See `ByteSource.read_into`; no checkpoint."""
        count = min(len(buffer), self.length - self._start)
        buffer[:count] = self._data[self._start : self._start + count]
        self._start += count
        return count

    async def read_all(self) -> bytes:
        """The whole payload."""
        return bytes(self._data)

    async def digests(self) -> Digests:
        """Those that were computed as it was read."""
        return self._digests

    def passable(self) -> None:
        """Never: the body has been read."""


class StreamedPayload:
    """A payload that is streamed; what was read of it is kept as long as that is little.

    Args:
        held: where the memory comes from; without any left nothing is kept. `release` gives it
            back.
    """

    __slots__ = (
        *("_held", "_kept", "_passed", "_payload", "_remaining", "_replayed", "_room"),
        *("_touched", "checksum", "length", "md5", "sha256"),
    )

    def __init__(self, payload: Payload, held: HeldBytes) -> None:
        self._payload = payload
        self._held = held
        room = min(payload.length, HELD_BYTES_MAX)
        self._room = room if held.take(room) else 0
        self._kept = bytearray()  # all that was read, while there is room for it
        self._replayed = 0  # of these, given once more
        self._touched = False  # something was read that is not kept, or may have been
        self._passed: RequestBody | None = None
        self._remaining = 0
        self.length = payload.length
        self.md5 = payload.md5
        self.sha256 = payload.sha256
        self.checksum = payload.checksum

    def rewind(self) -> bool:
        """Begin anew, where nothing was read but what is kept."""
        passed = self._passed
        if passed is not None and (passed.remaining != self._remaining or passed.broken):
            return False
        self._replayed = 0
        return not self._touched

    def release(self) -> None:
        """Keep nothing any more; idempotent."""
        self._held.give(self._room)
        self._room = 0
        self._kept.clear()

    async def read_into(self, buffer: memoryview) -> int:
        """See `namespace.Payload`."""
        if self._replayed < len(self._kept):
            count = min(len(buffer), len(self._kept) - self._replayed)
            buffer[:count] = self._kept[self._replayed : self._replayed + count]
            self._replayed += count
            return count
        # Who is cut off in here, as a breaker opens, may have taken bytes that nobody gets.
        touched, self._touched = self._touched, True
        count = await self._payload.read_into(buffer)
        self._touched = touched
        if count and not touched:
            self._keep(buffer[:count])
        return count

    async def read_all(self) -> bytes:
        """See `namespace.Payload`."""
        self._touched = True
        return await self._payload.read_all()

    async def digests(self) -> Digests:
        """See `namespace.Payload`."""
        return await self._payload.digests()

    def passable(self) -> RequestBody | None:
        """See `namespace.Payload`."""
        self._passed = self._payload.passable()
        if self._passed is not None:
            self._remaining = self._passed.remaining
        return self._passed

    def _keep(self, data: memoryview) -> None:
        if len(self._kept) + len(data) <= self._room:
            self._kept += data
            self._replayed += len(data)
        else:
            self._touched = True
            self.release()
            self._replayed = 0
