"""Buckets as websites, as a browser sees them: boto3 sets them up, httpx visits them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateways import Gateway, attached, client, local_backend, s3_backend
from tests.servers import moto_server

pytestmark = pytest.mark.slow
DOMAIN = "web.test"
SITE: dict[str, Any] = {
    "IndexDocument": {"Suffix": "index.html"},
    "ErrorDocument": {"Key": "error.html"},
    "RoutingRules": [
        {
            "Condition": {"KeyPrefixEquals": "old/"},
            "Redirect": {"ReplaceKeyPrefixWith": "new/", "HttpRedirectCode": "302"},
        },
        {
            "Condition": {"KeyPrefixEquals": "lost/", "HttpErrorCodeReturnedEquals": "404"},
            "Redirect": {"HostName": "found.example", "Protocol": "https", "ReplaceKeyWith": "x y"},
        },
    ],
}
BIG = b"<html>" + b"x" * 300_000


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("website")
    environ = {"S3PROXY_SERVER__WEBSITE_DOMAIN": DOMAIN, "S3PROXY_SERVER__DOMAIN": "s3.test"}
    with Gateway(folder, **environ) as running:
        s3 = running.client()
        for bucket in ("site", "moved", "private", "none"):
            s3.create_bucket(Bucket=bucket)
        publish(s3, "site")
        s3.put_bucket_website(Bucket="site", WebsiteConfiguration=SITE)
        everything = {"RedirectAllRequestsTo": {"HostName": "new.example", "Protocol": "https"}}
        s3.put_bucket_website(Bucket="moved", WebsiteConfiguration=everything)
        s3.put_bucket_website(
            Bucket="private", WebsiteConfiguration={"IndexDocument": {"Suffix": "i"}}
        )
        for key, body in {
            "index.html": b"home",
            "docs/index.html": b"docs",
            "error.html": b"oops",
            "a b.html": BIG,
        }.items():
            s3.put_object(Bucket="site", Key=key, Body=body, ContentType="text/html")
        s3.put_object(Bucket="site", Key="gone", WebsiteRedirectLocation="/docs/")
        s3.put_object(Bucket="private", Key="i", Body=b"secret")
        yield running


def publish(s3: Any, bucket: str) -> None:
    s3.delete_public_access_block(Bucket=bucket)
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [f"arn:aws:s3:::{bucket}/*", f"arn:aws:s3:::{bucket}"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)


def visit(
    gateway: Gateway, path: str, bucket: str = "site", method: str = "GET", **headers: str
) -> httpx.Response:
    host = {"Host": f"{bucket}.{DOMAIN}", **headers}
    return httpx.request(method, gateway.url + path, headers=host, follow_redirects=False)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/", b"home"),
        ("/?anything=1&versionId=x", b"home"),
        ("/index.html", b"home"),
        ("/docs/", b"docs"),
        ("/a%20b.html", BIG),
    ],
)
def test_website_answers_with_objects(gateway: Gateway, path: str, body: bytes) -> None:
    found = visit(gateway, path)
    assert (found.status_code, found.content) == (200, body)
    assert found.headers["Content-Type"] == "text/html"
    seen = visit(gateway, path, method="HEAD")
    assert (seen.status_code, seen.content) == (200, b"")
    assert seen.headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize(
    ("path", "status", "location"),
    [
        ("/docs", 302, "/docs/"),
        ("/gone", 301, "/docs/"),
        ("/old/a b", 302, f"http://site.{DOMAIN}/new/a%20b"),
        ("/lost/x", 301, "https://found.example/x%20y"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_website_redirects(
    gateway: Gateway, method: str, path: str, status: int, location: str
) -> None:
    found = visit(gateway, path, method=method)
    assert (found.status_code, found.headers["Location"]) == (status, location)
    assert found.headers["Content-Type"].startswith("text/html")


def test_website_that_redirects_everything_keeps_the_path(gateway: Gateway) -> None:
    found = visit(gateway, "/a/b%20c", "moved")
    assert (found.status_code, found.headers["Location"]) == (301, "https://new.example/a/b%20c")


def test_website_answers_conditions_and_ranges(gateway: Gateway) -> None:
    etag = visit(gateway, "/").headers["ETag"]
    assert visit(gateway, "/", **{"If-None-Match": etag}).status_code == 304
    part = visit(gateway, "/", Range="bytes=1-2")
    assert (part.status_code, part.content) == (206, b"om")


def test_website_answers_errors_with_its_document_and_their_status(gateway: Gateway) -> None:
    found = visit(gateway, "/missing", **{"Range": "bytes=0-0", "If-None-Match": "*"})
    assert (found.status_code, found.content) == (404, b"oops")
    assert visit(gateway, "/missing", method="HEAD").status_code == 404


@pytest.mark.parametrize(
    ("bucket", "path", "method", "status", "code"),
    [
        ("private", "/", "GET", 403, "AccessDenied"),
        ("private", "/<x>", "GET", 403, "AccessDenied"),
        ("none", "/", "GET", 404, "NoSuchWebsiteConfiguration"),
        ("no-such-bucket", "/", "GET", 404, "NoSuchBucket"),
        ("site", "/", "PUT", 405, "MethodNotAllowed"),
        ("site", "/", "OPTIONS", 405, "MethodNotAllowed"),
        ("site", "/%zz", "GET", 400, "InvalidURI"),
    ],
)
def test_website_answers_other_errors_with_pages(
    gateway: Gateway, bucket: str, path: str, method: str, status: int, code: str
) -> None:
    found = visit(gateway, path, bucket, method)
    assert found.status_code == status
    assert f"<li>Code: {code}</li>" in found.text
    assert found.headers["x-amz-error-code"] == code
    assert "<x>" not in found.text


def test_website_whose_error_document_is_missing_says_both(gateway: Gateway) -> None:
    gateway.client().delete_object(Bucket="site", Key="error.html")
    found = visit(gateway, "/missing")
    assert found.status_code == 404
    assert "Custom Error Document" in found.text
    gateway.client().put_object(Bucket="site", Key="error.html", Body=b"oops")


def test_website_is_on_no_host_of_the_api(gateway: Gateway) -> None:
    api = httpx.get(gateway.url + "/", headers={"Host": "site.s3.test"})
    assert "<ListBucketResult" in api.text
    path = httpx.get(gateway.url + "/site/docs/index.html")
    assert path.content == b"docs"
    assert "<ListAllMyBuckets" not in visit(gateway, "/").text
    signed = gateway.client().generate_presigned_url(
        "get_object", {"Bucket": "private", "Key": "i"}
    )
    query = signed.partition("?")[2]
    assert visit(gateway, f"/i?{query}", "private").status_code == 403


def test_website_configuration_is_given_back_by_boto3(gateway: Gateway) -> None:
    found = gateway.client().get_bucket_website(Bucket="site")
    assert {name: found[name] for name in SITE} == SITE


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose buckets are a directory and a provider's bucket."""
    folder: Path = tmp_path_factory.mktemp("elsewhere")
    (folder / "disk" / "site").mkdir(parents=True)
    with moto_server() as provider:
        extra = s3_backend("far", provider) + local_backend("disk", folder / "disk")
        extra += attached("far-site", "far", "there") + attached("disk-site", "disk", "site")
        environ = {"S3PROXY_SERVER__WEBSITE_DOMAIN": DOMAIN, "S3PROXY_S3__SOSAPI": "true"}
        client(provider).create_bucket(Bucket="there")
        with Gateway(folder / "gateway", extra, **environ) as running:
            yield running


@pytest.mark.parametrize("bucket", ["far-site", "disk-site"])
def test_website_of_an_attached_bucket_is_served_alike(elsewhere: Gateway, bucket: str) -> None:
    s3 = elsewhere.client()
    publish(s3, bucket)
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=SITE)
    for key in ("index.html", "docs/index.html", "error.html"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    s3.put_object(Bucket=bucket, Key="gone", Body=b"", WebsiteRedirectLocation="/docs/")
    for path, status, body in (
        ("/", 200, b"index.html"),
        ("/docs/", 200, b"docs/index.html"),
        ("/missing", 404, b"error.html"),
    ):
        found = visit(elsewhere, path, bucket)
        assert (found.status_code, found.content) == (status, body)
        assert visit(elsewhere, path, bucket, "HEAD").status_code == status
    assert visit(elsewhere, "/docs", bucket).status_code == 302
    assert visit(elsewhere, "/gone", bucket).headers["Location"] == "/docs/"


def test_veeams_documents_are_there_but_for_providers(elsewhere: Gateway) -> None:
    s3 = elsewhere.client()
    s3.create_bucket(Bucket="backups")
    key = ".system-d26a9498-cb7c-4a87-a44a-8ae204f5ba6c/system.xml"
    for bucket in ("backups", "disk-site"):
        assert b"<SystemInfo>" in s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        assert s3.head_object(Bucket=bucket, Key=key)["ContentType"] == "application/xml"
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket="far-site", Key=key)
