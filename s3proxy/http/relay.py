"""A known number of bytes from one connection to another, by the cheapest way there is.

Two plain sockets: spliced through a pooled pipe, no byte enters Python. TLS on a side, no splice on
this platform, or a few bytes only: one pooled buffer.
"""

from typing import Final

from s3proxy.http.buffers import BUFFERS
from s3proxy.http.errors import Disconnected, TransportError
from s3proxy.http.pipes import PIPES, Pipe
from s3proxy.http.splice import HAS_SPLICE, Splicer
from s3proxy.http.transport import Transport

# Below this, one receive and one send cost no more than two splices.
SPLICE_BYTES_MIN: Final = 64 * 1024


async def relay(
    source: Transport,
    sink: Transport,
    count: int,
    *,
    timeout_s: float,
    source_timeout_s: float | None = None,
) -> None:
    """Move exactly `count` bytes from `source` to `sink`.

    Args:
        timeout_s: bound on each wait for the sink.
        source_timeout_s: on each wait for the source; None: the same.
    Raises:
        Disconnected: the source ended early, or one side broke; the message says how far it got.
        DeadlineExceeded: one side did not move for its time-out.
        trio.ClosedResourceError: one was closed here.
    After an error of the sink, or a cancellation, an unknown part was moved: close both transports.
    After one of the source (`of_source`) the sink has got all that was taken from there.
    """
    if source_timeout_s is None:
        source_timeout_s = timeout_s
    pipe = take_pipe(source, sink, count)
    if pipe is None:
        await _copy(source, sink, count, timeout_s, source_timeout_s)
        return
    splicer = Splicer(source, sink, count, pipe)
    try:
        await _splice(splicer, timeout_s, source_timeout_s)
    except Disconnected as error:
        moved = count - splicer.remaining - pipe.held
        told = Disconnected(f"{error}; relayed {moved} of {count} bytes")
        told.of_source = error.of_source
        raise told from error
    finally:
        splicer.close()
        PIPES.give(pipe)


def take_pipe(source: Transport, sink: Transport, count: int) -> Pipe | None:
    """A pipe from `PIPES` where `count` bytes can be spliced; None: they have to be copied."""
    if HAS_SPLICE and source.plain and sink.plain and count >= SPLICE_BYTES_MIN:
        return PIPES.take()
    return None


async def _splice(splicer: Splicer, timeout_s: float, source_timeout_s: float) -> None:
    while splicer.remaining:
        # The pipe is empty here: what was taken from the source has reached the sink.
        try:
            while not splicer.fill_nowait():
                await splicer.wait_to_fill(source_timeout_s)
        except TransportError as error:
            error.of_source = True
            raise
        while not splicer.drain_nowait():
            await splicer.wait_to_drain(timeout_s)
        await splicer.count_operation()


async def _copy(
    source: Transport, sink: Transport, count: int, timeout_s: float, source_timeout_s: float
) -> None:
    buffer = BUFFERS.take()
    remaining = count
    try:
        while remaining:
            try:
                received = await source.receive_into(buffer[:remaining], timeout_s=source_timeout_s)
            except TransportError as error:
                error.of_source = True
                raise
            if not received:
                moved = count - remaining
                ended = Disconnected(f"the source ended early; relayed {moved} of {count} bytes")
                ended.of_source = True
                raise ended
            await sink.send_all(buffer[:received], timeout_s=timeout_s)
            remaining -= received
    finally:
        BUFFERS.give(buffer)
