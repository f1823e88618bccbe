"""Forms that were read already: where their files wait, and what becomes of those that cannot."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from s3proxy.backends.errors import BackendError
from s3proxy.http.errors import Disconnected
from s3proxy.http.handler import Request, Response
from s3proxy.ops.call import Call, Settings
from s3proxy.ops.errors import as_s3_error
from s3proxy.ops.post_object import MEMORY_BYTES_MAX, read_form
from s3proxy.ops.table import OPERATIONS
from s3proxy.s3.auth import BodyClaim, Verified
from s3proxy.s3.routing import Route
from tests.ops.lab import ALICE, HOST, FakeBody, Lab, open_lab
from tests.s3.forms import BOUNDARY, upload
from tests.s3.heads import head_of, raises_s3

BIG = b"x" * (MEMORY_BYTES_MAX + 1)


@pytest.fixture
async def spooling(tmp_path: Path) -> AsyncIterator[Lab]:
    (tmp_path / "spool").mkdir()
    settings = Settings(inline_bytes_max=1000, spool_dir=str(tmp_path / "spool"))
    async with open_lab(tmp_path, settings=settings) as lab:
        yield lab


async def post(lab: Lab, data: bytes, *, piece: int = 1 << 20, cut: int | None = None) -> Response:
    sent = upload({"key": "k", "Content-Type": "a/b"}, data, submit="x")
    body = FakeBody(sent[:cut], piece, None if cut is None else Disconnected("gone"))
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    pairs = [("Host", HOST), ("Content-Length", str(len(sent))), ("Content-Type", kind)]
    reading: Any = body
    request = Request(head_of("POST", "/www", pairs), reading, "0" * 16)
    body.remaining = len(sent)  # type: ignore[attr-defined]
    form = await read_form(request, "www")
    route = Route("post_object", "www", form.key, {}, form)
    call = Call(request, route, lab.services, Verified(ALICE, BodyClaim(), None))
    return await OPERATIONS["post_object"].function(call)


@pytest.mark.parametrize("piece", [1 << 20, 7001, 100])
async def test_post_object_of_any_pieces_stores_the_file(spooling: Lab, piece: int) -> None:
    for data in (b"", b"small", BIG):
        assert (await post(spooling, data, piece=piece)).status == 204
        assert (await spooling.get("/www/k")).body == data


async def test_post_object_that_breaks_off_leaves_nothing(spooling: Lab) -> None:
    for data, cut in ((BIG, 300_000), (BIG, 100), (b"small", -60)):
        with raises_s3("IncompleteBody"):
            await post(spooling, data, cut=cut)
    with raises_s3("NoSuchKey"):
        await spooling.get("/www/k")
    assert spooling.blobs() == []


async def test_post_object_without_room_to_wait_is_the_backends_fault(
    spooling: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with raises_s3("ServiceUnavailable"):
        try:
            await post(spooling, BIG)
        except BackendError as error:
            mapped = as_s3_error(error)
            assert mapped is not None
            raise mapped from error
