"""What stands between a source and the upstream connection that it is sent on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from s3proxy.backends.errors import BodyRejected
from s3proxy.http.body import ByteSource

_PROBE_BYTES = 4096


class WatchedSource:
    """A source whose last bytes leave only when it has ended and the write may become visible.

    Attributes:
        error: what the source raised, so that it can be told from a failure of the upstream.
    """

    def __init__(
        self,
        source: ByteSource,
        length: int,
        published: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.length = length
        self.error: BaseException | None = None
        self._source = source
        self._published = published
        self._remaining = length

    async def read_into(self, buffer: memoryview) -> int:
        """See `ByteSource.read_into`; BodyRejected when the length is not what was announced."""
        try:
            return await self._read_into(buffer)
        except BaseException as error:
            self.error = error
            raise

    async def finish(self) -> None:
        """For a body of no bytes: check that there are none, and await `published`."""
        try:
            await self._end()
        except BaseException as error:
            self.error = error
            raise

    async def _read_into(self, buffer: memoryview) -> int:
        if not self._remaining:
            return 0
        count = await self._source.read_into(buffer[: self._remaining])
        if not count:
            hint = f"the body ended {self._remaining} bytes early"
            raise BodyRejected("put", hint=hint)
        self._remaining -= count
        if not self._remaining:
            await self._end()
        return count

    async def _end(self) -> None:
        if await self._source.read_into(memoryview(bytearray(_PROBE_BYTES))):
            raise BodyRejected("put", hint=f"the body is longer than {self.length} bytes")
        if self._published is not None:
            await self._published()
