"""One deployment for all client tests: a gateway over a disk, over moto, over a second gateway."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.gateways import (
    ACCESS_KEY,
    REGION,
    SECRET_KEY,
    Gateway,
    attached,
    client,
    local_backend,
    s3_backend,
)
from tests.servers import moto_server

# Each is where the bytes of a bucket end up, and how the bucket got there.
PLACES = (
    "managed-disk",
    "managed-moto",
    "managed-inner",
    "attached-disk",
    "attached-moto",
    "attached-inner",
)


@dataclass(frozen=True)
class Bucket:
    """A bucket of the gateway that a client test may use, below `prefix`."""

    gateway: Gateway
    name: str
    prefix: str
    place: str

    def command(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a client; its failure shows what it printed."""
        done = subprocess.run(
            arguments, capture_output=True, text=True, env={**self.environ(), **environ},
            check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, f"{arguments}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done

    def environ(self) -> dict[str, str]:
        """Credentials and endpoint as the AWS tools read them."""
        clean = {
            k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "RESTIC_", "RCLONE_"))
        }
        return {
            **clean,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.gateway.url,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The outer gateway; everything behind it runs as long as the session."""
    base = tmp_path_factory.mktemp("deployment")
    with ExitStack() as stack:
        moto_url = stack.enter_context(moto_server())
        inner = stack.enter_context(Gateway(base / "inner"))
        client(moto_url, "moto", "moto").create_bucket(Bucket="target-moto")
        inner.client().create_bucket(Bucket="target-inner")
        (base / "blobs" / "target-disk").mkdir(parents=True)
        extra = (
            local_backend("disk", base / "blobs")
            + s3_backend("moto", moto_url, "moto", "moto")
            + s3_backend("inner", inner.url)
            + "".join(
                attached(f"attached-{place}", place, f"target-{place}")
                for place in ("disk", "moto", "inner")
            )
        )
        yield stack.enter_context(Gateway(base / "outer", extra))


@pytest.fixture(params=PLACES)
def bucket(request: pytest.FixtureRequest, deployment: Gateway) -> Bucket:
    """A bucket in each place: a new one where managed, a new prefix where attached."""
    place: str = request.param
    unique = uuid.uuid4().hex[:12]
    if place.startswith("attached"):
        return Bucket(deployment, place, f"{unique}/", place)
    name = f"{place}-{unique}"
    backend = place.removeprefix("managed-")
    deployment.client().create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": backend}
    )
    return Bucket(deployment, name, "", place)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with files of the sizes that take different ways through a gateway."""
    root = tmp_path / "tree"
    for name, size in (
        ("empty", 0),
        ("small", 100),
        ("inline edge", 16 << 10),
        ("deep/er/ünïcode name.txt", 70_000),
        ("large", 20 << 20),
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
        # Older than any upload: synchronising compares times in whole seconds.
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return root
