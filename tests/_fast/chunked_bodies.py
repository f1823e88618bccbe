"""aws-chunked bodies made by hashlib and hmac, and decoders to feed them to."""

import hashlib
from collections.abc import Iterable, Sequence

from s3proxy._fast.aws_chunked import Decoder
from s3proxy._fast.checksum import Hasher
from tests._fast.sigv4_requests import AMZ_DATE, EMPTY_SHA256, KEY, SCOPE, python_signature

SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
Trailers = Sequence[tuple[str, str]]


def chunk_signature(previous: str, payload: bytes) -> str:
    digest = hashlib.sha256(payload).hexdigest()
    return python_signature(
        f"AWS4-HMAC-SHA256-PAYLOAD\n{AMZ_DATE}\n{SCOPE}\n{previous}\n{EMPTY_SHA256}\n{digest}"
    )


def trailer_signature(previous: str, canonical: str) -> str:
    digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
    return python_signature(f"AWS4-HMAC-SHA256-TRAILER\n{AMZ_DATE}\n{SCOPE}\n{previous}\n{digest}")


def signed_body(
    chunks: Iterable[bytes], trailers: Trailers | None = None, *, seed: str = SEED
) -> bytes:
    """Chunks, the last chunk, and with `trailers` their lines and signature."""
    previous = seed
    body = b""
    for payload in [*chunks, b""]:
        previous = chunk_signature(previous, payload)
        body += b"%x;chunk-signature=%s\r\n" % (len(payload), previous.encode())
        body += payload + b"\r\n" if payload else b""
    if trailers is None:
        return body + b"\r\n"
    canonical = "".join(f"{name}:{value}\n" for name, value in trailers)
    signature = trailer_signature(previous, canonical)
    lines = "".join(f"{name}:{value}\r\n" for name, value in trailers)
    return body + f"{lines}x-amz-trailer-signature:{signature}\r\n\r\n".encode("latin-1")


def unsigned_body(chunks: Iterable[bytes], trailers: Trailers = ()) -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(payload), payload) for payload in chunks)
    lines = "".join(f"{name}:{value}\r\n" for name, value in trailers)
    return body + b"0\r\n" + lines.encode("latin-1") + b"\r\n"


def signed_decoder(
    length: int, *, trailer: bool = False, seed: str = SEED, hasher: Hasher | None = None
) -> Decoder:
    return Decoder(
        decoded_length=length,
        signing_key=KEY,
        seed_signature=seed,
        amz_date=AMZ_DATE,
        scope=SCOPE,
        trailer=trailer,
        signed=True,
        hasher=hasher,
    )


def unsigned_decoder(length: int, *, trailer: bool = True, hasher: Hasher | None = None) -> Decoder:
    return Decoder(
        decoded_length=length,
        signing_key=None,
        seed_signature="",
        amz_date="",
        scope="",
        trailer=trailer,
        signed=False,
        hasher=hasher,
    )


def decode(decoder: Decoder, body: bytes, pieces: Iterable[int] = ()) -> bytes:
    """Feed `body` in pieces of the given sizes, then the rest at once, and settle the end."""
    payload = b""
    position = 0
    for size in [*pieces, len(body)]:
        piece = body[position : position + size]
        position += len(piece)
        # Room after the piece shows that nothing behind its length is read or written.
        buffer = bytearray(piece + b"\xee\xee\xee")
        count = decoder.feed(memoryview(buffer), len(piece))
        assert buffer.endswith(b"\xee\xee\xee")
        payload += buffer[:count]
    decoder.finish()
    return payload
