"""Access logging: which targets are taken, by whose leave, and what is written to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from s3proxy.backends.errors import Unavailable
from s3proxy.ops.request_logs import Logged, RequestLogs
from s3proxy.workers.deliver_logs import LogDelivery
from tests.gateways import Gateway, client
from tests.ops.lab import Lab
from tests.s3.heads import raises_s3

SOURCE = "arn:aws:s3:::www"
LINES = ["one\n", "two\n"]
DAY = 19_675


def statement(**fields: Any) -> dict[str, Any]:
    """What lets the log of `www` be written below `a/` of `logs`."""
    return {
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::logs/a/*",
        "Condition": {
            "ArnLike": {"aws:SourceArn": SOURCE},
            "StringEquals": {"aws:SourceAccount": "user-1"},
        },
        **fields,
    }


async def allow(lab: Lab, *statements: dict[str, Any]) -> None:
    policy = {"Version": "2012-10-17", "Statement": list(statements)}
    await lab.put("/logs?policy", json.dumps(policy).encode())


def document(target: str = "logs", more: str = "") -> bytes:
    return (
        f"<BucketLoggingStatus><LoggingEnabled><TargetBucket>{target}</TargetBucket>"
        f"<TargetPrefix>a/</TargetPrefix>{more}</LoggingEnabled></BucketLoggingStatus>"
    ).encode()


@pytest.fixture
async def logged(lab: Lab) -> Lab:
    """The lab, with a bucket `logs` that lets the log of `www` be written."""
    await lab.put("/logs", b"")
    await allow(lab, statement())
    return lab


def logs_of(lab: Lab, lines: list[str] = LINES) -> RequestLogs:
    logs = RequestLogs()
    logs.keep(Logged("main", "www", lab.bucket().id, DAY), list(lines))
    return logs


async def test_put_logging_is_told_and_removed(logged: Lab) -> None:
    await logged.put("/www?logging", document())
    found = await logged.get("/www?logging")
    assert (found.text("TargetBucket"), found.text("TargetPrefix")) == ("logs", "a/")
    await logged.put("/www?logging", b"<BucketLoggingStatus/>")
    assert (await logged.get("/www?logging")).texts("TargetBucket") == []


@pytest.mark.parametrize(
    "changed",
    [
        {"Principal": {"AWS": "*"}},
        {"Principal": "*"},
        {"Principal": {"Service": "logging.s3.amazonaws.comb"}},
        {"Action": "s3:GetObject"},
        {"Resource": "arn:aws:s3:::logs/b/*"},
        {"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::other"}}},
        {"Condition": {"StringEquals": {"aws:SourceAccount": "user-2"}}},
    ],
)
async def test_put_logging_that_the_policy_does_not_allow_is_denied(
    logged: Lab, changed: dict[str, Any]
) -> None:
    await allow(logged, statement(**changed))
    with raises_s3("AccessDenied"):
        await logged.put("/www?logging", document())


async def test_put_logging_that_the_policy_denies_to_all_is_denied(logged: Lab) -> None:
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject"}
    await allow(logged, statement(), {**deny, "Resource": "arn:aws:s3:::logs/*"})
    with raises_s3("AccessDenied"):
        await logged.put("/www?logging", document())


async def test_put_logging_to_a_prefix_named_without_a_wildcard_is_taken(logged: Lab) -> None:
    await allow(logged, statement(Resource="arn:aws:s3:::logs/a/"))
    assert (await logged.put("/www?logging", document())).status == 200


async def test_put_logging_by_the_acl_of_the_log_delivery_is_taken(logged: Lab) -> None:
    await logged.ask("DELETE", "/logs?policy")
    with raises_s3("AccessDenied"):
        await logged.put("/www?logging", document())
    ownership = (
        b"<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>"
        b"</OwnershipControls>"
    )
    await logged.put("/logs?ownershipControls", ownership)
    await logged.put("/logs?acl", b"", x_amz_acl="log-delivery-write")
    assert (await logged.put("/www?logging", document())).status == 200


@pytest.mark.parametrize("target", ["absent", "files", "vault"])
async def test_put_logging_to_a_bucket_that_cannot_take_it_is_refused(
    logged: Lab, target: str
) -> None:
    await logged.put("/vault", b"", x_amz_bucket_object_lock_enabled="true")
    lock = (
        b"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule>"
        b"<DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule>"
        b"</ObjectLockConfiguration>"
    )
    await logged.put("/vault?object-lock", lock)
    with raises_s3("InvalidTargetBucketForLogging"):
        await logged.put("/www?logging", document(target))


async def test_delivery_writes_one_object_below_the_prefix(logged: Lab) -> None:
    more = (
        "<TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>EventTime"
        "</PartitionDateSource></PartitionedPrefix></TargetObjectKeyFormat>"
    )
    await logged.put("/www?logging", document(more=more))
    delivery = LogDelivery(logged.services, logs_of(logged), interval_s=1)
    await delivery.work()
    await delivery.work()
    ((key, record),) = logged.catalog.scan_objects(logged.bucket("logs"))
    assert key.startswith("a/user-1/us-east-1/www/2023/11/14/2023-11-14-00-00-00-")
    assert record.system["content-type"] == "text/plain"
    assert (await logged.get(f"/logs/{key}")).body == b"one\ntwo\n"
    assert delivery.delivered == 2


@pytest.mark.parametrize("reason", ["off", "denied", "target gone", "gone"])
async def test_delivery_of_what_may_not_be_written_is_dropped_and_counted(
    logged: Lab, reason: str
) -> None:
    await logged.put("/www?logging", document())
    logs = logs_of(logged)
    if reason == "off":
        await logged.put("/www?logging", b"<BucketLoggingStatus/>")
    elif reason == "denied":
        await logged.ask("DELETE", "/logs?policy")
    elif reason == "gone":
        await logged.ask("DELETE", "/www")
    else:
        await logged.ask("DELETE", "/logs")
    delivery = LogDelivery(logged.services, logs, interval_s=1)
    await delivery.work()
    assert (delivery.delivered, delivery.refused) == (0, 2)
    assert logs.take() == {}


async def test_delivery_that_fails_keeps_its_lines(
    logged: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    await logged.put("/www?logging", document())
    logs = logs_of(logged, ["x" * 2000 + "\n"])
    disk = logged.services.backends["disk"]

    def away(container: str) -> None:
        raise Unavailable("put", container, "away", "disk")

    with monkeypatch.context() as patch:
        patch.setattr(disk, "blobs", away)
        with pytest.raises(Unavailable):
            await LogDelivery(logged.services, logs, interval_s=1).work()
    delivery = LogDelivery(logged.services, logs, interval_s=1)
    await delivery.work()
    assert delivery.delivered == 1


def test_request_logs_are_bounded() -> None:
    logs = RequestLogs(bytes_max=1000)
    logged = Logged("main", "www", b"1", DAY)
    logs.keep(logged, ["x" * 80] * 10)
    assert logs.dropped == 5
    assert logs.filled.is_set()
    assert logs.take() == {logged: ["x" * 80] * 5}
    assert not logs.filled.is_set()
    logs.keep(logged, ["y"])
    assert logs.take() == {logged: ["y"]}


def test_requests_are_logged_over_the_wire(tmp_path: Path) -> None:
    with Gateway(tmp_path / "gateway") as gateway:
        s3 = gateway.client()
        for name in ("www", "logs"):
            s3.create_bucket(Bucket=name)
        allowed = {**statement(), "Condition": {"ArnLike": {"aws:SourceArn": SOURCE}}}
        policy = {"Version": "2012-10-17", "Statement": [allowed]}
        s3.put_bucket_policy(Bucket="logs", Policy=json.dumps(policy))
        target = {"TargetBucket": "logs", "TargetPrefix": "a/"}
        s3.put_bucket_logging(Bucket="www", BucketLoggingStatus={"LoggingEnabled": target})
        s3.put_object(Bucket="www", Key="k 1", Body=b"12345")
        s3.get_object(Bucket="www", Key="k 1", Range="bytes=1-2")["Body"].read()
        with pytest.raises(s3.exceptions.NoSuchKey):
            s3.get_object(Bucket="www", Key="absent")
        named = [{"Key": "k 1"}, {"Key": "absent"}]
        s3.delete_objects(Bucket="www", Delete={"Objects": named})
        stranger = client(gateway.url, "AKIASTRANGER00000000", "secret")
        with pytest.raises(ClientError):
            stranger.get_object(Bucket="www", Key="k 1")
        stranger.close()
        s3.put_object(Bucket="logs", Key="not-logged", Body=b"1")
    # A clean stop delivers what waits.
    with gateway:
        s3 = gateway.client()
        found = s3.list_objects_v2(Bucket="logs", Prefix="a/")["Contents"]
        log = s3.get_object(Bucket="logs", Key=found[0]["Key"])["Body"].read().decode()
        s3.close()
    assert len(found) == 1
    put, get, absent, several, one, other, refused = log.splitlines()
    assert ' REST.PUT.OBJECT k%201 "PUT /www/k%201 HTTP/1.1" 200 - - 5 ' in put
    assert ' REST.GET.OBJECT k%201 "GET /www/k%201 HTTP/1.1" 206 - 2 5 ' in get
    assert " 404 NoSuchKey " in absent
    assert " SigV4 - AuthHeader " in absent
    assert ' REST.POST.MULTI_OBJECT_DELETE - "POST /www?delete HTTP/1.1" 200 - ' in several
    assert ' BATCH.DELETE.OBJECT k%201 "-" 204 - - - ' in one
    assert ' BATCH.DELETE.OBJECT absent "-" 204 - - - ' in other
    assert " 127.0.0.1 - " in refused
    assert " 403 InvalidAccessKeyId " in refused
    assert "127.0.0.1 " in absent
