"""Bytes from socket to socket through a pipe, inside the kernel.

The pipe is drained before it is filled again, so a fill that would block always means that the
source has nothing, and a drain that would block that the sink has no room.
"""

import os
from typing import Final

from s3proxy.http.errors import DeadlineExceeded, Disconnected
from s3proxy.http.pipes import Pipe
from s3proxy.http.transport import Transport

_FLAGS: Final = getattr(os, "SPLICE_F_MOVE", 0) | getattr(os, "SPLICE_F_NONBLOCK", 0)
HAS_SPLICE: Final = hasattr(os, "splice")

# A source is left alone until this much has come. Measured for 64 MiB objects and one fast reader:
# a quarter of the wake-ups and a fifth less CPU; with eight readers, who are slower, no difference.
LOW_WATER_BYTES: Final = 512 * 1024
# A source that takes longer than this for that much is slow: its bytes go on as they come.
PATIENCE_S: Final = 1.0


class Splicer:
    """One transfer of `count` bytes between two plain transports; gives up nothing by itself.

    Attributes:
        remaining: bytes not yet taken from the source.
        pipe: theirs until `close`; `pipe.held` bytes have left the source and not reached the sink.
    """

    __slots__ = ("_low_water", "_patient", "_sink", "_source", "pipe", "remaining")

    def __init__(self, source: Transport, sink: Transport, count: int, pipe: Pipe) -> None:
        self._source = source
        self._sink = sink
        self._low_water = 1
        self._patient = count > LOW_WATER_BYTES
        self.remaining = count
        self.pipe = pipe

    def fill_nowait(self) -> int:
        """Move what is there from the source into the empty pipe.

        Returns:
            The count; 0: nothing is there, `wait_to_fill`.
        Raises:
            Disconnected: the source ended or broke with bytes remaining.
        """
        pipe = self.pipe
        wanted = min(self.remaining, pipe.size_bytes)
        try:
            count = os.splice(self._source.fileno(), pipe.write_fd, wanted, flags=_FLAGS)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._source.broken(error) from error
        if not count:
            raise Disconnected(f"the source ended {self.remaining} bytes early")
        pipe.held = count
        self.remaining -= count
        return count

    def drain_nowait(self) -> bool:
        """Move what fits from the pipe into the sink; False: some is left, `wait_to_drain`.

        Raises:
            Disconnected: the sink broke.
        """
        pipe, sink = self.pipe, self._sink
        try:
            while pipe.held:
                count = os.splice(pipe.read_fd, sink.fileno(), pipe.held, flags=_FLAGS)
                pipe.held -= count
                sink.bytes_sent += count
        except BlockingIOError:
            return False
        except OSError as error:
            raise sink.broken(error) from error
        return True

    async def wait_to_fill(self, timeout_s: float) -> None:
        """Park until a fill that found nothing may find something.

        Raises:
            DeadlineExceeded: nothing came for `timeout_s`, or up to `PATIENCE_S` longer.
        """
        if not self._patient:
            await self._source.wait_to_receive(timeout_s)
            return
        self._set_low_water(min(LOW_WATER_BYTES, self.remaining))
        try:
            await self._source.wait_to_receive(min(timeout_s, PATIENCE_S))
        except DeadlineExceeded:
            self._patient = False
            self._set_low_water(1)

    async def wait_to_drain(self, timeout_s: float) -> None:
        """Park until a drain that left some in the pipe may go on."""
        await self._sink.wait_to_send(timeout_s)

    async def count_operation(self) -> None:
        """Let other tasks run after a burst of transfers that never parked."""
        await self._source.count_operation()

    def close(self) -> None:
        """Leave the source as it was; the pipe goes back to whom it came from."""
        self._set_low_water(1)

    def _set_low_water(self, count: int) -> None:
        if count != self._low_water:
            self._low_water = count
            self._source.set_receive_low_water(count)
