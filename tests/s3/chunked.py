"""aws-chunked bodies, framed and signed in plain Python after AWS's description."""

import hashlib

from s3proxy.s3.auth import Verified

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


def frame(
    chunks: list[bytes], verified: Verified | None = None, trailer: tuple[str, str] | None = None
) -> bytes:
    """A whole body: signed when `verified` is given, with a trailer when one is."""
    pieces = []
    previous = verified.authorization.signature if verified is not None else ""
    for chunk in [*chunks, b""]:
        extension = ""
        if verified is not None:
            previous = _chunk_signature(verified, previous, chunk)
            extension = f";chunk-signature={previous}"
        pieces.append(f"{len(chunk):x}{extension}\r\n".encode() + chunk + b"\r\n" * bool(chunk))
    if trailer is not None:
        pieces.append(f"{trailer[0]}:{trailer[1]}\r\n".encode())
        if verified is not None:
            signature = _trailer_signature(verified, previous, trailer)
            pieces.append(f"x-amz-trailer-signature:{signature}\r\n".encode())
    return b"".join(pieces) + b"\r\n"


def _chunk_signature(verified: Verified, previous: str, chunk: bytes) -> str:
    digests = f"{EMPTY_SHA256}\n{hashlib.sha256(chunk).hexdigest()}"
    return _sign(verified, "AWS4-HMAC-SHA256-PAYLOAD", previous, digests)


def _trailer_signature(verified: Verified, previous: str, trailer: tuple[str, str]) -> str:
    digest = hashlib.sha256(f"{trailer[0]}:{trailer[1]}\n".encode()).hexdigest()
    return _sign(verified, "AWS4-HMAC-SHA256-TRAILER", previous, digest)


def _sign(verified: Verified, algorithm: str, previous: str, digests: str) -> str:
    authorization = verified.authorization
    text = f"{algorithm}\n{authorization.amz_date}\n{authorization.scope}\n{previous}\n{digests}"
    return verified.key.sign(text.encode())
