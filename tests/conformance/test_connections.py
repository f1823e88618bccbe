"""Framing and addressing: virtual hosts, HTTP/1.0, chunked bodies, answers to unread bodies."""

from __future__ import annotations

import pytest

from tests.conformance.asking import DOMAIN, Asker, error, field, fields, head
from tests.faults.wire import Answer, Wire


def at(s3: Asker, host: str, method: str, target: str, body: bytes = b"") -> Answer:
    """A request to a virtual host."""
    return s3.ask(method, target, {"Host": host}, body)


@pytest.mark.parametrize("suffix", ["", ":80", ".", ":9000"])
def test_virtual_host_names_the_bucket(s3: Asker, suffix: str) -> None:
    host = f"{s3.bucket}.{DOMAIN}{suffix}"
    assert at(s3, host, "PUT", "/a//b", b"x").status == 200
    assert at(s3, host, "PUT", "//c", b"y").status == 200
    assert fields(at(s3, host, "GET", "/?list-type=2"), "Key") == ["/c", "a//b", "digits"]
    assert at(s3, host.upper(), "GET", "/a//b").body == b"x"
    assert at(s3, host, "HEAD", "/").status == 200
    assert s3.get("a//b").body == b"x"


def test_virtual_host_makes_and_removes_buckets(s3: Asker) -> None:
    host = f"dotted.{s3.bucket}.{DOMAIN}"
    assert at(s3, host, "PUT", "/").headers["location"] == f"/dotted.{s3.bucket}"
    assert at(s3, host, "GET", "/?location").status == 200
    assert at(s3, host, "DELETE", "/").status == 204
    assert field(at(s3, host, "GET", "/key"), "BucketName") == f"dotted.{s3.bucket}"


@pytest.mark.parametrize("host", [DOMAIN, "localhost", f"x{DOMAIN}", "10.0.0.1:9000"])
def test_other_hosts_are_path_style(s3: Asker, host: str) -> None:
    assert at(s3, host, "GET", s3.path("digits")).body == b"0123456789"
    assert s3.bucket in fields(at(s3, host, "GET", "/"), "Name")


def test_http_1_0_is_answered_and_closed(s3: Asker) -> None:
    for method in ("GET", "HEAD"):
        sent = s3.signed(method, s3.path("digits"), {})
        answer = s3.send(method, head(method, s3.path("digits"), sent, "1.0"))
        assert (answer.status, answer.headers["content-length"]) == (200, "10")
        assert not answer.keeps_open
        assert "transfer-encoding" not in answer.headers


def test_http_1_0_without_a_host_is_denied_not_crashed(s3: Asker) -> None:
    assert error(s3.send("GET", b"GET / HTTP/1.0\r\n\r\n")) == (403, "AccessDenied")


@pytest.mark.parametrize(
    ("start", "status"),
    [(b"GET / HTTP/1.1\r\n\r\n", 400), (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505)],
)
def test_head_that_is_no_http_is_refused_and_closed(s3: Asker, start: bytes, status: int) -> None:
    answer = s3.send("GET", start)
    assert (answer.status, answer.keeps_open) == (status, False)
    assert field(answer, "Code")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, (200, "")),
        ({"x-amz-decoded-content-length": "4"}, (200, "")),
        ({"x-amz-decoded-content-length": "5"}, (400, "IncompleteBody")),
        ({"x-amz-decoded-content-length": "3"}, (400, "IncompleteBody")),
        ({"x-amz-decoded-content-length": "four"}, (400, "InvalidArgument")),
    ],
)
def test_chunked_body_has_the_length_that_was_announced_if_any(
    s3: Asker, headers: dict[str, str], code: tuple[int, str]
) -> None:
    sent = {**headers, "Transfer-Encoding": "chunked"}
    answer = s3.ask("PUT", s3.path("new"), sent, b"4\r\nbody\r\n0\r\n\r\n")
    assert error(answer) == code
    assert s3.head("new").status == (200 if code[0] == 200 else 404)


def test_put_without_a_length_is_refused(s3: Asker) -> None:
    sent = s3.signed("PUT", s3.path("new"), {})
    answer = s3.send("PUT", head("PUT", s3.path("new"), sent))
    assert error(answer) == (411, "MissingContentLength")


@pytest.mark.parametrize("expect", ["200-ok", "", "100-Continue, other"])
def test_expectation_of_something_else_is_passed_over(s3: Asker, expect: str) -> None:
    assert s3.put("new", b"x", expect=expect).status == 200


def test_expect_continue_waits_for_the_verdict(s3: Asker) -> None:
    headers = {"Expect": "100-continue", "Content-Length": "4"}
    for target, first in ((s3.path("new"), 100), ("/no-such-bucket/new", 404)):
        with Wire(s3.gateway.port) as wire:
            wire.send(head("PUT", target, s3.signed("PUT", target, headers)))
            assert wire.socket.recv(12) == f"HTTP/1.1 {first}".encode()


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("PUT", "/no-such-bucket/key", {}),
        ("GET", "digits", {}),
        ("DELETE", "none", {}),
        ("PUT", "copied", {"x-amz-copy-source": "digits"}),
    ],
)
def test_body_that_nobody_reads_leaves_the_connection_usable(
    s3: Asker, method: str, target: str, headers: dict[str, str]
) -> None:
    path = target if target[0] == "/" else s3.path(target)
    sent = {**headers, "Content-Length": "5"}
    if "x-amz-copy-source" in sent:
        sent["x-amz-copy-source"] = s3.path("digits")
    digits = s3.path("digits")
    with Wire(s3.gateway.port) as wire:
        wire.send(head(method, path, s3.signed(method, path, sent)), b"extra")
        assert wire.read_answer(method).keeps_open
        wire.send(head("GET", digits, s3.signed("GET", digits, {})))
        assert wire.read_answer().body == b"0123456789"


def test_errors_of_head_leave_the_connection_usable(s3: Asker) -> None:
    missing, digits = s3.path("none"), s3.path("digits")
    with Wire(s3.gateway.port) as wire:
        for _ in range(2):
            wire.send(head("HEAD", missing, s3.signed("HEAD", missing, {})))
            assert wire.read_answer("HEAD").status == 404
        wire.send(head("GET", digits, s3.signed("GET", digits, {})))
        assert wire.read_answer().body == b"0123456789"
