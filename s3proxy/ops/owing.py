"""Finding what is not where its rules want it: a walk over a bucket, which only writes debts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from s3proxy.catalog.records import BlobRef, BucketRecord, Owed, ProgressRecord, UploadRecord
from s3proxy.catalog.settling import Owing
from s3proxy.catalog.tables import encode
from s3proxy.ops.manifests import containers_for
from s3proxy.ops.placement_steps import steps_of
from s3proxy.ops.placing import decision_of, rules_of
from s3proxy.ops.settle_debt import replicas_of

if TYPE_CHECKING:
    from s3proxy.catalog.version_listing import VersionEntry
    from s3proxy.ops.call import Services
    from s3proxy.placement import Decision

PAGE_ROWS: Final = 32  # each may have 10,000 blobs, and they are read in one go
# Blobs looked at without a pause, about 1 ms, and debts in a transaction; an object may have more.
LOOKS_MAX: Final = 128
DEBTS_MAX: Final = 256
OBJECTS_PER_S: Final = 5000
SAVE_S: Final = 5.0


def owed_for(services: Services, blob: BlobRef, decision: Decision, replicas: int) -> Owed | None:
    """What is owed for a blob by where it is; None: it is where it should be."""
    places = services.catalog.places_of(blob)
    steps = steps_of(
        [place.backend for place in places],
        [name for name in decision.order if name not in services.draining],
        decision.wanted,
        writable=lambda name: name not in decision.read_only,
        is_up=lambda name: True,
    )
    if not steps.add and len(steps.keep) == len(places):
        return None
    return Owed(blob, targets=steps.add, replicas=replicas)


def held_on(services: Services, blob: BlobRef, backend: str) -> list[BlobRef]:
    """The places of a blob on a backend, and its copies on their way there."""
    if not blob.backend:
        return []
    found = services.catalog.get_copies(blob)
    under_way = [transfer.copy for transfer in found.transfers]
    return [place for place in (*found.places, *under_way) if place.backend == backend]


def walk_rules(services: Services, bucket: BucketRecord) -> bytes:
    """A digest of all that says where the objects of a bucket should be; b"": nothing does."""
    rules = rules_of(services, bucket)
    if rules is None:
        return b""
    facts = [services.facts[name] for name in sorted(services.facts)]
    # In one order: that of a set is another in every process, and each start would walk anew.
    told = [msgspec.to_builtins(one, order="deterministic") for one in facts]
    tenant = services.catalog.get_tenant(bucket.tenant)
    revision = bucket.placement_revision + (0 if tenant is None else tenant.placement_revision)
    said = encode((rules, revision, told))
    return hashlib.blake2b(said, digest_size=16).digest()


async def owe_bucket(
    services: Services,
    bucket: BucketRecord,
    task: str,
    *,
    rules: bytes = b"",
    objects_per_s: int = OBJECTS_PER_S,
    on: str = "",
) -> int:
    """Write a debt for every blob of a bucket that is not where its rules want it.

    Bounded in rate and memory. One that was cut off is gone on with, where the next has the same
    task and rules. What was decided on before it began, and is published later, owes for itself
    (catalog/walks.py).

    Args:
        task: names the walk.
        rules: digest of what is walked for.
        on: only for blobs that have a place on this backend; "" for all.
    Returns:
        How many debts were written by this call.

    Raises:
        NoSuchBucket: the bucket is gone.
        KvError: the catalog failed.
    """
    progress = services.catalog.get_progress(bucket, task)
    if progress is None or progress.done or progress.rules != rules:
        bucket = await services.catalog.begin_walk(bucket, task, rules, describe=not on)
        progress = ProgressRecord(round=0, rules=rules)
    return await _Walk(services, bucket, task, progress, on).run(objects_per_s)


class _Walk:
    """One walk over the parts of a bucket's uploads, then over its versions.

    In this order, as parts become a version's, and none becomes a part's.
    """

    def __init__(
        self,
        services: Services,
        bucket: BucketRecord,
        task: str,
        progress: ProgressRecord,
        on: str,
    ) -> None:
        self._on = on
        self._services = services
        self._catalog = services.catalog
        self._bucket = bucket
        self._task = task
        self._progress = progress
        self._saved_s = trio.current_time()
        self._looks = 0
        self._owing: list[Owing] = []
        self._found = 0

    async def run(self, objects_per_s: int) -> int:
        done_key, version_id = self._progress.cursor, ""
        key = done_key
        if not key:
            await self._note(self._of_uploads())
            await self._owe()  # before versions are read: parts become theirs
        while True:
            page = self._catalog.list_versions(
                self._bucket, key_marker=key, version_id_marker=version_id, limit=PAGE_ROWS
            )
            for entry in page.entries:
                await self._note(self._of_version(entry))
            await self._owe()
            await self._describe_markers(page.entries)
            await trio.sleep(len(page.entries) / objects_per_s)
            if not page.truncated:
                break
            key, version_id = page.next_key_marker, page.next_id_marker
            # The page may end amid the versions of a key: that one is walked again.
            done_keys = (entry.key for entry in reversed(page.entries) if entry.key != key)
            done_key = next(done_keys, done_key)
            await self._save(done_key)
        await self._save("", done=True)
        return self._found

    async def _note(self, looks: Iterable[Owing | None]) -> None:
        """Look on, in small steps, and owe in small transactions: others wait for either."""
        for owing in looks:
            self._looks += 1
            if owing is not None:
                self._owing.append(owing)
            if len(self._owing) == DEBTS_MAX:
                await self._owe()
            elif self._looks % LOOKS_MAX == 0:
                await trio.lowlevel.checkpoint()

    async def _owe(self) -> None:
        owing, self._owing = self._owing, []
        if owing:
            self._found += await self._catalog.add_debts(self._bucket, owing)

    async def _describe_markers(self, entries: Iterable[VersionEntry]) -> None:
        """Have delete markers told of where the rules want it: no bytes of theirs move."""
        if self._on or not self._bucket.manifests:
            return
        stale = [
            (entry.key, entry.record)
            for entry in entries
            if entry.record.delete_marker and self._is_told_elsewhere(entry)
        ]
        if stale:
            await self._catalog.note_versions(self._bucket, stale, anew=True)

    def _is_told_elsewhere(self, entry: VersionEntry) -> bool:
        manifest = self._catalog.version_manifest(self._bucket, entry.key, entry.record)
        written = () if manifest is None else manifest.written
        return set(written) != set(containers_for(self._services, self._bucket, entry.record))

    async def _save(self, cursor: str, *, done: bool = False) -> None:
        if not done and trio.current_time() < self._saved_s + SAVE_S:
            return
        progress = msgspec.structs.replace(self._progress, cursor=cursor, done=done)
        await self._catalog.put_progress(self._bucket, self._task, progress)
        self._saved_s = trio.current_time()

    def _owed_for(self, blob: BlobRef, decision: Decision, replicas: int) -> Owed | None:
        if self._on and not held_on(self._services, blob, self._on):
            return None
        owed = owed_for(self._services, blob, decision, replicas)
        # A copy on its way to a backend that is drained is given up when its debt is settled.
        return owed or (Owed(blob, replicas=replicas) if self._on else None)

    def _of_version(self, entry: VersionEntry) -> Iterator[Owing | None]:
        """What is owed for each blob of a version, None for one that is where it should be."""
        record = entry.record
        if record.delete_marker:
            return
        replicas = replicas_of(record.tags)
        decision = decision_of(self._services, self._bucket, replicas, record.storage_class)
        ruled = bool(replicas) or rules_of(self._services, self._bucket) is not None
        for blob in record.blobs if ruled else [blob for blob in record.blobs if blob.backend]:
            owed = self._owed_for(blob, decision, replicas)
            yield None if owed is None else Owing(entry.key, owed, record.named_version)

    def _of_uploads(self) -> Iterator[Owing | None]:
        """What is owed for parts; they become an object's with what is owed for them."""
        for upload in self._uploads():
            yield None
            replicas = replicas_of(upload.tags)
            decision = decision_of(self._services, self._bucket, replicas, upload.storage_class)
            for part in self._catalog.list_parts(self._bucket, upload.upload_id):
                blob = part.blob
                if blob is None or not blob.backend:
                    continue
                owed = self._owed_for(blob, decision, replicas)
                if owed is not None:
                    yield Owing(upload.key, owed, "", upload.upload_id, part.number)
                else:
                    yield None

    def _uploads(self) -> Iterator[UploadRecord]:
        marker = upload_id_marker = ""
        while True:
            page = self._catalog.list_uploads(
                self._bucket, key_marker=marker, upload_id_marker=upload_id_marker
            )
            yield from page.entries
            if not page.truncated:
                return
            marker, upload_id_marker = page.next_key_marker, page.next_id_marker
