import msgspec

from s3proxy.s3.placement import Rules


def test_rules_over_base_keep_what_they_say_and_take_the_rest() -> None:
    base = Rules(regions=("fi", "de"), replicas=2, countries=("fi", "de"))
    own = Rules(regions=("de",), write_quorum=2)
    assert own.over(base) == Rules(
        regions=("de",), replicas=2, write_quorum=2, countries=("fi", "de")
    )


def test_rules_that_say_nothing_are_false() -> None:
    assert not Rules()
    assert Rules(features=("object-lock",))


def test_rules_are_kept_as_an_array_that_may_grow() -> None:
    rules = Rules(regions=("fi",), replicas=2)
    kept = msgspec.msgpack.encode(rules)
    assert msgspec.msgpack.decode(kept)[:2] == [["fi"], 2]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode([["fi"], 2]), type=Rules) == rules
