"""Throughput of the digests beside hashlib, zlib and awscrt: `python -m bench.micro_checksum`."""

from __future__ import annotations

import hashlib
import os
import time
import zlib
from collections.abc import Callable

from awscrt import checksums as awscrt

from s3proxy._fast.aws_chunked import ChunkSigner, Decoder
from s3proxy._fast.checksum import ALGORITHMS, Hasher, digest
from s3proxy._fast.sigv4 import derive_signing_key

SIZES_BYTES = (1024, 65536, 16 << 20)
ROUND_BYTES = 64 << 20
ROUNDS = 5
CHUNK_BYTES = 65536
AMZ_DATE, SCOPE = "20130524T000000Z", "20130524/us-east-1/s3/aws4_request"

ORACLES: dict[str, tuple[str, Callable[[bytes], object]]] = {
    "md5": ("hashlib", hashlib.md5),
    "sha1": ("hashlib", hashlib.sha1),
    "sha256": ("hashlib", hashlib.sha256),
    "crc32": ("zlib", zlib.crc32),
    "crc32c": ("awscrt", awscrt.crc32c),
    "crc64nvme": ("awscrt", awscrt.crc64nvme),
}


def _gib_s(call: Callable[[], object], size: int) -> float:
    """Throughput by CPU time, the best of some rounds."""
    calls = max(1, ROUND_BYTES // size)
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(calls):
            call()
        best = min(best, time.process_time() - start)
    return size * calls / best / (1 << 30)


def _several(data: bytes) -> None:
    hasher = Hasher(("md5", "sha256", "crc64nvme"))
    hasher.update(data)


def _row(name: str, size: int, ours: float, other: str, theirs: float) -> None:
    print(f"{name:22}{size:10}{ours:9.2f} GiB/s {other:>10}{theirs:9.2f} GiB/s{ours / theirs:7.2f}")


def _digests() -> None:
    for size in SIZES_BYTES:
        data = os.urandom(size)
        for name in ALGORITHMS:
            other, oracle = ORACLES[name]
            ours = _gib_s(lambda name=name, data=data: digest(name, data), size)
            _row(name, size, ours, other, _gib_s(lambda o=oracle, data=data: o(data), size))
        if size == SIZES_BYTES[-1]:
            ours = _gib_s(lambda data=data: _several(data), size)
            md5 = _gib_s(lambda data=data: hashlib.md5(data), size)
            _row("md5+sha256+crc64nvme", size, ours, "md5 alone", md5)


def _decoder() -> None:
    """aws-chunked, signed, against SHA-256 of the same bytes."""
    key = derive_signing_key("secret", "20130524", "us-east-1")
    seed = "0" * 64
    signer = ChunkSigner(signing_key=key, seed_signature=seed, amz_date=AMZ_DATE, scope=SCOPE)
    payload = os.urandom(CHUNK_BYTES)
    count = SIZES_BYTES[-1] // CHUNK_BYTES
    body = b"".join(signer.chunk_head(payload) + payload + b"\r\n" for _ in range(count))
    body += signer.end()

    view = memoryview(body)

    def decode() -> None:
        decoder = Decoder(
            decoded_length=SIZES_BYTES[-1], signing_key=key, seed_signature=seed,
            amz_date=AMZ_DATE, scope=SCOPE, trailer=False, signed=True,
        )  # fmt: skip
        buffer = bytearray(262144)
        for start in range(0, len(body), len(buffer)):
            piece = view[start : start + len(buffer)]
            buffer[: len(piece)] = piece
            decoder.feed(buffer, len(piece))
        decoder.finish()

    data = payload * count
    ours = _gib_s(decode, len(data))
    sha256 = _gib_s(lambda: hashlib.sha256(data), len(data))
    _row("aws-chunked signed", len(data), ours, "sha256", sha256)


def main() -> None:
    """Print one line a digest and size: ours, another implementation, the ratio."""
    _digests()
    _decoder()


if __name__ == "__main__":
    main()
