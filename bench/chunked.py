"""aws-chunked bodies with chunk signatures, made once and replayed."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from bench.signing import REGION, SECRET_KEY, Request, sign

CHUNK_BYTES = 64 * 1024
EMPTY_HASH = hashlib.sha256(b"").hexdigest()


def chunked_body(port: int, path: str, source: Path, target: Path) -> Request:
    """A signed PUT of `source`, framed with chunk signatures into the file `target`."""
    data = source.read_bytes()
    size = _framed_size(len(data))
    headers = {
        "X-Amz-Decoded-Content-Length": str(len(data)),
        "Content-Encoding": "aws-chunked",
        "Content-Length": str(size),
    }
    streaming = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    request = sign(port, Request("PUT", path, headers), payload_hash=streaming)
    seed = request.headers["Authorization"].rpartition("Signature=")[2]
    _frame(data, target, seed, request.headers["X-Amz-Date"])
    assert target.stat().st_size == size
    return Request("PUT", path, request.headers, target)


def _frame(data: bytes, target: Path, previous: str, amz_date: str) -> None:
    scope = f"{amz_date[:8]}/{REGION}/s3/aws4_request"
    key = _signing_key(amz_date[:8])
    with target.open("wb") as out:
        for start in [*range(0, len(data), CHUNK_BYTES), len(data)]:
            chunk = data[start : start + CHUNK_BYTES]
            parts = (amz_date, scope, previous, EMPTY_HASH, hashlib.sha256(chunk).hexdigest())
            text = "AWS4-HMAC-SHA256-PAYLOAD\n" + "\n".join(parts)
            previous = hmac.new(key, text.encode(), "sha256").hexdigest()
            out.write(f"{len(chunk):x};chunk-signature={previous}\r\n".encode() + chunk + b"\r\n")


def _signing_key(date: str) -> bytes:
    key = b"AWS4" + SECRET_KEY.encode()
    for part in (date, REGION, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    return key


def _framed_size(length: int) -> int:
    sizes = [CHUNK_BYTES] * (length // CHUNK_BYTES) + [length % CHUNK_BYTES or None, 0]
    overhead = len(";chunk-signature=") + 64 + 4
    return sum(len(f"{size:x}") + overhead + size for size in sizes if size is not None)
