"""`s3proxy user`: whose policies are set, shown, deleted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.commands import created, refusal, run

POLICY = """{
  "Version": "2012-10-17",
  "Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::photos/*"}
}"""


def users() -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(run("user", "list", "--json").stdout)
    return found


def test_user_list_tells_who_has_a_policy() -> None:
    alice, bob = created("alice"), created("bob")
    Path("policy.json").write_text(POLICY)
    assert run("user", "policy", "set", "bob", "policy.json").output == "set the policy of bob\n"
    assert [(user["name"], user["user_id"], user["policy"]) for user in users()] == [
        ("alice", alice["user_id"], False),
        ("bob", bob["user_id"], True),
    ]
    lines = run("user", "list").output.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [
        ["alice", alice["user_id"], "none"],
        ["bob", bob["user_id"], "yes"],
    ]


def test_user_policy_is_shown_as_it_was_set_until_it_is_deleted() -> None:
    created("alice")
    assert run("user", "policy", "set", "alice", stdin=f"{POLICY}\n").exit_code == 0
    assert run("user", "policy", "show", "alice").output == f"{POLICY}\n"
    assert run("user", "policy", "delete", "alice").output == "deleted the policy of alice\n"
    assert refusal("user", "policy", "show", "alice") == "alice has no policy"
    assert run("user", "policy", "delete", "alice").exit_code == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Policies must be valid JSON and the first byte must be '{'"),
        (
            POLICY.replace('Get*",', 'Get*"'),
            "This policy contains invalid Json:"
            " Expecting ',' delimiter: line 3 column 56 (char 84)",
        ),
        (
            POLICY.replace('"Action"', '"Effect"'),
            "This policy contains invalid Json: Effect stands there twice",
        ),
        (POLICY.replace("s3:Get*", "s3:Gte*"), "Policy has invalid action: s3:Gte*"),
        (POLICY.replace("arn:aws:s3:::photos/*", "photos"), "Policy has invalid resource: photos"),
        (
            POLICY.replace('"Effect"', '"Principal": "*", "Effect"'),
            "Policy document should not specify a principal.",
        ),
        (
            "{" + " " * 100_000 + "}",
            "Normalized policy document exceeds the maximum allowed size of 20480 bytes",
        ),
    ],
)
def test_user_policy_set_wrong_document_says_what_and_keeps_the_old(text: str, reason: str) -> None:
    created("alice")
    run("user", "policy", "set", "alice", stdin=POLICY)
    Path("policy.json").write_text(text)
    assert refusal("user", "policy", "set", "alice", "policy.json") == f"policy.json: {reason}"
    assert run("user", "policy", "show", "alice").output == f"{POLICY}\n"


def test_user_policy_set_file_that_is_absent_is_a_usage_error() -> None:
    result = run("user", "policy", "set", "alice", "absent.json")
    assert result.exit_code == 2
    assert "absent.json" in result.output


@pytest.mark.parametrize("command", [("list",), ("policy", "show", "a"), ("policy", "delete", "a")])
def test_user_commands_beside_no_catalog_say_so_and_make_none(command: tuple[str, ...]) -> None:
    assert refusal("user", *command).startswith("data.dir ./data: no catalog is there; ")
    assert not Path("data").exists()


@pytest.mark.parametrize("command", ["set", "show", "delete"])
def test_user_policy_of_nobody_is_refused(command: str) -> None:
    created("alice")
    Path("policy.json").write_text(POLICY)
    file = ["policy.json"] if command == "set" else []
    assert refusal("user", "policy", command, "bob", *file) == "there is no user bob"
