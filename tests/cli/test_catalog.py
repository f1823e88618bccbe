"""`s3proxy catalog`, beside a gateway that runs, and while none does."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import created, listed, refusal, run
from tests.gateways import ROOT, Gateway

LARGE = 100_000  # not inline


def names() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def text(client: Any, key: str) -> bytes:
    body: bytes = client.get_object(Bucket="www", Key=key)["Body"].read()
    return body


def test_backup_is_private_whole_and_never_over_another_file() -> None:
    created()
    result = run("catalog", "backup", "copy", "--json")
    size = Path("copy").stat().st_size
    assert json.loads(result.stdout) == {"file": "copy", "bytes": size}
    assert stat.S_IMODE(Path("copy").stat().st_mode) == 0o600
    before = Path("copy").read_bytes()
    assert refusal("catalog", "backup", "copy") == "copy is there already; it is left as it is"
    assert Path("copy").read_bytes() == before
    assert names() == ["copy", "data"]


def test_backup_where_nothing_can_be_written_says_why() -> None:
    created()
    assert refusal("catalog", "backup", "not/there") == "not/there: No such file or directory"


def test_backup_and_check_without_a_catalog_make_none() -> None:
    assert "no catalog is there" in refusal("catalog", "backup", "copy")
    assert refusal("catalog", "check") == "data/catalog.lmdb: no such file"
    assert names() == []


def test_backup_on_a_full_disk_says_so_and_leaves_nothing() -> None:
    created()
    script = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192));"
        "from s3proxy.cli import main; main(['catalog', 'backup', 'copy'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 1
    assert "no room on the file system" in done.stderr
    assert names() == ["data"]


def test_check_tells_rows_and_master_keys() -> None:
    created()
    shown = json.loads(run("catalog", "check", "--json").stdout)
    assert (shown["sound"], shown["rows"]["keys"], shown["problems"]) == (True, 1, [])
    assert list(shown["master_keys"].values()) == [1]
    assert "keys: 1" in run("catalog", "check").stdout


def test_restore_over_a_catalog_needs_replace_and_keeps_it() -> None:
    first = created("alice")
    run("catalog", "backup", "copy")
    created("bob")
    assert "--replace" in refusal("catalog", "restore", "copy")
    assert len(listed()) == 2
    result = run("catalog", "restore", "copy", "--replace", "--json")
    assert [key["access_key"] for key in listed()] == [first["access_key"]]
    kept = Path(json.loads(result.stdout)["kept"])
    assert kept.parent == Path("data")
    run("catalog", "restore", str(kept), "--replace")
    assert len(listed()) == 2


@pytest.mark.parametrize("damage", ["other", "cut", "page", "row"])
def test_restore_of_a_file_that_is_not_sound_changes_nothing(damage: str) -> None:
    created()
    run("catalog", "backup", "copy")
    copy = Path("copy")
    whole = copy.read_bytes()
    pages = {
        "other": os.urandom(len(whole)),
        "cut": whole[: 3 * 4096],
        "page": whole[: 2 * 4096] + os.urandom(4 * 4096) + whole[6 * 4096 :],
        "row": whole.replace(b"alice", b"\xff\xff\xff\xff\xff"),
    }
    copy.write_bytes(pages[damage])
    files = {path: path.read_bytes() for path in Path("data").iterdir()}
    assert refusal("catalog", "restore", "copy", "--replace").startswith("restore copy: ")
    assert {path: path.read_bytes() for path in Path("data").iterdir()} | files == files | {
        Path("data/gateway.lock"): b""
    }
    assert len(listed()) == 1


def test_restore_without_the_master_key_names_it() -> None:
    created()
    run("catalog", "backup", "copy")
    (key,) = json.loads(run("catalog", "check", "--json").stdout)["master_keys"]
    Path("data/master.key").rename("kept.key")
    said = refusal("catalog", "restore", "copy", "--replace")
    assert f"master key {key}" in said
    Path("kept.key").rename(f"data/master.key.{key}")
    assert run("catalog", "restore", "copy", "--replace").exit_code == 0


def test_restore_beside_a_gateway_is_refused(tmp_path: Path) -> None:
    with Gateway(tmp_path / "gateway") as gateway:
        copy = str(tmp_path / "copy")
        assert gateway.run("catalog", "backup", copy).returncode == 0
        done = gateway.run("catalog", "restore", copy, "--replace")
        assert done.returncode == 1
        assert "in use by another s3proxy" in done.stderr


def test_restore_after_the_disk_is_lost_brings_back_what_was_there(tmp_path: Path) -> None:
    """Catalog gone, blobs and master key there."""
    copy = tmp_path / "copy"
    with Gateway(tmp_path / "gateway") as gateway:
        client = gateway.client()
        client.create_bucket(Bucket="www")
        for key, size in (("small", 10), ("large", LARGE)):
            client.put_object(Bucket="www", Key=key, Body=b"a" * size)
            client.put_object(
                Bucket="www", Key=f"sealed-{key}", Body=b"s" * size, ServerSideEncryption="AES256"
            )
        upload = client.create_multipart_upload(Bucket="www", Key="parts")["UploadId"]
        assert gateway.run("catalog", "backup", str(copy)).returncode == 0
        assert gateway.run("catalog", "check").returncode == 0
        client.put_object(Bucket="www", Key="later", Body=b"l" * LARGE)
    data = gateway.folder / "data"
    for path in data.glob("catalog.lmdb*"):
        path.unlink()
    assert gateway.run("catalog", "restore", str(copy)).returncode == 0
    gateway.start()
    assert text(client, "small") == b"a" * 10
    assert text(client, "large") == b"a" * LARGE
    assert text(client, "sealed-small") == b"s" * 10
    assert text(client, "sealed-large") == b"s" * LARGE
    found = client.list_objects_v2(Bucket="www")["Contents"]
    assert "later" not in [entry["Key"] for entry in found]
    uploads = client.list_multipart_uploads(Bucket="www")["Uploads"]
    assert [entry["UploadId"] for entry in uploads] == [upload]
    client.put_object(Bucket="www", Key="later", Body=b"again")
    assert gateway.stop() == 0


def test_restore_leaves_alone_what_was_being_written(tmp_path: Path) -> None:
    """A write under way when the copy was made, done since: its blob is found, not deleted."""
    copy = tmp_path / "copy"
    gateway = Gateway(tmp_path / "gateway").start()
    client = gateway.client()
    client.create_bucket(Bucket="www")
    blobs = gateway.folder / "data" / "blobs"
    under_way = _intent(gateway)
    assert gateway.run("catalog", "backup", str(copy)).returncode == 0
    client.put_object(Bucket="www", Key="done", Body=b"d" * LARGE)
    (written,) = [path for path in blobs.glob("??/??/*") if path.is_file()]
    # As if the object's blob were the one that was under way.
    target = blobs / under_way[:2] / under_way[2:4] / under_way
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(written, target)
    gateway.stop()
    done = gateway.run("catalog", "restore", str(copy), "--replace", "--json")
    assert json.loads(done.stdout)["intents"] == 1
    gateway.start()
    client.put_object(Bucket="www", Key="other", Body=b"o" * LARGE)
    client.delete_object(Bucket="www", Key="other")
    gateway.stop()
    gateway.start()  # had the intent been there, recovery would have made its blob garbage
    gateway.stop()
    assert target.exists()


def _intent(gateway: Gateway) -> str:
    """Leave an intent in the catalog of a gateway that runs; the id of its blob."""
    script = (
        "import sys, trio\n"
        "from s3proxy.bootstrap import open_catalog\n"
        "from s3proxy.catalog.records import BlobRef\n"
        "from s3proxy.config import DataConfig\n"
        "async def main():\n"
        "    async with open_catalog(DataConfig(dir=sys.argv[1])) as (catalog, _):\n"
        "        blob = BlobRef('ab' * 16, 'disk', 'c', 'ab' * 16, 3)\n"
        "        bucket = catalog.get_bucket('www')\n"
        "        await catalog.intend(blob, bucket, 'done').wait()\n"
        "trio.run(main)\n"
    )
    data = str(gateway.folder / "data")
    subprocess.run([sys.executable, "-c", script, data], check=True, cwd=ROOT)
    return "ab" * 16


def test_restore_of_a_copy_from_before_a_rotation_needs_the_former_key() -> None:
    key = created()
    run("catalog", "backup", "copy")
    run("master-key", "rotate")
    (former,) = Path("data").glob("master.key.*")
    former.rename("kept")
    assert former.name in refusal("catalog", "restore", "copy", "--replace")
    Path("kept").rename(former)
    assert run("catalog", "restore", "copy", "--replace").exit_code == 0
    assert run("master-key", "reseal").stdout == "sealed anew: 1\n"
    former.unlink()
    assert [found["access_key"] for found in listed()] == [key["access_key"]]
    (current,) = json.loads(run("catalog", "check", "--json").stdout)["master_keys"]
    assert not former.name.endswith(current)


def test_restore_without_keys_says_that_it_is_asked_to() -> None:
    created()
    run("catalog", "backup", "copy")
    Path("data/master.key").unlink()
    assert "--without-keys" in refusal("catalog", "restore", "copy", "--replace")
    assert run("catalog", "restore", "copy", "--replace", "--without-keys").exit_code == 0
    assert len(listed()) == 1
