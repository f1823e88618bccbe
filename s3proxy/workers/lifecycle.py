"""Lifecycle rules carried out: every bucket that has some is walked once a day, from midnight UTC.

A walk reads short pages at a bounded rate, judges what it sees, and has the catalog do what is due
in transactions that judge again. How far it came is kept, so that a restart goes on from there. New
rules begin a walk of their own at once. Nothing is promised about the hour: S3 does not either.

    uploads (aborted when too old) -> versions (expired, removed, moved) -> done until tomorrow
"""

from __future__ import annotations

import hashlib
from itertools import zip_longest
from typing import TYPE_CHECKING

import msgspec
import trio

from s3proxy.backends.errors import BackendError
from s3proxy.catalog.errors import CatalogError, IntentLost, NoSuchBucket, NoSuchUpload
from s3proxy.catalog.expiry import Candidate, version_of
from s3proxy.catalog.records import BucketRecord, ObjectRecord, ProgressRecord
from s3proxy.http.errors import TransportError
from s3proxy.log import get_logger
from s3proxy.ops.lifecycle import NAME, understood
from s3proxy.ops.move_version import move_version
from s3proxy.ops.notification import announcer_for
from s3proxy.s3.errors import S3Error
from s3proxy.s3.events import LIFECYCLE
from s3proxy.s3.lifecycle import DAY_NS, Lifecycle, abortion_of, judge, walked_prefixes

if TYPE_CHECKING:
    from s3proxy.catalog.version_listing import VersionEntry
    from s3proxy.ops.call import Services

logger = get_logger("lifecycle")
PAGE_ROWS = 128  # read in one snapshot, and judged, without a pause: about 1.2 ms
PAGE_ROWS_MIN = 8
PAGE_LOOKS = 4096  # of a rule at a version, which takes about 0.3 us
POLL_S = 60.0  # how soon new rules are noticed
MOVES_PARALLEL = 4  # enough to keep a distant backend's line busy
SAVE_S = 10.0  # how much of a walk a crash may repeat


class _Walk:
    """One walk over one bucket.

    Attributes:
        prefixes: what is left of the key space that rules apply to, in order.
        cursor: key and version id of the last version that was judged.
        done_key: the last key of which all versions were.
        before: that version, for the next one of its key: when it became noncurrent.
        newer: noncurrent versions of the key so far.
    """

    def __init__(
        self, bucket: BucketRecord, lifecycle: Lifecycle, progress: ProgressRecord
    ) -> None:
        self.bucket = bucket
        self.lifecycle = lifecycle
        self.progress = progress
        rules = lifecycle.rules
        self.uploads_left = any(rule.enabled and rule.abort_days is not None for rule in rules)
        self.page_rows = max(PAGE_ROWS_MIN, min(PAGE_ROWS, PAGE_LOOKS // len(rules)))
        after = progress.cursor
        self.prefixes = [
            prefix
            for prefix in walked_prefixes(lifecycle)
            if prefix > after or after.startswith(prefix)
        ]
        self.cursor = (after, "")
        self.done_key = after
        self.before: ObjectRecord | None = None
        self.newer = 0

    def judge(self, entry: VersionEntry, now_ns: int, *, alone: bool) -> Candidate | None:
        """Judge the next version of the walk; None: nothing is to be done.

        Args:
            alone: no other version of its key is in sight.
        """
        since_ns = None
        if entry.key != self.cursor[0]:
            self.done_key = self.cursor[0]
        if entry.latest or self.before is None:
            self.newer = 0
        else:
            since_ns = self.before.modified_ns
            self.newer += 1
        record = entry.record
        newer = max(self.newer - 1, 0)
        version = version_of(entry.key, record, since_ns, newer=newer, alone=alone)
        self.before, self.cursor = record, (entry.key, record.named_version)
        versioned = bool(self.bucket.versioning)
        verdict = judge(self.lifecycle, version, now_ns, versioned=versioned)
        return None if verdict is None else Candidate(entry.key, record, since_ns, verdict)


class LifecycleWorker:
    """Worker that carries out the rules of all managed buckets, one walk at a time.

    Args:
        objects_per_s: versions and uploads looked at in a second, at most; no more are acted on.
    """

    name = "lifecycle"

    def __init__(self, services: Services, *, objects_per_s: int) -> None:
        self._services = services
        self._catalog = services.catalog
        self._rate = objects_per_s
        self._walk: _Walk | None = None
        self._saved_s = 0.0
        self.counts = {"expired": 0, "aborted": 0, "moved": 0, "not_moved": 0, "given_up": 0}

    async def work(self) -> bool:
        """Look at one page of one bucket."""
        walk = self._walk = self._current() or self._next()
        if walk is None:
            return False
        try:
            if walk.uploads_left:
                looked_at = await self._look_at_uploads(walk)
            else:
                looked_at = await self._look_at_page(walk)
            if not walk.uploads_left and not walk.prefixes:
                await self._finish(walk)
            elif trio.current_time() >= self._saved_s + SAVE_S:
                await self._save(walk)
        except NoSuchBucket:
            self._walk = None
            return True
        except CatalogError as error:
            # A record that cannot be read will not be readable in a minute: the rest of the bucket
            # waits for the next day, and all other buckets do not.
            logger.error("walk given up", bucket=walk.bucket.name, error=str(error))
            self.counts["given_up"] += 1
            await self._finish(walk)
            return True
        await trio.sleep(looked_at / self._rate)
        return True

    async def wait_for_work(self) -> None:
        """Rules fall due by time alone."""
        await trio.sleep(POLL_S)

    def _now_ns(self) -> int:
        return self._services.clock_ns()

    def _current(self) -> _Walk | None:
        """The walk under way, with its bucket as it is now; None when its rules are others."""
        walk = self._walk
        if walk is None:
            return None
        bucket = self._catalog.get_bucket(walk.bucket.name, walk.bucket.tenant)
        if bucket is None or bucket.id != walk.bucket.id:
            return None
        document = self._catalog.get_bucket_config(bucket, NAME)
        if document is None or _digest(document) != walk.progress.rules:
            return None
        walk.bucket = bucket
        return walk

    def _next(self) -> _Walk | None:
        """The first bucket that was not walked today by its rules of now."""
        today = self._now_ns() // DAY_NS
        for bucket in self._catalog.scan_buckets():
            if bucket.kind != "managed" or not bucket.configs or NAME not in bucket.configs:
                continue
            document = self._catalog.get_bucket_config(bucket, NAME)
            if document is None:
                continue
            rules = _digest(document)
            progress = self._catalog.get_progress(bucket, NAME)
            if (
                progress is None
                or progress.rules != rules
                or (progress.done and progress.round < today)
            ):
                progress = ProgressRecord(round=today, rules=rules)
            if not progress.done:
                return _Walk(bucket, understood(document), progress)
        return None

    async def _look_at_page(self, walk: _Walk) -> int:
        if not walk.prefixes:
            return 0
        key_marker, version_id_marker = walk.cursor
        page = self._catalog.list_versions(
            walk.bucket,
            prefix=walk.prefixes[0],
            key_marker=key_marker,
            version_id_marker=version_id_marker,
            limit=walk.page_rows,
        )
        found = _judged(walk, page.entries, self._now_ns())
        gone = [one for one in found if one.verdict.action != "move"]
        if gone:
            announcer = announcer_for(self._services, walk.bucket, "LifecycleExpiration", LIFECYCLE)
            self.counts["expired"] += await self._catalog.expire_versions(
                walk.bucket, walk.lifecycle, gone, announcer
            )
        await self._move(walk.bucket, [one for one in found if one.verdict.action == "move"])
        if not page.truncated:
            walk.prefixes.pop(0)
            walk.before = None
        return len(page.entries)

    async def _move(self, bucket: BucketRecord, candidates: list[Candidate]) -> None:
        """Move versions, a few at a time; what cannot be moved today is tried again tomorrow."""
        limiter = trio.CapacityLimiter(MOVES_PARALLEL)
        failures: list[tuple[str, Exception]] = []

        async def move(candidate: Candidate) -> None:
            async with limiter:
                try:
                    moved = await move_version(self._services, bucket, candidate)
                except (BackendError, TransportError, S3Error, IntentLost, OSError) as error:
                    failures.append((candidate.key, error))
                else:
                    self.counts["moved"] += moved

        async with trio.open_nursery() as nursery:
            for candidate in candidates:
                nursery.start_soon(move, candidate)
        if failures:
            self.counts["not_moved"] += len(failures)
            key, error = failures[0]
            logger.warning(
                "objects not moved to their storage class",
                bucket=bucket.name,
                count=len(failures),
                key=key,
                error=str(error),
            )

    async def _look_at_uploads(self, walk: _Walk) -> int:
        """Abort the uploads that are too old, all in one go: they are few beside objects."""
        now_ns, seen = self._now_ns(), 0
        key_marker = upload_id_marker = ""
        while True:
            page = self._catalog.list_uploads(
                walk.bucket,
                key_marker=key_marker,
                upload_id_marker=upload_id_marker,
                limit=PAGE_ROWS,
            )
            for upload in page.entries:
                due = abortion_of(walk.lifecycle, upload.key, upload.initiated_ns)
                if due is not None and due.at_ns <= now_ns:
                    await self._abort(walk.bucket, upload.key, upload.upload_id)
            seen += len(page.entries)
            if not page.truncated:
                walk.uploads_left = False
                return seen
            key_marker, upload_id_marker = page.next_key_marker, page.next_id_marker
            await trio.sleep(len(page.entries) / self._rate)

    async def _abort(self, bucket: BucketRecord, key: str, upload_id: str) -> None:
        # A Complete that is under way wins.
        async with self._services.key_locks.hold_upload(bucket.id, upload_id):
            try:
                await self._catalog.abort_upload(bucket, key, upload_id)
            except NoSuchUpload:
                return
        self.counts["aborted"] += 1

    async def _save(self, walk: _Walk) -> None:
        """Keep how far the walk came: up to the key before the one it may be amid."""
        progress = msgspec.structs.replace(walk.progress, cursor=walk.done_key)
        await self._catalog.put_progress(walk.bucket, NAME, progress)
        self._saved_s = trio.current_time()

    async def _finish(self, walk: _Walk) -> None:
        progress = msgspec.structs.replace(walk.progress, done=True, cursor="")
        await self._catalog.put_progress(walk.bucket, NAME, progress)
        logger.info("rules carried out", bucket=walk.bucket.name, **self.counts)
        self._walk = None


def _judged(walk: _Walk, entries: list[VersionEntry], now_ns: int) -> list[Candidate]:
    """The versions of a page that something is to be done with."""
    found = []
    for entry, following in zip_longest(entries, entries[1:]):
        alone = entry.latest and (following is None or following.key != entry.key)
        candidate = walk.judge(entry, now_ns, alone=alone)
        if candidate is not None:
            found.append(candidate)
    return found


def _digest(document: bytes) -> bytes:
    return hashlib.blake2b(document, digest_size=16).digest()
