"""Events that destinations have yet to be told of, and those that could not be told.

An event is written in the transaction of what it tells of. Each destination has a queue; a row's
position in it is also the event's place among all others, so that the events of a key lie in the
order in which they happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from s3proxy.catalog import keys, tables
from s3proxy.catalog.event_records import EventCounts, EventRecord
from s3proxy.catalog.records import BucketRecord, ObjectRecord
from s3proxy.catalog.tables import DEAD_EVENTS, EVENT_COUNTS, EVENTS, META, encode
from s3proxy.s3.events import EMPTY_ETAG, Cause, Event

if TYPE_CHECKING:
    from s3proxy.kv.engine import Engine, Transaction
    from s3proxy.s3.notification import Notification

_SEPARATOR = b"\x00"
_POSITION_BYTES = 8
_LAST_EVENT = b"last_event"
DEAD_LETTERS_MAX = 10_000


def _prefix(destination: str) -> bytes:
    return destination.encode() + _SEPARATOR


def _row(destination: str, position: int) -> bytes:
    return _prefix(destination) + position.to_bytes(_POSITION_BYTES, "big")


def _next_position(txn: Transaction) -> int:
    last = txn.get(META, _LAST_EVENT)
    position = 1 + (int.from_bytes(last, "big") if last else 0)
    txn.put(META, _LAST_EVENT, position.to_bytes(_POSITION_BYTES, "big"))
    return position


def _count(txn: Transaction, destination: str, pending: int, dead: int = 0, lost: int = 0) -> None:
    """Add to a destination's counts."""
    key = destination.encode()
    value = txn.get(EVENT_COUNTS, key)
    old = EventCounts() if value is None else tables.event_counts.decode(value)
    counts = EventCounts(pending=old.pending + pending, dead=old.dead + dead, lost=old.lost + lost)
    txn.put(EVENT_COUNTS, key, encode(counts))


class Announcer:
    """Writes what one request does to the objects of a bucket into the outbox.

    Its methods belong into the transaction that does it.

    Args:
        bucket: as known to the request.
        notification: the rules of the bucket.
        cause: who makes it happen.
        time_ns: when; of a new object its own time counts.
        name: of the events, such as `ObjectCreated:Put`; where objects go, its first part:
            `ObjectRemoved` or `LifecycleExpiration`.
    """

    __slots__ = ("_bucket", "_cause", "_name", "_notification", "_time_ns")

    def __init__(
        self,
        bucket: BucketRecord,
        notification: Notification,
        cause: Cause,
        *,
        time_ns: int,
        name: str,
    ) -> None:
        self._bucket = bucket
        self._notification = notification
        self._cause = cause
        self._time_ns = time_ns
        self._name = name

    def created(self, txn: Transaction, key: str, record: ObjectRecord) -> None:
        """`record` is the object under `key` from now on."""
        self._tell(txn, self._name, key, record, time_ns=record.modified_ns, size=record.size)

    def changed(self, txn: Transaction, key: str, record: ObjectRecord) -> None:
        """Something beside the data of a version is another now."""
        self._tell(txn, self._name, key, record, time_ns=self._time_ns)

    def removed(self, txn: Transaction, key: str, record: ObjectRecord) -> None:
        """The version `record` is gone for good."""
        gone = msgspec.structs.replace(record, etag="")
        self._tell(txn, f"{self._name}:Delete", key, gone, time_ns=self._time_ns)

    def marked(self, txn: Transaction, key: str, marker: ObjectRecord) -> None:
        """A delete marker hides what was under `key`."""
        marker = msgspec.structs.replace(marker, etag=EMPTY_ETAG)
        name = f"{self._name}:DeleteMarkerCreated"
        self._tell(txn, name, key, marker, time_ns=self._time_ns)

    def _tell(
        self,
        txn: Transaction,
        name: str,
        key: str,
        record: ObjectRecord,
        *,
        time_ns: int,
        size: int | None = None,
    ) -> None:
        rule = self._notification.find(name, key)
        if rule is None:
            return
        position = _next_position(txn)
        versioned = bool(self._bucket.versioning or record.version_id)
        event = Event(
            name=name,
            sequence=position,
            time_ns=time_ns,
            region=self._bucket.region,
            bucket=self._bucket.name,
            owner=self._bucket.owner or self._bucket.tenant,
            key=key,
            cause=self._cause,
            configuration_id=rule.id,
            size=size,
            etag=record.etag,
            version_id=record.named_version if versioned else "",
            storage_class=record.storage_class if name == "LifecycleTransition" else "",
        )
        _append(txn, rule.arn, position, EventRecord(event=event, queued_ns=self._time_ns))


def _append(txn: Transaction, destination: str, position: int, record: EventRecord) -> None:
    txn.put(EVENTS, _row(destination, position), encode(record))
    _count(txn, destination, 1)


class Queued(msgspec.Struct, frozen=True):
    """A row of a queue."""

    position: int
    record: EventRecord


class OutboxTable:
    """Queues and dead letters by destination, an ARN."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def pending_events(self, destination: str, after: int = 0, limit: int = 256) -> list[Queued]:
        """Return up to `limit` events behind the position `after`, the oldest first."""
        return self._rows(EVENTS, destination, after, limit)

    def dead_events(self, destination: str, after: int = 0, limit: int = 256) -> list[Queued]:
        """Return up to `limit` dead letters behind the position `after`."""
        return self._rows(DEAD_EVENTS, destination, after, limit)

    def event_counts(self) -> dict[str, EventCounts]:
        """Return how many events each destination waits for, that ever had one."""
        with self._engine.read() as view:
            return {
                key.decode(): tables.event_counts.decode(value)
                for key, value in view.scan(EVENT_COUNTS, b"")
            }

    async def settle_events(
        self,
        destination: str,
        delivered: Sequence[int],
        dead: Sequence[Queued] = (),
        *,
        dead_max: int = DEAD_LETTERS_MAX,
    ) -> None:
        """Drop delivered events, and make others dead letters: one transaction.

        Args:
            dead: as they are to be kept, with what is known of their failure.
            dead_max: of more dead letters of this destination the oldest are lost, and counted.
        """

        def change(txn: Transaction) -> None:
            gone = sum(txn.delete(EVENTS, _row(destination, position)) for position in delivered)
            died = 0
            for queued in dead:
                row = _row(destination, queued.position)
                if txn.delete(EVENTS, row):
                    txn.put(DEAD_EVENTS, row, encode(queued.record))
                    died += 1
            _count(txn, destination, -gone - died, died)
            if died:
                _trim(txn, destination, dead_max)

        await self._engine.commit(change)

    async def retry_events(self, destination: str, now_ns: int) -> int:
        """Queue all dead letters of a destination again, at its end; returns how many.

        Their sequencers stay: who compares them sees that they are old.
        """
        return await self._engine.commit(lambda txn: _revive(txn, destination, now_ns))

    async def drop_dead_events(self, destination: str) -> int:
        """Forget all dead letters of a destination; returns how many."""
        return await self._engine.commit(lambda txn: _drop(txn, destination, None))

    def _rows(self, keyspace: str, destination: str, after: int, limit: int) -> list[Queued]:
        prefix = _prefix(destination)
        with self._engine.read() as view:
            found = view.scan(keyspace, _row(destination, after + 1), keys.successor(prefix))
            return [
                Queued(int.from_bytes(key[len(prefix) :], "big"), tables.events.decode(value))
                for key, value in islice(found, limit)
            ]


def _dead_rows(
    txn: Transaction, destination: str, limit: int | None = None
) -> list[tuple[bytes, bytes]]:
    prefix = _prefix(destination)
    return list(islice(txn.scan(DEAD_EVENTS, prefix, keys.successor(prefix)), limit))


def _trim(txn: Transaction, destination: str, dead_max: int) -> None:
    value = txn.get(EVENT_COUNTS, destination.encode())
    excess = 0 if value is None else tables.event_counts.decode(value).dead - dead_max
    if excess > 0:
        _drop(txn, destination, excess)


def _revive(txn: Transaction, destination: str, now_ns: int) -> int:
    rows = _dead_rows(txn, destination)
    for key, value in rows:
        txn.delete(DEAD_EVENTS, key)
        record = EventRecord(event=tables.events.decode(value).event, queued_ns=now_ns)
        _append(txn, destination, _next_position(txn), record)
    _count(txn, destination, 0, -len(rows))
    return len(rows)


def _drop(txn: Transaction, destination: str, limit: int | None) -> int:
    rows = _dead_rows(txn, destination, limit)
    for key, _ in rows:
        txn.delete(DEAD_EVENTS, key)
    _count(txn, destination, 0, -len(rows), len(rows))
    return len(rows)
