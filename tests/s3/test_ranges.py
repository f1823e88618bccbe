import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3.ranges import content_range, parse_copy_range, parse_range
from tests.s3.heads import raises_s3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("bytes=0-0", (0, 0)),
        ("bytes=0-9", (0, 9)),
        ("bytes=0-99", (0, 9)),
        ("bytes=0-" + "9" * 5000, (0, 9)),
        ("bytes=5-", (5, 9)),
        ("bytes=9-9", (9, 9)),
        ("bytes=-3", (7, 9)),
        ("bytes=-10", (0, 9)),
        ("bytes=-" + "9" * 30, (0, 9)),
        ("bytes= 2-3 ", (2, 3)),
        ("bytes=007-8", (7, 8)),
    ],
)
def test_parse_range_satisfiable_gives_offsets(
    value: str | None, expected: tuple[int, int] | None
) -> None:
    assert parse_range(value, 10) == expected


@pytest.mark.parametrize(
    "value",
    [
        *("", "bytes", "bytes=", "bytes=-", "bytes=5-3", "bytes=a-b", "bytes=0-1,3-4", "items=0-1"),
        *("bytes=+1-2", "bytes=1-2-3", "bytes=--1", "bytes=0x1-2", "bytes=²-3", "Bytes=0-1"),
    ],
)
def test_parse_range_malformed_or_several_means_whole(value: str) -> None:
    assert parse_range(value, 10) is None


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("bytes=10-", 10),
        ("bytes=10-12", 10),
        ("bytes=-0", 10),
        ("bytes=0-", 0),
        ("bytes=0-0", 0),
        ("bytes=-1", 0),
        ("bytes=" + "9" * 5000 + "-", 10),
    ],
)
def test_parse_range_unsatisfiable_is_invalid_range(value: str, size: int) -> None:
    with raises_s3("InvalidRange") as caught:
        parse_range(value, size)
    assert caught.value.fields == {"RangeRequested": value, "ActualObjectSize": str(size)}


@given(st.text(), st.integers(0, 100))
def test_parse_range_of_anything_stays_within(text: str, size: int) -> None:
    try:
        found = parse_range("bytes=" + text, size)
    except Exception as error:
        assert getattr(error, "code", "") == "InvalidRange"
    else:
        assert found is None or 0 <= found[0] <= found[1] < size


@pytest.mark.parametrize(
    ("value", "expected"), [(None, None), ("bytes=0-9", (0, 9)), ("bytes=3-3", (3, 3))]
)
def test_parse_copy_range_within_source_gives_offsets(
    value: str | None, expected: tuple[int, int] | None
) -> None:
    assert parse_copy_range(value, 10) == expected


@pytest.mark.parametrize(
    "value",
    ["", "0-9", "bytes=-3", "bytes=3-", "bytes=4-3", "bytes=a-b", "bytes=1-2,4-5"],
)
def test_parse_copy_range_otherwise_is_invalid(value: str) -> None:
    with raises_s3("InvalidArgument") as caught:
        parse_copy_range(value, 10)
    assert caught.value.fields["ArgumentName"] == "x-amz-copy-source-range"


def test_parse_copy_range_beyond_the_source_is_refused() -> None:
    with raises_s3("InvalidRange") as caught:
        parse_copy_range("bytes=0-10", 10)
    assert caught.value.fields == {"RangeRequested": "bytes=0-10", "ActualObjectSize": "10"}


def test_content_range_is_inclusive() -> None:
    assert content_range(0, 4, 10) == "bytes 0-4/10"
