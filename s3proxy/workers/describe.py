"""The describer: keeps manifests beside blobs as the catalog has the versions.

What is to be written is noted in the transactions that change versions (catalog/manifests.py). A
manifest is written, rewritten or removed until that is done: whatever is cut off between the
provider and the catalog is done once more.
"""

from __future__ import annotations

from contextlib import aclosing, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from s3proxy.backends.errors import BackendError, NoSuchContainer
from s3proxy.backends.store import PutOptions
from s3proxy.catalog.describing import WrittenManifest
from s3proxy.catalog.errors import BadMasterKey, CatalogError, NoSuchBucket
from s3proxy.catalog.manifests import needs_manifest
from s3proxy.catalog.records import ProgressRecord
from s3proxy.catalog.tables import BUCKETS, MANIFEST_ORDER
from s3proxy.http.body import BytesBody
from s3proxy.http.errors import TransportError
from s3proxy.log import get_logger
from s3proxy.ops.containers import containers_of
from s3proxy.ops.manifests import (
    BUCKET_NAME,
    PREFIX,
    Found,
    FoundBucket,
    containers_for,
    encode_bucket,
    encode_version,
    keeps_manifests,
    places_of,
    version_name,
)
from s3proxy.ops.placing import decision_of, rules_of
from s3proxy.ops.walks import buckets_of
from s3proxy.workers.worker import backoff_s

if TYPE_CHECKING:
    from s3proxy.catalog.manifest_records import Container, ManifestRecord
    from s3proxy.catalog.records import BucketRecord
    from s3proxy.ops.call import Services

BATCH: Final = 256
PARALLEL: Final = 16
POLL_S: Final = 5.0
# Changes of buckets that come together cost one look at all.
GATHER_S: Final = 0.5
PAGE_ROWS: Final = 32  # each may have 10,000 blobs, and they are read in one go
LOOK_NAMES: Final = 2  # the folder of manifests, and anything else
TASK: Final = "describe"
JSON: Final = {"content-type": "application/json"}
# What writing a manifest may fail with.
FAILURES: Final = (BackendError, TransportError, OSError)

logger = get_logger("describe")


class Describer:
    """Worker that writes manifests.

    Args:
        every_bucket: also for buckets without rules of placement, where their backend can hold any.
    Attributes:
        written, removed, failed: objects at providers.
    """

    name = "describe"

    def __init__(self, services: Services, *, every_bucket: bool = False) -> None:
        self._services = services
        self._every_bucket = every_bucket
        self._catalog = services.catalog
        self._changed = trio.Event()
        self._limiter = trio.CapacityLimiter(PARALLEL)
        self._buckets_changed = True
        self.written = self.removed = self.failed = 0
        services.catalog.engine.on_change(self._wake, MANIFEST_ORDER)
        services.catalog.engine.on_change(self._wake_for_buckets, BUCKETS)

    def _wake(self) -> None:
        self._changed.set()

    def _wake_for_buckets(self) -> None:
        self._buckets_changed = True
        self._changed.set()

    async def work(self) -> bool:
        """Write one batch, and see that buckets with rules are marked and walked."""
        self._changed = trio.Event()
        if self._buckets_changed:
            self._buckets_changed = False
            try:
                await self._look_for_buckets()
            except BaseException:
                self._buckets_changed = True
                raise
        due = self._catalog.due_manifests(self._services.clock_ns(), BATCH)
        if not due:
            return False
        settled: list[WrittenManifest] = []
        async with trio.open_nursery() as nursery:
            for record in due:
                nursery.start_soon(self._bring_about, record, settled)
        await self._catalog.settle_manifests(settled)
        return len(due) == BATCH

    async def wait_for_work(self) -> None:
        """Return when something is due, or may be."""
        with trio.move_on_after(POLL_S):
            await self._changed.wait()
        if self._buckets_changed:
            await trio.sleep(GATHER_S)

    async def _look_for_buckets(self) -> None:
        """Mark the buckets that are to have manifests, and note what they hold."""
        async with aclosing(buckets_of(self._services)) as buckets:
            async for bucket in buckets:
                if bucket.kind == "managed" and (bucket.manifests or self._is_to_have(bucket)):
                    await self._look_at(bucket)

    async def _look_at(self, bucket: BucketRecord) -> None:
        progress = self._catalog.get_progress(bucket, TASK)
        if bucket.manifests and progress is not None and progress.done:
            return
        try:
            await self._walk(bucket)
        except NoSuchBucket:
            return
        except CatalogError as error:
            logger.error("walk given up", bucket=bucket.name, error=str(error))

    def _is_to_have(self, bucket: BucketRecord) -> bool:
        """Whether rules of placement are in force in a bucket, or manifests wanted without them."""
        if rules_of(self._services, bucket) is not None:
            return True
        return self._every_bucket and any(map(self._keeps, containers_of(bucket)))

    async def _walk(self, bucket: BucketRecord) -> None:
        """Note every version that needs a manifest; those written from now on note themselves."""
        bucket = await self._catalog.update_bucket(bucket, _marked)
        key = version_id = ""
        while True:
            page = self._catalog.list_versions(
                bucket, key_marker=key, version_id_marker=version_id, limit=PAGE_ROWS
            )
            if page.entries:
                found = [(entry.key, entry.record) for entry in page.entries]
                await self._catalog.note_versions(bucket, found)
            if not page.truncated:
                break
            key, version_id = page.next_key_marker, page.next_id_marker
        await self._catalog.put_progress(bucket, TASK, ProgressRecord(round=1, done=True))

    async def _bring_about(self, record: ManifestRecord, settled: list[WrittenManifest]) -> None:
        async with self._limiter:
            name, data, wanted = self._wanted(record)
            held = set(record.written)
            stale = held - set(wanted)
            if not wanted:
                stale |= self._possible(record)
            failed, kept, told = False, False, set(record.told) & set(wanted)
            for place in wanted:
                held.add(place)
                if place in told:
                    continue
                if await self._do(record, place, name, data):
                    told.add(place)
                else:
                    failed = True
            for place in sorted(stale):
                if data and not told and await self._tells_alone(record, place, wanted):
                    kept = True
                elif await self._do(record, place, name, None):
                    held.discard(place)
                else:
                    failed = True
        self.failed += failed
        retry_ns = 0
        if failed or kept:
            retry_ns = self._services.clock_ns() + int(backoff_s(record.tries + 1) * 1e9)
        settled.append(WrittenManifest(record, tuple(sorted(held)), tuple(sorted(told)), retry_ns))

    def _wanted(self, manifest: ManifestRecord) -> tuple[str, bytes, tuple[Container, ...]]:
        """Name and bytes of a manifest, and where it belongs; nowhere: it is to be removed."""
        name = version_name(manifest.key, manifest.sequence) if manifest.key else BUCKET_NAME
        bucket = self._catalog.get_bucket(manifest.bucket, manifest.tenant)
        if bucket is None or bucket.id != manifest.bucket_id:
            return name, b"", ()
        if not manifest.key:
            # Where rules forbid bytes, names, tags and policies may not be either.
            refused = {one.backend for one in decision_of(self._services, bucket).refused}
            kept = (place for place in containers_of(bucket) if self._keeps(place))
            places = [place for place in kept if place[0] not in refused]
            configs = self._catalog.all_bucket_configs(bucket)
            told = FoundBucket(bucket, configs, manifest.revision)
            return name, encode_bucket(told), tuple(places)
        record = self._catalog.get_object(bucket, manifest.key, manifest.version_id)
        if record is None or record.sequence != manifest.sequence:
            return name, b"", ()
        if not (manifest.changed or needs_manifest(record)):
            return name, b"", ()
        # Sealed under a key that is gone, it stays closed; what else it says is of use.
        with suppress(BadMasterKey):
            record = self._catalog.renewed(record)
        held = places_of(self._services, record)
        version = Found(bucket.tenant, bucket.name, manifest.key, record, held, manifest.revision)
        return name, encode_version(version), containers_for(self._services, bucket, record)

    async def _tells_alone(
        self, manifest: ManifestRecord, place: Container, wanted: tuple[Container, ...]
    ) -> bool:
        """Whether a manifest has to stay where it should not be, as no other place is told yet.

        A rebuild would know the bytes that are still there, and neither rules nor policies.
        """
        if wanted:
            return True
        if not manifest.key:
            return await self._has_bytes(place)
        bucket = self._catalog.get_bucket(manifest.bucket, manifest.tenant)
        around = None if bucket is None else self._catalog.bucket_manifest(bucket)
        # Versions stay with the bucket's for as long as that is on its way.
        return around is not None and around.due_ns > 0 and place in around.written

    async def _has_bytes(self, place: Container) -> bool:
        """Whether anything but manifests lies in a container, or may."""
        backend, container = place
        target = self._services.backends.get(backend)
        if target is None:
            return False
        look = partial(target.blobs(container).list, "", delimiter="/", after="", limit=LOOK_NAMES)
        try:
            page = await self._services.health.attempt(backend, look)
        except NoSuchContainer:
            return False
        except FAILURES:
            return True
        return bool(page.objects) or any(found != PREFIX for found in page.common_prefixes)

    def _possible(self, manifest: ManifestRecord) -> set[Container]:
        """Where a manifest may be that was written and never noted."""
        bucket = self._catalog.get_bucket(manifest.bucket, manifest.tenant)
        if bucket is None or bucket.id != manifest.bucket_id:
            return set()
        return {place for place in containers_of(bucket) if self._keeps(place)}

    def _keeps(self, place: Container) -> bool:
        return keeps_manifests(self._services, *place)

    async def _do(
        self, manifest: ManifestRecord, place: Container, name: str, data: bytes | None
    ) -> bool:
        """Write a manifest to one place, or remove it there (data None); False where it failed."""
        backend, container = place
        target = self._services.backends.get(backend)
        if target is None:
            return data is None  # no longer configured: nobody reads it there
        store = target.blobs(container)

        async def act() -> None:
            if data is None:
                await store.delete(name)
            else:
                options = PutOptions(length=len(data), system=JSON)
                await store.put(name, BytesBody(data), options)

        try:
            await self._services.health.attempt(backend, act)
        except FAILURES as error:
            if data is None and isinstance(error, NoSuchContainer):
                return True
            if not manifest.tries:
                logger.warning(
                    "manifest not written yet",
                    backend=backend,
                    bucket=manifest.bucket,
                    key=manifest.key,
                    error=str(error),
                )
            return False
        if data is None:
            self.removed += 1
        else:
            self.written += 1
        return True


def _marked(bucket: BucketRecord) -> BucketRecord:
    return msgspec.structs.replace(bucket, manifests=True)
