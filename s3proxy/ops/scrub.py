"""Scrubbing: what the catalog has, against what backends list; heals what it can, or reports.

In each container of each bucket two ordered streams are merged, so that memory does not grow with
what is there. What looks wrong is asked for once more, by itself, before anything is done: a
listing may be older than a write. What is healed becomes a debt, or garbage, in one transaction;
the last place of a blob is never given up, and versions are never touched.

Local backends have no listing in the order of keys: their blobs are asked for one by one, and
unknown ones are not found.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from s3proxy.backends.errors import BackendError, NoSuchContainer, NotFound
from s3proxy.catalog.errors import NoSuchBucket
from s3proxy.catalog.records import BlobRef, BucketRecord, Owed, ProgressRecord
from s3proxy.catalog.settling import Owing
from s3proxy.http.errors import TransportError
from s3proxy.ops import about
from s3proxy.ops.containers import containers_of
from s3proxy.ops.key_blobs import KnownIds
from s3proxy.ops.manifests import BUCKET_NAME, BYTES_MAX, PREFIX, NotSound, decode_bucket
from s3proxy.ops.owing import owed_for
from s3proxy.ops.placing import decision_of
from s3proxy.ops.scrub_names import Expected, ExpectedNames
from s3proxy.ops.settle_debt import replicas_of
from s3proxy.ops.soundness import differs, md5_of, stat_of, told_md5
from s3proxy.ops.whole_object import TooLarge, read_whole

if TYPE_CHECKING:
    from s3proxy.backends.store import Store
    from s3proxy.ops.call import Services
    from s3proxy.s3.listing import ListedObject

OBJECTS_PER_S: Final = 1000
# A write takes no longer than this from its first byte to its record; older unknown blobs are
# nobody's.
UNKNOWN_GRACE_S: Final = 86_400.0
PAGE_ROWS: Final = 1000
SAVE_S: Final = 5.0
OWE_AT_ONCE: Final = 256
PROBLEMS_MAX: Final = 100
TASK: Final = "scrub"
FAILURES: Final = (BackendError, TransportError, OSError)

Home = tuple[str, str]


class ScrubReport(msgspec.Struct):
    """What was found.

    Attributes:
        counts: by outcome: checked; missing, wrong_size, wrong_hash (places), healed (of these, now
            owed), lost (the blob's only place); read (deep), unverifiable (no hash is known),
            different (of these, places with other bytes than the ETag of another place says);
            owed (blobs with other copies than the rules want, found by the way); unknown (blobs
            nobody knows), removed (of these, now garbage), young (may be of a write
            under way), locked; manifests; untold (containers whose manifest of the bucket is
            missing or not sound); foreign (no names of ours); unreachable (containers).
        problems: the first of them, each a line; `problems_count` is of all.
    """

    counts: dict[str, int] = msgspec.field(default_factory=dict)
    problems: list[str] = msgspec.field(default_factory=list)
    problems_count: int = 0

    def count(self, what: str) -> None:
        """Count an outcome."""
        self.counts[what] = self.counts.get(what, 0) + 1

    def problem(self, line: str) -> None:
        """Note what is wrong."""
        self.problems_count += 1
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(line)


class ScrubOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What to look at, and what to do.

    Attributes:
        backends, buckets: names; () for all.
        heal: else it is only reported.
        remove_unknown: unknown blobs that are old enough become garbage; needs `heal`.
        deep: bytes are read and compared with what hashes are known.
        objects_per_s: places looked at, at most.
    """

    backends: Collection[str] = ()
    buckets: Collection[str] = ()
    heal: bool = True
    remove_unknown: bool = False
    deep: bool = False
    objects_per_s: float = OBJECTS_PER_S
    unknown_grace_s: float = UNKNOWN_GRACE_S


class Scrub:
    """One run; one that was cut off is gone on with by the next."""

    def __init__(self, services: Services, options: ScrubOptions) -> None:
        self._services = services
        self._options = options
        self.report = ScrubReport()

    async def run(self) -> ScrubReport:
        """Look at everything that is asked for.

        Raises:
            KvError: the catalog failed.
        """
        options = self._options
        for bucket in self._services.catalog.scan_buckets():
            if bucket.kind != "managed" or (options.buckets and bucket.name not in options.buckets):
                continue
            for home in containers_of(bucket):
                if options.backends and home[0] not in options.backends:
                    continue
                if home[0] not in self._services.backends:
                    self.report.problem(f"{'/'.join(home)}: the backend is not configured")
                    continue
                try:
                    await _Container(self._services, options, self.report, bucket, home).run()
                except NoSuchBucket:
                    break
                except FAILURES as error:
                    self.report.count("unreachable")
                    self.report.problem(f"{'/'.join(home)}: {error}")
        return self.report


class _Container:
    """One container of one bucket."""

    def __init__(
        self,
        services: Services,
        options: ScrubOptions,
        report: ScrubReport,
        bucket: BucketRecord,
        home: Home,
    ) -> None:
        self._services = services
        self._catalog = services.catalog
        self._options = options
        self._report = report
        self._bucket = bucket
        self._home = home
        self._store = services.backend(home[0]).blobs(home[1])
        self._task = "\0".join((TASK, "deep" if options.deep else "", *home))
        self._saved_s = trio.current_time()
        self._looked = 0
        self._known = KnownIds(services, bucket)
        self._began_ns = services.clock_ns()
        self._owing: list[Owing] = []

    async def run(self) -> None:
        """Merge, and act on each difference."""
        progress = self._catalog.get_progress(self._bucket, self._task)
        cursor = progress.cursor if progress is not None and not progress.done else ""
        await self._check_told()
        names = ExpectedNames(self._services, self._bucket, *self._home)
        async with aclosing(names.after(cursor)) as expected:
            if self._store.features.metadata:
                async with aclosing(_listed(self._store, cursor)) as listed:
                    await self._merge(expected, listed)
            else:
                async for one in expected:
                    await self._check_alone(one)
                    await self._go_on(one.place.name)
        await self._save("", done=True)

    async def _check_told(self) -> None:
        """See that the container says whose it is, for a rebuild; it is written again otherwise."""
        told = self._catalog.bucket_manifest(self._bucket)
        if told is None or told.due_ns or self._home not in told.written:
            return  # it has none, or its writing is under way
        try:
            found = decode_bucket(await read_whole(self._store, BUCKET_NAME, BYTES_MAX))
            wrong = "" if found.record.id == self._bucket.id else "it tells of another bucket"
        except NoSuchContainer:
            raise
        except NotFound:
            wrong = "missing"
        except (NotSound, TooLarge) as error:
            wrong = str(error)
        if not wrong:
            return
        self._report.count("untold")
        self._report.problem(f"{'/'.join(self._home)}: {BUCKET_NAME}: {wrong}")
        if self._options.heal:
            await self._catalog.update_bucket(self._bucket, lambda now: now)

    async def _merge(
        self, expected: AsyncIterator[Expected], listed: AsyncIterator[ListedObject]
    ) -> None:
        wanted = await anext(expected, None)
        there = await anext(listed, None)
        while wanted is not None or there is not None:
            name = b"" if wanted is None else wanted.place.name.encode()
            found = b"" if there is None else there.key.encode()
            if there is None or (wanted is not None and name < found):
                assert wanted is not None
                await self._check_alone(wanted)
                await self._go_on(wanted.place.name)
                wanted = await anext(expected, None)
            elif wanted is None or found < name:
                await self._check_unknown(there)
                await self._go_on(there.key)
                there = await anext(listed, None)
            else:
                await self._check_listed(wanted, there)
                await self._go_on(there.key)
                wanted = await anext(expected, None)
                there = await anext(listed, None)

    async def _go_on(self, cursor: str) -> None:
        self._looked += 1
        pace = max(1, int(self._options.objects_per_s / 10))
        if self._looked % pace == 0:
            await trio.sleep(pace / self._options.objects_per_s)
        if trio.current_time() > self._saved_s + SAVE_S:
            await self._save(cursor)

    async def _save(self, cursor: str, *, done: bool = False) -> None:
        self._saved_s = trio.current_time()
        await self._owe(0)
        record = ProgressRecord(round=0, cursor=cursor, done=done)
        await self._catalog.put_progress(self._bucket, self._task, record)

    async def _check_listed(self, wanted: Expected, there: ListedObject) -> None:
        self._report.count("checked")
        await self._compare_with_rules(wanted)
        if there.size != wanted.place.size:
            await self._check_alone(wanted, counted=True)
        elif self._options.deep or differs(wanted.md5, there.etag):
            await self._check_bytes(wanted)

    async def _check_alone(self, wanted: Expected, *, counted: bool = False) -> None:
        """Ask for one place by itself."""
        if not counted:
            self._report.count("checked")
            await self._compare_with_rules(wanted)
        stat = await stat_of(self._store, wanted.place.name)
        if stat is None:
            await self._wrong(wanted, "missing")
        elif stat.size != wanted.place.size:
            await self._wrong(wanted, "wrong_size")
        elif self._options.deep or differs(wanted.md5, stat.etag):
            await self._check_bytes(wanted)

    async def _compare_with_rules(self, wanted: Expected) -> None:
        """Owe for a blob whose copies are not those that its rules want."""
        if not self._options.heal or self._catalog.get_debt(wanted.blob.id) is not None:
            return
        replicas = wanted.replicas
        decision = decision_of(self._services, self._bucket, replicas, wanted.storage_class)
        owed = owed_for(self._services, wanted.blob, decision, replicas)
        if owed is not None:
            self._owing.append(Owing(wanted.key, owed, wanted.version))
            await self._owe(OWE_AT_ONCE)

    async def _owe(self, least: int) -> None:
        """Write the debts that were found, once there are so many."""
        if len(self._owing) > least:
            found, self._owing = self._owing, []
            for _ in range(await self._catalog.add_debts(self._bucket, found)):
                self._report.count("owed")

    async def _check_bytes(self, wanted: Expected) -> None:
        if not wanted.md5:
            self._report.count("unverifiable")
            await self._compare_places(wanted)
            return
        self._report.count("read")
        try:
            digest = await md5_of(self._store, wanted.place)
        except NoSuchContainer:
            raise
        except NotFound:
            await self._wrong(wanted, "missing")
            return
        if digest != wanted.md5:
            await self._wrong(wanted, "wrong_hash")

    async def _compare_places(self, wanted: Expected) -> None:
        """Compare bytes whose MD5 nobody knows with the ETags of the blob's other places."""
        places = self._catalog.places_of(wanted.blob)
        others = [place for place in places if place.id != wanted.place.id]
        told = {place.backend: await told_md5(self._services, [place]) for place in others}
        if not any(told.values()):
            return
        try:
            digest = await md5_of(self._store, wanted.place)
        except NoSuchContainer:
            raise
        except NotFound:
            await self._wrong(wanted, "missing")
            return
        unlike = [backend for backend, md5 in told.items() if md5 and md5 != digest]
        if unlike:
            self._report.count("different")
            where = f"{'/'.join(self._home)}: {wanted.place.name}"
            said = f"not what is at {', '.join(unlike)}; nobody knows which is right"
            self._report.problem(f"{where}: {said}: {wanted.key} {wanted.version}")

    async def _wrong(self, wanted: Expected, what: str) -> None:
        """A place that has not got the bytes: given up where another has them."""
        now = self._catalog.get_object(self._bucket, wanted.key, wanted.version)
        places = self._catalog.places_of(wanted.blob)
        if now is None or wanted.blob not in now.blobs or wanted.place not in places:
            return  # deleted, or moved, since it was read
        self._report.count(what)
        where = f"{'/'.join(self._home)}: {wanted.place.name}"
        others = [place for place in places if place.id != wanted.place.id]
        sound = await self._any_good(wanted, others)
        if sound is None:
            self._report.count("lost")
            named = f"{wanted.key} {wanted.version}"
            self._report.problem(f"{where}: {what}, and nowhere else; {named}: LOST")
            return
        self._report.problem(f"{where}: {what}; there are other copies")
        if not self._options.heal:
            return
        owed = Owed(wanted.blob, targets=(self._home[0],), replicas=replicas_of(now.tags))
        owing = Owing(wanted.key, owed, now.named_version)
        if await self._catalog.remove_place(self._bucket, owing, wanted.place, sound):
            self._report.count("healed")

    async def _any_good(self, wanted: Expected, others: list[BlobRef]) -> BlobRef | None:
        """Another place that has the bytes, as far as can be told."""
        for place in others:
            backend = self._services.backends.get(place.backend)
            if backend is None:
                continue
            store = backend.blobs(place.container)
            try:
                stat = await stat_of(store, place.name)
                if stat is None or stat.size != place.size:
                    continue
                if not wanted.md5 or await md5_of(store, place) == wanted.md5:
                    return place
            except FAILURES:
                continue
        return None

    async def _check_unknown(self, there: ListedObject) -> None:
        if not about.is_blob_name(there.key):
            self._report.count("manifests" if there.key.startswith(PREFIX) else "foreign")
            return
        key, _, blob_id = there.key.rpartition("~")
        if self._is_young(there.modified_ns):
            self._report.count("young")
            return
        try:
            stat = await self._store.head(there.key)
        except NotFound:
            return
        said = about.read(stat.user)
        key = said.key if said is not None and said.key else key
        if self._is_young(stat.modified_ns):
            self._report.count("young")
            return
        if not key or await self._known.has(key, blob_id):
            return  # a part, or written since the catalog was read
        self._report.count("unknown")
        if said is not None and about.LOCKED in said.flags:
            self._report.count("locked")
            self._report.problem(f"{'/'.join(self._home)}: {there.key}: unknown, and locked")
            return
        self._report.problem(f"{'/'.join(self._home)}: {there.key}: unknown")
        if self._options.heal and self._options.remove_unknown:
            blob = BlobRef(blob_id, *self._home, there.key, stat.size)
            if await self._catalog.drop_unknown(self._bucket, key, blob):
                self._report.count("removed")

    def _is_young(self, modified_ns: int) -> bool:
        return modified_ns > self._began_ns - int(self._options.unknown_grace_s * 1e9)


async def _listed(store: Store, after: str) -> AsyncGenerator[ListedObject]:
    while True:
        page = await store.list("", delimiter="", after=after, limit=PAGE_ROWS)
        for entry in page.objects:
            yield entry
        if not page.truncated:
            return
        after = page.next_after
