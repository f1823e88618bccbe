"""One gateway over a local disk for all conformance tests, reachable in both addressing styles."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.conformance.asking import DOMAIN, Asker
from tests.faults.traces import logged_bugs
from tests.gateways import Gateway


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    base = tmp_path_factory.mktemp("conformance")
    with Gateway(base, S3PROXY_SERVER__DOMAIN=DOMAIN) as running:
        yield running
        assert logged_bugs(running) == []


@pytest.fixture
def s3(gateway: Gateway) -> Asker:
    """Requests to a new bucket that holds `digits`, ten bytes."""
    asker = Asker(gateway, f"bucket-{uuid.uuid4().hex[:12]}")
    assert asker.put("").status == 200
    assert asker.put("digits", b"0123456789").status == 200
    return asker
