"""Trying out backends: a real endpoint, a directory, and one that says no."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from s3proxy.backends.local import LocalBackend
from s3proxy.backends.options import LocalOptions
from s3proxy.ops.backend_checks import check_backend
from tests.backends.stores import s3_backend

NEEDED = ["credentials", "create container", "put", "head", "get", "get range", "list", "latency"]


async def test_checks_of_an_endpoint_pass_and_leave_nothing(endpoint_url: str) -> None:
    async with s3_backend(endpoint_url) as backend:
        before = await backend.containers()
        report = await check_backend(backend, time.time_ns)
        assert report.passed, report.checks
        names = [check.name for check in report.checks]
        assert names[: len(NEEDED)] == NEEDED
        assert {"clock skew", "metadata", "copy", "multipart", "delete"} <= set(names)
        assert await backend.containers() == before


async def test_checks_of_a_directory_pass(tmp_path: Path) -> None:
    backend = LocalBackend(LocalOptions(name="disk", root=str(tmp_path), durability="none"))
    report = await check_backend(backend, time.time_ns)
    assert report.passed, report.checks
    assert {check.name for check in report.checks if check.state == "no"} >= {"multipart"}
    assert list(backend.blob_ids()) == []


async def test_checks_of_an_endpoint_that_is_not_there_fail() -> None:
    async with s3_backend("http://127.0.0.1:1") as backend:
        report = await check_backend(backend, time.time_ns)
        assert not report.passed
        assert report.checks[0].state == "failed"


@pytest.mark.parametrize("ahead_s", [400.0, -400.0])
async def test_checks_tell_of_a_clock_that_is_wrong(endpoint_url: str, ahead_s: float) -> None:
    async with s3_backend(endpoint_url) as backend:
        report = await check_backend(backend, lambda: time.time_ns() + int(ahead_s * 1e9))
        (skew,) = [check for check in report.checks if check.name == "clock skew"]
        assert skew.state == "failed"
