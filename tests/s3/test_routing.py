import re
from collections.abc import Callable

import botocore.session
import pytest
from botocore import xform_name
from hypothesis import given
from hypothesis import strategies as st

from s3proxy._fast.http1 import RequestHead
from s3proxy.s3 import subresources
from s3proxy.s3.errors import S3Error
from s3proxy.s3.hosts import Hosts
from s3proxy.s3.routing import PREFLIGHT, Route, _route, route
from tests.s3.heads import head_of, make_head, raises_s3

# Operations of the model that share method and sub-resource with another, which is the one named.
ALIASES = {
    "get_bucket_lifecycle": "get_bucket_lifecycle_configuration",
    "put_bucket_lifecycle": "put_bucket_lifecycle_configuration",
    "get_bucket_notification": "get_bucket_notification_configuration",
    "put_bucket_notification": "put_bucket_notification_configuration",
    "list_bucket_analytics_configurations": "get_bucket_analytics_configuration",
    "list_bucket_intelligent_tiering_configurations": (
        "get_bucket_intelligent_tiering_configuration"
    ),
    "list_bucket_inventory_configurations": "get_bucket_inventory_configuration",
    "list_bucket_metrics_configurations": "get_bucket_metrics_configuration",
    "list_directory_buckets": "list_buckets",
    "list_object_annotations": "get_object_annotation",
}
MODEL = botocore.session.get_session().get_service_model("s3")
MODELLED = [name for name in MODEL.operation_names if name != "WriteGetObjectResponse"]
EXTRA_QUERY = {
    "list_parts": "uploadId=u",
    "upload_part": "uploadId=u&partNumber=1",
    "upload_part_copy": "uploadId=u&partNumber=1",
    "complete_multipart_upload": "uploadId=u",
    "abort_multipart_upload": "uploadId=u",
}


def routed(method: str, target: str, **headers: str) -> Route:
    return route(make_head(method, target, **headers))


def modelled_request(name: str) -> tuple[str, str, str, dict[str, str]]:
    """(operation, method, target, headers) of an operation of botocore's model."""
    operation = xform_name(name)
    http = MODEL.operation_model(name).http
    target = http["requestUri"].replace("{Bucket}", "bucket").replace("{Key+}", "key")
    if operation in EXTRA_QUERY:
        target += "?" + EXTRA_QUERY[operation]
    copies = operation in ("copy_object", "upload_part_copy")
    headers = {"x_amz_copy_source": "bucket/source"} if copies else {}
    return operation, http["method"], target, headers


@pytest.mark.parametrize("name", MODELLED)
def test_route_of_every_operation_in_botocores_model_is_named(name: str) -> None:
    operation, method, target, headers = modelled_request(name)
    expected = ALIASES.get(operation, operation)
    if expected in subresources.IMPLEMENTED:
        assert routed(method, target, **headers).operation == expected
        return
    with raises_s3("NotImplemented") as caught:
        routed(method, target, **headers)
    assert caught.value.fields == {"Operation": subresources.action_name(expected)}


def test_table_names_are_operations_of_botocores_model() -> None:
    # What SDKs have no call for: these are asked for otherwise.
    known = {xform_name(name) for name in MODELLED} | {"append_object", subresources.POST_OBJECT}
    tables = (subresources.BUCKET, subresources.OBJECT)
    named = {name for table in tables for methods in table.values() for name in methods.values()}
    assert named <= known
    assert known >= subresources.IMPLEMENTED


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
@pytest.mark.parametrize("subresource", sorted(subresources.OBJECT))
def test_write_with_a_subresource_never_reaches_the_object(method: str, subresource: str) -> None:
    target = f"/bucket/key?{subresource}"
    try:
        operation = routed(method, target).operation
    except Exception as error:
        code = getattr(error, "code", "")
        assert code in ("NotImplemented", "MethodNotAllowed", "InvalidArgument")
    else:
        assert operation == subresources.OBJECT[subresource][method]


@pytest.mark.parametrize(
    ("method", "target", "operation"),
    [
        ("GET", "/", "list_buckets"),
        ("GET", "/?x-id=ListBuckets", "list_buckets"),
        ("GET", "/bucket", "list_objects"),
        ("GET", "/bucket/", "list_objects"),
        ("GET", "/bucket?prefix=a&delimiter=%2F", "list_objects"),
        ("GET", "/bucket?list-type=1", "list_objects"),
        ("GET", "/bucket?list-type=2&prefix=", "list_objects_v2"),
        ("HEAD", "/bucket", "head_bucket"),
        ("PUT", "/bucket/", "create_bucket"),
        ("DELETE", "/bucket", "delete_bucket"),
        ("POST", "/bucket?delete", "delete_objects"),
        ("POST", "/bucket/?delete=", "delete_objects"),
        ("GET", "/bucket/key", "get_object"),
        ("GET", "/bucket/key?x-id=GetObject", "get_object"),
        ("GET", "/bucket/key?partNumber=1", "get_object"),
        ("GET", "/bucket/key?versionId=null", "get_object"),
        ("GET", "/bucket/key?unknown", "get_object"),
        ("GET", "/bucket/key?response-content-type=text%2Fplain", "get_object"),
        ("HEAD", "/bucket/key?partNumber=2", "head_object"),
        ("PUT", "/bucket/key?x-id=PutObject", "put_object"),
        ("PUT", "/bucket/key?unknown=1", "put_object"),
        ("DELETE", "/bucket/key?versionId=null", "delete_object"),
        ("GET", "/bucket/key?uploadId=u&max-parts=1", "list_parts"),
    ],
)
def test_route_of_a_request_finds_its_operation(method: str, target: str, operation: str) -> None:
    assert routed(method, target).operation == operation


@pytest.mark.parametrize(
    ("target", "key"),
    [
        ("/bucket/key", "key"),
        ("/bucket//", "/"),
        ("/bucket//a", "/a"),
        ("/bucket/a//b/", "a//b/"),
        ("/bucket/../a", "../a"),
        ("/bucket/a/./b", "a/./b"),
        ("/bucket/a%2Fb", "a/b"),
        ("/bucket/a+b", "a+b"),
        ("/bucket/a%20b", "a b"),
        ("/bucket/%C3%A4", "ä"),
        ("/bucket/%01", "\x01"),
        ("/bucket/%00", "\x00"),
        ("/bucket/%25", "%"),
        ("/bucket/" + "k" * 1024, "k" * 1024),
    ],
)
def test_route_keeps_the_key_verbatim(target: str, key: str) -> None:
    found = routed("GET", target)
    assert (found.bucket, found.key) == ("bucket", key)


@pytest.mark.parametrize(
    ("host", "target", "bucket", "key"),
    [
        ("bucket.s3.test", "/key", "bucket", "key"),
        ("bucket.s3.test:9000", "/a/b", "bucket", "a/b"),
        ("Bucket.S3.Test", "/key", "bucket", "key"),
        ("my.dotted.bucket.s3.test", "//k", "my.dotted.bucket", "/k"),
        ("bucket.s3.test.", "/key", "bucket", "key"),
        ("s3.test", "/bucket/key", "bucket", "key"),
        ("s3.test:9000", "/bucket/key", "bucket", "key"),
        ("127.0.0.1:9000", "/bucket/key", "bucket", "key"),
        ("[::1]:9000", "/bucket/key", "bucket", "key"),
        ("other.test", "/bucket/key", "bucket", "key"),
        ("xs3.test", "/bucket/key", "bucket", "key"),
    ],
)
def test_route_with_a_domain_takes_the_bucket_from_the_host(
    host: str, target: str, bucket: str, key: str
) -> None:
    found = route(make_head("GET", target, host), Hosts(["s3.test"]).bucket(host))
    assert (found.bucket, found.key) == (bucket, key)


def test_route_without_a_domain_is_path_style_on_any_host() -> None:
    found = route(make_head("GET", "/bucket/key", "other.s3.test"))
    assert (found.bucket, found.key) == ("bucket", "key")


def test_route_of_the_root_of_a_virtual_host_lists_the_bucket() -> None:
    found = route(make_head("GET", "/?list-type=2", "bucket.s3.test"), "bucket")
    assert (found.operation, found.bucket) == ("list_objects_v2", "bucket")


@pytest.mark.parametrize(
    ("method", "target", "code", "fields"),
    [
        ("PUT", "/bucket/key?newthing", "NotImplemented", {"SubResource": "newthing"}),
        ("DELETE", "/bucket?newthing", "NotImplemented", {"SubResource": "newthing"}),
        ("PUT", "/bucket?replication", "NotImplemented", {"Operation": "PutBucketReplication"}),
        ("PUT", "/bucket/key?annotation", "NotImplemented", {"Operation": "PutObjectAnnotation"}),
        ("POST", "/bucket?torrent", "NotImplemented", {"SubResource": "torrent"}),
        ("POST", "/", "MethodNotAllowed", {"Method": "POST", "ResourceType": "SERVICE"}),
        ("PATCH", "/bucket", "MethodNotAllowed", {"Method": "PATCH", "ResourceType": "BUCKET"}),
        ("POST", "/bucket/k", "MethodNotAllowed", {"Method": "POST", "ResourceType": "OBJECT"}),
        ("HEAD", "/bucket?acl", "MethodNotAllowed", {"Method": "HEAD", "ResourceType": "ACL"}),
        ("GET", "/ab", "InvalidBucketName", {"BucketName": "ab"}),
        ("GET", "/b%20t/key", "InvalidBucketName", {"BucketName": "b t"}),
        ("GET", "//key", "InvalidBucketName", {"BucketName": ""}),
        ("PUT", "/Bucket", "InvalidBucketName", {"BucketName": "Bucket"}),
        ("GET", "/bucket/%ff", "InvalidURI", {}),
        ("GET", "/bucket/%zz", "InvalidURI", {}),
        ("OPTIONS", "*", "InvalidURI", {}),
        ("GET", "/bucket/" + "k" * 1025, "KeyTooLongError", {}),
        ("GET", "/bucket?list-type=3", "InvalidArgument", {"ArgumentName": "list-type"}),
        ("GET", "/bucket?acl&policy", "InvalidArgument", {"ArgumentName": "ResourceType"}),
        ("PUT", "/bucket/k?uploadId=u", "InvalidArgument", {"ArgumentName": "partNumber"}),
        ("PUT", "/bucket/k?partNumber=1", "InvalidArgument", {"ArgumentName": "uploadId"}),
        ("PUT", "/bucket/k?versionId=null", "InvalidArgument", {"ArgumentName": "versionId"}),
        ("GET", "/bucket/k?versionId=", "InvalidArgument", {"ArgumentName": "versionId"}),
        ("GET", "/bucket/k?a=%ff", "InvalidURI", {}),
    ],
)
def test_route_of_a_bad_request_is_refused_precisely(
    method: str, target: str, code: str, fields: dict[str, str]
) -> None:
    with raises_s3(code) as caught:
        routed(method, target)
    assert fields.items() <= caught.value.fields.items()


def test_route_of_a_missing_object_subresource_on_a_bucket_is_not_one() -> None:
    assert routed("GET", "/bucket?uploadId=u").operation == "list_objects"
    assert routed("GET", "/bucket/key?versioning").operation == "get_object"


def test_route_of_a_copy_with_a_hoisted_source_is_a_copy() -> None:
    head = head_of("PUT", "/bucket/key?X-Amz-Copy-Source=a%2Fb", [("Host", "h")])
    found = route(head)
    assert found.operation == "copy_object"
    assert found.headers.get(b"x-amz-copy-source") == "a/b"


def test_action_name_of_every_operation_is_words() -> None:
    assert subresources.action_name("get_bucket_acl") == "GetBucketAcl"
    for operation in subresources.IMPLEMENTED:
        assert re.fullmatch(r"([A-Z][a-z0-9]*)+", subresources.action_name(operation))


@pytest.mark.parametrize("target", ["/bucket/a%20b", "/bucket", "/", "/x/y?versionId=1"])
def test_route_of_options_is_a_preflight_whatever_it_is_about(target: str) -> None:
    found = route(make_head("OPTIONS", target))
    assert found.operation == PREFLIGHT
    assert not found.plain


_ANY_HEADER = st.sampled_from(
    [
        *("Range", "If-Match", "if-none-match", "x-amz-checksum-mode", "X-Amz-Acl"),
        *("x-amz-server-side-encryption", "x-amz-server-side-encryption-customer-algorithm"),
        *("x-amz-mfa", "x-amz-tagging", "x-amz-copy-source", "x-amz-object-ownership"),
        *("x-amz-meta-a", "Content-Type", "x-amz-date", "x-amz-expected-bucket-owner"),
        *("x-amz-bucket-object-lock-enabled", "x-amz-grant-read", "x-amz-object-lock-mode"),
        "x-amz-bypass-governance-retention",
    ]
)


def _outcome(find: Callable[[RequestHead], Route], head: RequestHead) -> object:
    try:
        found = find(head)
    except S3Error as error:
        return error.code, error.message, error.fields
    return found.operation, found.bucket, found.key, found.query


@given(
    method=st.sampled_from(["GET", "HEAD", "PUT", "DELETE", "POST", "OPTIONS", "PATCH"]),
    path=st.sampled_from(
        [
            *("/", "/bucket", "/bucket/", "/bucket/key", "/bucket/a%2Fb", "/bucket/%zz", "/b/k"),
            *("/bucket/" + "k" * 1025, "/BUCKET/k", "/bu~cket/k", "/bucket/%ff", "//k"),
        ]
    ),
    names=st.lists(_ANY_HEADER, max_size=2, unique=True),
    value=st.sampled_from(["", "true", "AES256", "/bucket/other", "private"]),
)
def test_route_of_a_plain_request_is_what_the_long_way_finds(
    method: str, path: str, names: list[str], value: str
) -> None:
    head = head_of(method, path, [("Host", "h"), *((name, value) for name in names)])
    assert _outcome(route, head) == _outcome(lambda head: _route(head, ""), head)


@pytest.mark.parametrize(
    "name", ["Origin", "Range", "If-Match", "x-amz-checksum-mode", "x-amz-acl"]
)
def test_route_with_a_modifier_is_not_plain(name: str) -> None:
    plain = head_of("GET", "/bucket/key", [("Host", "h"), ("x-amz-date", "x")])
    assert route(plain).plain
    assert not route(head_of("GET", "/bucket/key", [("Host", "h"), (name, "private")])).plain
    assert not route(head_of("GET", "/bucket/key?versionId=null", [("Host", "h")])).plain
