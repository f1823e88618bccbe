"""Heads of responses and upstream requests, assembled in one allocation."""

from collections.abc import Sequence

def build_response_head(
    status: int,
    headers: Sequence[tuple[str, str]],
    raw: bytes,
    /,
    *,
    length: int,
    keep_alive: bool,
    date: bytes,
    request_id: str,
    http_minor: int = 1,
) -> bytes:
    """Assemble a response head, status line to the empty line.

    Args:
        status: 100 to 599.
        headers: further headers; those of framing and connection are written here and refused.
        raw: header lines as `MessageHead.select` gives them.
        length: Content-Length; -1: chunked transfer coding; -2: neither.
        keep_alive: whether the connection stays open afterwards.
        date: value of Date.
        request_id: value of x-amz-request-id.
        http_minor: of the request. The answer is always HTTP/1.1 (RFC 9110, 6.2), but an
            HTTP/1.0 client is told keep-alive in so many words, and cannot take chunked.
    Raises:
        ValueError: control bytes or text beyond Latin-1 in a value, a name that is no token, a
            framing header among `headers` or in `raw`, or framing the status or client rules out.
    """

def build_request_head(
    method: str, target: bytes, headers: Sequence[tuple[str, str]], raw: bytes = b"", /
) -> bytes:
    """Assemble an HTTP/1.1 request head; every header, Host and framing too, is the caller's.

    Raises:
        ValueError: as for `build_response_head`, or a target with spaces or bytes beyond ASCII.
    """
