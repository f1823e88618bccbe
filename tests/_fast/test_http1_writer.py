import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy._fast.http1 import (
    build_request_head,
    build_response_head,
    parse_request,
    parse_response,
)

DATE = b"Sat, 21 Nov 2026 00:45:12 GMT"


def response(status=200, headers=(), raw=b"", **options) -> bytes:
    arguments = {"length": 0, "keep_alive": True, "date": DATE, "request_id": "ID"} | options
    return build_response_head(status, headers, raw, **arguments)


def test_build_response_head_gives_the_exact_lines() -> None:
    head = response(206, [("ETag", '"a"'), ("X-Note", "caf\xe9")], b"a: b\r\n", length=7)

    assert head == (
        b"HTTP/1.1 206 Partial Content\r\n"
        b"Server: s3proxy\r\n"
        b"Date: Sat, 21 Nov 2026 00:45:12 GMT\r\n"
        b"x-amz-request-id: ID\r\n"
        b"Content-Length: 7\r\n"
        b'ETag: "a"\r\n'
        b"X-Note: caf\xe9\r\n"
        b"a: b\r\n"
        b"\r\n"
    )


@pytest.mark.parametrize(
    ("status", "length", "framing"),
    [
        (200, 0, [b"content-length: 0"]),
        (200, 2**63 - 1, [b"content-length: 9223372036854775807"]),
        (200, -1, [b"transfer-encoding: chunked"]),
        (200, -2, []),
        (304, -2, []),
        (204, 0, []),
        (204, -2, []),
        (100, -2, []),
    ],
)
def test_build_response_head_frames_by_length(status: int, length: int, framing) -> None:
    lines = response(status, length=length).lower().split(b"\r\n")

    assert [line for line in lines if line.startswith((b"content-l", b"transfer-e"))] == framing


@pytest.mark.parametrize(
    ("keep_alive", "http_minor", "line"),
    [
        (True, 1, None),
        (False, 1, b"Connection: close"),
        (True, 0, b"Connection: keep-alive"),
        (False, 0, b"Connection: close"),
    ],
)
def test_build_response_head_says_what_becomes_of_the_connection(
    keep_alive: bool, http_minor: int, line: bytes | None
) -> None:
    lines = response(keep_alive=keep_alive, http_minor=http_minor).split(b"\r\n")

    assert lines[0] == b"HTTP/1.1 200 OK"
    assert [each for each in lines if each.startswith(b"Connection")] == ([line] if line else [])


def test_build_response_head_unknown_status_has_an_empty_reason() -> None:
    assert response(299).startswith(b"HTTP/1.1 299 \r\n")


@pytest.mark.parametrize("bad", ["a\r\nb", "a\nb", "a\rb", "a\x00b", "\x7f", "\u20ac"])
def test_build_heads_injection_in_a_value_refused(bad: str) -> None:
    with pytest.raises(ValueError):
        response(headers=[("a", bad)])
    with pytest.raises(ValueError):
        response(request_id=bad)
    with pytest.raises(ValueError):
        build_request_head("GET", b"/", [("a", bad)])


@pytest.mark.parametrize("bad", [b"a\r\nb", b"a\n", b"\x00"])
def test_build_response_head_injection_in_the_date_refused(bad: bytes) -> None:
    with pytest.raises(ValueError):
        response(date=bad)


@pytest.mark.parametrize("bad", ["", "a b", "a:", "a\r\n", "\xe9", "\u20ac", ":a"])
def test_build_heads_name_not_a_token_refused(bad: str) -> None:
    with pytest.raises(ValueError):
        response(headers=[(bad, "v")])
    with pytest.raises(ValueError):
        build_request_head("GET", b"/", [(bad, "v")])


@pytest.mark.parametrize(
    "raw",
    [
        b"a",
        b"a: b",
        b"a: b\n",
        b"a: b\r",
        b"\r\n",
        b"\n",
        b"a: b\r\n\r\n",
        b"a: b\r\n\r\nx: y\r\n",
        b"a: b\n\r\n",
        b"a: b\rc\r\n",
        b"a: \x00\r\n",
        b" a: b\r\n",
        b": b\r\n",
        b"a\r\n",
        b"a\r\n: b\r\n",
        b"a\n:b\r\n",
    ],
)
def test_build_heads_malformed_raw_lines_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):
        response(raw=raw)
    with pytest.raises(ValueError):
        build_request_head("GET", b"/", [], raw)


@pytest.mark.parametrize("name", ["Content-Length", "TRANSFER-encoding", "connection"])
def test_build_response_head_second_framing_refused(name: str) -> None:
    with pytest.raises(ValueError):
        response(headers=[(name, "5")])
    with pytest.raises(ValueError):
        response(raw=name.encode() + b": 5\r\n")


@pytest.mark.parametrize(
    "options",
    [
        {"status": 99},
        {"status": 600},
        {"length": -3},
        {"length": -1, "http_minor": 0},
        {"status": 204, "length": 1},
        {"status": 204, "length": -1},
        {"status": 100, "length": 1},
    ],
)
def test_build_response_head_impossible_framing_refused(options) -> None:
    with pytest.raises(ValueError):
        response(**options)


@pytest.mark.parametrize("pair", [("a",), ("a", "b", "c"), ["a", "b"], ("a", 1), (b"a", "b"), None])
def test_build_heads_other_than_pairs_of_str_raise_type_error(pair) -> None:
    with pytest.raises(TypeError):
        response(headers=[("ok", "ok"), pair])
    with pytest.raises(TypeError):
        build_request_head("GET", b"/", [pair])


def test_build_request_head_gives_the_exact_lines() -> None:
    head = build_request_head(
        "PUT", b"/b/k?x=%20", (("Host", "a"), ("Content-Length", "5")), b"x-amz-meta-a: b\r\n"
    )

    assert head == (
        b"PUT /b/k?x=%20 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nx-amz-meta-a: b\r\n\r\n"
    )


@pytest.mark.parametrize("method", ["", "GE T", "GET\r\n", "G\xc9T", "\u20ac"])
def test_build_request_head_bad_method_refused(method: str) -> None:
    with pytest.raises(ValueError):
        build_request_head(method, b"/", [])


@pytest.mark.parametrize("target", [b"", b"/ ", b"/\r\n", b"/\x00", b"/\xe9", b"/#", b"/\x7f"])
def test_build_request_head_bad_target_refused(target: bytes) -> None:
    with pytest.raises(ValueError):
        build_request_head("GET", target, [])


NAMES = st.from_regex(r"x-[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}", fullmatch=True)
VALUES = st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=30)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=40), st.integers(-1, 2**62))
def test_build_response_head_is_read_back_whole(headers, length) -> None:
    data = response(headers=headers, length=length)

    head = parse_response(data, len(data), "GET")

    assert head is not None
    assert (head.content_length, head.chunked) == (length, length < 0)
    assert head.items()[4:] == [(name.lower(), value.strip(" \t")) for name, value in headers]


@given(st.lists(st.tuples(NAMES, VALUES), max_size=40))
def test_build_request_head_is_read_back_whole(headers) -> None:
    data = build_request_head("GET", b"/k", [("host", "a"), *headers])

    head = parse_request(data, len(data))

    assert head is not None
    assert head.items()[1:] == [(name.lower(), value.strip(" \t")) for name, value in headers]


@given(st.text(max_size=8), st.text(max_size=12))
def test_build_response_head_never_splits_for_h11(name: str, value: str) -> None:
    try:
        data = response(headers=[(name, value)])
    except ValueError:
        return
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
    connection.receive_data(data)
    event = connection.next_event()

    assert isinstance(event, h11.Response)
    assert len(event.headers) == 5
    assert isinstance(connection.next_event(), h11.EndOfMessage)
