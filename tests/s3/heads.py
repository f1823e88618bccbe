"""Request heads for the tests of the protocol, made by the real parser."""

from typing import NoReturn

import pytest

from s3proxy._fast.http1 import RequestHead, parse_request
from s3proxy.s3.errors import S3Error


def make_head(
    method: str = "GET", target: str = "/bucket/key", host: str = "localhost:9000", **headers: str
) -> RequestHead:
    """A head; underscores of header names stand for dashes."""
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return head_of(method, target, [("Host", host), *pairs])


def head_of(method: str, target: str, headers: list[tuple[str, str]]) -> RequestHead:
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    raw = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    head = parse_request(raw, len(raw))
    assert head is not None
    return head


class raises_s3:  # noqa: N801 - reads like pytest.raises
    """Expects an S3Error of one code; the error is in `value`."""

    value: S3Error

    def __init__(self, code: str) -> None:
        self._code = code

    def __enter__(self) -> "raises_s3":
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if error is None:
            self._fail("nothing raised")
        if not isinstance(error, S3Error):
            return False
        if error.code != self._code:
            self._fail(f"{error.code}: {error.message} {error.fields}")
        self.value = error
        return True

    def _fail(self, found: str) -> NoReturn:
        pytest.fail(f"expected {self._code}, found {found}")
