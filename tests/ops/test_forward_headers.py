"""What passes between client and endpoint, against an endpoint that says what it is told to."""

import base64
from pathlib import Path

import pytest

from s3proxy._fast.checksum import digest
from tests.backends.endpoint import answer, error
from tests.ops.forwarding import OK, forwarding
from tests.ops.lab import FakeBody, md5
from tests.s3.chunked import frame
from tests.s3.heads import raises_s3


async def test_get_object_is_one_signed_exchange(tmp_path: Path) -> None:
    async with forwarding(tmp_path, OK) as (lab, there):
        got = await lab.get(
            "/near/a%20b/%C3%A9?x-id=GetObject",
            range="bytes=0-3",
            if_match='"e"',
            authorization="AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE",
            x_amz_date="20200101T000000Z",
            cookie="secret=1",
            x_forwarded_for="10.0.0.1",
            x_amz_expected_bucket_owner="main",
        )
        assert (got.status, got.body, got.etag) == (200, b"body", "e")
        (head,) = there.heads
        assert (head.method, head.path, head.query) == ("GET", b"/target/a%20b/%C3%A9", b"")
        assert head.get(b"range") == "bytes=0-3"
        assert head.get(b"if-match") == '"e"'
        assert "Credential=AKIATEST/" in (head.get(b"authorization") or "")
        assert head.get(b"x-amz-date") != "20200101T000000Z"
        for name in (b"cookie", b"x-forwarded-for", b"x-amz-expected-bucket-owner"):
            assert head.get(name) is None


async def test_answer_headers_pass_by_a_list(tmp_path: Path) -> None:
    said = answer(
        "206 Partial Content",
        b"body",
        headers=[
            "Content-Range: bytes 0-3/9",
            "x-amz-meta-A: 1",
            "x-amz-checksum-crc32: AAAAAA==",
            "x-amz-request-id: THEIRS",
            "x-amz-id-2: THEIRS",
            "x-amz-version-id: v1",
            "Server: Theirs",
            "Set-Cookie: a=b",
            "Connection: keep-alive",
        ],
    )
    async with forwarding(tmp_path, said) as (lab, _):
        got = await lab.get("/near/k")
        assert got.status == 206
        assert got.headers == {
            "content-range": "bytes 0-3/9",
            "x-amz-meta-a": "1",
            "x-amz-checksum-crc32": "AAAAAA==",
            "x-amz-version-id": "v1",
        }


async def test_head_object_tells_the_length_alone(tmp_path: Path) -> None:
    said = b'HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nETag: "e"\r\n\r\n'
    async with forwarding(tmp_path, said) as (lab, there):
        head = await lab.ask("HEAD", "/near/k")
        assert (head.status, head.length, head.body, head.etag) == (200, 12345, b"", "e")
        assert there.heads[0].method == "HEAD"


async def test_unchanged_object_is_304(tmp_path: Path) -> None:
    said = b'HTTP/1.1 304 Not Modified\r\nETag: "e"\r\n\r\n'
    async with forwarding(tmp_path, said) as (lab, _):
        got = await lab.get("/near/k", if_none_match='"e"')
        assert (got.status, got.body, got.etag) == (304, b"", "e")


async def test_presigned_query_does_not_pass_but_its_headers_do(tmp_path: Path) -> None:
    async with forwarding(tmp_path, OK) as (lab, there):
        query = "X-Amz-Signature=abc&X-Amz-Credential=x&X-Amz-Expires=60&X-Amz-Algorithm=AWS4"
        await lab.get(f"/near/k?{query}&response-content-type=text%2Fy&partNumber=2")
        assert there.heads[0].query == b"response-content-type=text%2Fy&partNumber=2"
        await lab.put(f"/near/k?{query}&x-amz-meta-a=1", b"data")
        assert there.heads[1].query == b""
        assert there.heads[1].get(b"x-amz-meta-a") == "1"


async def test_parameters_that_s3_does_not_know_do_not_pass(tmp_path: Path) -> None:
    async with forwarding(tmp_path, OK) as (lab, there):
        await lab.get("/near/k?AWSAccessKeyId=a&Signature=s&Expires=9&versionId=v&stats")
        assert there.heads[0].query == b"versionId=v"


async def test_put_object_signed_passes_its_hash(tmp_path: Path) -> None:
    data = b"data" * 1000
    sha256 = digest("sha256", data).hex()
    async with forwarding(tmp_path, OK) as (lab, there):
        await lab.put(
            "/near/k",
            data,
            payload_hash=sha256,
            content_type="text/x",
            content_encoding="gzip",
            x_amz_meta_a="1",
            if_none_match="*",
        )
        (head,) = there.heads
        assert there.bodies == [data]
        assert head.get(b"x-amz-content-sha256") == sha256
        assert (head.get(b"content-type"), head.get(b"content-encoding")) == ("text/x", "gzip")
        assert (head.get(b"x-amz-meta-a"), head.get(b"if-none-match")) == ("1", "*")
        assert head.content_length == len(data)


@pytest.mark.parametrize("size", [0, 10, 300_000])
async def test_put_object_bad_body_never_arrives_whole(tmp_path: Path, size: int) -> None:
    data = b"x" * size
    async with forwarding(tmp_path, OK) as (lab, there):
        wrong = base64.b64encode(bytes(16)).decode()
        with raises_s3("BadDigest"):
            await lab.put("/near/k", data, content_md5=wrong)
        with raises_s3("XAmzContentSHA256Mismatch"):
            await lab.put("/near/k", data, payload_hash="0" * 64)
        assert all(
            len(body) < head.content_length
            for head, body in zip(there.heads, there.bodies, strict=True)
        )


@pytest.mark.parametrize("size", [1, 65_536, 150_000])
@pytest.mark.parametrize("piece", [1000, 1 << 20])
async def test_put_object_trailer_checksum_is_framed_anew(
    tmp_path: Path, size: int, piece: int
) -> None:
    data = (b"0123456789" * size)[:size]
    value = base64.b64encode(digest("crc32c", data)).decode()
    name = "x-amz-checksum-crc32c"
    sent = frame([data[:8192], data[8192:]] if size > 8192 else [data], trailer=(name, value))
    async with forwarding(tmp_path, OK) as (lab, there):
        await lab.ask(
            "PUT",
            "/near/k",
            body=FakeBody(sent, piece),
            payload_hash="STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            x_amz_decoded_content_length=str(size),
            x_amz_trailer=name,
            content_encoding="gzip,aws-chunked",
            x_amz_sdk_checksum_algorithm="CRC32C",
        )
        (head,) = there.heads
        chunks = [data[start : start + 65_536] for start in range(0, size, 65_536)]
        assert there.bodies == [frame(chunks, trailer=(name, value))]
        assert head.content_length == len(there.bodies[0])
        assert head.get(b"x-amz-content-sha256") == "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
        assert head.get(b"x-amz-decoded-content-length") == str(size)
        assert head.get(b"x-amz-trailer") == name
        assert head.get(b"content-encoding") == "aws-chunked,gzip"


async def test_put_object_bad_trailer_sends_no_end(tmp_path: Path) -> None:
    data = b"x" * 100_000
    name = "x-amz-checksum-crc32"
    sent = frame([data], trailer=(name, "AAAAAA=="))
    async with forwarding(tmp_path, OK) as (lab, there):
        with raises_s3("BadDigest"):
            await lab.ask(
                "PUT",
                "/near/k",
                body=FakeBody(sent),
                payload_hash="STREAMING-UNSIGNED-PAYLOAD-TRAILER",
                x_amz_decoded_content_length=str(len(data)),
                x_amz_trailer=name,
            )
        assert all(b"\r\n0\r\n" not in body for body in there.bodies)


async def test_put_object_that_the_endpoint_verifies_is_passed_unseen(tmp_path: Path) -> None:
    data = b"x" * 200_000
    async with forwarding(tmp_path, OK, verifies=True) as (lab, there):
        await lab.put("/near/k", data, payload_hash="0" * 64)
        assert there.bodies == [data]
        assert there.heads[0].get(b"x-amz-content-sha256") == "0" * 64


@pytest.mark.parametrize(
    ("said", "code", "status"),
    [
        (error("404 Not Found", "NoSuchKey"), "NoSuchKey", 404),
        (error("412 Precondition Failed", "PreconditionFailed"), "PreconditionFailed", 412),
        (error("503 Slow Down", "SlowDown"), "SlowDown", 503),
        (error("418 Teapot", "TheirOwnCode"), "TheirOwnCode", 418),
        (error("403 Forbidden", "AccessDenied"), "InternalError", 500),
        (error("403 Forbidden", "InvalidAccessKeyId"), "InternalError", 500),
        (error("403 Forbidden", "SignatureDoesNotMatch"), "InternalError", 500),
        (error("403 Forbidden", "RequestTimeTooSkewed"), "InternalError", 500),
        (answer("403 Forbidden"), "InternalError", 500),
        (error("301 Moved", "PermanentRedirect"), "ServiceUnavailable", 503),
        (answer("502 Bad Gateway", b"<html>"), "ServiceUnavailable", 503),
        (b"garbage\r\n\r\n", "ServiceUnavailable", 503),
        (b"", "ServiceUnavailable", 503),
    ],
)
async def test_errors_pass_but_not_those_of_our_credentials(
    tmp_path: Path, said: bytes, code: str, status: int
) -> None:
    async with forwarding(tmp_path, said) as (lab, _):
        with raises_s3(code) as refused:
            await lab.get("/near/k")
        assert refused.value.status == status
        assert "R1" not in str(refused.value.fields)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (answer("404 Not Found"), "NoSuchKey"),
        (answer("412 Precondition Failed"), "PreconditionFailed"),
        (answer("416 Range", headers=["Content-Range: bytes */5"]), "InvalidRange"),
        (answer("400 Bad Request"), "InvalidRequest"),
        (answer("403 Forbidden"), "InternalError"),
        (answer("500 Internal"), "ServiceUnavailable"),
    ],
)
async def test_errors_of_head_go_by_status(tmp_path: Path, said: bytes, code: str) -> None:
    async with forwarding(tmp_path, said) as (lab, _):
        with raises_s3(code):
            await lab.ask("HEAD", "/near/k")


async def test_error_names_the_clients_bucket(tmp_path: Path) -> None:
    body = (
        "<Error><Code>NoSuchBucket</Code><Message>m</Message>"
        "<BucketName>target</BucketName><HostId>theirs</HostId></Error>"
    )
    async with forwarding(tmp_path, answer("404 Not Found", body)) as (lab, _):
        with raises_s3("NoSuchBucket") as refused:
            await lab.get("/near/k")
        assert refused.value.fields == {"BucketName": "near"}


async def test_refusal_before_the_body_is_told(tmp_path: Path) -> None:
    said = error("412 Precondition Failed", "PreconditionFailed")
    async with forwarding(tmp_path, said, early=True) as (lab, _):
        with raises_s3("PreconditionFailed"):
            await lab.put("/near/k", b"x" * 3_000_000, if_none_match="*")


async def test_list_objects_names_the_clients_bucket(tmp_path: Path) -> None:
    listing = (
        "<ListBucketResult><Name>target</Name><Prefix></Prefix>"
        "<Contents><Key>&lt;Name>target&lt;/Name></Key></Contents></ListBucketResult>"
    )
    async with forwarding(tmp_path, answer("200 OK", listing)) as (lab, there):
        page = await lab.get("/near?list-type=2&prefix=a%2Fb&delimiter=%2F")
        assert page.text("Name") == "near"
        assert page.text("Key") == "<Name>target</Name>"
        head = there.heads[0]
        assert (head.path, head.query) == (b"/target", b"list-type=2&prefix=a%2Fb&delimiter=%2F")


async def test_complete_names_the_clients_bucket_and_address(tmp_path: Path) -> None:
    result = (
        "<CompleteMultipartUploadResult><Location>http://theirs/target/k</Location>"
        "<Bucket>target</Bucket><Key>k</Key></CompleteMultipartUploadResult>"
    )
    document = b"<CompleteMultipartUpload></CompleteMultipartUpload>"
    async with forwarding(tmp_path, answer("200 OK", result)) as (lab, there):
        done = await lab.ask(
            "POST", "/near/k?uploadId=u", document, x_amz_checksum_crc32="AAAAAA==-2"
        )
        assert done.text("Location") == "http://s3.example:9000/near/k"
        assert done.text("Bucket") == "near"
        assert there.bodies == [document]
        assert there.heads[0].get(b"x-amz-checksum-crc32") == "AAAAAA==-2"


async def test_delete_objects_goes_with_a_digest_of_its_document(tmp_path: Path) -> None:
    document = b"<Delete><Object><Key>k</Key></Object></Delete>"
    async with forwarding(tmp_path, answer("200 OK", "<DeleteResult/>")) as (lab, there):
        sha256 = digest("sha256", document).hex()
        await lab.ask("POST", "/near?delete", document, payload_hash=sha256)
        expected = base64.b64encode(bytes.fromhex(md5(document))).decode()
        assert there.heads[0].get(b"content-md5") == expected
        assert there.bodies == [document]


async def test_copy_within_the_endpoint_names_its_bucket(tmp_path: Path) -> None:
    result = '<CopyObjectResult><ETag>"e"</ETag></CopyObjectResult>'
    async with forwarding(tmp_path, answer("200 OK", result)) as (lab, there):
        await lab.attach("other", "moto", "elsewhere")
        await lab.ask(
            "PUT",
            "/near/to",
            x_amz_copy_source="/other/a%20b",
            x_amz_copy_source_if_match='"e"',
            x_amz_metadata_directive="REPLACE",
            x_amz_meta_a="1",
        )
        (head,) = there.heads
        assert head.path == b"/target/to"
        assert head.get(b"x-amz-copy-source") == "/elsewhere/a%20b"
        assert head.get(b"x-amz-copy-source-if-match") == '"e"'
        assert head.get(b"x-amz-metadata-directive") == "REPLACE"
        assert head.get(b"x-amz-meta-a") == "1"


@pytest.mark.parametrize(("version", "told"), [("null", None), ("v1", "v1")])
async def test_answer_to_a_write_names_no_null_version(
    tmp_path: Path, version: str, told: str | None
) -> None:
    said = answer("200 OK", b"", headers=['ETag: "e"', f"x-amz-version-id: {version}"])
    async with forwarding(tmp_path, said, said) as (lab, _):
        done = await lab.put("/near/k", b"x")
        assert done.headers.get("x-amz-version-id") == told
        read = await lab.ask("HEAD", "/near/k")
        assert read.headers["x-amz-version-id"] == version
