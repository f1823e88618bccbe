"""What a fault may have left behind: files, and lines in the log that only a bug writes."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import httpx
import trio

from s3proxy.bootstrap import open_catalog
from s3proxy.config import DataConfig
from tests.gateways import Gateway

SETTLE_S_MAX = 60.0  # until the collector has deleted what nothing needs

_BUGS = ("unexpected error", "connection lost to a bug", "Traceback")


def logged_bugs(gateway: Gateway) -> list[str]:
    """Lines of the gateway's log that speak of a bug; each is at most 2,000 characters."""
    lines = gateway.log.read_text(errors="replace").splitlines()
    return [line[:2000] for line in lines if any(bug in line for bug in _BUGS)]


def stored_files(root: Path) -> list[Path]:
    """All files below a directory."""
    return [path for path in root.rglob("*") if path.is_file()]


def leftovers(root: Path) -> list[Path]:
    """Temporaries below a local backend's root: of blobs, and of attached directories."""
    return [path for path in stored_files(root) if path.parent.name == "tmp"]


def open_intents(gateway: Gateway) -> int:
    """Read from the catalog, beside the running gateway."""

    async def count() -> int:
        async with open_catalog(DataConfig(dir=str(gateway.folder / "data"))) as (catalog, _):
            return len(catalog.open_intents())

    return trio.run(count)


def memory_bytes(pid: int) -> int:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def open_files(pid: int) -> int:
    """How many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - names suffice


def open_connections(gateway: Gateway) -> int:
    """How many clients are connected to the S3 port."""
    text = httpx.get(f"{gateway.control_url}/metrics").text
    found = re.search(r"^s3proxy_connections_open(?:\{[^}]*\})? ([0-9.]+)", text, re.MULTILINE)
    assert found is not None, text
    return int(float(found[1]))


def wait_until_gone(root: Path, seconds: float) -> None:
    """Wait until no file is left below a directory."""
    deadline = time.monotonic() + seconds
    while stored_files(root) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert stored_files(root) == []
