"""The chunked transfer coding, decoded where it lies."""

from typing import final

@final
class ChunkedDecoder:
    """Decoder of one chunked body; extensions and trailers are checked, bounded and dropped.

    Source: RFC 9112, section 7.1.
    """

    def __init__(self) -> None: ...
    @property
    def finished(self) -> bool:
        """Whether the last chunk and its trailer section have been read."""
    def feed(self, buffer: bytearray | memoryview, length: int, /) -> tuple[int, int]:
        """Decode the first `length` bytes of a writable buffer in place.

        Returns:
            Payload bytes, now at the start of `buffer`, and bytes consumed. All are consumed
            unless the body ended; then `buffer[consumed:length]` is what follows, untouched.
        Raises:
            HeadError: 400, bad framing; the decoder is dead afterwards.
            ValueError: `length` is not within `buffer`.
        Cost: O(length); payload is moved at most once.
        """
