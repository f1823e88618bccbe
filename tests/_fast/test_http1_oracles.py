"""What we take, h11 and llhttp take too, and read alike; what only they take has its reason."""

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy._fast.errors import HeadError
from s3proxy._fast.http1 import RequestHead, parse_request
from tests._fast.feeding import decode_chunked
from tests._fast.oracles import READERS
from tests._fast.smuggling import REFUSED, taken_by

# Methods and bytes that llhttp knows nothing of; the rest of such a head is not compared with it.
LLHTTP_METHODS = frozenset({"GET", "PUT", "HEAD", "POST", "DELETE", "OPTIONS", "PATCH"})


def read(data: bytes) -> RequestHead | None:
    try:
        return parse_request(data, len(data))
    except HeadError:
        return None


@pytest.mark.parametrize("oracle", READERS)
def test_refused_head_taken_by_an_oracle_has_a_reason(oracle: str) -> None:
    taken = {case.name for case in REFUSED if READERS[oracle](case.head) is not None}

    assert taken <= taken_by(oracle)


@pytest.mark.parametrize("oracle", READERS)
def test_reasons_name_cases_that_exist(oracle: str) -> None:
    assert taken_by(oracle) <= {case.name for case in REFUSED}


def fold(header: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """The header as h11 gives it, which puts the coding and the expectation in lower case."""
    name, value = header
    return (name, value.lower() if name in (b"transfer-encoding", b"expect") else value)


def agree(data: bytes) -> None:
    """Fail when we take a head that an oracle refuses or reads differently."""
    head = read(data)
    if head is None:
        return
    for name, reader in READERS.items():
        if name == "llhttp" and head.method not in LLHTTP_METHODS:
            continue
        if name == "h11" and data.startswith(b"\r\n"):
            continue  # RFC 9112 §2.2 has a server pass over one empty line; h11 refuses it
        reading = reader(data[: head.head_bytes])
        assert reading is not None, name
        assert reading.method.decode() == head.method
        assert reading.target == head.target
        # Closing where an oracle would go on is safe; the other way round is not.
        assert reading.keep_alive is not False or not head.keep_alive
        ours = [(n.encode(), v.encode("latin-1")) for n, v in head.items()]
        assert sorted(map(fold, reading.headers)) == sorted(map(fold, ours))


LINES = st.sampled_from(
    [
        b"Host: a",
        b"Host:  a:80\t",
        b"Content-Length: 5",
        b"Content-Length: 0",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding:\tChunked ",
        b"Connection: close",
        b"Connection: keep-alive, x",
        b"Expect: 100-continue",
        b"x:",
        b"x-amz-meta-a: \xe9\t b",
        b"!#$%&'*+-.^_`|~: x",
        b"X: a,b",
    ]
)
TARGETS = st.sampled_from([b"/", b"/a?b", b"*", b"http://a/b?c", b"http://a", b"/%zz{|}", b"//a"])
METHODS = st.sampled_from(
    [b"GET", b"PUT", b"POST", b"OPTIONS", b"HEAD", b"DELETE", b"PATCH", b"XY"]
)
HEADS = st.tuples(
    METHODS, TARGETS, st.sampled_from([b"1.1", b"1.0"]), st.lists(LINES, max_size=6)
).map(lambda parts: b"\r\n".join((b"%b %b HTTP/%b" % parts[:3], b"Host: a", *parts[3], b"", b"")))
BYTES = st.sampled_from([bytes([byte]) for byte in range(256)] + [b"\r\n", b"\r\n "])


@given(HEADS)
def test_well_formed_head_read_alike(data: bytes) -> None:
    agree(data)


@given(HEADS, st.data())
def test_head_with_one_byte_changed_read_alike(data: bytes, draw: st.DataObject) -> None:
    place = draw.draw(st.integers(0, len(data) - 1))
    width = draw.draw(st.integers(0, 2))

    agree(data[:place] + draw.draw(BYTES) + data[place + width :])


@pytest.mark.parametrize(
    "form",
    [
        b"GE%bT / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"%b\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /?%b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://a%b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1%b\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a%b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nx%by: z\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nx%b: z\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nx: y%bz12345678\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nx: 12345678y%b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1%b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked%b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: %bchunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding%b: chunked\r\n\r\n",
    ],
)
def test_every_byte_in_a_place_read_alike(form: bytes) -> None:
    for byte in range(256):
        agree(form % bytes([byte]))


class _Body:
    def __init__(self) -> None:
        self.payload = b""
        self.complete = False

    def on_body(self, piece: bytes) -> None:
        self.payload += piece

    def on_message_complete(self) -> None:
        self.complete = True


PIECES = st.sampled_from(
    [
        b"",
        b"0",
        b"1",
        b"a",
        b"\r\n",
        b"\r",
        b"\n",
        b";",
        b"=",
        b'"',
        b" ",
        b":",
        b"x",
        b"(",
        b"\xe9",
    ]
)
BODIES = st.sampled_from(
    [
        b"1\r\nx\r\n0\r\n\r\n",
        b'1;a=b;c="d";e\r\nx\r\n0;f=g\r\n\r\n',
        b"0010\r\n0123456789abcdef\r\n0\r\na: b\r\nc:\r\n\r\n",
    ]
)


@given(BODIES, st.integers(0, 60), st.integers(0, 2), PIECES)
def test_chunked_body_we_finish_read_alike_by_llhttp(
    body: bytes, place: int, width: int, piece: bytes
) -> None:
    body = body[:place] + piece + body[place + width :]
    try:
        payload, rest, finished = decode_chunked(body)
    except HeadError:
        return
    if not finished:
        return
    events = _Body()
    parser = httptools.HttpRequestParser(events)
    parser.feed_data(
        b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        + body[: len(body) - len(rest)]
    )

    assert (events.payload, events.complete) == (payload, True)
