import pytest

from s3proxy._fast.errors import HeadError
from s3proxy._fast.http1 import (
    REQUEST_LINE_BYTES_MAX,
    HeaderNames,
    RequestHead,
    parse_request,
)
from tests._fast.feeding import WAYS, as_request, refusal
from tests._fast.smuggling import REFUSED, Refused, with_headers

BOTO3 = (
    b"PUT /bucket/a%20key?partNumber=1&uploadId=x%3D HTTP/1.1\r\n"
    b"Host: s3.example.com:9000\r\n"
    b"Accept-Encoding: identity\r\n"
    b"Content-MD5:  1B2M2Y8AsgTpgAmY7PhCfg== \t\r\n"
    b"Expect: 100-continue\r\n"
    b"x-amz-meta-Name: caf\xe9\r\n"
    b"X-Amz-Meta-Other:\r\n"
    b"x-amz-meta-name: twice\r\n"
    b"Content-Length: 1024\r\n"
    b"\r\n"
)


def parse(data: bytes) -> RequestHead:
    head = parse_request(data, len(data))
    assert head is not None
    return head


def request(line: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join((line, *headers, b"", b""))


@pytest.mark.parametrize("way", WAYS)
def test_parse_request_boto3_head_gives_every_part(way) -> None:
    head = way(as_request, BOTO3)

    assert (head.method, head.path, head.query) == (
        "PUT",
        b"/bucket/a%20key",
        b"partNumber=1&uploadId=x%3D",
    )
    assert head.target == b"/bucket/a%20key?partNumber=1&uploadId=x%3D"
    assert (head.host, head.http_minor, head.content_length) == ("s3.example.com:9000", 1, 1024)
    assert (head.chunked, head.keep_alive, head.expect_continue) == (False, True, True)
    assert head.head_bytes == len(BOTO3)
    assert head.get(b"content-md5") == "1B2M2Y8AsgTpgAmY7PhCfg=="
    assert head.get(b"x-amz-meta-name") == "café,twice"
    assert head.get(b"x-amz-meta-other") == ""
    assert head.get(b"x-amz-meta") is None
    assert head.get(b"") is None
    assert head.prefixed(b"x-amz-meta-") == [
        ("x-amz-meta-name", "café,twice"),
        ("x-amz-meta-other", ""),
    ]
    assert [name for name, _ in head.items()][-2:] == ["x-amz-meta-name", "content-length"]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
@pytest.mark.parametrize("way", WAYS)
def test_parse_request_ambiguous_head_refused(case: Refused, way) -> None:
    assert refusal(as_request, way, case.head) == case.status


@pytest.mark.parametrize("end", range(1, len(BOTO3)))
def test_parse_request_incomplete_gives_none(end: int) -> None:
    assert parse_request(BOTO3, end) is None
    assert parse_request(BOTO3, end, scanned=end - 1) is None


def test_parse_request_empty_buffer_gives_none() -> None:
    assert parse_request(b"", 0) is None


@pytest.mark.parametrize(
    "data", [bytearray(BOTO3), memoryview(BOTO3), memoryview(bytearray(BOTO3))]
)
def test_parse_request_any_buffer_keeps_a_copy(data) -> None:
    head = parse_request(data, len(BOTO3))

    if not memoryview(data).readonly:
        data[:] = b"x" * len(data)
    assert head is not None
    assert head.get(b"accept-encoding") == "identity"


@pytest.mark.parametrize("way", WAYS)
def test_parse_request_one_leading_crlf_is_let_pass(way) -> None:
    head = way(as_request, b"\r\n" + BOTO3)

    assert head.head_bytes == len(BOTO3) + 2
    assert head.method == "PUT"


@pytest.mark.parametrize(
    ("target", "path", "query", "host"),
    [
        (b"/", b"/", b"", "a"),
        (b"/?", b"/", b"", "a"),
        (b"/k?a?b", b"/k", b"a?b", "a"),
        (b"//k//", b"//k//", b"", "a"),
        (b"http://a", b"/", b"", "a"),
        (b"http://a/k?q", b"/k", b"q", "a"),
        (b"HTTPS://a?q", b"/", b"q", "a"),
        (b"/http://b/", b"/http://b/", b"", "a"),
        (b"/%00%zz|{}\\^", b"/%00%zz|{}\\^", b"", "a"),
    ],
)
def test_parse_request_target_forms_split(target, path, query, host) -> None:
    head = parse(request(b"GET " + target + b" HTTP/1.1", b"Host: a"))

    assert (head.path, head.query, head.host, head.target) == (path, query, host, target)


def test_parse_request_asterisk_options_taken() -> None:
    assert parse(request(b"OPTIONS * HTTP/1.1", b"Host: a")).path == b"*"


@pytest.mark.parametrize(
    "host", [b"a", b"a.b-c_d:80", b"127.0.0.1", b"[::1]", b"[::1]:65535", b"a:"]
)
def test_parse_request_host_kept_as_sent(host: bytes) -> None:
    assert parse(request(b"GET / HTTP/1.1", b"hOST:" + host)).host == host.decode()


def test_parse_request_absolute_form_compares_hosts_without_case() -> None:
    assert parse(request(b"GET http://A.b/ HTTP/1.1", b"Host: a.B")).host == "a.B"


def test_parse_request_http_1_0_needs_no_host() -> None:
    head = parse(request(b"GET / HTTP/1.0"))

    assert (head.host, head.http_minor, head.keep_alive) == ("", 0, False)


@pytest.mark.parametrize(
    "method", ["GET", "PUT", "HEAD", "POST", "DELETE", "OPTIONS", "PATCH", "X-Y!"]
)
def test_parse_request_method_kept_as_sent(method: str) -> None:
    assert parse(request(method.encode() + b" / HTTP/1.1", b"Host: a")).method == method


@pytest.mark.parametrize(
    ("minor", "options", "kept"),
    [
        (1, [], True),
        (1, [b"close"], False),
        (1, [b"Close, x"], False),
        (1, [b"x ,\tCLOSE"], False),
        (1, [b"x", b"close"], False),
        (1, [b"closed"], True),
        (1, [b"not-close"], True),
        (1, [b"keep-alive"], True),
        (1, [b"keep-alive, close"], False),
        (1, [b""], True),
        (1, [b",,"], True),
        (0, [], False),
        (0, [b"Keep-Alive"], True),
        (0, [b"keep-alive, close"], False),
        (0, [b"x, keep-alive"], True),
        (0, [b"x\t,\tkeep-alive\t,"], True),
        (0, [b"x keep-alive"], False),
        (0, [b"keep-alive;x"], False),
    ],
)
def test_parse_request_connection_options_decide_keep_alive(minor, options, kept) -> None:
    lines = [b"Connection: " + option for option in options]

    head = parse(request(b"GET / HTTP/1.%d" % minor, b"Host: a", *lines))

    assert head.keep_alive is kept


def test_parse_request_chunked_in_any_case() -> None:
    head = parse(with_headers(b"transfer-encoding:\t CHUNKed \r\n"))

    assert (head.chunked, head.content_length) == (True, -1)


@pytest.mark.parametrize(
    ("text", "length"),
    [(b"0", 0), (b"0005", 5), (b"9223372036854775807", 2**63 - 1)],
)
def test_parse_request_content_length_read(text: bytes, length: int) -> None:
    assert parse(with_headers(b"Content-Length: " + text + b"\r\n")).content_length == length


@pytest.mark.parametrize("value", [b"", b"200-ok", b"100-continue, other"])
def test_parse_request_expect_of_something_else_ignored(value: bytes) -> None:
    assert not parse(with_headers(b"Expect: " + value + b"\r\n")).expect_continue


def test_parse_request_expect_ignored_in_http_1_0() -> None:
    assert not parse(request(b"PUT / HTTP/1.0", b"Expect: 100-continue")).expect_continue


@pytest.mark.parametrize("count", [31, 32, 33, 64, 65, 128])
def test_parse_request_many_headers_all_found(count: int) -> None:
    lines = [b"h%d: v%d" % (i, i) for i in range(count - 1)]

    head = parse(request(b"GET / HTTP/1.1", b"Host: a", *lines))

    assert [head.get(b"h%d" % i) for i in range(count - 1)] == [f"v{i}" for i in range(count - 1)]
    assert len(head.items()) == count


def test_parse_request_too_many_headers_refused() -> None:
    data = request(b"GET / HTTP/1.1", b"Host: a", *[b"a:"] * 128)

    with pytest.raises(HeadError) as caught:
        parse_request(data, len(data))
    assert caught.value.status == 431


def test_parse_request_head_at_the_bound_taken_and_over_it_refused() -> None:
    data = request(b"GET / HTTP/1.1", b"Host: a", b"x: " + b"y" * 100)

    assert parse_request(data, len(data), head_bytes_max=len(data)) is not None
    for length in (len(data) - 1, len(data)):
        with pytest.raises(HeadError) as caught:
            parse_request(data, length, head_bytes_max=len(data) - 1)
        assert caught.value.status == 431


@pytest.mark.parametrize("ended", [True, False])
def test_parse_request_long_line_refused(ended: bool) -> None:
    line = b"GET /" + b"k" * (REQUEST_LINE_BYTES_MAX - 14 + 1) + b" HTTP/1.1"
    data = request(line, b"Host: a") if ended else line + b"zz"

    with pytest.raises(HeadError) as caught:
        parse_request(data, len(data))
    assert caught.value.status == 414


def test_parse_request_longest_line_taken() -> None:
    line = b"GET /" + b"k" * (REQUEST_LINE_BYTES_MAX - 14) + b" HTTP/1.1"

    data = request(line, b"Host: a")

    assert len(line) == REQUEST_LINE_BYTES_MAX
    assert parse_request(data, len(line)) is None
    assert len(parse(data).path) == REQUEST_LINE_BYTES_MAX - 13


def test_parse_request_line_over_a_small_head_bound_is_the_line() -> None:
    with pytest.raises(HeadError) as caught:
        parse_request(b"GET /" + b"k" * 95, 100, head_bytes_max=100)
    assert caught.value.status == 414


@pytest.mark.parametrize("data", [b"\x16\x03\x01", b"GE\x00", b"\x00", b"{", b":", b"X" * 33])
def test_parse_request_other_protocol_refused_before_a_line_end(data: bytes) -> None:
    with pytest.raises(HeadError):
        parse_request(data, len(data))


@pytest.mark.parametrize(
    ("length", "bounds"),
    [
        (-1, {}),
        (4, {}),
        (3, {"head_bytes_max": 0}),
        (3, {"head_bytes_max": 2**31}),
        (3, {"headers_max": 1025}),
        (3, {"headers_max": -1}),
    ],
)
def test_parse_request_bad_arguments_raise_value_error(length: int, bounds: dict[str, int]) -> None:
    with pytest.raises(ValueError):
        parse_request(b"GET", length, **bounds)


@pytest.mark.parametrize("scanned", [-5, 0, 10, 10**9])
def test_parse_request_scanned_beyond_the_data_is_harmless(scanned: int) -> None:
    assert parse_request(BOTO3, 20, scanned=scanned) is None


def test_request_head_cannot_be_made_by_hand() -> None:
    with pytest.raises(TypeError):
        RequestHead()
    bare = RequestHead.__new__(RequestHead)
    assert bare.get(b"host") is None
    assert bare.items() == []


def test_head_error_says_status_and_reason() -> None:
    assert str(HeadError(400, "malformed")) == "400 malformed"


@pytest.mark.parametrize(
    ("headers", "bodyless"),
    [
        ((), True),
        ((b"Content-Length: 0",), True),
        ((b"Content-Length: 1",), False),
        ((b"Transfer-Encoding: chunked",), False),
        ((b"Content-Length: 0", b"Expect: 100-continue"), False),
    ],
)
def test_parse_request_bodyless_is_without_body_and_without_expectation(
    headers: tuple[bytes, ...], bodyless: bool
) -> None:
    assert parse(request(b"PUT / HTTP/1.1", b"Host: h", *headers)).bodyless is bodyless


def test_request_has_any_looks_for_names_and_prefixes_in_any_case() -> None:
    head = parse(request(b"GET / HTTP/1.1", b"Host: h", b"X-Amz-Meta-A: 1", b"RANGE: bytes=0-"))
    assert head.has_any(HeaderNames(["range"]))
    assert head.has_any(HeaderNames([], ["x-amz-meta-"]))
    assert not head.has_any(HeaderNames(["rang", "ranges", "x-amz-meta"], ["if-", "x-amz-meta-ab"]))
    assert not head.has_any(HeaderNames([]))
