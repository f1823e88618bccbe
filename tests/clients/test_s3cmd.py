"""s3cmd: put (multipart too), get, ls, info, cp, del."""

from pathlib import Path

import pytest

from tests.clients.conftest import Bucket
from tests.gateways import ACCESS_KEY, REGION, SECRET_KEY

pytestmark = pytest.mark.slow


# Of the six places each kind of bucket and each backend; boto3 and rclone do the same at all.
@pytest.mark.parametrize(
    "bucket", ["managed-disk", "attached-moto", "managed-inner"], indirect=True
)
def test_s3cmd_put_get_copy_and_delete(bucket: Bucket, tree: Path, tmp_path: Path) -> None:
    config = tmp_path / "s3cfg"
    host = f"127.0.0.1:{bucket.gateway.port}"
    config.write_text(
        f"[default]\naccess_key = {ACCESS_KEY}\nsecret_key = {SECRET_KEY}\nhost_base = {host}\n"
        f"host_bucket = {host}\nbucket_location = {REGION}\n"
        "use_https = False\nsignature_v2 = False\n"
    )
    there = f"s3://{bucket.name}/{bucket.prefix}"

    def s3cmd(*arguments: str) -> str:
        return bucket.command("s3cmd", "-c", str(config), "--no-progress", *arguments).stdout

    s3cmd("put", "--multipart-chunk-size-mb=5", str(tree / "large"), f"{there}large")
    s3cmd("put", str(tree / "small"), f"{there}small one")
    s3cmd("get", f"{there}large", str(tmp_path / "large"))
    assert (tmp_path / "large").read_bytes() == (tree / "large").read_bytes()
    assert "small one" in s3cmd("ls", there)
    assert "File size: 100" in s3cmd("info", f"{there}small one")
    s3cmd("cp", f"{there}small one", f"{there}copy")
    s3cmd("get", f"{there}copy", str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == (tree / "small").read_bytes()
    s3cmd("del", "--recursive", "--force", f"{there}")
