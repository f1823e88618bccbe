"""Bytes of any kind end in a head, in None or in HeadError, the same one however they arrive."""

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy._fast.errors import HeadError
from s3proxy._fast.http1 import HeaderNames, RequestHead, parse_request, parse_response
from s3proxy._fast.message_head import MessageHead
from tests._fast.feeding import WAYS, Parse, as_request, as_response
from tests._fast.smuggling import REFUSED

SEEDS = (
    b"PUT http://a/b?c HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\nConnection: x, close\r\n\r\n",
    b"POST /b HTTP/1.0\r\nHost: [::1]:80\r\nX: " + b"y" * 60 + b"\r\nExpect: 100-continue\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx-amz-meta-a: \xe9\r\n\r\n",
    b"HTTP/1.0 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
    *(case.head for case in REFUSED),
)
KEPT = HeaderNames(["x", "host", "content-length"], ["x-amz-", "c"])
MUTATIONS = 20_000


def touch(head: MessageHead | None) -> object:
    """Reach into every part of a head, so that a stray offset shows."""
    if head is None:
        return None
    parts: list[object] = [head.items(), head.prefixed(b"x-"), head.select(KEPT)]
    parts += [head.get(name.encode()) for name, _ in head.items()]
    parts += [head.content_length, head.chunked, head.keep_alive, head.head_bytes]
    if isinstance(head, RequestHead):
        parts += [head.method, head.target, head.path, head.query, head.host, head.expect_continue]
    return parts


def outcome(parse: Parse, way, data: bytes) -> object:
    try:
        return touch(way(parse, data))
    except HeadError as error:
        return f"refused as {'request' if error.status < 502 else 'response'}"


def mutate(generator: random.Random, data: bytes) -> bytes:
    buffer = bytearray(data)
    for _ in range(generator.randint(1, 4)):
        place = generator.randrange(len(buffer) + 1)
        stop = place + generator.choice((0, 0, 1, 2, 20))
        buffer[place:stop] = generator.choice(
            (b"", b"\r\n", b"\r", b"\n", b":", b" ", b"\x00", generator.randbytes(2), buffer[:9])
        )
    return bytes(buffer)


@pytest.mark.parametrize("parse", [as_request, as_response])
def test_mutated_heads_end_alike_with_and_without_following_bytes(parse: Parse) -> None:
    generator = random.Random(2026)
    for _ in range(MUTATIONS):
        data = mutate(generator, generator.choice(SEEDS))
        first = outcome(parse, WAYS[0], data)
        if first is not None:
            assert outcome(parse, WAYS[-1], data) == first


@pytest.mark.parametrize("parse", [as_request, as_response])
@given(data=st.binary(max_size=120))
def test_random_bytes_end_alike_in_every_way(parse: Parse, data: bytes) -> None:
    results = [outcome(parse, way, data) for way in WAYS[:3]]

    assert results[0] == results[1] == results[2]


@given(seed=st.sampled_from(SEEDS), cuts=st.lists(st.integers(1, 60), max_size=12))
def test_any_split_of_a_head_ends_as_the_whole(seed: bytes, cuts: list[int]) -> None:
    def in_pieces(parse: Parse, data: bytes) -> MessageHead | None:
        scanned = length = 0
        for cut in [*cuts, len(data)]:
            scanned, length = length, min(length + cut, len(data))
            if (head := parse(data, length, scanned)) is not None:
                return head
        return None

    for parse in (as_request, as_response):
        assert outcome(parse, in_pieces, seed) == outcome(parse, WAYS[0], seed)


def test_head_of_64_kib_fed_byte_by_byte_stays_cheap() -> None:
    lines = b"a:\r\n" * 16000
    data = b"GET / HTTP/1.1\r\nHost: a\r\n" + lines
    started_s = time.process_time()
    for length in range(1, len(data)):
        assert parse_request(data, length, scanned=length - 1) is None

    # About 20 ms; a rescan of everything at each byte takes a hundred times that.
    assert time.process_time() - started_s < 1.0


def test_heads_are_freed_with_their_spans() -> None:
    data = b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n"
    for _ in range(2000):
        head = parse_response(data, len(data), "GET")
        assert head is not None
        assert head.get(b"a") == ",".join(["b"] * 200)
