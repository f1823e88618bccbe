"""What is owed to which backend, and debts that were given up, as they are told."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.debt_counts import NOTHING_OWED, TOO_FEW, Backlog
from s3proxy.catalog.debts import awaited
from s3proxy.catalog.records import DebtRecord
from s3proxy.views.times import told_time


class Lag(Struct, frozen=True):
    """What is owed to one backend.

    In place of one, "!too-few" stands for blobs with fewer copies than their rules want, which no
    backend is left for, and "" for those that have a place too many.

    Attributes:
        lag_s: age of the oldest debt.
        dead: debts that were given up.
    """

    backend: str
    objects: int
    bytes: int
    lag_s: float
    dead: int


class Debt(Struct, frozen=True):
    """A blob that is not, or may not be, where its rules want it.

    Attributes:
        due: when it is tried; null: it was given up.
        targets: backends that are expected to get it.
        waits_for: the backend that has to be up first; of several, any.
    """

    id: str
    tenant: str
    bucket: str
    key: str
    version_id: str
    bytes: int
    since: str | None
    due: str | None
    targets: list[str]
    tries: int
    dead: bool
    waits_for: str
    error: str


def lags(catalog: Catalog, now_ns: int, backends: Iterable[str]) -> list[Lag]:
    """What is owed to each backend, one that is not configured any more included.

    Places too many and blobs with too few, if there are any, come last.
    """
    told = catalog.debt_counts().items()
    counts = {
        name: found for name, found in told if found != NOTHING_OWED or name not in ("", TOO_FEW)
    }
    names = sorted({*backends, *counts}, key=lambda name: (not name, name == TOO_FEW, name))
    return [_lag(name, counts.get(name, NOTHING_OWED), now_ns) for name in names]


def shown_debt(record: DebtRecord) -> Debt:
    """A debt as the API and the commands tell it."""
    return Debt(
        id=record.blob.id,
        tenant=record.tenant,
        bucket=record.bucket,
        key=record.key,
        version_id=record.version_id,
        bytes=record.blob.size,
        since=told_time(record.since_ns),
        due=None if record.dead else told_time(record.due_ns),
        targets=list(record.targets),
        tries=record.tries,
        dead=record.dead,
        waits_for=", ".join(awaited(record)),
        error=record.error,
    )


def _lag(name: str, found: Backlog, now_ns: int) -> Lag:
    lag_s = max(0.0, (now_ns - found.since_ns) / 1e9) if found.since_ns else 0.0
    return Lag(name, found.objects, found.bytes, round(lag_s, 3), found.dead)
