"""Draining a backend: it gets no new data, and what it has is owed to others until nothing is left.

That it is drained is a mark in the catalog, seen by the gateway at once. What lies there is found
by a walk over each bucket, which writes debts; the replicator settles these. Where something is
left for which nothing is owed, as it was given up, or came after the walk, there is another walk. A
bucket that has nothing there any more leaves the backend, which may be its own. The backend is
empty once what was left there is deleted, too: the bytes after their grace, then the containers.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from s3proxy.backends.errors import BackendError
from s3proxy.catalog.errors import UnknownBackend
from s3proxy.catalog.walks import drain_rules, drain_task
from s3proxy.ops.containers import containers_of
from s3proxy.ops.owing import held_on, owe_bucket
from s3proxy.ops.placing import container_on, decision_of
from s3proxy.ops.walks import blobs_of, buckets_of, uploads_of

if TYPE_CHECKING:
    from s3proxy.catalog.records import BlobRef, BucketRecord
    from s3proxy.ops.call import Services

STUCK_MAX: Final = 100
# Looked at between two checkpoints.
GARBAGE_ROWS: Final = 1000


class Left(msgspec.Struct):
    """What a backend that is drained still holds.

    Attributes:
        since_ns: when draining began; 0: it is not drained.
        blobs, bytes: places there, and copies on their way there.
        buckets: managed ones that have a container there.
        uploads: unfinished ones that the backend itself keeps; they end by themselves alone.
        garbage: blobs that are still to be deleted there.
        containers: that no bucket has any more, and that are not empty yet; manifests and what
            others have put there count as well.
        writes: under way to it.
        attached: buckets there that are not the gateway's to move.
        classes: of storage, whose backend it is by the configuration.
        backups: those of the catalog are there, and are not moved.
        stuck: managed buckets whose rules allow no other backend.
        below: managed buckets that have fewer copies than their rules want, once it is empty.
    """

    backend: str
    since_ns: int = 0
    blobs: int = 0
    bytes: int = 0
    buckets: int = 0
    uploads: int = 0
    garbage: int = 0
    containers: int = 0
    writes: int = 0
    attached: list[str] = msgspec.field(default_factory=list)
    stuck: list[str] = msgspec.field(default_factory=list)
    below: list[str] = msgspec.field(default_factory=list)
    classes: list[str] = msgspec.field(default_factory=list)
    backups: bool = False

    @property
    def moved(self) -> bool:
        """Whether nothing is there that anybody needs."""
        return bool(self.since_ns) and not (self.blobs or self.buckets or self.uploads)

    @property
    def done(self) -> bool:
        """Whether, moreover, nothing is there that the gateway deletes."""
        return self.moved and not (self.garbage or self.containers)


async def start_drain(services: Services, backend: str) -> None:
    """Have a backend drained; one that is already goes on.

    Raises:
        UnknownBackend: it is not configured.
    """
    _require(services, backend)
    if services.catalog.draining_since(backend) is None:
        await services.catalog.set_draining(backend, services.clock_ns())


async def cancel_drain(services: Services, backend: str) -> None:
    """Let a backend have data again; copies that were made elsewhere stay as its rules want.

    Raises:
        UnknownBackend: it is not configured.
    """
    _require(services, backend)
    await services.catalog.set_draining(backend, None)


async def left_on(services: Services, backend: str) -> Left:
    """Count what a backend holds; reads the records of all buckets that have something there.

    Raises:
        UnknownBackend: it is not configured.
    """
    _require(services, backend)
    left = Left(backend, services.catalog.draining_since(backend) or 0)
    settings = services.settings
    left.classes = [name for name, where in settings.storage_classes.items() if where == backend]
    left.backups = settings.backup_backend == backend
    left.writes = sum(one.blob.backend == backend for one in services.catalog.open_intents())
    async for bucket in buckets_of(services):
        if bucket.kind != "managed":
            if bucket.backend == backend:
                left.attached.append(bucket.name)
            continue
        if len(left.below) < STUCK_MAX and _falls_below(services, bucket, backend):
            left.below.append(bucket.name)
        if not _is_on(bucket, backend):
            continue
        left.buckets += 1
        others = [name for name in decision_of(services, bucket).writable if name != backend]
        if not others and len(left.stuck) < STUCK_MAX:
            left.stuck.append(bucket.name)
        await _count(services, bucket, left)
    # In the end: what goes from a bucket meanwhile comes here.
    left.containers = sum(one.backend == backend for one in services.catalog.leftover_containers())
    left.garbage = await _count_garbage(services, backend)
    return left


async def drain_bucket(services: Services, bucket: BucketRecord, backend: str) -> bool:
    """Do what is to be done for one bucket; True when it has left the backend.

    Raises:
        NoSuchBucket: it is gone.
        BackendError: its new home could not be made.
    """
    if not _is_on(bucket, backend):
        return True
    since_ns = services.catalog.draining_since(backend)
    if since_ns is None:
        return True
    task, rules = drain_task(backend), drain_rules(since_ns)
    walk = partial(owe_bucket, services, bucket, task, rules=rules, on=backend)
    progress = services.catalog.get_progress(bucket, task)
    if progress is None or not progress.done or progress.rules != rules:
        await walk()
    left = Left(backend)
    if await _count(services, bucket, left):
        await walk()
    if left.blobs or left.uploads:
        return False
    return await _leave(services, bucket, backend, since_ns)


async def describe_elsewhere(services: Services, backend: str) -> None:
    """Have manifests go that buckets have left behind at a backend that is drained.

    Those of versions go with their blobs; delete markers have none.
    """
    for leftover in services.catalog.leftover_containers():
        bucket = services.catalog.get_bucket(leftover.bucket, leftover.tenant)
        if leftover.backend != backend or bucket is None:
            continue
        place = (backend, leftover.container)
        after = b""
        while place not in containers_of(bucket):
            after = await services.catalog.note_stale_manifests(bucket, place, after)
            if not after:
                break
            await trio.lowlevel.checkpoint()


async def _count_garbage(services: Services, backend: str) -> int:
    count, after = services.catalog.count_garbage(backend, b"", GARBAGE_ROWS)
    while after:
        await trio.lowlevel.checkpoint()
        more, after = services.catalog.count_garbage(backend, after, GARBAGE_ROWS)
        count += more
    return count


async def _leave(services: Services, bucket: BucketRecord, backend: str, since_ns: int) -> bool:
    """Give up a bucket's container there; a bucket whose own it is gets another home."""
    home: tuple[str, str] | None = (bucket.backend, bucket.container)
    if bucket.backend == backend:
        home = await _new_home(services, bucket, backend)
    if home is None:
        return False
    left = await services.catalog.leave_backend(bucket, backend, home, since_ns)
    return left is not None


async def _new_home(
    services: Services, bucket: BucketRecord, backend: str
) -> tuple[str, str] | None:
    """Backend and container for a bucket to call its own; None: no other that may be it is up.

    Where it has a container already, there are bytes that had to go somewhere.
    """
    there = dict(containers_of(bucket))
    others = [name for name in decision_of(services, bucket).writable if name != backend]
    up = [name for name in services.health.order_to_write(others) if services.health.is_up(name)]
    failure: BackendError | None = None
    for name in sorted(up, key=lambda name: name not in there):
        try:
            return name, await container_on(services, bucket, name)
        except BackendError as error:
            failure = error
    if failure is not None:
        raise failure
    return None


async def _count(services: Services, bucket: BucketRecord, left: Left) -> int:
    """Add to `left` what a bucket has there; returns for how many blobs of it nothing is owed."""
    unowed = 0
    async for blob in blobs_of(services, bucket):
        unowed += _add(services, blob, left)
    async for upload in uploads_of(services, bucket):
        left.uploads += upload.blob is not None and upload.blob.backend == left.backend
    return unowed


def _add(services: Services, blob: BlobRef, left: Left) -> bool:
    found = held_on(services, blob, left.backend)
    left.blobs += len(found)
    left.bytes += sum(place.size for place in found)
    debt = services.catalog.get_debt(blob.id) if found else None
    return bool(found) and (debt is None or debt.dead)


def _falls_below(services: Services, bucket: BucketRecord, backend: str) -> bool:
    """Whether a bucket has fewer copies than its rules want without a backend that may have one.

    A backend that takes no new data counts where the bucket is already, unless it is being emptied.
    """
    decision = decision_of(services, bucket)
    if backend not in decision.order:
        return False
    kept = {name for name, _ in containers_of(bucket)} - services.draining
    able = {name for name in decision.order if name in kept or name not in decision.read_only}
    return len(able - {backend}) < decision.wanted


def _is_on(bucket: BucketRecord, backend: str) -> bool:
    return bucket.kind == "managed" and any(name == backend for name, _ in containers_of(bucket))


def _require(services: Services, backend: str) -> None:
    if backend not in services.backends:
        raise UnknownBackend(backend, services.backends)
