"""Parts of uploads have the copies that their upload asks for, before it ends and after."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tests.workers.replicas import UPLOAD_ID, Replicas, open_replicas

THREE = {"replica-count": "3"}


async def test_replicator_part_of_an_upload_with_a_tag_gets_as_many_copies(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        part = await replicas.put_part("k", b"part", "ab", ["c"], tags=THREE)
        await replicas.settle()
        assert replicas.backends_of(part) == "abc"
        assert await replicas.owe() == 0
        await replicas.put_debt_of_part("k", part)
        await replicas.settle()
        assert replicas.backends_of(part) == "abc"


async def test_owe_bucket_owes_for_parts_by_the_tag_of_their_upload(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        part = await replicas.put_part("k", b"part", "ab", tags=THREE)
        assert await replicas.owe() == 1
        await replicas.settle()
        assert replicas.backends_of(part) == "abc"


async def test_owe_bucket_leaves_parts_where_the_class_of_their_upload_is(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        with_class(replicas)
        part = await replicas.put_part("k", b"part", "ca", storage_class="GLACIER_IR")
        assert await replicas.owe() == 0
        await replicas.put_debt_of_part("k", part)
        await replicas.settle()
        assert replicas.backends_of(part) == "ac"


async def test_complete_upload_has_the_debts_of_parts_be_those_of_the_object(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path) as replicas:
        part = await replicas.put_part("k", b"part", "ab", ["c"], tags=THREE)
        (debt,) = await replicas.catalog.claim_debts(replicas.clock.ns, 1, 10**12)
        assert (debt.upload_id, debt.version_id) == (UPLOAD_ID, "")
        record = await replicas.complete("k")
        (debt,) = replicas.catalog.due_debts(replicas.clock.ns, 9)
        assert (debt.upload_id, debt.version_id) == ("", record.named_version)
        await replicas.settle()
        assert replicas.backends_of(part) == "abc"
        assert await replicas.owe() == 0


def with_class(replicas: Replicas) -> None:
    services = replicas.services
    classes = {"GLACIER_IR": "c"}
    services.settings = msgspec.structs.replace(services.settings, storage_classes=classes)
