"""Places that come and go in one transaction with what is owed for them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.objects import Deletion
from s3proxy.catalog.records import BlobRef, BucketRecord, DebtRecord, Owed
from s3proxy.catalog.settling import Owing, Settlement
from s3proxy.catalog.tables import COPIES
from tests.catalog.catalogs import (
    Clock,
    blob,
    bucket_record,
    garbage_blobs,
    object_record,
    open_catalog,
)


class Held:
    """An object with a copy on each of `fi`, `de` and `us`, and something owed for it."""

    def __init__(self, catalog: Catalog, bucket: BucketRecord, clock: Clock) -> None:
        self.catalog = catalog
        self.bucket = bucket
        self.clock = clock
        self.places = tuple(blob(name) for name in ("fi", "de", "us"))
        self.owing = Owing("k", Owed(self.places[0], targets=("fi",)), "null")

    @property
    def now(self) -> tuple[BlobRef, ...]:
        return self.catalog.places_of(self.places[0])

    async def put(self, *targets: str) -> None:
        owed = Owed(self.places[0], self.places, targets)
        record = object_record(self.places[0])
        await self.catalog.put_object(self.bucket, "k", record, owed=[owed])

    async def claim(self) -> DebtRecord:
        (debt,) = await self.catalog.claim_debts(self.clock.ns, 1, 10**9)
        return debt

    async def lose(self, place: BlobRef, sound: BlobRef) -> bool:
        return await self.catalog.remove_place(self.bucket, self.owing, place, sound)


@asynccontextmanager
async def held(directory: Path, *targets: str) -> AsyncIterator[Held]:
    clock = Clock()
    async with open_catalog(directory, clock=clock) as catalog:
        found = Held(catalog, await catalog.create_bucket(bucket_record()), clock)
        await found.put(*targets)
        yield found


async def test_remove_place_owes_for_it_in_the_same_transaction(tmp_path: Path) -> None:
    async with held(tmp_path) as object:
        fi, de, us = object.places
        owed: list[bool] = []
        object.catalog.engine.on_change(
            lambda: owed.append(object.catalog.get_debt(fi.id) is not None), COPIES
        )
        assert await object.lose(fi, de)
        assert owed == [True]
        assert object.now == (de, us)
        debt = object.catalog.get_debt(fi.id)
        assert debt is not None
        assert (debt.targets, debt.version_id) == (("fi",), "null")
        assert garbage_blobs(object.catalog) == {fi.id}


async def test_remove_place_leaves_the_last(tmp_path: Path) -> None:
    async with held(tmp_path) as object:
        fi, de, us = object.places
        assert await object.lose(fi, us)
        assert await object.lose(de, us)
        assert not await object.lose(us, us)
        assert not await object.lose(us, de)
        assert object.now == (us,)
        await object.catalog.delete_object(object.bucket, Deletion("k"))
        assert garbage_blobs(object.catalog) == {place.id for place in object.places}


async def test_remove_place_whose_sound_one_is_gone_by_now_changes_nothing(tmp_path: Path) -> None:
    async with held(tmp_path, "de") as object:
        fi, de, _ = object.places
        debt = await object.claim()
        # A settle that found `de` to be one too many, while a scrub found it sound and `fi` lost.
        await object.catalog.settle_debt(Settlement(debt, object.places, (), (de,)))
        assert not await object.lose(fi, de)
        assert fi in object.now


async def test_remove_place_of_what_nothing_points_at_changes_nothing(tmp_path: Path) -> None:
    async with held(tmp_path) as object:
        fi, de, _ = object.places
        object.owing = msgspec.structs.replace(object.owing, version_id="another")
        assert not await object.lose(fi, de)
        assert object.now == object.places


async def test_settle_debt_of_places_that_are_others_by_now_removes_nothing_and_stays_due(
    tmp_path: Path,
) -> None:
    async with held(tmp_path, "de") as object:
        fi, de, us = object.places
        debt = await object.claim()
        # As where a place was forgotten after they were read, and the debt was claimed before.
        seen = (*object.places, blob("se"))
        assert await object.catalog.settle_debt(Settlement(debt, seen, (), (us,)))
        assert object.now == (fi, de, us)
        (left,) = object.catalog.due_debts(object.clock.ns, 9)
        assert left.blob == fi
        assert left.lease == ""


async def test_settle_debt_of_rules_that_are_others_by_now_keeps_copies_and_stays_due(
    tmp_path: Path,
) -> None:
    async with held(tmp_path, "se") as object:
        _, _, us = object.places
        debt = await object.claim()
        copy = blob("se")
        object.catalog.intend(copy, object.bucket, "k")

        def forbid(bucket: BucketRecord) -> BucketRecord:
            return msgspec.structs.replace(bucket, placement_revision=7)

        await object.catalog.update_bucket(object.bucket, forbid)
        done = Settlement(debt, object.places, (copy,), (us,), bucket=object.bucket)
        assert await object.catalog.settle_debt(done)
        assert object.now == (*object.places, copy)
        assert [left.blob for left in object.catalog.due_debts(object.clock.ns, 9)] == [
            object.places[0]
        ]


async def test_settle_debt_of_bytes_in_the_catalog_keeps_them_until_a_copy_is_known_to_be_sound(
    tmp_path: Path,
) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        inline, copy = blob(""), blob("fi")
        owed = Owed(inline, (inline, copy), ("fi",))
        record = object_record(inline)
        await catalog.put_object(bucket, "k", record, inline=b"abc", owed=[owed])
        (debt,) = await catalog.claim_debts(2**62, 1, 1)
        waiting = msgspec.structs.replace(debt, waits_for="fi", lease="", due_ns=1)
        seen = Settlement(debt, (inline, copy), rest=waiting, bucket=bucket)
        assert await catalog.settle_debt(seen)
        assert catalog.get_inline(inline.id) == b"abc"
        (debt,) = await catalog.claim_debts(2**62, 1, 1, ["fi"])
        proven = Settlement(debt, (inline, copy), (), (inline,), bucket=bucket)
        assert await catalog.settle_debt(proven)
        found = catalog.get_object(bucket, "k")
        assert found is not None
        assert found.blobs == (copy,)
        assert catalog.get_inline(inline.id) is None


async def test_settle_debt_of_a_copy_that_was_given_up_removes_nothing_and_stays_due(
    tmp_path: Path,
) -> None:
    async with held(tmp_path, "se") as object:
        fi, de, us = object.places
        debt = await object.claim()
        copy = blob("se")
        object.catalog.intend(copy, object.bucket, "k")
        await object.catalog.drop_intent(copy.id, garbage=copy)
        done = Settlement(debt, object.places, (copy,), (us,), bucket=object.bucket)
        assert await object.catalog.settle_debt(done)
        assert object.now == (fi, de, us)
        assert [left.blob for left in object.catalog.due_debts(object.clock.ns, 9)] == [fi]
