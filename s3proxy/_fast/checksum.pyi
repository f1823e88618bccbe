"""The digests of S3, one or several over the same bytes, computed with the GIL released.

Source: AWS, "Checking object integrity".
"""

from collections.abc import Iterable
from typing import final

from typing_extensions import Buffer

ALGORITHMS: tuple[str, ...]
"""Every algorithm: "md5", "sha1", "sha256", "crc32", "crc32c", "crc64nvme"."""

@final
class Hasher:
    """Several digests in one walk over the bytes.

    Not to be shared between threads while it is fed: pieces of 4 KiB and more release the GIL.

    Args:
        algorithms: names out of ALGORITHMS; none is fine.
    Raises:
        ValueError: a name is unknown.
    """

    def __init__(self, algorithms: Iterable[str]) -> None: ...
    def update(self, buffer: Buffer, /) -> None:
        """Take a contiguous buffer of any length; it is not kept."""
    def digest(self, algorithm: str) -> bytes:
        """The digest of the bytes so far, CRCs big-endian; more bytes may follow.

        Raises:
            ValueError: the algorithm is unknown or was not asked for.
        """
    def copy(self) -> Hasher:
        """An independent hasher with the same state."""

def digest(algorithm: str, buffer: Buffer, /) -> bytes:
    """The digest of one contiguous buffer; CRCs are big-endian.

    Raises:
        ValueError: the algorithm is unknown.
    """

def crc_combine(algorithm: str, first: bytes, second: bytes, second_length: int) -> bytes:
    """The CRC of two messages end to end.

    Args:
        algorithm: "crc32", "crc32c" or "crc64nvme".
        first: big-endian CRC of the first message.
        second: big-endian CRC of the second message.
        second_length: bytes of the second message.
    Raises:
        ValueError: not a CRC, a digest of the wrong size, or a negative length.
        OverflowError: the length does not fit in 64 bits.
    Cost: O(log second_length); below 10 microseconds.
    """

def crc_with_level(algorithm: str, buffer: Buffer, level: int, /) -> bytes:
    """A CRC by at most that technique: 0 tables, 1 PCLMULQDQ, 2 VPCLMULQDQ on 512 bits.

    For tests and measurements; `digest` takes the best that the processor has.
    """
