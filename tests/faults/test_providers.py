"""The proving ground itself: its providers survive what they should, and its faults do happen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.faults.faulty_relay import BLACK_HOLE, PASS, Fault, FaultyRelay
from tests.faults.providers import FORGETFUL, KINDS, Provider, Watcher, providers
from tests.faults.wire import wait_until
from tests.gateways import Gateway, client

BODY = bytes(range(256)) * 400
ONE_TRY = {"retries": {"total_max_attempts": 1}, "read_timeout": 2, "connect_timeout": 2}
FAILED = (BotoCoreError, ClientError, OSError)

pytestmark = pytest.mark.slow


@contextmanager
def provider_with_object(folder: Path, kind: str) -> Iterator[tuple[Provider, Any]]:
    """One provider, and a client behind its relay."""
    with providers(folder, [("one", "")], kind) as (one,):
        direct, relayed = one.client(), client(one.relay.url, **ONE_TRY)
        direct.create_bucket(Bucket="bucket")
        direct.put_object(Bucket="bucket", Key="key", Body=BODY)
        try:
            yield one, relayed
        finally:
            direct.close()
            relayed.close()


def read(s3: Any) -> bytes:
    body: bytes = s3.get_object(Bucket="bucket", Key="key")["Body"].read()
    return body


@pytest.mark.parametrize("kind", KINDS)
def test_provider_that_was_killed_comes_back_with_its_data(tmp_path: Path, kind: str) -> None:
    with provider_with_object(tmp_path, kind) as (provider, s3):
        provider.kill()
        with pytest.raises(FAILED):
            read(s3)
        provider.start()
        assert read(s3) == BODY
        (stored,) = provider.objects()
        assert (stored.bucket, stored.name, stored.size) == ("bucket", "key", len(BODY))


@pytest.mark.parametrize("kind", [*KINDS, *FORGETFUL])
def test_provider_that_is_frozen_answers_once_it_is_thawed(tmp_path: Path, kind: str) -> None:
    with provider_with_object(tmp_path, kind) as (provider, s3):
        provider.freeze()
        with pytest.raises(FAILED):
            read(s3)
        provider.thaw()
        assert read(s3) == BODY


def test_relay_breaks_what_it_is_told_to_and_only_meanwhile(tmp_path: Path) -> None:
    with provider_with_object(tmp_path, "s3proxy") as (provider, s3):
        relay = provider.relay
        for fault in (BLACK_HOLE, Fault(end="reset", answer_bytes=5000), Fault(delay_s=3.0)):
            relay.fault = fault
            with pytest.raises(FAILED):
                read(s3)
            relay.fault = PASS
            assert read(s3) == BODY
        relay.refuse()
        with pytest.raises(FAILED):
            read(s3)
        relay.accept()
        relay.fault = Fault(answer_flipped=50_000)
        found = s3.get_object(Bucket="bucket", Key="key", ChecksumMode="DISABLED")["Body"]
        assert [n for n, (a, b) in enumerate(zip(found.read(), BODY, strict=True)) if a != b] == [
            50_000
        ]


def test_relay_throttles(tmp_path: Path) -> None:
    with provider_with_object(tmp_path, "s3proxy") as (provider, s3):
        provider.relay.fault = Fault(bytes_per_s=4 * len(BODY))
        started = time.monotonic()
        assert read(s3) == BODY
        assert time.monotonic() - started > 0.15


def test_provider_knows_when_it_served() -> None:
    with FaultyRelay(1) as relay, Watcher() as watcher:
        provider = Provider("one", Gateway(Path("/nowhere")), relay, watcher)
        provider.outages.append([10.0, 20.0])
        assert provider.served(0, 10)
        assert provider.served(20, 30)
        assert not provider.served(5, 11)
        assert not provider.served(12, 13)


def test_watcher_kills_what_is_left_when_its_process_dies(tmp_path: Path) -> None:
    """Even when that is killed itself, and its child frozen."""
    script = (
        "import os, signal, subprocess, sys, time\n"
        "from tests.faults.providers import Watcher\n"
        "with Watcher() as watcher:\n"
        "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "    watcher.started(child.pid)\n"
        "    os.kill(child.pid, signal.SIGSTOP)\n"
        "    print(child.pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    command = [sys.executable, "-c", script]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: is_gone(pid))


def is_gone(pid: int) -> bool:
    """A zombie that nobody waits for is gone, too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_watcher_forgets_what_has_ended() -> None:
    with Watcher() as watcher, subprocess.Popen(["sleep", "60"]) as child:
        watcher.started(child.pid)
        watcher.ended(child.pid)
        watcher.__exit__()
        assert child.poll() is None
        child.kill()
