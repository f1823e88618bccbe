"""What a deleted bucket had on a backend goes with the last of its blobs."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from s3proxy.backends.errors import NoSuchContainer
from s3proxy.workers.collect import Collector
from s3proxy.workers.remove_containers import ContainerRemover
from tests.catalog.catalogs import garbage_blobs
from tests.ops.conftest import endpoint_url, s3_lab  # noqa: F401 - fixtures
from tests.ops.lab import Lab, location_document
from tests.s3.heads import raises_s3

LARGE = bytes(100_000)


@pytest.fixture
async def lab(s3_lab: Lab) -> AsyncIterator[Lab]:  # noqa: F811
    yield s3_lab


async def exists(lab: Lab, container: str) -> bool:
    store = lab.services.backend("moto").blobs(container)
    try:
        await store.list("", delimiter="", after="", limit=1)
    except NoSuchContainer:
        return False
    return True


def container_of(lab: Lab) -> str:
    bucket = lab.bucket("far")
    return bucket.container


async def collect(lab: Lab) -> None:
    lab.clock.ns += 3600 * 1_000_000_000
    await Collector(lab.catalog, lab.services.backends, clock=lambda: lab.clock.ns / 1e9).work()


async def test_container_of_an_empty_bucket_goes_at_once(lab: Lab) -> None:
    container = container_of(lab)
    await lab.ask("DELETE", "/far")
    assert not await exists(lab, container)
    assert lab.catalog.leftover_containers() == []


async def test_container_goes_after_the_last_blob(lab: Lab, tmp_path: Path) -> None:
    container = container_of(lab)
    await lab.put("/far/k", LARGE)
    await lab.ask("DELETE", "/far/k")
    await lab.ask("DELETE", "/far")
    worker = ContainerRemover(lab.services)
    await worker.work()
    assert await exists(lab, container)
    (leftover,) = lab.catalog.leftover_containers()
    assert (leftover.container, leftover.tenant, leftover.bucket) == (container, "main", "far")
    await collect(lab)
    await worker.work()
    assert not await exists(lab, container)
    assert lab.catalog.leftover_containers() == []


async def test_container_of_a_namesake_made_meanwhile_stays(lab: Lab) -> None:
    container = container_of(lab)
    await lab.put("/far/k", LARGE)
    await lab.ask("DELETE", "/far/k")
    await lab.ask("DELETE", "/far")
    await lab.put("/far", location_document("moto"))
    await collect(lab)
    await ContainerRemover(lab.services).work()
    assert container_of(lab) == container
    assert await exists(lab, container)
    assert lab.catalog.leftover_containers() == []
    await lab.put("/far/k", LARGE)
    assert (await lab.get("/far/k")).body == LARGE


async def test_delete_bucket_aborts_uploads_but_only_without_objects(lab: Lab) -> None:
    container = container_of(lab)
    upload = (await lab.ask("POST", "/far/k?uploads")).text("UploadId")
    await lab.put(f"/far/k?partNumber=1&uploadId={upload}", LARGE)
    await lab.put("/far/object", b"x")
    with raises_s3("BucketNotEmpty"):
        await lab.ask("DELETE", "/far")
    assert len((await lab.get("/far?uploads")).texts("UploadId")) == 1
    await lab.ask("DELETE", "/far/object")
    await lab.ask("DELETE", "/far")
    await collect(lab)
    await ContainerRemover(lab.services).work()
    assert not await exists(lab, container)


async def test_uploads_to_a_container_that_is_gone_are_collected(lab: Lab) -> None:
    await lab.ask("POST", "/far/k?uploads")
    await lab.ask("DELETE", "/far")
    assert lab.catalog.leftover_containers() == []
    await collect(lab)
    assert garbage_blobs(lab.catalog) == set()
