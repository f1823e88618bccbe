"""Writes into a bucket with rules: to the next backend when one fails, with a quorum, or 503."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import trio

from s3proxy.backends.errors import Unavailable
from s3proxy.catalog.records import BucketRecord, DebtRecord
from s3proxy.http.client import ClientLimits
from s3proxy.ops.call import Settings
from s3proxy.ops.held_payload import HELD_BYTES_MAX, HeldBytes
from s3proxy.s3.errors import S3Error
from s3proxy.s3.placement import Rules
from tests.ops.lab import Answer, FakeBody, Lab, location_document, md5, open_lab
from tests.ops.providers import Provider, Region, region
from tests.ops.uploads import completion
from tests.s3.heads import raises_s3

NAMES = ("a", "b", "c")
SMALL = random.Random(1).randbytes(70_000)
LARGE = random.Random(2).randbytes(HELD_BYTES_MAX + 500_000)
PAYLOADS = pytest.mark.parametrize("data", [b"", b"x", SMALL, LARGE], ids=["0", "1", "70k", "1.5M"])


class Placed:
    """A bucket `/placed` at three providers, in that order."""

    def __init__(self, found: Region, lab: Lab) -> None:
        self.lab = lab
        self.region = found
        self.providers = found.providers
        self.health = lab.services.health

    async def rules(self, *, regions: tuple[str, ...] = tuple(NAMES), **rules: int) -> BucketRecord:
        def change(now: BucketRecord) -> BucketRecord:
            return msgspec.structs.replace(now, placement=Rules(regions=regions, **rules))

        await self.lab.catalog.update_bucket(self.bucket, change)
        return self.bucket

    @property
    def bucket(self) -> BucketRecord:
        return self.bucket_of("placed")

    def bucket_of(self, name: str) -> BucketRecord:
        found = self.lab.catalog.get_bucket(name)
        assert found is not None
        return found

    async def put(self, data: bytes, key: str = "key", **headers: str) -> Answer:
        return await self.lab.put(f"/placed/{key}", data, **headers)

    async def get(self, key: str = "key") -> bytes:
        return (await self.lab.get(f"/placed/{key}")).body

    def held(self) -> dict[str, int]:
        """How many blobs each provider has."""
        counts = {name: len(found.objects) for name, found in self.providers.items()}
        return {name: count for name, count in counts.items() if count}

    def debts(self) -> list[DebtRecord]:
        return self.lab.catalog.list_debts()

    def expected(self) -> list[tuple[str, ...]]:
        return [debt.targets for debt in self.debts()]

    def settled(self) -> bool:
        """Whether no intent is open, no memory held, and nothing under way."""
        return (
            not self.lab.catalog.open_intents()
            and self.lab.services.held.left == self.lab.services.settings.held_bytes_max
            and not any(report.active for report in self.health.report())
            and not any(pool.active for pool in self.region.client.pools.values())
        )

    async def open_when_stuck(self, name: str) -> None:
        await self.providers[name].stuck.wait()
        self.open_breaker(name)

    def open_breaker(self, name: str) -> None:
        for _ in range(2):
            self.health.note_probe(name, trio.current_time(), Unavailable("check"))


@pytest.fixture
async def placed(tmp_path: Path) -> AsyncIterator[Placed]:
    limits = ClientLimits(first_byte_timeout_s=20, progress_timeout_s=20)
    settings = Settings(inline_bytes_max=1000, part_bytes_min=10)
    async with (
        region(NAMES, limits) as found,
        open_lab(tmp_path, more=[*found.backends.values()], settings=settings) as lab,
    ):
        await lab.ask("PUT", "/placed", location_document("a,b,c"))
        yield Placed(found, lab)


def fail(provider: Provider, fault: str) -> None:
    """Have a provider fail in some way."""
    if fault == "refused":
        provider.refuse()
    else:
        provider.status = int(fault)


@PAYLOADS
async def test_put_goes_to_the_first_backend_and_comes_back(placed: Placed, data: bytes) -> None:
    put = await placed.put(data, content_type="text/x")
    assert put.etag == md5(data)
    assert placed.held() == {"a": 1}
    assert await placed.get() == data
    assert placed.debts() == []
    assert placed.settled()


async def test_put_of_fewer_copies_than_wanted_is_owed(placed: Placed) -> None:
    await placed.rules(replicas=3)
    await placed.put(SMALL)
    (debt,) = placed.debts()
    assert (debt.targets, debt.key, debt.replicas) == (("b", "c"), "key", 0)
    await placed.put(SMALL, "other", x_amz_tagging="replica-count=2")
    assert [(d.targets, d.replicas) for d in placed.debts() if d.key == "other"] == [(("b",), 2)]


@pytest.mark.parametrize("fault", ["refused", "500", "503", "403", "507"])
@pytest.mark.parametrize("data", [b"", SMALL], ids=["0", "70k"])
async def test_put_held_in_memory_goes_to_the_next_backend_whatever_fails(
    placed: Placed, data: bytes, fault: str
) -> None:
    await placed.put(b"x", "first")
    fail(placed.providers["a"], fault)
    assert (await placed.put(data)).etag == md5(data)
    assert placed.held() == {"a": 1, "b": 1}
    assert await placed.get() == data
    assert placed.expected() == [("a",)]
    assert placed.health.counts.write_failovers == 1
    assert placed.settled()


async def test_put_streamed_goes_to_the_next_backend_before_its_first_byte(placed: Placed) -> None:
    placed.providers["a"].refuse()
    assert (await placed.put(LARGE)).etag == md5(LARGE)
    assert placed.held() == {"b": 1}
    assert await placed.get() == LARGE
    assert placed.settled()


@pytest.mark.parametrize(("fault", "code"), [("500", "ServiceUnavailable"), ("503", "SlowDown")])
async def test_put_streamed_that_breaks_off_is_to_be_tried_again(
    placed: Placed, fault: str, code: str
) -> None:
    await placed.put(b"x", "first")
    fail(placed.providers["a"], fault)
    with raises_s3(code):
        await placed.put(LARGE)
    assert placed.held() == {"a": 1}
    assert placed.settled()
    placed.open_breaker("a")
    assert (await placed.put(LARGE)).etag == md5(LARGE)
    assert placed.held() == {"a": 1, "b": 1}


async def test_put_beyond_the_memory_for_payloads_is_streamed(placed: Placed) -> None:
    await placed.put(b"x", "first")
    fail(placed.providers["a"], "500")
    placed.lab.services.held = HeldBytes(len(SMALL) - 1)
    with raises_s3("ServiceUnavailable"):
        await placed.put(SMALL)
    assert placed.lab.services.held.left == len(SMALL) - 1
    placed.lab.services.held = HeldBytes(len(SMALL))
    await placed.put(SMALL)
    assert placed.lab.services.held.left == len(SMALL)


async def test_put_streamed_that_fails_early_goes_to_the_next_backend(placed: Placed) -> None:
    await placed.put(b"x", "first")
    placed.providers["a"].refuse_bodies = True
    placed.providers["a"].status = 500
    data = LARGE * 8
    assert (await placed.put(data)).etag == md5(data)
    assert placed.held() == {"a": 1, "b": 1}
    assert await placed.get() == data
    assert placed.settled()


class LongBody(FakeBody):
    """Says when more of it was read than is kept."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.gone = trio.Event()

    async def read_into(self, buffer: memoryview) -> int:
        if self.reads > 2 * HELD_BYTES_MAX // len(buffer):
            self.gone.set()
        return await super().read_into(buffer)


@pytest.mark.parametrize("data", [SMALL, LARGE * 8], ids=["70k", "12M"])
async def test_put_to_a_backend_that_froze_ends_as_its_breaker_opens(
    placed: Placed, data: bytes
) -> None:
    await placed.put(b"x", "first")
    placed.providers["a"].frozen = True
    codes: list[str] = []
    body = LongBody(data)

    async def put() -> None:
        try:
            await placed.lab.ask("PUT", "/placed/key", body=body)
            codes.append("stored")
        except S3Error as error:
            codes.append(error.code)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(put)
        await (placed.providers["a"].stuck if data is SMALL else body.gone).wait()
        placed.open_breaker("a")
    assert codes == ["stored" if data is SMALL else "ServiceUnavailable"]
    assert placed.settled()


class OpeningBody(FakeBody):
    """Has the breaker of a backend open just as a piece of it was received."""

    def __init__(self, data: bytes, placed: Placed, *, at: int) -> None:
        super().__init__(data)
        self._placed = placed
        self._at = at

    async def read_into(self, buffer: memoryview) -> int:
        count = await super().read_into(buffer)
        if self.reads == self._at:
            self._placed.open_breaker("a")
        return count


@pytest.mark.parametrize("at", [1, 2, 3, 4])
@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
async def test_put_cut_off_amid_a_read_of_its_body_is_never_the_clients_fault(
    placed: Placed, at: int, encrypted: bool
) -> None:
    await placed.put(b"x", "first")
    headers = {"x_amz_server_side_encryption": "AES256"} if encrypted else {}
    body = OpeningBody(LARGE, placed, at=at)
    with raises_s3("ServiceUnavailable"):
        await placed.lab.ask("PUT", "/placed/key", body=body, **headers)
    assert placed.health.is_up("b")
    assert placed.settled()
    await placed.put(LARGE, **headers)
    assert placed.held() == {"a": 1, "b": 1}
    assert await placed.get() == LARGE


async def test_put_without_rules_ends_as_the_breaker_of_its_backend_opens(placed: Placed) -> None:
    await placed.lab.ask("PUT", "/plain", location_document("a"))
    await placed.lab.catalog.update_bucket(
        placed.bucket_of("plain"), lambda now: msgspec.structs.replace(now, placement=None)
    )
    assert (await placed.lab.put("/plain/key", SMALL)).etag == md5(SMALL)
    placed.providers["a"].frozen = True
    async with trio.open_nursery() as nursery:
        nursery.start_soon(placed.open_when_stuck, "a")
        with raises_s3("ServiceUnavailable"):
            await placed.lab.put("/plain/key", SMALL)
    assert placed.settled()


async def test_put_with_every_backend_down_is_unavailable_at_once(placed: Placed) -> None:
    for provider in placed.providers.values():
        provider.refuse()
    with raises_s3("ServiceUnavailable"), trio.fail_after(60):
        await placed.put(SMALL)
    with raises_s3("ServiceUnavailable"), trio.fail_after(60):
        await placed.put(LARGE)
    assert placed.settled()


async def test_put_whose_body_ends_early_is_the_clients_fault(placed: Placed) -> None:
    for data in (SMALL, LARGE):
        body = FakeBody(data[:-1], error=S3Error("IncompleteBody"))
        body.length = len(data)
        with raises_s3("IncompleteBody"):
            await placed.lab.ask("PUT", "/placed/key", body=body)
    assert placed.held() == {}
    assert placed.health.is_up("a")
    assert placed.settled()


async def test_put_whose_body_is_not_what_was_announced_is_stored_nowhere(placed: Placed) -> None:
    for data in (SMALL, LARGE):
        with raises_s3("BadDigest"):
            await placed.put(data, content_md5="1B2M2Y8AsgTpgAmY7PhCfg==")
    assert placed.held() == {}
    assert placed.settled()


async def test_put_of_an_encrypted_object_is_sent_again_as_it_was(placed: Placed) -> None:
    await placed.put(b"x", "first")
    fail(placed.providers["a"], "500")
    await placed.put(SMALL, x_amz_server_side_encryption="AES256")
    assert await placed.get() == SMALL
    (stored,) = placed.providers["b"].objects.values()
    assert SMALL[:1000] not in stored


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["70k", "1.5M"])
async def test_quorum_is_stored_before_the_answer(placed: Placed, data: bytes) -> None:
    await placed.rules(replicas=3, write_quorum=2)
    await placed.put(data)
    assert placed.held() == {"a": 1, "b": 1}
    assert placed.expected() == [("c",)]
    assert placed.settled()
    placed.providers["a"].objects.clear()
    assert await placed.get() == data
    await placed.lab.ask("DELETE", "/placed/key")
    assert len(placed.lab.garbage()) == 2


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["70k", "1.5M"])
async def test_quorum_is_made_up_by_the_next_backend(placed: Placed, data: bytes) -> None:
    await placed.rules(replicas=2, write_quorum=2)
    placed.providers["b"].refuse()
    await placed.put(data)
    assert placed.held() == {"a": 1, "c": 1}
    assert placed.expected() == [("b",)]


async def test_quorum_of_backends_that_are_down_is_refused_before_the_body(placed: Placed) -> None:
    await placed.rules(replicas=3, write_quorum=3)
    placed.open_breaker("b")
    body = FakeBody(SMALL)
    with raises_s3("ServiceUnavailable") as refused:
        await placed.lab.ask("PUT", "/placed/key", body=body)
    assert "wants 3 copies before a write is answered" in refused.value.message
    assert "2 of the backends" in refused.value.message
    assert body.reads == 0


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["70k", "1.5M"])
async def test_quorum_that_fails_on_the_way_leaves_garbage_alone(
    placed: Placed, data: bytes
) -> None:
    await placed.rules(replicas=3, write_quorum=3)
    placed.providers["b"].refuse()
    with raises_s3("ServiceUnavailable"):
        await placed.put(data)
    with raises_s3("NoSuchKey"):
        await placed.get()
    assert placed.debts() == []
    assert placed.settled()
    assert len(placed.lab.garbage()) >= 2


async def test_upload_parts_fall_over_by_themselves(placed: Placed) -> None:
    await placed.rules(replicas=2)
    upload = (await placed.lab.ask("POST", "/placed/key?uploads")).text("UploadId")
    parts, pieces = "", [SMALL, LARGE, b"end"]
    for number, data in enumerate(pieces, 1):
        if number == 2:
            placed.providers["a"].refuse()
        put = await placed.lab.put(f"/placed/key?partNumber={number}&uploadId={upload}", data)
        parts += f"<Part><PartNumber>{number}</PartNumber><ETag>{put.etag}</ETag></Part>"
    document = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
    await placed.lab.ask("POST", f"/placed/key?uploadId={upload}", document)
    await placed.region.restart("a")
    assert await placed.get() == b"".join(pieces)
    record = placed.lab.catalog.get_object(placed.bucket, "key")
    assert record is not None
    assert [part.md5.hex() for part in record.parts] == [md5(data) for data in pieces]
    assert placed.held() == {"a": 1, "b": 2}
    assert sorted(placed.expected()) == [("a",), ("a",), ("b",)]
    assert not any("uploads" in asked for asked in placed.providers["b"].asked)


async def test_complete_owes_for_parts_that_lie_where_rules_of_before_wanted_them(
    placed: Placed,
) -> None:
    await placed.rules(replicas=1)
    started = await placed.lab.ask("POST", "/placed/key?uploads")
    upload = f"/placed/key?uploadId={started.text('UploadId')}"
    part = await placed.lab.put(f"{upload}&partNumber=1", SMALL)
    assert placed.debts() == []
    await placed.rules(replicas=2)
    await placed.lab.ask("POST", upload, completion(part.etag))
    (debt,) = placed.debts()
    assert (debt.targets, debt.version_id) == (("b",), "null")


async def test_copy_is_made_where_the_source_lies(placed: Placed) -> None:
    await placed.put(SMALL)
    asked = len(placed.providers["a"].asked)
    await placed.lab.put("/placed/copy", b"", x_amz_copy_source="/placed/key")
    assert placed.held() == {"a": 2}
    assert not any(line.startswith("GET") for line in placed.providers["a"].asked[asked:])
    assert await placed.get("copy") == SMALL


async def test_copy_of_what_lies_elsewhere_is_read_and_written(placed: Placed) -> None:
    placed.open_breaker("a")
    await placed.put(SMALL)
    assert placed.held() == {"b": 1}
    placed.health._breakers["a"].succeeded()
    await placed.lab.put("/placed/copy", b"", x_amz_copy_source="/placed/key")
    assert placed.held() == {"a": 1, "b": 1}
    assert await placed.get("copy") == SMALL


async def test_copy_onto_itself_owes_what_new_tags_ask_for(placed: Placed) -> None:
    await placed.put(SMALL)
    await placed.lab.put(
        "/placed/key",
        b"",
        x_amz_copy_source="/placed/key",
        x_amz_metadata_directive="REPLACE",
        x_amz_tagging_directive="REPLACE",
        x_amz_tagging="replica-count=3",
    )
    assert placed.held() == {"a": 1}
    assert placed.expected() == [("b", "c")]


async def test_put_of_many_at_once_keeps_within_the_memory(placed: Placed) -> None:
    placed.lab.services.held = HeldBytes(3 * len(SMALL))
    async with trio.open_nursery() as nursery:
        for number in range(12):
            nursery.start_soon(placed.put, SMALL, f"key-{number}")
    for number in range(12):
        assert await placed.get(f"key-{number}") == SMALL
    assert placed.lab.services.held.left == 3 * len(SMALL)


async def test_copy_goes_to_the_next_backend_where_a_container_is_not_made(placed: Placed) -> None:
    await placed.put(SMALL, "source")
    await placed.rules(regions=("b", "a", "c"))
    placed.providers["b"].refuse()
    await placed.put(b"", "copy", x_amz_copy_source="/placed/source")
    assert await placed.get("copy") == SMALL
    assert placed.held() == {"a": 2}
