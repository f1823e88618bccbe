"""`s3proxy user policy …` beside a running gateway: it holds for the very next request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.faults.traces import logged_bugs
from tests.gateways import Gateway, client

pytestmark = pytest.mark.slow

# A user may list and use what lies under their own name, and delete nothing.
HOME_FOLDERS = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": "arn:aws:s3:::homes",
            "Condition": {"StringLike": {"s3:prefix": ["${aws:username}/*"]}},
        },
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
            "Resource": "arn:aws:s3:::homes/${aws:username}/*",
        },
        {"Effect": "Deny", "Action": "s3:DeleteObject*", "Resource": "*"},
    ],
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("users")) as gateway:
        gateway.client().create_bucket(Bucket="homes")
        yield gateway
        assert logged_bugs(gateway) == []


def run(gateway: Gateway, *arguments: str) -> str:
    done = gateway.run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def user(gateway: Gateway, name: str) -> Any:
    """A boto3 client of a new key of the user."""
    key = json.loads(run(gateway, "key", "create", "--user", name, "--json"))
    return client(gateway.url, key["access_key"], key["secret_key"])


def refused(ask: Callable[..., Any], **arguments: Any) -> bool:
    try:
        ask(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "AccessDenied"
        return True
    return False


def test_policy_of_a_user_gives_a_home_and_no_more(gateway: Gateway, tmp_path: Path) -> None:
    alice, bob = user(gateway, "alice"), user(gateway, "bob")
    assert refused(alice.put_object, Bucket="homes", Key="alice/k", Body=b"x")
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(HOME_FOLDERS))
    for name in ("alice", "bob"):
        run(gateway, "user", "policy", "set", name, str(file))
    for name, own, other in (("alice", alice, bob), ("bob", bob, alice)):
        key, prefix = f"{name}/k", f"{name}/"
        assert not refused(own.put_object, Bucket="homes", Key=key, Body=b"x")
        assert not refused(own.get_object, Bucket="homes", Key=key)
        assert refused(other.get_object, Bucket="homes", Key=key)
        assert refused(other.put_object, Bucket="homes", Key=key, Body=b"y")
        assert not refused(own.list_objects_v2, Bucket="homes", Prefix=prefix)
        assert refused(other.list_objects_v2, Bucket="homes", Prefix=prefix)
        assert refused(own.list_objects_v2, Bucket="homes")
        assert refused(own.delete_object, Bucket="homes", Key=key)
        assert refused(own.create_bucket, Bucket=f"of-{name}")


def test_policy_of_a_user_is_gone_when_it_was_deleted(gateway: Gateway, tmp_path: Path) -> None:
    carol = user(gateway, "carol")
    file = tmp_path / "policy.json"
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    file.write_text(json.dumps({"Statement": statement}))
    assert refused(carol.list_objects_v2, Bucket="homes")
    run(gateway, "user", "policy", "set", "carol", str(file))
    assert not refused(carol.list_objects_v2, Bucket="homes")
    assert json.loads(run(gateway, "user", "policy", "show", "carol"))["Statement"] == statement
    listed = json.loads(run(gateway, "user", "list", "--json"))
    assert {each["name"]: each["policy"] for each in listed}["carol"] is True
    run(gateway, "user", "policy", "delete", "carol")
    assert refused(carol.list_objects_v2, Bucket="homes")
