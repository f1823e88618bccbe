import pytest

from s3proxy.s3.hosts import Hosts, host_name


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("S3.Example.COM:9000", "s3.example.com"),
        ("s3.example.com.", "s3.example.com"),
        ("[2001:DB8::1]:9000", "[2001:db8::1]"),
        ("", ""),
    ],
)
def test_host_name_of_a_host_header_is_bare(host: str, name: str) -> None:
    assert host_name(host) == name


@pytest.mark.parametrize(
    ("host", "bucket"),
    [
        ("photos.s3.example.com", "photos"),
        ("Photos.S3.example.com:443", "photos"),
        ("my.dotted.bucket.s3.example.com", "my.dotted.bucket"),
        ("photos.example.net", "photos"),
        ("photos.eu.example.net", "photos"),
        ("eu.example.net", ""),
        ("s3.example.com", ""),
        ("s3.example.com.", ""),
        ("192.0.2.1:9000", ""),
        ("[::1]:9000", ""),
        ("xs3.example.com", ""),
        ("photos.web.example.com", ""),
    ],
)
def test_bucket_of_a_host_is_what_stands_before_the_longest_domain(host: str, bucket: str) -> None:
    hosts = Hosts(["S3.example.com", "example.net.", "eu.example.net"], ["web.example.com"])
    assert hosts.bucket(host) == bucket


def test_website_of_a_host_is_found_on_website_domains_alone() -> None:
    hosts = Hosts(["s3.example.com"], ["web.example.com"])
    assert hosts.website("www.my.site.WEB.example.com:80") == "www.my.site"
    assert not hosts.website("photos.s3.example.com")
    assert not hosts.website("web.example.com")


def test_website_domains_above_an_api_domain_leave_it_alone() -> None:
    hosts = Hosts(["s3.example.com"], ["example.com"])
    assert not hosts.website("s3.example.com")
    assert not hosts.website("photos.s3.example.com")
    assert hosts.website("photos.example.com") == "photos"


def test_hosts_without_domains_are_path_style() -> None:
    assert not Hosts().virtual
    assert not Hosts([""]).bucket("a.b")
