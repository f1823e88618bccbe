"""The S3 backend against an endpoint that misbehaves, and what it sends."""

from collections.abc import Callable
from typing import Any

import pytest
import trio

from s3proxy._fast.http1 import RequestHead
from s3proxy._fast.sigv4 import derive_signing_key, parse_authorization, verify
from s3proxy.backends.errors import (
    BackendError,
    InvalidRange,
    NoSpace,
    NoSuchUpload,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    Rejected,
    Throttled,
    Unavailable,
)
from s3proxy.backends.options import S3Options
from s3proxy.backends.s3 import S3Backend
from s3proxy.backends.s3_multipart import multipart_etag
from s3proxy.backends.s3_store import S3Store
from s3proxy.backends.store import PutOptions
from tests.backends.endpoint import CLOSE, HANG, answer, endpoint, error
from tests.backends.stores import FailingSource, Source, SourceError, put, read, s3_backend

OK = answer("200 OK", headers=['ETag: "abc"', "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"])
SLOW_DOWN = error("503 Slow Down", "SlowDown")
CALLS: list[tuple[str, Callable[[S3Store], Any]]] = [
    ("head", lambda store: store.head("key")),
    ("open", lambda store: read(store, "key")),
    ("delete", lambda store: store.delete("key")),
    ("list", lambda store: store.list("", delimiter="", after="", limit=10)),
    ("put", lambda store: put(store, "key", b"data")),
    ("copy", lambda store: store.copy("key", "other", PutOptions())),
    ("create_upload", lambda store: store.create_upload("key", PutOptions())),
]


def verified(head: RequestHead) -> None:
    """The signature is right for the request as it arrived."""
    authorization = parse_authorization(head)
    assert authorization is not None
    verify(head, authorization, derive_signing_key("secret", authorization.date, "us-east-1"))


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3proxy.backends.s3_request.BACKOFF_S", 0.0)


@pytest.mark.parametrize(("op", "call"), CALLS)
@pytest.mark.parametrize(
    "said",
    [CLOSE, b"garbage\r\n\r\n", answer("500 Oops"), error("500 Oops", "InternalError")],
    ids=["close", "garbage", "500", "InternalError"],
)
async def test_any_call_to_a_broken_endpoint_is_unavailable(
    op: str, call: Callable[[S3Store], Any], said: bytes
) -> None:
    async with endpoint(said) as server, s3_backend(server.url) as backend:
        with pytest.raises(Unavailable) as caught:
            await call(backend.files("bucket"))
    assert caught.value.backend == "moto"
    assert caught.value.path.startswith("bucket")


@pytest.mark.parametrize(("op", "call"), CALLS)
async def test_any_call_to_nobody_is_unavailable(op: str, call: Callable[[S3Store], Any]) -> None:
    listener = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener[0].socket.getsockname()[1]
    await listener[0].aclose()
    async with s3_backend(f"http://127.0.0.1:{port}") as backend:
        with pytest.raises(Unavailable):
            await call(backend.files("bucket"))


async def test_head_of_a_hanging_endpoint_ends_at_the_deadline() -> None:
    async with (
        endpoint(HANG) as server,
        s3_backend(server.url, first_byte_timeout_s=0.05) as backend,
    ):
        with pytest.raises(Unavailable, match="deadline"):
            await backend.files("bucket").head("key")
    assert len(server.heads) == 3


async def test_idempotent_call_is_tried_again() -> None:
    async with endpoint(SLOW_DOWN, CLOSE, OK) as server, s3_backend(server.url) as backend:
        stat = await backend.files("bucket").head("key")
    assert stat.etag == "abc"
    assert stat.modified_ns == 784111777 * 10**9
    assert [head.method for head in server.heads] == ["HEAD"] * 3


async def test_put_is_not_tried_again() -> None:
    async with endpoint(SLOW_DOWN, OK) as server, s3_backend(server.url) as backend:
        with pytest.raises(Throttled) as caught:
            await put(backend.files("bucket"), "key", b"data")
    assert len(server.heads) == 1
    assert caught.value.upstream_code == "SlowDown"
    assert caught.value.upstream_message == "said the endpoint"
    assert caught.value.upstream_request_id == "R1"


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (error("403 Forbidden", "AccessDenied"), PermissionDenied),
        (answer("403 Forbidden"), PermissionDenied),
        (error("404 Not Found", "NoSuchKey"), NotFound),
        (error("412 Precondition Failed", "PreconditionFailed"), PreconditionFailed),
        (error("416 Range", "InvalidRange"), InvalidRange),
        (error("400 Bad", "SomethingNew"), Rejected),
        (answer("400 Bad"), Unavailable),
        (error("301 Moved Permanently", "PermanentRedirect"), Unavailable),
        (error("403 Forbidden", "SignatureDoesNotMatch"), PermissionDenied),
        (error("507 Full", "XMinioStorageFull"), NoSpace),
    ],
)
async def test_open_error_is_mapped(said: bytes, kind: type[BackendError]) -> None:
    async with endpoint(said) as server, s3_backend(server.url) as backend:
        with pytest.raises(kind) as caught:
            await read(backend.files("bucket"), "key")
    assert type(caught.value) is kind
    assert len(server.heads) == 1
    assert getattr(caught.value, "code", "SomethingNew") == "SomethingNew"


async def test_failure_that_took_long_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3proxy.backends.s3_request.RETRY_WITHIN_S", -1.0)
    async with endpoint(SLOW_DOWN) as server, s3_backend(server.url) as backend:
        with pytest.raises(Throttled):
            await backend.files("bucket").head("key")
    assert len(server.heads) == 1


async def test_put_early_refusal_ends_the_sending() -> None:
    refusal = error("403 Forbidden", "AccessDenied")
    async with endpoint(refusal, early=True) as server, s3_backend(server.url) as backend:
        with pytest.raises(PermissionDenied):
            await put(backend.files("bucket"), "key", bytes(64 << 20))


@pytest.mark.parametrize("size", [10, 1_000_000])
async def test_put_failing_source_withholds_the_end(size: int) -> None:
    async with endpoint(OK) as server, s3_backend(server.url) as backend:
        with pytest.raises(SourceError):
            source = FailingSource(bytes(size))
            await backend.files("bucket").put("key", source, PutOptions(length=size))
        # The next request goes through: the connection of the failed one is not used again.
        await put(backend.files("bucket"), "key", b"data")
    assert all(len(body) < size for body in server.bodies[:-1])
    assert server.bodies[-1] == b"data"


async def test_put_carries_metadata_conditions_and_digests() -> None:
    options = PutOptions(
        length=4,
        system={"content-type": "text/plain", "cache-control": "no-store"},
        user={"color": "blue"},
        checksums={"crc32": "rfPzYw=="},
        if_none_match_any=True,
        sha256="3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7",
        md5=bytes.fromhex("8d777f385d3dfec8815d20f7496026dc"),
    )
    async with endpoint(OK) as server, s3_backend(server.url) as backend:
        stat = await backend.files("bucket").put("key", Source(b"data"), options)
    (head,) = server.heads
    verified(head)
    assert stat.etag == "abc"
    assert server.bodies == [b"data"]
    assert head.content_length == 4
    expected = {
        b"content-type": "text/plain",
        b"cache-control": "no-store",
        b"x-amz-meta-color": "blue",
        b"x-amz-checksum-crc32": "rfPzYw==",
        b"if-none-match": "*",
        b"x-amz-content-sha256": options.sha256,
        b"content-md5": "jXd/OF09/siBXSD3SWAm3A==",
    }
    assert {name: head.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a/./b/../c", b"/bucket/a/./b/../c"),
        ("//x/", b"/bucket///x/"),
        ("a b+c%d", b"/bucket/a%20b%2Bc%25d"),
        ("é~_-.", b"/bucket/%C3%A9~_-."),
    ],
)
async def test_key_is_encoded_exactly_and_signed(key: str, path: bytes) -> None:
    async with endpoint(OK) as server, s3_backend(server.url) as backend:
        await backend.files("bucket").head(key)
    assert server.heads[0].path == path
    verified(server.heads[0])


async def test_virtual_addressing_puts_the_bucket_in_the_host() -> None:
    async with endpoint(OK) as server, s3_backend(server.url, addressing="virtual") as backend:
        await backend.files("bucket").head("a/b")
    (head,) = server.heads
    assert head.path == b"/a/b"
    assert head.host == "bucket." + server.url.removeprefix("http://")
    verified(head)


async def test_list_query_is_signed_and_complete() -> None:
    page = (
        "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
        "<Contents><Key>p/a+b%2Bc</Key><Size>3</Size><ETag>&quot;e&quot;</ETag>"
        "<LastModified>1994-11-06T08:49:37.000Z</LastModified></Contents>"
        "<CommonPrefixes><Prefix>p/z/</Prefix></CommonPrefixes></ListBucketResult>"
    )
    async with endpoint(answer("200 OK", page)) as server, s3_backend(server.url) as backend:
        found = await backend.files("bucket").list("p/", delimiter="/", after="p/a&", limit=5000)
    assert [(entry.key, entry.size, entry.etag) for entry in found.objects] == [("p/a b+c", 3, "e")]
    assert found.objects[0].modified_ns == 784111777 * 10**9
    assert (found.common_prefixes, found.truncated, found.next_after) == (["p/z/"], True, "p/z/")
    (head,) = server.heads
    verified(head)
    assert head.query == (
        b"list-type=2&encoding-type=url&max-keys=1000&prefix=p%2F"
        b"&delimiter=%2F&start-after=p%2Fa%26"
    )


async def test_list_garbage_is_unavailable() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa">]><ListBucketResult>&a;</ListBucketResult>'
    async with endpoint(answer("200 OK", bomb)) as server, s3_backend(server.url) as backend:
        with pytest.raises(Unavailable):
            await backend.files("bucket").list("", delimiter="", after="", limit=1)


async def test_complete_error_inside_200_is_an_error() -> None:
    body = "  \n<Error><Code>InternalError</Code><Message>late</Message></Error>"
    async with endpoint(answer("200 OK", body)) as server, s3_backend(server.url) as backend:
        with pytest.raises(Unavailable, match="late"):
            await backend.files("bucket").complete_upload("key", "u", [(1, "a")], PutOptions())
    assert len(server.heads) == 3


async def test_complete_that_succeeded_unheard_succeeds_again() -> None:
    etags = ["0" * 32, "1" * 32]
    made = answer("200 OK", headers=[f'ETag: "{multipart_etag(etags)}"'])
    script = [CLOSE, error("404 Not Found", "NoSuchUpload"), made]
    async with endpoint(*script) as server, s3_backend(server.url) as backend:
        parts = list(enumerate(etags, 1))
        stat = await backend.files("bucket").complete_upload("key", "u", parts, PutOptions())
    assert stat.etag == multipart_etag(etags)
    assert [head.method for head in server.heads] == ["POST", "POST", "HEAD"]


async def test_complete_unknown_upload_is_no_such_upload() -> None:
    other = answer("200 OK", headers=['ETag: "other"'])
    script = [error("404 Not Found", "NoSuchUpload"), other]
    async with endpoint(*script) as server, s3_backend(server.url) as backend:
        with pytest.raises(NoSuchUpload):
            await backend.files("bucket").complete_upload("key", "u", [(1, "0" * 32)], PutOptions())


async def test_copy_above_one_request_is_made_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3proxy.backends.s3_store.COPY_BYTES_MAX", 10)
    monkeypatch.setattr("s3proxy.backends.s3_multipart.COPY_PART_BYTES", 8)
    size = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n"
    created = (
        "<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>"
    )
    part = "<CopyPartResult><ETag>&quot;e&quot;</ETag></CopyPartResult>"
    done = (
        "<CompleteMultipartUploadResult><ETag>&quot;e-3&quot;</ETag>"
        "</CompleteMultipartUploadResult>"
    )
    script = [size, *[answer("200 OK", text) for text in (created, part, part, part, done)], size]
    async with endpoint(*script) as server, s3_backend(server.url) as backend:
        stat = await backend.files("bucket").copy("a b", "target", PutOptions())
    assert (stat.etag, stat.size) == ("e-3", 20)
    parts = server.heads[2:5]
    assert [head.get(b"x-amz-copy-source-range") for head in parts] == [
        "bytes=0-7", "bytes=8-15", "bytes=16-19",
    ]  # fmt: skip
    assert {head.get(b"x-amz-copy-source") for head in parts} == {"/bucket/a%20b"}
    for head in server.heads:
        verified(head)


@pytest.mark.parametrize(
    ("region", "body"), [("us-east-1", b""), ("eu-north-1", b"<LocationConstraint>eu-north-1<")]
)
async def test_create_container_names_the_region(region: str, body: bytes) -> None:
    async with endpoint(OK) as server, s3_backend(server.url, region=region) as backend:
        await backend.create_container("bucket")
    assert body in server.bodies[0]
    assert bool(body) == bool(server.bodies[0])


async def test_create_container_of_our_own_is_fine() -> None:
    owned = error("409 Conflict", "BucketAlreadyOwnedByYou")
    async with endpoint(owned) as server, s3_backend(server.url) as backend:
        await backend.create_container("bucket")


def test_blob_name_keeps_to_the_length_of_keys() -> None:
    backend = S3Backend(S3Options(name="b", endpoint="http://h"), None)  # type: ignore[arg-type]
    assert backend.blob_name("a/b", "0" * 32) == "a/b~" + "0" * 32
    long = backend.blob_name("é" * 512, "0" * 32)
    assert len(long.encode()) <= 1024
    assert long.endswith("é~" + "0" * 32)


@pytest.mark.parametrize("url", ["", "localhost:9000", "ftp://host", "http://", "http://h/path"])
def test_endpoint_that_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="endpoint"):
        S3Backend(S3Options(name="b", endpoint=url), None)  # type: ignore[arg-type]


BUCKETS = "<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>"


async def test_check_asks_for_one_bucket_of_those_there_are() -> None:
    async with endpoint(answer("200 OK", BUCKETS)) as found, s3_backend(found.url) as backend:
        await backend.check()
    (head,) = found.heads
    assert head.query == b"max-buckets=1"
    verified(head)


@pytest.mark.parametrize("said", [error("400 Bad", "InvalidArgument"), error("501 No", "X")])
async def test_check_of_an_endpoint_without_pages_of_buckets_asks_for_all(said: bytes) -> None:
    taken = answer("200 OK", BUCKETS)
    async with endpoint(said, taken) as found, s3_backend(found.url) as backend:
        await backend.check()
        await backend.check()
    assert [head.query for head in found.heads] == [b"max-buckets=1", b"", b""]


async def test_check_refused_for_another_reason_is_not_repeated() -> None:
    async with (
        endpoint(error("403 No", "AccessDenied")) as found,
        s3_backend(found.url) as backend,
    ):
        with pytest.raises(PermissionDenied):
            await backend.check()
    assert len(found.heads) == 1
