"""Forms as PutObject's headers, and their signatures."""

import base64
import hashlib
import hmac
import json
import time

import pytest
from botocore.auth import HmacV1PostAuth, S3SigV4PostAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from s3proxy.s3.auth import ANONYMOUS, Authenticator
from s3proxy.s3.hosts import Hosts
from s3proxy.s3.post_form import FormHead
from s3proxy.s3.post_object import PostForm, post_response
from s3proxy.s3.sigv2 import VersionTwo
from tests.s3.heads import raises_s3
from tests.s3.signing import ACCESS_KEY, IDENTITY, REGION, SECRET_KEY, credential

GATE = Authenticator(credential, REGION, version_two=VersionTwo(Hosts()))


def make_form(filename: str = "f.txt", **fields: str) -> PostForm:
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return PostForm("b", b"boundary", FormHead({"key": "k", **named}, filename, b""))


def signed(signer: type[HmacV1PostAuth] = S3SigV4PostAuth, **changed: str) -> PostForm:
    """A form that botocore signs; `changed` fields are put in behind its back."""
    request = AWSRequest("POST", "http://h/b")
    conditions = [{"bucket": "b"}, {"key": "k"}, ["content-length-range", 1, 5]]
    expiration = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600))
    request.context["s3-presign-post-fields"] = {}
    request.context["s3-presign-post-policy"] = {
        "expiration": expiration,
        "conditions": conditions,
    }
    credentials = Credentials(ACCESS_KEY, SECRET_KEY)
    more = () if signer is HmacV1PostAuth else ("s3", REGION)
    signer(credentials, *more).add_auth(request)
    fields = {**request.context["s3-presign-post-fields"], **changed}
    kept = {name.lower(): value for name, value in fields.items() if value != "drop"}
    return PostForm("b", b"boundary", FormHead({"key": "k", **kept}, "", b""))


@pytest.mark.parametrize("signer", [S3SigV4PostAuth, HmacV1PostAuth])
def test_authenticate_form_takes_what_botocore_signs(signer: type[HmacV1PostAuth]) -> None:
    form = signed(signer)
    found = GATE.authenticate_form(form)
    assert found is not None
    assert found.identity == IDENTITY
    assert form.length_range == (1, 5)


def test_authenticate_form_without_a_policy_is_anonymous() -> None:
    assert GATE.authenticate_form(make_form()).identity is ANONYMOUS


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"x-amz-signature": "0" * 64}, "SignatureDoesNotMatch"),
        ({"x-amz-signature": "é" * 64}, "SignatureDoesNotMatch"),
        ({"policy": base64.b64encode(b"{}").decode()}, "SignatureDoesNotMatch"),
        ({"x-amz-algorithm": "AWS4-ECDSA-P256-SHA256"}, "InvalidArgument"),
        ({"x-amz-signature": "drop"}, "InvalidArgument"),
        ({"x-amz-date": "drop"}, "InvalidArgument"),
        ({"policy": "drop"}, "InvalidArgument"),
        ({"signature": "x"}, "InvalidArgument"),
        ({"x-amz-credential": "a/b"}, "AuthorizationQueryParametersError"),
        (
            {"x-amz-credential": f"{ACCESS_KEY}/2026010a/{REGION}/s3/aws4_request"},
            "AuthorizationQueryParametersError",
        ),
        (
            {"x-amz-credential": f"{ACCESS_KEY}/20260101/{REGION}/s3/aws4_request"},
            "AuthorizationQueryParametersError",
        ),
        ({"key": "other"}, "AccessDenied"),
        ({"acl": "private"}, "AccessDenied"),
    ],
)
def test_authenticate_form_refusals(changed: dict[str, str], code: str) -> None:
    with raises_s3(code):
        GATE.authenticate_form(signed(S3SigV4PostAuth, **changed))


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"signature": "x"}, "SignatureDoesNotMatch"),
        ({"signature": "drop"}, "InvalidArgument"),
        ({"AWSAccessKeyId": "nobody"}, "InvalidAccessKeyId"),
    ],
)
def test_authenticate_form_of_version_two_refusals(changed: dict[str, str], code: str) -> None:
    with raises_s3(code):
        GATE.authenticate_form(signed(HmacV1PostAuth, **changed))


def test_authenticate_form_of_another_region_names_ours() -> None:
    scope = f"{ACCESS_KEY}/20260101/us-west-2/s3/aws4_request"
    with raises_s3("AuthorizationQueryParametersError") as caught:
        changed = {"x-amz-credential": scope, "x-amz-date": "20260101T000000Z"}
        GATE.authenticate_form(signed(S3SigV4PostAuth, **changed))
    assert REGION in caught.value.message


def test_authenticate_form_of_version_two_is_refused_unless_configured() -> None:
    with raises_s3("InvalidRequest"):
        Authenticator(credential, REGION).authenticate_form(signed(HmacV1PostAuth))


def test_authenticate_form_with_an_expired_policy_is_refused() -> None:
    text = json.dumps({"expiration": "2020-01-01T00:00:00Z", "conditions": []}).encode()
    policy = base64.b64encode(text)
    digest = hmac.digest(SECRET_KEY.encode(), policy, hashlib.sha1)
    signature = base64.b64encode(digest).decode()
    form = make_form(awsaccesskeyid=ACCESS_KEY, policy=policy.decode(), signature=signature)
    with raises_s3("AccessDenied") as caught:
        GATE.authenticate_form(form)
    assert "expired" in caught.value.message


def test_form_fields_are_the_headers_of_a_put() -> None:
    tagging = "<Tagging><TagSet><Tag><Key>a b</Key><Value>c+=</Value></Tag></TagSet></Tagging>"
    form = make_form(
        acl="private",
        tagging=tagging,
        content_type="text/ä",
        x_amz_meta_a=" padded ",
        x_amz_date="20260101T000000Z",
        success_action_status="201",
    )
    assert form.get(b"x-amz-acl") == "private"
    assert form.get(b"x-amz-tagging") == "a%20b=c%2B%3D"
    assert form.get(b"content-type") == "text/ä".encode().decode("latin-1")
    assert form.prefixed(b"x-amz-meta-") == [("x-amz-meta-a", "padded")]
    assert form.get(b"x-amz-date") is None
    assert form.get(b"success-action-status") is None


@pytest.mark.parametrize(
    ("key", "filename", "wanted"),
    [
        ("u/${filename}", "a.txt", "u/a.txt"),
        ("${filename}", "C:\\dir\\a.txt", "a.txt"),
        ("${filename}/${filename}", "x/y", "y/y"),
        ("u/${filename}", "", "u/"),
        ("plain", "a.txt", "plain"),
    ],
)
def test_form_key_takes_the_name_of_the_file(key: str, filename: str, wanted: str) -> None:
    assert make_form(filename, key=key).key == wanted


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"key": ""}, "UserKeyMustBeSpecified"),
        ({"key": "k" * 1025}, "KeyTooLongError"),
        ({"x_amz_security_token": "t"}, "InvalidToken"),
        ({"x_amz_copy_source": "a/b"}, "InvalidArgument"),
        ({"x_amz_meta_a": "1\r\nSet-Cookie: 2"}, "InvalidArgument"),
        ({"x_amz_meta_a: 1\nx_amz_meta_b": "2"}, "InvalidArgument"),
        ({"x_amz_meta_é": "1"}, "InvalidArgument"),
        ({"tagging": "a=b"}, "MalformedXML"),
    ],
)
def test_form_that_no_put_could_be_is_refused(fields: dict[str, str], code: str) -> None:
    with raises_s3(code):
        make_form(**fields).check()


def test_form_without_a_key_is_refused() -> None:
    with raises_s3("InvalidArgument") as caught:
        PostForm("b", b"boundary", FormHead({}, "", b""))
    assert caught.value.fields["ArgumentName"] == "key"


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("http://h/p", "http://h/p?bucket=b&key=k&etag=%22e%22"),
        ("https://h?a=1#part", "https://h?a=1&bucket=b&key=k&etag=%22e%22"),
        ("http://h/ä b", "http://h/%C3%A4%20b?bucket=b&key=k&etag=%22e%22"),
        ("", ""),
        ("/relative", ""),
        ("javascript:alert(1)", ""),
        ("http://h/\r\nSet-Cookie: a", ""),
        ("http://[h", ""),
    ],
)
def test_form_redirects_to_proper_urls_alone(url: str, wanted: str) -> None:
    assert make_form(redirect=url).redirect("e") == wanted


@pytest.mark.parametrize(
    ("status", "wanted"), [("", 204), ("200", 200), ("201", 201), ("204", 204), ("404", 204)]
)
def test_form_success_status_is_one_of_three(status: str, wanted: int) -> None:
    form = PostForm("b", b"", FormHead({"key": "k", "success_action_status": status}, "", b""))
    assert form.success_status == wanted


def test_post_response_is_the_document_of_a_created_object() -> None:
    assert post_response("http://h/b/k", "b", "k&", "e").endswith(
        b"<PostResponse><Location>http://h/b/k</Location><Bucket>b</Bucket><Key>k&amp;</Key>"
        b"<ETag>&quot;e&quot;</ETag></PostResponse>"
    )
