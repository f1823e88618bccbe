"""Draining of backends as it is told."""

from __future__ import annotations

import msgspec

from s3proxy.ops.drain import Left
from s3proxy.views.times import told_time


class Drained(msgspec.Struct, frozen=True):
    """How far draining a backend is; see `s3proxy backend drain`.

    Attributes:
        since: when it began; null: it is not drained.
        writes: under way to it.
        stuck: buckets whose rules allow no other backend.
        classes: of storage, whose backend it is by the configuration.
        backups: those of the catalog are there, and are not moved.
        done: nothing is left that the gateway moves.
    """

    backend: str
    since: str | None
    blobs: int
    bytes: int
    buckets: int
    uploads: int
    writes: int
    attached: list[str]
    stuck: list[str]
    classes: list[str]
    backups: bool
    done: bool


def drained_of(left: Left) -> Drained:
    """How far draining is, as the API and the commands tell it."""
    told = msgspec.structs.asdict(left)
    since = told_time(told.pop("since_ns"))
    return Drained(**told, since=since, done=left.done)
