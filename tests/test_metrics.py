"""Request metrics and readings, as a scrape shows them."""

from s3proxy.metrics import Metrics


def test_observe_counts_requests_bytes_and_latency() -> None:
    metrics = Metrics()
    metrics.observe("get_object", "200", 0.0003, 0, 1024)
    metrics.observe("get_object", "200", 0.2, 0, 1024)
    metrics.observe("get_object", "NoSuchKey", 0.001, 0, 300)
    text = metrics.render().decode()
    assert 's3proxy_requests_total{code="200",operation="get_object"} 2.0' in text
    assert 's3proxy_requests_total{code="NoSuchKey",operation="get_object"} 1.0' in text
    assert 's3proxy_sent_bytes_total{code="200",operation="get_object"} 2048.0' in text
    buckets = [
        line for line in text.splitlines() if "request_seconds_bucket" in line and "200" in line
    ]
    counts = [float(line.rpartition(" ")[2]) for line in buckets]
    assert counts == sorted(counts)
    assert counts[-1] == 2.0


def test_source_readings_of_one_name_form_one_family() -> None:
    metrics = Metrics()
    metrics.add_source(
        lambda: [("gauge", "pool_idle", "Idle", n, {"origin": o}) for n, o in ((1, "a"), (2, "b"))]
    )
    text = metrics.render().decode()
    assert text.count("# TYPE s3proxy_pool_idle gauge") == 1
    assert 's3proxy_pool_idle{origin="a"} 1.0' in text
    assert 's3proxy_pool_idle{origin="b"} 2.0' in text
