"""What was decided on before a walk over its bucket began, and is published after it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.containers import LeftoverContainer
from s3proxy.catalog.errors import ContainerLeft
from s3proxy.catalog.expiry import Candidate, Moved
from s3proxy.catalog.records import BlobRef, BucketRecord, Owed, ProgressRecord
from s3proxy.catalog.settling import Settlement
from s3proxy.catalog.walks import drain_rules, drain_task
from s3proxy.s3.lifecycle import Verdict
from tests.catalog.catalogs import (
    blob,
    bucket_record,
    object_record,
    open_catalog,
    part_record,
    upload_record,
)

SINCE_NS = 5
HOME = ("other", "s3gw-other")


class Late:
    """A bucket on `disk`, as it was before a walk began and as it is now."""

    def __init__(self, catalog: Catalog, bucket: BucketRecord) -> None:
        self.catalog = catalog
        self.before = self.now = bucket

    async def walk(self) -> None:
        """A whole walk for the drain of `disk`."""
        task, rules = drain_task("disk"), drain_rules(SINCE_NS)
        self.now = await self.catalog.begin_walk(self.now, task, rules)
        done = ProgressRecord(round=0, rules=rules, done=True)
        await self.catalog.put_progress(self.now, task, done)

    def is_walked(self) -> bool:
        return self.catalog.get_progress(self.now, drain_task("disk")) is not None

    async def written(self) -> BlobRef:
        """A blob in the bucket's container whose intent is open."""
        found = msgspec.structs.replace(blob(), container=self.before.container)
        await self.catalog.intend(found, self.before, "k").wait()
        return found

    async def leave(self) -> BucketRecord | None:
        return await self.catalog.leave_backend(self.now, "disk", HOME, SINCE_NS)

    def owed(self) -> list[tuple[str, str, int]]:
        debts = self.catalog.list_debts()
        return [(debt.blob.id, debt.version_id, debt.replicas) for debt in debts]


@pytest.fixture
async def late(tmp_path: Path) -> AsyncIterator[Late]:
    async with open_catalog(tmp_path) as catalog:
        found = Late(catalog, await catalog.create_bucket(bucket_record()))
        await catalog.set_draining("disk", SINCE_NS)
        yield found


@pytest.mark.parametrize("inline", [False, True])
async def test_put_object_decided_before_a_walk_is_owed(late: Late, inline: bool) -> None:
    target = BlobRef("id", "", "", "", 3) if inline else await late.written()
    await late.walk()
    record = object_record(target)
    if inline:
        await late.catalog.put_object(late.before, "k", record, inline=b"abc")
    else:
        await late.catalog.put_object(late.before, "k", record, intents=[target.id])
    assert late.owed() == [(target.id, "null", 0)]
    assert not late.is_walked()


async def test_put_object_decided_since_the_walk_owes_nothing(late: Late) -> None:
    await late.walk()
    target = await late.written()
    await late.catalog.put_object(late.now, "k", object_record(target), intents=[target.id])
    assert late.owed() == []
    assert late.is_walked()


async def test_put_object_that_owes_already_owes_no_more(late: Late) -> None:
    target = await late.written()
    await late.walk()
    owed = [Owed(target, targets=("there",), replicas=3)]
    await late.catalog.put_object(late.before, "k", object_record(target), owed=owed)
    (debt,) = late.catalog.list_debts()
    assert (debt.targets, debt.replicas) == (("there",), 3)


async def test_put_part_decided_before_a_walk_is_owed(late: Late) -> None:
    await late.catalog.create_upload(late.before, upload_record("k", "u"))
    target = await late.written()
    await late.walk()
    part = part_record(1, target)
    await late.catalog.put_part(late.before, "k", "u", part, intents=[target.id])
    assert late.owed() == [(target.id, "", 0)]
    assert [debt.upload_id for debt in late.catalog.list_debts()] == ["u"]


async def test_complete_upload_decided_before_a_walk_is_owed(late: Late) -> None:
    await late.catalog.create_upload(late.before, upload_record("k", "u"))
    target = blob()
    await late.catalog.put_part(late.before, "k", "u", part_record(1, target))
    await late.walk()
    named = [(1, "etag-1")]
    await late.catalog.complete_upload(late.before, "k", "u", object_record(), parts=named)
    assert late.owed() == [(target.id, "null", 0)]


async def test_move_version_decided_before_a_walk_is_owed(late: Late) -> None:
    record = await late.catalog.put_object(late.before, "k", object_record(blob()))
    target = await late.written()
    await late.walk()
    candidate = Candidate("k", record, None, Verdict("move", "COLD"))
    moved = Moved((target,), (target.id,))
    assert await late.catalog.move_version(late.before, candidate, moved)
    assert late.owed() == [(target.id, "null", 0)]


async def test_leave_backend_of_what_is_drained_makes_a_leftover(late: Late) -> None:
    await late.walk()
    left = await late.leave()
    assert left is not None
    assert (left.backend, left.container) == HOME
    (leftover,) = late.catalog.leftover_containers()
    assert leftover == LeftoverContainer("disk", "s3gw-bucket", "main", "bucket")


async def test_leave_backend_while_a_write_to_it_is_under_way_is_refused(late: Late) -> None:
    target = await late.written()
    await late.walk()
    assert await late.leave() is None
    await late.catalog.put_object(late.before, "k", object_record(target), intents=[target.id])
    assert await late.leave() is None
    await late.walk()
    assert await late.leave() is not None


@pytest.mark.parametrize("since_ns", [None, SINCE_NS + 1])
async def test_leave_backend_that_is_no_longer_so_drained_is_refused(
    late: Late, since_ns: int | None
) -> None:
    await late.walk()
    await late.catalog.set_draining("disk", since_ns)
    assert await late.leave() is None
    assert late.catalog.leftover_containers() == []


async def test_leave_backend_after_an_upload_began_there_is_refused(late: Late) -> None:
    await late.walk()
    target = msgspec.structs.replace(blob(), container=late.before.container)
    await late.catalog.create_upload(late.before, upload_record("k", "u", target))
    assert await late.leave() is None


async def test_publish_where_the_bucket_is_no_more_is_refused(late: Late) -> None:
    """Decided on before the walk, and begun after the bucket has left."""
    await late.catalog.create_upload(late.before, upload_record("k", "u"))
    record = await late.catalog.put_object(late.before, "old", object_record())
    await late.walk()
    assert await late.leave() is not None
    target = await late.written()
    ids, catalog, before = [target.id], late.catalog, late.before
    with pytest.raises(ContainerLeft):
        await catalog.put_object(before, "k", object_record(target), intents=ids)
    with pytest.raises(ContainerLeft):
        await catalog.put_part(before, "k", "u", part_record(1, target), intents=ids)
    with pytest.raises(ContainerLeft):
        await catalog.create_upload(before, upload_record("k", "native", target))
    candidate = Candidate("old", record, None, Verdict("move", "COLD"))
    with pytest.raises(ContainerLeft):
        await catalog.move_version(before, candidate, Moved((target,), (target.id,)))
    assert catalog.get_object(before, "k") is None
    assert await catalog.drop_intent(target.id, garbage=target)


async def test_settle_debt_decided_before_a_walk_stays_owed(late: Late) -> None:
    target = blob()
    owed = [Owed(target, targets=("there",))]
    await late.catalog.put_object(late.before, "k", object_record(target), owed=owed)
    (debt,) = late.catalog.list_debts()
    await late.walk()
    settlement = Settlement(debt, (target,), bucket=late.before)
    assert await late.catalog.settle_debt(settlement)
    assert late.owed() == [(target.id, "null", 0)]
    await late.catalog.settle_debt(Settlement(debt, (target,), bucket=late.now))
    assert late.owed() == []
