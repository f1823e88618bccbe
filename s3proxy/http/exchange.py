"""An upstream's answer: its head, and its body while it comes."""

from s3proxy._fast.http1 import ResponseHead
from s3proxy.http.body import Body, BytesBody
from s3proxy.http.buffers import BUFFERS
from s3proxy.http.errors import BodyTooLarge
from s3proxy.http.pool import Pool
from s3proxy.http.response_body import ChunkedBody, Lease, MeasuredBody, UnframedBody
from s3proxy.http.upstream import UpstreamConnection


class Exchange:
    """One request answered, as far as its head; `aclose` it, or its body.

    Attributes:
        head: of the final response.
        body: relayable; its length is -1 where the upstream did not declare it. The connection is
            back in its pool, or closed, once the body was read to its end or closed.
    """

    __slots__ = ("body", "head")

    def __init__(self, head: ResponseHead, body: Body) -> None:
        self.head = head
        self.body = body

    async def read_all(self, limit_bytes: int) -> bytes:
        """Read what is left of the body into memory, and close it.

        Raises:
            BodyTooLarge: it is longer than `limit_bytes`.
            TransportError: the upstream failed.
        """
        body = self.body
        data = bytearray()
        buffer = BUFFERS.take()
        try:
            if body.length > limit_bytes:
                raise BodyTooLarge(limit_bytes)
            while count := await body.read_into(buffer):
                if len(data) + count > limit_bytes:
                    raise BodyTooLarge(limit_bytes)
                data += buffer[:count]
        finally:
            BUFFERS.give(buffer)
            await body.aclose()
        return bytes(data)

    async def aclose(self) -> None:
        """Close the body; idempotent, no checkpoint."""
        await self.body.aclose()


def open_exchange(
    pool: Pool,
    connection: UpstreamConnection,
    head: ResponseHead,
    *,
    cut_short: bool,
    timeout_s: float,
) -> Exchange:
    """Take over a connection that has just read `head`.

    A body that came whole with its head is kept, and the connection goes back at once.

    Args:
        cut_short: the request was not sent whole: no other may follow it.
        timeout_s: bound on each wait for more of the body.
    """
    reusable = head.keep_alive and not cut_short
    length = 0 if head.bodyless else head.content_length
    ahead = connection.ahead
    if 0 <= length <= len(ahead):
        if reusable and length == len(ahead):
            pool.release(connection)
        else:
            pool.discard(connection)
        return Exchange(head, BytesBody(ahead[:length]))
    lease = Lease(pool, connection, reusable=reusable, timeout_s=timeout_s)
    if length > 0:
        return Exchange(head, MeasuredBody(lease, length))
    return Exchange(head, ChunkedBody(lease) if head.chunked else UnframedBody(lease))
