"""Places of a blob, and what is owed for it, through every path that drops or moves blobs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.debt_counts import Backlog
from s3proxy.catalog.objects import Deletion
from s3proxy.catalog.records import BlobRef, BucketRecord, Owed
from s3proxy.catalog.seal import AesGcmSealer
from s3proxy.catalog.settling import Owing, Settlement
from s3proxy.catalog.tables import COPIES, DEBT_ORDER, DEBTS, INLINE
from tests.catalog.catalogs import (
    MASTER_KEY,
    Clock,
    blob,
    bucket_record,
    garbage_blobs,
    object_record,
    open_catalog,
    part_record,
    upload_record,
)
from tests.catalog.owing import give_up, owe

LEASE_NS = 60 * 10**9


@asynccontextmanager
async def opened(
    directory: Path, clock: Clock | None = None
) -> AsyncIterator[tuple[Catalog, BucketRecord]]:
    async with open_catalog(directory, clock=clock) as catalog:
        yield catalog, await catalog.create_bucket(bucket_record())


def rows(catalog: Catalog, *keyspaces: str) -> int:
    with catalog.engine.read() as view:
        return sum(len(list(view.scan(keyspace, b""))) for keyspace in keyspaces)


async def put_owed(
    catalog: Catalog, bucket: BucketRecord, key: str, copies: int = 1, targets: tuple[str, ...] = ()
) -> tuple[BlobRef, ...]:
    """An object with that many copies; returns its places."""
    places = tuple(blob(f"backend-{number}") for number in range(copies))
    owed = Owed(places[0], places if copies > 1 else (), targets)
    await catalog.put_object(bucket, key, object_record(places[0]), owed=[owed])
    return places


async def test_places_of_blob_without_copies_is_itself(tmp_path: Path) -> None:
    async with opened(tmp_path) as (catalog, bucket):
        places = await put_owed(catalog, bucket, "k")
        assert catalog.places_of(places[0]) == places
        assert rows(catalog, COPIES, DEBTS, DEBT_ORDER) == 0


async def test_put_object_owed_keeps_places_and_debt(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as (catalog, bucket):
        places = await put_owed(catalog, bucket, "k", 2, ("de", "fi"))
        assert catalog.places_of(places[0]) == places
        (debt,) = catalog.due_debts(clock.ns, 10)
        assert debt == catalog.get_debt(places[0].id)
        assert (debt.bucket, debt.key, debt.targets) == ("bucket", "k", ("de", "fi"))
        expected = Backlog(objects=1, bytes=3, dead=0, since_ns=clock.ns)
        assert catalog.debt_counts() == {"de": expected, "fi": expected}


async def test_delete_object_makes_garbage_of_every_copy(tmp_path: Path) -> None:
    async with opened(tmp_path) as (catalog, bucket):
        places = await put_owed(catalog, bucket, "k", 3, ("de",))
        await catalog.delete_object(bucket, Deletion("k"))
        assert garbage_blobs(catalog) == {place.id for place in places}
        assert rows(catalog, COPIES, DEBTS, DEBT_ORDER) == 0
        assert catalog.debt_counts()["de"].objects == 0


async def test_put_object_replacing_one_with_debt_drops_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as (catalog, bucket):
        places = await put_owed(catalog, bucket, "k", 2, ("de",))
        await put_owed(catalog, bucket, "k")
        assert garbage_blobs(catalog) == {place.id for place in places}
        assert rows(catalog, COPIES, DEBTS, DEBT_ORDER) == 0


async def test_put_object_onto_itself_keeps_copies(tmp_path: Path) -> None:
    async with opened(tmp_path) as (catalog, bucket):
        places = await put_owed(catalog, bucket, "k", 2)
        old = catalog.get_object(bucket, "k")
        assert old is not None
        changed = msgspec.structs.replace(old, user={"a": "b"})
        await catalog.put_object(bucket, "k", changed, replaces=old)
        assert catalog.places_of(places[0]) == places
        assert garbage_blobs(catalog) == set()


async def test_put_part_owed_goes_with_the_part_or_to_the_object(tmp_path: Path) -> None:
    async with opened(tmp_path) as (catalog, bucket):
        await catalog.create_upload(bucket, upload_record("k", "u"))
        used, unused, resent = ((blob("a"), blob("b")) for _ in range(3))
        for number, pair in ((1, resent), (1, used), (2, unused)):
            part = part_record(number, pair[0], etag=f"e{number}")
            owed = [Owed(pair[0], pair, ("c",))]
            await catalog.put_part(bucket, "k", "u", part, owed=owed)
        assert garbage_blobs(catalog) == {place.id for place in resent}
        record = object_record(etag="whole")
        await catalog.complete_upload(bucket, "k", "u", record, parts=[(1, "e1")])
        assert garbage_blobs(catalog) == {place.id for place in (*resent, *unused)}
        assert catalog.places_of(used[0]) == used
        assert [debt.blob for debt in catalog.list_debts()] == [used[0]]


async def test_abort_upload_makes_garbage_of_copies_of_parts(tmp_path: Path) -> None:
    async with opened(tmp_path) as (catalog, bucket):
        await catalog.create_upload(bucket, upload_record("k", "u"))
        pair = (blob("a"), blob("b"))
        await catalog.put_part(
            bucket, "k", "u", part_record(1, pair[0]), owed=[Owed(pair[0], pair, ("c",))]
        )
        await catalog.abort_upload(bucket, "k", "u")
        assert garbage_blobs(catalog) == {place.id for place in pair}
        assert rows(catalog, COPIES, DEBTS, DEBT_ORDER) == 0


async def test_postpone_garbage_of_a_former_first_place_leaves_the_others(tmp_path: Path) -> None:
    """A drained place has the id under which the blob's other places are kept."""
    async with opened(tmp_path) as (catalog, bucket):
        places = await put_owed(catalog, bucket, "k", 2)
        await catalog.add_garbage([places[0]])
        await catalog.postpone_garbage(catalog.due_garbage(2**62, 10), 2**61)
        assert garbage_blobs(catalog) == {places[0].id}
        assert catalog.places_of(places[0]) == places


async def test_forget_garbage_of_copies_drops_no_inline_bytes(tmp_path: Path) -> None:
    async with opened(tmp_path) as (catalog, bucket):
        inline = blob("")
        await catalog.put_object(bucket, "small", object_record(inline), inline=b"abc")
        await put_owed(catalog, bucket, "k", 3)
        await catalog.delete_object(bucket, Deletion("k"))
        due = catalog.due_garbage(2**62, 10)
        assert len({record.id for record in due}) == 3
        await catalog.forget_garbage([record.id for record in due])
        assert rows(catalog, INLINE) == 1


async def test_claim_debts_leases_each_once_until_the_lease_ends(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as (catalog, bucket):
        for number in range(3):
            await put_owed(catalog, bucket, f"k{number}", 1, ("de",))
        first = await catalog.claim_debts(clock.ns, 2, LEASE_NS)
        rest = await catalog.claim_debts(clock.ns, 2, LEASE_NS)
        assert (len(first), len(rest)) == (2, 1)
        assert {debt.lease for debt in first} == {"here"}
        assert await catalog.claim_debts(clock.ns, 2, LEASE_NS) == []
        assert catalog.next_debt_ns() == clock.ns + LEASE_NS
        assert len(await catalog.claim_debts(clock.ns + LEASE_NS, 9, LEASE_NS)) == 3


async def test_release_debts_takes_back_leases_of_another_run(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as (catalog, bucket):
        await put_owed(catalog, bucket, "k", 1, ("de",))
        await catalog.claim_debts(clock.ns, 2, LEASE_NS)
        assert await catalog.release_debts(["de"]) == 0
        sealer = AesGcmSealer(MASTER_KEY)
        later = Catalog(catalog.engine, sealer, gateway="later", now_ns=clock)
        assert await later.release_debts(["de"]) == 1
        assert len(await later.claim_debts(clock.ns, 2, LEASE_NS)) == 1


async def test_release_debts_looks_again_at_what_waits_for_unknown_backends(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as (catalog, bucket):
        waits = [("de",), ("~de",), ("fi",), ("~fi",), ("fi", "de"), ("de", "us"), ("~",), ("",)]
        for number, names in enumerate(waits):
            (place,) = await put_owed(catalog, bucket, f"k{number}", 1, ("fi",))
            debt = catalog.get_debt(place.id)
            assert debt is not None
            rest = msgspec.structs.replace(debt, waits_for=names[0], or_for=names[1:])
            await catalog.settle_debt(Settlement(debt, (place,), rest=rest))
        dead = await owe(catalog, bucket, "dead", "fi")
        await give_up(catalog, dead)
        assert await catalog.release_debts(["de"]) == 4
        assert await catalog.release_debts(["de"]) == 0
        due = [debt.key for debt in catalog.due_debts(clock.ns, 20)]
        assert sorted(due) == ["k2", "k3", "k4", "k5", "k7"]
        assert len(catalog.list_debts(dead=True)) == 1
        assert rows(catalog, DEBT_ORDER) == 9


def intent_of(catalog: Catalog, bucket: BucketRecord, copy: BlobRef) -> None:
    catalog.intend(copy, bucket, "k")


async def test_settle_debt_adds_and_removes_places(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as (catalog, bucket):
        places = await put_owed(catalog, bucket, "k", 2, ("de",))
        (debt,) = await catalog.claim_debts(clock.ns, 1, LEASE_NS)
        copy = blob("de")
        intent_of(catalog, bucket, copy)
        assert await catalog.settle_debt(Settlement(debt, places, (copy,), (places[0],)))
        assert catalog.places_of(places[0]) == (places[1], copy)
        assert garbage_blobs(catalog) == {places[0].id}
        assert catalog.open_intents() == []
        assert rows(catalog, DEBTS, DEBT_ORDER) == 0


async def test_settle_debt_down_to_the_blob_itself_leaves_no_row(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as (catalog, bucket):
        places = await put_owed(catalog, bucket, "k", 2, ("de",))
        (debt,) = await catalog.claim_debts(clock.ns, 1, LEASE_NS)
        assert await catalog.settle_debt(Settlement(debt, places, (), (places[1],)))
        assert catalog.places_of(places[0]) == (places[0],)
        assert rows(catalog, COPIES, DEBTS) == 0


async def test_settle_debt_of_object_deleted_meanwhile_makes_the_copy_garbage(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as (catalog, bucket):
        places = await put_owed(catalog, bucket, "k", 1, ("de",))
        (debt,) = await catalog.claim_debts(clock.ns, 1, LEASE_NS)
        copy = blob("de")
        intent_of(catalog, bucket, copy)
        await catalog.delete_object(bucket, Deletion("k"))
        assert not await catalog.settle_debt(Settlement(debt, places, (copy,)))
        assert garbage_blobs(catalog) == {places[0].id, copy.id}
        assert catalog.open_intents() == []
        assert rows(catalog, COPIES, DEBTS, DEBT_ORDER) == 0


async def test_settle_debt_renewed_meanwhile_keeps_it_and_all_places(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as (catalog, bucket):
        places = await put_owed(catalog, bucket, "k", 2, ("de",))
        (debt,) = await catalog.claim_debts(clock.ns, 1, LEASE_NS)
        record = catalog.get_object(bucket, "k")
        assert record is not None
        owing = Owing("k", Owed(places[0], (), ("us",)), record.named_version)
        assert await catalog.add_debts(bucket, [owing]) == 1
        copy = blob("de")
        intent_of(catalog, bucket, copy)
        assert await catalog.settle_debt(Settlement(debt, places, (copy,), (places[0],)))
        assert catalog.places_of(places[0]) == (*places, copy)
        (renewed,) = catalog.due_debts(clock.ns, 1)
        assert (renewed.targets, renewed.lease) == (("us",), "")


async def test_settle_debt_never_removes_the_last_place(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as (catalog, bucket):
        places = await put_owed(catalog, bucket, "k", 1, ("de",))
        (debt,) = await catalog.claim_debts(clock.ns, 1, LEASE_NS)
        lost = blob("de")  # its intent is gone: recovery gave it up
        assert await catalog.settle_debt(Settlement(debt, places, (lost,), places))
        assert catalog.places_of(places[0]) == places


async def test_settle_debt_with_a_rest_waits_or_dies(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as (catalog, bucket):
        places = await put_owed(catalog, bucket, "k", 1, ("de",))
        (debt,) = await catalog.claim_debts(clock.ns, 1, LEASE_NS)
        waiting = msgspec.structs.replace(debt, due_ns=clock.ns, lease="", waits_for="de")
        await catalog.settle_debt(Settlement(debt, places, rest=waiting))
        assert await catalog.claim_debts(clock.ns, 1, LEASE_NS) == []
        (debt,) = await catalog.claim_debts(clock.ns, 1, LEASE_NS, ["de"])
        dead = msgspec.structs.replace(debt, lease="", dead=True, tries=9, error="gone")
        await catalog.settle_debt(Settlement(debt, places, rest=dead))
        assert catalog.due_debts(2**62, 9) == []
        assert catalog.list_debts(dead=True) == [dead]
        assert catalog.debt_counts()["de"].dead == 1
        assert await catalog.retry_debts() == 1
        assert [debt.tries for debt in catalog.due_debts(clock.ns, 9)] == [0]
        assert catalog.debt_counts()["de"].dead == 0


async def test_settle_debt_that_waits_for_any_of_several_is_claimed_once(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as (catalog, bucket):
        places = await put_owed(catalog, bucket, "k", 1, ("de",))
        (debt,) = await catalog.claim_debts(clock.ns, 1, LEASE_NS)
        waiting = msgspec.structs.replace(
            debt, due_ns=clock.ns, lease="", waits_for="de", or_for=("fi", "us")
        )
        await catalog.settle_debt(Settlement(debt, places, rest=waiting))
        assert rows(catalog, DEBT_ORDER) == 3
        assert not catalog.has_due_debts(clock.ns, ["se"], ["fi"])
        assert catalog.has_due_debts(clock.ns, ["us"], [])
        (debt,) = await catalog.claim_debts(clock.ns, 9, LEASE_NS, ["us", "de", "fi"])
        assert (debt.waits_for, debt.or_for) == ("", ())
        assert rows(catalog, DEBT_ORDER) == 1


async def test_add_debts_of_what_is_gone_is_passed_over(tmp_path: Path) -> None:
    async with opened(tmp_path) as (catalog, bucket):
        (place,) = await put_owed(catalog, bucket, "k")
        await put_owed(catalog, bucket, "k")
        owing = [Owing("k", Owed(place, (), ("us",)), "null"), Owing("no", Owed(place), "null")]
        assert await catalog.add_debts(bucket, owing) == 0
        assert rows(catalog, COPIES, DEBTS, DEBT_ORDER) == 0


async def test_list_debts_dead_after_one_that_is_retried_meanwhile_lists_no_other(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as (catalog, bucket):
        dead = [await owe(catalog, bucket, key, "fi") for key in "ab"]
        await owe(catalog, bucket, "c", "fi")
        for debt in dead:
            await give_up(catalog, debt)
        first, second = catalog.list_debts(dead=True)
        await catalog.retry_debts([first.blob.id])
        assert catalog.list_debts(after=first.blob.id, dead=True) == [second]
