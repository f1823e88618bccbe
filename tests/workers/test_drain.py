"""The worker that drains backends, beside clients that go on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from s3proxy.catalog.records import BucketRecord
from s3proxy.catalog.settling import Owing
from s3proxy.ops.drain import left_on, start_drain
from s3proxy.workers.drain import Drainer
from tests.catalog.catalogs import bucket_record
from tests.workers.replicas import open_replicas


async def test_drainer_goes_on_where_a_bucket_is_deleted_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_replicas(tmp_path, copies=1) as replicas:
        second = msgspec.structs.replace(
            bucket_record("second"), backend="a", container="s3gw-a2", placement=replicas.rules
        )
        await replicas.catalog.create_bucket(second)
        await replicas.put("k", b"data", "a")
        await start_drain(replicas.services, "a")
        add = replicas.catalog.add_debts

        async def delete_second(bucket: BucketRecord, found: Sequence[Owing]) -> int:
            if replicas.catalog.get_bucket("second") is not None:
                await replicas.catalog.delete_bucket("second")
            return await add(bucket, found)

        monkeypatch.setattr(replicas.catalog, "add_debts", delete_second)
        drainer = Drainer(replicas.services)
        await drainer.work()
        assert replicas.catalog.get_bucket("second") is None
        await replicas.settle()
        await drainer.work()
        assert (await left_on(replicas.services, "a")).buckets == 0
