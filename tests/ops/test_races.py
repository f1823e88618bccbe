"""Many writers of one key at once: conditional writes have one winner, whatever the bucket."""

from collections.abc import Awaitable, Callable

import pytest
import trio

from s3proxy.s3.errors import S3Error
from tests.ops.lab import Answer, Lab, md5
from tests.ops.uploads import completion
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
        uploads.append((upload, completion(part.etag)))

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
    document = completion(part.etag)
    winners = await race(lambda _: lab.ask("POST", f"{path}?uploadId={upload}", document))
    assert len(winners) == WRITERS
    assert (await lab.get(path)).body == b"data" * 500
    assert lab.garbage() == []


async def begun(lab: Lab, path: str, data: bytes) -> tuple[str, bytes]:
    """An upload of one part: its id, and the document that completes it."""
    upload = (await lab.ask("POST", f"{path}?uploads")).text("UploadId")
    part = await lab.put(f"{path}?partNumber=1&uploadId={upload}", data)
    return upload, completion(part.etag)


@BUCKETS
async def test_if_match_completes_have_one_winner(lab: Lab, bucket: str) -> None:
    path = f"/{bucket}/k"
    etag = (await lab.put(path, b"start")).etag
    uploads = [await begun(lab, path, body_of(number)) for number in range(WRITERS)]

    async def complete(number: int) -> Answer:
        upload, document = uploads[number]
        return await lab.ask("POST", f"{path}?uploadId={upload}", document, if_match=f'"{etag}"')

    (winner,) = await race(complete)
    assert (await lab.get(path)).body == body_of(winner)


@BUCKETS
@pytest.mark.parametrize("header", ["if_none_match", "if_match"])
async def test_conditional_copies_have_one_winner(lab: Lab, bucket: str, header: str) -> None:
    path = f"/{bucket}/k"
    value = "*"
    if header == "if_match":
        value = f'"{(await lab.put(path, b"start")).etag}"'
    for number in range(WRITERS):
        await lab.put(f"/{bucket}/from{number}", body_of(number) + b"!")

    async def copy(number: int) -> Answer:
        source = f"/{bucket}/from{number}"
        return await lab.put(path, b"", x_amz_copy_source=source, **{header: value})

    (winner,) = await race(copy)
    assert (await lab.get(path)).body == body_of(winner) + b"!"


@BUCKETS
async def test_conditional_deletes_never_take_another_object(lab: Lab, bucket: str) -> None:
    """Each of many writers deletes what it wrote: what is left was written by the last."""
    path = f"/{bucket}/k"
    lost: list[int] = []

    async def write_and_delete(number: int) -> None:
        etag = (await lab.put(path, body_of(number))).etag
        try:
            await lab.ask("DELETE", path, if_match=f'"{etag}"')
        except S3Error as error:
            assert error.code in ("PreconditionFailed", "NoSuchKey")
            lost.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(WRITERS):
            nursery.start_soon(write_and_delete, number)
    if not await _gone(lab, path):
        assert (await lab.get(path)).body in [body_of(number) for number in lost]


@BUCKETS
async def test_complete_against_abort_has_one_winner(lab: Lab, bucket: str) -> None:
    seen = set()
    for turn in range(40):
        path = f"/{bucket}/{turn}"
        upload, document = await begun(lab, path, body_of(turn))
        outcomes: dict[str, str] = {}

        async def ask(
            method: str,
            data: bytes = b"",
            path: str = f"{path}?uploadId={upload}",
            outcomes: dict[str, str] = outcomes,
            checkpoints: int = turn,
        ) -> None:
            for _ in range(checkpoints if method == "DELETE" else 0):
                await trio.lowlevel.checkpoint()
            try:
                await lab.ask(method, path, data)
                outcomes[method] = "done"
            except S3Error as error:
                outcomes[method] = error.code

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, "POST", document)
            nursery.start_soon(ask, "DELETE")
        seen.add((outcomes["POST"], outcomes["DELETE"]))
        if outcomes["POST"] == "done":
            assert (await lab.get(path)).body == body_of(turn)
        else:
            assert await _gone(lab, path)
        with raises_s3("NoSuchUpload"):
            await lab.put(f"{path}?partNumber=2&uploadId={upload}", b"late")
    assert seen <= {("done", "NoSuchUpload"), ("NoSuchUpload", "done")}
    assert len(seen) == 2


async def test_conditional_puts_with_versions_have_one_winner_each(lab: Lab) -> None:
    enabled = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    await lab.put("/www?versioning", enabled)
    (winner,) = await race(lambda number: lab.put("/www/k", body_of(number), if_none_match="*"))
    etag = md5(body_of(winner))
    (next_winner,) = await race(
        lambda number: lab.put("/www/k", body_of(number) + b"!", if_match=f'"{etag}"')
    )
    assert (await lab.get("/www/k")).body == body_of(next_winner) + b"!"
    assert len((await lab.get("/www?versions")).texts("VersionId")) == 2


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
