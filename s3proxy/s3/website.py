"""Website configurations of buckets: which object or redirect answers a path.

Source: Amazon S3 API Reference, "PutBucketWebsite"; User Guide, "Hosting a static website",
"Configuring a webpage redirect".
"""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from s3proxy.s3.errors import S3Error, invalid_argument
from s3proxy.s3.xml import document, element
from s3proxy.s3.xml_listings import url_encode
from s3proxy.s3.xml_read import CONFIGURATION_BYTES_MAX, Node, parse, single_children

RULES_MAX: Final = 50
_PROTOCOLS: Final = frozenset({"http", "https"})
# The codes of a redirect: not those that say something else.
_NO_REDIRECTS: Final = frozenset({300, 304, 305, 306})
_HOST: Final = re.compile(r"[A-Za-z0-9._:\[\]-]*")
_TEXTS: Final = ("Protocol", "HostName", "ReplaceKeyPrefixWith", "ReplaceKeyWith")


class Redirect(msgspec.Struct, frozen=True):
    """Where to send a browser; what is "" stays as the request has it.

    Attributes:
        status: of the answer; 0: not said, which means 301.
        replace_prefix: instead of the prefix that the rule names; None: the key stays.
        replace_key: instead of the whole key; None: the key stays.
    """

    protocol: str = ""
    host: str = ""
    status: int = 0
    replace_prefix: str | None = None
    replace_key: str | None = None

    def location(self, key: str, prefix: str, *, scheme: str, host: str) -> str:
        """The URL for a request of `key`, whose rule names `prefix`."""
        if self.replace_key is not None:
            key = self.replace_key
        elif self.replace_prefix is not None:
            key = self.replace_prefix + key.removeprefix(prefix)
        return f"{self.protocol or scheme}://{self.host or host}/{url_encode(key)}"


class Rule(msgspec.Struct, frozen=True):
    """A routing rule.

    Attributes:
        prefix: of the keys it is for; None: not a condition.
        error_status: of the answer it replaces; 0: the rule is looked at before the object.
    """

    redirect: Redirect
    prefix: str | None = None
    error_status: int = 0


class Website(msgspec.Struct, frozen=True):
    """A website configuration; either `redirect_all`, or the rest."""

    redirect_all: Redirect | None = None
    index: str = ""
    error_key: str = ""
    rules: tuple[Rule, ...] = ()

    def find_rule(self, key: str, error_status: int = 0) -> Rule | None:
        """The first rule for a key, before (0) or after an error with that status."""
        for rule in self.rules:
            if rule.error_status == error_status and key.startswith(rule.prefix or ""):
                return rule
        return None


def read_website(body: bytes) -> Website:
    """Body of PutBucketWebsite.

    Raises:
        S3Error: MalformedXML; InvalidArgument, InvalidRequest for values that S3 does not take.
    """
    root = parse(body, "WebsiteConfiguration", CONFIGURATION_BYTES_MAX)
    found = single_children(
        root, ("ErrorDocument", "IndexDocument", "RedirectAllRequestsTo", "RoutingRules")
    )
    if "RedirectAllRequestsTo" in found:
        if len(found) > 1:
            raise S3Error("MalformedXML")
        return Website(_redirect_all(found["RedirectAllRequestsTo"]))
    if "IndexDocument" not in found:
        message = "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is"
        raise invalid_argument(f"{message} empty", "IndexDocument", "null")
    index = _required(found["IndexDocument"], "Suffix")
    if not index or "/" in index:
        raise invalid_argument("The IndexDocument Suffix is not well formed", "Suffix", index)
    error_key = ""
    if "ErrorDocument" in found:
        error_key = _required(found["ErrorDocument"], "Key")
        if not error_key or len(error_key.encode()) > 1024:
            raise invalid_argument("The ErrorDocument Key is not well formed", "Key", error_key)
    rules = _rules(found["RoutingRules"]) if "RoutingRules" in found else ()
    return Website(None, index, error_key, rules)


def website_configuration(website: Website) -> bytes:
    """The document of GetBucketWebsite."""
    if website.redirect_all is not None:
        redirect = website.redirect_all
        content = element("HostName", redirect.host)
        content += element("Protocol", redirect.protocol) if redirect.protocol else ""
        return document("WebsiteConfiguration", _around("RedirectAllRequestsTo", content))
    content = _around("IndexDocument", element("Suffix", website.index))
    if website.error_key:
        content += _around("ErrorDocument", element("Key", website.error_key))
    if website.rules:
        content += _around("RoutingRules", "".join(map(_rule_element, website.rules)))
    return document("WebsiteConfiguration", content)


def error_page(title: str, lines: Iterable[tuple[str, str]], also: str = "") -> bytes:
    """The HTML page of an error or redirect that no object answers.

    Args:
        title: status and reason, "404 Not Found".
        lines: names and values to list.
        also: what else went wrong, as a second heading; "" for nothing.
    """
    listed = "".join(f"<li>{name}: {_text(value)}</li>\n" for name, value in lines)
    heading = _text(title)
    more = f"<h3>{_text(also)}</h3>\n" if also else ""
    return (
        f"<html>\n<head><title>{heading}</title></head>\n<body>\n<h1>{heading}</h1>\n"
        f"<ul>\n{listed}</ul>\n{more}<hr/>\n</body>\n</html>\n"
    ).encode()


def _text(value: str) -> str:
    table = {38: "&amp;", 60: "&lt;", 62: "&gt;", 34: "&quot;", 39: "&#39;"}
    return value.translate(table)


def _redirect_all(node: Node) -> Redirect:
    single_children(node, ("HostName", "Protocol"))
    redirect = _redirect(node)
    if not redirect.host:
        raise S3Error("MalformedXML")
    return redirect


def _rules(node: Node) -> tuple[Rule, ...]:
    if any(child.name != "RoutingRule" for child in node.children):
        raise S3Error("MalformedXML")
    if len(node.children) > RULES_MAX:
        message = f"{len(node.children)} routing rules provided, the number of routing rules in a"
        message += f" website configuration is limited to {RULES_MAX}."
        raise S3Error("InvalidRequest", message)
    return tuple(_rule(child) for child in node.children)


def _rule(node: Node) -> Rule:
    found = single_children(node, ("Condition", "Redirect"))
    if "Redirect" not in found:
        raise S3Error("MalformedXML")
    single_children(found["Redirect"], (*_TEXTS, "HttpRedirectCode"))
    redirect = _redirect(found["Redirect"])
    if not found["Redirect"].children:
        raise S3Error("MalformedXML")
    if redirect.replace_key is not None and redirect.replace_prefix is not None:
        message = "You can only define ReplaceKeyPrefix or ReplaceKey but not both."
        raise S3Error("InvalidRequest", message)
    prefix, status = None, 0
    if "Condition" in found:
        names = ("HttpErrorCodeReturnedEquals", "KeyPrefixEquals")
        condition = single_children(found["Condition"], names)
        if not condition:
            message = "Condition cannot be empty. To redirect all requests without a condition,"
            raise S3Error(
                "InvalidRequest", f"{message} the condition element shouldn't be present."
            )
        prefix = condition["KeyPrefixEquals"].text if "KeyPrefixEquals" in condition else None
        if "HttpErrorCodeReturnedEquals" in condition:
            status = _status(condition["HttpErrorCodeReturnedEquals"].text, (400, 599))
    return Rule(redirect, prefix, status)


def _redirect(node: Node) -> Redirect:
    texts = {name: node.child_text(name) for name in _TEXTS}
    protocol = (texts["Protocol"] or "").strip()
    if protocol and protocol not in _PROTOCOLS:
        message = "Invalid protocol, protocol can be http or https. If not defined the protocol"
        raise S3Error("InvalidRequest", f"{message} will be selected automatically.")
    host = (texts["HostName"] or "").strip()
    if not _HOST.fullmatch(host):
        raise invalid_argument("The HostName is not well formed", "HostName", host)
    for name in ("ReplaceKeyPrefixWith", "ReplaceKeyWith"):
        if not (texts[name] or "a").isprintable():
            raise invalid_argument(f"The {name} is not well formed", name, "")
    code = node.child_text("HttpRedirectCode")
    status = 0 if code is None else _status(code, (301, 399))
    return Redirect(protocol, host, status, texts["ReplaceKeyPrefixWith"], texts["ReplaceKeyWith"])


def _status(text: str, span: tuple[int, int]) -> int:
    text = text.strip()
    status = int(text) if len(text) == 3 and text.isascii() and text.isdecimal() else 0
    if span[0] <= status <= span[1] and status not in _NO_REDIRECTS:
        return status
    if span[0] >= 400:
        message = f"The provided HTTP error code ({text}) is not valid. Valid codes are 4XX or 5XX."
    else:
        message = f"The provided HTTP redirect code ({text}) is not valid. Valid codes are 3XX"
        message += " except 300."
    raise S3Error("InvalidRequest", message)


def _required(node: Node, name: str) -> str:
    return (single_children(node, (name,)).get(name) or node).text.strip()


def _around(name: str, content: str) -> str:
    return f"<{name}>{content}</{name}>"


def _rule_element(rule: Rule) -> str:
    condition = "" if rule.prefix is None else element("KeyPrefixEquals", rule.prefix)
    if rule.error_status:
        condition += element("HttpErrorCodeReturnedEquals", str(rule.error_status))
    redirect = rule.redirect
    content = element("Protocol", redirect.protocol) if redirect.protocol else ""
    content += element("HostName", redirect.host) if redirect.host else ""
    if redirect.replace_prefix is not None:
        content += element("ReplaceKeyPrefixWith", redirect.replace_prefix)
    if redirect.replace_key is not None:
        content += element("ReplaceKeyWith", redirect.replace_key)
    content += element("HttpRedirectCode", str(redirect.status)) if redirect.status else ""
    before = _around("Condition", condition) if condition else ""
    return _around("RoutingRule", before + _around("Redirect", content))
