"""Messages that two servers in a row could read differently: refused, closed, nothing executed.

Each case carries a signed request of its own where a lenient reader would find a next one. Had that
been executed, the object it writes would be there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

import pytest

from tests._fast.smuggling import REFUSED, Refused
from tests.faults.conftest import Bucket, bucket_in
from tests.faults.wire import Answer, Wire, is_absent, signed_head
from tests.gateways import Gateway

pytestmark = pytest.mark.slow

HEAD_BYTES_MAX = 65_536
HEADERS_MAX = 128
# What a server says to a head that nobody can act on.
HEAD_CODES = {
    400: "BadRequest",
    414: "RequestURITooLong",
    431: "RequestHeaderSectionTooLarge",
    501: "NotImplemented",
    505: "HTTPVersionNotSupported",
}


def smuggled(bucket: Bucket) -> bytes:
    """A whole request that makes an object."""
    headers = {"Content-Length": "8"}
    return signed_head(bucket.gateway.port, "PUT", bucket.target("smuggled"), headers).data + (
        b"smuggled"
    )


def assert_closed_and_refused(wire: Wire, answer: Answer) -> None:
    """A proper S3 error, the last thing on its connection."""
    assert 400 <= answer.status < 600, answer
    assert answer.whole
    assert answer.code, answer
    assert answer.headers["content-type"] == "application/xml"
    assert re.fullmatch(r"[0-9A-F]{16}", answer.headers["x-amz-request-id"])
    assert answer.headers["connection"] == "close"
    assert wire.at_end()


@pytest.fixture
def bucket(deployment: Gateway) -> Bucket:
    return bucket_in(deployment, "managed-disk")


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_bad_head_is_refused_and_closes(bucket: Bucket, case: Refused) -> None:
    with Wire(bucket.gateway.port) as wire:
        wire.send(case.head, smuggled(bucket))
        answer = wire.read_answer()
        assert answer.status == case.status
        assert answer.code == HEAD_CODES[case.status]
        assert_closed_and_refused(wire, answer)
    assert is_absent(bucket.gateway, bucket.target("smuggled"))


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_bad_head_behind_a_good_request_is_refused(bucket: Bucket, case: Refused) -> None:
    """In one segment with a request that is answered, and byte by byte where it is short."""
    good = signed_head(bucket.gateway.port, "HEAD", f"/{bucket.name}").data
    if case.head.startswith(b"\r\n"):
        case = Refused(case.name, b"\r\n" + case.head, case.status)
    with Wire(bucket.gateway.port) as wire:
        wire.send(good + case.head + smuggled(bucket))
        assert wire.read_answer("HEAD").status == 200
        answer = wire.read_answer()
        assert answer.status == case.status
        assert_closed_and_refused(wire, answer)
    assert is_absent(bucket.gateway, bucket.target("smuggled"))


@dataclass(frozen=True)
class Framed:
    """A signed upload whose framing is wrong: header lines, and the body that follows."""

    name: str
    lines: bytes
    body: bytes
    status: int = 400


def _chunked(name: str, body: bytes, status: int = 400) -> Framed:
    return Framed(name, b"Transfer-Encoding: chunked\r\n", body, status)


LONG = b"1" * 5000
# The body of a signed PUT; MARK is where the smuggled request stands.
FRAMED = (
    Framed("cl-te", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\nMARK"),
    Framed("te-cl", b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\nMARK"),
    Framed("cl-cl", b"Content-Length: 0\r\nContent-Length: 500\r\n", b"MARK"),
    Framed("cl-cl-same", b"Content-Length: 0\r\nContent-Length: 0\r\n", b"MARK"),
    Framed("cl-list", b"Content-Length: 0, 0\r\n", b"MARK"),
    Framed("cl-folded", b"Content-Length:\r\n 0\r\n", b"MARK"),
    Framed("cl-bare-lf", b"X: a\nContent-Length: 0\r\n", b"MARK"),
    Framed("cl-nul", b"Content-Length: 0\x00\r\n", b"MARK"),
    Framed("cl-space-before-colon", b"Content-Length : 0\r\n", b"MARK"),
    Framed("te-xchunked", b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\nMARK", 501),
    Framed("te-identity", b"Transfer-Encoding: identity\r\n", b"MARK", 501),
    Framed("te-twice", b"Transfer-Encoding: chunked\r\n" * 2, b"0\r\n\r\nMARK", 501),
    _chunked("size-empty", b"\r\n\r\nMARK"),
    _chunked("size-letters", b"zz\r\nhello\r\n0\r\n\r\nMARK"),
    _chunked("size-negative", b"-5\r\nhello\r\n0\r\n\r\nMARK"),
    _chunked("size-plus", b"+5\r\nhello\r\n0\r\n\r\nMARK"),
    _chunked("size-0x", b"0x5\r\nhello\r\n0\r\n\r\nMARK"),
    _chunked("size-underscore", b"0_5\r\nhello\r\n0\r\n\r\nMARK"),
    _chunked("size-space-before", b" 5\r\nhello\r\n0\r\n\r\nMARK"),
    _chunked("size-space-after", b"5 \r\nhello\r\n0\r\n\r\nMARK"),
    _chunked("size-tab", b"5\t\r\nhello\r\n0\r\n\r\nMARK"),
    _chunked("size-nul", b"5\x00\r\nhello\r\n0\r\n\r\nMARK"),
    _chunked("size-huge", b"fffffffffffffffff\r\nMARK"),
    _chunked("size-wraps", b"10000000000000005\r\nhello\r\n0\r\n\r\nMARK"),
    _chunked("size-endless", LONG + b"\r\nMARK"),
    _chunked("size-zeros", b"0" * 5000 + b"5\r\nhello\r\n0\r\n\r\nMARK"),
    _chunked("size-bare-lf", b"5\nhello\r\n0\r\n\r\nMARK"),
    _chunked("size-bare-cr", b"5\rhello\r\n0\r\n\r\nMARK"),
    _chunked("extension-bare-lf", b"5;a\nhello\r\n0\r\n\r\nMARK"),
    _chunked("extension-endless", b"5;" + LONG * 20 + b"\r\nhello\r\n0\r\n\r\nMARK"),
    _chunked("data-longer", b"5\r\nhello!\r\n0\r\n\r\nMARK"),
    _chunked("data-bare-lf", b"5\r\nhello\n0\r\n\r\nMARK"),
    _chunked("data-no-end", b"5\r\nhello0\r\n\r\nMARK"),
    _chunked("last-bare-lf", b"5\r\nhello\r\n0\n\nMARK"),
    _chunked("last-lf", b"5\r\nhello\r\n0\r\n\nMARK"),
    _chunked("trailer-folded", b"5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\nMARK"),
    _chunked("trailer-bare-lf", b"5\r\nhello\r\n0\r\nX: a\n\r\nMARK"),
    _chunked("trailer-nul", b"5\r\nhello\r\n0\r\nX: \x00\r\n\r\nMARK"),
    _chunked("trailer-no-colon", b"5\r\nhello\r\n0\r\nX\r\n\r\nMARK"),
    _chunked("trailer-endless", b"5\r\nhello\r\n0\r\nX: " + LONG * 20 + b"\r\n\r\nMARK"),
)


@pytest.mark.parametrize("case", FRAMED, ids=lambda case: case.name)
@pytest.mark.parametrize("place", ["managed-disk", "attached-inner"])
def test_bad_framing_is_refused_and_closes(deployment: Gateway, place: str, case: Framed) -> None:
    """With a valid signature: the framing headers are not signed."""
    bucket = bucket_in(deployment, place)
    headers = {"x-amz-decoded-content-length": "5"}
    head = signed_head(bucket.gateway.port, "PUT", bucket.target(), headers).data
    with Wire(bucket.gateway.port) as wire:
        wire.send(head[:-2] + case.lines + b"\r\n", case.body.replace(b"MARK", smuggled(bucket)))
        answer = wire.read_answer()
        assert answer.status == case.status, answer
        assert_closed_and_refused(wire, answer)
    assert is_absent(bucket.gateway, bucket.target())
    assert is_absent(bucket.gateway, bucket.target("smuggled"))


TOO_MUCH = {
    "target": (b"GET /" + b"a" * HEAD_BYTES_MAX + b" HTTP/1.1\r\nHost: a\r\n\r\n", (414, 431)),
    "header": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * HEAD_BYTES_MAX + b"\r\n\r\n", (431,)),
    "headers": (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 9000 + b"\r\n", (431,)),
    "many-headers": (
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * HEADERS_MAX + b"\r\n",
        (431,),
    ),
    "endless-line": (b"G" * (HEAD_BYTES_MAX + 1), (400, 431, 501)),
    "endless-blank": (b"\r\n" * HEAD_BYTES_MAX, (400, 431)),
}


@pytest.mark.parametrize("name", TOO_MUCH)
@pytest.mark.parametrize("step", [1 << 20, 1000])
def test_head_that_is_too_long_is_refused(bucket: Bucket, name: str, step: int) -> None:
    data, statuses = TOO_MUCH[name]
    with Wire(bucket.gateway.port) as wire:
        wire.send(*(data[start : start + step] for start in range(0, len(data), step)))
        answer = wire.read_answer()
        assert answer.status in statuses
        assert_closed_and_refused(wire, answer)


def test_body_of_a_refused_request_is_not_read_as_a_request(bucket: Bucket) -> None:
    """The signature is wrong; what follows as its body stays its body."""
    inner = smuggled(bucket)
    for length in (len(inner), 1 << 20):
        headers = {"Content-Length": str(length)}
        head = signed_head(
            bucket.gateway.port, "PUT", bucket.target(), headers, secret_key="wrong"
        ).data
        with Wire(bucket.gateway.port) as wire:
            wire.send(head, inner)
            answer = wire.read_answer()
            assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
            wire.end()
            assert wire.at_end()
        assert is_absent(bucket.gateway, bucket.target("smuggled"))


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_body_of_a_request_that_has_none_is_not_read_as_a_request(
    bucket: Bucket, method: str
) -> None:
    inner = smuggled(bucket)
    headers = {"Content-Length": str(len(inner))}
    head = signed_head(bucket.gateway.port, method, bucket.target(), headers).data
    with Wire(bucket.gateway.port) as wire:
        wire.send(head, inner)
        assert wire.read_answer(method).status in (204, 404)
        wire.end()
        assert wire.at_end()
    assert is_absent(bucket.gateway, bucket.target("smuggled"))


def test_answer_to_a_body_that_waits_for_continue_ends_the_connection(bucket: Bucket) -> None:
    """The client may send the body or not: only closing leaves no doubt."""
    headers = {"Content-Length": "100", "Expect": "100-continue"}
    head = signed_head(
        bucket.gateway.port, "PUT", bucket.target(), headers, secret_key="wrong"
    ).data
    with Wire(bucket.gateway.port) as wire:
        wire.send(head)
        answer = wire.read_answer()
        assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
        wire.send(smuggled(bucket))
        assert_closed_and_refused(wire, answer)
    assert is_absent(bucket.gateway, bucket.target("smuggled"))


def test_pipelined_requests_are_answered_in_order(bucket: Bucket) -> None:
    """What is right is still served: many requests in one segment, some of them with bodies."""
    port = bucket.gateway.port
    pieces = []
    for number in range(20):
        headers = {"Content-Length": "4"}
        target = bucket.target(f"pipelined{number}")
        pieces.append(signed_head(port, "PUT", target, headers).data + b"%04d" % number)
        pieces.append(signed_head(port, "GET", target).data)
    with Wire(port) as wire:
        wire.send(b"".join(pieces))
        for number in range(20):
            assert wire.read_answer().status == 200
            assert wire.read_answer().body == b"%04d" % number


HEADERS_IN_VALUES = ("a\r\nX-Injected: yes", "a\nX-Injected: yes", "a\0b", "é", "\x7f")


@pytest.mark.parametrize("value", HEADERS_IN_VALUES)
def test_answer_headers_cannot_be_split(bucket: Bucket, value: str) -> None:
    """response-* parameters and metadata come back as headers."""
    gateway = bucket.gateway
    port = gateway.port
    with Wire(port) as wire:
        wire.send(signed_head(port, "PUT", bucket.target(), {"Content-Length": "0"}).data)
        assert wire.read_answer().status == 200
    query = f"?response-content-disposition={quote(value, safe='')}"
    with Wire(port) as wire:
        wire.send(signed_head(port, "GET", bucket.target() + query).data)
        answer = wire.read_answer()
        assert "x-injected" not in answer.headers
        assert answer.status in (200, 400), answer
