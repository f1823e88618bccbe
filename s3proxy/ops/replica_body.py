"""The bytes of a blob as they come from one of its places, and go on from another.

A place that breaks off is replaced by a ranged read of another, from the byte that the client has
got last; so is one whose bytes the reader finds to be wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from s3proxy.backends.errors import BackendError, Unavailable
from s3proxy.http.body import FileBody, send_by_buffer
from s3proxy.http.errors import BodyCutShort, TransportError
from s3proxy.http.response_body import MeasuredBody, UpstreamBody
from s3proxy.s3.errors import S3Error

if TYPE_CHECKING:
    from s3proxy.catalog.records import BlobRef
    from s3proxy.http.transport import Transport
    from s3proxy.ops.replica_reader import Opened, Replicas

# How often one body is asked again of places that have all broken off: each may cost a time-out.
ROUNDS_MAX: Final = 2


class ReplicaBody:
    """Bytes first..last of a blob, which go on from another place where one breaks off.

    The sink's failures are the sink's: nothing is tried again for a client that went away.
    """

    __slots__ = (
        *("_barren", "_current", "_doubted", "_given", "_last", "_position", "_replicas"),
        *("_rounds", "_since", "_spent", "_was_cut", "_wrong", "_wrong_at", "length"),
    )

    def __init__(self, replicas: Replicas, opened: Opened, first: int, last: int) -> None:
        self._replicas = replicas
        self._position = first
        self._last = last
        self._rounds = 0
        self._spent: list[BlobRef] = []  # places that failed, until all have
        self._barren: list[BlobRef] = []  # those that opened and gave nothing
        self._doubted: list[BlobRef] = []
        self._wrong_at = -1
        self._wrong: list[BlobRef] = []  # those whose bytes from there on were wrong
        self.length = last - first + 1
        self._current: Opened | None = None
        self._adopt(opened)

    @property
    def _remaining(self) -> int:
        return self._last + 1 - self._position

    async def read_into(self, buffer: memoryview) -> int:
        """See `ByteSource.read_into`; BodyCutShort once no place can go on."""
        while self._remaining:
            try:
                body = self._opened().body
                count = await body.read_into(buffer[: self._remaining])
                if not count:
                    raise BodyCutShort(f"the blob ended {self._remaining} bytes early")
            except (TransportError, trio.ClosedResourceError, OSError) as error:
                await self._resume(error)
            else:
                self._advance(count)
                return count
        return 0

    async def send_to(self, sink: Transport, *, timeout_s: float) -> None:
        """See `Body.send_to`; of all that it raises, only BodyCutShort is of the source.

        What the kernel moves is counted by the sink, to the byte; else `read_into` gives the bytes,
        and the source's failures stay there.
        """
        while self._remaining:
            body = self._opened().body
            if not (sink.plain and isinstance(body, MeasuredBody | FileBody)):
                await send_by_buffer(self, sink, timeout_s=timeout_s)
                return
            before = sink.bytes_sent
            try:
                await body.send_to(sink, timeout_s=timeout_s)
            except (TransportError, trio.ClosedResourceError) as error:
                self._advance(sink.bytes_sent - before)
                if not (self._was_cut or getattr(error, "of_source", False)):
                    raise
                await self._resume(error)
            else:
                self._advance(sink.bytes_sent - before)

    async def doubt(self, count: int) -> bool:
        """Go back: the last `count` bytes read are not what was stored. The next come once more.

        They come from another place; where two gave these, all from one of those not broken off.

        Returns:
            False: no place is left to ask.
        """
        current = self._leave()
        if current is None:
            return False
        self._position -= count
        if self._wrong_at != self._position:
            # What was wrong elsewhere in the blob says nothing of these bytes.
            self._wrong_at, self._wrong, self._rounds = self._position, [], 0
        if self._given >= count:
            for places in (self._doubted, self._spent, self._wrong):
                places.append(current.place)
        await current.body.aclose()
        try:
            self._adopt(await self._open_next(BodyCutShort("the bytes are not what was stored")))
        except BodyCutShort:
            return False
        self._replicas.services.health.counts.resumed_bodies += 1
        return True

    async def trust(self) -> None:
        """All that was read is what was stored: have the places mended that were doubted.

        They may have what is wrong at the others. So they are given up only where all of the blob
        came from one place; else they are to be looked at.
        """
        doubted, self._doubted = self._doubted, []
        if not doubted:
            return
        found = self._opened().place
        whole = not (self._since or self._remaining) and self._last + 1 == found.size
        for place in dict.fromkeys(doubted):
            await self._replicas.mend(place, found if whole else None)

    async def aclose(self) -> None:
        """See `Body.aclose`."""
        current = self._leave()
        if current is not None:
            await current.body.aclose()

    def _opened(self) -> Opened:
        if self._current is None:
            raise trio.ClosedResourceError
        return self._current

    def _advance(self, count: int) -> None:
        self._position += count
        self._given += count
        if not self._remaining:
            self._leave_watch()

    def _adopt(self, opened: Opened) -> None:
        self._current = opened
        self._since = self._position
        self._given = 0
        self._was_cut = False
        if isinstance(opened.body, UpstreamBody):
            self._replicas.services.health.watch(opened.place.backend, self._cut)

    def _cut(self) -> None:
        """The breaker opened: what waits for the backend ends now, and goes on elsewhere."""
        current = self._current
        if current is not None and isinstance(current.body, UpstreamBody):
            self._was_cut = True
            current.body.cut()

    def _leave_watch(self) -> None:
        if self._current is not None:
            self._replicas.services.health.unwatch(self._current.place.backend, self._cut)

    def _leave(self) -> Opened | None:
        self._leave_watch()
        current, self._current = self._current, None
        return current

    async def _resume(self, error: Exception) -> None:
        """Go on from the best place there is; the one that failed comes last.

        Raises:
            BodyCutShort: no place can go on.
        """
        current = self._leave()
        if current is None:
            raise error
        await current.body.aclose()
        health = self._replicas.services.health
        if not self._was_cut:
            hint = f"a body broke off: {error}"
            unavailable = Unavailable("open", current.place.name, hint, current.place.backend)
            health.note_failure(current.place.backend, unavailable)
        if not self._remaining:
            return
        self._spent.append(current.place)
        if not self._given:
            self._barren.append(current.place)
        self._adopt(await self._open_next(error))
        health.counts.resumed_bodies += 1

    async def _open_next(self, cause: Exception) -> Opened:
        """The best place that has not failed yet, else one that gave something before it did."""
        failure = cause
        wrong = self._wrong if self._wrong_at == self._position else []
        for without in (self._spent, self._barren):
            try:
                opened = await self._replicas.open(self._position, self._last, [*without, *wrong])
            except (S3Error, BackendError, OSError) as error:
                failure = error
            else:
                self._spent = list(without)
                return opened
            self._rounds += 1
            if self._rounds > ROUNDS_MAX:
                break
        raise BodyCutShort(f"{cause}; no place can go on: {failure}") from failure
