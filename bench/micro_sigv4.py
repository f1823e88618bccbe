"""CPU time of SigV4 in compiled code and in botocore: `python -m bench.micro_sigv4`.

The request is what boto3 sends for a GET: its head is caught before it leaves.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from s3proxy._fast.http1 import RequestHead, parse_request
from s3proxy._fast.sigv4 import SigningKeys, parse_authorization, presign, sign, verify

# The public example credentials of AWS's documentation.
ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
REGION = "us-east-1"
ENDPOINT = "http://127.0.0.1:9000"
GENERATION = 1
CALLS = 50_000
BOTOCORE_CALLS = 1_000
ROUNDS = 5


class _CaughtError(Exception):
    def __init__(self, request: AWSPreparedRequest) -> None:
        super().__init__()
        self.request = request


def _boto3_get() -> AWSPreparedRequest:
    """The request that boto3 is about to send for a ranged GetObject."""
    client = boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
    )

    def catch(request: AWSPreparedRequest, **_: object) -> None:
        raise _CaughtError(request)

    client.meta.events.register("before-send.s3.GetObject", catch)
    try:
        client.get_object(Bucket="bench", Key="photos/2026/11/IMG_0001.jpg", Range="bytes=0-1023")
    except _CaughtError as caught:
        return caught.request
    raise RuntimeError("boto3 sent the request in spite of the handler")


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _head_of(request: AWSPreparedRequest) -> RequestHead:
    target = request.url.removeprefix(ENDPOINT)
    lines = [f"{request.method} {target} HTTP/1.1"]
    if "Host" not in request.headers:
        lines.append(f"Host: {ENDPOINT.removeprefix('http://')}")
    lines += [f"{name}: {_text(value)}" for name, value in request.headers.items()]
    data = "\r\n".join([*lines, "", ""]).encode()
    head = parse_request(data, len(data))
    if head is None:
        raise RuntimeError("the head is incomplete")
    return head


def _unsigned(request: AWSPreparedRequest) -> AWSRequest:
    added = ("authorization", "x-amz-date", "x-amz-content-sha256")
    headers = {
        name: _text(value) for name, value in request.headers.items() if name.lower() not in added
    }
    return AWSRequest(method=request.method, url=request.url, headers=headers)


def _best_us(call: Callable[[], object], calls: int) -> float:
    """CPU microseconds of one call, the best of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(calls):
            call()
        best = min(best, time.process_time() - start)
    return best / calls * 1e6


def _botocore_us(request: AWSPreparedRequest) -> float:
    signer = S3SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "s3", REGION)
    best = float("inf")
    for _ in range(ROUNDS):
        # Signing changes the request, so each call needs its own, made before the clock runs.
        requests = [_unsigned(request) for _ in range(BOTOCORE_CALLS)]
        start = time.process_time()
        for unsigned in requests:
            signer.add_auth(unsigned)
        best = min(best, time.process_time() - start)
    return best / BOTOCORE_CALLS * 1e6


def _verification(head: RequestHead) -> Callable[[], None]:
    """All that a request costs from the parsed head on: parse, look the key up, verify."""
    keys = SigningKeys()

    def verify_request() -> None:
        claim = parse_authorization(head)
        if claim is None:
            raise RuntimeError("the request is anonymous")
        key = keys.get(claim.access_key, GENERATION, claim.date, claim.region)
        if key is None:
            key = keys.derive(claim.access_key, GENERATION, claim.date, claim.region, SECRET_KEY)
        verify(head, claim, key)

    return verify_request


def verify_against_botocore() -> tuple[float, float]:
    """CPU microseconds of verifying a boto3 GET head, and of botocore signing it."""
    request = _boto3_get()
    ours_us = _best_us(_verification(_head_of(request)), CALLS)
    return ours_us, _botocore_us(request)


def _parts(head: RequestHead) -> dict[str, Callable[[], object]]:
    claim = parse_authorization(head)
    if claim is None:
        raise RuntimeError("the request is anonymous")
    keys = SigningKeys()
    key = keys.derive(claim.access_key, GENERATION, claim.date, claim.region, SECRET_KEY)
    headers = [("Host", head.host), ("Range", "bytes=0-1023")]

    def sign_request() -> bytes:
        return sign(
            "GET", head.path, b"", headers, claim.payload_hash, key=key,
            access_key=ACCESS_KEY, region=REGION, timestamp_s=claim.timestamp_s,
        )  # fmt: skip

    def presign_request() -> bytes:
        return presign(
            "GET", head.host, head.path, b"", key=key, access_key=ACCESS_KEY,
            region=REGION, timestamp_s=claim.timestamp_s, expires_s=60,
        )  # fmt: skip

    return {
        "parse_authorization": lambda: parse_authorization(head),
        "SigningKeys.get": lambda: keys.get(claim.access_key, GENERATION, claim.date, claim.region),
        "verify": lambda: verify(head, claim, key),
        "sign": sign_request,
        "presign": presign_request,
        "SigningKeys.derive": lambda: keys.derive("A", 1, claim.date, REGION, SECRET_KEY),
    }


def main() -> None:
    """Print nanoseconds a call, and the ratio to botocore."""
    head = _head_of(_boto3_get())
    for name, call in _parts(head).items():
        print(f"{name:24}{_best_us(call, CALLS) * 1000:10.0f} ns")
    ours_us, botocore_us = verify_against_botocore()
    print(f"{'a request in all':24}{ours_us * 1000:10.0f} ns")
    print(f"{'botocore signing it':24}{botocore_us * 1000:10.0f} ns")
    print(f"{'ratio':24}{botocore_us / ours_us:10.1f}")


if __name__ == "__main__":
    main()
