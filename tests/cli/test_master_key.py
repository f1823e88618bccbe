"""`s3proxy master-key`, beside a gateway that runs meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import created, listed, refusal, run
from tests.gateways import Gateway


def test_rotate_seals_anew_and_keeps_the_old_key() -> None:
    created()
    result = run("master-key", "rotate")
    assert result.stdout == "sealed anew: 1\n"
    (former,) = Path("data").glob("master.key.*")
    assert former.name in result.stderr
    again = run("master-key", "reseal")
    assert again.stdout == "sealed anew: 0\n"
    assert "Nothing needs them any more" in again.stderr
    former.unlink()
    assert len(listed()) == 1
    assert run("master-key", "reseal").stderr == ""


def test_rotate_over_a_key_that_others_may_read_is_refused() -> None:
    created()
    Path("data/master.key").chmod(0o644)
    assert "chmod 600" in refusal("master-key", "rotate")


@pytest.mark.parametrize("command", ["rotate", "reseal"])
def test_commands_beside_no_catalog_say_so_and_make_none(command: str) -> None:
    assert refusal("master-key", command).startswith("data.dir ./data: no catalog is there; ")
    assert not Path("data").exists()


def test_gateway_that_runs_goes_on_under_the_new_key(tmp_path: Path) -> None:
    with Gateway(tmp_path / "gateway") as gateway:
        client = gateway.client()
        client.create_bucket(Bucket="www")
        sizes = {"small": 100, "large": 100_000}

        def put(stage: str) -> None:
            for name, size in sizes.items():
                body = stage.encode() * size
                key = f"{stage}-{name}"
                client.put_object(Bucket="www", Key=key, Body=body, ServerSideEncryption="AES256")

        def check(*stages: str) -> None:
            for stage in stages:
                for name, size in sizes.items():
                    found = client.get_object(Bucket="www", Key=f"{stage}-{name}")
                    assert found["ServerSideEncryption"] == "AES256"
                    assert found["Body"].read() == stage.encode() * size

        put("a")
        upload = client.create_multipart_upload(
            Bucket="www", Key="parts", ServerSideEncryption="AES256"
        )
        named = {"Bucket": "www", "Key": "parts", "UploadId": upload["UploadId"]}
        rotated = gateway.run("master-key", "rotate")
        # Two objects, the upload, the root's access key.
        assert (rotated.returncode, rotated.stdout) == (0, "sealed anew: 4\n")
        put("b")
        check("a", "b")
        assert gateway.run("master-key", "reseal").stdout == "sealed anew: 0\n"
        for former in (gateway.folder / "data").glob("master.key.*"):
            former.unlink()
        part = client.upload_part(**named, PartNumber=1, Body=b"part")
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        client.complete_multipart_upload(**named, MultipartUpload=parts)
        gateway.stop()
        gateway.start()
        check("a", "b")
        assert client.get_object(Bucket="www", Key="parts")["Body"].read() == b"part"
