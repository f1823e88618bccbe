"""Signals, shutdown and the control port of a real process."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from prometheus_client import CONTENT_TYPE_LATEST

from tests.gateways import ROOT, CommandGateway, Gateway

DRAIN_S_MAX = 15.0  # Gateway configures grace_s = 20


class Watched(CommandGateway):
    """A gateway whose end can be awaited without a further signal."""

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait(DRAIN_S_MAX)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Watched]:
    gateway = Watched(tmp_path)
    gateway.start()
    yield gateway
    gateway.stop()


def half_a_request(gateway: Gateway) -> socket.socket:
    """A connection whose request has begun, so that draining waits for it."""
    client = socket.create_connection(("127.0.0.1", gateway.port))
    client.sendall(b"GET / HTTP/1.1\r\nHost: gateway\r\n")
    return client


def wait_until_draining(gateway: Gateway) -> None:
    deadline = time.monotonic() + DRAIN_S_MAX
    while time.monotonic() < deadline:
        answer = httpx.get(f"{gateway.control_url}/readyz", timeout=5)
        if answer.json()["server"] == "draining":
            assert answer.status_code == 503
            return
    raise AssertionError("the gateway does not drain")


def test_service_second_sigterm_ends_the_grace_period(gateway: Gateway) -> None:
    with closing(half_a_request(gateway)):
        os.kill(gateway.pid, signal.SIGTERM)
        wait_until_draining(gateway)
        started_s = time.monotonic()
        assert gateway.stop() == 0
        assert time.monotonic() - started_s < DRAIN_S_MAX


def test_service_sighup_while_draining_does_not_end_the_process(gateway: Watched) -> None:
    with closing(half_a_request(gateway)) as client:
        os.kill(gateway.pid, signal.SIGTERM)
        wait_until_draining(gateway)
        os.kill(gateway.pid, signal.SIGHUP)
        client.sendall(b"\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 403 ")
    assert gateway.wait() == 0


def test_service_metrics_have_prometheus_content_type(gateway: Watched) -> None:
    answer = httpx.get(f"{gateway.control_url}/metrics", timeout=5)
    assert answer.headers["content-type"] == CONTENT_TYPE_LATEST


def test_service_metrics_are_all_on_the_operations_page(gateway: Watched) -> None:
    page = (ROOT / "docs/operations.md").read_text("utf-8")
    text = httpx.get(f"{gateway.control_url}/metrics", timeout=5).text
    names = set(re.findall(r"^# TYPE s3proxy_(\w+) ", text, re.MULTILINE))
    assert "requests_total" in names
    assert sorted(name for name in names if f"`{name}`" not in page) == []
