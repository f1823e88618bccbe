"""Reading a blob that may lie in several places.

The places are asked in the order of their backends' health. One that fails, or whose blob is not
what was stored, is passed over before the answer's first byte; one that breaks off later is
replaced by another (replica_body.py). Only the size of a blob can be checked while it is read: that
its content is what was written is for scrubs to find.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import trio
from msgspec import Struct

from s3proxy.backends.errors import (
    BackendError,
    InvalidRange,
    NoSuchContainer,
    NotFound,
    Unavailable,
)
from s3proxy.catalog.errors import CatalogError
from s3proxy.catalog.records import BlobRef, BucketRecord, Owed
from s3proxy.catalog.settling import Owing
from s3proxy.http.body import Body, BytesBody, FileBody
from s3proxy.kv.errors import KvError
from s3proxy.ops.blob_writer import DAMAGED
from s3proxy.ops.replica_body import ReplicaBody
from s3proxy.s3.errors import S3Error

if TYPE_CHECKING:
    from s3proxy.ops.call import Services

MISSING: Final = "The object's data is missing at its backend."
_NO_CONTAINER: Final = "The backend does not have the bucket's data at present."

# Told of a place that has lost the blob, and of one that has it; None: where it is, is not known.
Damage = Callable[[BlobRef, BlobRef | None], Awaitable[None]]


class Mender(Struct, eq=False):
    """What is done about a place of one blob that has lost it: it is forgotten, and owed for.

    Attributes:
        key, version_id: of the object whose record points at the blob.
    """

    services: Services
    bucket: BucketRecord
    key: str
    version_id: str
    blob: BlobRef

    async def __call__(self, place: BlobRef, sound: BlobRef | None) -> None:
        """Have the copy made anew; the blob is at `sound`. None: `place` is looked at first."""
        catalog = self.services.catalog
        owed = Owed(self.blob, targets=(place.backend,))
        owing = Owing(self.key, owed, self.version_id)
        try:
            if sound is not None:
                await catalog.remove_place(self.bucket, owing, place, sound)
            elif catalog.get_debt(self.blob.id) is None:
                await catalog.add_debts(self.bucket, [owing])
        except (CatalogError, KvError):
            return  # the next reader, or a scrub, finds it again


class Opened(Struct, eq=False):
    """A place that answered, and the bytes asked for as they come."""

    place: BlobRef
    body: Body


async def open_replica(
    services: Services,
    places: Sequence[BlobRef],
    first: int,
    last: int,
    *,
    damaged: Damage | None = None,
    doubtful: bool = False,
) -> Body:
    """Open bytes first..last (inclusive) of a blob at the best of its places.

    Args:
        places: all that hold the same bytes, at least one.
        damaged: awaited with a place where the blob is missing, or has another size, and with the
            one that has it.
        doubtful: the reader can tell bytes that are wrong, and may want them from another place: of
            several places, a ReplicaBody is returned.
    Raises:
        S3Error: ServiceUnavailable, InternalError; no place has the blob, and for one of them that
            is because its backend does not answer, or all that answered have lost it.
        BackendError: what the last backend said.
    """
    replicas = Replicas(services, places, damaged)
    opened = await replicas.open(first, last)
    if (isinstance(opened.body, BytesBody) and not (doubtful and len(places) > 1)) or (
        len(places) == 1 and isinstance(opened.body, FileBody)
    ):
        return opened.body  # nothing more can go wrong, or could be helped
    return ReplicaBody(replicas, opened, first, last)


async def open_place(services: Services, place: BlobRef, first: int, last: int) -> Body:
    """Open bytes first..last of a blob at one place.

    Raises:
        S3Error: InternalError, the blob is missing or has another size; ServiceUnavailable, its
            backend is not configured, or knows nothing of the whole container.
        BackendError: the backend failed.
    """
    if not place.backend:
        data = services.catalog.get_inline(place.id)
        if data is None:
            raise S3Error("InternalError", MISSING)
        return BytesBody(memoryview(data)[first : last + 1])
    store = services.backend(place.backend).blobs(place.container)
    try:
        reading = await store.open(place.name, first, last)
    except NoSuchContainer as error:
        # A wrong account, or a disk that is not mounted: that says nothing of this one blob.
        raise S3Error("ServiceUnavailable", _NO_CONTAINER) from error
    except NotFound as error:
        raise S3Error("InternalError", MISSING) from error
    except InvalidRange as error:
        raise S3Error("InternalError", DAMAGED) from error
    body = reading.body
    if reading.stat.size != place.size or body.length not in (-1, last - first + 1):
        await body.aclose()
        raise S3Error("InternalError", DAMAGED)
    return body


class Replicas:
    """The places of one blob, opened one after the other until one answers."""

    __slots__ = ("_damaged", "_places", "services")

    def __init__(
        self, services: Services, places: Sequence[BlobRef], damaged: Damage | None = None
    ) -> None:
        self.services = services
        self._places = places
        self._damaged = damaged

    async def open(self, first: int, last: int, without: Sequence[BlobRef] = ()) -> Opened:
        """Open bytes first..last at the best place, but for those `without`.

        Raises:
            S3Error, BackendError: see `open_replica`.
        """
        health = self.services.health
        failed: list[tuple[BlobRef, Exception]] = []
        left = health.order([place for place in self._places if place not in without])
        while left:
            try:
                if len(left) > 1 and health.settings.hedge_reads:
                    opened = await self._open_hedged(left, first, last)
                else:
                    opened = Opened(left[0], await self._attempt(left[0], first, last))
            except (S3Error, BackendError, OSError) as error:
                failed.append((left[0], error))
                left = health.order(left[1:])
                continue
            health.counts.read_failovers += bool(failed)
            await self._tell(failed, opened.place)
            return opened
        raise _worst([error for _, error in failed])

    async def _attempt(self, place: BlobRef, first: int, last: int) -> Body:
        health = self.services.health
        open_here = partial(open_place, self.services, place, first, last)
        # What is down comes last in the order: then there is nowhere else to go.
        return await health.attempt(place.backend, open_here, last_resort=True, timed=True)

    async def _open_hedged(self, left: list[BlobRef], first: int, last: int) -> Opened:
        """Open the first of the places; where it takes long the second as well, whoever is first.

        Raises:
            What opening the first raises, where the second does not answer either.
        """
        health = self.services.health
        patience_s = health.latency_p95_s(left[0].backend)
        if not patience_s or not health.is_up(left[1].backend):
            return Opened(left[0], await self._attempt(left[0], first, last))
        race = _Race()
        async with trio.open_nursery() as nursery:
            opener = partial(self._attempt, left[0], first, last)
            nursery.start_soon(race.run, left[0], opener, nursery.cancel_scope)
            with trio.move_on_after(patience_s):
                await race.ended.wait()
            if not race.ended.is_set():
                health.counts.hedged_reads += 1
                opener = partial(self._attempt, left[1], first, last)
                nursery.start_soon(race.run, left[1], opener, nursery.cancel_scope)
        if race.won is None:
            raise race.errors[left[0].id]
        health.counts.hedges_won += race.won.place is not left[0]
        return race.won

    async def _tell(self, failed: list[tuple[BlobRef, Exception]], sound: BlobRef) -> None:
        for place, error in failed:
            if isinstance(error, S3Error) and error.code == "InternalError":
                await self.mend(place, sound)

    async def mend(self, place: BlobRef, sound: BlobRef | None) -> None:
        """Have what is missing or damaged mended; the bytes are known to be at `sound`."""
        if self._damaged is not None:
            await self._damaged(place, sound)


class _Race:
    """Openers that run at once: the first to succeed ends the others."""

    def __init__(self) -> None:
        self.won: Opened | None = None
        self.errors: dict[str, Exception] = {}
        self.ended = trio.Event()  # the first one that was started has

    async def run(
        self, place: BlobRef, opener: Callable[[], Awaitable[Body]], scope: trio.CancelScope
    ) -> None:
        """Open one; a body that comes too late is closed."""
        try:
            body = await opener()
        except (S3Error, BackendError, OSError) as error:
            self.errors[place.id] = error
        else:
            if self.won is None:
                self.won = Opened(place, body)
                scope.cancel()
            else:
                await body.aclose()
        self.ended.set()


def _worst(errors: list[Exception]) -> Exception:
    """The error to tell of several: one that may pass, if there is one: the blob may be there."""
    for error in errors:
        if not (isinstance(error, S3Error) and error.code == "InternalError"):
            return error
    return errors[0] if errors else Unavailable("open", hint="no place is left to read from")
