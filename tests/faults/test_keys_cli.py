"""`s3proxy key …` beside a running gateway: what it does holds for the very next request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.traces import logged_bugs
from tests.faults.wire import Answer, Wire, signed_head
from tests.gateways import ACCESS_KEY, SECRET_KEY, Gateway

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("keys")) as gateway:
        yield gateway
        assert logged_bugs(gateway) == []


@pytest.fixture
def wire(gateway: Gateway) -> Iterator[Wire]:
    """One connection for a whole test, so that nothing depends on a new one being made."""
    with Wire(gateway.port) as wire:
        yield wire


def run(gateway: Gateway, *arguments: str) -> str:
    done = gateway.run("key", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def create(gateway: Gateway, user: str) -> dict[str, Any]:
    key: dict[str, Any] = json.loads(run(gateway, "create", "--user", user, "--json"))
    return key


def listed(gateway: Gateway) -> dict[str, dict[str, Any]]:
    return {key["access_key"]: key for key in json.loads(run(gateway, "list", "--json"))}


def as_user(gateway: Gateway, wire: Wire, key: dict[str, Any], target: str = "/") -> Answer:
    credentials = {"access_key": key["access_key"], "secret_key": key["secret_key"]}
    wire.send(signed_head(gateway.port, "GET", target, **credentials).data)
    return wire.read_answer()


def test_key_created_beside_a_gateway_works_at_once(gateway: Gateway, wire: Wire) -> None:
    unknown = {"access_key": "AKIANOBODY0000000000", "secret_key": "secret"}
    assert as_user(gateway, wire, unknown).code == "InvalidAccessKeyId"
    key = create(gateway, "alice")
    assert key["user"] == "alice"
    assert key["user_id"]
    answer = as_user(gateway, wire, key)
    assert answer.status == 200
    assert b"<DisplayName>alice</DisplayName>" in answer.body
    assert f"<ID>{key['user_id']}</ID>".encode() in answer.body
    wrong = {**key, "secret_key": key["secret_key"][::-1]}
    assert as_user(gateway, wire, wrong).code == "SignatureDoesNotMatch"


def test_key_disabled_is_refused_with_the_very_next_request(gateway: Gateway, wire: Wire) -> None:
    key = create(gateway, "bob")
    other = create(gateway, "bob")
    assert other["user_id"] == key["user_id"]
    assert other["access_key"] != key["access_key"]
    assert as_user(gateway, wire, key).status == 200
    run(gateway, "disable", key["access_key"])
    answer = as_user(gateway, wire, key)
    assert (answer.status, answer.code) == (403, "InvalidAccessKeyId")
    assert as_user(gateway, wire, other).status == 200
    run(gateway, "enable", key["access_key"])
    assert as_user(gateway, wire, key).status == 200


def test_key_list_shows_states_and_no_secrets(gateway: Gateway) -> None:
    key = create(gateway, "dave")
    assert listed(gateway)[key["access_key"]]["enabled"] is True
    run(gateway, "disable", key["access_key"])
    found = listed(gateway)
    assert found[key["access_key"]]["enabled"] is False
    assert found[ACCESS_KEY]["user"] == "root"
    text = run(gateway, "list") + json.dumps(found)
    assert key["access_key"] in text
    for secret in (key["secret_key"], SECRET_KEY):
        assert secret not in text
    assert "secret" not in json.dumps(found)


def test_key_disable_of_an_unknown_key_is_one_line(gateway: Gateway) -> None:
    done = gateway.run("key", "disable", "AKIANOBODY0000000000")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("s3proxy: ")
    assert len(done.stderr.splitlines()) == 1
    assert "AKIANOBODY0000000000" in done.stderr


def test_keys_outlive_a_restart(gateway: Gateway, wire: Wire) -> None:
    key, gone = create(gateway, "erin"), create(gateway, "erin")
    run(gateway, "disable", gone["access_key"])
    assert gateway.stop() == 0
    gateway.start()
    with Wire(gateway.port) as again:
        assert as_user(gateway, again, key).status == 200
        assert as_user(gateway, again, gone).code == "InvalidAccessKeyId"


def test_secrets_are_sealed_on_disk(gateway: Gateway) -> None:
    key = create(gateway, "frank")
    for path in (gateway.folder / "data").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert key["secret_key"].encode() not in data, path
            assert SECRET_KEY.encode() not in data, path
    assert ((gateway.folder / "data" / "master.key").stat().st_mode & 0o777) == 0o600
