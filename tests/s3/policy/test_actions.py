import pytest

from s3proxy.ops.table import OPERATIONS
from s3proxy.s3.policy import ABSENT_KEYS, ACTIONS, CONDITION_KEYS, TAG_KEY_PREFIXES
from s3proxy.s3.policy.actions import find_actions
from s3proxy.s3.policy.keys import canonical_key, carriers


def test_actions_have_that_of_every_operation() -> None:
    assert {operation.action for operation in OPERATIONS.values()} <= ACTIONS.keys()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("s3:GetObject", {"s3:GetObject"}),
        ("S3:getOBJECT", {"s3:GetObject"}),
        ("s3:?etBucketLocation", {"s3:GetBucketLocation"}),
        ("s3:*BucketPolicy", {f"s3:{verb}BucketPolicy" for verb in ("Get", "Put", "Delete")}),
        ("s3:*", set(ACTIONS)),
        ("*", set(ACTIONS)),
        ("s3*", set(ACTIONS)),
        ("*:GetObject", {"s3:GetObject"}),
        ("s3:", set()),
        ("ec2:*", set()),
        ("", set()),
    ],
)
def test_find_actions_by_text(text: str, found: set[str]) -> None:
    assert find_actions(text) == found


def test_keys_of_conditions_are_told_apart() -> None:
    assert not CONDITION_KEYS & ABSENT_KEYS
    for key in CONDITION_KEYS | ABSENT_KEYS:
        assert canonical_key(key.upper()) == key
    for prefix in TAG_KEY_PREFIXES:
        assert canonical_key(prefix.upper() + "Team/A") == prefix + "Team/A"
        assert canonical_key(prefix) is None
    assert canonical_key("s3:prefix/a") is None


def test_carriers_are_known_actions() -> None:
    for key in (*CONDITION_KEYS, *(prefix + "x" for prefix in TAG_KEY_PREFIXES)):
        named = carriers(key)
        assert named is None or named <= ACTIONS.keys(), key
    assert carriers("s3:existingobjecttag/a") == carriers("s3:existingobjecttag/B")
    assert carriers("aws:sourceip") is None
