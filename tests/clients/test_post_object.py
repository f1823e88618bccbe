"""Browser uploads: forms that boto3 signs, sent by httpx, into every kind of bucket."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.conftest import Bucket
from tests.gateways import Gateway
from tests.s3.forms import BOUNDARY, form, part, upload

pytestmark = pytest.mark.slow
Conditions = list[Any]
BIG = bytes(range(256)) * 4096 * 3
KIND = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def signer(gateway: Gateway) -> Any:
    return gateway.client(signature_version="s3v4")


def post(
    bucket: Bucket, key: str, data: bytes, fields: dict[str, str], *conditions: Any
) -> httpx.Response:
    """Send the form of a policy that covers `fields`; `conditions` are further ones."""
    signed = signer(bucket.gateway).generate_presigned_post(
        bucket.name,
        key,
        Fields=dict(fields),
        Conditions=[*({name: value} for name, value in fields.items()), *conditions],
    )
    return httpx.post(signed["url"], data=signed["fields"], files={"file": ("a.bin", data)})


def error(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, ElementTree.fromstring(answer.content).findtext("Code") or ""


@pytest.mark.parametrize("data", [b"", b"hello", BIG], ids=["empty", "small", "big"])
def test_post_object_stores_file_and_metadata(bucket: Bucket, data: bytes) -> None:
    key = f"{bucket.prefix}posted-{len(data)}"
    fields = {
        "Content-Type": "text/x",
        "Cache-Control": "no-cache",
        "x-amz-meta-name": "Ärger",
        "success_action_status": "201",
    }
    answer = post(bucket, key, data, fields)
    assert answer.status_code == 201, answer.text
    document = ElementTree.fromstring(answer.content)
    found = bucket.gateway.client().get_object(Bucket=bucket.name, Key=key)
    assert found["Body"].read() == data
    assert (found["ContentType"], found["CacheControl"]) == ("text/x", "no-cache")
    assert found["Metadata"]["name"].encode("latin-1").decode() == "Ärger"
    assert document.findtext("ETag") == found["ETag"] == answer.headers["ETag"]
    assert (document.findtext("Bucket"), document.findtext("Key")) == (bucket.name, key)
    assert document.findtext("Location") == answer.headers["Location"]
    assert answer.headers["Location"] == f"{bucket.gateway.url}/{bucket.name}/{key}"


def test_post_object_takes_tags_and_a_key_from_the_file_name(bucket: Bucket) -> None:
    tagging = "<Tagging><TagSet><Tag><Key>a b</Key><Value>ü</Value></Tag></TagSet></Tagging>"
    key = f"{bucket.prefix}up/${{filename}}"
    assert post(bucket, key, b"x", {"tagging": tagging}).status_code == 204
    s3 = bucket.gateway.client()
    named = {"Bucket": bucket.name, "Key": f"{bucket.prefix}up/a.bin"}
    assert s3.get_object_tagging(**named)["TagSet"] == [{"Key": "a b", "Value": "ü"}]
    assert s3.head_object(**named)["ContentLength"] == 1


def test_post_object_beyond_its_policy_stores_nothing(bucket: Bucket) -> None:
    key = f"{bucket.prefix}beyond"
    few = ["content-length-range", 2, 10]
    assert error(post(bucket, key, b"x", {}, few)) == (400, "EntityTooSmall")
    assert error(post(bucket, key, b"x" * 11, {}, few)) == (400, "EntityTooLarge")
    assert error(post(bucket, key, BIG, {}, few)) == (400, "EntityTooLarge")
    assert error(post(bucket, key, b"xx", {}, ["eq", "$acl", "private"])) == (403, "AccessDenied")
    wrong = {"x-amz-checksum-sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}
    assert error(post(bucket, key, BIG, wrong)) == (400, "BadDigest")
    listed = bucket.gateway.client().list_objects_v2(Bucket=bucket.name, Prefix=key)
    assert listed["KeyCount"] == 0


def test_post_object_redirects_where_the_form_says(bucket: Bucket) -> None:
    key = f"{bucket.prefix}r ä"
    url = "http://example.invalid/done?x=1"
    answer = post(bucket, key, b"x", {"success_action_redirect": url})
    etag = answer.headers["ETag"].strip('"')
    path = key.replace(" ", "%20").replace("ä", "%C3%A4")
    assert answer.status_code == 303
    expected = f"{url}&bucket={bucket.name}&key={path}&etag=%22{etag}%22"
    assert answer.headers["Location"] == expected
    fallback = post(bucket, key, b"x", {"success_action_redirect": "javascript:alert(1)"})
    assert fallback.status_code == 204


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("post")
    with Gateway(folder, "[s3]\nsigv2 = false\n") as running:
        running.client().create_bucket(Bucket="forms")
        yield running
        assert not [path for path in (folder / "data").iterdir() if path.name.startswith("tmp")]


def send(gateway: Gateway, body: bytes, **headers: str) -> httpx.Response:
    return httpx.post(f"{gateway.url}/forms", content=body, headers={**KIND, **headers})


def signed_fields(gateway: Gateway, key: str = "k") -> dict[str, str]:
    fields: dict[str, str] = signer(gateway).generate_presigned_post("forms", key)["fields"]
    return fields


def test_post_object_ignores_fields_behind_the_file(gateway: Gateway) -> None:
    for data in (b"small", BIG):
        body = upload(signed_fields(gateway), data, submit="Upload")
        assert send(gateway, body).status_code == 204
        assert gateway.client().get_object(Bucket="forms", Key="k")["Body"].read() == data


def test_post_object_refusals(gateway: Gateway) -> None:
    fields = signed_fields(gateway)
    body = upload(fields, b"x")
    plain = {"Content-Type": "text/plain"}
    assert error(httpx.post(f"{gateway.url}/forms", content=body, headers=plain)) == (
        412,
        "PreconditionFailed",
    )
    missing = f"{gateway.url}/missing"
    assert error(httpx.post(missing, content=body, headers=KIND))[0] in (403, 404)
    chunked = httpx.post(f"{gateway.url}/forms", content=iter([body]), headers=KIND)
    assert error(chunked) == (411, "MissingContentLength")
    assert error(send(gateway, upload({"key": "k"}, b"x"))) == (403, "AccessDenied")
    assert error(send(gateway, body, Authorization="AWS4-HMAC-SHA256 x"))[1] == "InvalidArgument"
    assert error(send(gateway, body[:-8])) == (400, "MalformedPOSTRequest")
    second = form(*(part(name, value) for name, value in fields.items()), part("file", b"1"))
    assert error(send(gateway, second[:-6] + b"\r\n" + form(part("file", b"2")))) == (
        400,
        "IncorrectNumberOfFilesInPostRequest",
    )
    changed = {**fields, "x-amz-signature": "0" * 64}
    assert error(send(gateway, upload(changed, b"x"))) == (403, "SignatureDoesNotMatch")
    sealed = {**fields, "x-amz-server-side-encryption": "AES256"}
    assert error(send(gateway, upload(sealed, b"x"))) == (403, "AccessDenied")
    assert error(send(gateway, upload({"x-amz-meta-a": "1\n2", **fields}, b""))) == (
        400,
        "InvalidArgument",
    )
