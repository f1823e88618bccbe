"""A gateway's catalog over backends in memory, with a replicator that settles what is owed."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import trio

from s3proxy.backends.breaker import HealthSettings
from s3proxy.backends.errors import Unavailable
from s3proxy.backends.health import Health
from s3proxy.backends.store import Backend
from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.records import BlobRef, BucketRecord, ObjectRecord, Owed, PartSize
from s3proxy.catalog.settling import Owing
from s3proxy.kv.errors import WriteFailed
from s3proxy.ops import about
from s3proxy.ops.blob_writer import new_id
from s3proxy.ops.call import Services, Settings
from s3proxy.ops.lanes import LaneLimits, Lanes
from s3proxy.ops.owing import owe_bucket
from s3proxy.placement import Facts
from s3proxy.s3.placement import Rules
from s3proxy.workers.collect import Collector
from s3proxy.workers.recover import recover
from s3proxy.workers.replicate import Replicator
from tests.catalog.catalogs import Clock, bucket_record, open_catalog, part_record, upload_record
from tests.ops.memory_backend import MemoryBackend

UPLOAD_ID = "upload"


class Replicas:
    """Backends named by letters; the bucket wants its objects on the first ones.

    Attributes:
        limits: of the lanes, by backend.
    """

    def __init__(self, catalog: Catalog, clock: Clock, names: str, copies: int) -> None:
        self.catalog = catalog
        self.clock = clock
        self.memories = {name: MemoryBackend(name) for name in names}
        backends: dict[str, Backend] = dict(self.memories)
        self.services = Services(
            catalog,
            backends,
            Settings(),
            clock_ns=clock,
            health=Health(names, HealthSettings(open_s=0.0)),
        )
        self.limits: dict[str, LaneLimits] = {}
        self.rules = Rules(regions=tuple(names), replicas=copies)
        self.services.facts = {name: Facts(name, country=name) for name in names}
        self.tries_max = 20
        self.workers = 4

    def adopt(self, name: str, memory: MemoryBackend) -> None:
        """Take over what an earlier run left of a backend."""
        own = self.memories[name]
        own.blobs_kept, own.metadata, own.uploads = (
            memory.blobs_kept,
            memory.metadata,
            memory.uploads,
        )
        if memory.down:
            self.go_down(name)

    @property
    def bucket(self) -> BucketRecord:
        found = self.catalog.get_bucket("bucket")
        assert found is not None
        return found

    async def set_rules(self, rules: Rules | None) -> None:
        def change(bucket: BucketRecord) -> BucketRecord:
            revision = bucket.placement_revision + 1
            return msgspec.structs.replace(bucket, placement=rules, placement_revision=revision)

        await self.catalog.update_bucket(self.bucket, change)

    async def put(
        self, key: str, data: bytes, on: str = "a", targets: Sequence[str] = (), **more: object
    ) -> ObjectRecord:
        """An object with a copy on each of `on`, which owes more to the targets."""
        places = tuple(self.place(key, data, name) for name in on)
        fields = {"etag": _md5(data), "user": {"color": "red"}, **more}
        record = ObjectRecord(
            size=len(data),
            modified_ns=1,
            blobs=(places[0],),
            **fields,  # type: ignore[arg-type]
        )
        owed = Owed(places[0], places if len(places) > 1 else (), tuple(targets))
        return await self.catalog.put_object(self.bucket, key, record, owed=[owed])

    def place(self, key: str, data: bytes, name: str) -> BlobRef:
        memory = self.memories[name]
        blob_id = new_id()
        blob = BlobRef(blob_id, name, f"s3gw-{name}", memory.blob_name(key, blob_id), len(data))
        memory.blobs_kept[blob.name] = data
        return blob

    def replicator(self) -> Replicator:
        lanes = Lanes(self.workers, self.limits)
        return Replicator(
            self.services, lanes, workers=self.workers, tries_max=self.tries_max, retry_s_max=1.0
        )

    async def settle(self) -> Replicator:
        """Let a replicator work, while the clock runs, until nothing is left that it can do."""
        replicator = self.replicator()
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(replicator.work)
                while replicator.busy or self._left(""):
                    await trio.sleep(0.002)
                    self.clock.ns += 100_000_000
                    replicator.wake()
                nursery.cancel_scope.cancel()
        return replicator

    async def settle_all(self) -> None:
        """Settle what is due, and what waited for backends that are up by now."""
        while any(self.catalog.due_debts(2**62, 1, name) for name in ("", *self.memories)):
            await self.settle()
            for name in self.memories:
                if self.services.health.is_up(name):
                    await self.settle_waiting(name)

    async def settle_until_killed(self, calls: int) -> None:
        """Let a replicator work until as many calls of backends, then nothing more happens."""
        with trio.CancelScope() as scope:

            async def count(op: str, key: str) -> None:
                nonlocal calls
                calls -= 1
                if calls <= 0:
                    self.catalog.drop_intent = _dead  # type: ignore[assignment]
                    scope.cancel()
                await trio.lowlevel.checkpoint()

            for memory in self.memories.values():
                memory.hook = memory.written = count
            await self.settle()

    async def recover(self) -> None:
        """What a gateway does at its start."""
        await recover(self.catalog, self.services.backends)
        await self.catalog.release_debts(self.services.backends)

    def go_down(self, name: str) -> None:
        """A backend stops answering, and its breaker knows."""
        self.memories[name].down = True
        for _ in range(9):
            self.services.health.note_failure(name, Unavailable("put", "", "down", name))
        assert not self.services.health.is_up(name)

    def come_up(self, name: str) -> None:
        self.memories[name].down = False
        self.services.health.note_probe(name, trio.current_time(), None)

    async def up_all(self) -> None:
        for name in self.memories:
            self.come_up(name)

    def _left(self, *queues: str) -> bool:
        return any(self.catalog.due_debts(2**62, 1, name) for name in queues)

    async def settle_waiting(self, name: str) -> Replicator:
        """The same, with what waits for a backend that is up again."""
        replicator = self.replicator()
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(replicator.work)
                # What is leased waits for nothing.
                while replicator.busy or self._left("", name):
                    await trio.sleep(0.002)
                    replicator.wake()
                nursery.cancel_scope.cancel()
        return replicator

    async def owe(self) -> int:
        """Walk the bucket for what is not where it should be."""
        return await owe_bucket(self.services, self.bucket, "owe\0test", objects_per_s=10**6)

    async def put_debt(self, key: str, targets: Sequence[str]) -> None:
        record = self.catalog.get_object(self.bucket, key)
        assert record is not None
        owed = Owed(record.blobs[0], targets=tuple(targets))
        await self.catalog.add_debts(self.bucket, [Owing(key, owed, record.named_version)])

    async def put_inline(self, key: str, data: bytes) -> None:
        blob = BlobRef(new_id(), "", "", "", len(data))
        etag = _md5(data)
        record = ObjectRecord(size=len(data), etag=etag, modified_ns=1, blobs=(blob,))
        await self.catalog.put_object(self.bucket, key, record, inline=data)

    async def put_part(
        self, key: str, data: bytes, on: str, targets: Sequence[str] = (), **more: object
    ) -> BlobRef:
        """The only part of a new upload, with a copy on each of `on`, which owes more."""
        upload = msgspec.structs.replace(upload_record(key, UPLOAD_ID), **more)
        await self.catalog.create_upload(self.bucket, upload)
        places = tuple(self.place(key, data, name) for name in on)
        owed = Owed(places[0], places if len(places) > 1 else (), tuple(targets))
        part = part_record(1, places[0], _md5(data))
        await self.catalog.put_part(self.bucket, key, UPLOAD_ID, part, owed=[owed])
        return places[0]

    async def put_debt_of_part(self, key: str, blob: BlobRef) -> None:
        """Have the part be looked at."""
        owing = Owing(key, Owed(blob), upload_id=UPLOAD_ID, number=1)
        assert await self.catalog.add_debts(self.bucket, [owing]) == 1

    def rot(self, name: str, blob_name: str) -> None:
        """The first byte that a backend has of a blob is another now."""
        kept = self.memories[name].blobs_kept
        kept[blob_name] = b"r" + kept[blob_name][1:]

    async def complete(self, key: str) -> ObjectRecord:
        """Make an object of the part."""
        upload = self.catalog.get_upload(self.bucket, key, UPLOAD_ID)
        assert upload is not None
        (part,) = self.catalog.list_parts(self.bucket, UPLOAD_ID)
        record = ObjectRecord(
            size=part.size,
            etag=f"{part.etag}-1",
            modified_ns=1,
            tags=upload.tags,
            storage_class=upload.storage_class,
            parts=(PartSize(1, part.size, md5=bytes.fromhex(part.etag)),),
        )
        named = [(1, part.etag)]
        await self.catalog.complete_upload(self.bucket, key, UPLOAD_ID, record, parts=named)
        found = self.catalog.get_object(self.bucket, key)
        assert found is not None
        return found

    def backends_of(self, blob: BlobRef) -> str:
        """Where a blob is by the catalog, sorted."""
        return "".join(sorted(place.backend for place in self.catalog.places_of(blob)))

    async def tag(self, key: str, tags: dict[str, str]) -> None:
        def change(record: ObjectRecord) -> ObjectRecord:
            return msgspec.structs.replace(record, tags=tags)

        await self.catalog.update_object(self.bucket, key, change)

    async def collect(self) -> None:
        self.clock.ns += 3600 * 10**9
        collector = Collector(
            self.catalog, self.services.backends, clock=lambda: self.clock.ns / 1e9
        )
        await collector.work()

    def on(self, key: str) -> str:
        """The backends on which the object is, sorted; its bytes are there."""
        record = self.catalog.get_object(self.bucket, key)
        assert record is not None
        found = []
        for place in self.catalog.places_of(record.blobs[0]):
            data = self.memories[place.backend].blobs_kept[place.name]
            assert _md5(data) == record.etag
            found.append(place.backend)
        return "".join(sorted(found))

    def blob(self, key: str) -> BlobRef:
        """The blob that an object's record points at."""
        record = self.catalog.get_object(self.bucket, key)
        assert record is not None
        return record.blobs[0]

    def beside(self, name: str, blob_name: str) -> tuple[dict[str, str], str]:
        """What a backend keeps beside a copy: user metadata, and of which blob it is a copy."""
        _, user = self.memories[name].metadata[blob_name]
        found = about.read(user)
        assert found is not None
        return about.without_ours(user), found.blob_id

    def held(self) -> dict[str, int]:
        """How many blobs each backend has."""
        return {name: len(memory.blobs_kept) for name, memory in self.memories.items()}


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


async def _dead(identifier: str, garbage: BlobRef | None = None) -> bool:
    raise WriteFailed("drop_intent", "", "the process is dead")


@asynccontextmanager
async def open_replicas(
    directory: Path,
    names: str = "abc",
    copies: int = 2,
    *,
    before: Replicas | None = None,
    gateway: str = "here",
) -> AsyncIterator[Replicas]:
    """A run of the gateway; on the backends and the catalog of the one `before`."""
    clock = before.clock if before else Clock()
    async with open_catalog(directory, clock=clock, gateway=gateway) as catalog:
        replicas = Replicas(catalog, clock, names, copies)
        if before is not None:
            for name, memory in before.memories.items():
                replicas.adopt(name, memory)
            yield replicas
            return
        record = msgspec.structs.replace(
            bucket_record(), backend="a", container="s3gw-a", placement=replicas.rules
        )
        await catalog.create_bucket(record)
        yield replicas
