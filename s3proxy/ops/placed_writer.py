"""Writing a blob where rules want it: the first allowed backend that takes it, and its quorum.

A backend that fails is passed over, without the client noticing as long as the payload can be read
again. That is so for every payload that is held in memory (held_payload.py), and for others until
their first MiB was read; after that the client is told to try again, and its next try goes to
another backend first. What is not where it should be in the end is owed: `WrittenBlob.owed`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from s3proxy.backends.errors import BackendError, CodedError, Throttled
from s3proxy.catalog.records import BlobRef, BucketRecord, Owed
from s3proxy.http.errors import TransportError
from s3proxy.ops.blob_writer import BlobWriter, WrittenBlob, abandon_blobs
from s3proxy.ops.held_payload import HELD_BYTES_MAX, HeldPayload, StreamedPayload
from s3proxy.ops.placing import Plan, container_on
from s3proxy.ops.replicate import Original, copy_to
from s3proxy.s3.errors import S3Error

if TYPE_CHECKING:
    from s3proxy.ops.call import Services
    from s3proxy.ops.namespace import CopyFrom, ObjectWrite, Payload

# What a backend says of bytes that were verified here.
_SPOILED: Final = frozenset(
    {
        *("BadDigest", "InvalidDigest", "IncompleteBody"),
        *("XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"),
    }
)

BROKE_OFF: Final = "A backend failed while the data was written to it. Please try again."
NONE_UP: Final = "None of the backends that may hold the data takes it. Please try again."


async def write_placed(
    services: Services,
    bucket: BucketRecord,
    key: str,
    payload: Payload,
    *,
    write: ObjectWrite | None,
    plan: Plan,
) -> WrittenBlob:
    """Store a payload as a new blob at the backends of its plan; never in the catalog.

    Returns:
        The blob with all places that hold it, at least the quorum, and what is owed.
    Raises:
        S3Error: the payload is not what was announced; ServiceUnavailable or SlowDown: no backend
            took it, too few did for the quorum, or one broke off when part of it was read.
        KvError, CatalogError: nothing points at what was written.
    """
    placing = PlacedWrite(services, bucket, key, write, plan)
    placing.check_quorum()
    if payload.length <= HELD_BYTES_MAX and services.held.take(payload.length):
        try:
            held = await HeldPayload.of(payload)
            return await placing.complete(await placing.first(held), held)
        finally:
            services.held.give(payload.length)
    streamed = StreamedPayload(payload, services.held)
    try:
        first = await placing.first(streamed)
    finally:
        streamed.release()
    return await placing.complete(first)


async def copy_placed(
    services: Services,
    bucket: BucketRecord,
    source: tuple[CopyFrom, str],
    write: ObjectWrite,
    plan: Plan,
) -> WrittenBlob | None:
    """Have the first target copy a blob that lies there.

    Args:
        source: what is copied, and the key of the copy.
    Returns:
        As `write_placed`; None: it lies elsewhere, or its backend cannot, so the bytes must be
        read and written.
    Raises:
        As `write_placed`.
    """
    copied, key = source
    old = copied.record.blobs
    target = plan.targets[0]
    if len(old) != 1 or copied.record.parts or "-" in copied.record.etag:
        return None
    try:
        container = await container_on(services, bucket, target)
        writer = BlobWriter(services, bucket, services.backend(target), container)
        held = [place for place in services.catalog.places_of(old[0]) if writer.holds(place)]
        if not held or not writer.store.features.copy:
            return None
        first = await services.health.attempt(
            target, partial(writer.copy, copied, key, write, held[0])
        )
    except (BackendError, S3Error):
        return None  # whatever is wrong there, another backend may have the bytes, or take them
    return await PlacedWrite(services, bucket, key, write, plan).complete(first)


def owed_for(services: Services, blobs: Sequence[BlobRef], plan: Plan) -> list[Owed]:
    """What is to be noted of blobs that are there already, when their plan may be another."""
    found = []
    for blob in blobs:
        owed = owed_by(plan, blob, services.catalog.places_of(blob))
        if owed is not None and owed.targets:
            found.append(msgspec.structs.replace(owed, copies=()))
    return found


def owed_by(plan: Plan, blob: BlobRef, places: Sequence[BlobRef]) -> Owed | None:
    """What is to be noted of a blob that lies in `places`; None: it is where it should be."""
    there = {place.backend for place in places}
    wanted = plan.decision.writable[: plan.decision.wanted]
    missing = tuple(name for name in wanted if name not in there)
    allowed = there <= set(plan.decision.order)
    if not missing and not allowed:
        missing = wanted[:1]  # what is too much is only seen by who looks at the debt
    if not missing and len(places) == 1:
        return None
    copies = tuple(places) if len(places) > 1 else ()
    return Owed(blob, copies, missing, plan.replicas_tag)


class PlacedWrite(msgspec.Struct, frozen=True, eq=False):
    """One blob on its way to the backends of a plan."""

    services: Services
    bucket: BucketRecord
    key: str
    write: ObjectWrite | None
    plan: Plan

    def check_quorum(self) -> None:
        """Refuse, before anything is read, what cannot have its quorum now.

        Raises:
            S3Error: ServiceUnavailable.
        """
        quorum = self.plan.decision.quorum
        up = [name for name in self.plan.targets if self.services.health.is_up(name)]
        if quorum > 1 and len(up) < quorum:
            raise _short_of_quorum(quorum, len(up))

    async def first(self, payload: HeldPayload | StreamedPayload) -> WrittenBlob:
        """Write to the first target that takes it.

        Raises:
            S3Error: ServiceUnavailable, SlowDown.
        """
        failure: Exception | None = None
        for target in self.plan.targets:
            if not payload.rewind():
                raise _broke_off(failure) from failure
            try:
                written = await self._write_to(target, payload)
            except BackendError as error:
                if _is_of_request(error) and not payload.rewind():
                    raise
                failure = error
                continue
            self.services.health.counts.write_failovers += failure is not None
            return written
        if failure is not None and _is_of_request(failure):
            raise failure  # they all say the same, and why
        if not payload.rewind():
            raise _broke_off(failure) from failure
        code = "SlowDown" if isinstance(failure, Throttled) else "ServiceUnavailable"
        raise S3Error(code, NONE_UP) from failure

    async def complete(self, first: WrittenBlob, held: HeldPayload | None = None) -> WrittenBlob:
        """Make copies up to the quorum.

        Args:
            held: the payload, where it can be read again.
        Returns:
            The blob with its places, and what is owed for it.
        Raises:
            S3Error: ServiceUnavailable, too few backends took it; all is given up.
        """
        places = [first.blob]
        try:
            failure = await self._copy(first, places, held)
            quorum = self.plan.decision.quorum
            if len(places) < quorum:
                raise _short_of_quorum(quorum, len(places)) from failure
        except BaseException:
            await abandon_blobs(self.services, places)
            raise
        return msgspec.structs.replace(
            first,
            intents=tuple(place.id for place in places),
            copies=tuple(places[1:]),
            owed=owed_by(self.plan, first.blob, places),
        )

    async def _copy(
        self, first: WrittenBlob, places: list[BlobRef], held: HeldPayload | None
    ) -> Exception | None:
        """Add copies to `places` up to the quorum; returns the last failure."""
        failure: Exception | None = None
        for target in self.plan.targets:
            if len(places) >= self.plan.decision.quorum:
                break
            if target in {place.backend for place in places}:
                continue
            try:
                places.append(await self._copy_to(target, first, places, held))
            except (BackendError, TransportError, S3Error) as error:
                failure = error
        return failure

    async def _copy_to(
        self,
        target: str,
        first: WrittenBlob,
        places: Sequence[BlobRef],
        held: HeldPayload | None,
    ) -> BlobRef:
        if held is not None:
            held.rewind()
            return (await self._write_to(target, held, original=first)).blob
        plain = self.write is not None and self.write.cipher is None
        original = Original(about=self.write, md5=first.etag if plain else "")
        return await copy_to(
            self.services, self.bucket, self.key, places, target, original=original
        )

    async def _write_to(
        self, target: str, payload: Payload, *, original: WrittenBlob | None = None
    ) -> WrittenBlob:
        services = self.services
        try:
            container = await container_on(services, self.bucket, target)
            writer = BlobWriter(services, self.bucket, services.backend(target), container)
            # Targets that are down come last: then there is nowhere else to go.
            write = partial(writer.write_blob, self.key, payload, self.write, original=original)
            written = await services.health.attempt(target, write, last_resort=True)
        except BackendError as error:
            if not _is_of_request(error):
                services.health.note_write(target, failed=True)
            raise
        services.health.note_write(target, failed=False)
        return written


def _is_of_request(error: Exception) -> bool:
    """Whether no backend would take it; bytes that were right here were wrong on their way only."""
    return isinstance(error, CodedError) and error.code not in _SPOILED


def _broke_off(failure: Exception | None) -> S3Error:
    code = "SlowDown" if isinstance(failure, Throttled) else "ServiceUnavailable"
    return S3Error(code, BROKE_OFF)


def _short_of_quorum(quorum: int, count: int) -> S3Error:
    message = (
        f"The bucket's placement wants {quorum} copies before a write is answered (write_quorum),"
        f" and {count} of the backends that may hold one can take it now. Please try again."
    )
    return S3Error("ServiceUnavailable", message)
