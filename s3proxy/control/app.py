"""The control port: /healthz, /readyz, /metrics, /schema and /api/v1 (Litestar)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from litestar import Litestar, MediaType, Response, Router, get
from litestar.openapi import ResponseSpec
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from prometheus_client import CONTENT_TYPE_LATEST

from s3proxy.control.api.assembly import api_router
from s3proxy.control.api.door import API, Door
from s3proxy.control.api.problems import HANDLERS
from s3proxy.control.api.refusals import describe_refusals
from s3proxy.metrics import Metrics
from s3proxy.ops.call import Services

# Litestar adds the charset to text types.
METRICS_TYPE = CONTENT_TYPE_LATEST.partition("; charset=")[0]

_TOKEN = SecurityScheme(type="http", scheme="bearer", description="s3proxy token create")

_UNREADY = ResponseSpec(
    dict[str, str], description="Of each part what is wrong", generate_examples=False
)

# Whether requests can be served, and of each part "ok" or what is wrong
Probe = Callable[[], Awaitable[tuple[bool, dict[str, str]]]]


def build_app(metrics: Metrics, ready: Probe, services: Services | None = None) -> Door:
    """The ASGI application, behind its door.

    Args:
        metrics: rendered by /metrics.
        ready: asked by /readyz.
        services: what the API administers; None: there is no API.
    """

    @get("/healthz", media_type=MediaType.JSON, sync_to_thread=False)
    def healthz() -> dict[str, str]:
        """The process runs and its event loop turns."""
        return {"status": "ok"}

    @get("/readyz", media_type=MediaType.JSON, responses={503: _UNREADY})
    async def readyz() -> Response[dict[str, str]]:
        """Requests can be served: catalog open, a writable backend up, not draining."""
        healthy, parts = await ready()
        return Response(parts, status_code=200 if healthy else 503)

    @get("/metrics", media_type=MediaType.TEXT, sync_to_thread=False)
    def scrape() -> Response[bytes]:
        """All metrics in Prometheus's text format."""
        return Response(metrics.render(), media_type=METRICS_TYPE)

    api = [] if services is None else [api_router(services)]
    app = Litestar(
        [healthz, readyz, scrape, *api],
        openapi_config=OpenAPIConfig(
            title="s3proxy control API",
            version="1",
            render_plugins=[_Schema(path="/")],
            components=Components(security_schemes={"token": _TOKEN}),
        ),
        exception_handlers=HANDLERS,
        logging_config=None,
    )
    describe_refusals(app.routes, API)
    return Door(app, None if services is None else services.catalog)


class _Schema(JsonRenderPlugin):
    """As JSON alone: the pages Litestar has for it run scripts from other people's servers."""

    def receive_router(self, router: Router) -> None:
        """Leave out the page that tells of what is not there; the problem does."""
        router.routes[:] = [route for route in router.routes if "{" not in route.path]
