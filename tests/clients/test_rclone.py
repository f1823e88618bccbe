"""rclone: copy both ways, check by hash, sync with deletes, purge."""

import subprocess
from pathlib import Path

import pytest

from tests.clients.conftest import Bucket
from tests.gateways import ACCESS_KEY, REGION, SECRET_KEY

pytestmark = pytest.mark.slow


def test_rclone_copy_check_and_sync(bucket: Bucket, tree: Path, tmp_path: Path) -> None:
    environ = {
        "RCLONE_CONFIG": "/dev/null",
        "RCLONE_CONFIG_GW_TYPE": "s3",
        "RCLONE_CONFIG_GW_PROVIDER": "Other",
        "RCLONE_CONFIG_GW_ACCESS_KEY_ID": ACCESS_KEY,
        "RCLONE_CONFIG_GW_SECRET_ACCESS_KEY": SECRET_KEY,
        "RCLONE_CONFIG_GW_ENDPOINT": bucket.gateway.url,
        "RCLONE_CONFIG_GW_REGION": REGION,
        "RCLONE_S3_CHUNK_SIZE": "5M",
        "RCLONE_S3_UPLOAD_CUTOFF": "6M",
        "RCLONE_RETRIES": "1",
    }
    there = f"gw:{bucket.name}/{bucket.prefix}tree"

    def rclone(*arguments: str) -> str:
        return bucket.command("rclone", *arguments, **environ).stdout

    rclone("copy", str(tree), there)
    rclone("check", str(tree), there)
    rclone("copy", there, str(tmp_path / "back"))
    assert (
        subprocess.run(["diff", "-r", str(tree), str(tmp_path / "back")], check=False).returncode
        == 0
    )
    (tree / "small").unlink()
    rclone("sync", str(tree), there)
    assert "small" not in rclone("lsf", there)
    rclone("moveto", f"{there}/large", f"{there}/moved")
    assert "moved" in rclone("lsf", there)
    rclone("purge", there)
