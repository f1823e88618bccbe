"""Buckets that CreateBucket makes at a provider, against an endpoint that says what it is told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from s3proxy.backends.s3 import S3Backend
from s3proxy.s3.auth import Identity
from tests.backends.endpoint import Endpoint, answer, endpoint, error
from tests.backends.stores import s3_backend
from tests.ops.lab import ALICE, Lab, location_document, open_lab
from tests.s3.heads import raises_s3

BOB = Identity("AKIDBOB", "user-2", "bob", "main")
ELSEWHERE = Identity("AKIDEVE", "user-3", "eve", "other")
OK = answer("200 OK")
ABSENT = answer("404 Not Found")
GONE = b"HTTP/1.1 204 No Content\r\n\r\n"
FAR = location_document("moto")


@asynccontextmanager
async def attaching(directory: Path, *script: bytes) -> AsyncIterator[tuple[Lab, Endpoint]]:
    """A lab with a backend whose new buckets are its own."""
    async with (
        endpoint(*script) as there,
        s3_backend(there.url, attaching=True) as backend,  # type: ignore[arg-type]
        open_lab(directory, more=[backend]) as lab,
    ):
        assert isinstance(backend, S3Backend)
        yield lab, there


def asked(there: Endpoint) -> list[tuple[str, bytes]]:
    return [(head.method, head.path) for head in there.heads]


async def test_create_bucket_makes_it_there_and_attaches_it(tmp_path: Path) -> None:
    async with attaching(tmp_path, ABSENT, OK) as (lab, there):
        created = await lab.put("/mine", FAR)
        assert (created.status, created.headers["location"]) == (200, "/mine")
        assert asked(there) == [("HEAD", b"/mine"), ("PUT", b"/mine")]
        assert there.heads[1].get(b"x-amz-bucket-object-lock-enabled") is None
        assert there.heads[1].get(b"x-amz-object-ownership") is None
        record = lab.bucket("mine")
        assert (record.kind, record.backend, record.container) == ("attached", "moto", "mine")
        assert record.owner == ALICE.user_id
        await lab.put("/mine/k", b"1")
        assert asked(there)[2] == ("PUT", b"/mine/k")
        assert (await lab.get("/")).texts("Name") == ["files", "mine", "www"]
        assert (await lab.ask("GET", "/", sender=BOB)).texts("Name") == ["files"]


async def test_create_bucket_with_object_lock_asks_for_it_there(tmp_path: Path) -> None:
    async with attaching(tmp_path, ABSENT, OK) as (lab, there):
        await lab.put("/mine", FAR, x_amz_bucket_object_lock_enabled="true")
        assert there.heads[1].get(b"x-amz-bucket-object-lock-enabled") == "true"


async def test_create_bucket_with_acls_asks_for_them_there(tmp_path: Path) -> None:
    async with attaching(tmp_path, ABSENT, OK) as (lab, there):
        await lab.put("/mine", FAR, x_amz_object_ownership="ObjectWriter")
        assert there.heads[1].get(b"x-amz-object-ownership") == "ObjectWriter"


@pytest.mark.parametrize(
    "found",
    [
        [OK],
        [answer("301 Moved")],
        [answer("403 Forbidden"), OK],
        [answer("400 Bad Request"), OK],
        [answer("403 Forbidden"), error("403 Forbidden", "AccessDenied")],  # to ListBuckets
    ],
)
async def test_create_bucket_of_one_that_is_there_takes_nothing_over(
    tmp_path: Path, found: list[bytes]
) -> None:
    async with attaching(tmp_path, *found) as (lab, there):
        with raises_s3("BucketAlreadyExists"):
            await lab.put("/mine", FAR)
        assert asked(there)[0] == ("HEAD", b"/mine")
        assert {method for method, _ in asked(there)} <= {"HEAD", "GET"}
        assert lab.catalog.get_bucket("mine") is None


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("400 Bad Request", "AuthorizationHeaderMalformed"),
        ("403 Forbidden", "SignatureDoesNotMatch"),
        ("403 Forbidden", "InvalidAccessKeyId"),
    ],
)
async def test_create_bucket_whose_signature_is_refused_there_is_not_said_to_exist(
    tmp_path: Path, status: str, code: str
) -> None:
    async with attaching(tmp_path, answer(status), error(status, code)) as (lab, there):
        with raises_s3("InternalError"):
            await lab.put("/mine", FAR)
        assert asked(there)[0] == ("HEAD", b"/mine")
        assert lab.catalog.get_bucket("mine") is None


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (error("409 Conflict", "BucketAlreadyExists"), "BucketAlreadyExists"),
        (error("400 Bad Request", "InvalidBucketName"), "InvalidBucketName"),
        (error("400 Bad Request", "TooManyBuckets"), "TooManyBuckets"),
        (error("403 Forbidden", "AccessDenied"), "InternalError"),
    ],
)
async def test_create_bucket_refused_there_leaves_no_record(
    tmp_path: Path, said: bytes, code: str
) -> None:
    async with attaching(tmp_path, ABSENT, said) as (lab, _):
        with raises_s3(code):
            await lab.put("/mine", FAR)
        assert lab.catalog.get_bucket("mine") is None


async def test_create_bucket_without_an_answer_is_finished_by_the_next(tmp_path: Path) -> None:
    away = error("503 Service Unavailable", "ServiceUnavailable")
    async with attaching(tmp_path, ABSENT, away, away, away, ABSENT, OK) as (lab, there):
        with raises_s3("ServiceUnavailable"):
            await lab.put("/mine", FAR)
        assert lab.catalog.get_bucket("mine") is not None
        assert (await lab.put("/mine", FAR)).status == 200
        assert asked(there)[4:] == [("HEAD", b"/mine"), ("PUT", b"/mine")]


async def test_create_bucket_again_is_the_same_for_its_owner_alone(tmp_path: Path) -> None:
    async with attaching(tmp_path, ABSENT, OK) as (lab, there):
        await lab.put("/mine", FAR)
        assert (await lab.put("/mine", FAR)).status == 200
        assert asked(there)[2:] == [("HEAD", b"/mine")]
        for sender in (BOB, ELSEWHERE):
            with raises_s3("BucketAlreadyExists"):
                await lab.ask("PUT", "/mine", FAR, sender=sender)
        assert [method for method, _ in asked(there)].count("PUT") == 1


@pytest.mark.parametrize("said", [GONE, error("404 Not Found", "NoSuchBucket")])
async def test_delete_bucket_deletes_it_there(tmp_path: Path, said: bytes) -> None:
    async with attaching(tmp_path, ABSENT, OK, said) as (lab, there):
        await lab.put("/mine", FAR)
        assert (await lab.ask("DELETE", "/mine")).status == 204
        assert asked(there)[2:] == [("DELETE", b"/mine")]
        assert lab.catalog.get_bucket("mine") is None


async def test_delete_bucket_not_empty_there_stays(tmp_path: Path) -> None:
    said = error("409 Conflict", "BucketNotEmpty")
    async with attaching(tmp_path, ABSENT, OK, said) as (lab, _):
        await lab.put("/mine", FAR)
        with raises_s3("BucketNotEmpty"):
            await lab.ask("DELETE", "/mine")
        assert lab.catalog.get_bucket("mine") is not None


async def test_delete_bucket_of_the_operator_is_refused(tmp_path: Path) -> None:
    async with attaching(tmp_path, OK) as (lab, there):
        await lab.attach("near", "moto", "target")
        with raises_s3("InvalidBucketState"):
            await lab.ask("DELETE", "/near")
        assert there.heads == []
