import pytest

from s3proxy.s3.proxies import Forwarded, Networks, address_of, read_forwarded
from s3proxy.s3.rewritten import rewritten
from tests.s3.heads import make_head, raises_s3

TRUSTED = Networks(["10.0.0.0/8", "2001:db8::/32"])


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("192.0.2.1:80", "192.0.2.1"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("192.0.2.1", "192.0.2.1"),
        ("", ""),
    ],
)
def test_address_of_a_peer_is_without_its_port(peer: str, address: str) -> None:
    assert address_of(peer) == address


@pytest.mark.parametrize(
    ("address", "trusted"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("2001:db8::5", True),
        ("11.0.0.1", False),
        ("", False),
        ("unix", False),
    ],
)
def test_networks_have_their_addresses(address: str, trusted: bool) -> None:
    assert TRUSTED.has(address) == trusted


def test_networks_refuse_what_is_none() -> None:
    with pytest.raises(ValueError, match="host bits"):
        Networks(["10.0.0.1/8"])


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({}, Forwarded()),
        ({"X_Forwarded_For": "192.0.2.7"}, Forwarded(peer="192.0.2.7:0")),
        ({"X_Forwarded_For": "6.6.6.6, 192.0.2.7, 10.0.0.1"}, Forwarded(peer="192.0.2.7:0")),
        ({"X_Forwarded_For": "10.0.0.2, 10.0.0.1"}, Forwarded(peer="10.0.0.2:0")),
        ({"X_Forwarded_For": "192.0.2.7:5000"}, Forwarded(peer="192.0.2.7:0")),
        ({"X_Forwarded_For": 'fe80::7%"- -"'}, Forwarded()),
        ({"X_Forwarded_For": "[fe80::7]:5000"}, Forwarded(peer="[fe80::7]:0")),
        ({"X_Forwarded_For": "6.6.6.6, nonsense, 10.0.0.1"}, Forwarded(peer="10.0.0.1:0")),
        ({"X_Forwarded_For": "nonsense"}, Forwarded()),
        ({"X_Forwarded_Proto": "https, http"}, Forwarded(proto="http")),
        ({"X_Forwarded_Proto": "HTTPS"}, Forwarded(proto="https")),
        ({"X_Forwarded_Proto": "ws"}, Forwarded()),
        ({"X_Forwarded_Host": "a.example, b.example"}, Forwarded(host="a.example")),
        ({"X_Forwarded_Prefix": "/s3/"}, Forwarded(prefix="/s3")),
        ({"X_Forwarded_Prefix": "/"}, Forwarded()),
        (
            {"Forwarded": 'for=6.6.6.6, for="[fe80::7]:80";proto=https;host="h:81", for=10.0.0.1'},
            Forwarded("[fe80::7]:0", "https", "h:81"),
        ),
        ({"Forwarded": "for=unknown, for=_hidden"}, Forwarded()),
        ({"Forwarded": "host=evil", "X_Forwarded_Proto": "http"}, Forwarded(proto="http")),
    ],
)
def test_forwarded_headers_say_who_asked_and_how(
    headers: dict[str, str], wanted: Forwarded
) -> None:
    assert read_forwarded(make_head(**headers), TRUSTED) == wanted


@pytest.mark.parametrize("prefix", ["s3", "/a b", "/a?b", "/ä", "/a, /b"])
def test_forwarded_prefix_that_is_no_path_is_refused(prefix: str) -> None:
    with raises_s3("InvalidRequest"):
        read_forwarded(make_head(X_Forwarded_Prefix=prefix), TRUSTED)


def test_forwarded_heads_have_host_and_prefix_of_the_client() -> None:
    forwarded = Forwarded(host="s3.example", prefix="/store")
    head = make_head("PUT", "/b/k?a=1", "inner:9000", Content_Length="3", X_Amz_Acl="é")
    restored = forwarded.restored(head)
    assert (restored.host, restored.path, restored.query) == ("s3.example", b"/b/k", b"a=1")
    signed = forwarded.signed(restored)
    assert (signed.host, signed.path, signed.query) == ("s3.example", b"/store/b/k", b"a=1")
    assert (signed.method, signed.content_length) == ("PUT", 3)
    assert signed.get(b"x-amz-acl") == "é"
    assert Forwarded().signed(head) is Forwarded().restored(head) is head


@pytest.mark.parametrize("host", ["a b", "a/b"])
def test_rewritten_head_that_would_be_none_is_refused(host: str) -> None:
    with raises_s3("InvalidRequest"):
        rewritten(make_head(), {"host": host})


def test_rewritten_head_may_lack_what_is_put_in() -> None:
    head = rewritten(make_head(), {"accept-encoding": ""})
    assert head.get(b"accept-encoding") == ""
