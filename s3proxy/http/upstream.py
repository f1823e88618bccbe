"""One connection to an upstream: how response heads are read from it.

A connection holds no buffer. What is received goes into one scratch buffer per process, and is
parsed before the next await; only a head that came in pieces is kept aside until it is whole.
"""

import select
from typing import Final

from s3proxy._fast.errors import HeadError
from s3proxy._fast.http1 import ResponseHead, parse_response
from s3proxy.http.errors import (
    DeadlineExceeded,
    Disconnected,
    ProtocolError,
    TransportError,
)
from s3proxy.http.origin import ClientLimits
from s3proxy.http.transport import Transport

# A small object comes with its head in one receive; of a large one this much is not spliced.
SCRATCH_BYTES: Final = 96 * 1024
_SCRATCH: Final = memoryview(bytearray(SCRATCH_BYTES))
FINAL_STATUS_MIN: Final = 200
_SWITCHING_PROTOCOLS: Final = 101


class UpstreamConnection:
    """A connection that carries one exchange after the other.

    Attributes:
        transport: the socket; whoever reads a body reads from it directly.
        reused: it has carried an exchange before.
        heard: a byte of an answer came, since whoever asks set it to False.
        idle_since_s: Trio's clock when it last became idle.
        ahead: what came after the last response head.
    """

    __slots__ = (
        "_interims",
        "_limits",
        "_partial",
        "_poll",
        "ahead",
        "heard",
        "idle_since_s",
        "reused",
        "transport",
    )

    def __init__(self, transport: Transport, limits: ClientLimits) -> None:
        self.transport = transport
        self.reused = False
        self.heard = False
        self.idle_since_s = 0.0
        self.ahead = b""
        self._limits = limits
        self._partial = bytearray()
        self._interims = 0
        # A third of the price of a receive that raises BlockingIOError.
        self._poll = select.poll()
        self._poll.register(transport.fileno(), select.POLLIN)

    def is_quiet(self) -> bool:
        """Whether nothing waits to be received, neither an end nor bytes that nobody asked for.

        A connection that is not quiet before its request must not be used: its peer closed it, or
        sent what would be taken for the next response.
        """
        if self.transport.plain:
            return not self._poll.poll(0)
        try:
            # TLS may hold bytes that poll cannot see, and show bytes that are only its own.
            return self.transport.receive_nowait(_SCRATCH[:1]) < 0
        except TransportError:
            return False

    async def read_head(self, method: str, timeout_s: float) -> ResponseHead:
        """Wait for the final response head of a request with `method`; `ahead` is what follows it.

        Args:
            timeout_s: to its last byte.
        Raises:
            Disconnected: the connection ended before.
            DeadlineExceeded, ProtocolError.
        After an error or a cancellation the connection is good for nothing.
        """
        transport = self.transport
        deadline_s = transport.now() + timeout_s
        try:
            while (head := self.read_head_nowait(method)) is None:
                await transport.wait_to_receive(deadline_s - transport.now())
        except DeadlineExceeded as error:
            raise DeadlineExceeded("response head") from error
        return head

    def poll_head(self, method: str) -> ResponseHead | None:
        """As `read_head_nowait`, at little cost when nothing came."""
        if self.transport.plain and not self._poll.poll(0):
            return None
        return self.read_head_nowait(method)

    def read_head_nowait(self, method: str) -> ResponseHead | None:
        """The final response head if the rest of it is there; None: a receive would have blocked.

        Raises:
            Disconnected: the connection ended before.
            ProtocolError.
        """
        while (count := self.transport.receive_nowait(_SCRATCH)) > 0:
            self.heard = True
            if self._partial:
                head = self._parse_pieces(count, method)
            elif (head := self._parse_one(_SCRATCH, count, method)) is None:
                self._partial += _SCRATCH[:count]
            elif head.status >= FINAL_STATUS_MIN:
                self.ahead = bytes(_SCRATCH[head.head_bytes : count])
            else:
                head = self._parse_pieces(count, method)
            if head is not None:
                return head
        if not count:
            raise Disconnected("the upstream closed the connection before its response")
        return None

    def close(self) -> None:
        """Close the connection; idempotent."""
        self.transport.close()

    def _parse_pieces(self, count: int, method: str) -> ResponseHead | None:
        """Parse what was kept aside together with `count` new bytes; interim heads are skipped."""
        scanned = len(self._partial)
        self._partial += _SCRATCH[:count]
        data = self._partial
        while (head := self._parse_one(data, len(data), method, scanned)) is not None:
            scanned = 0
            rest = data[head.head_bytes :]
            if head.status >= FINAL_STATUS_MIN:
                self.ahead = bytes(rest)
                self._partial = bytearray()
                self._interims = 0
                return head
            self._skip_interim(head)
            data = self._partial = rest
        return None

    def _parse_one(
        self, data: memoryview | bytearray, count: int, method: str, scanned: int = 0
    ) -> ResponseHead | None:
        limits = self._limits
        try:
            return parse_response(
                data,
                count,
                method,
                head_bytes_max=limits.head_bytes_max,
                headers_max=limits.headers_max,
                scanned=scanned,
            )
        except HeadError as error:
            raise ProtocolError(502, error.reason) from error

    def _skip_interim(self, head: ResponseHead) -> None:
        self._interims += 1
        if head.status == _SWITCHING_PROTOCOLS:
            raise ProtocolError(502, "the upstream switched protocols unasked")
        if self._interims > self._limits.interim_responses_max:
            raise ProtocolError(502, "too many interim responses")
