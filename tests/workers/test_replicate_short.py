"""Blobs that the rules leave too few backends for: told by themselves, and looked at again."""

from __future__ import annotations

from pathlib import Path

import trio

from s3proxy.catalog.debt_counts import TOO_FEW
from tests.polling import until
from tests.workers.replicas import open_replicas


async def test_replicator_copy_that_no_backend_was_left_for_is_made_once_one_is(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path, "ab") as replicas, trio.open_nursery() as nursery:
        catalog = replicas.catalog
        await catalog.set_draining("b", 1)
        await replicas.put("k", b"data", "a", ["b"])
        replicator = replicas.replicator()
        nursery.start_soon(replicator.work)
        await until(lambda: catalog.list_debts()[0].short and not replicator.busy)
        (debt,) = catalog.list_debts()
        assert debt.error == "the rules leave too few backends"
        counts = catalog.debt_counts()
        assert (counts[TOO_FEW].objects, counts[TOO_FEW].since_ns > 0) == (1, True)
        assert counts["b"].objects == 0
        assert "" not in counts
        replicas.clock.ns += 1
        await catalog.set_draining("b", None)
        replicator.wake()
        await until(lambda: catalog.list_debts() == [])
        assert replicas.on("k") == "ab"
        assert catalog.debt_counts()[TOO_FEW].objects == 0
        nursery.cancel_scope.cancel()


async def test_replicator_looks_again_now_and_then_whether_a_backend_is_left(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path, "a") as replicas:
        await replicas.put("k", b"data", "a", ["b"])
        await replicas.settle()
        (first,) = replicas.catalog.list_debts()
        assert (first.short, first.waits_for) == (True, TOO_FEW)
        replicas.clock.ns = first.due_ns
        (again,) = await replicas.catalog.claim_debts(first.due_ns, 9, 1)
        assert (again.waits_for, again.short) == ("", True)
