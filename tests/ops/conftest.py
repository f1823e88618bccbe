"""The lab, and an S3 endpoint to stand behind it."""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from s3proxy.ops.call import Settings
from tests.backends.stores import s3_backend
from tests.ops.lab import Lab, location_document, open_lab
from tests.servers import moto_server


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with open_lab(tmp_path) as lab:
        yield lab


@pytest.fixture(scope="session")
def endpoint_url() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
async def s3_lab(tmp_path: Path, endpoint_url: str) -> AsyncIterator[Lab]:
    """A lab with a backend `moto`, the managed bucket `far` there, and one attached, `near`."""
    # Physical names are made from it; the endpoint is the same for all tests.
    seed = secrets.randbits(64)
    settings = Settings(
        inline_bytes_max=1000, part_bytes_min=10, container_seed=seed, sse_c_over_http=True
    )
    async with (
        s3_backend(endpoint_url) as backend,
        open_lab(tmp_path, more=[backend], settings=settings) as lab,
    ):
        target = f"target-{seed:x}"
        await backend.create_container(target)
        await lab.attach("near", "moto", target)
        await lab.put("/far", location_document("moto"))
        yield lab


@pytest.fixture
async def class_lab(tmp_path: Path, endpoint_url: str) -> AsyncIterator[Lab]:
    """A lab whose bucket `www` is on `disk`; STANDARD_IA is on `moto`."""
    settings = Settings(
        inline_bytes_max=1000,
        part_bytes_min=10,
        storage_classes={"STANDARD_IA": "moto"},
        container_seed=secrets.randbits(64),
    )
    async with (
        s3_backend(endpoint_url) as backend,
        open_lab(tmp_path, more=[backend], settings=settings) as lab,
    ):
        yield lab
