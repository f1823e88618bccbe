"""A request head as its client sent it, before a proxy on the way changed it.

Signatures cover what the client sent. So where a proxy is known to change a head, and says how or
changes it in known ways, the head is written again and parsed as any other.
"""

from s3proxy._fast.errors import HeadError
from s3proxy._fast.http1 import RequestHead, parse_request
from s3proxy.s3.errors import S3Error

# The head was within the bounds when it came; this leaves room for what is put in.
_MORE_BYTES = 8192
_MORE_HEADERS = 8


def rewritten(head: RequestHead, changes: dict[str, str], *, prefix: str = "") -> RequestHead:
    """The head with other values of headers, and a path that begins with `prefix`.

    Args:
        changes: lower-case name -> value, put in where the head has no such header.
        prefix: percent-encoded.
    Raises:
        S3Error: InvalidRequest; the result is no proper head.
    """
    query = b"?" + head.query if head.query else b""
    target = prefix.encode("latin-1") + head.path + query
    lines = [b"%s %s HTTP/1.%d" % (head.method.encode("latin-1"), target, head.http_minor)]
    headers = [(name, value) for name, value in head.items() if name not in changes]
    for name, value in (*headers, *changes.items()):
        lines.append(f"{name}: {value}".encode("latin-1"))
    raw = b"\r\n".join(lines) + b"\r\n\r\n"
    try:
        made = parse_request(
            raw,
            len(raw),
            head_bytes_max=len(raw) + _MORE_BYTES,
            headers_max=len(lines) + _MORE_HEADERS,
        )
    except HeadError as error:
        raise S3Error("InvalidRequest", f"As it was forwarded: {error.reason}") from error
    if made is None or made.head_bytes != len(raw):
        raise S3Error("InvalidRequest", "The forwarded headers cannot be those of a request.")
    return made
