"""Lifecycle documents: what is read, refused, and written again."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3.lifecycle import (
    ALL_128K,
    DAY_NS,
    VARIES,
    WATERFALL,
    Expiration,
    Filter,
    Lifecycle,
    NoncurrentExpiration,
    Rule,
    Transition,
)
from s3proxy.s3.lifecycle_xml import (
    lifecycle_configuration,
    minimum_header,
    read_lifecycle,
    read_minimum,
)
from tests.s3.documents import parse
from tests.s3.heads import make_head, raises_s3

DAYS = "<Expiration><Days>1</Days></Expiration>"


def document(*rules: str) -> bytes:
    content = "".join(f"<Rule>{rule}</Rule>" for rule in rules)
    return f"<LifecycleConfiguration>{content}</LifecycleConfiguration>".encode()


def rule(content: str, scope: str = "<Filter/>", name: str = "r") -> bytes:
    return document(f"<ID>{name}</ID>{scope}<Status>Enabled</Status>{content}")


def test_read_the_form_with_a_prefix_of_its_own() -> None:
    found = read_lifecycle(rule(DAYS, "<Prefix>logs/</Prefix>"))
    assert found == Lifecycle(
        (Rule("r", True, Filter("logs/", form="prefix"), Expiration(days=1)),), ALL_128K
    )


def test_read_everything_a_rule_can_say() -> None:
    scope = (
        "<Filter><And><Prefix>a</Prefix><Tag><Key>k</Key><Value>v</Value></Tag>"
        "<Tag><Key>l</Key><Value/></Tag><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan>"
        "<ObjectSizeLessThan>9</ObjectSizeLessThan></And></Filter>"
    )
    content = (
        "<Transition><Days>40</Days><StorageClass>GLACIER</StorageClass></Transition>"
        "<Transition><Days>30</Days><StorageClass>STANDARD_IA</StorageClass></Transition>"
        "<Expiration><Days>41</Days></Expiration>"
        "<NoncurrentVersionTransition><NoncurrentDays>3</NoncurrentDays>"
        "<StorageClass>GLACIER_IR</StorageClass><NewerNoncurrentVersions>2"
        "</NewerNoncurrentVersions></NoncurrentVersionTransition>"
        "<NoncurrentVersionExpiration><NoncurrentDays>9</NoncurrentDays>"
        "<NewerNoncurrentVersions>5</NewerNoncurrentVersions></NoncurrentVersionExpiration>"
    )
    (found,) = read_lifecycle(rule(content, scope)).rules
    assert found.filter == Filter("a", (("k", "v"), ("l", "")), 1, 9, "and")
    assert found.transitions == (Transition("GLACIER", 40), Transition("STANDARD_IA", 30))
    assert found.noncurrent_transitions == (Transition("GLACIER_IR", 3, newer=2),)
    assert found.noncurrent_expiration == NoncurrentExpiration(9, 5)


@pytest.mark.parametrize(
    "text",
    ["2017-09-27T00:00:00Z", "2017-09-27", "2017-09-27T00:00:00.000Z", "2017-09-27T02:00:00+02:00"],
)
def test_read_date_is_midnight(text: str) -> None:
    (found,) = read_lifecycle(rule(f"<Expiration><Date>{text}</Date></Expiration>")).rules
    assert found.expiration == Expiration(date_ns=1_506_470_400_000_000_000)


@pytest.mark.parametrize(
    ("code", "scope", "content"),
    [
        ("MalformedXML", "", DAYS),
        ("MalformedXML", "<Prefix/><Filter/>", DAYS),
        ("MalformedXML", "<Filter/><Filter/>", DAYS),
        ("MalformedXML", "<Filter><Prefix>a</Prefix><Prefix>b</Prefix></Filter>", DAYS),
        ("MalformedXML", "<Filter><And><Prefix>a</Prefix></And></Filter>", DAYS),
        ("MalformedXML", "<Filter><Tag><Key>k</Key></Tag></Filter>", DAYS),
        ("MalformedXML", "<Filter><ObjectSizeLessThan>x</ObjectSizeLessThan></Filter>", DAYS),
        ("MalformedXML", "<Filter/>", "<Expiration/>"),
        ("MalformedXML", "<Filter/>", "<Expiration><Days>1.5</Days></Expiration>"),
        ("MalformedXML", "<Filter/>", "<Expiration><Date>20200101</Date></Expiration>"),
        ("MalformedXML", "<Filter/>", "<Expiration><Date>2020-13-01</Date></Expiration>"),
        ("MalformedXML", "<Filter/>", DAYS + "<Moon/>"),
        ("MalformedXML", "<Filter/>", DAYS + DAYS),
        ("MalformedXML", "<Filter/>", "<NoncurrentVersionExpiration/>"),
        ("MalformedXML", "<Filter/>", "<AbortIncompleteMultipartUpload/>"),
        ("MalformedXML", "<Filter/>", "<Transition><Days>1</Days></Transition>"),
        (
            "MalformedXML",
            "<Filter/>",
            "<Transition><Days>1</Days><StorageClass>MOON</StorageClass></Transition>",
        ),
        (
            "MalformedXML",
            "<Filter/>",
            "<Expiration><Days>1</Days><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker>"
            "</Expiration>",
        ),
        ("InvalidArgument", "<Filter/>", "<Expiration><Days>0</Days></Expiration>"),
        ("InvalidArgument", "<Filter/>", "<Expiration><Days>-1</Days></Expiration>"),
        ("InvalidArgument", "<Filter/>", "<Expiration><Days>2147483648</Days></Expiration>"),
        (
            "InvalidArgument",
            "<Filter/>",
            "<Expiration><Date>2020-01-01T00:00:01Z</Date></Expiration>",
        ),
        (
            "InvalidArgument",
            "<Filter/>",
            "<NoncurrentVersionExpiration><NoncurrentDays>0</NoncurrentDays>"
            "</NoncurrentVersionExpiration>",
        ),
        (
            "InvalidArgument",
            "<Filter/>",
            "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays>"
            "<NewerNoncurrentVersions>101</NewerNoncurrentVersions></NoncurrentVersionExpiration>",
        ),
        (
            "InvalidRequest",
            "<Prefix/>",
            "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays>"
            "<NewerNoncurrentVersions>1</NewerNoncurrentVersions></NoncurrentVersionExpiration>",
        ),
        (
            "InvalidArgument",
            "<Filter/>",
            "<AbortIncompleteMultipartUpload><DaysAfterInitiation>0</DaysAfterInitiation>"
            "</AbortIncompleteMultipartUpload>",
        ),
        (
            "InvalidRequest",
            "<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>",
            "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation>"
            "</AbortIncompleteMultipartUpload>",
        ),
        (
            "InvalidRequest",
            "<Filter><ObjectSizeLessThan>1</ObjectSizeLessThan></Filter>",
            "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>",
        ),
        ("InvalidRequest", "<Filter/>", ""),
        (
            "InvalidRequest",
            "<Filter><And><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan>"
            "<ObjectSizeLessThan>5</ObjectSizeLessThan></And></Filter>",
            DAYS,
        ),
        (
            "InvalidRequest",
            "<Filter><And><Tag><Key>k</Key><Value>1</Value></Tag>"
            "<Tag><Key>k</Key><Value>2</Value></Tag></And></Filter>",
            DAYS,
        ),
        ("InvalidRequest", f"<Filter><Prefix>{'p' * 1025}</Prefix></Filter>", DAYS),
        (
            "InvalidArgument",
            "<Filter/>",
            "<Transition><Days>29</Days><StorageClass>STANDARD_IA</StorageClass></Transition>",
        ),
        (
            "InvalidArgument",
            "<Filter/>",
            "<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>" + DAYS,
        ),
        (
            "InvalidRequest",
            "<Filter/>",
            "<Transition><Date>2020-01-01</Date><StorageClass>GLACIER</StorageClass></Transition>"
            + DAYS,
        ),
        (
            "InvalidRequest",
            "<Filter/>",
            "<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>"
            "<Transition><Days>2</Days><StorageClass>GLACIER</StorageClass></Transition>",
        ),
    ],
)
def test_read_rule_that_s3_refuses(code: str, scope: str, content: str) -> None:
    with raises_s3(code):
        read_lifecycle(rule(content, scope))


def test_read_rules_together() -> None:
    one = "<ID>1</ID>{}<Status>Enabled</Status>" + DAYS
    two = one.replace("<ID>1<", "<ID>2<")
    with raises_s3("MalformedXML"):
        read_lifecycle(document())
    with raises_s3("InvalidArgument"):
        read_lifecycle(document(one.format("<Filter/>"), one.format("<Filter/>")))
    with raises_s3("InvalidRequest"):
        read_lifecycle(document(one.format("<Filter/>"), two.format("<Prefix/>")))
    with raises_s3("InvalidRequest"):
        read_lifecycle(
            document(one.format("<Prefix>a</Prefix>"), two.format("<Prefix>ab</Prefix>"))
        )
    apart = document(one.format("<Prefix>a</Prefix>"), two.format("<Prefix>b</Prefix>"))
    assert len(read_lifecycle(apart).rules) == 2
    over = document(one.format("<Filter/>"), two.format("<Filter/>"))
    assert len(read_lifecycle(over).rules) == 2


def test_read_bounds_of_rules_and_ids() -> None:
    many = [f"<Filter/><Status>Disabled</Status>{DAYS}"] * 1000
    assert len({one.id for one in read_lifecycle(document(*many)).rules}) == 1000
    with raises_s3("InvalidRequest"):
        read_lifecycle(document(*many, many[0]))
    assert read_lifecycle(rule(DAYS, name="i" * 255)).rules[0].id == "i" * 255
    with raises_s3("InvalidArgument"):
        read_lifecycle(rule(DAYS, name="i" * 256))
    with raises_s3("MaxMessageLengthExceeded"):
        read_lifecycle(document("<!--" + "x" * 600_000 + "-->"))
    with raises_s3("MalformedXML"):
        read_lifecycle(rule(DAYS).replace(b"Enabled", b"enabled"))


def test_ids_are_made_the_same_for_the_same_document() -> None:
    body = document(f"<Filter/><Status>Enabled</Status>{DAYS}")
    assert read_lifecycle(body) == read_lifecycle(body)
    assert 0 < len(read_lifecycle(body).rules[0].id) <= 255


def test_minimum_is_kept_beside_the_rules_and_told_in_the_header() -> None:
    head = make_head(x_amz_transition_default_minimum_object_size=VARIES)
    assert read_minimum(head) == VARIES
    assert read_minimum(make_head()) == ALL_128K
    with raises_s3("InvalidRequest"):
        read_minimum(make_head(x_amz_transition_default_minimum_object_size="none"))
    lifecycle = read_lifecycle(rule(DAYS), VARIES)
    kept = read_lifecycle(lifecycle_configuration(lifecycle, kept=True))
    assert kept == lifecycle
    assert minimum_header(kept)[1] == VARIES
    assert VARIES.encode() not in lifecycle_configuration(lifecycle)


TEXT = st.text("ab/<&é", max_size=3)
NUMBERS = st.integers(1, 60)
NEWER = st.none() | st.integers(1, 100)


@st.composite
def filters(draw: Any) -> Filter:
    prefix = draw(st.none() | TEXT)
    tags = tuple(draw(st.dictionaries(st.text("kl", min_size=1, max_size=2), TEXT)).items())
    above = draw(st.none() | NUMBERS)
    below = draw(st.none() | st.integers(61, 99))
    count = len(tags) + sum(value is not None for value in (prefix, above, below))
    return Filter(prefix, tags, above, below, "and" if count > 1 else "filter")


@st.composite
def rules(draw: Any, name: str) -> Rule:
    wanted = draw(filters())
    classes = draw(st.sets(st.sampled_from(WATERFALL[3:]).filter(lambda c: c != "ONEZONE_IA")))
    moves = tuple(Transition(one, draw(st.integers(0, 60))) for one in sorted(classes))
    return Rule(
        name,
        draw(st.booleans()),
        wanted,
        Expiration(days=61),
        draw(st.none() | st.builds(NoncurrentExpiration, st.integers(61, 90), NEWER)),
        None if wanted.tags or wanted.sized else draw(st.none() | NUMBERS),
        moves,
        tuple(Transition(one.storage_class, draw(NUMBERS), newer=draw(NEWER)) for one in moves),
    )


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4, unique=True), st.data())
def test_document_that_is_written_reads_the_same(names: list[int], data: Any) -> None:
    wanted = Lifecycle(tuple(data.draw(rules(str(name))) for name in names))
    body = lifecycle_configuration(wanted)
    assert read_lifecycle(body) == wanted
    seen = parse("GetBucketLifecycleConfiguration", body)["Rules"]
    assert [one["ID"] for one in seen] == [one.id for one in wanted.rules]
    assert [one["Expiration"]["Days"] for one in seen] == [61] * len(names)


def test_written_dates_are_those_read_by_sdks() -> None:
    (seen,) = parse(
        "GetBucketLifecycleConfiguration",
        lifecycle_configuration(
            Lifecycle((Rule("r", True, Filter(""), Expiration(date_ns=DAY_NS)),))
        ),
    )["Rules"]
    assert seen["Expiration"]["Date"].isoformat() == "1970-01-02T00:00:00+00:00"
    assert seen["Filter"] == {"Prefix": ""}
