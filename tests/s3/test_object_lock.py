import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3.errors import S3Error
from s3proxy.s3.object_lock import (
    DefaultRetention,
    ObjectLock,
    Retention,
    lock_configuration,
    lock_headers,
    parse_date,
    parse_lock_enabled,
    parse_lock_headers,
    read_legal_hold,
    read_lock_configuration,
    read_retention,
    retention_document,
)
from tests.s3.heads import make_head, raises_s3

NOW = 1_700_000_000_000_000_000
DAY = 86_400 * 1_000_000_000
LATER = "2030-01-01T00:00:00Z"
LATER_NS = 1_893_456_000 * 1_000_000_000

modes = st.sampled_from(["", "GOVERNANCE", "COMPLIANCE"])
times = st.integers(NOW - 3, NOW + 3)


@st.composite
def locks(draw: st.DrawFn) -> ObjectLock:
    mode = draw(modes)
    return ObjectLock(mode, draw(times) if mode else 0, draw(st.sampled_from(["", "ON", "OFF"])))


@given(lock=locks(), bypass=st.booleans())
def test_check_deletion_lets_go_what_nothing_holds(lock: ObjectLock, bypass: bool) -> None:
    free = lock.legal_hold != "ON" and (
        lock.mode == "" or lock.retain_until_ns <= NOW or (lock.mode == "GOVERNANCE" and bypass)
    )
    try:
        lock.check_deletion(NOW, bypass_governance=bypass)
        assert free
    except S3Error as error:
        assert not free and error.code == "AccessDenied"


@given(lock=locks(), mode=modes, until=st.integers(NOW + 1, NOW + 4), bypass=st.booleans())
def test_retained_never_loosens_what_may_not_be_deleted(
    lock: ObjectLock, mode: str, until: int, bypass: bool
) -> None:
    """What could be deleted by this sender may become anything; all else may only grow."""
    wanted = Retention(mode, until if mode else 0)
    retained = lock.retain_until_ns > NOW
    may_loosen = not retained or (lock.mode == "GOVERNANCE" and bypass)
    grows = wanted.mode == lock.mode and wanted.until_ns >= lock.retain_until_ns
    try:
        changed = lock.retained(wanted, NOW, bypass_governance=bypass)
        assert may_loosen or grows
        assert (changed.mode, changed.retain_until_ns) == (wanted.mode, wanted.until_ns)
        assert changed.legal_hold == lock.legal_hold
    except S3Error as error:
        assert not may_loosen and not grows and error.code == "AccessDenied"


def test_parse_lock_headers_of_a_write() -> None:
    assert parse_lock_headers(make_head("PUT"), NOW) is None
    hold = make_head("PUT", x_amz_object_lock_legal_hold="ON")
    assert parse_lock_headers(hold, NOW) == ObjectLock("", 0, "ON")
    head = make_head(
        "PUT", x_amz_object_lock_mode="GOVERNANCE", x_amz_object_lock_retain_until_date=LATER
    )
    lock = parse_lock_headers(head, NOW)
    assert lock == ObjectLock("GOVERNANCE", LATER_NS, "")
    assert lock_headers(lock) == [
        ("x-amz-object-lock-mode", "GOVERNANCE"),
        ("x-amz-object-lock-retain-until-date", "2030-01-01T00:00:00.000Z"),
    ]
    assert lock_headers(ObjectLock(legal_hold="OFF")) == [("x-amz-object-lock-legal-hold", "OFF")]


@pytest.mark.parametrize(
    ("mode", "until", "hold"),
    [
        ("GOVERNANCE", None, None),
        (None, LATER, None),
        ("governance", LATER, None),
        ("GOVERNANCE", "2001-01-01T00:00:00Z", None),
        ("GOVERNANCE", "2030-01-01", None),
        ("GOVERNANCE", "2030-01-01T00:00:00", None),
        ("GOVERNANCE", "tomorrow", None),
        (None, None, "on"),
    ],
)
def test_parse_lock_headers_otherwise_are_invalid(
    mode: str | None, until: str | None, hold: str | None
) -> None:
    named = {
        "x_amz_object_lock_mode": mode,
        "x_amz_object_lock_retain_until_date": until,
        "x_amz_object_lock_legal_hold": hold,
    }
    head = make_head("PUT", **{name: value for name, value in named.items() if value is not None})
    with raises_s3("InvalidArgument"):
        parse_lock_headers(head, NOW)


def test_parse_lock_enabled_is_true_or_false() -> None:
    assert not parse_lock_enabled(make_head("PUT"))
    assert parse_lock_enabled(make_head("PUT", x_amz_bucket_object_lock_enabled="True"))
    assert not parse_lock_enabled(make_head("PUT", x_amz_bucket_object_lock_enabled="false"))
    with raises_s3("InvalidArgument"):
        parse_lock_enabled(make_head("PUT", x_amz_bucket_object_lock_enabled="yes"))


def test_retention_document_is_read_as_it_was_written() -> None:
    document = retention_document(ObjectLock("COMPLIANCE", LATER_NS))
    assert read_retention(document, NOW) == Retention("COMPLIANCE", LATER_NS)
    assert read_retention(b"<Retention/>", NOW) == Retention("", 0)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("<Mode>GOVERNANCE</Mode>", "MalformedXML"),
        (f"<RetainUntilDate>{LATER}</RetainUntilDate>", "MalformedXML"),
        (f"<Mode>x</Mode><RetainUntilDate>{LATER}</RetainUntilDate>", "MalformedXML"),
        ("<Mode>GOVERNANCE</Mode><RetainUntilDate>x</RetainUntilDate>", "MalformedXML"),
        (
            "<Mode>GOVERNANCE</Mode><RetainUntilDate>2001-01-01T00:00:00Z</RetainUntilDate>",
            "InvalidArgument",
        ),
        (
            "<Mode>GOVERNANCE</Mode><RetainUntilDate>2999-01-01T00:00:00Z</RetainUntilDate>",
            "InvalidArgument",
        ),
    ],
)
def test_read_retention_otherwise_is_refused(content: str, code: str) -> None:
    with raises_s3(code):
        read_retention(f"<Retention>{content}</Retention>".encode(), NOW)


def test_read_legal_hold_is_on_or_off() -> None:
    assert read_legal_hold(b"<LegalHold><Status>ON</Status></LegalHold>") == "ON"
    for body in (b"", b"<LegalHold/>", b"<LegalHold><Status>on</Status></LegalHold>"):
        with raises_s3("MalformedXML"):
            read_legal_hold(body)


@pytest.mark.parametrize(
    ("default", "days"),
    [(DefaultRetention("GOVERNANCE", days=3), 3), (DefaultRetention("COMPLIANCE", years=2), 730)],
)
def test_lock_configuration_is_read_as_it_was_written(default: DefaultRetention, days: int) -> None:
    assert read_lock_configuration(lock_configuration(default)) == default
    assert default.lock_from(NOW) == ObjectLock(default.mode, NOW + days * DAY)


def test_lock_configuration_without_a_default() -> None:
    assert read_lock_configuration(lock_configuration(None)) is None


@pytest.mark.parametrize(
    ("retention", "code"),
    [
        ("<Mode>GOVERNANCE</Mode>", "MalformedXML"),
        ("<Days>1</Days>", "MalformedXML"),
        ("<Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>", "MalformedXML"),
        ("<Mode>governance</Mode><Days>1</Days>", "MalformedXML"),
        ("<Mode>GOVERNANCE</Mode><Days>one</Days>", "MalformedXML"),
        ("<Mode>GOVERNANCE</Mode><Days>0</Days>", "InvalidRetentionPeriod"),
        ("<Mode>GOVERNANCE</Mode><Years>-1</Years>", "InvalidRetentionPeriod"),
        ("<Mode>GOVERNANCE</Mode><Days>36501</Days>", "InvalidRetentionPeriod"),
        ("<Mode>GOVERNANCE</Mode><Years>101</Years>", "InvalidRetentionPeriod"),
        ("</DefaultRetention><DefaultRetention>", "MalformedXML"),
    ],
)
def test_read_lock_configuration_otherwise_is_refused(retention: str, code: str) -> None:
    document = (
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule>"
        f"<DefaultRetention>{retention}</DefaultRetention></Rule></ObjectLockConfiguration>"
    )
    with raises_s3(code):
        read_lock_configuration(document.encode())
    with raises_s3("MalformedXML"):
        read_lock_configuration(document.replace("Enabled<", "Disabled<").encode())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000_000),
        ("1970-01-01T01:00:01+01:00", 1_000_000_000),
        ("1970-01-01T00:00:00.000001Z", 1000),
        ("9999-12-31T23:59:59Z", 253_402_300_799 * 1_000_000_000),
        ("2030-01-01T00:00:00", None),
        ("20300101", None),
        ("2030-02-30T00:00:00Z", None),
        ("", None),
    ],
)
def test_parse_date_needs_a_time_and_a_zone(text: str, expected: int | None) -> None:
    assert parse_date(text) == expected
