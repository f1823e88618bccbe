"""Heads and bodies fed in the three ways a connection may bring them."""

from collections.abc import Callable

from s3proxy._fast.errors import HeadError
from s3proxy._fast.http1 import ChunkedDecoder, parse_request, parse_response
from s3proxy._fast.message_head import MessageHead

FOLLOWING = b"GET /next HTTP/1.1\r\n\r\n\x00\n"

Parse = Callable[[bytes, int, int], MessageHead | None]


def as_request(data: bytes, length: int, scanned: int) -> MessageHead | None:
    return parse_request(data, length, scanned=scanned)


def as_response(data: bytes, length: int, scanned: int) -> MessageHead | None:
    return parse_response(data, length, "GET", scanned=scanned)


def feed_whole(parse: Parse, data: bytes) -> MessageHead | None:
    return parse(data, len(data), 0)


def feed_bytewise(parse: Parse, data: bytes) -> MessageHead | None:
    for length in range(len(data)):
        if (head := parse(data, length, 0)) is not None:
            return head
    return parse(data, len(data), 0)


def feed_bytewise_noting_scanned(parse: Parse, data: bytes) -> MessageHead | None:
    for length in range(len(data)):
        if (head := parse(data, length, max(length - 1, 0))) is not None:
            return head
    return parse(data, len(data), len(data) - 1)


def feed_with_following(parse: Parse, data: bytes) -> MessageHead | None:
    return parse(data + FOLLOWING, len(data + FOLLOWING), 0)


WAYS = (feed_whole, feed_bytewise, feed_bytewise_noting_scanned, feed_with_following)


def refusal(parse: Parse, way: Callable[[Parse, bytes], MessageHead | None], data: bytes) -> int:
    """The status a head is refused with; 0: it was taken, or is not complete."""
    try:
        way(parse, data)
    except HeadError as error:
        return error.status
    return 0


def decode_chunked(body: bytes, split_bytes: int = 1 << 20) -> tuple[bytes, bytes, bool]:
    """Payload, bytes left after the end, and whether the end came; fed in runs of a size."""
    decoder = ChunkedDecoder()
    payload = b""
    for start in range(0, len(body), split_bytes):
        buffer = bytearray(body[start : start + split_bytes])
        length = len(buffer)
        decoded, consumed = decoder.feed(memoryview(buffer), length)
        payload += buffer[:decoded]
        if decoder.finished:
            return payload, bytes(buffer[consumed:]) + body[start + split_bytes :], True
    return payload, b"", False
