"""The stores that the conformance suite runs against."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.backends.stores import Place, local_blobs, local_files, s3_bucket
from tests.servers import moto_server


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture(params=["local-blobs", "local-files", "moto"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    async with AsyncExitStack() as stack:
        if request.param == "local-blobs":
            yield await stack.enter_async_context(local_blobs(tmp_path))
        elif request.param == "local-files":
            yield await stack.enter_async_context(local_files(tmp_path))
        else:
            url = request.getfixturevalue("moto_url")
            yield await stack.enter_async_context(s3_bucket(url, atomic=False))
