"""Work on a backend: /api/v1/backends/{name}/drain and /test."""

from __future__ import annotations

import msgspec
from litestar import Router, delete, get, post
from litestar.params import FromPath

from s3proxy.catalog.errors import UnknownBackend
from s3proxy.control.api.dependencies import Using
from s3proxy.ops.backend_checks import Check, check_backend
from s3proxy.ops.drain import cancel_drain, left_on, start_drain
from s3proxy.views.backends import Drained, drained_of


class Tested(msgspec.Struct, frozen=True):
    """What was tried at a backend, in order."""

    backend: str
    passed: bool
    checks: list[Check]


@get("/{name:str}/drain")
async def show_drain(services: Using, name: FromPath[str]) -> Drained:
    """Show what a backend holds, and whether it is being drained."""
    return drained_of(await left_on(services, name))


@post("/{name:str}/drain", status_code=200)
async def drain_backend(services: Using, name: FromPath[str]) -> Drained:
    """Empty a backend: it gets no new data, and what it has goes elsewhere."""
    await start_drain(services, name)
    return drained_of(await left_on(services, name))


@delete("/{name:str}/drain", status_code=200)
async def keep_backend(services: Using, name: FromPath[str]) -> Drained:
    """Let a backend have data again."""
    await cancel_drain(services, name)
    return drained_of(await left_on(services, name))


@post("/{name:str}/test", status_code=200)
async def test_backend(services: Using, name: FromPath[str]) -> Tested:
    """Try out a backend in a container of its own, which is removed again."""
    backend = services.backends.get(name)
    if backend is None:
        raise UnknownBackend(name, services.backends)
    report = await check_backend(backend, services.clock_ns)
    return Tested(report.backend, report.passed, report.checks)


def router() -> Router:
    """The routes of this module."""
    handlers = [show_drain, drain_backend, keep_backend, test_backend]
    return Router("/backends", route_handlers=handlers, tags=["backends"])
