"""A bucket that is attached to an endpoint which follows a script."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from s3proxy.backends.s3 import S3Backend
from s3proxy.ops.call import Settings
from tests.backends.endpoint import Endpoint, answer, endpoint
from tests.backends.stores import s3_backend
from tests.ops.lab import Lab, open_lab

OK = answer("200 OK", b"body", headers=['ETag: "e"', "Content-Type: text/x"])


@asynccontextmanager
async def forwarding(
    directory: Path,
    *script: bytes,
    early: bool = False,
    verifies: bool = False,
    settings: Settings | None = None,
) -> AsyncIterator[tuple[Lab, Endpoint]]:
    """A lab with the bucket `near` attached to `target` at an endpoint that follows the script."""
    async with (
        endpoint(*script, early=early) as there,
        s3_backend(there.url, verifies_payload=verifies) as backend,  # type: ignore[arg-type]
        open_lab(directory, more=[backend], settings=settings) as lab,
    ):
        assert isinstance(backend, S3Backend)
        await lab.attach("near", "moto", "target")
        yield lab, there
