"""Bringing one blob to where its rules want it: what to copy, what to remove, what to wait for.

Idempotent: what is to be done is found from where the blob is now, whatever was done before, and
one transaction keeps it (catalog/settling.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from s3proxy.catalog.errors import IntentLost
from s3proxy.catalog.records import (
    BlobRef,
    BucketRecord,
    DebtRecord,
    ObjectRecord,
    UploadRecord,
)
from s3proxy.catalog.settling import Settlement
from s3proxy.ops.placement_steps import Steps, steps_of
from s3proxy.ops.placing import STANDARD, decision_of, replicas_tag, rules_of
from s3proxy.ops.replicate import FAILURES, Damaged, Original, copy_to
from s3proxy.ops.soundness import is_sound, known_md5, md5_of_part, told_md5
from s3proxy.s3.errors import S3Error

if TYPE_CHECKING:
    from s3proxy.ops.call import Services
    from s3proxy.ops.lanes import Lanes
    from s3proxy.placement import Decision

ERROR_LENGTH_MAX: Final = 300
LOST: Final = "no place has the bytes"
DIFFERENT: Final = "its copies differ, and nobody knows which is right"


class Subject(msgspec.Struct, frozen=True):
    """What a debt is about, as it is now.

    Attributes:
        record: of the object; None for a part.
        ruled: rules are in force; without, bytes may stay in the catalog.
        md5: of the bytes, hexadecimal; "" where nobody knows it.
    """

    bucket: BucketRecord
    record: ObjectRecord | None
    decision: Decision
    ruled: bool
    md5: str


def subject_of(services: Services, debt: DebtRecord) -> Subject | None:
    """What a debt is about; None: its bucket is gone."""
    catalog = services.catalog
    bucket = catalog.get_bucket(debt.bucket, debt.tenant)
    if bucket is None or bucket.id != debt.bucket_id:
        return None
    record = catalog.get_object(bucket, debt.key, debt.version_id) if debt.version_id else None
    if record is not None and debt.blob not in record.blobs:
        record = None
    replicas, storage_class, md5 = debt.replicas, STANDARD, ""
    asked: ObjectRecord | UploadRecord | None = record
    if record is not None:
        md5 = known_md5(record, debt.blob)
    elif debt.upload_id:
        asked = catalog.get_upload(bucket, debt.key, debt.upload_id)
        part = catalog.get_part(bucket, debt.upload_id, debt.part_number)
        md5 = md5_of_part(part) if part is not None and part.blob == debt.blob else ""
    if asked is not None:
        replicas, storage_class = replicas_of(asked.tags), asked.storage_class
    ruled = bool(replicas) or rules_of(services, bucket) is not None
    decision = decision_of(services, bucket, replicas, storage_class)
    return Subject(bucket, record, decision, ruled, md5)


def replicas_of(tags: dict[str, str]) -> int:
    """How many copies an object's tags ask for; 0 where they say nothing that can be understood."""
    try:
        return replicas_tag(tags) if tags else 0
    except S3Error:
        return 0


class Outcome(msgspec.Struct, frozen=True):
    """What was done about a debt.

    Attributes:
        error: what a copy failed with, that waiting for a backend does not mend; "": nothing.
        waits_for: the backends of which one has to be up.
        turn: a busy backend for whose lane the debt has to wait; "": none.
        short: rules leave too few backends.
        missing: backends that should have it, and have not.
        allowed: backends that may hold it; None: nobody looked.
    """

    places: tuple[BlobRef, ...]
    added: tuple[BlobRef, ...] = ()
    removed: tuple[BlobRef, ...] = ()
    error: str = ""
    waits_for: tuple[str, ...] = ()
    turn: str = ""
    short: bool = False
    bucket: BucketRecord | None = None
    missing: tuple[str, ...] = ()
    allowed: tuple[str, ...] | None = None

    def settled(self, debt: DebtRecord, rest: DebtRecord | None) -> Settlement:
        """What the catalog is to keep of it."""
        return Settlement(
            debt, self.places, self.added, self.removed, rest, self.bucket, self.allowed
        )


class Settling:
    """One debt that is being settled."""

    def __init__(self, services: Services, lanes: Lanes, debt: DebtRecord) -> None:
        self._services = services
        self._lanes = lanes
        self._debt = debt
        self._failed: set[str] = set()
        self._damaged: list[BlobRef] = []
        self._unclear: list[str] = []  # backends whose place is doubted still
        self._sound: set[str] = set()
        self._told = ""  # MD5 that a backend tells, once a place has other bytes
        self._proven = False
        self._error = self._turn = ""
        self.added: list[BlobRef] = []

    async def run(self) -> Outcome:
        """Copy what is to be copied; what that fails with is in the outcome.

        Raises:
            KvError: the catalog failed. Copies that were made are open intents.
        """
        places = self._services.catalog.places_of(self._debt.blob)
        inline = not self._debt.blob.backend
        waits_for: tuple[str, ...] = ()
        await self._look_at_doubted(places)
        while True:
            # Rules, or the bytes' record, may be others since the last copy was made.
            subject = subject_of(self._services, self._debt)
            if subject is None or (inline and (subject.record is None or not subject.ruled)):
                # Bytes in the catalog go with their record, or stay there: no copy is wanted.
                copies = tuple(place for place in places if place.backend) if inline else ()
                removed = (*copies, *self.added) if inline else ()
                return Outcome(places, tuple(self.added), removed)
            steps = self._steps(subject.decision, places)
            held = (*places, *self.added)
            if not steps.add:
                doubted = await self._doubted(subject, held, steps)
                if doubted is not None:
                    waits_for = doubted
                    break
                continue
            sources = [place for place in held if place not in self._damaged]
            if not sources:
                self._error = LOST
                break
            if not self._readable(sources):
                waits_for = tuple(dict.fromkeys(place.backend for place in sources))
                break
            target = steps.add[0]
            try:
                if not await self._copied(subject, sources, target):
                    self._turn = target
                    break
            except (*FAILURES, IntentLost) as failure:
                self._failed.add(target)
                self._note(target, failure)
        if self._damaged:
            await self._seek_sound(subject, held)
        return self._outcome(subject, places, steps, waits_for)

    async def _look_at_doubted(self, places: Sequence[BlobRef]) -> None:
        """Read the places that a copy is owed to all the same: a reader found them to be wrong.

        Nobody else may be able to tell, as only the reader has the key. So the others count as
        sound only where they are read, too. Where backends tell of other bytes in one place than
        in another, reading shows no more than that, and none is given up.
        """
        services = self._services
        doubted = [place for place in places if place.backend in self._debt.targets]
        subject = subject_of(services, self._debt) if doubted else None
        if subject is None:
            return
        if not subject.md5 and await self._differ(places):
            self._error = DIFFERENT
            self._unclear += [place.backend for place in doubted]
            return
        others = [place for place in places if place not in doubted]
        told = subject.md5 or await told_md5(services, others) or await told_md5(services, doubted)
        if told:
            for place in doubted:
                await self._read_doubted(place, told)

    async def _read_doubted(self, place: BlobRef, told: str) -> None:
        try:
            async with self._lanes.turn(place.backend):
                sound = await is_sound(self._services, place, told, read=True)
        except FAILURES as failure:
            self._note(place.backend, failure)
            self._unclear.append(place.backend)
            return
        if not sound:
            self._damaged.append(place)
            self._told = told

    async def _is_sound(self, subject: Subject, place: BlobRef) -> bool:
        known = subject.md5 or self._told
        return await is_sound(self._services, place, known, read=bool(self._told))

    async def _doubted(
        self, subject: Subject, held: Sequence[BlobRef], steps: Steps
    ) -> tuple[str, ...] | None:
        """Ask for the places that stay, before others go: what the catalog says is not enough.

        Returns:
            The backends that are down, of which one has to be up before more can be done; None: a
            place was found damaged.
        """
        kept = [place for n, place in enumerate(held) if n in steps.keep]
        self._proven = False
        surplus = steps.enough and len(kept) < len(held)
        self._proven = surplus
        down = []
        for place in kept if surplus else ():
            if self._is_known_sound(place):
                continue
            try:
                if not await self._is_sound(subject, place):
                    self._damaged.append(place)
                    return None
            except FAILURES as failure:
                self._proven = False
                if not self._note(place.backend, failure):
                    down.append(place.backend)
            else:
                self._sound.add(place.id)
        if self._proven and not (subject.md5 or self._told) and await self._differ(held):
            self._proven, self._error = False, self._error or DIFFERENT
        return (*down, *steps.away, *steps.instead)

    async def _differ(self, held: Sequence[BlobRef]) -> bool:
        """Whether backends tell of other bytes in one place than in another."""
        places = [place for place in held if place.backend and place not in self._damaged]
        told = {await told_md5(self._services, [place]) for place in places}
        return len(told - {""}) > 1

    async def _seek_sound(self, subject: Subject, held: Sequence[BlobRef]) -> None:
        """Ask the other places until one is sound: those that are damaged go only then."""
        is_up = self._services.health.is_up
        for place in held:
            if place in self._damaged:
                continue
            if self._is_known_sound(place):
                return
            if not is_up(place.backend):
                continue
            try:
                if await self._is_sound(subject, place):
                    self._sound.add(place.id)
                    return
            except FAILURES as failure:
                self._note(place.backend, failure)
            else:
                self._damaged.append(place)

    def _is_known_sound(self, place: BlobRef) -> bool:
        return not place.backend or place in self.added or place.id in self._sound

    def _note(self, backend: str, failure: Exception) -> bool:
        """Note what failed at a backend; False: it is down, and that is all."""
        if not self._services.health.is_up(backend):
            return False
        self._error = self._error or f"{backend}: {failure}"[:ERROR_LENGTH_MAX]
        return True

    def _outcome(
        self,
        subject: Subject,
        places: tuple[BlobRef, ...],
        steps: Steps,
        waits_for: tuple[str, ...],
    ) -> Outcome:
        """What came of it, where it ended because of backends that are down, or of nothing."""
        held = (*places, *self.added)
        if self._proven and not steps.add:
            surplus = [place for n, place in enumerate(held) if n not in steps.keep]
        else:
            intact = [place for place in held if place not in self._damaged]
            surplus = self._damaged if any(map(self._is_known_sound, intact)) else []
        waits_for = () if self._error else waits_for
        return Outcome(
            places,
            tuple(self.added),
            tuple(surplus),
            error=self._error,
            waits_for=waits_for,
            turn=self._turn,
            short=not self._error and not waits_for and len(steps.keep) < subject.decision.wanted,
            bucket=subject.bucket,
            missing=(*steps.add, *steps.away, *self._unclear),
            allowed=self._allowed(subject.decision),
        )

    def _allowed(self, decision: Decision) -> tuple[str, ...]:
        drained = self._services.draining
        return tuple(name for name in decision.order if name not in drained)

    def _steps(self, decision: Decision, places: Sequence[BlobRef]) -> Steps:
        services = self._services
        return steps_of(
            ["" if place in self._damaged else place.backend for place in (*places, *self.added)],
            self._allowed(decision),
            decision.wanted,
            writable=lambda name: name not in decision.read_only,
            is_up=lambda name: name not in self._failed and services.health.is_up(name),
        )

    def _readable(self, held: Sequence[BlobRef]) -> bool:
        is_up = self._services.health.is_up
        return any(not place.backend or is_up(place.backend) for place in held)

    async def _copied(self, subject: Subject, sources: Sequence[BlobRef], target: str) -> bool:
        """Copy to one backend; False where others wait there, and the debt is in another lane."""
        lane = next(iter(self._debt.targets), "")
        with self._lanes.visit(target, lane) as free:
            if free:
                self.added.append(await self._copy(subject, sources, target))
            return free

    async def _copy(self, subject: Subject, sources: Sequence[BlobRef], target: str) -> BlobRef:
        """Copy to one backend; where the bytes are wrong, from one place after the other."""
        try:
            return await self._copy_from(subject, sources, target)
        except Damaged:
            if len(sources) == 1:
                raise
        return await self._copy_from_any(subject, sources, target)

    async def _copy_from_any(
        self, subject: Subject, sources: Sequence[BlobRef], target: str
    ) -> BlobRef:
        """Copy from the first place whose bytes are right; those before it count no more."""
        wrong: list[BlobRef] = []
        failure: Exception = Damaged()
        for place in sources:
            try:
                copy = await self._copy_from(subject, [place], target)
            except Damaged:
                wrong.append(place)
            except FAILURES as error:
                failure = error
            else:
                self._damaged += wrong
                return copy
        raise failure

    async def _copy_from(
        self, subject: Subject, sources: Sequence[BlobRef], target: str
    ) -> BlobRef:
        record = subject.record
        original = Original(
            blob=self._debt.blob,
            about=record if record is not None and len(record.blobs) == 1 else None,
            md5=subject.md5 or self._told,
            rates=self._lanes.rates(target, *(place.backend for place in sources[:1])),
            turn=partial(self._lanes.turn, target),
        )
        return await copy_to(
            self._services, subject.bucket, self._debt.key, sources, target, original=original
        )
