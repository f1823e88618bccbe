"""Request metrics: plain integers on the hot path, Prometheus families when scraped.

A prometheus_client child costs about a microsecond for each `inc` and `observe` because of its
locks; the event loop is one thread, so one small record for each (operation, code) is enough and
costs a tenth. Gauges of other layers are read at the time of the scrape from functions registered
here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from s3proxy.s3.limits import LIMITS

# Seconds. From a cached kilobyte to a large object over a slow line.
LATENCY_BOUNDS_S = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 10.0, 60.0,
)  # fmt: skip

# kind ("gauge" or "counter"), name, help, value, labels; readings of one name need not follow each
# other
Reading = tuple[str, str, str, float, Mapping[str, str]]


class _Series:
    """What one (operation, code) has seen."""

    __slots__ = ("buckets", "bytes_in", "bytes_out", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(LATENCY_BOUNDS_S) + 1)
        self.seconds = 0.0
        self.bytes_in = 0
        self.bytes_out = 0


class Metrics(Collector):
    """The process's metrics: `observe` per request, `sources` per scrape."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str | int], _Series] = {}
        self._refusals = dict.fromkeys(LIMITS, 0)
        self._sources: list[Callable[[], Iterable[Reading]]] = []
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def observe(
        self, operation: str, code: str | int, seconds: float, bytes_in: int, bytes_out: int
    ) -> None:
        """Count one answered request.

        Args:
            operation: from the operation table, so the number of series is bounded.
            code: the HTTP status or, for an error, the S3 code; both from closed sets.
        """
        key = (operation, code)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series()
        series.buckets[bisect_left(LATENCY_BOUNDS_S, seconds)] += 1
        series.seconds += seconds
        series.bytes_in += bytes_in
        series.bytes_out += bytes_out

    def count_refusal(self, limit: str) -> None:
        """Count a request that was refused for a limit, one of LIMITS; others are no limits."""
        if limit in self._refusals:
            self._refusals[limit] += 1

    def add_source(self, source: Callable[[], Iterable[Reading]]) -> None:
        """Read `source()` at every scrape; names get the prefix s3proxy_."""
        self._sources.append(source)

    def render(self) -> bytes:
        """The text exposition format."""
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """Called by the registry at a scrape."""
        yield from self._collect_requests()
        refusals = CounterMetricFamily(
            "s3proxy_limited_requests", "Requests refused for a quota or a rate", labels=("limit",)
        )
        for limit, count in self._refusals.items():
            refusals.add_metric((limit,), count)
        yield refusals
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for kind, name, text, value, labels in chain.from_iterable(s() for s in self._sources):
            if name not in families:
                family = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
                families[name] = family(f"s3proxy_{name}", text, labels=tuple(labels))
            families[name].add_metric(tuple(labels.values()), value)
        yield from families.values()

    def _collect_requests(self) -> Iterator[Metric]:
        labels = ("operation", "code")
        requests = CounterMetricFamily("s3proxy_requests", "Answered requests", labels=labels)
        bytes_in = CounterMetricFamily(
            "s3proxy_received_bytes", "Request body bytes", labels=labels
        )
        bytes_out = CounterMetricFamily("s3proxy_sent_bytes", "Answer bytes", labels=labels)
        latency = HistogramMetricFamily(
            "s3proxy_request_seconds",
            "From the request head to the end of the answer",
            labels=labels,
        )
        for (operation, code), series in self._series.items():
            key = (operation, str(code))
            requests.add_metric(key, sum(series.buckets))
            bytes_in.add_metric(key, series.bytes_in)
            bytes_out.add_metric(key, series.bytes_out)
            latency.add_metric(key, _cumulative(series.buckets), sum_value=series.seconds)
        yield from (requests, bytes_in, bytes_out, latency)


def _cumulative(buckets: list[int]) -> list[tuple[str, float]]:
    total = 0
    result: list[tuple[str, float]] = []
    for bound, count in zip((*map(str, LATENCY_BOUNDS_S), "+Inf"), buckets, strict=True):
        total += count
        result.append((bound, total))
    return result
