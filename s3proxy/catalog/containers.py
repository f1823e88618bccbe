"""Whose the containers on backends are: from the name there back to the bucket here.

A name is claimed before the container is made, and stays claimed until it is removed. A container
that no bucket's record names yet, or any more, is a leftover beside that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from s3proxy.catalog import marks, tables, walks
from s3proxy.catalog.buckets import bucket_key, place_key, places_of, require, store
from s3proxy.catalog.errors import NamesTaken
from s3proxy.catalog.intents import is_written_to
from s3proxy.catalog.records import BucketRecord
from s3proxy.catalog.tables import BUCKETS, CONTAINERS, META, PHYSICAL
from s3proxy.kv.engine import Engine, Snapshot, Transaction

_NOT_OURS = b""
_ADOPTED = b"containers_adopted"
COUNTER_MAX = 1000  # hashes of 64 bits: one that reaches 2 is not expected


class LeftoverContainer(NamedTuple):
    """A container on a backend that may have no bucket any more."""

    backend: str
    container: str
    tenant: str
    bucket: str


class ContainerTable:
    """Names of containers by (backend, container)."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def bucket_of_container(self, backend: str, container: str) -> tuple[str, str] | None:
        """Return tenant and name of the bucket that a container is or was of; None: of none."""
        owner = self._engine.get(PHYSICAL, place_key(backend, container))
        return _named(owner) if owner else None

    async def claim_container(
        self, tenant: str, bucket: str, backend: str, name: Callable[[int], str]
    ) -> str:
        """Claim the first free name of a bucket on a backend, and return it.

        The same bucket gets the same name again. Until its record names it, it is a leftover.

        Args:
            name: of a container, by the counter; pure.
        Raises:
            NamesTaken: COUNTER_MAX names are others'.
        """
        owner = bucket_key(tenant, bucket)

        return await self._engine.commit(lambda txn: claim(txn, owner, backend, name))

    async def disown_container(self, backend: str, container: str) -> None:
        """Note that somebody else has a container of that name there: it is never ours."""
        place = place_key(backend, container)

        def change(txn: Transaction) -> None:
            txn.put(PHYSICAL, place, _NOT_OURS)
            txn.delete(CONTAINERS, place)

        await self._engine.commit(change)

    async def adopt_containers(self, names: Callable[[BucketRecord], dict[str, str]]) -> None:
        """Claim, once, the containers of buckets from before names were claimed.

        Args:
            names: what such a bucket may have beside its own container, by backend.
        """
        if self._engine.get(META, _ADOPTED) is not None:
            return

        def change(txn: Transaction) -> None:
            for key, value in list(txn.scan(BUCKETS, b"")):
                bucket = tables.buckets.decode(value)
                if bucket.kind != "managed":
                    continue
                adopted = msgspec.structs.replace(bucket, names={**names(bucket), **bucket.names})
                store(txn, adopted)
                for place in places_of(adopted):
                    txn.put(PHYSICAL, place, key)
            txn.put(META, _ADOPTED, b"")

        await self._engine.commit(change)

    def leftover_containers(self) -> list[LeftoverContainer]:
        """Return what deleted buckets still have on backends."""
        with self._engine.read() as view:
            return [
                LeftoverContainer(*_named(key), *_named(owner))
                for key, owner in view.scan(CONTAINERS, b"")
            ]

    async def leave_backend(
        self, bucket: BucketRecord, backend: str, home: tuple[str, str], since_ns: int
    ) -> BucketRecord | None:
        """Have a bucket leave a backend that is drained; its container there is a leftover.

        The caller has found no bytes of the bucket there.

        Args:
            home: backend and container that are its own from then on.
            since_ns: when draining began.
        Returns:
            None: something may have come there meanwhile, or may still; nothing was changed.

        Raises:
            NoSuchBucket: the bucket is gone.
        """

        def change(txn: Transaction) -> BucketRecord | None:
            before = require(txn, bucket)
            if not _may_leave(txn, before, backend, since_ns):
                return None
            names = {before.backend: before.container, **before.names}
            left = names.pop(backend, "")
            names.pop(home[0], None)
            after = msgspec.structs.replace(before, backend=home[0], container=home[1], names=names)
            store(txn, after)
            if left:
                owner = bucket_key(bucket.tenant, bucket.name)
                txn.put(CONTAINERS, place_key(backend, left), owner)
            return after

        return await self._engine.commit(change)

    async def forget_container(self, backend: str, container: str, *, removed: bool) -> None:
        """Drop a leftover that is in use again, or `removed`; then its name is free, too."""
        place = place_key(backend, container)

        def change(txn: Transaction) -> None:
            txn.delete(CONTAINERS, place)
            if removed:
                txn.delete(PHYSICAL, place)

        await self._engine.commit(change)


def _may_leave(view: Snapshot, bucket: BucketRecord, backend: str, since_ns: int) -> bool:
    """Whether nothing can have come to a backend since a bucket's bytes there were counted.

    What is decided on since the walk for this drain began goes elsewhere; what was decided on
    before, and is published, has the walk begin anew; and what is not published yet has an intent.
    """
    walk = walks.find(view, bucket, walks.drain_task(backend))
    if walk is None or not walk.done or walk.rules != walks.drain_rules(since_ns):
        return False
    container = {**bucket.names, bucket.backend: bucket.container}.get(backend, "")
    drained = marks.draining_since(view, backend) == since_ns
    return drained and not is_written_to(view, backend, container)


def claim(txn: Transaction, owner: bytes, backend: str, name: Callable[[int], str]) -> str:
    """Give a bucket the first name on a backend that is free or its own; see `claim_container`."""
    for counter in range(COUNTER_MAX):
        container = name(counter)
        place = place_key(backend, container)
        claimed = txn.get(PHYSICAL, place)
        if claimed is None:
            txn.put(PHYSICAL, place, owner)
            txn.put(CONTAINERS, place, owner)
        if claimed in (None, owner):
            return container
    raise NamesTaken(f"{COUNTER_MAX} names on {backend} are taken")


def _named(key: bytes) -> tuple[str, str]:
    first, second = key.decode().split("\0")
    return first, second
