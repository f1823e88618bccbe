import pytest

from s3proxy.s3.conditions import (
    NotModified,
    WriteCondition,
    check_copy_source,
    check_read,
    matches_strongly,
    matches_weakly,
    parse_write_condition,
    range_applies,
    unquote_etag,
)
from s3proxy.s3.time import http_date
from tests.s3.heads import make_head, raises_s3

ETAG = "9b2cf535f27731c974343645a3985328"
MODIFIED_NS = 1_700_000_000_500_000_000
SAME = http_date(MODIFIED_NS)
BEFORE = http_date(MODIFIED_NS - 10**9)
AFTER = http_date(MODIFIED_NS + 10**9)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"if_match": f'"{ETAG}"'},
        {"if_match": ETAG},
        {"if_match": "*"},
        {"if_match": f'"x", "{ETAG}"'},
        {"if_none_match": '"x"'},
        {"if_none_match": '"x", W/"y"'},
        {"if_unmodified_since": SAME},
        {"if_unmodified_since": AFTER},
        {"if_unmodified_since": "never"},
        {"if_modified_since": BEFORE},
        {"if_modified_since": "never"},
        # A header about the ETag makes its partner about the date moot.
        {"if_match": f'"{ETAG}"', "if_unmodified_since": BEFORE},
        {"if_none_match": '"x"', "if_modified_since": AFTER},
    ],
)
def test_check_read_of_conditions_that_hold_passes(headers: dict[str, str]) -> None:
    check_read(make_head(**headers), ETAG, MODIFIED_NS)


@pytest.mark.parametrize(
    ("headers", "condition"),
    [
        ({"if_match": '"x"'}, "If-Match"),
        ({"if_match": f'W/"{ETAG}"'}, "If-Match"),
        ({"if_match": ""}, "If-Match"),
        ({"if_unmodified_since": BEFORE}, "If-Unmodified-Since"),
        # The 412 comes before the 304.
        ({"if_match": '"x"', "if_none_match": f'"{ETAG}"'}, "If-Match"),
        ({"if_match": '"x"', "if_unmodified_since": AFTER}, "If-Match"),
    ],
)
def test_check_read_of_a_failed_precondition_is_412(
    headers: dict[str, str], condition: str
) -> None:
    with raises_s3("PreconditionFailed") as caught:
        check_read(make_head(**headers), ETAG, MODIFIED_NS)
    assert caught.value.fields == {"Condition": condition}


@pytest.mark.parametrize(
    "headers",
    [
        {"if_none_match": f'"{ETAG}"'},
        {"if_none_match": ETAG},
        {"if_none_match": f'W/"{ETAG}"'},
        {"if_none_match": f'"x","{ETAG}"'},
        {"if_none_match": "*"},
        {"if_modified_since": SAME},
        {"if_modified_since": AFTER},
        {"if_none_match": f'"{ETAG}"', "if_modified_since": BEFORE},
        {"if_match": f'"{ETAG}"', "if_none_match": f'"{ETAG}"'},
    ],
)
def test_check_read_of_a_current_copy_is_not_modified(headers: dict[str, str]) -> None:
    with pytest.raises(NotModified) as caught:
        check_read(make_head(**headers), ETAG, MODIFIED_NS)
    assert (caught.value.etag, caught.value.modified_ns) == (ETAG, MODIFIED_NS)


def copy_headers(headers: dict[str, str]) -> dict[str, str]:
    return {f"x_amz_copy_source_{name}": value for name, value in headers.items()}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"if_match": f'"{ETAG}"'},
        {"if_none_match": '"x"'},
        {"if_unmodified_since": SAME},
        {"if_modified_since": BEFORE},
        {"if_match": f'"{ETAG}"', "if_unmodified_since": BEFORE},
        {"if_none_match": '"x"', "if_modified_since": AFTER},
    ],
)
def test_check_copy_source_of_conditions_that_hold_passes(headers: dict[str, str]) -> None:
    check_copy_source(make_head("PUT", **copy_headers(headers)), ETAG, MODIFIED_NS)


@pytest.mark.parametrize(
    ("headers", "condition"),
    [
        ({"if_match": '"x"'}, "if-match"),
        ({"if_none_match": f'"{ETAG}"'}, "if-none-match"),
        ({"if_unmodified_since": BEFORE}, "if-unmodified-since"),
        ({"if_modified_since": SAME}, "if-modified-since"),
        ({"if_none_match": f'"{ETAG}"', "if_modified_since": BEFORE}, "if-none-match"),
        ({"if_match": '"x"', "if_modified_since": AFTER}, "if-match"),
    ],
)
def test_check_copy_source_otherwise_is_always_412(headers: dict[str, str], condition: str) -> None:
    with raises_s3("PreconditionFailed") as caught:
        check_copy_source(make_head("PUT", **copy_headers(headers)), ETAG, MODIFIED_NS)
    assert caught.value.fields == {"Condition": f"x-amz-copy-source-{condition}"}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"if_none_match": "*"}, WriteCondition(if_none_match_any=True)),
        ({"if_match": f'"{ETAG}"'}, WriteCondition(if_match=ETAG)),
        ({"if_match": ETAG}, WriteCondition(if_match=ETAG)),
        ({"if_match": "*"}, WriteCondition(if_match="*")),
    ],
)
def test_parse_write_condition_reads_the_two_forms(
    headers: dict[str, str], expected: WriteCondition | None
) -> None:
    assert parse_write_condition(make_head("PUT", **headers)) == expected


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"if_none_match": f'"{ETAG}"'}, "If-None-Match"),
        ({"if_none_match": "*", "if_match": "*"}, "If-None-Match"),
        ({"if_match": f'"{ETAG}", "x"'}, "If-Match"),
    ],
)
def test_parse_write_condition_of_another_form_is_not_implemented(
    headers: dict[str, str], name: str
) -> None:
    with raises_s3("NotImplemented") as caught:
        parse_write_condition(make_head("PUT", **headers))
    assert caught.value.fields == {"Header": name}


@pytest.mark.parametrize(
    ("condition", "current"),
    [
        (WriteCondition(), None),
        (WriteCondition(), ETAG),
        (WriteCondition(if_none_match_any=True), None),
        (WriteCondition(if_match=ETAG), ETAG),
        (WriteCondition(if_match="*"), ETAG),
    ],
)
def test_write_condition_that_holds_passes(condition: WriteCondition, current: str | None) -> None:
    condition.check(current)


@pytest.mark.parametrize(
    ("condition", "current", "code"),
    [
        (WriteCondition(if_none_match_any=True), ETAG, "PreconditionFailed"),
        (WriteCondition(if_match="x"), ETAG, "PreconditionFailed"),
        (WriteCondition(if_match=ETAG), None, "NoSuchKey"),
        (WriteCondition(if_match="*"), None, "NoSuchKey"),
    ],
)
def test_write_condition_that_fails_raises(
    condition: WriteCondition, current: str | None, code: str
) -> None:
    with raises_s3(code):
        condition.check(current)


@pytest.mark.parametrize(
    ("if_range", "applies"),
    [
        (f'"{ETAG}"', True),
        (ETAG, True),
        ('"x"', False),
        (f'W/"{ETAG}"', False),
        (SAME, True),
        (BEFORE, False),
        (AFTER, False),
    ],
)
def test_range_applies_when_if_range_names_this_object(if_range: str, applies: bool) -> None:
    assert range_applies(make_head(if_range=if_range), ETAG, MODIFIED_NS) is applies


def test_range_applies_without_if_range() -> None:
    assert range_applies(make_head(), ETAG, MODIFIED_NS)


def test_matches_of_weak_tags_differ() -> None:
    assert matches_weakly(f'W/"{ETAG}"', ETAG)
    assert not matches_strongly(f'W/"{ETAG}"', ETAG)


@pytest.mark.parametrize(
    ("tag", "bare"), [('"a"', "a"), ("a", "a"), (' "a" ', "a"), ('""', ""), ('"', '"'), ("", "")]
)
def test_unquote_etag_takes_the_quotes_off(tag: str, bare: str) -> None:
    assert unquote_etag(tag) == bare
