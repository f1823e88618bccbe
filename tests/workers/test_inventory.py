"""The inventory worker, on a clock that the tests move: reports, whole or not there."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from s3proxy.backends.errors import Unavailable
from s3proxy.s3.inventory import FIELDS, Inventory, inventory_configuration
from s3proxy.s3.lifecycle import DAY_NS
from s3proxy.workers import inventory as module
from s3proxy.workers.inventory import POLL_S, InventoryWorker
from tests.ops.lab import Lab, md5, open_lab

RATE = 10**9
MANIFEST = "www/one/2023-11-14T22-13Z/manifest.json"  # by the lab's clock


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with open_lab(tmp_path) as lab:
        await lab.ask("PUT", "/reports")
        yield lab


async def configure(lab: Lab, **more: Any) -> None:
    wanted = Inventory(**{"id": "one", "enabled": True, "target": "reports", **more})
    await lab.put("/www?inventory&id=one", inventory_configuration(wanted))


async def finish(worker: InventoryWorker) -> None:
    while await worker.work():
        pass


def keys(lab: Lab) -> list[str]:
    return [key for key, _ in lab.catalog.scan_objects(lab.bucket("reports"))]


async def manifest_of(lab: Lab, key: str = MANIFEST) -> dict[str, Any]:
    answer = await lab.get(f"/reports/{key}")
    checksum = await lab.get(f"/reports/{key.replace('.json', '.checksum')}")
    assert checksum.body.decode() == md5(answer.body)
    found: dict[str, Any] = json.loads(answer.body)
    return found


async def lines_of(lab: Lab, manifest: dict[str, Any]) -> list[list[str]]:
    lines: list[list[str]] = []
    for file in manifest["files"]:
        data = (await lab.get(f"/reports/{file['key']}")).body
        assert (len(data), md5(data)) == (file["size"], file["MD5checksum"])
        lines += csv.reader(io.StringIO(gzip.decompress(data).decode()))
    return lines


async def test_worker_reports_current_objects(lab: Lab) -> None:
    await lab.put("/www/a%20b", b"12345")
    await lab.put("/www/logs/1", b"1" * 2000, x_amz_server_side_encryption="AES256")
    await lab.put("/www/logs/2", b"", x_amz_checksum_crc32="AAAAAA==")
    await configure(lab, fields=FIELDS)
    worker = InventoryWorker(lab.services, objects_per_s=RATE)
    await finish(worker)
    found = await manifest_of(lab)
    columns = found["fileSchema"].split(", ")
    assert columns == ["Bucket", "Key", *FIELDS]
    rows = [dict(zip(columns, line, strict=True)) for line in await lines_of(lab, found)]
    assert [row["Key"] for row in rows] == ["a%20b", "logs/1", "logs/2"]
    assert [row["Size"] for row in rows] == ["5", "2000", "0"]
    assert [row["EncryptionStatus"] for row in rows] == ["NOT-SSE", "SSE-S3", "NOT-SSE"]
    assert [row["ChecksumAlgorithm"] for row in rows] == ["", "", "CRC32"]
    assert {row["ObjectOwner"] for row in rows} == {"user-1"}
    assert rows[0]["ETag"] == md5(b"12345")
    (file,) = found["files"]
    link = await lab.get("/reports/www/one/hive/dt=2023-11-14-22-13/symlink.txt")
    assert link.body.decode() == f"s3://reports/{file['key']}"
    assert worker.counts == {"written": 1, "failed": 0}


async def test_worker_reports_all_versions_below_a_prefix(lab: Lab) -> None:
    await lab.catalog.update_bucket(
        lab.bucket(), lambda old: msgspec.structs.replace(old, versioning="Enabled")
    )
    for key in ("in/1", "out"):
        for text in (b"1", b"22"):
            await lab.put(f"/www/{key}", text)
    await lab.ask("DELETE", "/www/in/1")
    await configure(lab, all_versions=True, scope="in/", fields=("Size",), prefix="deep/er")
    await finish(InventoryWorker(lab.services, objects_per_s=RATE))
    found = await manifest_of(lab, f"deep/er/{MANIFEST}")
    lines = await lines_of(lab, found)
    assert [(line[1], *line[3:]) for line in lines] == [
        ("in/1", "true", "true", ""),
        ("in/1", "false", "false", "2"),
        ("in/1", "false", "false", "1"),
    ]
    assert len({line[2] for line in lines}) == 3


async def test_worker_writes_files_of_bounded_size(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_ROWS", 7)
    monkeypatch.setattr(module, "FILE_BYTES_MAX", 1)
    for number in range(40):
        await lab.put(f"/www/k{number:02}", b"1")
    await configure(lab)
    await finish(InventoryWorker(lab.services, objects_per_s=RATE))
    found = await manifest_of(lab)
    assert len(found["files"]) > 1
    lines = await lines_of(lab, found)
    assert [line[1] for line in lines] == [f"k{number:02}" for number in range(40)]


async def test_worker_reports_once_a_day_or_week_and_again_for_another_configuration(
    lab: Lab,
) -> None:
    worker = InventoryWorker(lab.services, objects_per_s=RATE)
    await configure(lab)
    for expected in (1, 1):
        await finish(worker)
        assert worker.counts["written"] == expected
    lab.clock.ns += DAY_NS
    await finish(worker)
    assert worker.counts["written"] == 2
    await configure(lab, weekly=True)
    for expected in (3, 3, 3, 3, 4):  # Wednesday to Sunday
        await finish(worker)
        assert worker.counts["written"] == expected
        lab.clock.ns += DAY_NS
    await configure(lab, enabled=False)
    lab.clock.ns += 8 * DAY_NS
    await finish(worker)
    assert worker.counts["written"] == 4


async def test_report_of_an_empty_bucket_names_no_file(lab: Lab) -> None:
    await configure(lab)
    await finish(InventoryWorker(lab.services, objects_per_s=RATE))
    assert (await manifest_of(lab))["files"] == []


async def test_report_cut_short_is_no_report_and_is_written_again_in_its_place(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_ROWS", 7)
    monkeypatch.setattr(module, "FILE_BYTES_MAX", 1)
    for number in range(40):
        await lab.put(f"/www/k{number:02}", b"1")
    await configure(lab)
    first = InventoryWorker(lab.services, objects_per_s=RATE)
    for _ in range(2):
        assert await first.work()
    written = keys(lab)
    assert len(written) == 2
    assert all("/data/" in key for key in written)
    lab.clock.ns += 60 * 10**9
    await finish(InventoryWorker(lab.services, objects_per_s=RATE))
    found = await manifest_of(lab, MANIFEST.replace("22-13Z", "22-14Z"))
    assert {file["key"] for file in found["files"]} >= set(written)
    assert len(await lines_of(lab, found)) == 40
    assert len([key for key in keys(lab) if "/data/" in key]) == len(found["files"])


async def test_backend_that_fails_has_the_report_begun_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lab.put("/www/k", b"1")
    await configure(lab)
    worker = InventoryWorker(lab.services, objects_per_s=RATE)

    async def fail(*_: object, **__: object) -> None:
        await trio.lowlevel.checkpoint()
        raise Unavailable("put", "blob", "no answer", "disk")

    with monkeypatch.context() as patch:
        patch.setattr(lab.catalog, "put_object", fail)
        with pytest.raises(Unavailable):
            await worker.work()
    await finish(worker)
    assert len(await lines_of(lab, await manifest_of(lab))) == 1


async def test_target_that_is_gone_is_told_and_tried_again_the_next_day(lab: Lab) -> None:
    await lab.put("/www/k", b"1")
    await configure(lab)
    await lab.ask("DELETE", "/reports")
    worker = InventoryWorker(lab.services, objects_per_s=RATE)
    await finish(worker)
    await finish(worker)
    assert worker.counts == {"written": 0, "failed": 1}
    await lab.ask("PUT", "/reports")
    lab.clock.ns += DAY_NS
    await finish(worker)
    assert worker.counts == {"written": 1, "failed": 1}


async def test_report_is_encrypted_where_its_configuration_says_so(lab: Lab) -> None:
    await lab.put("/www/k", b"1")
    await configure(lab, encrypted=True)
    await finish(InventoryWorker(lab.services, objects_per_s=RATE))
    answer = await lab.get(f"/reports/{MANIFEST}")
    assert answer.headers["x-amz-server-side-encryption"] == "AES256"
    assert len(await lines_of(lab, await manifest_of(lab))) == 1


async def test_worker_idle_waits_for_time_to_pass(
    autojump_clock: trio.testing.MockClock, lab: Lab
) -> None:
    worker = InventoryWorker(lab.services, objects_per_s=RATE)
    assert not await worker.work()
    started_s = trio.current_time()
    await worker.wait_for_work()
    assert trio.current_time() - started_s == pytest.approx(POLL_S, abs=1)
