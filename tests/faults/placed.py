"""A gateway whose buckets are placed at three providers, which are real servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.faults.providers import Provider, Watcher, providers, watched
from tests.gateways import Gateway

PLACES = [
    ("fi", 'country = "fi"\nregion = "fi"\nsigning_region = "us-east-1"\n'),
    ("de", 'country = "de"\nregion = "de"\nsigning_region = "us-east-1"\n'),
    ("us", 'country = "us"\nregion = "us"\nsigning_region = "us-east-1"\n'),
]
RULES = '[placement]\nregions = ["fi", "de", "us"]\nreplicas = 2\n'


@contextmanager
def placed_gateway(
    folder: Path, rules: str = RULES, facts: str = "", **environ: str
) -> Iterator[tuple[Gateway, list[Provider]]]:
    places = [(name, said + facts) for name, said in PLACES]
    with Watcher() as watcher, providers(folder, places) as found:
        extra = "".join(one.toml() for one in found) + rules
        gateway = watched(watcher, Gateway(folder / "gateway", extra, **environ))
        try:
            yield gateway, found
        finally:
            gateway.kill()


def settled(gateway: Gateway) -> bool:
    """Whether nothing is to be told to providers, and nothing is owed."""
    text = httpx.get(f"{gateway.control_url}/metrics", timeout=10).text
    rows = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[:1] not in ("", "#"))
    waiting = [value for name, value in rows.items() if "manifests_due" in name or "_owed" in name]
    return all(float(value) == 0 for value in waiting)
