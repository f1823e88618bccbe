"""The control API on a lab's catalog and stores, asked without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.tokens import ADMIN, TENANT_ADMIN
from s3proxy.control.app import build_app
from s3proxy.metrics import Metrics
from s3proxy.ops.call import Services
from tests.control.api.described import Described
from tests.ops.lab import Lab, open_lab


async def _ready() -> tuple[bool, dict[str, str]]:
    return True, {}


class Desk:
    """An API, with an administrator's token unless another is given.

    Attributes:
        client: httpx's, without a token.
        token: the administrator's.
        described: what the API tells of itself.
    """

    def __init__(
        self, lab: Lab, client: httpx.AsyncClient, token: str, described: Described
    ) -> None:
        self.lab = lab
        self.described = described
        self.client = client
        self.token = token

    @property
    def catalog(self) -> Catalog:
        return self.lab.catalog

    @property
    def services(self) -> Services:
        return self.lab.services

    async def tenant_admin(self, tenant: str) -> str:
        """The token of a tenant's administrator."""
        return (await self.catalog.create_token(TENANT_ADMIN, tenant)).text

    async def ask(
        self, method: str, path: str, document: object = None, *, token: str | None = None
    ) -> httpx.Response:
        """Ask below /api/v1; `token` "" sends none. Every answer is held against /schema."""
        text = self.token if token is None else token
        headers = {"Authorization": f"Bearer {text}"} if text else {}
        more: dict[str, Any] = {} if document is None else {"json": document}
        target = f"/api/v1{path}"
        answer = await self.client.request(method, target, headers=headers, **more)
        self.described.check(method, target, answer)
        return answer

    async def refusal(self, method: str, path: str, document: object = None, **more: Any) -> str:
        """The status and code of a refusal, as in `404 UnknownTenant`."""
        answer = await self.ask(method, path, document, **more)
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == answer.status_code >= 400
        assert problem["detail"]
        return f"{problem['status']} {problem['code']}"


@asynccontextmanager
async def open_desk(directory: Path) -> AsyncIterator[Desk]:
    async with open_lab(directory) as lab:
        app: Any = build_app(Metrics(), _ready, lab.services)
        token = await lab.catalog.create_token(ADMIN)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://control") as client:
            schema = (await client.get("/schema")).json()
            yield Desk(lab, client, token.text, Described(schema))
