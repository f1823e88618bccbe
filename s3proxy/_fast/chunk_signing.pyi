"""Framing of signed aws-chunked bodies.

Source: AWS, "Signature Calculations ...: Transferring Payload in Multiple Chunks", "... Including
Trailing Headers".
"""

from typing import final

from typing_extensions import Buffer

from s3proxy._fast.signing_key import SigningKey

@final
class ChunkSigner:
    """Frames one body in the signed form.

    Args:
        signing_key: the key that signed the request.
        seed_signature: the request's own signature, the last 64 digits of what `sigv4.sign` made.
        amz_date: YYYYMMDDTHHMMSSZ of the request.
        scope: YYYYMMDD/region/s3/aws4_request.
    Raises:
        ValueError: the seed has no 64 digits.
    """

    def __init__(
        self, signing_key: SigningKey, *, seed_signature: str, amz_date: str, scope: str
    ) -> None: ...
    def chunk_head(self, payload: Buffer, /) -> bytes:
        """The line before a chunk; `payload` and CRLF follow it.

        Raises:
            ValueError: the payload is empty.
        Cost: SHA-256 of the payload, without the GIL from 4 KiB on.
        """
    def end(self, trailer_name: str = "", value: str = "", /) -> bytes:
        """The last chunk, with a signed trailer where one is named; the body is complete after it.

        Raises:
            ValueError: a line end in the name or value.
        """
