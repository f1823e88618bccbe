"""A gateway over a local disk and over a second gateway, for tests without needs of their own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.faults.traces import leftovers, logged_bugs
from tests.gateways import Gateway, attached, local_backend, s3_backend

# Where the bytes end up and how the bucket got there; "trusted" says that the second gateway
# verifies payloads, so that signed bodies pass to it unseen.
PLACES = (
    "managed-disk",
    "managed-inner",
    "managed-trusted",
    "attached-disk",
    "attached-inner",
    "attached-trusted",
)


@dataclass(frozen=True)
class Bucket:
    """A bucket of the gateway; tests keep to keys below `prefix`."""

    gateway: Gateway
    name: str
    prefix: str
    place: str

    def target(self, key: str = "key") -> str:
        """Request target of an object; `key` is percent-encoded already."""
        return f"/{self.name}/{self.prefix}{key}"


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The outer gateway; it and the one behind it run as long as the session."""
    base = tmp_path_factory.mktemp("faults")
    with ExitStack() as stack:
        inner = stack.enter_context(Gateway(base / "inner"))
        for name in ("target-inner", "target-trusted"):
            inner.client().create_bucket(Bucket=name)
        (base / "blobs" / "target-disk").mkdir(parents=True)
        extra = (
            local_backend("disk", base / "blobs")
            + s3_backend("inner", inner.url)
            + s3_backend("trusted", inner.url)
            + "verifies_payload = true\n"
            + "".join(
                attached(f"attached-{backend}", backend, f"target-{backend}")
                for backend in ("disk", "inner", "trusted")
            )
        )
        outer = stack.enter_context(Gateway(base / "outer", extra))
        yield outer
        assert leftovers(base / "blobs") == []
        assert logged_bugs(outer) == logged_bugs(inner) == []


@pytest.fixture(params=PLACES)
def bucket(request: pytest.FixtureRequest, deployment: Gateway) -> Bucket:
    """A bucket in each place, with a prefix that nobody else uses."""
    return bucket_in(deployment, request.param)


def bucket_in(deployment: Gateway, place: str) -> Bucket:
    """A new prefix of the bucket in `place`, which is made where it is a managed one."""
    if place.startswith("managed"):
        s3 = deployment.client()
        if place not in {found["Name"] for found in s3.list_buckets()["Buckets"]}:
            s3.create_bucket(
                Bucket=place,
                CreateBucketConfiguration={"LocationConstraint": place.removeprefix("managed-")},
            )
    return Bucket(deployment, place, f"{uuid.uuid4().hex[:12]}/", place)
