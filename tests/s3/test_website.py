import pytest

from s3proxy.s3.website import Redirect, Rule, Website, error_page, read_website
from s3proxy.s3.website import website_configuration as written
from tests.s3.heads import raises_s3


def config(content: str) -> bytes:
    return f"<WebsiteConfiguration>{content}</WebsiteConfiguration>".encode()


INDEX = "<IndexDocument><Suffix>index.html</Suffix></IndexDocument>"
ERROR = "<ErrorDocument><Key>error.html</Key></ErrorDocument>"


def rules(*content: str) -> bytes:
    listed = "".join(f"<RoutingRule>{rule}</RoutingRule>" for rule in content)
    return config(f"{INDEX}<RoutingRules>{listed}</RoutingRules>")


def to(content: str, condition: str = "") -> str:
    return f"{condition and f'<Condition>{condition}</Condition>'}<Redirect>{content}</Redirect>"


HOST = "<HostName>h.example</HostName>"


@pytest.mark.parametrize(
    ("body", "website"),
    [
        (config(INDEX), Website(index="index.html")),
        (config(INDEX + ERROR), Website(index="index.html", error_key="error.html")),
        (
            config(f"<RedirectAllRequestsTo>{HOST}</RedirectAllRequestsTo>"),
            Website(Redirect(host="h.example")),
        ),
        (
            config(
                f"<RedirectAllRequestsTo>{HOST}<Protocol>https</Protocol></RedirectAllRequestsTo>"
            ),
            Website(Redirect("https", "h.example")),
        ),
        (
            rules(
                to("<ReplaceKeyPrefixWith/>", "<KeyPrefixEquals>old/</KeyPrefixEquals>"),
                to(
                    "<Protocol>http</Protocol><ReplaceKeyWith>a&amp;b</ReplaceKeyWith>"
                    "<HttpRedirectCode>307</HttpRedirectCode>",
                    "<HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals>",
                ),
                to(HOST),
            ),
            Website(
                index="index.html",
                rules=(
                    Rule(Redirect(replace_prefix=""), "old/"),
                    Rule(Redirect("http", "", 307, None, "a&b"), None, 404),
                    Rule(Redirect(host="h.example")),
                ),
            ),
        ),
    ],
)
def test_website_is_read_and_written_back(body: bytes, website: Website) -> None:
    assert read_website(body) == website
    assert read_website(written(website)) == website


def prefixed(text: str) -> str:
    return f"<KeyPrefixEquals>{text}</KeyPrefixEquals>"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MalformedXML"),
        (config(""), "InvalidArgument"),
        (config(ERROR), "InvalidArgument"),
        (config("<IndexDocument/>"), "InvalidArgument"),
        (config("<IndexDocument><Suffix>a/b</Suffix></IndexDocument>"), "InvalidArgument"),
        (config(INDEX + "<ErrorDocument><Key/></ErrorDocument>"), "InvalidArgument"),
        (config(INDEX + INDEX), "MalformedXML"),
        (config(INDEX + "<Unknown/>"), "MalformedXML"),
        (config(f"{INDEX}<RedirectAllRequestsTo>{HOST}</RedirectAllRequestsTo>"), "MalformedXML"),
        (config("<RedirectAllRequestsTo/>"), "MalformedXML"),
        (rules(""), "MalformedXML"),
        (rules(to("")), "MalformedXML"),
        (rules(f"<Condition/>{to(HOST)}"), "InvalidRequest"),
        (rules(to("<Protocol>ftp</Protocol>")), "InvalidRequest"),
        (rules(to("<HttpRedirectCode>300</HttpRedirectCode>")), "InvalidRequest"),
        (rules(to("<HttpRedirectCode>304</HttpRedirectCode>")), "InvalidRequest"),
        (rules(to("<HttpRedirectCode>404</HttpRedirectCode>")), "InvalidRequest"),
        (rules(to("<HttpRedirectCode>x</HttpRedirectCode>")), "InvalidRequest"),
        (
            rules(to(HOST, "<HttpErrorCodeReturnedEquals>200</HttpErrorCodeReturnedEquals>")),
            "InvalidRequest",
        ),
        (
            rules(to("<ReplaceKeyWith>a</ReplaceKeyWith><ReplaceKeyPrefixWith/>")),
            "InvalidRequest",
        ),
        (rules(to("<HostName>a b</HostName>")), "InvalidArgument"),
        (rules(to("<HostName>ä</HostName>")), "InvalidArgument"),
        (rules(to("<ReplaceKeyWith>a&#10;b</ReplaceKeyWith>")), "InvalidArgument"),
        (rules(*[to(HOST)] * 51), "InvalidRequest"),
    ],
)
def test_website_that_s3_does_not_take_is_refused(body: bytes, code: str) -> None:
    with raises_s3(code):
        read_website(body)


def test_website_rules_are_found_in_order_before_and_after_an_error() -> None:
    site = read_website(
        rules(
            to("<ReplaceKeyWith>1</ReplaceKeyWith>", prefixed("a/")),
            to("<ReplaceKeyWith>2</ReplaceKeyWith>", prefixed("a")),
            to(
                "<ReplaceKeyWith>3</ReplaceKeyWith>",
                prefixed("b") + "<HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals>",
            ),
        )
    )

    def found(key: str, status: int = 0) -> str | None:
        rule = site.find_rule(key, status)
        return rule and rule.redirect.replace_key

    assert (found("a/x"), found("ab"), found("b")) == ("1", "2", None)
    assert (found("bc", 404), found("bc", 403), found("a/x", 404)) == ("3", None, None)


@pytest.mark.parametrize(
    ("redirect", "location"),
    [
        (Redirect(host="h"), "http://h/docs/a%20b"),
        (Redirect("https"), "https://here:80/docs/a%20b"),
        (Redirect(replace_prefix="new/"), "http://here:80/new/a%20b"),
        (Redirect(replace_prefix=""), "http://here:80/a%20b"),
        (Redirect(replace_key="ä.html"), "http://here:80/%C3%A4.html"),
    ],
)
def test_redirect_changes_what_it_names(redirect: Redirect, location: str) -> None:
    assert redirect.location("docs/a b", "docs/", scheme="http", host="here:80") == location


def test_error_page_escapes_what_it_shows() -> None:
    page = error_page("404 Not Found", [("Key", "<script>'\"&")], also="More").decode()
    assert "<li>Key: &lt;script&gt;&#39;&quot;&amp;</li>" in page
    assert "<h1>404 Not Found</h1>" in page
    assert "<h3>More</h3>" in page
