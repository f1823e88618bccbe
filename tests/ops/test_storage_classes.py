"""Storage classes as placements: where objects of a class lie, and that they are found there."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from s3proxy.ops.call import Settings
from tests.ops.lab import Lab, disk_backend, md5, open_lab
from tests.ops.uploads import completion
from tests.s3.heads import raises_s3

DATA = b"0123456789" * 300


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """The lab's bucket `www` is on `disk`; GLACIER_IR is on `cold`."""
    settings = Settings(
        inline_bytes_max=1000, part_bytes_min=10, storage_classes={"GLACIER_IR": "cold"}
    )
    cold = disk_backend("cold", tmp_path / "cold")
    async with open_lab(tmp_path, more=[cold], settings=settings) as lab:
        yield lab


async def test_put_of_a_class_goes_to_its_backend(lab: Lab) -> None:
    await lab.put("/www/cold", DATA, x_amz_storage_class="GLACIER_IR")
    await lab.put("/www/warm", DATA, x_amz_storage_class="STANDARD")
    assert (lab.places("cold"), lab.places("warm")) == (["cold"], ["disk"])
    cold, warm = await lab.get("/www/cold"), await lab.get("/www/warm")
    assert (cold.body, warm.body) == (DATA, DATA)
    assert cold.headers["x-amz-storage-class"] == "GLACIER_IR"
    assert "x-amz-storage-class" not in warm.headers
    assert (await lab.get("/www?list-type=2")).texts("StorageClass") == ["GLACIER_IR", "STANDARD"]
    await lab.put("/www/cold", DATA)
    assert lab.places("cold") == ["disk"]
    assert len(lab.garbage()) == 1


async def test_class_without_a_place_is_refused(lab: Lab) -> None:
    for target, name in (
        ("/www/k", "GLACIER"),
        ("/www/k", "MOON"),
        ("/files/k", "GLACIER_IR"),
    ):
        with raises_s3("InvalidStorageClass"):
            await lab.put(target, DATA, x_amz_storage_class=name)
        with raises_s3("InvalidStorageClass"):
            await lab.ask("POST", f"{target}?uploads", x_amz_storage_class=name)


async def test_copy_takes_the_class_that_it_names(lab: Lab) -> None:
    await lab.put("/www/k", DATA)
    await lab.put("/www/c", b"", x_amz_copy_source="/www/k", x_amz_storage_class="GLACIER_IR")
    assert lab.places("c") == ["cold"]
    await lab.put("/www/d", b"", x_amz_copy_source="/www/c")
    assert lab.places("d") == ["disk"]
    with raises_s3("InvalidRequest"):
        await lab.put("/www/k", b"", x_amz_copy_source="/www/k")
    await lab.put("/www/k", b"", x_amz_copy_source="/www/k", x_amz_storage_class="GLACIER_IR")
    assert lab.places("k") == ["cold"]
    for key in "kcd":
        answer = await lab.get(f"/www/{key}")
        assert (answer.body, answer.etag) == (DATA, md5(DATA))


async def test_upload_of_a_class_lies_at_its_backend(lab: Lab) -> None:
    made = await lab.ask("POST", "/www/k?uploads", x_amz_storage_class="GLACIER_IR")
    upload_id = made.text("UploadId")
    etags = [
        (await lab.put(f"/www/k?uploadId={upload_id}&partNumber={number}", DATA)).etag
        for number in (1, 2)
    ]
    assert (await lab.get(f"/www/k?uploadId={upload_id}")).text("StorageClass") == "GLACIER_IR"
    await lab.ask("POST", f"/www/k?uploadId={upload_id}", completion(*etags))
    assert lab.places("k") == ["cold", "cold"]
    assert (await lab.get("/www/k")).body == DATA * 2


async def test_class_on_another_endpoint_has_its_own_container(class_lab: Lab) -> None:
    lab = class_lab
    for key in ("a", "b"):
        await lab.put(f"/www/{key}", DATA, x_amz_storage_class="STANDARD_IA")
    (blob,) = lab.record("a").blobs
    assert blob.backend == "moto"
    assert blob.container.startswith("s3gw-")
    assert blob.container.endswith("-moto")
    assert (await lab.get("/www/a")).body == DATA
    assert lab.catalog.bucket_of_container("moto", blob.container) == ("main", "www")
    store = lab.services.backend("moto").blobs(blob.container)
    for key in ("a", "b"):
        (blob,) = lab.record(key).blobs
        await lab.ask("DELETE", f"/www/{key}")
        await store.delete(blob.name)
    await lab.ask("DELETE", "/www")
    assert lab.catalog.bucket_of_container("moto", blob.container) is None
    await lab.ask("PUT", "/www")
    await lab.put("/www/a", DATA, x_amz_storage_class="STANDARD_IA")
    assert (await lab.get("/www/a")).body == DATA
