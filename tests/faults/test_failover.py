"""One of two providers fails in every way; clients get right bytes all the same, or a clean error.

The bucket has two copies of everything, in Finland first. What happens to Finland is nobody's
concern while Germany is in order.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.faults.faulty_relay import BLACK_HOLE, PASS, Fault
from tests.faults.healing import check_nothing_is_left, wait_until_healed, wait_until_well
from tests.faults.providers import Provider, Stored, providers, watched
from tests.faults.small_disk import LimitedFiles
from tests.faults.traces import logged_bugs, open_files
from tests.faults.wire import Answer, ask, wait_until
from tests.gateways import Gateway

BUCKET = "two-copies"
KIB, MIB = 1 << 10, 1 << 20
SMALL = bytes(range(256)) * 8
LARGE = bytes(range(251)) * (3 * MIB // 251)
GONE_S_MAX = 60.0
DESCRIPTORS_SPARE = 20
DEADLINES = {
    "S3PROXY_UPSTREAM__CONNECT_TIMEOUT_S": "2.5",
    "S3PROXY_UPSTREAM__FIRST_BYTE_TIMEOUT_S": "2.5",
    "S3PROXY_UPSTREAM__PROGRESS_TIMEOUT_S": "2.5",
    # As a test wants to go on where a deployment waits.
    "S3PROXY_HEALTH__PROBE_INTERVAL_S": "0.2",
    "S3PROXY_HEALTH__PROBE_TIMEOUT_S": "2.5",
    "S3PROXY_HEALTH__OPEN_S": "0.2",
    "S3PROXY_REPLICATION__RETRY_S_MAX": "0.2",
    "S3PROXY_REPLICATION__TRIES_MAX": "1000",
}

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Deployment:
    """A gateway before two providers."""

    gateway: Gateway
    fi: Provider
    de: Provider

    @contextmanager
    def failing(self, fault: Fault) -> Iterator[None]:
        """Have that happen to Finland, which is healthy before."""
        wait_until_well(self.gateway)
        with self.fi.relay.doing(fault):
            yield


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("failover")
    places = [("fi", 'country = "FI"\n'), ("de", 'country = "DE"\n')]
    with providers(folder, places) as (fi, de):
        extra = "[placement]\nreplicas = 2\n" + fi.toml() + de.toml()
        gateway = Gateway(folder / "gateway", extra, **DEADLINES)
        watched(fi.watcher, gateway)
        try:
            s3 = gateway.client()
            s3.create_bucket(
                Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "fi,de"}
            )
            s3.put_object(Bucket=BUCKET, Key="small", Body=SMALL)
            s3.put_object(Bucket=BUCKET, Key="large", Body=LARGE)
            wait_until_healed(gateway)
            before = open_files(gateway.pid)
            yield Deployment(gateway, fi, de)
            fi.relay.cut()
            de.relay.cut()
            check_nothing_is_left(gateway, BUCKET, [fi, de])
            wait_until(lambda: open_files(gateway.pid) < before + DESCRIPTORS_SPARE)
            assert logged_bugs(gateway) == []
            s3.close()
        finally:
            gateway.stop()


def target(key: str) -> str:
    return f"/{BUCKET}/{key}"


# Of a head of some hundred bytes, of the body, and of what is nearly all of it.
OFFSETS = (0, 1, 17, 200, 700, 5000, 65_536, 300_000, 1 << 20, 2_000_000, len(LARGE) - 1)


@pytest.mark.parametrize("end", ("reset", "close"))
def test_body_that_breaks_anywhere_goes_on_from_the_other(deployment: Deployment, end: str) -> None:
    for offset in OFFSETS:
        with deployment.failing(Fault(("GET",), answer_bytes=offset, end=end)):
            for key, body in (("large", LARGE), ("small", SMALL)):
                answer = ask(deployment.gateway, "GET", target(key))
                assert (answer.status, answer.whole) == (200, True), (key, offset, answer.status)
                assert answer.body == body, (key, offset)


@pytest.mark.parametrize("end", ("reset", "close"))
def test_range_that_breaks_anywhere_goes_on_from_the_other(
    deployment: Deployment, end: str
) -> None:
    first, last = 1_000_001, 2_500_002
    for offset in OFFSETS[:8]:
        with deployment.failing(Fault(("GET",), answer_bytes=offset, end=end)):
            headers = {"Range": f"bytes={first}-{last}"}
            answer = ask(deployment.gateway, "GET", target("large"), headers)
            assert (answer.status, answer.whole) == (206, True), (offset, answer.status)
            assert answer.body == LARGE[first : last + 1], offset


def refusal(status: str, code: str = "") -> bytes:
    document = f"<Error><Code>{code}</Code><Message>No.</Message></Error>".encode()
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (
        status.encode(),
        len(document),
        document,
    )


FAILURES = {
    "hangs": BLACK_HOLE,
    "hangs in the middle": Fault(answer_bytes=5000, end="hang"),
    "closes": Fault(end="close"),
    "resets": Fault(end="reset"),
    "garbage": Fault(answer=b"\x00\xff\x16\x03garbage\r\n\r\n", end="close"),
    "500": Fault(answer=refusal("500 Sorry", "InternalError")),
    "502": Fault(answer=refusal("502 Bad Gateway")),
    "503": Fault(answer=refusal("503 Sorry", "ServiceUnavailable")),
    "slow down": Fault(answer=refusal("503 Slow Down", "SlowDown")),
    "403": Fault(answer=refusal("403 Forbidden", "AccessDenied")),
    "403 of the key": Fault(answer=refusal("403 Forbidden", "InvalidAccessKeyId")),
    "no bucket": Fault(answer=refusal("404 Not Found", "NoSuchBucket")),
    "full": Fault(("PUT",), answer=refusal("507 Full", "InsufficientStorage")),
    "delayed": Fault(delay_s=1.0),
    "throttled": Fault(bytes_per_s=1 << 22),
}

# Of what has one copy yet, nothing would be left.
LOST = {"no key": Fault(("GET",), answer=refusal("404 Not Found", "NoSuchKey"))}


@pytest.mark.parametrize("name", FAILURES | LOST)
def test_reads_are_answered_whatever_the_first_provider_does(
    deployment: Deployment, name: str
) -> None:
    with deployment.failing((FAILURES | LOST)[name]):
        for key, body in (("small", SMALL), ("large", LARGE)):
            answer = ask(deployment.gateway, "GET", target(key))
            assert (answer.status, answer.body == body) == (200, True), (name, key, answer)


@pytest.mark.parametrize("name", FAILURES)
def test_small_writes_are_answered_whatever_the_first_provider_does(
    deployment: Deployment, name: str
) -> None:
    """Without a retry of the client's."""
    with deployment.failing(FAILURES[name]):
        answer = ask(deployment.gateway, "PUT", target("new"), body=SMALL)
        assert answer.status == 200, (name, answer)
        assert ask(deployment.gateway, "GET", target("new")).body == SMALL, name
    settle(deployment, "new", SMALL)


@pytest.mark.parametrize("name", FAILURES)
def test_large_writes_succeed_with_default_retries(deployment: Deployment, name: str) -> None:
    s3 = deployment.gateway.client(retries={})
    with deployment.failing(FAILURES[name]):
        s3.put_object(Bucket=BUCKET, Key="new-large", Body=LARGE)
    s3.close()
    settle(deployment, "new-large", LARGE)


def settle(deployment: Deployment, key: str, body: bytes) -> None:
    """All copies are made once Finland is back, and read the same."""
    wait_until_healed(deployment.gateway)
    for provider in (deployment.fi, deployment.de):
        assert copies_at(provider, key) == [body], provider.name


def copies_at(provider: Provider, key: str) -> list[bytes]:
    """What a provider has under the names of a key, once garbage of failed tries is gone."""
    s3 = provider.client()

    def named() -> list[Stored]:
        return [item for item in provider.blobs() if item.name.rpartition("~")[0].endswith(key)]

    deadline = time.monotonic() + GONE_S_MAX
    while len(found := named()) > 1 and time.monotonic() < deadline:
        time.sleep(0.2)
    bodies = [s3.get_object(Bucket=one.bucket, Key=one.name)["Body"].read() for one in found]
    s3.close()
    return bodies


UPLOAD_OFFSETS = (0, 1, 1000, 100_000, 1_000_000, 2_900_000)


def test_uploads_that_break_anywhere_are_stored_elsewhere(deployment: Deployment) -> None:
    s3 = deployment.gateway.client(retries={})
    for offset in UPLOAD_OFFSETS:
        for end in ("reset", "close"):
            with deployment.failing(Fault(("PUT",), request_bytes=offset, end=end)):
                s3.put_object(Bucket=BUCKET, Key="new-large", Body=LARGE)
            found = s3.get_object(Bucket=BUCKET, Key="new-large")["Body"].read()
            assert found == LARGE, (offset, end)
    s3.close()
    settle(deployment, "new-large", LARGE)


def test_upload_whose_answer_is_lost_is_stored_elsewhere(deployment: Deployment) -> None:
    """Finland has it and nobody knows: what it has is deleted there in time."""
    with deployment.failing(Fault(("PUT",), answer_bytes=0, end="reset")):
        assert ask(deployment.gateway, "PUT", target("lost"), body=SMALL).status == 200
        assert ask(deployment.gateway, "GET", target("lost")).body == SMALL
    settle(deployment, "lost", SMALL)


def test_byte_that_changes_on_its_way_to_a_provider_is_not_stored(deployment: Deployment) -> None:
    s3 = deployment.gateway.client(retries={})
    for key, body in (("flipped", SMALL), ("flipped-large", LARGE)):
        with deployment.failing(Fault(("PUT",), request_flipped=len(body) // 2)):
            s3.put_object(Bucket=BUCKET, Key=key, Body=body)
            assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == body
        settle(deployment, key, body)
    s3.close()


def test_byte_that_changes_on_its_way_back_is_never_taken_for_right(
    deployment: Deployment,
) -> None:
    """The client's checksum tells; what it gets is right, or an error."""
    s3 = deployment.gateway.client(retries={})
    with deployment.failing(Fault(("GET",), answer_flipped=1000)):
        for key, body in (("small", SMALL), ("large", LARGE)):
            try:
                found = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            except (BotoCoreError, ClientError):
                continue
            assert found == body, key
    s3.close()


def test_copy_of_bytes_that_change_on_their_way_is_not_kept(deployment: Deployment) -> None:
    """A copy is made while what is read of Germany is wrong: it is made again."""
    de = deployment.de
    with deployment.failing(Fault(("PUT",), answer=refusal("503 Sorry", "ServiceUnavailable"))):
        assert (
            ask(deployment.gateway, "PUT", target("copied"), body=LARGE[: 200 * KIB]).status == 200
        )
        de.relay.fault = Fault(("GET",), answer_flipped=100 * KIB)
    time.sleep(0)
    de.relay.fault = PASS
    settle(deployment, "copied", LARGE[: 200 * KIB])


def test_provider_that_loses_a_blob_is_passed_over(deployment: Deployment) -> None:
    gateway = deployment.gateway
    assert ask(gateway, "PUT", target("gone"), body=SMALL).status == 200
    settle(deployment, "gone", SMALL)
    s3 = deployment.fi.client()
    for item in deployment.fi.objects():
        if item.name.startswith("gone~"):
            s3.delete_object(Bucket=item.bucket, Key=item.name)
    s3.close()
    assert ask(gateway, "GET", target("gone")).body == SMALL
    headers = {"Range": "bytes=100-199"}
    assert ask(gateway, "GET", target("gone"), headers).body == SMALL[100:200]


def test_provider_whose_disk_is_full_is_passed_over(deployment: Deployment) -> None:
    server: Any = deployment.fi.server
    with LimitedFiles(server.folder).full(server):
        assert ask(deployment.gateway, "PUT", target("full"), body=LARGE).status in (200, 503)
        s3 = deployment.gateway.client(retries={})
        s3.put_object(Bucket=BUCKET, Key="full", Body=LARGE)
        assert s3.get_object(Bucket=BUCKET, Key="full")["Body"].read() == LARGE
        s3.close()
    settle(deployment, "full", LARGE)


def test_both_providers_gone_is_a_clean_error_and_nothing_is_half_done(
    deployment: Deployment,
) -> None:
    gateway = deployment.gateway
    with deployment.fi.relay.refusing(), deployment.de.relay.refusing():
        for answer in (
            ask(gateway, "GET", target("small")),
            ask(gateway, "PUT", target("absent"), body=SMALL),
            ask(gateway, "PUT", target("absent"), body=LARGE),
        ):
            assert_unavailable(answer)
        # What the catalog alone answers goes on.
        assert ask(gateway, "HEAD", target("small")).status == 200
        assert ask(gateway, "GET", f"/{BUCKET}?list-type=2").status == 200
    assert ask(gateway, "GET", target("absent")).code == "NoSuchKey"
    wait_until(lambda: ask(gateway, "GET", target("small")).body == SMALL)


def assert_unavailable(answer: Answer) -> None:
    assert (answer.status, answer.code, answer.whole) == (503, "ServiceUnavailable", True), answer


def test_attempts_that_are_given_up_leave_the_rest_alone(tmp_path: Path) -> None:
    """A provider that froze from the start of the gateway costs no request its answer."""
    places = [("fi", 'country = "FI"\n'), ("de", 'country = "DE"\n')]
    with providers(tmp_path, places) as (fi, de):
        extra = "[placement]\nreplicas = 2\n" + fi.toml() + de.toml()
        fi.freeze()
        gateway = Gateway(tmp_path / "gateway", extra)
        watched(fi.watcher, gateway)
        s3 = gateway.client(retries={})
        try:
            s3.create_bucket(
                Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "fi,de"}
            )
            for number in range(5):
                s3.put_object(Bucket=BUCKET, Key=f"{number}", Body=SMALL)
                assert s3.get_object(Bucket=BUCKET, Key=f"{number}")["Body"].read() == SMALL
            fi.thaw()
            wait_until_healed(gateway)
            assert len(fi.blobs()) == len(de.blobs()) == 5
            assert logged_bugs(gateway) == []
        finally:
            s3.close()
            gateway.stop()
