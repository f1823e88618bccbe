"""Cross-origin resource sharing: a bucket's rules, and what a browser is told by them.

Source: AWS, "Using cross-origin resource sharing", "PutBucketCors"; Fetch standard, 3.2.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from s3proxy.s3.errors import S3Error
from s3proxy.s3.xml import document, element
from s3proxy.s3.xml_read import CONFIGURATION_BYTES_MAX, Node, parse

RULES_MAX: Final = 100
ID_CHARACTERS_MAX: Final = 255
_METHODS: Final = frozenset({"GET", "PUT", "POST", "DELETE", "HEAD"})
_SECONDS_MAX: Final = 2**31 - 1
# Caches must not give one origin's answer to another.
VARY: Final = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
_NOT_ALLOWED: Final = (
    "CORSResponse: This CORS request is not allowed. This is usually because the evalution of"
    " Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are"
    " not whitelisted by the resource's CORS spec."
)


class CorsRule(msgspec.Struct, frozen=True):
    """One CORSRule; the elements of each kind in the order they were sent.

    Attributes:
        max_age_s: how long a browser may keep the answer of a preflight; None: its own choice.
    """

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    max_age_s: int | None = None
    id: str = ""

    def answer(self, origin: str, wanted_headers: str) -> list[tuple[str, str]]:
        """The headers of an answer to `origin`, which this rule allows.

        Args:
            wanted_headers: Access-Control-Request-Headers of a preflight; "" for another request.
        """
        anyone = next(pattern for pattern in self.origins if _matches(pattern, origin)) == "*"
        found = [("Access-Control-Allow-Origin", "*" if anyone else origin)]
        if not anyone:
            found.append(("Access-Control-Allow-Credentials", "true"))
        found.append(("Access-Control-Allow-Methods", ", ".join(self.methods)))
        if wanted_headers:
            names = ", ".join(_names(wanted_headers))
            found.append(("Access-Control-Allow-Headers", names))
        if self.exposed:
            found.append(("Access-Control-Expose-Headers", ", ".join(self.exposed)))
        if self.max_age_s is not None:
            found.append(("Access-Control-Max-Age", str(self.max_age_s)))
        return [*found, ("Vary", VARY)]


def read_cors(body: bytes) -> list[CorsRule]:
    """Body of PutBucketCors: 1 to 100 rules.

    Raises:
        S3Error: MalformedXML; InvalidRequest for a method, wildcard or id that S3 does not take.
    """
    root = parse(body, "CORSConfiguration", CONFIGURATION_BYTES_MAX)
    if not root.children or any(child.name != "CORSRule" for child in root.children):
        raise S3Error("MalformedXML")
    if len(root.children) > RULES_MAX:
        raise S3Error("InvalidRequest", f"The number of CORS rules exceeds {RULES_MAX}.")
    return [_rule(child) for child in root.children]


def cors_configuration(rules: Iterable[CorsRule]) -> bytes:
    """The document of GetBucketCors."""
    return document("CORSConfiguration", "".join(map(_element, rules)))


def find_rule(
    rules: Iterable[CorsRule], origin: str, method: str, wanted_headers: str = ""
) -> CorsRule | None:
    """The first rule that allows the origin, the method and each header a preflight names."""
    names = _names(wanted_headers)
    for rule in rules:
        if (
            method in rule.methods
            and any(_matches(pattern, origin) for pattern in rule.origins)
            and all(_allows(rule.headers, name) for name in names)
        ):
            return rule
    return None


def preflight(
    rules: Sequence[CorsRule] | None, origin: str | None, method: str | None, wanted_headers: str
) -> list[tuple[str, str]]:
    """The headers of the answer to an OPTIONS request.

    Args:
        rules: the bucket's; None: it has none, or there is no such bucket.
    Raises:
        S3Error: BadRequest (no preflight), AccessForbidden.
    """
    if origin is None:
        raise S3Error("BadRequest", "Insufficient information. Origin request header needed.")
    if method not in _METHODS:
        raise S3Error("BadRequest", f"Invalid Access-Control-Request-Method: {method or 'null'}")
    if rules is None:
        raise S3Error("AccessForbidden", "CORSResponse: CORS is not enabled for this bucket.")
    rule = find_rule(rules, origin, method, wanted_headers)
    if rule is None:
        raise S3Error("AccessForbidden", _NOT_ALLOWED)
    return rule.answer(origin, wanted_headers)


def _rule(node: Node) -> CorsRule:
    origins, methods = _texts(node, "AllowedOrigin"), _texts(node, "AllowedMethod")
    if not origins or not methods:
        raise S3Error("MalformedXML")
    for method in methods:
        if method not in _METHODS:
            message = (
                f"Found unsupported HTTP method in CORS config. Unsupported method is {method}"
            )
            raise S3Error("InvalidRequest", message)
    for origin in origins:
        if origin.count("*") > 1:
            message = f'AllowedOrigin "{origin}" can not have more than one wildcard.'
            raise S3Error("InvalidRequest", message)
    headers, exposed = _texts(node, "AllowedHeader"), _texts(node, "ExposeHeader")
    for header in headers:
        if header.count("*") > 1:
            message = f'AllowedHeader "{header}" can not have more than one wildcard.'
            raise S3Error("InvalidRequest", message)
    for header in exposed:
        if _TOKEN.fullmatch(header) is None or "*" in header:
            message = (
                f'ExposeHeader "{header}" contains wildcard. We currently do not support wildcard'
                " for ExposeHeader."
            )
            raise S3Error("InvalidRequest", message)
    rule_id = (node.child_text("ID") or "").strip()
    if len(rule_id) > ID_CHARACTERS_MAX:
        raise S3Error(
            "InvalidRequest", f"The ID of a rule has at most {ID_CHARACTERS_MAX} characters."
        )
    return CorsRule(origins, methods, headers, exposed, _max_age_s(node), rule_id)


def _texts(node: Node, name: str) -> tuple[str, ...]:
    texts = tuple(child.text.strip() for child in node.children if child.name == name)
    if not all(texts):
        raise S3Error("MalformedXML")
    return texts


def _max_age_s(node: Node) -> int | None:
    text = node.child_text("MaxAgeSeconds")
    if text is None:
        return None
    text = text.strip()
    if not (text.isascii() and text.isdecimal()) or len(text) > 10 or int(text) > _SECONDS_MAX:
        raise S3Error("MalformedXML")
    return int(text)


def _element(rule: CorsRule) -> str:
    parts = [element("ID", rule.id)] if rule.id else []
    parts += [element("AllowedMethod", method) for method in rule.methods]
    parts += [element("AllowedOrigin", origin) for origin in rule.origins]
    parts += [element("AllowedHeader", header) for header in rule.headers]
    if rule.max_age_s is not None:
        parts.append(element("MaxAgeSeconds", str(rule.max_age_s)))
    parts += [element("ExposeHeader", header) for header in rule.exposed]
    return f"<CORSRule>{''.join(parts)}</CORSRule>"


# Header names (RFC 9110, 5.1).
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def _names(wanted_headers: str) -> list[str]:
    """Names of a list; empty ones are passed over, as the Fetch standard has it."""
    return [name.strip().lower() for name in wanted_headers.split(",") if name.strip()]


def _allows(patterns: Iterable[str], name: str) -> bool:
    return any(_matches(pattern.lower(), name) for pattern in patterns)


def _matches(pattern: str, text: str) -> bool:
    """Whether text is the pattern, whose only wildcard stands for any characters, or none."""
    before, star, after = pattern.partition("*")
    if not star:
        return text == pattern
    fits = len(text) >= len(before) + len(after)
    return fits and text.startswith(before) and text.endswith(after)
