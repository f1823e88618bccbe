"""Backends that remember what was asked of them, and refuse when told to."""

from __future__ import annotations

from typing import cast

import trio

from s3proxy.backends.errors import Unavailable
from s3proxy.backends.store import Backend


class FakeStore:
    """The blobs of one container."""

    def __init__(self, backend: FakeBackend) -> None:
        self._backend = backend

    async def delete(self, key: str) -> None:
        await self._backend.ask(f"delete {key}")

    async def abort_upload(self, key: str, upload_id: str) -> None:
        await self._backend.ask(f"abort {key} {upload_id}")


class FakeBackend:
    """A backend whose answers are `fails`, or success."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.fails = fails
        self.asked: list[str] = []
        self.known: set[str] = set()
        self.together = 0
        self.together_max = 0

    async def ask(self, what: str) -> None:
        self.together += 1
        self.together_max = max(self.together_max, self.together)
        await trio.lowlevel.checkpoint()
        self.together -= 1
        if self.fails is not None:
            raise self.fails
        self.asked.append(what)

    def blobs(self, container: str) -> FakeStore:
        assert container == "container"
        return FakeStore(self)

    async def recover(self) -> int:
        await self.ask("recover")
        return 0

    async def forget_uploads(self, target: str, known: set[str]) -> int:
        await self.ask(f"forget {target}")
        self.known |= known
        return 1


def as_backend(fake: FakeBackend) -> Backend:
    """The fake, for functions that take the whole protocol."""
    return cast(Backend, fake)


def unavailable() -> Unavailable:
    return Unavailable("delete", "blob", "no answer", "disk")
