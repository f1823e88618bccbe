"""Access over the wire, with boto3: two users, root and nobody, in a bucket of one of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.gateways import REGION, Gateway, client

pytestmark = pytest.mark.slow
ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"


class Place:
    """A gateway with the users alice and bob, and the bucket `hers`, which alice made."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.root = gateway.client()
        self.alice, self.alice_id = self._user("alice")
        self.bob, self.bob_id = self._user("bob")
        self.nobody = boto3.client(
            "s3",
            endpoint_url=gateway.url,
            region_name=REGION,
            config=Config(signature_version=UNSIGNED, retries={"max_attempts": 1}),
        )
        self.alice.create_bucket(Bucket="hers")
        self.alice.put_object(Bucket="hers", Key="k", Body=b"1")

    def _user(self, name: str) -> tuple[Any, str]:
        made = self.gateway.run("key", "create", "--user", name, "--json")
        key = json.loads(made.stdout)
        return client(self.gateway.url, key["access_key"], key["secret_key"]), key["user_id"]

    def put_policy(self, *statements: dict[str, Any]) -> str:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        self.alice.put_bucket_policy(Bucket="hers", Policy=document)
        return document

    def set_user_policy(self, name: str, *statements: dict[str, Any]) -> None:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        file = self.gateway.folder / "policy.json"
        file.write_text(document)
        done = self.gateway.run("user", "policy", "set", name, str(file))
        assert done.returncode == 0, done.stderr


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Gateway(tmp_path / "gateway") as gateway:
        yield Place(gateway)


@pytest.fixture
def old_place(tmp_path: Path) -> Iterator[Place]:
    """Where new buckets have ACLs and block nothing."""
    config = '[s3]\ndefault_ownership = "ObjectWriter"\n'
    with Gateway(tmp_path / "gateway", config) as gateway:
        yield Place(gateway)


def code_of(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def body_of(answer: dict[str, Any]) -> bytes:
    return bytes(answer["Body"].read())


def test_bucket_is_its_owners_and_roots_alone(place: Place) -> None:
    assert body_of(place.alice.get_object(Bucket="hers", Key="k")) == b"1"
    assert body_of(place.root.get_object(Bucket="hers", Key="k")) == b"1"
    for other in (place.bob, place.nobody):
        assert code_of(other.get_object, Bucket="hers", Key="k") == "AccessDenied"
        assert code_of(other.put_object, Bucket="hers", Key="k", Body=b"2") == "AccessDenied"
        assert code_of(other.list_objects_v2, Bucket="hers") == "AccessDenied"
        assert code_of(other.delete_bucket, Bucket="hers") == "AccessDenied"
        assert code_of(other.head_bucket, Bucket="hers") == "403"
        assert code_of(other.get_object, Bucket="absent", Key="k") == "NoSuchBucket"
    assert place.bob.list_buckets()["Buckets"] == []
    assert [b["Name"] for b in place.root.list_buckets()["Buckets"]] == ["hers"]
    assert code_of(place.nobody.list_buckets) == "AccessDenied"
    assert code_of(place.bob.create_bucket, Bucket="hers") == "BucketAlreadyExists"
    owner = place.alice.get_bucket_acl(Bucket="hers")["Owner"]
    assert owner == {"ID": place.alice_id, "DisplayName": "alice"}


def test_policy_of_a_bucket_gives_and_takes(place: Place) -> None:
    bob = {"AWS": "arn:aws:iam::main:user/bob"}
    reading = {
        "Effect": "Allow",
        "Principal": bob,
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::hers/*",
        "Condition": {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}},
    }
    document = place.put_policy(reading)
    assert place.alice.get_bucket_policy(Bucket="hers")["Policy"] == document
    status = place.alice.get_bucket_policy_status(Bucket="hers")["PolicyStatus"]
    assert status == {"IsPublic": False}
    assert body_of(place.bob.get_object(Bucket="hers", Key="k")) == b"1"
    assert code_of(place.bob.get_bucket_policy, Bucket="hers") == "AccessDenied"
    assert code_of(place.bob.get_object, Bucket="hers", Key="absent") == "AccessDenied"
    assert code_of(place.nobody.get_object, Bucket="hers", Key="k") == "AccessDenied"
    place.put_policy(reading, {**reading, "Effect": "Deny", "Condition": {}, "Principal": "*"})
    for user in (place.alice, place.bob, place.root):
        assert code_of(user.get_object, Bucket="hers", Key="k") == "AccessDenied"
    place.alice.delete_bucket_policy(Bucket="hers")
    assert body_of(place.alice.get_object(Bucket="hers", Key="k")) == b"1"


def test_everyone_gets_what_is_public_once_that_is_not_blocked(place: Place) -> None:
    public = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::hers/*",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [public]})
    put = place.alice.put_bucket_policy
    assert code_of(put, Bucket="hers", Policy=document) == "AccessDenied"
    blocked = place.alice.get_public_access_block(Bucket="hers")
    assert all(blocked["PublicAccessBlockConfiguration"].values())
    place.alice.delete_public_access_block(Bucket="hers")
    put(Bucket="hers", Policy=document)
    assert body_of(place.nobody.get_object(Bucket="hers", Key="k")) == b"1"
    assert httpx.get(f"{place.gateway.url}/hers/k").content == b"1"
    assert httpx.get(f"{place.gateway.url}/hers/absent").status_code == 403
    overridden = httpx.get(f"{place.gateway.url}/hers/k?response-content-type=text/html")
    assert overridden.status_code == 400
    assert code_of(place.nobody.delete_object, Bucket="hers", Key="k") == "AccessDenied"


def test_policy_of_a_user_is_obeyed_at_once(place: Place) -> None:
    reading = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::hers/*"}
    place.set_user_policy("bob", reading)
    _wait_until(lambda: body_of(place.bob.get_object(Bucket="hers", Key="k")) == b"1")
    assert code_of(place.bob.put_object, Bucket="hers", Key="k", Body=b"2") == "AccessDenied"
    assert code_of(place.bob.create_bucket, Bucket="his") == "AccessDenied"
    assert code_of(place.bob.list_buckets) == "AccessDenied"
    assert place.gateway.run("user", "policy", "delete", "bob").returncode == 0
    _wait_until(lambda: place.bob.list_buckets()["Buckets"] == [])
    assert code_of(place.bob.get_object, Bucket="hers", Key="k") == "AccessDenied"


def _wait_until(holds: Any) -> None:
    """A change by another process is seen within a fraction of a second."""
    for _ in range(200):
        try:
            if holds():
                return
        except ClientError as error:
            assert error.response["Error"]["Code"] == "AccessDenied"
    raise AssertionError("not seen")


def test_acls_are_off_but_for_the_owners_full_control(place: Place) -> None:
    put = place.alice.put_object
    put(Bucket="hers", Key="k", Body=b"2", ACL="bucket-owner-full-control")
    put(Bucket="hers", Key="k", Body=b"2", ACL="private")
    refusal = "AccessControlListNotSupported"
    assert code_of(put, Bucket="hers", Key="k", Body=b"3", ACL="public-read") == refusal
    assert code_of(place.alice.put_bucket_acl, Bucket="hers", ACL="private") == refusal
    rules = place.alice.get_bucket_ownership_controls(Bucket="hers")["OwnershipControls"]["Rules"]
    assert rules == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    refusal = "InvalidBucketAclWithObjectOwnership"
    assert code_of(place.alice.create_bucket, Bucket="open", ACL="public-read") == refusal


def test_acls_grant_to_users_and_to_everyone(old_place: Place) -> None:
    place = old_place
    bob = f"id={place.bob_id}"
    place.alice.put_bucket_acl(Bucket="hers", GrantRead=bob, GrantWrite=f'{bob}, uri="{ALL_USERS}"')
    found = place.alice.get_bucket_acl(Bucket="hers")["Grants"]
    assert [(g["Grantee"].get("DisplayName"), g["Permission"]) for g in found] == [
        (None, "WRITE"),
        ("bob", "READ"),
        ("bob", "WRITE"),
    ]
    place.bob.put_object(Bucket="hers", Key="his", Body=b"bob's")
    assert code_of(place.alice.get_object, Bucket="hers", Key="his") == "AccessDenied"
    place.bob.put_object_acl(Bucket="hers", Key="his", ACL="bucket-owner-read")
    assert body_of(place.alice.get_object(Bucket="hers", Key="his")) == b"bob's"
    place.nobody.put_object(Bucket="hers", Key="anyones", Body=b"x", ACL="public-read")
    assert httpx.get(f"{place.gateway.url}/hers/anyones").content == b"x"
    listed = place.alice.list_objects_v2(Bucket="hers", FetchOwner=True)["Contents"]
    assert {entry["Key"]: entry["Owner"]["DisplayName"] for entry in listed} == {
        "anyones": "alice",
        "his": "bob",
        "k": "alice",
    }
    unknown = place.alice.put_object_acl
    assert code_of(unknown, Bucket="hers", Key="k", GrantRead="id=nobody") == "InvalidArgument"
