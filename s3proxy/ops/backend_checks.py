"""Trying out a backend: credentials, permissions, a round trip, and what it does by itself.

Everything is done in a container of its own, which is removed again whatever happens.
"""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable
from hashlib import md5
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from s3proxy.backends.errors import BackendError, NotFound, PreconditionFailed
from s3proxy.backends.store import PutOptions
from s3proxy.http.body import BytesBody
from s3proxy.http.errors import TransportError
from s3proxy.ops.blob_writer import new_id
from s3proxy.ops.whole_object import read_body

if TYPE_CHECKING:
    from s3proxy.backends.store import Backend, Store

DATA: Final = bytes(range(256)) * 64
PARTS: Final = (b"1" * (5 << 20), b"2" * 1000)  # S3: all but the last have 5 MiB
SKEW_S_MAX: Final = 300.0  # signatures are refused beyond 15 minutes
SAMPLES: Final = 5
STEP_S_MAX: Final = 60.0
CLEANUP_S_MAX: Final = 60.0
_METADATA: Final = {"s3gw-test": "kept"}


class Check(msgspec.Struct, frozen=True):
    """One thing that was tried.

    Attributes:
        state: "ok", "failed"; "no": not there, and not needed; "skipped": something before failed.
        detail: what was found.
        ms: how long it took.
    """

    name: str
    state: str
    detail: str = ""
    ms: float = 0.0


class BackendReport(msgspec.Struct):
    """What was tried at a backend, in order."""

    backend: str
    checks: list[Check] = msgspec.field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether nothing that is needed failed."""
        return all(check.state in ("ok", "no") for check in self.checks)


class Unexpected(Exception):  # noqa: N818 - what was found
    """The backend answered, and not as it should."""


FAILURES: Final = (BackendError, TransportError, OSError, Unexpected, trio.TooSlowError)
Step = Callable[[], Awaitable[str]]


async def check_backend(backend: Backend, now_ns: Callable[[], int]) -> BackendReport:
    """Try out a backend; what fails is in the report.

    Cancelled: what was made is removed first, for up to CLEANUP_S_MAX.
    """
    return await _Checking(backend, now_ns).run()


class _Checking:
    def __init__(self, backend: Backend, now_ns: Callable[[], int]) -> None:
        self._backend = backend
        self._now_ns = now_ns
        self._container = backend.container(f"s3gw-test-{new_id()[:16]}")
        self._name = backend.blob_name("s3proxy-test", new_id())
        self._copy = backend.blob_name("s3proxy-test", new_id())
        self._whole = backend.blob_name("s3proxy-test", new_id())
        self._skew_s = 0.0
        self._report = BackendReport(backend.name)

    @property
    def _store(self) -> Store:
        return self._backend.blobs(self._container)

    async def run(self) -> BackendReport:
        """Try everything, the needed things first."""
        await self._try("credentials", self._credentials)
        try:
            if await self._try("create container", self._create):
                await self._round_trip()
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + CLEANUP_S_MAX):
                await self._try("delete", self._clean_up)
        return self._report

    async def _round_trip(self) -> None:
        steps: list[tuple[str, Step]] = [
            ("head", self._head),
            ("get", self._get),
            ("get range", self._get_range),
            ("list", self._list),
            ("latency", self._latency),
        ]
        if not await self._try("put", self._put):
            return
        for name, step in steps:
            await self._try(name, step)
        features = self._store.features
        for name, step, there in (
            ("clock skew", self._skew, features.relays),
            ("metadata", self._metadata, features.metadata),
            ("copy", self._copied, features.copy),
            ("multipart", self._multipart, features.multipart),
        ):
            if there:
                await self._try(name, step)
            else:
                self._report.checks.append(Check(name, "no", "not of this kind of backend"))
        await self._try("conditional writes", self._conditional, needed=False)

    async def _try(self, name: str, step: Step, *, needed: bool = True) -> bool:
        began_s = trio.current_time()
        try:
            with trio.fail_after(STEP_S_MAX):
                detail = await step()
        except FAILURES as error:
            text = str(error) or "no answer in time"
            check = Check(name, "failed" if needed else "no", text)
        else:
            check = Check(name, "ok", detail)
        ms = round((trio.current_time() - began_s) * 1000, 1)
        self._report.checks.append(msgspec.structs.replace(check, ms=ms))
        return check.state == "ok"

    async def _credentials(self) -> str:
        await self._backend.check()
        return "the backend answers"

    async def _create(self) -> str:
        await self._backend.create_container(self._container)
        return self._container

    async def _put(self) -> str:
        options = PutOptions(
            length=len(DATA), system={"content-type": "text/plain"}, user=dict(_METADATA)
        )
        sent_ns = self._now_ns()
        stat = await self._store.put(self._name, BytesBody(DATA), options)
        self._skew_s = (stat.modified_ns - (sent_ns + self._now_ns()) // 2) / 1e9
        return f"{len(DATA)} bytes"

    async def _head(self) -> str:
        stat = await self._store.head(self._name)
        _require(stat.size == len(DATA), f"it has {stat.size} bytes of {len(DATA)}")
        if not self._store.features.etags:
            return "size"
        if stat.etag == md5(DATA, usedforsecurity=False).hexdigest():
            return "size; the ETag is the MD5"
        return "size; the ETag is no MD5: scrubs read instead"

    async def _get(self) -> str:
        _require(await self._read(self._name) == DATA, "other bytes than were put")
        return "the same bytes"

    async def _get_range(self) -> str:
        found = await self._read(self._name, 100, 199)
        _require(found == DATA[100:200], "other bytes than were asked for")
        return "bytes 100-199"

    async def _read(self, name: str, first: int = 0, last: int | None = None) -> bytes:
        reading = await self._store.open(name, first, last)
        try:
            size = reading.stat.size if last is None else last - first + 1
            return await read_body(reading.body, size, name)
        finally:
            await reading.body.aclose()

    async def _list(self) -> str:
        prefix = self._name[:12]
        page = await self._store.list(prefix, delimiter="", after="", limit=1000)
        _require(self._name in [entry.key for entry in page.objects], "the blob is not in it")
        return "the blob is in it"

    async def _latency(self) -> str:
        taken = []
        for _ in range(SAMPLES):
            began_s = trio.current_time()
            await self._store.head(self._name)
            taken.append((trio.current_time() - began_s) * 1000)
        return f"{statistics.median(taken):.1f} ms, the median of {SAMPLES} HEADs"

    async def _skew(self) -> str:
        _require(abs(self._skew_s) < SKEW_S_MAX, f"its clock is {self._skew_s:.0f} s from ours")
        # Answers tell whole seconds.
        return f"{abs(self._skew_s):.0f} s"

    async def _metadata(self) -> str:
        stat = await self._store.head(self._name)
        _require(stat.user == _METADATA, f"user metadata came back as {stat.user}")
        kind = stat.system.get("content-type")
        _require(kind == "text/plain", f"the content type came back as {kind}")
        return "kept"

    async def _copied(self) -> str:
        stat = await self._store.copy(self._name, self._copy, PutOptions(length=len(DATA)))
        _require(stat.size == len(DATA), f"the copy has {stat.size} bytes")
        _require(await self._read(self._copy) == DATA, "other bytes than were copied")
        return "without the bytes passing here"

    async def _multipart(self) -> str:
        store, name = self._store, self._whole
        upload_id = await store.create_upload(name, PutOptions())
        named = []
        for number, data in enumerate(PARTS, 1):
            options = PutOptions(length=len(data))
            stat = await store.put_part(name, upload_id, number, BytesBody(data), options)
            named.append((number, stat.etag))
        await store.complete_upload(name, upload_id, named, PutOptions())
        stat = await store.head(name)
        _require(stat.size == sum(map(len, PARTS)), f"the object has {stat.size} bytes")
        given_up = await store.create_upload(name, PutOptions())
        await store.abort_upload(name, given_up)
        return f"{len(PARTS)} parts; another upload given up"

    async def _conditional(self) -> str:
        options = PutOptions(length=len(DATA), if_none_match_any=True)
        try:
            await self._store.put(self._name, BytesBody(DATA), options)
        except BackendError as error:
            if isinstance(error, PreconditionFailed) or type(error).__name__ == "AlreadyExists":
                return "If-None-Match: * is decided there"
            raise
        raise Unexpected("If-None-Match: * replaced what was there; the gateway decides by itself")

    async def _clean_up(self) -> str:
        store = self._store
        for name in (self._name, self._copy, self._whole):
            try:
                await store.delete(name)
            except NotFound:
                continue
        await self._backend.delete_container(self._container)
        return "nothing is left"


def _require(sound: bool, wrong: str) -> None:
    if not sound:
        raise Unexpected(wrong)
