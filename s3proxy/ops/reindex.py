"""Rebuilding the catalog from what lies at providers: physical buckets and metadata alone.

Three passes, each over all containers of all backends that are named, so that a place counts only
where its container is known to be of the same bucket: buckets, then versions told by manifests,
then blobs that tell their object themselves. What is there is added to; what is known stays. What
a provider says is checked, and passed over with a line in the report where it cannot be true.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from s3proxy.backends.errors import BackendError, NotFound
from s3proxy.backends.s3 import S3Backend
from s3proxy.catalog.errors import NoSuchBucket
from s3proxy.catalog.rebuilding import Telling
from s3proxy.catalog.records import BlobRef, BucketRecord, ObjectRecord, ProgressRecord
from s3proxy.http.errors import TransportError
from s3proxy.ops import about
from s3proxy.ops.manifests import (
    BUCKET_NAME,
    BYTES_MAX,
    PREFIX,
    VERSIONS_PREFIX,
    FoundBucket,
    NotSound,
    decode_bucket,
    decode_version,
)
from s3proxy.ops.whole_object import read_whole
from s3proxy.s3.errors import S3Error
from s3proxy.s3.listing import ListedObject
from s3proxy.s3.names import check_key

if TYPE_CHECKING:
    from s3proxy.backends.store import Stat, Store
    from s3proxy.ops.call import Services
    from s3proxy.ops.manifests import Found

PARALLEL: Final = 16
PAGE_ROWS: Final = 1000
PROBLEMS_MAX: Final = 100
# Blobs that are asked whose container it is, where no manifest says it.
ASKED_MAX: Final = 50
SAVE_S: Final = 5.0
EVER_NS: Final = (1 << 63) - 2  # later than any time that is kept
TASK: Final = "reindex"
FAILURES: Final = (BackendError, TransportError, OSError, NotSound)

Home = tuple[str, str]  # backend, container


class ReindexReport(msgspec.Struct):
    """What was found.

    Attributes:
        counts: by outcome: buckets, manifests, versions added, updated, known, older (their place
            is taken by a newer one), incomplete (a blob is on no backend that was looked at),
            blobs, places added, recovered (without the id they had), parts and encrypted (blobs
            that no manifest tells of), garbage (blobs that wait for the collector), foreign (what
            is no name of ours).
        problems: the first of them, each a line; `problems_count` is of all.
    """

    counts: dict[str, int] = msgspec.field(default_factory=dict)
    problems: list[str] = msgspec.field(default_factory=list)
    problems_count: int = 0

    def count(self, what: str, number: int = 1) -> None:
        """Count an outcome."""
        self.counts[what] = self.counts.get(what, 0) + number

    def problem(self, line: str) -> None:
        """Note what could not be taken."""
        self.problems_count += 1
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(line)


class Reindex:
    """One run over some backends.

    Args:
        backends: their names; those of other kinds than S3 cannot be rebuilt from.
    Raises:
        ValueError: a backend cannot be rebuilt from; the text says why.
    """

    def __init__(self, services: Services, backends: Sequence[str]) -> None:
        self._services = services
        self._catalog = services.catalog
        self._backends = [_rebuildable(services, name) for name in backends]
        self._homes: dict[Home, BucketRecord] = {}
        self._doomed: set[str] = set()
        self.report = ReindexReport()

    async def run(self) -> ReindexReport:
        """Do all of it.

        Raises:
            BackendError, TransportError, OSError: a backend does not tell what it holds; what was
                done stays, and the next run goes on.
            KvError: the catalog failed.
        """
        await self._give_up()
        await self._find_buckets()
        for home, bucket in self._homes.items():
            await self._walk(home, bucket, VERSIONS_PREFIX, self._take_manifest)
        for home, bucket in self._homes.items():
            await self._walk(home, bucket, "", self._take_blob)
        return self.report

    async def _give_up(self) -> None:
        """Learn which blobs are nobody's: of writes that never ended, and what is to be collected.

        The collector takes them, whatever comes to point at them.
        """
        for intent in self._catalog.open_intents():
            await self._catalog.drop_intent(intent.blob.id, garbage=intent.blob)
        queued = self._catalog.due_garbage(EVER_NS, sys.maxsize)
        self._doomed = {record.blob.id for record in queued}

    async def _find_buckets(self) -> None:
        """Find whose each container is, and have the buckets, as they were told last."""
        told: dict[Home, FoundBucket] = {}
        for backend in self._backends:
            for container in await backend.containers():
                home = (backend.name, container)
                found = await self._bucket_of(backend, container)
                if found is not None:
                    told[home] = found
        latest: dict[tuple[str, str], FoundBucket] = {}
        for found in told.values():
            name = (found.record.tenant, found.record.name)
            if name not in latest or _age(latest[name]) < _age(found):
                latest[name] = found
        for home, found in told.items():
            last = latest[found.record.tenant, found.record.name]
            if found.record.id and last.record.id and found.record.id != last.record.id:
                self.report.problem(f"{'/'.join(home)}: of an earlier bucket of the same name")
                continue
            await self._have(home, last)

    async def _have(self, home: Home, found: FoundBucket) -> None:
        self.report.count("containers")
        bucket = await self._catalog.adopt_bucket(found.record, found.configs, home)
        if bucket is None:
            self.report.problem(f"{'/'.join(home)}: the catalog has it as another bucket's")
        else:
            self._homes[home] = bucket

    async def _bucket_of(self, backend: S3Backend, container: str) -> FoundBucket | None:
        """Whose a container is, by its manifest, or else by what its blobs say."""
        store = backend.blobs(container)
        where = f"{backend.name}/{container}"
        try:
            return decode_bucket(await read_whole(store, BUCKET_NAME, BYTES_MAX))
        except NotFound:
            pass
        except NotSound as error:
            self.report.problem(f"{where}: {BUCKET_NAME}: {error}")
        page = await store.list("", delimiter="", after="", limit=ASKED_MAX)
        for entry in page.objects:
            said = about.read((await store.head(entry.key)).user)
            if said is not None:
                bucket = BucketRecord(
                    name=said.bucket,
                    tenant=said.tenant,
                    kind="managed",
                    backend=backend.name,
                    container=container,
                    region=self._services.settings.region,
                    created_ns=said.written_ns,
                    versioning="Suspended" if about.VERSIONED in said.flags else "",
                )
                return FoundBucket(bucket, {}, 0)
        if page.objects:
            self.report.problem(f"{where}: nothing in it says whose it is")
        return None

    async def _walk(
        self,
        home: Home,
        bucket: BucketRecord,
        prefix: str,
        take: Callable[[Home, BucketRecord, ListedObject], Awaitable[None]],
    ) -> None:
        """Have every name below a prefix taken, several at once; goes on where it was cut off."""
        backend = self._services.backend(home[0])
        task = "\0".join((TASK, prefix, *home))
        progress = self._catalog.get_progress(bucket, task)
        after = progress.cursor if progress is not None and not progress.done else ""
        saved_s = trio.current_time()
        async for page in _pages(backend.blobs(home[1]), prefix, after):
            # No name twice at once: blobs of one key follow each other.
            async with trio.open_nursery() as nursery:
                for part in range(PARALLEL):
                    nursery.start_soon(self._take_some, home, bucket, page[part::PARALLEL], take)
            if trio.current_time() > saved_s + SAVE_S:
                saved_s = trio.current_time()
                record = ProgressRecord(round=0, cursor=page[-1].key)
                await self._catalog.put_progress(bucket, task, record)
        await self._catalog.put_progress(bucket, task, ProgressRecord(round=0, done=True))

    async def _take_some(
        self,
        home: Home,
        bucket: BucketRecord,
        entries: Sequence[ListedObject],
        take: Callable[[Home, BucketRecord, ListedObject], Awaitable[None]],
    ) -> None:
        for entry in entries:
            try:
                await take(home, bucket, entry)
            except (NotFound, NotSound, NoSuchBucket) as error:
                self.report.problem(f"{'/'.join(home)}: {entry.key}: {error}")

    async def _take_manifest(self, home: Home, bucket: BucketRecord, entry: ListedObject) -> None:
        self.report.count("manifests")
        store = self._services.backend(home[0]).blobs(home[1])
        found = decode_version(await read_whole(store, entry.key, BYTES_MAX), entry.key)
        if (found.tenant, found.bucket) != (bucket.tenant, bucket.name):
            raise NotSound("it tells of another bucket")
        places: dict[str, list[BlobRef]] = {}
        for blob in found.record.blobs:
            places[blob.id] = await self._seen(bucket, found, blob)
            if not places[blob.id]:
                self.report.count("incomplete")
                self.report.problem(
                    f"{'/'.join(home)}: {found.key} {found.record.named_version}: the blob"
                    f" {blob.id} is on no backend that was looked at"
                )
                return
        told = Telling(found.key, found.record, places, home, found.revision)
        await self._adopt(bucket, told)

    async def _seen(self, bucket: BucketRecord, found: Found, blob: BlobRef) -> list[BlobRef]:
        """Those places of a blob that are in containers of its bucket, and have it."""
        seen = []
        for place in found.places[blob.id]:
            home = self._homes.get((place.backend, place.container))
            if place.id in self._doomed:
                continue
            if home is None or (home.tenant, home.name) != (bucket.tenant, bucket.name):
                continue
            store = self._services.backend(place.backend).blobs(place.container)
            try:
                stat = await store.head(place.name)
            except NotFound:
                continue
            if stat.size == place.size:
                seen.append(place)
        return seen

    async def _adopt(self, bucket: BucketRecord, told: Telling) -> None:
        self.report.count(await self._catalog.adopt_version(bucket, told))

    async def _take_blob(self, home: Home, bucket: BucketRecord, entry: ListedObject) -> None:
        if entry.key.startswith(PREFIX) and not about.is_blob_id(entry.key[-32:]):
            return
        key, tilde, blob_id = entry.key.rpartition("~")
        if not tilde or not about.is_blob_id(blob_id):
            self.report.count("foreign")
            return
        if blob_id in self._doomed:
            self.report.count("garbage")
            return
        self.report.count("blobs")
        if key and self._is_place(bucket, key, blob_id):
            return
        backend, container = home
        stat = await self._services.backend(backend).blobs(container).head(entry.key)
        said = about.read(stat.user)
        if said is not None and (said.tenant, said.bucket) != (bucket.tenant, bucket.name):
            raise NotSound("it says that it is of another bucket")
        key = said.key if said is not None and said.key else key
        try:
            check_key(key)
        except S3Error as error:
            raise NotSound("no name of a key") from error
        place = BlobRef(blob_id, backend, container, entry.key, stat.size)
        await self._take_place(bucket, key, place, _Seen(said, stat))

    def _is_place(self, bucket: BucketRecord, key: str, blob_id: str) -> bool:
        """Whether a blob is a place already, and not only what another is a copy of."""
        logical_id = self._catalog.blobs_of_key(bucket, key).get(blob_id)
        if logical_id is None:
            return False
        logical = BlobRef(logical_id, "", "", "", 0)
        places = self._catalog.places_of(logical)
        return places == (logical,) or any(place.id == blob_id for place in places)

    async def _take_place(
        self, bucket: BucketRecord, key: str, place: BlobRef, seen: _Seen
    ) -> None:
        said = seen.said or about.About(tenant=bucket.tenant, bucket=bucket.name)
        logical = said.blob_id or place.id
        known = {*self._catalog.blobs_of_key(bucket, key).values()}
        if logical in known:
            self.report.count("places")
            await self._catalog.adopt_place(bucket, key, logical, place)
            return
        if about.PART in said.flags:
            self.report.count("parts")
            return
        if about.ENCRYPTED in said.flags:
            self.report.count("encrypted")
            self.report.problem(f"{bucket.name}: {key}: encrypted, and no manifest has its key")
            return
        blob = msgspec.structs.replace(place, id=logical)
        record = seen.record(blob, said)
        newest = about.VERSIONED in said.flags
        if newest:
            latest = self._catalog.get_latest(bucket, key)
            if latest is not None and latest.modified_ns >= record.modified_ns:
                self.report.count("older")
                return
            self.report.count("recovered")
        await self._adopt(bucket, Telling(key, record, {logical: [place]}, newest=newest))


class _Seen(msgspec.Struct, frozen=True):
    """A blob as its backend shows it."""

    said: about.About | None
    stat: Stat

    def record(self, blob: BlobRef, said: about.About) -> ObjectRecord:
        """The object that it is the only blob of."""
        stat, (algorithm, checksum) = self.stat, said.checksum
        return ObjectRecord(
            size=stat.size,
            etag=said.etag or stat.etag,
            modified_ns=said.written_ns or stat.modified_ns,
            checksum_type="FULL_OBJECT" if algorithm else "",
            checksums={algorithm: checksum} if algorithm else {},
            system=stat.system,
            user=about.without_ours(stat.user),
            blobs=(blob,),
        )


def _rebuildable(services: Services, name: str) -> S3Backend:
    backend = services.backends.get(name)
    if backend is None:
        raise ValueError(f"there is no backend {name}")
    if not isinstance(backend, S3Backend):
        raise ValueError(
            f"backend {name}: a local backend keeps neither keys nor metadata with its blobs;"
            " restore a backup of the catalog (s3proxy catalog restore)"
        )
    return backend


def _age(found: FoundBucket) -> tuple[int, int]:
    return found.revision, found.record.created_ns


async def _pages(store: Store, prefix: str, after: str) -> AsyncIterator[list[ListedObject]]:
    while True:
        page = await store.list(prefix, delimiter="", after=after, limit=PAGE_ROWS)
        if page.objects:
            yield page.objects
        if not page.truncated:
            return
        after = page.next_after
