import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3.cors import (
    RULES_MAX,
    VARY,
    CorsRule,
    cors_configuration,
    find_rule,
    preflight,
    read_cors,
)
from tests.s3.heads import raises_s3

# The example of AWS's guide.
AWS_EXAMPLE = b"""<CORSConfiguration>
 <CORSRule>
   <AllowedOrigin>http://www.example1.com</AllowedOrigin>
   <AllowedMethod>PUT</AllowedMethod>
   <AllowedMethod>POST</AllowedMethod>
   <AllowedMethod>DELETE</AllowedMethod>
   <AllowedHeader>*</AllowedHeader>
 </CORSRule>
 <CORSRule>
   <AllowedOrigin>*</AllowedOrigin>
   <AllowedMethod>GET</AllowedMethod>
   <MaxAgeSeconds>3000</MaxAgeSeconds>
   <ExposeHeader>x-amz-server-side-encryption</ExposeHeader>
   <ExposeHeader>x-amz-request-id</ExposeHeader>
 </CORSRule>
</CORSConfiguration>"""
RULES = read_cors(AWS_EXAMPLE)

WORDS = st.text("ab.-:/", min_size=1, max_size=6)
PATTERNS = st.one_of(WORDS, st.builds("{}*{}".format, WORDS, WORDS), st.just("*"))


def rule_of(content: str) -> bytes:
    return f"<CORSConfiguration><CORSRule>{content}</CORSRule></CORSConfiguration>".encode()


def test_read_cors_of_the_guide_keeps_every_element() -> None:
    assert [
        CorsRule(("http://www.example1.com",), ("PUT", "POST", "DELETE"), ("*",)),
        CorsRule(
            ("*",),
            ("GET",),
            exposed=("x-amz-server-side-encryption", "x-amz-request-id"),
            max_age_s=3000,
        ),
    ] == RULES


@given(
    st.lists(
        st.builds(
            CorsRule,
            origins=st.lists(PATTERNS, min_size=1, max_size=2).map(tuple),
            methods=st.lists(st.sampled_from(["GET", "PUT"]), min_size=1, max_size=2).map(tuple),
            headers=st.lists(PATTERNS, max_size=2).map(tuple),
            exposed=st.lists(st.sampled_from(["ETag", "x-a"]), max_size=2).map(tuple),
            max_age_s=st.none() | st.integers(0, 2**31 - 1),
            id=st.sampled_from(["", "one & <two>"]),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_read_cors_reads_what_was_written(rules: list[CorsRule]) -> None:
    assert read_cors(cors_configuration(rules)) == rules


ORIGIN, METHOD = "<AllowedOrigin>*</AllowedOrigin>", "<AllowedMethod>GET</AllowedMethod>"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MalformedXML"),
        (b"<CORSConfiguration/>", "MalformedXML"),
        (b"<CORSConfiguration><Rule/></CORSConfiguration>", "MalformedXML"),
        (rule_of(ORIGIN), "MalformedXML"),
        (rule_of(METHOD), "MalformedXML"),
        (rule_of(METHOD + "<AllowedOrigin> </AllowedOrigin>"), "MalformedXML"),
        (rule_of(ORIGIN + METHOD + "<MaxAgeSeconds>-1</MaxAgeSeconds>"), "MalformedXML"),
        (rule_of(ORIGIN + METHOD + "<MaxAgeSeconds>1e9</MaxAgeSeconds>"), "MalformedXML"),
        (rule_of(ORIGIN + METHOD + "<MaxAgeSeconds>2147483648</MaxAgeSeconds>"), "MalformedXML"),
        (rule_of(ORIGIN + "<AllowedMethod>PATCH</AllowedMethod>"), "InvalidRequest"),
        (rule_of(ORIGIN + "<AllowedMethod>get</AllowedMethod>"), "InvalidRequest"),
        (rule_of(METHOD + "<AllowedOrigin>*.a.*</AllowedOrigin>"), "InvalidRequest"),
        (rule_of(ORIGIN + METHOD + "<AllowedHeader>x-*-*</AllowedHeader>"), "InvalidRequest"),
        (rule_of(ORIGIN + METHOD + "<ExposeHeader>x-*</ExposeHeader>"), "InvalidRequest"),
        (rule_of(ORIGIN + METHOD + "<ExposeHeader>a\r\nb</ExposeHeader>"), "InvalidRequest"),
        (rule_of(ORIGIN + METHOD + f"<ID>{'i' * 256}</ID>"), "InvalidRequest"),
        (cors_configuration([RULES[0]] * (RULES_MAX + 1)), "InvalidRequest"),
    ],
)
def test_read_cors_what_s3_does_not_take_is_refused(body: bytes, code: str) -> None:
    with raises_s3(code):
        read_cors(body)


@pytest.mark.parametrize(
    ("pattern", "origin", "fits"),
    [
        ("http://*.example.com", "http://a.example.com", True),
        ("http://*.example.com", "http://.example.com", True),
        ("http://*.example.com", "http://example.com", False),
        ("ab*ba", "aba", False),
        ("*", "null", True),
        ("http://a", "http://A", False),
    ],
)
def test_find_rule_wildcard_stands_for_any_characters_or_none(
    pattern: str, origin: str, fits: bool
) -> None:
    rules = [CorsRule((pattern,), ("GET",))]
    assert (find_rule(rules, origin, "GET") is not None) is fits


def test_find_rule_needs_method_and_every_header_in_any_case() -> None:
    rules = [CorsRule(("*",), ("PUT",), ("x-amz-*", "Content-Type"))]
    assert find_rule(rules, "o", "PUT", "X-AMZ-Date, content-type,") is rules[0]
    assert find_rule(rules, "o", "PUT", "x-amz-date, authorization") is None
    assert find_rule(rules, "o", "GET") is None
    assert find_rule([CorsRule(("*",), ("PUT",))], "o", "PUT", "a") is None


def test_preflight_of_the_guide_names_what_is_allowed() -> None:
    origin = "http://www.example1.com"
    found = dict(preflight(RULES, origin, "PUT", "Content-Type, x-a"))
    assert found == {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Methods": "PUT, POST, DELETE",
        "Access-Control-Allow-Headers": "content-type, x-a",
        "Vary": VARY,
    }
    found = dict(preflight(RULES, "http://other", "GET", ""))
    assert found["Access-Control-Allow-Origin"] == "*"
    assert found["Access-Control-Max-Age"] == "3000"
    assert (
        found["Access-Control-Expose-Headers"] == "x-amz-server-side-encryption, x-amz-request-id"
    )
    assert "Access-Control-Allow-Credentials" not in found


@pytest.mark.parametrize(
    ("rules", "origin", "method", "code"),
    [
        (RULES, None, "GET", "BadRequest"),
        (RULES, "http://o", None, "BadRequest"),
        (RULES, "http://o", "PATCH", "BadRequest"),
        (RULES, "http://o", "PUT", "AccessForbidden"),
        (None, "http://o", "GET", "AccessForbidden"),
    ],
)
def test_preflight_that_is_none_or_not_allowed_is_refused(
    rules: list[CorsRule] | None, origin: str | None, method: str | None, code: str
) -> None:
    with raises_s3(code):
        preflight(rules, origin, method, "")


@given(header=st.text("ab*,- ", max_size=20))
def test_preflight_allows_only_names_that_a_rule_allows(header: str) -> None:
    rule = CorsRule(("*",), ("GET",), ("a*",))
    names = [name.strip() for name in header.split(",") if name.strip()]
    found = find_rule([rule], "o", "GET", header)
    assert (found is rule) == all(name.startswith("a") for name in names)
