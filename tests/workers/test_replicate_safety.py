"""Copies that are there stay until others are: whatever is down when a debt is settled."""

from __future__ import annotations

from pathlib import Path

from s3proxy.s3.placement import Rules
from tests.workers.replicas import open_replicas


async def test_replicator_where_sources_are_down_removes_nothing_before_it_has_copied(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"data", "bc")
        await replicas.set_rules(Rules(regions=("a", "b"), replicas=2))
        await replicas.put_debt("k", ["a"])
        for name in "bc":
            replicas.go_down(name)
        await replicas.settle()
        assert replicas.on("k") == "bc"
