"""The gateway's HTTP client, for tests that need nothing else of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from s3proxy.http.client import Client
from s3proxy.http.readiness import Readiness


@asynccontextmanager
async def open_client() -> AsyncIterator[Client]:
    readiness = Readiness()
    async with trio.open_nursery() as nursery:
        await nursery.start(readiness.run)
        client = Client(readiness)
        yield client
        await client.aclose()
        nursery.cancel_scope.cancel()
    readiness.close()
