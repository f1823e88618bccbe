"""No room, or no permission to write: writes are refused as by S3, reads go on, nothing is left.

When there is room again, writes work again, without a restart.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.faults.small_disk import LimitedFiles, SmallDisk, Tmpfs, may_mount, mounted
from tests.faults.traces import leftovers, logged_bugs, stored_files
from tests.faults.wire import Answer, Wire, ask, is_absent, signed_head, wait_until
from tests.gateways import Gateway, attached, local_backend, s3_backend

MIB = 1 << 20
LARGE = 8 * MIB
# Small objects are kept in the catalog, which may have some free pages of its own.
SMALL_PUTS_MAX = 3000
# Without the privilege to mount, files that may not grow are what is left to test with.
MAY_MOUNT = may_mount()
DISKS = ("tmpfs", "limited-files") if MAY_MOUNT else ("limited-files",)

pytestmark = pytest.mark.slow


@contextmanager
def small_disk(kind: str, folder: Path) -> Iterator[SmallDisk]:
    if kind == "tmpfs":
        with mounted(folder / "disk") as disk:
            yield disk
    else:
        (folder / "disk").mkdir()
        yield LimitedFiles(folder / "disk")


@contextmanager
def gateway_on(disk: SmallDisk, folder: Path, blobs: Path) -> Iterator[Gateway]:
    """A gateway with a managed and an attached bucket, an object in each, and one upload begun."""
    (blobs / "files").mkdir(parents=True)
    extra = local_backend("disk", blobs) + attached("attached", "disk", "files")
    with Gateway(folder, extra) as gateway:
        s3 = gateway.client()
        s3.create_bucket(Bucket="managed")
        for bucket in ("managed", "attached"):
            s3.put_object(Bucket=bucket, Key="before", Body=b"before" * 10_000)
        s3.close()
        yield gateway
        assert logged_bugs(gateway) == []
        assert leftovers(blobs) == []


def refused(answer: Answer, *codes: str) -> None:
    assert answer.status in (500, 503), answer
    assert answer.code in codes, answer
    assert answer.whole


def large_put(gateway: Gateway, bucket: str) -> Answer:
    """An upload that does not fit; its connection serves another request, or is closed."""
    headers = {"Content-Length": str(LARGE)}
    with Wire(gateway.port) as wire:
        wire.send(signed_head(gateway.port, "PUT", f"/{bucket}/large", headers).data, bytes(LARGE))
        answer = wire.read_answer()
        if answer.keeps_open:
            wire.send(signed_head(gateway.port, "GET", "/").data)
            assert wire.read_answer().status == 200
        else:
            wire.end()
            assert wire.at_end()
    return answer


def reads_go_on(gateway: Gateway) -> None:
    for bucket in ("managed", "attached"):
        assert ask(gateway, "GET", f"/{bucket}/before").body == b"before" * 10_000
        assert ask(gateway, "HEAD", f"/{bucket}/before").status == 200
        assert b"<Key>before</Key>" in ask(gateway, "GET", f"/{bucket}?list-type=2").body


def works_again(gateway: Gateway) -> None:
    """Writes succeed at once; what was refused is absent."""
    for bucket in ("managed", "attached"):
        assert is_absent(gateway, f"/{bucket}/large")
        assert large_put(gateway, bucket).status == 200
        assert ask(gateway, "GET", f"/{bucket}/large").body == bytes(LARGE)
        assert ask(gateway, "DELETE", f"/{bucket}/large").status == 204
        assert ask(gateway, "DELETE", f"/{bucket}/before").status == 204


@pytest.mark.parametrize("kind", DISKS)
def test_disk_of_the_blobs_full_refuses_writes_until_there_is_room(
    tmp_path: Path, kind: str
) -> None:
    """The catalog is elsewhere and has room, on a tmpfs; files that may not grow are everywhere."""
    with small_disk(kind, tmp_path) as disk:
        blobs = disk.root / "blobs"
        with gateway_on(disk, tmp_path / "gateway", blobs) as gateway:
            s3 = gateway.client()
            where = {"Bucket": "attached", "Key": "parts"}
            upload = {**where, "UploadId": s3.create_multipart_upload(**where)["UploadId"]}
            files = set(stored_files(blobs))
            with disk.full(gateway):
                for bucket in ("managed", "attached"):
                    refused(large_put(gateway, bucket), "ServiceUnavailable")
                part = f"/attached/parts?partNumber=1&uploadId={upload['UploadId']}"
                refused(ask(gateway, "PUT", part, body=bytes(LARGE)), "ServiceUnavailable")
                copy = {"x-amz-copy-source": "/managed/before"}
                assert ask(gateway, "PUT", "/managed/copied", copy).status in (200, 503)
                reads_go_on(gateway)
                assert leftovers(blobs) == []
            assert "Parts" not in s3.list_parts(**upload)
            s3.abort_multipart_upload(**upload)
            s3.close()
            works_again(gateway)
            assert ask(gateway, "DELETE", "/managed/copied").status == 204
            wait_until(lambda: not set(stored_files(blobs)) - files)


@pytest.mark.parametrize("kind", DISKS)
def test_disk_of_the_catalog_full_refuses_writes_until_there_is_room(
    tmp_path: Path, kind: str
) -> None:
    """Everything is on it, logs included."""
    with small_disk(kind, tmp_path) as disk:
        blobs = disk.root / "blobs"
        with gateway_on(disk, disk.root / "gateway", blobs) as gateway:
            bodies: dict[str, bytes] = {}
            with disk.full(gateway):
                for bucket in ("managed", "attached"):
                    refused(large_put(gateway, bucket), "ServiceUnavailable")
                refused(put_until_refused(gateway, bodies), "ServiceUnavailable")
                reads_go_on(gateway)
                for key, body in bodies.items():
                    assert ask(gateway, "GET", f"/managed/{key}").body == body
                for key in list(bodies)[:3]:
                    # Deleting takes a page or two as well.
                    answer = ask(gateway, "DELETE", f"/managed/{key}")
                    assert answer.status in (204, 503), answer
                    if answer.status == 204:
                        del bodies[key]
                assert httpx.get(f"{gateway.control_url}/healthz").status_code == 200
            works_again(gateway)
            assert gateway.stop() == 0
            gateway.start()
            for key, body in bodies.items():
                assert ask(gateway, "GET", f"/managed/{key}").body == body


def put_until_refused(gateway: Gateway, bodies: dict[str, bytes]) -> Answer:
    """Put small objects until the catalog has no page left; `bodies` gets those it took."""
    with Wire(gateway.port) as wire:
        for number in range(SMALL_PUTS_MAX):
            body = hashlib.sha256(b"%d" % number).digest() * 400
            headers = {"Content-Length": str(len(body))}
            target = f"/managed/small{number}"
            wire.send(signed_head(gateway.port, "PUT", target, headers).data, body)
            answer = wire.read_answer()
            if answer.status != 200:
                return answer
            bodies[f"small{number}"] = body
    raise AssertionError("a full disk took them all")


def test_logs_on_a_full_disk_hold_up_nobody(tmp_path: Path) -> None:
    """Neither events on standard error nor the access log."""
    extra = s3_backend("nowhere", "http://127.0.0.1:1") + attached("nowhere", "nowhere")
    gateway = Gateway(tmp_path, extra, S3PROXY_LOG__ACCESS="/dev/full")
    gateway.start()
    assert gateway.stop() == 0
    gateway.log = Path("/dev/full")
    with gateway:
        for _ in range(3):
            answer = ask(gateway, "GET", "/nowhere/key")  # a warning each
            assert (answer.status, answer.code) == (503, "ServiceUnavailable")
        metrics = httpx.get(f"{gateway.control_url}/metrics").text
        assert gateway.stop() == 0
    assert "s3proxy_access_lines_dropped" in metrics


@contextmanager
def read_only(disk: SmallDisk, blobs: Path) -> Iterator[None]:
    """The disk where it can be mounted so, else the modes of the directories."""
    with ExitStack() as stack:
        if isinstance(disk, Tmpfs):
            stack.enter_context(disk.read_only())
        else:
            for path in [blobs, *(path for path in blobs.rglob("*") if path.is_dir())]:
                mode = path.stat().st_mode
                path.chmod(0o555)
                stack.callback(path.chmod, mode)
        yield


# Modes do not bind root: who is root and may not mount has files that may not grow, above.
READ_ONLY = ("tmpfs",) if MAY_MOUNT else ("modes",) if os.geteuid() else ()


@pytest.mark.parametrize("kind", READ_ONLY)
def test_disk_that_becomes_read_only_refuses_writes_until_it_is_not(
    tmp_path: Path, kind: str
) -> None:
    with small_disk(kind, tmp_path) as disk:
        blobs = disk.root / "blobs"
        with gateway_on(disk, tmp_path / "gateway", blobs) as gateway:
            with read_only(disk, blobs):
                for bucket in ("managed", "attached"):
                    refused(large_put(gateway, bucket), "InternalError")
                    copy = {"x-amz-copy-source": f"/{bucket}/before"}
                    refused(ask(gateway, "PUT", f"/{bucket}/copied", copy), "InternalError")
                refused(ask(gateway, "DELETE", "/attached/before"), "InternalError")
                reads_go_on(gateway)
                ready = httpx.get(f"{gateway.control_url}/readyz")
                assert ready.status_code == 503
                assert "not writable" in ready.text or "Read-only" in ready.text
            works_again(gateway)
            assert httpx.get(f"{gateway.control_url}/readyz").status_code == 200


@pytest.mark.parametrize("kind", READ_ONLY)
def test_data_on_a_read_only_disk_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    with small_disk(kind, tmp_path) as disk:
        gateway = Gateway(tmp_path / "gateway", local_backend("disk", disk.root / "blobs"))
        gateway.start()
        assert gateway.stop() == 0
        for section in ("[data]\ndir", "root"):
            text = gateway.config.read_text()
            moved = text.replace(f'{section} = "', f'{section} = "{disk.root}/other', 1)
            gateway.config.write_text(moved)
            with read_only(disk, disk.root):
                done = gateway.run("serve")
            gateway.config.write_text(text)
            assert done.returncode == 1, done
            assert done.stderr.startswith("s3proxy: "), done.stderr
            assert len(done.stderr.splitlines()) == 1, done.stderr
            assert "Read-only" in done.stderr or "denied" in done.stderr
