"""The aws-chunked content coding: decoding in place with every signature checked, and framing.

Source: AWS, "Signature Calculations ...: Transferring Payload in Multiple Chunks (Chunked Upload)",
"... Including Trailing Headers (Chunked Upload)".
"""

from typing import final

from s3proxy._fast.checksum import Hasher
from s3proxy._fast.chunk_signing import ChunkSigner as ChunkSigner
from s3proxy._fast.signing_key import SigningKey

__all__ = ("ChunkSigner", "Decoder", "chunk_head", "encoded_length", "end")

@final
class Decoder:
    """Decodes one body; any split of it gives the same bytes.

    Args:
        decoded_length: x-amz-decoded-content-length, in bytes.
        signing_key: the key that verified the request; None for unsigned forms.
        seed_signature: the request's own signature; "" for unsigned forms.
        amz_date: YYYYMMDDTHHMMSSZ of the request.
        scope: YYYYMMDD/region/s3/aws4_request.
        trailer: whether the form ends with a trailer (its names may still be none when unsigned).
        signed: whether each chunk, and the trailer, carries a signature.
        hasher: also takes all payload, before the signature of its chunk has come by.
    Raises:
        ValueError: a negative length, or a signed form without key or seed.
    """

    def __init__(
        self,
        decoded_length: int,
        *,
        signing_key: SigningKey | None,
        seed_signature: str,
        amz_date: str,
        scope: str,
        trailer: bool,
        signed: bool,
        hasher: Hasher | None = None,
    ) -> None: ...
    @property
    def finished(self) -> bool:
        """Whether the end of the body has been read."""
    @property
    def trailers(self) -> dict[str, str]:
        """Lower-case names to trimmed values; verified, in signed forms, once `finished`."""
    def feed(self, buffer: bytearray | memoryview, length: int, /) -> int:
        """Decode the first `length` bytes of a writable buffer in place.

        Payload is returned before the signature of its chunk has come by: hold back what must not
        be acted on until `finish`.

        Args:
            buffer: contiguous; not kept. What follows the returned payload is undefined.
            length: bytes of the body in it.
        Returns:
            Bytes of payload, now at the start of the buffer; at most `decoded_length` in all.
        Raises:
            ChunkError: IncompleteBody (framing, or another length than declared),
                SignatureDoesNotMatch, InvalidChunkSizeError, MalformedTrailerError. The decoder is
                dead afterwards and raises the same again.
            ValueError: the length is outside of the buffer.
        Cost: one walk over the payload for SHA-256, the hasher and one memmove, without the GIL
            from 4 KiB of `length` on.
        """
    def finish(self) -> None:
        """Settle the end of the body; all of it has been fed.

        Raises:
            ChunkError: IncompleteBody unless all of it came; or what `feed` raised before.
        """

def chunk_head(size: int, /) -> bytes:
    """The line before a chunk of the unsigned form; the payload and CRLF follow.

    Raises:
        ValueError: the size is below 1.
    """

def end(trailer_name: str = "", value: str = "", /) -> bytes:
    """The last chunk of the unsigned form, with its trailer.

    Raises:
        ValueError: a line end in the name or value.
    """

def encoded_length(
    size: int,
    chunk_bytes: int,
    trailer_name: str = "",
    value_bytes: int = 0,
    /,
    *,
    signed: bool = False,
) -> int:
    """Content-Length of a body of `chunk_head` or `ChunkSigner`.

    Args:
        size: bytes of payload.
        chunk_bytes: bytes of each chunk but the last.
        trailer_name: as given to `end`.
        value_bytes: length of the trailer's value.
        signed: whether chunks and trailer carry signatures.
    Raises:
        ValueError: a negative size, or no bytes to a chunk.
    """
