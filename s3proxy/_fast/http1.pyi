"""Strict HTTP/1.1 heads and framing, after RFC 9110 and RFC 9112."""

from typing import Never, final

from s3proxy._fast.head_writer import build_request_head as build_request_head
from s3proxy._fast.head_writer import build_response_head as build_response_head
from s3proxy._fast.message_head import HeaderNames as HeaderNames
from s3proxy._fast.message_head import MessageHead
from s3proxy._fast.transfer_coding import ChunkedDecoder as ChunkedDecoder

__all__ = (
    "REQUEST_LINE_BYTES_MAX",
    "ChunkedDecoder",
    "HeaderNames",
    "RequestHead",
    "ResponseHead",
    "build_request_head",
    "build_response_head",
    "parse_request",
    "parse_response",
)

REQUEST_LINE_BYTES_MAX: int

@final
class RequestHead(MessageHead):
    """A request's head; made by `parse_request` only."""

    def __init__(self, *args: Never, **kwargs: Never) -> None: ...
    @property
    def method(self) -> str:
        """The token as sent, such as "GET"."""
    @property
    def target(self) -> bytes:
        """The request target as sent."""
    @property
    def path(self) -> bytes:
        """Path of the target, percent-encoding kept; b"*" for the asterisk form."""
    @property
    def query(self) -> bytes:
        """What follows the first "?", percent-encoding kept; b"" without one."""
    @property
    def host(self) -> str:
        """Host and port the request is for; "" for HTTP/1.0 without one."""
    @property
    def expect_continue(self) -> bool:
        """Whether the client waits for 100 Continue before it sends the body."""
    @property
    def bodyless(self) -> bool:
        """Whether no body follows, and nothing has to be said before the answer."""

@final
class ResponseHead(MessageHead):
    """A response's head; made by `parse_response` only."""

    def __init__(self, *args: Never, **kwargs: Never) -> None: ...
    @property
    def status(self) -> int:
        """100 to 599."""
    @property
    def reason(self) -> str:
        """The reason phrase, Latin-1; often empty."""
    @property
    def bodyless(self) -> bool:
        """No body follows, whatever the headers say: HEAD, 1xx, 204, 304."""

def parse_request(
    data: bytes | bytearray | memoryview,
    length: int,
    /,
    *,
    head_bytes_max: int = 65536,
    headers_max: int = 128,
    scanned: int = 0,
) -> RequestHead | None:
    """Parse the request head at the start of a buffer.

    Args:
        data: holds the bytes read so far; not kept after return.
        length: how many of them are valid.
        head_bytes_max: longest head taken.
        headers_max: most header lines taken.
        scanned: the `length` of an earlier call on these bytes that returned None; that much is
            not searched for the end again.
    Returns:
        The head, or None while its end has not come.
    Raises:
        HeadError: 400 malformed or ambiguous, 414 request line and 431 head over a bound, 501
            CONNECT or another transfer coding than chunked, 505 another version than 1.0 and 1.1.
    Source: RFC 9112, sections 2 to 7.
    """

def parse_response(
    data: bytes | bytearray | memoryview,
    length: int,
    method: str,
    /,
    *,
    head_bytes_max: int = 65536,
    headers_max: int = 256,
    scanned: int = 0,
) -> ResponseHead | None:
    """Parse the response head at the start of a buffer, an answer to a request with `method`.

    A body without framing runs to the end of the connection: content_length -1, chunked False,
    keep_alive False. Where `bodyless` is true, chunked is False and content_length only informs.

    Returns:
        The head (of an interim response, too), or None while its end has not come.
    Raises:
        HeadError: 502; the connection must not be used again.
    """
