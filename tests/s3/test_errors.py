import ast
from pathlib import Path

import pytest

from s3proxy.s3.errors import (
    MESSAGES,
    STATUSES,
    S3Error,
    invalid_argument,
    not_implemented_header,
)

PACKAGE = Path(__file__).parent.parent.parent / "s3proxy"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("AccessDenied", 403),
        ("AuthorizationHeaderMalformed", 400),
        ("BadDigest", 400),
        ("BucketAlreadyOwnedByYou", 409),
        ("BucketNotEmpty", 409),
        ("ConditionalRequestConflict", 409),
        ("EntityTooLarge", 400),
        ("EntityTooSmall", 400),
        ("IncompleteBody", 400),
        ("InternalError", 500),
        ("InvalidAccessKeyId", 403),
        ("InvalidPartNumber", 416),
        ("InvalidRange", 416),
        ("KeyTooLongError", 400),
        ("MethodNotAllowed", 405),
        ("MissingContentLength", 411),
        ("NoSuchBucket", 404),
        ("NoSuchKey", 404),
        ("NoSuchUpload", 404),
        ("NoSuchVersion", 404),
        ("NotImplemented", 501),
        ("PreconditionFailed", 412),
        ("RequestTimeTooSkewed", 403),
        ("RequestTimeout", 400),
        ("ServiceUnavailable", 503),
        ("SignatureDoesNotMatch", 403),
        ("SlowDown", 503),
        ("XAmzContentSHA256Mismatch", 400),
    ],
)
def test_s3_error_of_code_has_its_status(code: str, status: int) -> None:
    assert S3Error(code).status == status


def test_s3_error_without_message_has_the_usual_wording() -> None:
    error = S3Error("NoSuchKey", Key="a")
    assert error.message == "The specified key does not exist."
    assert error.fields == {"Key": "a"}


def test_s3_error_takes_fields_named_like_its_parameters() -> None:
    error = S3Error("InvalidArgument", "m", **{"code": "x", "message": "y", "X-Amz-Expires": "1"})
    assert (error.code, error.message) == ("InvalidArgument", "m")
    assert error.fields == {"code": "x", "message": "y", "X-Amz-Expires": "1"}


def test_s3_error_of_an_upstreams_own_code_is_a_500() -> None:
    error = S3Error("XUpstreamOnFire")
    assert (error.status, error.message) == (500, "XUpstreamOnFire")


def test_tables_hold_the_same_codes_with_texts() -> None:
    assert STATUSES.keys() == MESSAGES.keys()
    assert all(MESSAGES.values())
    assert all(300 <= status < 600 for status in STATUSES.values())


def test_invalid_argument_names_the_argument() -> None:
    error = invalid_argument("m", "max-keys", "-1")
    assert error.fields == {"ArgumentName": "max-keys", "ArgumentValue": "-1"}


def test_not_implemented_header_names_the_header() -> None:
    error = not_implemented_header("x-amz-mfa")
    assert error.fields == {"Header": "x-amz-mfa"}
    assert "x-amz-mfa" in error.message


def test_every_code_raised_in_the_project_is_in_the_table() -> None:
    unknown = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "S3Error"
                and node.args
                and isinstance(node.args[0], ast.Constant)
                and node.args[0].value not in STATUSES
            ):
                unknown.append(f"{path}:{node.lineno} {node.args[0].value}")
    assert not unknown
