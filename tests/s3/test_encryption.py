"""What is said of encryption, as strictly as S3 reads it."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3.encryption import (
    AES256,
    COPY_SOURCE_CUSTOMER,
    SSE_C,
    CustomerKey,
    encryption_headers,
    parse_customer_key,
    parse_encryption,
    refuse_algorithm,
    require_secure,
)
from s3proxy.s3.errors import S3Error
from tests.s3.heads import head_of, raises_s3

KEY = bytes(range(32))
PREFIX = "x-amz-server-side-encryption"
CUSTOMER = PREFIX + "-customer-"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def md5(data: bytes) -> str:
    return b64(hashlib.md5(data, usedforsecurity=False).digest())


GOOD = {"algorithm": "AES256", "key": b64(KEY), "key-md5": md5(KEY)}


def headers_of(**headers: str):  # type: ignore[no-untyped-def]
    return head_of("PUT", "/b/k", [("Host", "h"), *headers.items()])


def customer(values: dict[str, str], prefix: str = CUSTOMER):  # type: ignore[no-untyped-def]
    pairs = [(prefix + name, value) for name, value in values.items()]
    return head_of("PUT", "/b/k", [("Host", "h"), *pairs])


def test_nothing_asks_for_nothing() -> None:
    head = headers_of()
    assert parse_encryption(head) is None
    assert parse_customer_key(head) is None
    refuse_algorithm(head)
    require_secure(head, secure=False)


def test_sse_s3_is_asked_by_its_algorithm() -> None:
    assert parse_encryption(headers_of(**{PREFIX: "AES256"})) == AES256
    assert encryption_headers(AES256, "") == [(PREFIX, AES256)]
    with raises_s3("InvalidArgument"):
        refuse_algorithm(headers_of(**{PREFIX: "AES256"}))


def test_customer_key_is_read_and_not_shown() -> None:
    key = parse_encryption(customer(GOOD))
    assert key == CustomerKey(KEY, md5(KEY))
    assert GOOD["key"] not in repr(key)
    assert str(KEY) not in repr(key)
    source = customer(GOOD, COPY_SOURCE_CUSTOMER.decode())
    assert parse_customer_key(source) is None
    assert parse_customer_key(source, COPY_SOURCE_CUSTOMER) == key
    assert encryption_headers(SSE_C, md5(KEY)) == [
        (CUSTOMER + "algorithm", "AES256"),
        (CUSTOMER + "key-MD5", md5(KEY)),
    ]


@pytest.mark.parametrize("missing", GOOD)
@pytest.mark.parametrize("empty", [True, False])
def test_customer_key_that_lacks_a_header_is_refused(missing: str, empty: bool) -> None:
    values = {name: value for name, value in GOOD.items() if name != missing}
    if empty:
        values[missing] = ""
    with raises_s3("InvalidArgument") as caught:
        parse_customer_key(customer(values))
    assert caught.value.fields["ArgumentName"].lower() == CUSTOMER + missing


@pytest.mark.parametrize("algorithm", ["aes256", "AES128", "aws:kms"])
def test_customer_key_for_another_algorithm_is_refused(algorithm: str) -> None:
    with raises_s3("InvalidEncryptionAlgorithmError"):
        parse_customer_key(customer(GOOD | {"algorithm": algorithm}))


@pytest.mark.parametrize(
    "key",
    [KEY[:16], KEY[:31], KEY + b"x", b"x"],
    ids=len,
)
def test_customer_key_of_another_length_is_refused_and_not_repeated(key: bytes) -> None:
    with raises_s3("InvalidArgument") as caught:
        parse_customer_key(customer({"algorithm": AES256, "key": b64(key), "key-md5": md5(key)}))
    assert b64(key) not in str(caught.value.fields)


@pytest.mark.parametrize("key", ["no base64!", "====", b64(KEY)[:-1], b64(KEY) + "A", "\xff" * 44])
def test_customer_key_that_is_no_base64_is_refused(key: str) -> None:
    with raises_s3("InvalidArgument"):
        parse_customer_key(customer(GOOD | {"key": key}))


@pytest.mark.parametrize("digest", [md5(b"other"), "no base64!", "AA==", b64(KEY), "\xff"])
def test_customer_key_with_another_digest_is_refused(digest: str) -> None:
    with raises_s3("InvalidArgument") as caught:
        parse_customer_key(customer(GOOD | {"key-md5": digest}))
    assert "did not match" in caught.value.message


def test_two_ways_to_encrypt_are_refused() -> None:
    pairs = [(CUSTOMER + name, value) for name, value in GOOD.items()]
    for algorithm in ("AES256", "aws:kms"):
        head = head_of("PUT", "/b/k", [("Host", "h"), (PREFIX, algorithm), *pairs])
        with raises_s3("InvalidArgument"):
            parse_encryption(head)


@pytest.mark.parametrize("algorithm", ["aws:kms", "aws:kms:dsse", "aws:fsx"])
def test_key_management_services_are_refused_by_name(algorithm: str) -> None:
    head = headers_of(**{PREFIX: algorithm, PREFIX + "-aws-kms-key-id": "k"})
    with raises_s3("NotImplemented") as caught:
        parse_encryption(head)
    assert caught.value.fields == {"Header": PREFIX}


@pytest.mark.parametrize("algorithm", ["", "aes256", "AES-256", "aes:kms", "none"])
def test_unknown_algorithm_is_refused(algorithm: str) -> None:
    with raises_s3("InvalidArgument"):
        parse_encryption(headers_of(**{PREFIX: algorithm}))


def test_key_id_without_a_service_is_refused() -> None:
    for more in ({}, {PREFIX: "AES256"}):
        with raises_s3("InvalidArgument"):
            parse_encryption(headers_of(**{PREFIX + "-aws-kms-key-id": "k"}, **more))


@pytest.mark.parametrize("name", ["context", "bucket-key-enabled"])
def test_what_only_a_service_understands_is_refused_by_name(name: str) -> None:
    with raises_s3("NotImplemented") as caught:
        parse_encryption(headers_of(**{PREFIX: "AES256", f"{PREFIX}-{name}": "true"}))
    assert caught.value.fields == {"Header": f"{PREFIX}-{name}"}


def test_bucket_key_that_is_off_is_what_is_the_case_anyway() -> None:
    head = headers_of(**{PREFIX: "AES256", PREFIX + "-bucket-key-enabled": "false"})
    assert parse_encryption(head) == AES256


@pytest.mark.parametrize("prefix", [CUSTOMER, COPY_SOURCE_CUSTOMER.decode()])
def test_key_over_an_open_line_is_refused(prefix: str) -> None:
    with raises_s3("InvalidRequest"):
        require_secure(customer(GOOD, prefix), secure=False)
    require_secure(customer(GOOD, prefix), secure=True)


TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"))


@given(TEXT, TEXT, TEXT)
def test_any_headers_give_a_key_or_an_s3_error(algorithm: str, key: str, digest: str) -> None:
    for chosen in (algorithm, "AES256"):
        try:
            found = parse_encryption(customer({"algorithm": chosen, "key": key, "key-md5": digest}))
        except S3Error as error:
            assert error.status in (400, 501)
        else:
            assert isinstance(found, CustomerKey)
            assert len(found.key) == 32
