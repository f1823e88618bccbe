import re
import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3.access_record import AccessRecord, operation_name

RECORD: dict[str, Any] = {
    "owner": "user-1",
    "bucket": "www",
    "time_s": 1_700_000_000,
    "remote": "192.0.2.3",
    "requester": "user-2",
    "request_id": "00AA00AA00AA00AA",
    "operation": "get_object",
    "method": "GET",
    "key": "a b/ü",
    "uri": "GET /www/a%20b/%C3%BC?versionId=v HTTP/1.1",
    "status": 200,
    "code": "",
    "sent_bytes": 12,
    "object_bytes": 120,
    "total_ms": 7,
    "referrer": "",
    "user_agent": 'curl "x"',
    "version_id": "v",
    "signature": "SigV4",
    "authentication": "AuthHeader",
    "host": "s3.example:9000",
    "tls_version": "1.3",
}


def line(**fields: Any) -> str:
    return AccessRecord(**{**RECORD, **fields}).line()


def test_line_has_the_fields_of_awss_format() -> None:
    assert line() == (
        "user-1 www [14/Nov/2023:22:13:20 +0000] 192.0.2.3 user-2 00AA00AA00AA00AA"
        ' REST.GET.OBJECT a%20b/%C3%BC "GET /www/a%20b/%C3%BC?versionId=v HTTP/1.1" 200 - 12 120 7'
        ' - "-" "curl %22x%22" v 00AA00AA00AA00AA SigV4 - AuthHeader s3.example:9000 TLSv1.3 - -\n'
    )


def test_line_of_a_presigned_request_cannot_be_repeated() -> None:
    uri = "GET /b/k?X-Amz-Signature=abc&x=1&Signature=d%2F&X-Amz-Security-Token=t HTTP/1.1"
    found = line(uri=uri)
    assert "X-Amz-Signature=-&x=1&Signature=-&X-Amz-Security-Token=- HTTP/1.1" in found


TEXTS = st.text(max_size=20)


@given(TEXTS, TEXTS, TEXTS, TEXTS, TEXTS)
def test_line_of_anything_has_26_fields(
    key: str, uri: str, referrer: str, user_agent: str, host: str
) -> None:
    found = line(key=key, uri=uri, referrer=referrer, user_agent=user_agent, host=host)
    assert found.endswith("\n")
    assert found.count("\n") == 1
    assert re.fullmatch("[ -~]+\n", found)
    lexer = shlex.shlex(found.replace("[", '"').replace("]", '"'), posix=True)
    lexer.whitespace_split, lexer.escape, lexer.commenters, lexer.quotes = True, "", "", '"'
    if not set("[]") & set(key + uri + referrer + user_agent + host):
        assert len(list(lexer)) == 26


@pytest.mark.parametrize(
    ("operation", "method", "name"),
    [
        ("get_object", "GET", "REST.GET.OBJECT"),
        ("head_object", "HEAD", "REST.HEAD.OBJECT"),
        ("put_object", "PUT", "REST.PUT.OBJECT"),
        ("website", "GET", "WEBSITE.GET.OBJECT"),
        ("preflight", "OPTIONS", "REST.OPTIONS.PREFLIGHT"),
        ("copy_object", "PUT", "REST.COPY.OBJECT"),
        ("upload_part", "PUT", "REST.PUT.PART"),
        ("list_objects_v2", "GET", "REST.GET.BUCKET"),
        ("delete_objects", "POST", "REST.POST.MULTI_OBJECT_DELETE"),
        ("get_object_tagging", "GET", "REST.GET.OBJECT_TAGGING"),
        ("get_bucket_tagging", "GET", "REST.GET.TAGGING"),
        ("put_bucket_logging", "PUT", "REST.PUT.LOGGING_STATUS"),
        ("get_bucket_notification_configuration", "GET", "REST.GET.NOTIFICATION"),
        ("get_bucket_policy", "GET", "REST.GET.BUCKETPOLICY"),
        ("get_bucket_acl", "GET", "REST.GET.ACL"),
        ("put_bucket_versioning", "PUT", "REST.PUT.VERSIONING"),
    ],
)
def test_operation_name_is_awss(operation: str, method: str, name: str) -> None:
    assert operation_name(operation, method) == name
