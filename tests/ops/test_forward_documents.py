"""Configurations, owners and refusals between client and endpoint, which says what it is told."""

import base64
import zlib
from pathlib import Path

import pytest

from s3proxy.s3.errors import S3Error
from tests.backends.endpoint import answer, error
from tests.ops.forwarding import OK, forwarding
from tests.ops.lab import md5
from tests.s3.heads import raises_s3

OWNER = "<Owner><ID>theirs</ID><DisplayName>Theirs</DisplayName></Owner>"
LISTS = [
    ("/near", "ListBucketResult", f"<Contents><Key>a</Key>{OWNER}</Contents>"),
    ("/near?list-type=2&fetch-owner=true", "ListBucketResult", f"<Contents>{OWNER}</Contents>"),
    ("/near?versions", "ListVersionsResult", f"<Version>{OWNER}</Version>"),
    (
        "/near?uploads",
        "ListMultipartUploadsResult",
        f"<Upload>{OWNER.replace('Owner', 'Initiator')}{OWNER}</Upload>",
    ),
    ("/near/k?uploadId=u", "ListPartsResult", OWNER),
]
LOCKED = [
    ("DELETE", "/near/k?versionId=v"),
    ("PUT", "/near/k?retention"),
    ("PUT", "/near/k?legal-hold"),
    ("PUT", "/near?object-lock"),
]


@pytest.mark.parametrize("name", ["encryption", "lifecycle"])
async def test_configuration_passes(tmp_path: Path, name: str) -> None:
    said = answer("200 OK", "<Configuration/>")
    document = b"<Document/>"
    digest = base64.b64encode(bytes.fromhex(md5(document))).decode()
    async with forwarding(tmp_path, said) as (lab, there):
        await lab.put(f"/near?{name}", document, content_md5=digest)
        assert (await lab.get(f"/near?{name}")).body == b"<Configuration/>"
        await lab.ask("DELETE", f"/near?{name}")
        assert [head.method for head in there.heads] == ["PUT", "GET", "DELETE"]
        assert {head.query for head in there.heads} == {f"{name}=".encode()}
        assert (there.heads[0].get(b"content-md5"), there.bodies[0]) == (digest, document)


async def test_document_with_a_checksum_passes_with_it(tmp_path: Path) -> None:
    document = b"<VersioningConfiguration/>"
    async with forwarding(tmp_path, answer("200 OK")) as (lab, there):
        checksum = {"x_amz_checksum_crc32": "AAAAAA==", "x_amz_sdk_checksum_algorithm": "CRC32"}
        with raises_s3("BadDigest"):
            await lab.put("/near?versioning", document, **checksum)
        crc32 = base64.b64encode(zlib.crc32(document).to_bytes(4)).decode()
        checksum["x_amz_checksum_crc32"] = crc32
        await lab.put("/near?versioning", document, **checksum)
        assert there.heads[0].get(b"x-amz-checksum-crc32") == crc32


@pytest.mark.parametrize(("target", "root", "content"), LISTS)
async def test_lists_name_the_owner_of_the_bucket(
    tmp_path: Path, target: str, root: str, content: str
) -> None:
    said = answer("200 OK", f"<{root}>{content}</{root}>")
    async with forwarding(tmp_path, said) as (lab, _):
        found = await lab.get(target)
        assert set(found.texts("ID")) == {"main"}
        assert len(found.texts("ID")) == content.count("<ID>")
        assert b"heirs" not in found.body


@pytest.mark.parametrize(("method", "target"), LOCKED)
async def test_refusal_for_a_lock_is_the_clients(tmp_path: Path, method: str, target: str) -> None:
    said = error("403 Forbidden", "AccessDenied", "it is locked")
    async with forwarding(tmp_path, said) as (lab, _):
        with pytest.raises(S3Error, match="it is locked") as caught:
            await lab.ask(method, target, b"<Document/>" if method == "PUT" else b"")
        assert (caught.value.code, caught.value.status) == ("AccessDenied", 403)


async def test_refusal_of_a_plain_delete_is_the_gateways(tmp_path: Path) -> None:
    async with forwarding(tmp_path, error("403 Forbidden", "AccessDenied")) as (lab, _):
        with raises_s3("InternalError"):
            await lab.ask("DELETE", "/near/k")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_errors_tell_of_delete_markers(tmp_path: Path, method: str) -> None:
    headers = ["x-amz-delete-marker: true", "x-amz-version-id: v"]
    said = answer("404 Not Found", b"", headers=headers)
    if method == "GET":
        said = answer("404 Not Found", b"<Error><Code>NoSuchKey</Code></Error>", headers=headers)
    async with forwarding(tmp_path, said) as (lab, _):
        with pytest.raises(S3Error) as caught:
            await lab.ask(method, "/near/k")
        assert dict(caught.value.headers)["x-amz-delete-marker"] == "true"
        assert dict(caught.value.headers)["x-amz-version-id"] == "v"


async def test_head_of_a_delete_marker_is_not_allowed(tmp_path: Path) -> None:
    async with forwarding(tmp_path, answer("405 Method Not Allowed")) as (lab, _):
        with raises_s3("MethodNotAllowed"):
            await lab.ask("HEAD", "/near/k?versionId=v")


async def test_lists_without_owners_pass_as_they_are(tmp_path: Path) -> None:
    async with forwarding(tmp_path, OK) as (lab, _):
        lab_record = await lab.attach("target", "moto", "target")
        assert lab_record.container == lab_record.name
        assert (await lab.get("/target?list-type=2")).body == b"body"
