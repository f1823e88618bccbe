"""restic: init, backup, check --read-data, restore, forget --prune."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.clients.conftest import Bucket

pytestmark = pytest.mark.slow


# Of the six places each kind of bucket and each backend; boto3 and rclone do the same at all.
@pytest.mark.parametrize(
    "bucket", ["attached-disk", "managed-moto", "attached-inner"], indirect=True
)
def test_restic_backup_restore_and_prune(bucket: Bucket, tree: Path, tmp_path: Path) -> None:
    environ = {
        "RESTIC_REPOSITORY": f"s3:{bucket.gateway.url}/{bucket.name}/{bucket.prefix}repo",
        "RESTIC_PASSWORD": "test",
        "RESTIC_CACHE_DIR": str(tmp_path / "cache"),
    }

    def restic(*arguments: str) -> None:
        bucket.command("restic", *arguments, **environ)

    restic("init")
    restic("backup", str(tree))
    (tree / "small").write_bytes(os.urandom(5000))
    restic("backup", str(tree))
    restic("check", "--read-data")
    restic("restore", "latest", "--target", str(tmp_path / "back"))
    restored = tmp_path / "back" / tree.relative_to("/")
    assert subprocess.run(["diff", "-r", str(tree), str(restored)], check=False).returncode == 0
    restic("forget", "--keep-last", "1", "--prune")
    restic("check")
