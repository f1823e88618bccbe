"""Request headers as the rest of this package reads them.

A presigned URL may carry `x-amz-*` headers as query parameters (SDKs "hoist" them); S3 reads them
as if they were headers. `effective_headers` gives one view of both, so that no promise made in such
a parameter is silently dropped.
"""

import re
from typing import Final, Protocol

from s3proxy.s3.errors import invalid_argument

# RFC 9110 §5.6.2.
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Parameters of the signature itself, and those that only describe the client.
_SIGNATURE_PARAMETERS: Final = frozenset(
    {
        "X-Amz-Algorithm",
        "X-Amz-Content-Sha256",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-Security-Token",
        "X-Amz-Signature",
        "X-Amz-SignedHeaders",
        "X-Amz-User-Agent",
    }
)

# Checksums that SDKs compute over the empty body they have while they presign: the JavaScript SDK
# does so for every PUT since 3.729.0. S3 ignores them, as its guide to presigned URLs says.
_PREMATURE_CHECKSUMS: Final = frozenset(
    {
        "x-amz-sdk-checksum-algorithm",
        *(
            f"x-amz-checksum-{algorithm}"
            for algorithm in (
                *("crc32", "crc32c", "crc64nvme", "sha1", "sha256", "sha512", "md5"),
                *("xxhash64", "xxhash3", "xxhash128"),
            )
        ),
    }
)


class Headers(Protocol):
    """Lookup of headers by lower-case name; RequestHead is one."""

    def get(self, name: bytes, /) -> str | None:
        """Value of a header, trimmed, latin-1; None when absent."""

    def prefixed(self, prefix: bytes, /) -> list[tuple[str, str]]:
        """Headers whose lower-case names start with the prefix."""


class HoistedHeaders:
    """Headers of a request together with those its presigned query carries; a real header wins."""

    def __init__(self, headers: Headers, hoisted: dict[str, str]) -> None:
        self._headers = headers
        self._hoisted = hoisted

    def get(self, name: bytes, /) -> str | None:
        """Value of a header, or of the parameter of its name."""
        value = self._headers.get(name)
        return self._hoisted.get(name.decode("latin-1")) if value is None else value

    def prefixed(self, prefix: bytes, /) -> list[tuple[str, str]]:
        """Headers and parameters whose lower-case names start with the prefix."""
        sent = self._headers.prefixed(prefix)
        names = {name for name, _ in sent}
        start = prefix.decode("latin-1")
        return sent + [
            (name, value)
            for name, value in self._hoisted.items()
            if name.startswith(start) and name not in names
        ]


def effective_headers(headers: Headers, query: dict[str, str]) -> Headers:
    """The headers, with the `x-amz-*` parameters of the query where there are any.

    Raises:
        S3Error: InvalidArgument, a parameter that could be no header.
    """
    hoisted = {}
    for name, value in query.items():
        if name in _SIGNATURE_PARAMETERS or name[:6].lower() != "x-amz-":
            continue
        if (lower := name.lower()) not in _PREMATURE_CHECKSUMS:
            hoisted[lower] = header_value(name, value)
    return HoistedHeaders(headers, hoisted) if hoisted else headers


def header_value(name: str, value: str) -> str:
    """What stands for a header, of a query or a form, as the value that a header would have.

    That is latin-1 text of its UTF-8 bytes.

    Raises:
        S3Error: InvalidArgument for a name or a value that no header can have: such a one would be
            kept with an object, and then nobody could be answered with it.
    """
    if not _TOKEN.fullmatch(name):
        raise invalid_argument("The name cannot be that of a header.", name, "")
    if any(character < " " or character == "\x7f" for character in value):
        raise invalid_argument("The value cannot be that of a header.", name, "")
    return value.encode().decode("latin-1").strip(" \t")
