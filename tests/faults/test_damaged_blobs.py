"""Blobs that were cut, or made longer, behind the gateway's back are never served as an object."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.wire import ask
from tests.gateways import Gateway, local_backend

STORED_BYTES = 200_000


@pytest.mark.parametrize("size", [0, 1000, STORED_BYTES - 1, STORED_BYTES + 1])
def test_blob_of_another_size_is_an_error_for_every_reader(tmp_path: Path, size: int) -> None:
    with Gateway(tmp_path / "gateway", local_backend("disk", tmp_path / "blobs")) as gateway:
        client = gateway.client()
        for bucket in ("near", "other"):
            client.create_bucket(Bucket=bucket)
        client.put_object(Bucket="near", Key="k", Body=bytes(STORED_BYTES))
        (blob,) = (path for path in (tmp_path / "blobs").rglob("*") if path.is_file())
        os.truncate(blob, size)
        for span in (None, "bytes=500-1500", "bytes=150000-", "bytes=-1"):
            headers = {} if span is None else {"Range": span}
            answer = ask(gateway, "GET", "/near/k", headers)
            assert (answer.status, answer.code) == (500, "InternalError"), span
        for target in ("/near/copy", "/other/copy"):
            answer = ask(gateway, "PUT", target, {"x-amz-copy-source": "/near/k"})
            assert answer.code == "InternalError", target
            assert ask(gateway, "GET", target).status == 404
        assert ask(gateway, "PUT", "/near/k", body=b"again").status == 200
        assert ask(gateway, "GET", "/near/k").body == b"again"
