"""Against botocore: what it signs we verify, and we sign what it signs, digit by digit."""

import datetime
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from botocore import auth as botocore_auth
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from s3proxy._fast.errors import AuthError
from s3proxy._fast.http1 import RequestHead, parse_request
from s3proxy._fast.sigv4 import derive_signing_key, sign, verify
from tests._fast.sigv4_requests import (
    ACCESS_KEY,
    EMPTY_SHA256,
    KEY,
    REGION,
    SECRET_KEY,
    TIMESTAMP_S,
    check,
    parsed,
)

HOST = "s3.example:9000"
MOMENT = datetime.datetime.fromtimestamp(TIMESTAMP_S, datetime.UTC)
CREDENTIALS = Credentials(ACCESS_KEY, SECRET_KEY)

keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
params = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    max_size=6,
)
tokens = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=12)
# Inner tabs are left out: botocore makes them spaces, other signers and the documents do not.
values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
metadata = st.dictionaries(tokens.map(lambda name: f"x-amz-meta-{name}"), values, max_size=4)
methods = st.sampled_from(["GET", "PUT", "HEAD", "DELETE", "POST"])


@pytest.fixture(autouse=True, scope="module")
def fixed_clock() -> Iterator[None]:
    """botocore reads the time through one function of its own."""
    patch = pytest.MonkeyPatch()
    patch.setattr(botocore_auth, "get_current_datetime", lambda: MOMENT.replace(tzinfo=None))
    yield
    patch.undo()


def url_of(key: str, query: dict[str, str], *, reverse: bool = False) -> str:
    # As botocore's serializer writes it: "/" and "~" stay in keys, nothing in parameters.
    pairs = [f"{quote(n, safe='-_.~')}={quote(v, safe='-_.~')}" for n, v in query.items()]
    if reverse:
        pairs.reverse()
    tail = "?" + "&".join(pairs) if pairs else ""
    return f"http://{HOST}/bucket/{quote(key, safe='/~')}{tail}"


def head_of_request(request: AWSRequest) -> RequestHead:
    target = request.url.removeprefix(f"http://{HOST}")
    lines = [f"Host: {HOST}"] if "host" not in request.headers else []
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    data = "\r\n".join([f"{request.method} {target} HTTP/1.1", *lines, "", ""]).encode("latin-1")
    head = parse_request(data, len(data))
    assert head is not None
    return head


def botocore_signed(
    method: str, url: str, headers: dict[str, str], body: bytes = b""
) -> AWSRequest:
    request = AWSRequest(method=method, url=url, headers=headers, data=body)
    S3SigV4Auth(CREDENTIALS, "s3", REGION).add_auth(request)
    return request


@given(method=methods, key=keys, query=params, headers=metadata, reverse=st.booleans())
def test_verify_botocore_header_signature_passes(
    method: str, key: str, query: dict[str, str], headers: dict[str, str], reverse: bool
) -> None:
    url = url_of(key, query, reverse=reverse)
    check(head_of_request(botocore_signed(method, url, headers)))


@given(method=methods, key=keys, query=params, headers=metadata)
def test_sign_gives_botocores_signature(
    method: str, key: str, query: dict[str, str], headers: dict[str, str]
) -> None:
    url = url_of(key, query)
    theirs = botocore_signed(method, url, headers).headers["Authorization"]
    path, _, raw_query = url.removeprefix(f"http://{HOST}").partition("?")
    lines = sign(
        method,
        path.encode(),
        raw_query.encode(),
        [("Host", HOST), *headers.items()],
        EMPTY_SHA256,
        key=KEY,
        access_key=ACCESS_KEY,
        region=REGION,
        timestamp_s=TIMESTAMP_S,
    )
    ours = lines.decode().split("\r\n")[2].removeprefix("Authorization: ")
    assert ours == theirs.replace(", ", ",")


@given(
    method=methods,
    query=params,
    headers=metadata,
    service=st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=300),
)
def test_sign_for_another_service_gives_botocores_signature(
    method: str, query: dict[str, str], headers: dict[str, str], service: str
) -> None:
    url = url_of("", query)
    named = {**headers, "X-Amz-Content-SHA256": EMPTY_SHA256}
    request = AWSRequest(method=method, url=url, headers=named)
    SigV4Auth(CREDENTIALS, service, REGION).add_auth(request)
    path, _, raw_query = url.removeprefix(f"http://{HOST}").partition("?")
    lines = sign(
        method,
        path.encode(),
        raw_query.encode(),
        [("Host", HOST), *headers.items()],
        EMPTY_SHA256,
        key=derive_signing_key(SECRET_KEY, MOMENT.strftime("%Y%m%d"), REGION, service),
        access_key=ACCESS_KEY,
        region=REGION,
        timestamp_s=TIMESTAMP_S,
        service=service,
    )
    ours = lines.decode().split("\r\n")[2].removeprefix("Authorization: ")
    assert ours == request.headers["Authorization"].replace(", ", ",")


@given(
    method=methods,
    key=keys,
    query=params.filter(lambda query: not any(name.startswith("X-Amz-") for name in query)),
    headers=metadata,
    expires_s=st.integers(1, 604800),
)
def test_verify_botocore_presigned_request_passes(
    method: str, key: str, query: dict[str, str], headers: dict[str, str], expires_s: int
) -> None:
    request = AWSRequest(method=method, url=url_of(key, query), headers=headers)
    S3SigV4QueryAuth(CREDENTIALS, "s3", REGION, expires=expires_s).add_auth(request)
    authorization = check(head_of_request(request))
    assert authorization.expires_s == expires_s
    assert authorization.presigned


@given(data=st.data(), key=keys, query=params)
def test_verify_botocore_request_changed_in_one_byte_is_refused(
    data: st.DataObject, key: str, query: dict[str, str]
) -> None:
    request = botocore_signed("GET", url_of(key, query), {"x-amz-meta-a": "value"})
    head = head_of_request(request)
    authorization = parsed(head)
    signature = authorization.signature
    position = data.draw(st.integers(0, 63))
    digit = data.draw(st.sampled_from([d for d in "0123456789abcdef" if d != signature[position]]))
    changed = signature[:position] + digit + signature[position + 1 :]
    request.headers.replace_header(
        "Authorization", request.headers["Authorization"].replace(signature, changed)
    )
    other = head_of_request(request)
    with pytest.raises(AuthError, match="SignatureDoesNotMatch"):
        verify(other, parsed(other), KEY)
