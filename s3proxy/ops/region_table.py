"""The regions that other gateways serve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from s3proxy.backends.s3 import S3Backend
from s3proxy.catalog.elsewhere import PREFIX
from s3proxy.s3.errors import S3Error


class Region(msgspec.Struct, frozen=True):
    """Another gateway, which serves the buckets of a region.

    Attributes:
        endpoint: "http://host:port" or "https://host".
        addressing: where the bucket's name stands in the addresses that clients are sent to.
        backend: what requests are relayed by; None: clients are sent there.
    """

    name: str
    endpoint: str
    addressing: Literal["path", "virtual"] = "path"
    backend: S3Backend | None = None

    def address(self, bucket: str) -> tuple[str, str]:
        """Host and URL of a bucket there."""
        parts = urlsplit(self.endpoint)
        if self.addressing == "virtual":
            host = f"{bucket}.{parts.netloc}"
            return host, f"{parts.scheme}://{host}"
        return parts.netloc, f"{self.endpoint}/{bucket}"


def region_at(regions: Mapping[str, Region], location: str) -> Region | None:
    """The region that a LocationConstraint means: the first that it names; None: one of this."""
    return regions.get(location.partition(",")[0].strip()) if location else None


def relaying_backend(regions: Mapping[str, Region], name: str) -> S3Backend:
    """The backend of a record of a bucket elsewhere.

    Raises:
        S3Error: ServiceUnavailable for a region that is no longer configured; InvalidRequest for
            one whose clients have to ask there themselves.
    """
    region = regions.get(name.removeprefix(PREFIX))
    if region is None:
        message = "The region that serves this bucket is not configured."
        raise S3Error("ServiceUnavailable", message, Region=name.removeprefix(PREFIX))
    if region.backend is None:
        message = f"The bucket is served by the gateway of the region {region.name}; ask there."
        raise S3Error("InvalidRequest", message, Endpoint=region.endpoint, Region=region.name)
    return region.backend
