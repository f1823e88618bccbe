"""Draining backends in memory: no new data, what is there goes, then the bucket leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3proxy.catalog.errors import UnknownBackend
from s3proxy.ops.containers import containers_of
from s3proxy.ops.drain import cancel_drain, drain_bucket, left_on, start_drain
from s3proxy.ops.placing import plan_of
from tests.workers.replicas import Replicas, open_replicas


async def drained(replicas: Replicas, name: str) -> None:
    """All that a gateway would do."""
    for _ in range(3):
        await drain_bucket(replicas.services, replicas.bucket, name)
        await replicas.settle()


async def test_drain_moves_what_is_there_and_the_bucket_leaves(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"data", "ab")
        await replicas.put("other", b"more", "bc")
        await start_drain(replicas.services, "a")
        left = await left_on(replicas.services, "a")
        assert (left.blobs, left.bytes, left.buckets, left.done) == (1, 4, 1, False)
        await drained(replicas, "a")
        assert replicas.on("k") == "bc"
        assert (await left_on(replicas.services, "a")).done
        assert "a" not in [backend for backend, _ in containers_of(replicas.bucket)]
        (leftover,) = replicas.catalog.leftover_containers()
        assert leftover.backend == "a"


async def test_drain_without_rules_moves_to_another_backend(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.set_rules(None)
        await replicas.put("k", b"data", "a")
        await start_drain(replicas.services, "a")
        plan = plan_of(replicas.services, replicas.bucket)
        assert plan is not None
        assert "a" not in plan.targets
        await drained(replicas, "a")
        assert replicas.on("k") in ("b", "c")
        assert replicas.bucket.backend != "a"
        assert plan_of(replicas.services, replicas.bucket) is None


async def test_drain_that_is_cancelled_lets_data_come_again(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await start_drain(replicas.services, "a")
        assert replicas.services.draining == {"a"}
        await cancel_drain(replicas.services, "a")
        assert replicas.services.draining == frozenset()
        assert await drain_bucket(replicas.services, replicas.bucket, "a")
        assert replicas.bucket.backend == "a"


async def test_drain_that_rules_do_not_allow_names_the_bucket(tmp_path: Path) -> None:
    async with open_replicas(tmp_path, names="a") as replicas:
        await replicas.put("k", b"data", "a")
        await start_drain(replicas.services, "a")
        assert not await drain_bucket(replicas.services, replicas.bucket, "a")
        left = await left_on(replicas.services, "a")
        assert left.stuck == ["bucket"]
        assert replicas.on("k") == "a"


async def test_drain_of_no_backend_is_refused(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        with pytest.raises(UnknownBackend, match="there is no backend z"):
            await start_drain(replicas.services, "z")
