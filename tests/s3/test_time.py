import email.utils
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3.time import http_date, iso8601, parse_http_date

SECONDS = st.integers(0, 4_102_444_799)
EXAMPLE_S = 784111777  # the example of RFC 9110 §5.6.7


def test_http_date_is_an_imf_fixdate() -> None:
    assert http_date(EXAMPLE_S * 10**9 + 999_999_999) == "Sun, 06 Nov 1994 08:49:37 GMT"


@given(SECONDS)
def test_http_date_equals_the_standard_library(seconds: int) -> None:
    assert http_date(seconds * 10**9) == email.utils.formatdate(seconds, usegmt=True)


@given(SECONDS, st.integers(0, 10**9 - 1))
def test_iso8601_equals_datetime(seconds: int, ns: int) -> None:
    expected = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    assert iso8601(seconds * 10**9 + ns) == f"{expected}.{ns // 10**6:03}Z"


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 +0000",
    ],
)
def test_parse_http_date_takes_all_forms(text: str) -> None:
    assert parse_http_date(text) == EXAMPLE_S


@given(SECONDS)
def test_parse_http_date_reverses_http_date(seconds: int) -> None:
    assert parse_http_date(http_date(seconds * 10**9)) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        '"etag"',
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nob 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sun, x Nov 1994 08:49:37 GMT",
        "Sun, 06-Nov 08:49:37 GMT",
        "1994-11-06T08:49:37Z",
    ],
)
def test_parse_http_date_of_something_else_is_none(text: str) -> None:
    assert parse_http_date(text) is None


@given(st.text())
def test_parse_http_date_never_fails(text: str) -> None:
    parse_http_date(text)
