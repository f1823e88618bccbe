"""What a write to an attached bucket wants the side table to keep of its object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3proxy.catalog.records import ObjectRecord, PartSize
from s3proxy.ops.namespace import ObjectWrite

if TYPE_CHECKING:
    from s3proxy.s3.payload import Digests


class Placed:
    """What a write wants to be known of its object, filled in as it becomes known."""

    __slots__ = ("checksum_type", "checksums", "etag", "parts", "write")

    def __init__(self, write: ObjectWrite) -> None:
        self.write = write
        self.etag = ""
        self.checksums: dict[str, str] = {}
        self.checksum_type = ""
        self.parts: tuple[PartSize, ...] = ()

    def take_from(self, record: ObjectRecord) -> None:
        """Take what is known of the same bytes already, all but their parts."""
        self.etag = record.etag
        self.checksums = record.checksums
        self.checksum_type = record.checksum_type

    def take(self, digests: Digests) -> None:
        """Take what reading the payload gave."""
        self.etag = digests.md5.hex()
        self.checksums = digests.checksums
        self.checksum_type = "FULL_OBJECT" if digests.checksums else ""
