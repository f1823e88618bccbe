"""A version's bytes move to another endpoint, and are found there."""

import pytest

from s3proxy.backends.errors import NotFound
from s3proxy.catalog.expiry import Candidate
from s3proxy.catalog.records import ObjectRecord
from s3proxy.catalog.tables import OBJECTS
from s3proxy.ops.move_version import move_version
from s3proxy.s3.errors import S3Error
from s3proxy.s3.lifecycle import Verdict
from s3proxy.s3.placement import Rules
from tests.ops.lab import Lab, md5
from tests.ops.uploads import put_parts

DATA = b"0123456789" * 300
MOVE = Verdict("move", "STANDARD_IA")


@pytest.fixture
def lab(class_lab: Lab) -> Lab:
    return class_lab


async def move(lab: Lab, key: str, record: ObjectRecord | None = None) -> bool:
    candidate = Candidate(key, record or lab.record(key), None, MOVE)
    return await move_version(lab.services, lab.bucket(), candidate)


async def test_move_of_one_blob_and_of_many(lab: Lab) -> None:
    await lab.put("/www/one", DATA)
    await lab.put("/www/inline", b"small")
    await lab.put("/www/empty", b"")
    await put_parts(lab, "/www/many", DATA, DATA[:1500], b"end")
    for key in ("one", "inline", "empty", "many"):
        assert await move(lab, key)
        assert set(lab.places(key)) == {"moto"}
    assert (await lab.get("/www/one")).body == DATA
    assert (await lab.get("/www/inline")).body == b"small"
    assert (await lab.get("/www/empty")).body == b""
    assert (await lab.get("/www/many")).body == DATA + DATA[:1500] + b"end"
    ranged = await lab.get("/www/many", range="bytes=2995-3004")
    assert ranged.body == DATA[-5:] + DATA[:5]
    assert not lab.catalog.open_intents()
    assert len(lab.garbage()) == 4  # one, and three parts; what was small and alone went at once


async def test_upload_of_the_class_is_the_endpoints_own(lab: Lab) -> None:
    await put_parts(lab, "/www/k", DATA, x_amz_storage_class="STANDARD_IA")
    assert lab.places("k") == ["moto"]
    assert (await lab.get("/www/k")).body == DATA


async def test_move_of_bytes_that_are_others_by_now_leaves_no_copy(lab: Lab) -> None:
    await lab.put("/www/k", DATA)
    old = lab.record("k")
    await lab.put("/www/k", DATA[1:])
    assert not await move(lab, "k", old)
    assert lab.places("k") == ["disk"]
    assert (await lab.get("/www/k")).etag == md5(DATA[1:])
    assert not lab.catalog.open_intents()


async def test_move_of_bytes_that_are_missing_is_an_error(lab: Lab) -> None:
    await put_parts(lab, "/www/k", DATA, DATA)
    record = lab.record("k")
    blob = record.blobs[1]
    await lab.services.backends["disk"].blobs(blob.container).delete(blob.name)
    with pytest.raises((S3Error, NotFound)):
        await move(lab, "k")
    assert lab.record("k") == record
    assert not lab.catalog.open_intents()
    assert len(lab.garbage()) == 1  # the copy of the first


async def test_move_by_rules_owes_in_the_transaction_that_changes_the_class(lab: Lab) -> None:
    await lab.put("/www/k", DATA)
    lab.services.default_rules = Rules(replicas=1)
    (blob,) = lab.record("k").blobs
    owed: list[bool] = []
    lab.catalog.engine.on_change(
        lambda: owed.append(lab.catalog.get_debt(blob.id) is not None), OBJECTS
    )
    assert await move(lab, "k")
    assert owed == [True]
    debt = lab.catalog.get_debt(blob.id)
    assert debt is not None
    assert debt.targets == ("moto",)
