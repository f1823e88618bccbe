"""Walks over the names in containers for a rebuild: several at once, gone on with where cut off.

What a backend refuses while it answers else is reported and passed over, so that one object that
nobody can read does not keep all others from being found.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from s3proxy.backends.errors import BackendError, NotFound, Throttled, Unavailable
from s3proxy.catalog.errors import NoSuchBucket
from s3proxy.catalog.records import BucketRecord, ProgressRecord
from s3proxy.http.errors import TransportError
from s3proxy.kv.errors import KvError
from s3proxy.ops.manifests import NotSound
from s3proxy.ops.whole_object import TooLarge
from s3proxy.s3.listing import ListedObject

if TYPE_CHECKING:
    from s3proxy.ops.call import Services

PARALLEL: Final = 16
PAGE_ROWS: Final = 1000
PROBLEMS_MAX: Final = 100
# With more than these it is no longer one object that is refused.
REFUSED_MAX: Final = 1000
SAVE_S: Final = 5.0
TASK: Final = "reindex"
FAILURES: Final = (BackendError, TransportError, OSError)

Home = tuple[str, str]  # backend, container
Take = Callable[[Home, BucketRecord, ListedObject], Awaitable[None]]


class ReindexReport(msgspec.Struct):
    """What was found.

    Attributes:
        counts: by outcome: buckets, manifests, versions added, updated, known, older (a newer one
            took their place), incomplete (a blob is on no backend that was looked at), blobs,
            places added, recovered (without the id they had), parts and encrypted (blobs that no
            manifest tells of), garbage (blobs that wait for the collector), foreign (what is no
            name of ours), elsewhere (containers with the name of another backend), refused (what a
            backend does not give), withheld (blobs of keys whose manifests it does not give).
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


class Walker:
    """Has every name below a prefix of a container taken.

    Attributes:
        refused: (container, name) of what a backend did not give.
    """

    def __init__(self, services: Services, report: ReindexReport) -> None:
        self._services = services
        self._catalog = services.catalog
        self._report = report
        self._failure: Exception | None = None
        self.refused: set[tuple[Home, str]] = set()

    async def walk(self, home: Home, bucket: BucketRecord, prefix: str, take: Take) -> None:
        """Have them all taken, PARALLEL at once; those of one key one after the other, in order.

        Raises:
            BackendError, TransportError, OSError: the backend does not answer.
            KvError: the catalog failed.
        """
        task = "\0".join((TASK, prefix, *home))
        progress = self._catalog.get_progress(bucket, task)
        after = progress.cursor if progress is not None and not progress.done else ""
        saved_s = trio.current_time()
        refused_count = len(self.refused)
        store = self._services.backend(home[0]).blobs(home[1])
        while True:
            page = await store.list(prefix, delimiter="", after=after, limit=PAGE_ROWS)
            async with trio.open_nursery() as nursery:
                for entries in _lanes(page.objects):
                    nursery.start_soon(self._take_some, home, bucket, entries, take, nursery)
            if self._failure is not None:
                raise self._failure
            if not page.truncated:
                break
            after = page.next_after
            # What was refused is asked for once more by a run that goes on.
            if len(self.refused) == refused_count and trio.current_time() > saved_s + SAVE_S:
                saved_s = trio.current_time()
                record = ProgressRecord(round=0, cursor=after)
                await self._catalog.put_progress(bucket, task, record)
        await self._catalog.put_progress(bucket, task, ProgressRecord(round=0, done=True))

    async def _take_some(
        self,
        home: Home,
        bucket: BucketRecord,
        entries: Sequence[ListedObject],
        take: Take,
        nursery: trio.Nursery,
    ) -> None:
        try:
            for entry in entries:
                try:
                    await take(home, bucket, entry)
                except (NotFound, NotSound, TooLarge, NoSuchBucket) as error:
                    self._report.problem(f"{'/'.join(home)}: {entry.key}: {error}")
                except FAILURES as error:
                    await self.pass_over(home, entry.key, error)
        except (*FAILURES, KvError) as error:
            # Raised by itself, where all have ended: a nursery would make a group of it.
            self._failure = self._failure or error
            nursery.cancel_scope.cancel()

    async def pass_over(self, home: Home, name: str, error: Exception) -> None:
        """Report what a backend does not give, where it is only that.

        Raises:
            Exception: `error`; the backend gives nothing, or asks for a pause.
            Unavailable: it refuses a lot.
        """
        if isinstance(error, Throttled):
            raise error
        try:
            await self._services.backend(home[0]).check()
        except FAILURES:
            raise error from None
        if len(self.refused) >= REFUSED_MAX:
            hint = f"more than {REFUSED_MAX} objects are refused, the last with {error}"
            raise Unavailable("walk", "/".join(home), hint, home[0]) from error
        self.refused.add((home, name))
        self._report.count("refused")
        self._report.problem(f"{'/'.join(home)}: {name}: {error}")


def _lanes(page: list[ListedObject]) -> list[list[ListedObject]]:
    """Share out what may be taken at once: what lies before the id is the key, or begins it."""
    lanes: list[list[ListedObject]] = [[] for _ in range(PARALLEL)]
    for entry in page:
        lanes[hash(entry.key.rpartition("~")[0] or entry.key) % PARALLEL].append(entry)
    return lanes
