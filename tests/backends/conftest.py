"""The stores that the conformance suite runs against."""

import resource
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.backends.stores import Place, local_blobs, local_files, s3_bucket, s3_prefix
from tests.gateways import ACCESS_KEY, SECRET_KEY, Gateway
from tests.servers import moto_server


@pytest.fixture(scope="session")
def moto() -> Iterator[tuple[str, dict[str, str]]]:
    """URL and credentials of moto."""
    with moto_server() as url:
        yield url, {}


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """The same of a second s3proxy."""
    with Gateway(tmp_path_factory.mktemp("second")) as second:
        yield second.url, {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY}


@asynccontextmanager
async def open_place(name: str, request: pytest.FixtureRequest, root: Path) -> AsyncIterator[Place]:
    async with AsyncExitStack() as stack:
        if name == "local-blobs":
            yield await stack.enter_async_context(local_blobs(root))
        elif name == "local-files":
            yield await stack.enter_async_context(local_files(root))
        elif name == "moto-prefix":
            url, _ = request.getfixturevalue("moto")
            yield await stack.enter_async_context(s3_prefix(name, url, atomic=False))
        else:
            url, options = request.getfixturevalue(name)
            # moto decides conditional writes without a lock.
            place = s3_bucket(name, url, atomic=name != "moto", **options)
            yield await stack.enter_async_context(place)


@pytest.fixture(params=["local-blobs", "local-files", "moto", "moto-prefix", "gateway"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """Every store."""
    async with open_place(request.param, request, tmp_path) as place:
        yield place


@pytest.fixture(params=["local-files", "moto", "gateway"])
async def files(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """The stores whose keys are the clients'."""
    async with open_place(request.param, request, tmp_path) as place:
        yield place


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A directory on a file system of 4 MiB; without the right to mount, a limit on file sizes."""
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(mount)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))
        yield mount
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        return
    yield mount
    subprocess.run(["umount", str(mount)], check=True)
