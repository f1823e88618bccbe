"""What tenants, buckets and access keys are allowed: quotas, and rates of requests."""

from __future__ import annotations

from typing import Final

import msgspec

# What a refusal names as the limit that it is about.
LIMITS: Final = (
    *("bucket-bytes", "bucket-objects", "tenant-bytes", "tenant-objects"),
    *("requests-per-s", "bytes-per-s"),
)


class Quota(msgspec.Struct, frozen=True, array_like=True):
    """How much may be held; kept in records, so fields only come last.

    Attributes:
        bytes: of all versions, and of the parts of uploads under way; None: any number.
        objects: versions that are no delete markers; None: any number.
    """

    bytes: int | None = None
    objects: int | None = None


class RateLimits(msgspec.Struct, frozen=True, array_like=True):
    """How fast an access key may be used; kept in records, so fields only come last.

    Attributes:
        requests_per_s: in the long run; 0: any number.
        requests_burst: at once, after a rest; 0: those of a second.
        bytes_per_s, bytes_burst: the same of bytes of bodies, in both directions.
    """

    requests_per_s: float = 0
    requests_burst: float = 0
    bytes_per_s: float = 0
    bytes_burst: float = 0

    @property
    def idle_burst(self) -> str:
        """The name of a burst that means nothing, since its rate is not limited; "" for none."""
        if self.requests_burst and not self.requests_per_s:
            return "requests_burst"
        return "bytes_burst" if self.bytes_burst and not self.bytes_per_s else ""

    def __bool__(self) -> bool:
        return self.requests_per_s > 0 or self.bytes_per_s > 0
