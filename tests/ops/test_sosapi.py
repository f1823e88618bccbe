"""Veeam's documents: there for reads where a bucket has none, and only where configured."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from s3proxy.ops.call import Settings
from s3proxy.s3.sosapi import CAPACITY_KEY, SYSTEM_KEY
from tests.ops.lab import Lab, md5, open_lab
from tests.s3.heads import raises_s3


@pytest.fixture
async def veeam(tmp_path: Path) -> AsyncIterator[Lab]:
    settings = Settings(inline_bytes_max=1000, part_bytes_min=10, sosapi=True)
    async with open_lab(tmp_path, settings=settings) as lab:
        yield lab


@pytest.mark.parametrize("bucket", ["www", "files"])
async def test_system_document_is_read_like_an_object(veeam: Lab, bucket: str) -> None:
    got = await veeam.get(f"/{bucket}/{SYSTEM_KEY}")
    assert got.text("ProtocolVersion") == '"1.0"'
    assert got.text("ModelName") == '"s3proxy"'
    flags = [got.text(name) for name in ("CapacityInfo", "UploadSessions", "IAMSTS")]
    assert flags == ["true", "false", "false"]
    assert got.text("KbBlockSize") == "4096"
    assert (got.headers["content-type"], got.etag) == ("application/xml", md5(got.body))
    seen = await veeam.ask("HEAD", f"/{bucket}/{SYSTEM_KEY}")
    assert (seen.length, seen.etag) == (len(got.body), got.etag)
    part = await veeam.get(f"/{bucket}/{SYSTEM_KEY}", Range="bytes=0-4")
    assert (part.status, part.body) == (206, b"<?xml")
    known = await veeam.get(f"/{bucket}/{SYSTEM_KEY}", If_None_Match=f'"{got.etag}"')
    assert known.status == 304


async def test_capacity_document_is_of_the_file_system(veeam: Lab) -> None:
    got = await veeam.get(f"/www/{CAPACITY_KEY}")
    status = os.statvfs(veeam.root)
    capacity, available = int(got.text("Capacity")), int(got.text("Available"))
    assert capacity == status.f_blocks * status.f_frsize
    assert 0 < available <= capacity
    assert int(got.text("Used")) == capacity - available


async def test_document_that_is_put_counts_instead(veeam: Lab) -> None:
    assert (await veeam.get("/www")).texts("Key") == []
    await veeam.put(f"/www/{SYSTEM_KEY}", b"<mine/>")
    assert (await veeam.get(f"/www/{SYSTEM_KEY}")).body == b"<mine/>"
    assert (await veeam.get("/www")).texts("Key") == [SYSTEM_KEY]


@pytest.mark.parametrize("key", [SYSTEM_KEY, CAPACITY_KEY])
async def test_documents_are_not_there_unless_configured(lab: Lab, key: str) -> None:
    for method in ("GET", "HEAD"):
        with raises_s3("NoSuchKey"):
            await lab.ask(method, f"/www/{key}")


async def test_document_has_no_versions_and_no_neighbours(veeam: Lab) -> None:
    with raises_s3("NoSuchVersion"):
        await veeam.get(f"/www/{SYSTEM_KEY}?versionId=null")
    with raises_s3("NoSuchKey"):
        await veeam.get(f"/www/{SYSTEM_KEY}.bak")
