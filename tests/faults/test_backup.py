"""Backups on a schedule, of a gateway that runs, dies, and loses its disk."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from s3proxy.ops.backups import Backup
from tests.gateways import Gateway, s3_backend

pytestmark = pytest.mark.slow

LARGE = 100_000
WAIT_S_MAX = 40.0


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Gateway]:
    with Gateway(tmp_path / "provider") as gateway:
        yield gateway


def gateway_of(folder: Path, provider: Gateway, more: str = "keep = 2\n") -> Gateway:
    extra = s3_backend("far", provider.url)
    extra = f'[[backend]]\nname = "disk"\ntype = "local"\nroot = "{folder}/blobs"\n{extra}'
    return Gateway(folder, f'[backup]\nbackend = "far"\ninterval_s = 1\n{more}{extra}')


def wait_for(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WAIT_S_MAX
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come")


def backups(gateway: Gateway) -> list[dict[str, Any]]:
    done = gateway.run("catalog", "backups", "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def metric(gateway: Gateway, name: str) -> float | None:
    for line in httpx.get(f"{gateway.control_url}/metrics").text.splitlines():
        if line.startswith(f"s3proxy_{name} "):
            return float(line.split()[1])
    return None


def text(client: Any, key: str) -> bytes:
    body: bytes = client.get_object(Bucket="www", Key=key)["Body"].read()
    return body


def test_disk_that_is_lost_comes_back_from_the_backend(tmp_path: Path, provider: Gateway) -> None:
    with gateway_of(tmp_path / "gateway", provider) as gateway:
        client = gateway.client()
        client.create_bucket(Bucket="www", CreateBucketConfiguration={"LocationConstraint": "far"})
        client.put_object(Bucket="www", Key="large", Body=b"l" * LARGE)
        client.put_object(
            Bucket="www", Key="sealed", Body=b"s" * LARGE, ServerSideEncryption="AES256"
        )
        written_s = time.time()
        wait_for(lambda: (metric(gateway, "backups_total") or 0) >= 4)
        assert metric(gateway, "backup_failures_total") == 0
        assert (metric(gateway, "backup_age_seconds") or 99) < 30
        assert (metric(gateway, "backup_bytes") or 0) > 10_000
        found = backups(gateway)
        assert 2 <= len(found) <= 3  # one more between a new one and the removal of the oldest
        wait_for(lambda: time.time() > written_s + 1)
    data = gateway.folder / "data"
    kept = (data / "master.key").read_bytes()
    shutil.rmtree(data)
    refused = gateway.run("catalog", "restore", "--from-backend", "far")
    assert "master key" in refused.stderr
    data.mkdir(mode=0o700, exist_ok=True)
    (data / "master.key").write_bytes(kept)
    (data / "master.key").chmod(0o600)
    done = gateway.run("catalog", "restore", "--from-backend", "far")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in data.iterdir() if path.name != "gateway.lock") == [
        "catalog.lmdb",
        "master.key",
    ]
    gateway.start()
    assert text(client, "large") == b"l" * LARGE
    assert text(client, "sealed") == b"s" * LARGE
    gateway.stop()


def test_restore_of_a_chosen_one_and_of_none_there_is(tmp_path: Path, provider: Gateway) -> None:
    with gateway_of(tmp_path / "gateway", provider) as gateway:
        wait_for(lambda: len(backups(gateway)) >= 2)
    oldest = backups(gateway)[-1]["id"]
    restore = ("catalog", "restore", "--replace", "--from-backend")
    assert f"fetching {oldest}" in gateway.run(*restore, "far", "--at", oldest).stderr
    assert "no backup has that id" in gateway.run(*restore, "far", "--at", "2020").stderr
    assert "there are no backups" in gateway.run(*restore, "disk").stderr
    assert "there is no backend x; there are: disk, far" in gateway.run(*restore, "x").stderr


def test_kill_amid_backups_leaves_nothing_and_the_next_start_goes_on(
    tmp_path: Path, provider: Gateway
) -> None:
    gateway = gateway_of(tmp_path / "gateway", provider).start()
    data = gateway.folder / "data"
    for pause_s in (0.05, 0.2, 0.4, 0.6):
        wait_for(lambda: metric(gateway, "backups_total") is not None)
        time.sleep(pause_s)
        gateway.kill()
        left = {path.name for path in data.iterdir()} - {"gateway.lock", "master.key"}
        assert left <= {"catalog.lmdb", "catalog.lmdb-lock"}
        gateway.start()
    wait_for(lambda: (metric(gateway, "backups_total") or 0) >= 1)
    gateway.stop()
    assert "Uploads" not in provider.client().list_multipart_uploads(Bucket="s3proxy-backups")


def test_dead_backend_is_counted_and_holds_nothing_up(tmp_path: Path, provider: Gateway) -> None:
    provider.stop()
    with gateway_of(tmp_path / "gateway", provider) as gateway:
        client = gateway.client()
        client.create_bucket(Bucket="www", CreateBucketConfiguration={"LocationConstraint": "disk"})
        wait_for(lambda: (metric(gateway, "backup_failures_total") or 0) >= 1)
        client.put_object(Bucket="www", Key="k", Body=b"b")
        done = gateway.run("catalog", "backups")
        assert done.returncode == 1
        assert "on far" in done.stderr
        provider.start()
        wait_for(lambda: (metric(gateway, "backups_total") or 0) >= 1)


def test_what_a_backup_names_outlives_its_deletion(tmp_path: Path, provider: Gateway) -> None:
    """The collector leaves for protect_s what the newest backup may name."""
    with gateway_of(tmp_path / "gateway", provider, "protect_s = 3600\n") as gateway:
        client = gateway.client()
        client.create_bucket(Bucket="www", CreateBucketConfiguration={"LocationConstraint": "disk"})
        client.put_object(Bucket="www", Key="large", Body=b"l" * LARGE)
        before = time.time()
        made = wait_for(lambda: [b for b in backups(gateway) if later(b["id"], before)])
        client.put_object(Bucket="www", Key="large", Body=b"n" * LARGE)
        client.delete_object(Bucket="www", Key="large")
    done = gateway.run(
        "catalog", "restore", "--replace", "--from-backend", "far", "--at", made[-1]["id"]
    )
    assert done.returncode == 0, done.stderr
    gateway.start()
    assert text(client, "large") == b"l" * LARGE
    gateway.stop()


def later(identifier: str, moment_s: float) -> bool:
    return Backup(identifier, "", "", 0).made_s > moment_s


def test_copy_amid_writes_names_only_what_is_there(tmp_path: Path) -> None:
    """Objects are replaced and deleted while it is made, and after it; then it is restored."""
    copy, stop = tmp_path / "copy", threading.Event()
    gateway = Gateway(tmp_path / "gateway", S3PROXY_BACKUP__PROTECT_S="3600").start()
    client = gateway.client()
    client.create_bucket(Bucket="www")
    rounds = [0, 0]

    def write(writer: int) -> None:
        own = gateway.client()
        while not stop.is_set():
            number = rounds[writer]
            for key in range(8):
                body = f"{writer}-{key}-{number}".encode() * (LARGE // 8 if key % 2 else 1)
                own.put_object(Bucket="www", Key=f"{writer}-{key}", Body=body)
            own.delete_object(Bucket="www", Key=f"{writer}-{number % 8}")
            rounds[writer] += 1

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(2)]
    for thread in threads:
        thread.start()
    wait_for(lambda: min(rounds) >= 2)
    made = gateway.run("catalog", "backup", str(copy))
    after = list(rounds)
    wait_for(lambda: rounds[0] >= after[0] + 2 and rounds[1] >= after[1] + 2)
    stop.set()
    for thread in threads:
        thread.join()
    assert made.returncode == 0, made.stderr
    gateway.stop()
    assert gateway.run("catalog", "restore", str(copy), "--replace").returncode == 0
    gateway.start()
    found = client.list_objects_v2(Bucket="www")["Contents"]
    assert len(found) >= 13
    for entry in found:
        body = text(client, entry["Key"])
        assert len(body) == entry["Size"]
        assert body.startswith(f"{entry['Key']}-".encode())
    gateway.stop()


def test_restore_that_is_killed_leaves_one_catalog_whole(tmp_path: Path) -> None:
    """The old one or the restored one, and the next restore works."""
    copy = tmp_path / "copy"
    gateway = Gateway(tmp_path / "gateway")
    with gateway:
        assert gateway.run("catalog", "backup", str(copy)).returncode == 0
        assert gateway.run("user", "create", "later").returncode == 0
    seen = set()
    for pause_s in (0.03, 0.07, 0.12, 0.2, 0.4):
        gateway.run_killed(pause_s, "catalog", "restore", str(copy), "--replace")
        checked = gateway.run("catalog", "check", "--json")
        assert checked.returncode == 0, checked.stderr
        seen.add(json.loads(checked.stdout)["rows"]["users"])
    assert seen <= {1, 2}
    assert gateway.run("catalog", "restore", str(copy), "--replace").returncode == 0
    data = gateway.folder / "data"
    assert not (data / "catalog.lmdb.restoring").exists()
    gateway.start()
    assert len(json.loads(gateway.run("user", "list", "--json").stdout)) == 1
    gateway.stop()


def test_what_was_written_after_the_backup_comes_back_by_reindex(
    tmp_path: Path, provider: Gateway
) -> None:
    copy = tmp_path / "copy"
    gateway = Gateway(tmp_path / "gateway", s3_backend("far", provider.url))
    with gateway:
        client = gateway.client()
        client.create_bucket(Bucket="www")
        client.put_object(Bucket="www", Key="before", Body=b"b" * LARGE)
        assert gateway.run("catalog", "backup", str(copy)).returncode == 0
        client.put_object(Bucket="www", Key="after", Body=b"a" * LARGE)
    assert gateway.run("catalog", "restore", str(copy), "--replace").returncode == 0
    done = gateway.run("reindex", "--backend", "far")
    assert done.returncode == 0, done.stderr
    with gateway:
        assert text(client, "before") == b"b" * LARGE
        assert text(client, "after") == b"a" * LARGE
