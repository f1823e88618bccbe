"""Many writers of one key at once: conditional writes have one winner, whatever the bucket."""

from collections.abc import Awaitable, Callable

import pytest
import trio

from s3proxy.s3.errors import S3Error
from tests.ops.lab import Answer, Lab, md5
from tests.s3.heads import raises_s3

BUCKETS = pytest.mark.parametrize("bucket", ["www", "files"])
WRITERS = 64
ROUNDS = 3


async def race(write: Callable[[int], Awaitable[Answer]]) -> list[int]:
    """Run all writers together; those that won. The others were told why not."""
    winners: list[int] = []

    async def one(number: int) -> None:
        try:
            await write(number)
            winners.append(number)
        except S3Error as error:
            assert error.code in ("PreconditionFailed", "NoSuchUpload"), error.code

    async with trio.open_nursery() as nursery:
        for number in range(WRITERS):
            nursery.start_soon(one, number)
    return winners


def body_of(number: int) -> bytes:
    """Every other one too large to be inline."""
    return b"%d" % number if number % 2 else b"%04d" % number * 400


@BUCKETS
async def test_if_none_match_puts_have_one_winner(lab: Lab, bucket: str) -> None:
    for turn in range(ROUNDS):
        path = f"/{bucket}/{turn}"
        (winner,) = await race(
            lambda number, path=path: lab.put(path, body_of(number), if_none_match="*")
        )
        assert (await lab.get(path)).body == body_of(winner)
    assert lab.catalog.open_intents() == []
    assert len(set(lab.blobs()) - set(lab.garbage())) <= ROUNDS


@BUCKETS
async def test_if_match_puts_have_one_winner(lab: Lab, bucket: str) -> None:
    path = f"/{bucket}/k"
    etag = (await lab.put(path, b"start")).etag
    for _ in range(ROUNDS):
        (winner,) = await race(
            lambda number, etag=etag: lab.put(
                path, b"%s" % etag.encode() + body_of(number), if_match=f'"{etag}"'
            )
        )
        expected = etag.encode() + body_of(winner)
        got = await lab.get(path)
        assert got.body == expected
        etag = got.etag
        assert etag == md5(expected)


@BUCKETS
async def test_if_none_match_completes_have_one_winner(lab: Lab, bucket: str) -> None:
    path = f"/{bucket}/k"
    uploads = []
    for number in range(WRITERS):
        upload = (await lab.ask("POST", f"{path}?uploads")).text("UploadId")
        part = await lab.put(f"{path}?partNumber=1&uploadId={upload}", body_of(number))
        document = (
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
            f"<ETag>{part.etag}</ETag></Part></CompleteMultipartUpload>"
        )
        uploads.append((upload, document.encode()))

    async def complete(number: int) -> Answer:
        upload, document = uploads[number]
        target = f"{path}?uploadId={upload}"
        return await lab.ask("POST", target, document, if_none_match="*")

    (winner,) = await race(complete)
    assert (await lab.get(path)).body == body_of(winner)


@BUCKETS
async def test_the_same_complete_many_times_makes_one_object(lab: Lab, bucket: str) -> None:
    path = f"/{bucket}/k"
    upload = (await lab.ask("POST", f"{path}?uploads")).text("UploadId")
    part = await lab.put(f"{path}?partNumber=1&uploadId={upload}", b"data" * 500)
    document = (
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
        f"<ETag>{part.etag}</ETag></Part></CompleteMultipartUpload>"
    ).encode()
    winners = await race(lambda _: lab.ask("POST", f"{path}?uploadId={upload}", document))
    assert len(winners) == WRITERS
    assert (await lab.get(path)).body == b"data" * 500
    assert lab.garbage() == []


@BUCKETS
async def test_unconditional_writers_leave_one_whole_object(lab: Lab, bucket: str) -> None:
    path = f"/{bucket}/k"

    async def write(number: int) -> Answer:
        if number % 8 == 7:
            return await lab.ask("DELETE", path)
        return await lab.put(path, body_of(number), x_amz_meta_n=str(number))

    await race(write)
    if await _gone(lab, path):
        await lab.put(path, b"last", if_none_match="*")
    got = await lab.get(path)
    assert got.etag == md5(got.body)
    if "x-amz-meta-n" in got.headers:
        assert got.body == body_of(int(got.headers["x-amz-meta-n"]))


async def _gone(lab: Lab, path: str) -> bool:
    try:
        await lab.ask("HEAD", path)
    except S3Error:
        return True
    return False


async def test_delete_bucket_racing_a_put_leaves_no_object_behind(lab: Lab) -> None:
    outcomes: list[str] = []

    async def attempt(method: str, target: str, data: bytes = b"") -> None:
        try:
            await lab.ask(method, target, data)
            outcomes.append(method)
        except S3Error as error:
            outcomes.append(error.code)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(attempt, "DELETE", "/www")
        nursery.start_soon(attempt, "PUT", "/www/k", b"x" * 5000)
    assert sorted(outcomes) in (["DELETE", "NoSuchBucket"], ["BucketNotEmpty", "PUT"])
    if "NoSuchBucket" in outcomes:
        with raises_s3("NoSuchBucket"):
            await lab.get("/www/k")
        assert set(lab.blobs()) <= set(lab.garbage())
