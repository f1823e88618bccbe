"""Signing of requests to an endpoint."""

from s3proxy._fast.http1 import parse_request
from s3proxy._fast.sigv4 import derive_signing_key, parse_authorization, verify
from s3proxy.backends.options import S3Options
from s3proxy.backends.s3_request import Ask, S3Requests
from s3proxy.http.client import Client
from s3proxy.http.readiness import Readiness

MIDNIGHT_S = 1_795_219_200  # 2026-11-21
OPTIONS = S3Options(
    name="other",
    endpoint="http://127.0.0.1:9",
    region="us-east-1",
    access_key="key",
    secret_key="secret",
)


def test_build_around_midnight_signs_with_the_key_of_the_day() -> None:
    times_s = [MIDNIGHT_S - 1, MIDNIGHT_S, MIDNIGHT_S - 2]
    clock = iter(times_s)
    requests = S3Requests(
        OPTIONS, Client(Readiness(edge_triggered=False)), clock=lambda: next(clock)
    )
    for date in ("20261120", "20261121", "20261120"):
        data = requests.build(Ask(op="head", method="HEAD", container="bucket", key="key"))
        head = parse_request(data, len(data))
        assert head is not None
        authorization = parse_authorization(head)
        assert authorization is not None
        assert authorization.date == date
        verify(head, authorization, derive_signing_key("secret", date, "us-east-1"))
