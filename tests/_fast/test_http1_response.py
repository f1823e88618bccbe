import pytest

from s3proxy._fast.errors import HeadError
from s3proxy._fast.http1 import HeaderNames, ResponseHead, parse_response
from tests._fast.feeding import WAYS, as_response, refusal

UPSTREAM = (
    b"HTTP/1.1 200 OK\r\n"
    b"Date: Sat, 21 Nov 2026 00:45:12 GMT\r\n"
    b'ETag:"abc"\r\n'
    b"x-amz-meta-Name: \t a  b \r\n"
    b"Content-Type: image/jpeg\r\n"
    b"X-AMZ-META-EMPTY:\r\n"
    b"etags: no\r\n"
    b"Content-Length: 5\r\n"
    b"\r\n"
)

REFUSED = {
    "http-2": b"HTTP/2.0 200 OK\r\n\r\n",
    "http-1.2": b"HTTP/1.2 200 OK\r\n\r\n",
    "lower-case": b"http/1.1 200 OK\r\n\r\n",
    "icy": b"ICY 200 OK\r\n\r\n",
    "status-short": b"HTTP/1.1 20 OK\r\n\r\n",
    "status-long": b"HTTP/1.1 2000 OK\r\n\r\n",
    "status-099": b"HTTP/1.1 099 OK\r\n\r\n",
    "status-600": b"HTTP/1.1 600 OK\r\n\r\n",
    "status-words": b"HTTP/1.1 abc OK\r\n\r\n",
    "two-spaces": b"HTTP/1.1  200 OK\r\n\r\n",
    "reason-nul": b"HTTP/1.1 200 O\x00K\r\n\r\n",
    "reason-cr": b"HTTP/1.1 200 O\rK\r\n\r\n",
    "switching": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
    "leading-crlf": b"\r\nHTTP/1.1 200 OK\r\n\r\n",
    "bare-lf": b"HTTP/1.1 200 OK\nA: b\r\n\r\n",
    "obs-fold": b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
    "no-colon": b"HTTP/1.1 200 OK\r\nA\r\n\r\n",
    "control": b"HTTP/1.1 200 OK\r\nA: \x01\r\n\r\n",
    "cl-repeated": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
    "cl-list": b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
    "cl-sign": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
    "cl-te": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "te-gzip": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "te-1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "interim-cl": b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n",
    "interim-te": b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n",
}


def parse(data: bytes, method: str = "GET") -> ResponseHead:
    head = parse_response(data, len(data), method)
    assert head is not None
    return head


@pytest.mark.parametrize("way", WAYS)
def test_parse_response_upstream_head_gives_every_part(way) -> None:
    head = way(as_response, UPSTREAM)

    assert (head.status, head.reason, head.http_minor) == (200, "OK", 1)
    assert (head.content_length, head.chunked) == (5, False)
    assert (head.keep_alive, head.bodyless) == (True, False)
    assert head.head_bytes == len(UPSTREAM)
    assert head.get(b"etag") == '"abc"'
    assert head.get(b"x-amz-meta-name") == "a  b"
    assert head.prefixed(b"x-amz-meta-") == [("x-amz-meta-name", "a  b"), ("x-amz-meta-empty", "")]


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("way", WAYS)
def test_parse_response_malformed_head_refused(name: str, way) -> None:
    assert refusal(as_response, way, REFUSED[name]) == 502


@pytest.mark.parametrize("end", range(1, len(UPSTREAM)))
def test_parse_response_incomplete_gives_none(end: int) -> None:
    assert parse_response(UPSTREAM, end, "GET") is None


def test_parse_response_empty_buffer_gives_none() -> None:
    assert parse_response(b"", 0, "GET") is None


def test_parse_response_bad_arguments_raise_value_error() -> None:
    with pytest.raises(ValueError):
        parse_response(b"HTTP", 5, "GET")


def test_parse_response_too_long_refused() -> None:
    for length in (len(UPSTREAM) - 1, len(UPSTREAM)):
        with pytest.raises(HeadError) as caught:
            parse_response(UPSTREAM, length, "GET", head_bytes_max=len(UPSTREAM) - 1)
        assert caught.value.status == 502


def test_parse_response_too_many_headers_refused() -> None:
    with pytest.raises(HeadError) as caught:
        parse_response(UPSTREAM, len(UPSTREAM), "GET", headers_max=6)
    assert caught.value.status == 502


@pytest.mark.parametrize(
    ("line", "reason"),
    [(b"200", ""), (b"200 ", ""), (b"200 All well\xe9 ", "All wellé ")],
)
def test_parse_response_reason_phrase_may_miss(line: bytes, reason: str) -> None:
    assert parse(b"HTTP/1.1 " + line + b"\r\n\r\n").reason == reason


def test_parse_response_unframed_body_ends_with_the_connection() -> None:
    head = parse(b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n")

    assert (head.content_length, head.chunked, head.keep_alive) == (-1, False, False)
    assert not head.bodyless


def test_parse_response_chunked_keeps_the_connection() -> None:
    head = parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

    assert (head.content_length, head.chunked, head.keep_alive) == (-1, True, True)


@pytest.mark.parametrize(
    ("line", "kept"),
    [(b"", False), (b"Connection: keep-alive\r\n", True), (b"Connection: close\r\n", False)],
)
def test_parse_response_http_1_0_keeps_only_on_request(line: bytes, kept: bool) -> None:
    assert parse(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n" + line + b"\r\n").keep_alive is kept


@pytest.mark.parametrize(
    ("method", "status", "lines", "length", "kept"),
    [
        ("HEAD", 200, b"Content-Length: 9\r\n", 9, True),
        ("HEAD", 200, b"Transfer-Encoding: chunked\r\n", -1, True),
        ("HEAD", 200, b"", -1, True),
        ("GET", 304, b"Content-Length: 9\r\n", 9, True),
        ("GET", 304, b"", -1, True),
        ("DELETE", 204, b"", -1, True),
        ("DELETE", 204, b"Content-Length: 0\r\n", 0, True),
        ("DELETE", 204, b"Content-Length: 9\r\n", 9, False),
        ("DELETE", 204, b"Transfer-Encoding: chunked\r\n", -1, False),
        ("DELETE", 204, b"Connection: close\r\n", -1, False),
        ("PUT", 100, b"", -1, True),
        ("PUT", 103, b"Link: </a>\r\n", -1, True),
    ],
)
def test_parse_response_bodyless_never_chunked(method, status, lines, length, kept) -> None:
    head = parse(b"HTTP/1.1 %d x\r\n" % status + lines + b"\r\n", method)

    assert head.bodyless
    assert not head.chunked
    assert (head.content_length, head.keep_alive) == (length, kept)


def test_parse_response_repeated_other_headers_joined() -> None:
    data = b"HTTP/1.1 200 OK\r\nDate: a\r\nDate: b\r\nExpect: x\r\nContent-Length: 0\r\n\r\n"

    assert parse(data).get(b"date") == "a,b"


def test_select_gives_named_lines_in_order() -> None:
    names = HeaderNames(["ETag", "content-type", "absent"], ["X-Amz-Meta-"])

    assert parse(UPSTREAM).select(names) == (
        b'ETag: "abc"\r\n'
        b"x-amz-meta-Name: a  b\r\n"
        b"Content-Type: image/jpeg\r\n"
        b"X-AMZ-META-EMPTY: \r\n"
    )


def test_select_nothing_named_gives_nothing() -> None:
    assert parse(UPSTREAM).select(HeaderNames([])) == b""


def test_select_many_names_matches_exactly() -> None:
    names = [f"x-{i}" for i in range(1000)]
    lines = [f"X-{i}: {i}".encode() for i in range(5, 1100, 9)]
    data = b"\r\n".join((b"HTTP/1.1 200 OK", *lines, b"", b""))

    selected = parse(data).select(HeaderNames(names))

    assert selected == b"".join(line + b"\r\n" for line in lines if int(line.split()[1]) < 1000)


@pytest.mark.parametrize("name", ["", "a b", "a:", "é", "\u20ac", "a\r\n"])
def test_header_names_not_a_token_refused(name: str) -> None:
    for arguments in ((["ok", name], []), ([], ["ok", name])):
        with pytest.raises(ValueError):
            HeaderNames(*arguments)


def test_header_names_too_many_refused() -> None:
    with pytest.raises(ValueError):
        HeaderNames([f"x-{i}" for i in range(5000)])


def test_response_head_cannot_be_made_by_hand() -> None:
    with pytest.raises(TypeError):
        ResponseHead()
    assert ResponseHead.__new__(ResponseHead).select(HeaderNames(["a"])) == b""
