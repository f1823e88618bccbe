"""Draining of backends as it is told."""

from __future__ import annotations

import msgspec

from s3proxy.ops.drain import Left
from s3proxy.views.times import told_time


class Drained(msgspec.Struct, frozen=True):
    """How far draining a backend is; see `s3proxy backend drain`.

    Attributes:
        since: when it began; null: it is not drained.
        garbage: blobs that are still to be deleted there.
        containers: that no bucket has any more, and that are still to be removed.
        writes: under way to it.
        stuck: buckets whose rules allow no other backend.
        below: buckets that have fewer copies than their rules want, once it is empty.
        classes: of storage, whose backend it is by the configuration.
        backups: those of the catalog are there, and are not moved.
        moved: nothing is there that anybody needs.
        done: nor anything that the gateway deletes.
    """

    backend: str
    since: str | None
    blobs: int
    bytes: int
    buckets: int
    uploads: int
    garbage: int
    containers: int
    writes: int
    attached: list[str]
    stuck: list[str]
    below: list[str]
    classes: list[str]
    backups: bool
    moved: bool
    done: bool


def drained_of(left: Left) -> Drained:
    """How far draining is, as the API and the commands tell it."""
    told = msgspec.structs.asdict(left)
    since = told_time(told.pop("since_ns"))
    return Drained(**told, since=since, moved=left.moved, done=left.done)
