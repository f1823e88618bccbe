import pytest

from s3proxy.s3.refusals import refuse_unkept_headers
from s3proxy.s3.routing import route
from tests.s3.heads import head_of, make_head, raises_s3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-amz-write-offset-bytes", "10"),
        ("x-amz-rename-source", "/b/k"),
        ("x-amz-mfa", "1 2"),
        ("x-amz-if-match-size", "1"),
        ("x-amz-if-match-last-modified-time", "x"),
        ("x-amz-object-ownership", "ObjectWriter"),
        ("x-amz-bucket-namespace", "account-regional"),
    ],
)
@pytest.mark.parametrize("operation", ["put_object", "create_multipart_upload", "delete_object"])
def test_refuse_unkept_headers_names_what_is_not_kept(
    name: str, value: str, operation: str
) -> None:
    head = head_of("PUT", "/bucket/key", [("Host", "h"), (name, value)])
    with raises_s3("NotImplemented") as caught:
        refuse_unkept_headers(head, operation)
    assert caught.value.fields == {"Header": name}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-amz-acl", "private"),
        ("x-amz-acl", "bucket-owner-full-control"),
        ("x-amz-acl", "bucket-owner-read"),
        ("x-amz-tagging", ""),
        ("x-amz-bucket-object-lock-enabled", "false"),
        ("x-amz-object-ownership", "BucketOwnerEnforced"),
        ("x-amz-bypass-governance-retention", "true"),
        ("x-amz-user-agent", "aws-sdk-js/3"),
        ("x-amz-request-payer", "requester"),
        ("x-amz-expected-bucket-owner", "1"),
        ("x-amz-something-new", "1"),
        ("amz-sdk-invocation-id", "1"),
    ],
)
def test_refuse_unkept_headers_lets_harmless_ones_pass(name: str, value: str) -> None:
    head = head_of("PUT", "/bucket/key", [("Host", "h"), (name, value)])
    refuse_unkept_headers(head, "put_object")


@pytest.mark.parametrize("operation", ["put_object", "copy_object", "create_multipart_upload"])
def test_refuse_unkept_headers_lets_tags_of_new_objects_pass(operation: str) -> None:
    refuse_unkept_headers(make_head("PUT", x_amz_tagging="a=b"), operation)


@pytest.mark.parametrize("operation", ["upload_part", "create_bucket", "delete_object"])
def test_refuse_unkept_headers_of_tags_that_would_be_dropped(operation: str) -> None:
    with raises_s3("NotImplemented") as caught:
        refuse_unkept_headers(make_head("PUT", x_amz_tagging="a=b"), operation)
    assert caught.value.fields == {"Header": "x-amz-tagging"}


def test_refuse_unkept_headers_of_an_unknown_acl_is_invalid() -> None:
    with raises_s3("InvalidArgument") as caught:
        refuse_unkept_headers(make_head("PUT", x_amz_acl="everyone"), "upload_part")
    assert caught.value.fields == {"ArgumentName": "x-amz-acl", "ArgumentValue": "everyone"}


@pytest.mark.parametrize("name", ["x-amz-acl", "x-amz-grant-read"])
@pytest.mark.parametrize("value", ["public-read", "id=1"])
def test_refuse_unkept_headers_of_an_acl_that_nothing_would_have(name: str, value: str) -> None:
    head = head_of("PUT", "/bucket/key", [("Host", "h"), (name, value)])
    for operation in ("put_object", "copy_object", "create_multipart_upload", "create_bucket"):
        refuse_unkept_headers(head, operation)
    code = "InvalidArgument" if (name, value) == ("x-amz-acl", "id=1") else "NotImplemented"
    with raises_s3(code):
        refuse_unkept_headers(head, "upload_part")


ENCRYPTION = [
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-context",
]
CUSTOMER_KEYS = [
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-copy-source-server-side-encryption-customer-key",
]


@pytest.mark.parametrize("name", [*ENCRYPTION, *CUSTOMER_KEYS])
@pytest.mark.parametrize("operation", ["delete_object", "delete_objects", "create_bucket"])
def test_refuse_unkept_headers_of_encryption_where_nothing_is_encrypted(
    name: str, operation: str
) -> None:
    with raises_s3("NotImplemented") as caught:
        refuse_unkept_headers(head_of("PUT", "/b/k", [("Host", "h"), (name, "x")]), operation)
    assert caught.value.fields == {"Header": name}


@pytest.mark.parametrize("name", [*ENCRYPTION, *CUSTOMER_KEYS])
@pytest.mark.parametrize("operation", ["put_object", "create_multipart_upload"])
def test_refuse_unkept_headers_leaves_encryption_to_new_objects(name: str, operation: str) -> None:
    refuse_unkept_headers(head_of("PUT", "/b/k", [("Host", "h"), (name, "x")]), operation)


@pytest.mark.parametrize(
    "operation",
    ["get_object", "head_object", "get_object_attributes", "upload_part"],
)
def test_refuse_unkept_headers_of_a_choice_that_was_made_before(operation: str) -> None:
    with raises_s3("InvalidArgument"):
        refuse_unkept_headers(make_head(x_amz_server_side_encryption="AES256"), operation)
    customer = make_head(x_amz_server_side_encryption_customer_algorithm="AES256")
    refuse_unkept_headers(customer, operation)


def test_route_with_encryption_is_not_plain() -> None:
    head = make_head("PUT", "/bucket/key", x_amz_server_side_encryption="AES256")
    assert not route(head).plain


def test_route_refuses_a_hoisted_header_too() -> None:
    with raises_s3("NotImplemented") as caught:
        route(make_head("PUT", "/bucket/key?x-amz-mfa=AES256"))
    assert caught.value.fields == {"Header": "x-amz-mfa"}
