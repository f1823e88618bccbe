"""An endpoint that fails in every way between a refused connection and a reset in mid-answer.

The client learns it within the deadlines, as the right S3 error on a connection that is usable or
closed; nothing is half-written, and an object that was cut short never reads as a whole one.
"""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.faulty_relay import Fault, FaultyRelay
from tests.faults.traces import logged_bugs, open_connections
from tests.faults.wire import Answer, Wire, ask, signed_head, wait_until
from tests.gateways import SECRET_KEY, Gateway, attached, s3_backend

KIB = 1024
LARGE = 1024 * KIB
CONNECT_S, FIRST_BYTE_S, PROGRESS_S = 1.0, 1.5, 1.5
# One deadline and the retries of what failed fast; the rest, short of the deadlines that a gateway
# has without configuration, is for a machine with other work.
ANSWERED_S_MAX = 25.0

pytestmark = pytest.mark.slow

PLACES = ("managed-far", "managed-trusted", "attached-far", "attached-trusted")


@dataclass(frozen=True)
class Deployment:
    """A gateway whose backends are behind the relay."""

    gateway: Gateway
    inner: Gateway
    relay: FaultyRelay


DEADLINES = {
    "S3PROXY_UPSTREAM__CONNECT_TIMEOUT_S": str(CONNECT_S),
    "S3PROXY_UPSTREAM__FIRST_BYTE_TIMEOUT_S": str(FIRST_BYTE_S),
    "S3PROXY_UPSTREAM__PROGRESS_TIMEOUT_S": str(PROGRESS_S),
}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """With the usual deadlines: whatever a fault is told by, it is not by them."""
    with deployed(tmp_path_factory.mktemp("relay"), {}) as found:
        yield found


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """With short ones, for endpoints that hang."""
    with deployed(tmp_path_factory.mktemp("impatient"), DEADLINES) as found:
        yield found


@contextmanager
def deployed(base: Path, deadlines: dict[str, str]) -> Iterator[Deployment]:
    # Faults are for the requests of a test: probes would meet them, and end attempts early.
    breaker = {
        "S3PROXY_HEALTH__PROBE_INTERVAL_S": "3600",
        "S3PROXY_HEALTH__FAILURES_TO_OPEN": "1000000",
    }
    with Gateway(base / "inner") as inner, FaultyRelay(inner.port) as relay:
        for name in ("target-far", "target-trusted"):
            inner.client().create_bucket(Bucket=name)
        extra = (
            s3_backend("far", relay.url)
            + s3_backend("trusted", relay.url)
            + "verifies_payload = true\n"
            + attached("attached-far", "far", "target-far")
            + attached("attached-trusted", "trusted", "target-trusted")
        )
        with Gateway(base / "outer", extra, **breaker, **deadlines) as outer:
            s3 = outer.client()
            for place in PLACES:
                if place.startswith("managed"):
                    backend = place.removeprefix("managed-")
                    s3.create_bucket(
                        Bucket=place,
                        CreateBucketConfiguration={"LocationConstraint": backend},
                    )
                s3.put_object(Bucket=place, Key="large", Body=bytes(LARGE))
                s3.put_object(Bucket=place, Key="small", Body=b"small")
            yield Deployment(outer, inner, relay)
            assert logged_bugs(outer) == logged_bugs(inner) == []


@dataclass(frozen=True)
class Request:
    """One kind of request on one bucket."""

    name: str
    method: str
    target: str
    body: bytes = b""


def requests_on(place: str) -> list[Request]:
    """Those that ask the endpoint, whatever kind the bucket is of."""
    found = [
        Request("get", "GET", f"/{place}/large"),
        Request("put-small", "PUT", f"/{place}/new-small", b"new"),
        Request("put-large", "PUT", f"/{place}/new-large", bytes(LARGE)),
        Request("create-upload", "POST", f"/{place}/new-parts?uploads"),
    ]
    if place.startswith("attached"):
        found += [
            Request("head", "HEAD", f"/{place}/small"),
            Request("list", "GET", f"/{place}?list-type=2"),
            Request("delete", "DELETE", f"/{place}/absent"),
        ]
    return found


def outcome(deployment: Deployment, request: Request) -> tuple[Answer, bool, float]:
    """The answer; whether its connection served another request, or was closed; the time."""
    gateway = deployment.gateway
    headers = {"Content-Length": str(len(request.body))} if request.body else {}
    with Wire(gateway.port) as wire:
        started_s = time.monotonic()
        head = signed_head(gateway.port, request.method, request.target, headers)
        wire.send(head.data, request.body)
        answer = wire.read_answer(request.method)
        took_s = time.monotonic() - started_s
        if not answer.keeps_open:
            return answer, wire.at_end(), took_s
        wire.send(signed_head(gateway.port, "GET", "/").data)
        return answer, wire.read_answer().status == 200, took_s


def outcomes(deployment: Deployment, *methods: str) -> dict[str, tuple[Answer, bool, float]]:
    """The outcomes of all kinds of request on all buckets, asked at once."""
    asked = {
        f"{place} {request.name}": request
        for place in PLACES
        for request in requests_on(place)
        if not methods or request.method in methods
    }
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = pool.map(lambda request: outcome(deployment, request), asked.values())
        return dict(zip(asked, answers, strict=True))


def assert_refused(
    found: dict[str, tuple[Answer, bool, float]], statuses: set[int], codes: set[str]
) -> None:
    """Each was told a right error in time, on a connection in order, and no secret with it."""
    for name, (answer, in_order, took_s) in found.items():
        assert answer.status in statuses, (name, answer)
        assert answer.code in codes or name.endswith(" head"), (name, answer)
        assert answer.whole, name
        assert in_order, name
        assert took_s < ANSWERED_S_MAX, (name, took_s)
        assert SECRET_KEY.encode() not in answer.body
        assert b"AKIA" not in answer.body


def assert_untouched(deployment: Deployment) -> None:
    """What was there reads back, what was refused is absent, and the gateway is well."""
    gateway = deployment.gateway
    for place in PLACES:
        assert ask(gateway, "GET", f"/{place}/large").body == bytes(LARGE)
        for key in ("new-small", "new-large"):
            assert ask(gateway, "GET", f"/{place}/{key}").code == "NoSuchKey", (place, key)
    assert open_connections(gateway) <= 1


UNAVAILABLE = ({503}, {"ServiceUnavailable"})


def test_endpoint_that_refuses_is_unavailable(deployment: Deployment) -> None:
    with deployment.relay.refusing():
        assert_refused(outcomes(deployment), *UNAVAILABLE)
    assert_untouched(deployment)


def test_endpoint_that_does_not_connect_is_unavailable(tmp_path: Path) -> None:
    """An address whose packets vanish; its accept queue is full, so that no connection is made."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        stuck = [socket.socket() for _ in range(3)]
        try:
            for sock in stuck:
                sock.setblocking(False)
                sock.connect_ex(("127.0.0.1", port))
            extra = s3_backend("far", f"http://127.0.0.1:{port}") + attached("away", "far")
            with Gateway(
                tmp_path, extra, S3PROXY_UPSTREAM__CONNECT_TIMEOUT_S=str(CONNECT_S)
            ) as gateway:
                started_s = time.monotonic()
                answer = ask(gateway, "GET", "/away/key")
                assert (answer.status, answer.code) == (503, "ServiceUnavailable")
                assert time.monotonic() - started_s < ANSWERED_S_MAX
        finally:
            for sock in stuck:
                sock.close()


BROKEN = {
    "hangs": Fault(end="hang"),
    "closes": Fault(end="close"),
    "resets": Fault(end="reset"),
    "answers-garbage": Fault(answer=b"\x00\xff\x16\x03garbage\r\n\r\n", end="close"),
    "speaks-something-else": Fault(answer=b"220 mail.example ESMTP\r\n\r\n", end="close"),
    "two-lengths": Fault(
        answer=b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        end="close",
    ),
    "length-and-chunks": Fault(
        answer=b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        end="close",
    ),
    "endless-head": Fault(answer=b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000, end="close"),
    "half-a-head": Fault(answer=b"HTTP/1.1 200 OK\r\nContent-Le", end="close"),
    "half-a-head-hangs": Fault(answer=b"HTTP/1.1 200 OK\r\nContent-Le", end="hang"),
    "switches-protocols": Fault(answer=b"HTTP/1.1 101 Go\r\nUpgrade: x\r\n\r\n", end="close"),
    "endless-interim": Fault(answer=b"HTTP/1.1 103 Early Hints\r\n\r\n" * 50, end="hang"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_endpoint_that_is_broken_is_unavailable(
    deployment: Deployment, impatient: Deployment, name: str
) -> None:
    deployment = impatient if BROKEN[name].end == "hang" else deployment
    with deployment.relay.doing(BROKEN[name]):
        assert_refused(outcomes(deployment), *UNAVAILABLE)
        assert deployment.relay.hit
    assert_untouched(deployment)


def error(status: str, code: str) -> bytes:
    document = f"<Error><Code>{code}</Code><Message>said the endpoint</Message></Error>".encode()
    return b"HTTP/1.1 %s\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%s" % (
        status.encode(),
        len(document),
        document,
    )


def page(status: str) -> bytes:
    """What a load balancer answers."""
    text = b"<html><h1>Sorry</h1></html>"
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(text), text)


REFUSALS = {
    "slow-down": (error("503 Slow Down", "SlowDown"), {503}, {"SlowDown"}),
    "throttled": (page("429 Too Many Requests"), {503}, {"SlowDown"}),
    "unavailable": (error("503 Sorry", "ServiceUnavailable"), {503}, {"ServiceUnavailable"}),
    "internal": (
        error("500 Sorry", "InternalError"),
        {500, 503},
        {"InternalError", "ServiceUnavailable"},
    ),
    "bad-gateway": (page("502 Bad Gateway"), {503}, {"ServiceUnavailable"}),
    "bad-gateway-empty": (
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        {503},
        {"ServiceUnavailable"},
    ),
    "not-our-key": (error("403 Forbidden", "InvalidAccessKeyId"), {500}, {"InternalError"}),
    "not-our-signature": (error("403 No", "SignatureDoesNotMatch"), {500}, {"InternalError"}),
    "denied": (error("403 Forbidden", "AccessDenied"), {500}, {"InternalError"}),
    "skewed": (error("403 Forbidden", "RequestTimeTooSkewed"), {500}, {"InternalError"}),
    # The bucket of a managed one's blobs is not the client's, and may come back.
    "no-bucket": (
        error("404 Not Found", "NoSuchBucket"),
        {404, 503},
        {"NoSuchBucket", "ServiceUnavailable"},
    ),
    "full": (
        error("507 Full", "InsufficientStorage"),
        {503, 507},
        {"ServiceUnavailable", "InsufficientStorage"},
    ),
    "elsewhere": (
        b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        {500, 503},
        {"InternalError", "ServiceUnavailable"},
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusal_of_the_endpoint_is_told_as_what_it_is(deployment: Deployment, name: str) -> None:
    """Also while the body is still on its way: large ones are answered after their first bytes."""
    answer, statuses, codes = REFUSALS[name]
    last = answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
    for fault in (Fault(answer=answer), Fault(answer=last, request_bytes=1000, end="close")):
        with deployment.relay.doing(fault):
            found = outcomes(deployment)
            # HEAD has no code, so that its status is all that was said.
            heads = {key: value for key, value in found.items() if key.endswith(" head")}
            assert_refused({k: v for k, v in found.items() if k not in heads}, statuses, codes)
            assert_refused(heads, {*statuses, 403, 404, 500, 503}, codes)
    assert_untouched(deployment)


UPLOADS = {
    "closes-after-nothing": Fault(("PUT",), request_bytes=0, end="close"),
    "closes-in-the-middle": Fault(("PUT",), request_bytes=LARGE // 2, end="close"),
    "resets-in-the-middle": Fault(("PUT",), request_bytes=LARGE // 2, end="reset"),
    "stops-reading": Fault(("PUT",), request_bytes=1000, end="hang"),
    "closes-after-all": Fault(("PUT",), end="close"),
    "resets-after-all": Fault(("PUT",), end="reset"),
}


@pytest.mark.parametrize("name", UPLOADS)
def test_upload_that_the_endpoint_cuts_off_makes_no_object(
    deployment: Deployment, impatient: Deployment, name: str
) -> None:
    deployment = impatient if UPLOADS[name].end == "hang" else deployment
    with deployment.relay.doing(UPLOADS[name]):
        assert_refused(outcomes(deployment, "PUT"), *UNAVAILABLE)
    assert_untouched(deployment)


def test_upload_whose_answer_is_lost_is_whole_or_absent(deployment: Deployment) -> None:
    """The endpoint has the object; the gateway cannot know. Managed buckets never show it."""
    with deployment.relay.doing(Fault(("PUT",), answer_bytes=0, end="close")):
        assert_refused(outcomes(deployment, "PUT"), *UNAVAILABLE)
    gateway = deployment.gateway
    for place in PLACES:
        for key, body in (("new-small", b"new"), ("new-large", bytes(LARGE))):
            answer = ask(gateway, "GET", f"/{place}/{key}")
            if place.startswith("managed"):
                assert answer.code == "NoSuchKey"
            else:
                assert answer.body == body
                assert ask(gateway, "DELETE", f"/{place}/{key}").status == 204
    assert_untouched(deployment)


def test_blobs_of_uploads_that_failed_are_collected(deployment: Deployment) -> None:
    """Only those of the objects that are there stay at the endpoint."""
    s3 = deployment.inner.client()
    containers = {found["Name"] for found in s3.list_buckets()["Buckets"]}
    containers -= {"target-far", "target-trusted"}
    assert len(containers) == 2

    def collected() -> bool:
        listed = [s3.list_objects_v2(Bucket=name) for name in containers]
        return all(answer["KeyCount"] == 2 for answer in listed)

    with deployment.relay.doing(Fault(("PUT",), answer_bytes=0, end="close")):
        outcomes(deployment, "PUT")
    wait_until(collected, 30)
    for place in ("attached-far", "attached-trusted"):
        for key in ("new-small", "new-large"):
            assert ask(deployment.gateway, "DELETE", f"/{place}/{key}").status == 204


DOWNLOADS = {
    "closes": ("close", LARGE // 8),
    "resets": ("reset", LARGE // 8),
    "hangs": ("hang", LARGE // 8),
    "closes-early": ("close", 1000),
    "hangs-early": ("hang", 1000),
}


@pytest.mark.parametrize("name", DOWNLOADS)
def test_download_that_is_cut_short_never_looks_whole(
    deployment: Deployment, impatient: Deployment, name: str
) -> None:
    """The head has left when it happens: the connection ends before the declared length."""
    end, after = DOWNLOADS[name]
    deployment = impatient if end == "hang" else deployment
    gateway = deployment.gateway

    def cut(request: tuple[str, dict[str, str]]) -> float:
        place, headers = request
        started_s = time.monotonic()
        with Wire(gateway.port) as wire:
            wire.send(signed_head(gateway.port, "GET", f"/{place}/large", headers).data)
            try:
                answer = wire.read_answer()
            except EOFError:  # a reset overtakes what was sent
                return time.monotonic() - started_s
            assert answer.status == (206 if headers else 200)
            assert not answer.whole, place
            # Of a managed bucket a body goes on where it broke off, twice.
            assert len(answer.body) <= 3 * after
        return time.monotonic() - started_s

    requests = [(p, h) for p in PLACES for h in ({}, {"Range": f"bytes=0-{LARGE - 2}"})]
    with (
        deployment.relay.doing(Fault(("GET",), answer_bytes=after, end=end)),
        ThreadPoolExecutor() as pool,
    ):
        assert max(pool.map(cut, requests)) < ANSWERED_S_MAX
    assert_untouched(deployment)


def test_copy_whose_source_is_cut_short_makes_no_object(deployment: Deployment) -> None:
    """From one backend to the other, through the gateway."""
    source = {"x-amz-copy-source": "/managed-far/large"}
    with deployment.relay.doing(Fault(("GET",), answer_bytes=LARGE // 8, end="close")):
        for place in ("managed-trusted", "attached-trusted"):
            answer = ask(deployment.gateway, "PUT", f"/{place}/new-large", source)
            assert answer.code in ("ServiceUnavailable", "InternalError"), answer
    assert_untouched(deployment)


def test_endpoint_that_is_slow_but_in_time_is_waited_for(deployment: Deployment) -> None:
    with deployment.relay.doing(Fault(delay_s=FIRST_BYTE_S / 2)):
        for name, (answer, in_order, _) in outcomes(deployment, "GET", "HEAD").items():
            assert answer.status == 200, (name, answer)
            assert in_order
    assert_untouched(deployment)


@pytest.mark.parametrize("end", ["close", "reset", "hang"])
def test_complete_that_fails_can_be_repeated(
    deployment: Deployment, impatient: Deployment, end: str
) -> None:
    """The answer is lost after the endpoint has done it; the second Complete finds that out."""
    deployment = impatient if end == "hang" else deployment
    s3 = deployment.gateway.client()
    targets = {}
    for place in PLACES:
        where = {"Bucket": place, "Key": "parts"}
        upload_id = s3.create_multipart_upload(**where)["UploadId"]
        s3.upload_part(**where, UploadId=upload_id, PartNumber=1, Body=b"part")
        targets[place] = f"/{place}/parts?uploadId={upload_id}"
    s3.close()
    etag = hashlib.md5(b"part").hexdigest()
    document = (
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
        f"<ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    ).encode()

    def complete(place: str) -> Answer:
        return ask(deployment.gateway, "POST", targets[place], body=document)

    with ThreadPoolExecutor() as pool:
        with deployment.relay.doing(Fault(("POST",), answer_bytes=0, end=end)):
            for answer in pool.map(complete, PLACES):
                assert answer.code == "ServiceUnavailable", answer
        for answer in pool.map(complete, PLACES):
            assert answer.status == 200, answer
            assert b"<CompleteMultipartUploadResult" in answer.body, answer
    for place in PLACES:
        assert ask(deployment.gateway, "GET", f"/{place}/parts").body == b"part"
        assert ask(deployment.gateway, "DELETE", f"/{place}/parts").status == 204
    assert_untouched(deployment)


def test_error_inside_a_200_is_an_error(deployment: Deployment) -> None:
    """S3 answers long operations 200 before it knows; the document says what became of them."""
    document = error("200 OK", "InternalError")
    with deployment.relay.doing(Fault(answer=document)):
        copy = {"x-amz-copy-source": "/managed-far/large"}
        answer = ask(deployment.gateway, "PUT", "/managed-far/new-large", copy)
        assert answer.code in ("InternalError", "ServiceUnavailable"), answer
        copy = {"x-amz-copy-source": "/attached-far/large"}
        answer = ask(deployment.gateway, "PUT", "/attached-far/new-large", copy)
        assert answer.code in ("InternalError", "ServiceUnavailable"), answer
    assert_untouched(deployment)
