"""Bodies whose length shows only at their end: in chunks of the transfer coding."""

from pathlib import Path

import pytest

from tests.faults.traces import leftovers
from tests.faults.wire import Wire, ask, signed_head
from tests.gateways import Gateway, local_backend


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp("unmeasured")
    with Gateway(folder, local_backend("disk", folder / "blobs")) as running:
        running.client().create_bucket(Bucket="bucket")
        yield running


def send(gateway: Gateway, key: str, pieces: list[bytes], end: bytes = b"0\r\n\r\n"):
    head = signed_head(gateway.port, "PUT", f"/bucket/{key}", {"Transfer-Encoding": "chunked"})
    with Wire(gateway.port) as wire:
        wire.send(head.data, *(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces), end)
        return wire.read_answer()


@pytest.mark.parametrize("pieces", [[], [b"x"], [b"abc"] * 1000, [bytes(70_000)] * 10])
def test_put_without_a_length_is_kept(gateway: Gateway, pieces: list[bytes]) -> None:
    assert send(gateway, "k", pieces).status == 200
    assert ask(gateway, "GET", "/bucket/k").body == b"".join(pieces)


def test_put_without_a_length_and_cut_short_is_not_kept(gateway: Gateway) -> None:
    head = signed_head(gateway.port, "PUT", "/bucket/cut", {"Transfer-Encoding": "chunked"})
    with Wire(gateway.port) as wire:
        wire.send(head.data, b"5\r\nabcde\r\n")
    assert ask(gateway, "GET", "/bucket/cut").code == "NoSuchKey"
    assert leftovers(gateway.folder / "blobs") == []


def test_put_without_a_length_of_bad_chunks_is_refused(gateway: Gateway) -> None:
    assert send(gateway, "bad", [b"x"], b"zz\r\n").status == 400
    assert ask(gateway, "GET", "/bucket/bad").code == "NoSuchKey"
