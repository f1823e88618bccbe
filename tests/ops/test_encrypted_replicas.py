"""Encrypted objects one of whose places has other bytes than were stored."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from s3proxy.catalog.records import BlobRef, BucketRecord
from s3proxy.ops.call import Settings
from s3proxy.s3.placement import Rules
from tests.ops.keys import AES256, customer
from tests.ops.lab import Lab, location_document, open_lab
from tests.ops.providers import Region, region
from tests.ops.uploads import put_parts
from tests.s3.heads import raises_s3

NAMES = ("a", "b")
# Several chunks of 64 KiB; small ones come with the head of their answer.
DATA = random.Random(5).randbytes(400_000)
KINDS = {"SSE-S3": (AES256, {}), "SSE-C": (customer(), customer())}


class Copied:
    """A bucket `/kept` whose objects are at two providers before a write is answered."""

    def __init__(self, lab: Lab, found: Region) -> None:
        self.lab = lab
        self.providers = found.providers

    @property
    def bucket(self) -> BucketRecord:
        found = self.lab.catalog.get_bucket("kept")
        assert found is not None
        return found

    def blobs(self) -> tuple[BlobRef, ...]:
        record = self.lab.catalog.get_object(self.bucket, "k")
        assert record is not None
        return record.blobs

    def places(self, number: int = 0) -> list[str]:
        return [place.backend for place in self.lab.catalog.places_of(self.blobs()[number])]

    def spoil(self, name: str, position: int, number: int = 0) -> None:
        """Change a byte of a blob at a provider."""
        for place in self.lab.catalog.places_of(self.blobs()[number]):
            if place.backend == name:
                path = f"/{place.container}/{place.name}"
                data = bytearray(self.providers[name].objects[path])
                data[position] ^= 1
                self.providers[name].objects[path] = bytes(data)

    def targets(self) -> list[tuple[str, ...]]:
        return [debt.targets for debt in self.lab.catalog.list_debts()]


@pytest.fixture
async def copied(tmp_path: Path) -> AsyncIterator[Copied]:
    settings = Settings(inline_bytes_max=0, part_bytes_min=10, sse_c_over_http=True)
    async with (
        region(NAMES) as found,
        open_lab(tmp_path, more=[*found.backends.values()], settings=settings) as lab,
    ):
        await lab.ask("PUT", "/kept", location_document("a"))
        rules = Rules(regions=NAMES, replicas=2, write_quorum=2)

        def change(bucket: BucketRecord) -> BucketRecord:
            return msgspec.structs.replace(bucket, placement=rules)

        copied = Copied(lab, found)
        await lab.catalog.update_bucket(copied.bucket, change)
        yield copied


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("position", [0, 200_000, -1])
async def test_read_of_a_place_that_is_damaged_goes_on_elsewhere_and_is_mended(
    copied: Copied, kind: str, position: int
) -> None:
    sent, asked = KINDS[kind]
    await copied.lab.put("/kept/k", DATA, **sent)
    assert copied.places() == ["a", "b"]
    copied.spoil("a", position)
    assert (await copied.lab.get("/kept/k", **asked)).body == DATA
    # What came from elsewhere is all of it, or a part.
    assert copied.places() == (["b"] if position == 0 else ["a", "b"])
    assert copied.targets() == [("a",)]
    assert (await copied.lab.get("/kept/k", **asked)).body == DATA


@pytest.mark.parametrize("size", [1, 5000])
async def test_read_of_a_small_object_that_is_damaged_goes_on_elsewhere(
    copied: Copied, size: int
) -> None:
    await copied.lab.put("/kept/k", DATA[:size], **AES256)
    copied.spoil("a", 0)
    assert (await copied.lab.get("/kept/k")).body == DATA[:size]
    assert copied.places() == ["b"]


async def test_read_of_parts_that_are_damaged_at_different_places_is_right(copied: Copied) -> None:
    await put_parts(copied.lab, "/kept/k", DATA, DATA[:100_000], **AES256)
    copied.spoil("a", 300_000)
    copied.spoil("b", 5, 1)
    ranged = await copied.lab.get("/kept/k", range="bytes=10-450000")
    assert ranged.body == (DATA + DATA[:100_000])[10:450_001]
    assert copied.places() == ["a", "b"]
    assert "a" in copied.places(1)  # which place is asked first depends on what the others took


async def test_read_of_what_is_damaged_everywhere_is_an_error_and_keeps_both(
    copied: Copied,
) -> None:
    await copied.lab.put("/kept/k", DATA, **AES256)
    for name in NAMES:
        copied.spoil(name, 7)
    with raises_s3("InternalError"):
        await copied.lab.get("/kept/k")
    assert copied.places() == ["a", "b"]
    assert copied.targets() == []


async def test_read_of_a_damaged_place_with_the_other_down_keeps_both(copied: Copied) -> None:
    await copied.lab.put("/kept/k", DATA, **AES256)
    copied.spoil("a", 7)
    copied.providers["b"].refuse()
    with raises_s3("InternalError"):
        await copied.lab.get("/kept/k")
    assert copied.places() == ["a", "b"]


@pytest.mark.parametrize("kind", KINDS)
async def test_read_of_places_that_are_damaged_in_different_chunks_is_right_and_keeps_both(
    copied: Copied, kind: str
) -> None:
    sent, asked = KINDS[kind]
    await copied.lab.put("/kept/k", DATA, **sent)
    for number in range(6):
        copied.spoil("ab"[number % 2], number * 65_600)
    assert (await copied.lab.get("/kept/k", **asked)).body == DATA
    assert copied.places() == ["a", "b"]
    assert copied.targets() == [("a",)]
    ranged = await copied.lab.get("/kept/k", range="bytes=70000-310000", **asked)
    assert ranged.body == DATA[70_000:310_001]


async def test_read_of_a_range_that_is_damaged_does_not_give_the_place_up(copied: Copied) -> None:
    await copied.lab.put("/kept/k", DATA, **AES256)
    copied.spoil("a", 0)
    assert (await copied.lab.get("/kept/k", range="bytes=0-1000")).body == DATA[:1001]
    assert copied.places() == ["a", "b"]
    assert copied.targets() == [("a",)]
