"""What of encryption passes to an endpoint, against one that says what it is told to."""

from pathlib import Path

import pytest

from s3proxy.ops.call import Settings
from tests.backends.endpoint import answer
from tests.ops.forwarding import OK, forwarding
from tests.ops.keys import AES256, customer
from tests.s3.heads import raises_s3

SETTINGS = Settings(inline_bytes_max=1000, sse_c_over_http=True)
KMS = {
    "x_amz_server_side_encryption": "aws:kms",
    "x_amz_server_side_encryption_aws_kms_key_id": "k",
    "x_amz_server_side_encryption_context": "e30=",
    "x_amz_server_side_encryption_bucket_key_enabled": "true",
}


def sent(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-").lower(): value for name, value in headers.items()}


@pytest.mark.parametrize("headers", [AES256, KMS, customer()])
@pytest.mark.parametrize(("method", "target"), [("PUT", "/near/k"), ("POST", "/near/k?uploads")])
async def test_write_passes_on_how_to_encrypt(
    tmp_path: Path, headers: dict[str, str], method: str, target: str
) -> None:
    said = answer("200 OK", b"", headers=["x-amz-server-side-encryption: aws:kms", 'ETag: "e"'])
    async with forwarding(tmp_path, said, settings=SETTINGS) as (lab, there):
        found = await lab.ask(method, target, **headers)
        assert found.headers["x-amz-server-side-encryption"] == "aws:kms"
        assert dict(there.heads[0].prefixed(b"x-amz-server-side")) == sent(headers)


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", "/near/k"), ("HEAD", "/near/k"), ("PUT", "/near/k?uploadId=u&partNumber=1")],
)
async def test_customer_key_passes_on(tmp_path: Path, method: str, target: str) -> None:
    async with forwarding(tmp_path, OK, settings=SETTINGS) as (lab, there):
        await lab.ask(method, target, **customer())
        assert dict(there.heads[0].prefixed(b"x-amz-server-side")) == sent(customer())


async def test_keys_of_a_copy_within_the_endpoint_pass_on(tmp_path: Path) -> None:
    keys = customer() | customer(2, source=True)
    async with forwarding(tmp_path, OK, settings=SETTINGS) as (lab, there):
        await lab.put("/near/k", b"", x_amz_copy_source="/near/s", **keys)
        (head,) = there.heads
        passed = dict(head.prefixed(b"x-amz-server")) | dict(head.prefixed(b"x-amz-copy-source-s"))
        assert passed == sent(keys)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
async def test_customer_key_over_plain_http_does_not_pass(tmp_path: Path, method: str) -> None:
    async with forwarding(tmp_path, OK) as (lab, there):
        with raises_s3("InvalidRequest"):
            await lab.ask(method, "/near/k", **customer())
        assert there.heads == []


async def test_copy_through_the_gateway_with_keys_is_refused(tmp_path: Path) -> None:
    async with forwarding(tmp_path, OK, settings=SETTINGS) as (lab, _):
        await lab.put("/www/s", b"data")
        source = {"x_amz_copy_source": "/www/s"}
        with raises_s3("NotImplemented"):
            await lab.put("/near/k", b"", **source, **customer())
        with raises_s3("NotImplemented"):
            await lab.put("/near/k?uploadId=u&partNumber=1", b"", **source, **customer())
        with raises_s3("NotImplemented"):
            back = {"x_amz_copy_source": "/near/s"} | customer(source=True)
            await lab.put("/www/k", b"", **back)
