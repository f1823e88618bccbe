"""What request and response heads share: header lookup, framing, selection."""

from collections.abc import Iterable
from typing import Self, final

from typing_extensions import disjoint_base

@final
class HeaderNames:
    """A compiled set of header names and name prefixes, for `MessageHead.select`.

    Args:
        names: exact names; case does not matter.
        prefixes: beginnings of names, such as "x-amz-meta-".
    Raises:
        ValueError: one of them is empty or not a token.
    """

    def __new__(cls, names: Iterable[str], prefixes: Iterable[str] = ()) -> Self: ...

@disjoint_base
class MessageHead:
    """A parsed head: owns one copy of its bytes; nothing is decoded before it is asked for."""

    @property
    def http_minor(self) -> int:
        """0 or 1."""
    @property
    def content_length(self) -> int:
        """Bytes of the body as declared; -1: not declared."""
    @property
    def chunked(self) -> bool:
        """Whether the body comes in the chunked transfer coding."""
    @property
    def keep_alive(self) -> bool:
        """Whether the sender lets the connection carry another exchange."""
    @property
    def head_bytes(self) -> int:
        """Bytes of input the head took, with the empty line that ends it."""
    def get(self, name: bytes, /) -> str | None:
        """The value of a (lower-case) header, trimmed, Latin-1; repeated ones joined with ","."""
    def prefixed(self, prefix: bytes, /) -> list[tuple[str, str]]:
        """Headers whose (lower-case) name starts so, in order, repeated ones joined with ","."""
    def items(self) -> list[tuple[str, str]]:
        """Every header line in order: lower-case name, value."""
    def has_any(self, names: HeaderNames, /) -> bool:
        """Whether one of the named headers is there."""
    def select(self, names: HeaderNames, /) -> bytes:
        """`Name: value` lines of the named headers, in order, each ended by CRLF, names as sent."""
