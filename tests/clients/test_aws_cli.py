"""aws-cli: cp, ls, sync both ways, rm, presign."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.conftest import Bucket

pytestmark = pytest.mark.slow
AWS = str(Path(sys.executable).parent / "aws")


def same(first: Path, second: Path) -> bool:
    return subprocess.run(["diff", "-r", str(first), str(second)], check=False).returncode == 0


def test_aws_cli_sync_up_and_down_keeps_every_byte(
    bucket: Bucket, tree: Path, tmp_path: Path
) -> None:
    there = f"s3://{bucket.name}/{bucket.prefix}tree"
    bucket.command(AWS, "s3", "sync", str(tree), there)
    bucket.command(AWS, "s3", "sync", there, str(tmp_path / "back"))
    assert same(tree, tmp_path / "back")
    again = bucket.command(AWS, "s3", "sync", str(tree), there)
    assert "upload" not in again.stdout


@pytest.mark.parametrize("bucket", ["managed-moto", "attached-disk"], indirect=True)
def test_aws_cli_ls_mv_and_rm(bucket: Bucket, tree: Path) -> None:
    there = f"s3://{bucket.name}/{bucket.prefix}"
    bucket.command(AWS, "s3", "cp", str(tree / "small"), f"{there}one")
    bucket.command(AWS, "s3", "mv", f"{there}one", f"{there}two")
    listed = bucket.command(AWS, "s3", "ls", there).stdout
    assert "two" in listed
    assert "one" not in listed
    bucket.command(AWS, "s3", "rm", there, "--recursive")
    gone = bucket.gateway.client().list_objects_v2(
        Bucket=bucket.name, Prefix=bucket.prefix or "two"
    )
    assert gone["KeyCount"] == 0


@pytest.mark.parametrize("bucket", ["managed-disk", "attached-inner"], indirect=True)
def test_aws_cli_presigned_url_is_read_by_curl(bucket: Bucket, tree: Path, tmp_path: Path) -> None:
    there = f"s3://{bucket.name}/{bucket.prefix}file with space"
    bucket.command(AWS, "s3", "cp", str(tree / "small"), there)
    # In us-east-1 version 1 of the tool presigns with SigV2 unless told otherwise.
    (tmp_path / "config").write_text("[default]\ns3 =\n    signature_version = s3v4\n")
    environ = {"AWS_CONFIG_FILE": str(tmp_path / "config")}
    url = bucket.command(AWS, "s3", "presign", there, **environ).stdout.strip()
    got = subprocess.run(["curl", "-sSf", url], capture_output=True, check=True, timeout=60)
    assert got.stdout == (tree / "small").read_bytes()
