"""What each kind of backend is opened with: plain values, checked when the backend opens."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class LocalOptions(Struct, frozen=True, kw_only=True):
    """A directory on this machine.

    Attributes:
        name: what buckets and blobs refer to.
        root: directory; made when absent. Blobs are fanned out below it, attached buckets are
            directories below it.
        durability: "fsync" makes a write survive power loss before it is acknowledged; "none"
            leaves that to the kernel.
    """

    name: str
    root: str
    durability: Literal["fsync", "none"] = "fsync"


class S3Options(Struct, frozen=True, kw_only=True):
    """Another S3 endpoint, whose requests are signed anew.

    Attributes:
        name: what buckets and blobs refer to.
        endpoint: "http://host:port" or "https://host"; no path, query or credentials.
        region: goes into the signature and the LocationConstraint.
        access_key, secret_key: credentials at the endpoint.
        addressing: "path" puts the bucket in the path, "virtual" in the host name.
        verifies_payload: the endpoint checks x-amz-content-sha256 itself, so that a body whose
            hash is signed may be passed on unseen.
        attaching: CreateBucket makes a bucket of the endpoint's own, under the client's name,
            instead of a managed one.
        physical_bucket: the bucket there that holds all managed ones, each below a prefix of its
            own; "" where each has a bucket of its own.
        relaying: the endpoint is another gateway, which is told that this one relays.
    """

    name: str
    endpoint: str
    region: str = "us-east-1"
    access_key: str = ""
    secret_key: str = ""
    addressing: Literal["path", "virtual"] = "path"
    verifies_payload: bool = False
    attaching: bool = False
    physical_bucket: str = ""
    relaying: bool = False


BackendOptions = LocalOptions | S3Options
