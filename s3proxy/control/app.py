"""The control port: /healthz, /readyz, /metrics, /schema and /api/v1 (Litestar)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from litestar import Litestar, MediaType, Response, get, head
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from prometheus_client import CONTENT_TYPE_LATEST

from s3proxy.control.api.assembly import api_router
from s3proxy.metrics import Metrics
from s3proxy.ops.call import Services

# Litestar adds the charset to text types.
METRICS_TYPE = CONTENT_TYPE_LATEST.partition("; charset=")[0]

_TOKEN = SecurityScheme(type="http", scheme="bearer", description="s3proxy token create")

# Whether requests can be served, and of each part "ok" or what is wrong
Probe = Callable[[], Awaitable[tuple[bool, dict[str, str]]]]


def build_app(metrics: Metrics, ready: Probe, services: Services | None = None) -> Litestar:
    """The ASGI application.

    Args:
        metrics: rendered by /metrics.
        ready: asked by /readyz.
        services: what the API administers; None: there is no API.
    """

    @get("/healthz", media_type=MediaType.JSON, sync_to_thread=False)
    def healthz() -> dict[str, str]:
        """The process runs and its event loop turns."""
        return {"status": "ok"}

    @get("/readyz", media_type=MediaType.JSON)
    async def readyz() -> Response[dict[str, str]]:
        """Requests can be served: catalog open, a writable backend up, not draining."""
        healthy, parts = await ready()
        return Response(parts, status_code=200 if healthy else 503)

    @head("/healthz", sync_to_thread=False)
    def healthz_head() -> None:
        """As GET, for checks that ask so."""

    @head("/readyz")
    async def readyz_head() -> Response[None]:
        """As GET, for checks that ask so."""
        return Response(None, status_code=(await readyz.fn()).status_code)

    @get("/metrics", media_type=MediaType.TEXT, sync_to_thread=False)
    def scrape() -> Response[bytes]:
        """All metrics in Prometheus's text format."""
        return Response(metrics.render(), media_type=METRICS_TYPE)

    api = [] if services is None else [api_router(services)]
    return Litestar(
        [healthz, healthz_head, readyz, readyz_head, scrape, *api],
        # As JSON alone: the pages Litestar has for it run scripts from other people's servers.
        openapi_config=OpenAPIConfig(
            title="s3proxy control API",
            version="1",
            render_plugins=[JsonRenderPlugin(path="/")],
            components=Components(security_schemes={"token": _TOKEN}),
        ),
        logging_config=None,
    )
