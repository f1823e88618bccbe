"""The control port over real HTTP: what it answers, and that a taken address is an OSError."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import trio

from s3proxy.control.app import Probe, build_app
from s3proxy.control.server import serve_control
from s3proxy.metrics import Metrics


async def all_well() -> tuple[bool, dict[str, str]]:
    return True, {"server": "ok", "backend disk": "ok"}


async def one_down() -> tuple[bool, dict[str, str]]:
    return False, {"server": "ok", "backend far": "connection refused"}


@asynccontextmanager
async def control(ready: Probe = all_well) -> AsyncIterator[httpx.AsyncClient]:
    async with trio.open_nursery() as nursery:
        urls = await nursery.start(serve_control, build_app(Metrics(), ready), "127.0.0.1:0")
        async with httpx.AsyncClient(base_url=urls[0], timeout=10) as client:
            yield client
        nursery.cancel_scope.cancel()


async def test_healthz_running_is_ok() -> None:
    async with control() as client:
        answer = await client.get("/healthz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_readyz_all_parts_well_is_ok() -> None:
    async with control() as client:
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()) == (200, (await all_well())[1])


async def test_readyz_one_part_down_is_unavailable_and_names_it() -> None:
    async with control(one_down) as client:
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()) == (503, (await one_down())[1])


async def test_head_answers_as_get_does_without_a_body() -> None:
    async with control() as client:
        answers = [await client.head(path) for path in ("/healthz", "/readyz", "/schema")]
        assert [(answer.status_code, answer.content) for answer in answers] == [(200, b"")] * 3
    async with control(one_down) as client:
        assert (await client.head("/readyz")).status_code == 503


async def test_metrics_are_prometheus_text() -> None:
    async with control() as client:
        answer = await client.get("/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain")
        assert "# TYPE" in answer.text


@pytest.mark.parametrize("path", ["/", "/nothing", "/healthz/more", "/schema/x", "/api/v1/x"])
async def test_unknown_path_is_not_found_with_a_problem(path: str) -> None:
    async with control() as client:
        answer = await client.get(path)
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.status_code, answer.json()["code"]) == (404, "NotFound")


@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/schema"])
async def test_other_method_is_not_allowed_with_a_problem_that_names_those_that_are(
    path: str,
) -> None:
    async with control() as client:
        answer = await client.post(path)
        assert (answer.status_code, answer.json()["code"]) == (405, "MethodNotAllowed")
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
        allowed = await client.options(path)
        assert (allowed.status_code, allowed.headers["allow"]) == (204, "GET, HEAD, OPTIONS")


async def test_serve_control_on_a_taken_address_raises_os_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match="in use"):
            await serve_control(build_app(Metrics(), all_well), listen)


async def test_schema_is_openapi_and_loads_nothing_from_elsewhere() -> None:
    async with control() as client:
        answer = await client.get("/schema")
        assert set(answer.json()["paths"]) == {"/healthz", "/readyz", "/metrics"}
        pages = [await client.get(f"/schema/{name}") for name in ("swagger", "redoc", "elements")]
        assert [page.status_code for page in pages] == [404] * 3
