"""What policies can ask of a request: each key against requests that have it and that do not."""

import json
from typing import Any

import pytest

from s3proxy.ops.request_context import KEYS
from s3proxy.s3.errors import S3Error
from s3proxy.s3.policy import CONDITION_KEYS
from s3proxy.s3.time import iso8601
from tests.ops.lab import Lab

DAY_NS = 86_400 * 1_000_000_000


def test_every_condition_key_is_looked_up() -> None:
    headers = {key for key in CONDITION_KEYS if key.startswith("s3:x-amz-")}
    # That is in the document of CreateBucket, which gives it.
    assert CONDITION_KEYS - headers - KEYS.keys() == {"s3:locationconstraint"}


class Door:
    """A bucket with object lock whose policy denies what a condition says."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    async def denies(
        self, operator: str, key: str, value: Any, *request: Any, **headers: str
    ) -> bool:
        """Whether a request is denied by a policy of one condition on s3:*."""
        condition = {operator: {key: value}}
        statement = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": ["arn:aws:s3:::vault", "arn:aws:s3:::vault/*"],
            "Condition": condition,
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": statement}).encode()
        await self._lab.ask("PUT", "/vault?policy", policy)
        try:
            await self._lab.ask(*request, **headers)
        except S3Error as error:
            assert error.code == "AccessDenied", error
            return True
        finally:
            await self._lab.ask("DELETE", "/vault?policy")
        return False

    def retention(self, days: float) -> tuple[str, str]:
        """Target and document of PutObjectRetention, and when it ends."""
        until = iso8601(self._lab.services.now_ns() + int(days * DAY_NS))
        mode = "<Mode>GOVERNANCE</Mode>"
        return (
            until,
            f"<Retention>{mode}<RetainUntilDate>{until}</RetainUntilDate></Retention>",
        )


@pytest.fixture
async def door(lab: Lab) -> Door:
    await lab.put("/vault", b"", x_amz_bucket_object_lock_enabled="true")
    await lab.put("/vault/k", b"data")
    return Door(lab)


async def test_object_lock_of_a_document_is_known_to_policies(door: Door) -> None:
    days = "s3:object-lock-remaining-retention-days"
    for asked, limit, denied in ((10, "10", False), (10.5, "10", True), (1, "0", True)):
        _, document = door.retention(asked)
        request = ("PUT", "/vault/k?retention", document.encode())
        assert await door.denies("NumericGreaterThan", days, limit, *request) is denied
    until, document = door.retention(20)
    request = ("PUT", "/vault/k?retention", document.encode())
    for operator, key, value in (
        ("StringEquals", "s3:object-lock-mode", "GOVERNANCE"),
        ("DateEquals", "s3:object-lock-retain-until-date", until),
    ):
        assert await door.denies(operator, key, value, *request)
    assert not await door.denies("StringEquals", "s3:object-lock-mode", "COMPLIANCE", *request)
    hold = b"<LegalHold><Status>ON</Status></LegalHold>"
    request = ("PUT", "/vault/k?legal-hold", hold)
    assert await door.denies("StringEquals", "s3:object-lock-legal-hold", "ON", *request)
    assert not await door.denies("StringEquals", "s3:object-lock-legal-hold", "OFF", *request)


async def test_object_lock_of_headers_is_known_to_policies(door: Door) -> None:
    until, _ = door.retention(3)
    headers = {
        "x_amz_object_lock_mode": "GOVERNANCE",
        "x_amz_object_lock_retain_until_date": until,
        "x_amz_object_lock_legal_hold": "OFF",
        "content_md5": "jXd/OF09/siBXSD3SWAm3A==",
    }
    request = ("PUT", "/vault/new", b"data")
    for operator, key, value in (
        ("StringEquals", "s3:object-lock-mode", "GOVERNANCE"),
        ("StringEquals", "s3:object-lock-legal-hold", "OFF"),
        ("NumericEquals", "s3:object-lock-remaining-retention-days", "3"),
        ("DateEquals", "s3:object-lock-retain-until-date", until),
    ):
        assert await door.denies(operator, key, value, *request, **headers)
        assert not await door.denies(operator, key, value, *request)


@pytest.mark.parametrize(
    ("method", "target", "value"),
    [
        ("PUT", "/vault/new", "true"),
        ("POST", "/vault/new?uploads", "false"),
        ("PUT", "/vault/new?partNumber=1&uploadId=x", "false"),
        ("POST", "/vault/new?uploadId=x", "true"),
    ],
)
async def test_object_creation_operation_tells_what_makes_an_object(
    door: Door, method: str, target: str, value: str
) -> None:
    assert await door.denies("Bool", "s3:ObjectCreationOperation", value, method, target, b"data")


@pytest.mark.parametrize(
    ("operator", "key", "value"),
    [
        ("IpAddress", "aws:SourceIp", "192.0.2.0/24"),
        ("Bool", "aws:SecureTransport", "false"),
        ("Null", "s3:TlsVersion", "true"),
        ("StringEquals", "aws:username", "alice"),
        ("StringEquals", "aws:userid", "user-1"),
        ("ArnEquals", "aws:PrincipalArn", "arn:aws:iam::main:user/alice"),
        ("StringEquals", "aws:PrincipalAccount", "main"),
        ("StringEquals", "aws:PrincipalType", "User"),
        ("StringEquals", "aws:ResourceAccount", "main"),
        ("StringEquals", "s3:ResourceAccount", "main"),
        ("StringEquals", "aws:RequestedRegion", "us-east-1"),
        ("StringLike", "aws:UserAgent", "aws-cli/*"),
        ("StringEquals", "aws:Referer", "http://www.example.com/"),
        ("DateGreaterThan", "aws:CurrentTime", "2000-01-01T00:00:00Z"),
        ("NumericGreaterThan", "aws:EpochTime", "1000000000"),
        ("Bool", "aws:ViaAWSService", "false"),
        ("StringEquals", "s3:authType", "REST-HEADER"),
        ("Null", "aws:SourceVpce", "true"),
    ],
)
async def test_keys_of_every_request_have_values(
    door: Door, operator: str, key: str, value: str
) -> None:
    headers = {"user_agent": "aws-cli/2", "referer": "http://www.example.com/"}
    assert await door.denies(operator, key, value, "GET", "/vault/k", **headers)


async def test_keys_of_one_operation_are_absent_from_others(door: Door) -> None:
    listing = ("GET", "/vault?prefix=a&delimiter=/&max-keys=5")
    for operator, key, value in (
        ("StringEquals", "s3:prefix", "a"),
        ("StringEquals", "s3:delimiter", "/"),
        ("NumericEquals", "s3:max-keys", "5"),
    ):
        assert await door.denies(operator, key, value, *listing)
        assert not await door.denies(operator, key, value, "GET", "/vault/k")
