"""Nanoseconds per call of the compiled HTTP/1.1 heads: `python bench/micro_http1.py`."""

import timeit
from collections.abc import Callable

from s3proxy._fast.http1 import (
    HeaderNames,
    build_request_head,
    build_response_head,
    parse_request,
    parse_response,
)

REQUEST = (
    b"GET /backups/2026/11/photos/IMG_20261121_004512.jpg?versionId=null HTTP/1.1\r\n"
    b"Host: s3.example.com:9000\r\n"
    b"Accept-Encoding: identity\r\n"
    b"x-amz-checksum-mode: ENABLED\r\n"
    b"User-Agent: Boto3/1.43.11 md/Botocore#1.43.11 ua/2.1 os/linux#6.1.0 md/arch#x86_64 "
    b"lang/python#3.11.7 md/pyimpl#CPython m/b,Z,D,e cfg/retry-mode#legacy\r\n"
    b"X-Amz-Date: 20261121T004512Z\r\n"
    b"X-Amz-Content-SHA256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\r\n"
    b"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261121/us-east-1/s3/aws4_request, "
    b"SignedHeaders=host;x-amz-checksum-mode;x-amz-content-sha256;x-amz-date, "
    b"Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7\r\n"
    b"amz-sdk-invocation-id: 7f5e6a1e-5bd5-4c8c-9a46-9e1ba2d0f111\r\n"
    b"amz-sdk-request: attempt=1\r\n"
    b"Range: bytes=0-1048575\r\n"
    b"Accept: */*\r\n"
    b"Connection: Keep-Alive\r\n"
    b"\r\n"
)
RESPONSE = (
    b"HTTP/1.1 200 OK\r\n"
    b"Date: Sat, 21 Nov 2026 00:45:12 GMT\r\n"
    b"Last-Modified: Fri, 20 Nov 2026 10:00:00 GMT\r\n"
    b'ETag: "d41d8cd98f00b204e9800998ecf8427e"\r\n'
    b"Accept-Ranges: bytes\r\n"
    b"x-amz-request-id: 4442587FB7D0A2F9\r\n"
    b"x-amz-id-2: vlR7PnpV2Ce81l0PRw6jlUpck7Jo5ZsQjryTjKlc5aLWGVHPZLj5NeC6qMa0emYBDXOo6QBU0Wo=\r\n"
    b"x-amz-meta-mtime: 1700000000.123\r\n"
    b"Content-Type: image/jpeg\r\n"
    b"Content-Length: 1048576\r\n"
    b"Server: upstream\r\n"
    b"\r\n"
)
KEPT = HeaderNames(
    ("content-type", "etag", "last-modified", "accept-ranges", "content-range", "cache-control"),
    ("x-amz-meta-", "x-amz-checksum-"),
)
DATE = b"Sat, 21 Nov 2026 00:45:12 GMT"
CALLS = 100_000


def cases() -> dict[str, Callable[[], object]]:
    """What is measured, by name."""
    request = parse_request(REQUEST, len(REQUEST))
    response = parse_response(RESPONSE, len(RESPONSE), "GET")
    if request is None or response is None:
        raise SystemExit("the samples are incomplete")
    raw = response.select(KEPT)
    pairs = [("ETag", '"d41d8cd98f00b204e9800998ecf8427e"'), ("Content-Type", "image/jpeg")]
    return {
        f"parse_request, {len(REQUEST)} bytes": lambda: parse_request(REQUEST, len(REQUEST)),
        "parse_request, incomplete": lambda: parse_request(REQUEST, len(REQUEST) - 1),
        f"parse_response, {len(RESPONSE)} bytes": lambda: parse_response(
            RESPONSE, len(RESPONSE), "GET"
        ),
        "get, present": lambda: request.get(b"x-amz-date"),
        "get, absent": lambda: request.get(b"x-amz-copy-source"),
        "prefixed": lambda: request.prefixed(b"x-amz-"),
        "select": lambda: response.select(KEPT),
        "build_response_head": lambda: build_response_head(
            200,
            pairs,
            raw,
            length=1048576,
            keep_alive=True,
            date=DATE,
            request_id="4442587FB7D0A2F9",
        ),
        "build_request_head": lambda: build_request_head("GET", b"/backups/key", pairs, raw),
        "the lambda itself": lambda: None,
    }


def main() -> None:
    """Print the best of five rounds for each case."""
    for name, call in cases().items():
        best = min(timeit.repeat(call, number=CALLS, repeat=5)) / CALLS
        print(f"{name:32} {best * 1e9:8.0f} ns")


if __name__ == "__main__":
    main()
