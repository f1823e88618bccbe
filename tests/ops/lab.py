"""Operations on a real catalog and real stores, asked without a server."""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ElementTree
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import trio

from s3proxy.backends.errors import BackendError
from s3proxy.backends.local import LocalBackend
from s3proxy.backends.options import LocalOptions
from s3proxy.backends.store import Backend
from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.errors import CatalogError
from s3proxy.catalog.records import BucketRecord, ObjectRecord
from s3proxy.http.errors import TransportError
from s3proxy.http.handler import Response
from s3proxy.kv.errors import KvError
from s3proxy.ops.call import Call, Services, Settings
from s3proxy.ops.errors import as_s3_error
from s3proxy.ops.table import OPERATIONS
from s3proxy.s3.auth import Identity, Verified
from s3proxy.s3.routing import route
from tests.catalog.catalogs import Clock, open_catalog
from tests.s3.heads import head_of

ALICE = Identity("AKIDEXAMPLE", "user-1", "alice", "main")
HOST = "s3.example:9000"
PEER = "192.0.2.1:4711"


class FakeBody:
    """A request body that comes in pieces; raises `error` after them."""

    def __init__(self, data: bytes, piece: int = 1 << 20, error: Exception | None = None) -> None:
        self.length: int | None = len(data)
        self.error = error
        self.reads = 0
        self._data = memoryview(data)
        self._piece = piece

    @property
    def consumed(self) -> bool:
        return not self._data

    async def read_into(self, buffer: memoryview) -> int:
        await trio.lowlevel.checkpoint()
        self.reads += 1
        if not self._data and self.error is not None:
            raise self.error
        count = min(len(buffer), self._piece, len(self._data))
        buffer[:count] = self._data[:count]
        self._data = self._data[count:]
        return count


class Answer:
    """A response with its body read."""

    def __init__(self, response: Response, body: bytes) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.headers}
        for line in response.raw.decode("latin-1").splitlines():
            name, _, value = line.partition(": ")
            self.headers[name.lower()] = value
        self.length = response.length
        self.body = body

    @property
    def etag(self) -> str:
        return self.headers["etag"].strip('"')

    def texts(self, name: str) -> list[str]:
        """Texts of all elements of that name."""
        root = ElementTree.fromstring(self.body)
        return [node.text or "" for node in root.iter() if node.tag.rpartition("}")[2] == name]

    def text(self, name: str) -> str:
        (found,) = self.texts(name)
        return found


class Lab:
    """Buckets `www` (managed) and `files` (an attached directory) on the backend `disk`."""

    def __init__(self, catalog: Catalog, services: Services, clock: Clock, root: Path) -> None:
        self.catalog = catalog
        self.services = services
        self.clock = clock
        self.root = root
        self.files = root / "files"

    async def ask(
        self,
        method: str,
        target: str,
        data: bytes = b"",
        *,
        sender: Identity = ALICE,
        body: FakeBody | None = None,
        payload_hash: str = "UNSIGNED-PAYLOAD",
        **headers: str,
    ) -> Answer:
        """Perform one request; underscores of header names stand for dashes."""
        body = body or FakeBody(data)
        pairs = [("Host", HOST), ("Content-Length", str(body.length))]
        pairs += [(name.replace("_", "-"), value) for name, value in headers.items()]
        head = head_of(method, target, pairs)
        request: Any = SimpleNamespace(
            head=head, body=body, secure=False, tls_version="", peer=PEER, id="0" * 16
        )
        authorization: Any = SimpleNamespace(
            payload_hash=payload_hash,
            signature="",
            amz_date="20260102T030405Z",
            scope="20260102/us-east-1/s3/aws4_request",
        )
        key: Any = None
        call = Call(request, route(head), self.services, Verified(sender, authorization, key))
        try:
            response = await OPERATIONS[call.route.operation].function(call)
        except (BackendError, TransportError, KvError, CatalogError) as error:
            known = as_s3_error(error)
            assert known is not None
            raise known from error
        return Answer(response, await _read(response))

    async def put(self, target: str, data: bytes, **headers: str) -> Answer:
        return await self.ask("PUT", target, data, **headers)

    async def get(self, target: str, **headers: str) -> Answer:
        return await self.ask("GET", target, **headers)

    async def attach(self, name: str, backend: str, container: str) -> BucketRecord:
        return await self.catalog.create_bucket(
            BucketRecord(
                name=name,
                kind="attached",
                backend=backend,
                container=container,
                region="us-east-1",
                created_ns=1_600_000_000_000_000_000,
            )
        )

    def bucket(self, name: str = "www") -> BucketRecord:
        found = self.catalog.get_bucket(name)
        assert found is not None
        return found

    def record(self, key: str, bucket: str = "www") -> ObjectRecord:
        found = self.catalog.get_object(self.bucket(bucket), key)
        assert found is not None
        return found

    def places(self, key: str, bucket: str = "www") -> list[str]:
        """The backend of each blob of an object."""
        return [blob.backend for blob in self.record(key, bucket).blobs]

    def blobs(self) -> list[str]:
        """Ids of the blobs on disk."""
        return sorted(self.services.backends["disk"].blob_ids())

    def garbage(self) -> list[str]:
        return sorted(record.blob.id for record in self.catalog.due_garbage(2**62, 10**6))


async def _read(response: Response) -> bytes:
    body = response.body
    if isinstance(body, bytes):
        return body
    data = bytearray()
    buffer = memoryview(bytearray(64 * 1024))
    try:
        while count := await body.read_into(buffer):  # type: ignore[union-attr]
            data += buffer[:count]
    finally:
        await body.aclose()  # type: ignore[union-attr]
    return bytes(data)


@asynccontextmanager
async def open_lab(
    directory: Path, *, more: Sequence[Backend] = (), settings: Settings | None = None
) -> AsyncIterator[Lab]:
    """A lab whose bounds are small: inline up to 1,000 bytes, parts from 10 bytes."""
    clock = Clock()
    root = directory / "disk"
    async with open_catalog(directory, clock=clock) as catalog:
        disk = disk_backend("disk", root)
        (root / "files").mkdir()
        backends: dict[str, Backend] = {"disk": disk, **{b.name: b for b in more}}
        settings = settings or Settings(inline_bytes_max=1000, part_bytes_min=10)
        services = Services(catalog, backends, settings, clock_ns=clock)
        lab = Lab(catalog, services, clock, root)
        await lab.ask("PUT", "/www")
        await lab.attach("files", "disk", "files")
        yield lab


def disk_backend(name: str, root: Path) -> LocalBackend:
    return LocalBackend(LocalOptions(name=name, root=str(root), durability="none"))


def location_document(location: str) -> bytes:
    """The body of CreateBucket that says where."""
    return (
        '<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<LocationConstraint>{location}</LocationConstraint></CreateBucketConfiguration>"
    ).encode()


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
