"""Rebuilding the catalog from what lies at providers: physical buckets and metadata alone.

Three passes, each over all containers of all backends that are named, so that a place counts only
where its container is known to be of the same bucket: buckets, then versions told by manifests,
then blobs that tell their object themselves. What is there is added to; what is known stays. What
a provider says is checked, and passed over with a line in the report where it cannot be true.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from s3proxy.backends.errors import NotFound
from s3proxy.backends.s3 import S3Backend
from s3proxy.catalog.errors import UnknownBackend
from s3proxy.catalog.rebuilding import Telling
from s3proxy.catalog.records import BlobRef, BucketRecord, ObjectRecord
from s3proxy.ops import about
from s3proxy.ops.key_blobs import Pointer, Pointers
from s3proxy.ops.manifests import (
    BUCKET_NAME,
    BYTES_MAX,
    PREFIX,
    VERSIONS_PREFIX,
    FoundBucket,
    NotSound,
    decode_bucket,
    decode_version,
    folder_of,
)
from s3proxy.ops.reindex_walk import FAILURES, PROBLEMS_MAX, Home, ReindexReport, Walker
from s3proxy.ops.soundness import stat_of
from s3proxy.ops.whole_object import TooLarge, read_whole
from s3proxy.placement import is_container_of
from s3proxy.s3.errors import S3Error
from s3proxy.s3.names import check_key

if TYPE_CHECKING:
    from s3proxy.backends.store import Stat, Store
    from s3proxy.ops.call import Services
    from s3proxy.ops.manifests import Found
    from s3proxy.s3.listing import ListedObject

# Blobs that are asked whose container it is, where no manifest says it.
ASKED_MAX: Final = 50
# Manifests of more bytes are read one at a time.
LARGE_BYTES: Final = 1 << 20
_BEHIND_MANIFESTS: Final = PREFIX + "\U0010ffff"
EVER_NS: Final = (1 << 63) - 2  # later than any time that is kept


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
        self._closed: set[str] = set()  # of those that were told, to tell each once
        self._large = trio.CapacityLimiter(1)
        self._pointers: Pointers  # of the bucket whose blobs are walked
        # Keys of whose manifests a backend refused some: by bucket, and what these begin with.
        self._withheld: set[tuple[bytes, str]] = set()
        self.report = ReindexReport()
        self._walker = Walker(services, self.report)

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
            await self._walker.walk(home, bucket, VERSIONS_PREFIX, self._take_manifest)
        for home, name in self._walker.refused:
            if name.startswith(VERSIONS_PREFIX):
                self._withheld.add((self._homes[home].id, name.rpartition("/")[0] + "/"))
        for home, bucket in self._homes.items():
            self._pointers = Pointers(self._services, bucket)
            await self._walker.walk(home, bucket, "", self._take_blob)
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
                if self._is_anothers(*home):
                    self.report.count("elsewhere")
                    continue
                try:
                    found = await self._bucket_of(backend, container)
                except FAILURES as error:
                    await self._walker.pass_over(home, BUCKET_NAME, error)
                    continue
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

    def _is_anothers(self, backend: str, container: str) -> bool:
        """Whether a container has the name of another backend, which may share the account."""
        name = container.rstrip("/").rpartition("/")[2]
        others = (other for other in self._services.backends if other != backend)
        mine = is_container_of(name, backend)
        return not mine and any(is_container_of(name, other) for other in others)

    async def _have(self, home: Home, found: FoundBucket) -> None:
        self.report.count("containers")
        bucket = await self._catalog.adopt_bucket(found.record, found.configs, home)
        if bucket is None:
            self.report.problem(f"{'/'.join(home)}: the catalog has it as another bucket's")
        else:
            self._homes[home] = bucket

    async def _bucket_of(self, backend: S3Backend, container: str) -> FoundBucket | None:
        """Whose a container is, by its manifest, by what its blobs say, or by the catalog."""
        store = backend.blobs(container)
        where = f"{backend.name}/{container}"
        try:
            return decode_bucket(await read_whole(store, BUCKET_NAME, BYTES_MAX))
        except NotFound:
            pass
        except (NotSound, TooLarge) as error:
            self.report.problem(f"{where}: {BUCKET_NAME}: {error}")
        names = await _some_blobs(store)
        for name in names:
            stat = await stat_of(store, name)
            said = about.read(stat.user) if stat is not None else None
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
        known = self._known(backend.name, container)
        if known is None and names:
            self.report.problem(f"{where}: nothing in it says whose it is")
        return known

    def _known(self, backend: str, container: str) -> FoundBucket | None:
        """The bucket that the catalog has a container for."""
        owner = self._catalog.bucket_of_container(backend, container)
        bucket = None if owner is None else self._catalog.get_bucket(owner[1], owner[0])
        return None if bucket is None else FoundBucket(bucket, {}, 0)

    async def _take_manifest(self, home: Home, bucket: BucketRecord, entry: ListedObject) -> None:
        if about.is_blob_name(entry.key):
            return  # of a key that only looks like a manifest's name
        self.report.count("manifests")
        found = await self._read_manifest(home, entry)
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

    async def _read_manifest(self, home: Home, entry: ListedObject) -> Found:
        """Read one; so that memory stays bounded, never more of it than its listing said.

        Raises:
            NotSound, TooLarge, BackendError, TransportError.
        """
        if entry.size > BYTES_MAX:
            raise NotSound(f"it has {entry.size} bytes")
        store = self._services.backend(home[0]).blobs(home[1])
        async with self._large if entry.size > LARGE_BYTES else nullcontext():
            return decode_version(await read_whole(store, entry.key, entry.size), entry.key)

    async def _seen(self, bucket: BucketRecord, found: Found, blob: BlobRef) -> list[BlobRef]:
        """Those places of a blob that are in containers of its bucket, and have it."""
        seen = []
        for place in found.places[blob.id]:
            place_home = (place.backend, place.container)
            home = self._homes.get(place_home)
            if place.id in self._doomed:
                continue
            if home is None or (home.tenant, home.name) != (bucket.tenant, bucket.name):
                continue
            store = self._services.backend(place.backend).blobs(place.container)
            try:
                stat = await stat_of(store, place.name)
            except FAILURES as error:
                await self._walker.pass_over(place_home, place.name, error)
                self._withheld.add((bucket.id, folder_of(found.key)))
                continue
            if stat is not None and stat.size == place.size:
                seen.append(place)
        return seen

    async def _adopt(self, bucket: BucketRecord, told: Telling) -> str:
        outcome = await self._catalog.adopt_version(bucket, told)
        self.report.count(outcome)
        return outcome

    async def _take_blob(self, home: Home, bucket: BucketRecord, entry: ListedObject) -> None:
        if not about.is_blob_name(entry.key):
            if not entry.key.startswith(PREFIX):
                self.report.count("foreign")
            return
        key, _, blob_id = entry.key.rpartition("~")
        if blob_id in self._doomed:
            self.report.count("garbage")
            return
        self.report.count("blobs")
        if key and await self._is_place(key, blob_id):
            return
        backend, container = home
        stat = await self._services.backend(backend).blobs(container).head(entry.key)
        said = about.read(stat.user)
        if said is not None and (said.tenant, said.bucket) != (bucket.tenant, bucket.name):
            raise NotSound("it says that it is of another bucket")
        if said is not None and said.key:
            if not (key and said.key.startswith(key)):
                raise NotSound("it says that it is of another key")
            key = said.key
        try:
            check_key(key)
        except S3Error as error:
            raise NotSound("no name of a key") from error
        place = BlobRef(blob_id, backend, container, entry.key, stat.size)
        await self._take_place(bucket, key, place, _Seen(said, stat))

    async def _is_place(self, key: str, blob_id: str) -> bool:
        """Whether a blob is a place already, and not only what another is a copy of."""
        pointer = (await self._pointers.of_key(key)).get(blob_id)
        if pointer is None:
            return False
        logical = BlobRef(pointer.blob_id, "", "", "", 0)
        places = self._catalog.places_of(logical)
        return places == (logical,) or any(place.id == blob_id for place in places)

    async def _take_place(
        self, bucket: BucketRecord, key: str, place: BlobRef, seen: _Seen
    ) -> None:
        said = seen.said or about.About(tenant=bucket.tenant, bucket=bucket.name)
        logical = said.blob_id or place.id
        pointers = await self._pointers.of_key(key)
        pointer = pointers.get(logical)
        if pointer is not None and pointer.blob_id == logical:
            self.report.count("places")
            await self._catalog.adopt_place(bucket, key, pointer.version, logical, place)
            pointers[place.id] = pointer
            return
        if (bucket.id, folder_of(key)) in self._withheld:
            self.report.count("withheld")
            return
        if about.PART in said.flags:
            self.report.count("parts")
            return
        if about.ENCRYPTED in said.flags:
            self._pass_over_closed(bucket, key, logical, said)
            return
        await self._recover(bucket, key, place, msgspec.structs.replace(seen, said=said))

    def _pass_over_closed(
        self, bucket: BucketRecord, key: str, logical: str, said: about.About
    ) -> None:
        """Say of a blob that nobody can open that it is lost, unless a later one replaced it."""
        latest = self._catalog.get_latest(bucket, key)
        replaced = latest is not None and latest.modified_ns >= said.written_ns > 0
        if replaced and about.VERSIONED not in said.flags:
            self.report.count("older")
            return
        self.report.count("encrypted")
        if logical not in self._closed:
            self.report.problem(f"{bucket.name}: {key}: encrypted, and no manifest has its key")
            if len(self._closed) < PROBLEMS_MAX:
                self._closed.add(logical)

    async def _recover(self, bucket: BucketRecord, key: str, place: BlobRef, seen: _Seen) -> None:
        """Make an object of a blob that nothing else tells of."""
        assert seen.said is not None
        logical = seen.said.blob_id or place.id
        record = seen.record(msgspec.structs.replace(place, id=logical), seen.said)
        newest = about.VERSIONED in seen.said.flags
        if newest:
            latest = self._catalog.get_latest(bucket, key)
            if latest is not None and latest.modified_ns >= record.modified_ns:
                self.report.count("older")
                return
            self.report.count("recovered")
        told = Telling(key, record, {logical: [place]}, newest=newest)
        if await self._adopt(bucket, told) == "added":
            made = self._catalog.get_latest(bucket, key) if newest else record
            if made is not None:
                pointers = await self._pointers.of_key(key)
                pointers[logical] = pointers[place.id] = Pointer(made.named_version, logical)


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


async def _some_blobs(store: Store) -> list[str]:
    """The names of some blobs: before the manifests, and behind them, as these may be many."""
    first = await store.list("", delimiter="", after="", limit=ASKED_MAX)
    names = [entry.key for entry in first.objects]
    # Some providers have pages without a name that are not the last ones.
    if first.truncated and (not names or names[-1] < _BEHIND_MANIFESTS):
        last = await store.list("", delimiter="", after=_BEHIND_MANIFESTS, limit=ASKED_MAX)
        names += [entry.key for entry in last.objects]
    return [name for name in names if about.is_blob_name(name)]


def _rebuildable(services: Services, name: str) -> S3Backend:
    backend = services.backends.get(name)
    if backend is None:
        raise UnknownBackend(name, services.backends)
    if not isinstance(backend, S3Backend):
        raise ValueError(
            f"backend {name}: a local backend keeps neither keys nor metadata with its blobs;"
            " restore a backup of the catalog (s3proxy catalog restore)"
        )
    return backend


def _age(found: FoundBucket) -> tuple[int, int]:
    return found.revision, found.record.created_ns
