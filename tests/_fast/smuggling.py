"""Request heads that servers have been known to read differently, and what this one answers.

Sources: RFC 9112 section 11.2; PortSwigger, "HTTP Desync Attacks"; advisories of llhttp and h11.
"""

from dataclasses import dataclass

HOST = b"Host: a\r\n"


@dataclass(frozen=True)
class Refused:
    """A head that must be refused, with this status."""

    name: str
    head: bytes
    status: int


def with_headers(lines: bytes) -> bytes:
    return b"POST /b/k HTTP/1.1\r\n" + HOST + lines + b"\r\n"


def _headers(name: str, lines: bytes, status: int) -> Refused:
    return Refused(name, with_headers(lines), status)


FRAMING = (
    _headers("cl-te", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
    _headers("te-cl", b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400),
    _headers("cl-zero-te", b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", 400),
    _headers("cl-repeated", b"Content-Length: 5\r\nContent-Length: 6\r\n", 400),
    _headers("cl-repeated-same", b"Content-Length: 5\r\nContent-Length: 5\r\n", 400),
    _headers("cl-repeated-case", b"Content-Length: 5\r\ncontent-LENGTH: 5\r\n", 400),
    _headers("cl-list", b"Content-Length: 5, 5\r\n", 400),
    _headers("cl-plus", b"Content-Length: +5\r\n", 400),
    _headers("cl-minus", b"Content-Length: -5\r\n", 400),
    _headers("cl-hex", b"Content-Length: 0x5\r\n", 400),
    _headers("cl-float", b"Content-Length: 5.0\r\n", 400),
    _headers("cl-space", b"Content-Length: 1 2\r\n", 400),
    _headers("cl-underscore", b"Content-Length: 1_0\r\n", 400),
    _headers("cl-empty", b"Content-Length:\r\n", 400),
    _headers("cl-obs-text", b"Content-Length: \xb2\r\n", 400),
    _headers("cl-overflow", b"Content-Length: 9223372036854775808\r\n", 400),
    _headers("cl-overflow-wraps", b"Content-Length: 18446744073709551621\r\n", 400),
    _headers("cl-endless", b"Content-Length: " + b"1" * 400 + b"\r\n", 400),
    _headers("te-twice", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 501),
    _headers("te-list-twice", b"Transfer-Encoding: chunked, chunked\r\n", 501),
    _headers("te-identity", b"Transfer-Encoding: identity\r\n", 501),
    _headers("te-gzip-chunked", b"Transfer-Encoding: gzip, chunked\r\n", 501),
    _headers("te-chunked-gzip", b"Transfer-Encoding: chunked, gzip\r\n", 501),
    _headers("te-prefix", b"Transfer-Encoding: xchunked\r\n", 501),
    _headers("te-suffix", b"Transfer-Encoding: chunkedx\r\n", 501),
    _headers("te-quoted", b'Transfer-Encoding: "chunked"\r\n', 501),
    _headers("te-parameter", b"Transfer-Encoding: chunked;q=1\r\n", 501),
    _headers("te-empty", b"Transfer-Encoding:\r\n", 501),
    _headers("te-comma", b"Transfer-Encoding: chunked,\r\n", 501),
    _headers("te-tab-after", b"Transfer-Encoding: chunked\t\r\n", 501),
    _headers("te-vertical-tab", b"Transfer-Encoding: \x0bchunked\r\n", 400),
    _headers("te-space-before-colon", b"Transfer-Encoding : chunked\r\n", 400),
    _headers("te-tab-before-colon", b"Transfer-Encoding\t: chunked\r\n", 400),
    _headers("te-folded", b"Transfer-Encoding:\r\n chunked\r\n", 400),
    _headers(
        "te-other-and-chunked", b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n", 501
    ),
    Refused(
        "te-http-1.0",
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    ),
)

LINES = (
    _headers("obs-fold", b"X: a\r\n b\r\n", 400),
    _headers("obs-fold-tab", b"X: a\r\n\tb\r\n", 400),
    _headers("bare-lf", b"X: a\nContent-Length: 5\r\n", 400),
    _headers("bare-cr", b"X: a\rContent-Length: 5\r\n", 400),
    _headers("cr-cr-lf", b"X: a\r\r\n", 400),
    _headers("cr-before-name", b"\rX: a\r\n", 400),
    _headers("nul-in-value", b"X: a\x00b\r\n", 400),
    _headers("nul-in-name", b"X\x00: a\r\n", 400),
    _headers("del-in-value", b"X: a\x7fb\r\n", 400),
    _headers("escape-in-value", b"X: \x1b[0m\r\n", 400),
    _headers("empty-name", b": a\r\n", 400),
    _headers("no-colon", b"X\r\n", 400),
    _headers("name-with-space", b"X Y: a\r\n", 400),
    _headers("name-with-paren", b"X(Y): a\r\n", 400),
    _headers("name-obs-text", b"X\xe9: a\r\n", 400),
    _headers("leading-nbsp-name", b"\xa0Content-Length: 5\r\n", 400),
    Refused("space-first-header", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    Refused("end-lf-lf", b"GET / HTTP/1.1\r\nHost: a\n\n", 400),
    Refused("end-lf-crlf", b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    Refused("two-leading-crlf", b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Refused("leading-lf", b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Refused("leading-cr", b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
)

SINGLETONS = (
    _headers("host-repeated", b"Host: a\r\n", 400),
    _headers("host-repeated-other", b"Host: b\r\n", 400),
    _headers("authorization-repeated", b"Authorization: a\r\nAuthorization: b\r\n", 400),
    _headers("amz-date-repeated", b"x-amz-date: a\r\nX-Amz-Date: a\r\n", 400),
    _headers("date-repeated", b"Date: a\r\nDate: a\r\n", 400),
    _headers("sha256-repeated", b"x-amz-content-sha256: a\r\nx-amz-content-sha256: b\r\n", 400),
    _headers("md5-repeated", b"Content-MD5: a\r\nContent-MD5: b\r\n", 400),
    _headers("token-repeated", b"x-amz-security-token: a\r\nx-amz-security-token: b\r\n", 400),
    _headers("copy-source-repeated", b"x-amz-copy-source: a\r\nx-amz-copy-source: b\r\n", 400),
    _headers(
        "decoded-length-repeated",
        b"x-amz-decoded-content-length: 1\r\nx-amz-decoded-content-length: 2\r\n",
        400,
    ),
    _headers("expect-repeated", b"Expect: 100-continue\r\nExpect: 100-continue\r\n", 400),
    Refused("host-missing", b"GET / HTTP/1.1\r\nX: a\r\n\r\n", 400),
    Refused("no-headers", b"GET / HTTP/1.1\r\n\r\n", 400),
    Refused("host-empty", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    Refused("host-list", b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
    Refused("host-user", b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
    Refused("host-path", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    Refused("host-bad-port", b"GET / HTTP/1.1\r\nHost: a:9x\r\n\r\n", 400),
    Refused("host-long-port", b"GET / HTTP/1.1\r\nHost: a:123456\r\n\r\n", 400),
    Refused("host-port-only", b"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400),
    Refused("host-open-bracket", b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
    Refused("host-after-bracket", b"GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n", 400),
    Refused("host-differs", b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
)

REQUEST_LINE = (
    Refused("http-0.9", b"GET /\r\n\r\n", 400),
    Refused("http-1.2", b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
    Refused("http-2.0", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    Refused("http-0.9-named", b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
    Refused("http-2-preface", b"PRI * HTTP/2.0\r\n\r\n", 505),
    Refused("http-1", b"GET / HTTP/1\r\nHost: a\r\n\r\n", 400),
    Refused("http-1.10", b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400),
    Refused("http-lower", b"GET / http/1.1\r\nHost: a\r\n\r\n", 400),
    Refused("version-trailing-space", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    Refused("two-spaces-before-target", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Refused("two-spaces-after-target", b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Refused("tab-separators", b"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Refused("space-in-target", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Refused("space-before-method", b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Refused("no-target", b"GET HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Refused("empty-target", b"GET  HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Refused("method-with-colon", b"GE:T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Refused("method-nul", b"GET\x00 / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Refused("method-obs-text", b"G\xcbT / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Refused("method-long", b"G" * 33 + b" / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    Refused("target-obs-text", b"GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Refused("target-nul", b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Refused("target-del", b"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Refused("target-tab", b"GET /\ta HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Refused("target-cr", b"GET /\ra HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Refused("target-fragment", b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Refused("target-relative", b"GET a/b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Refused("asterisk-get", b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Refused("asterisk-longer", b"OPTIONS *x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Refused("authority-form", b"GET a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 400),
    Refused("connect", b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 501),
    Refused("absolute-other-scheme", b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Refused("absolute-user", b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Refused("absolute-no-host", b"GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Refused("absolute-cut", b"GET http:// HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    Refused("tls-hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
)

REFUSED = FRAMING + LINES + SINGLETONS + REQUEST_LINE


@dataclass(frozen=True)
class Lenient:
    """Cases above that an oracle takes, and why they are refused here all the same."""

    reason: str
    h11: str = ""
    llhttp: str = ""


LENIENT = (
    Lenient(
        "another hop may take the other framing: RFC 9112 6.1 lets a server refuse both",
        h11="cl-te te-cl cl-zero-te",
    ),
    Lenient(
        "RFC 9112 6.3 allows identical lengths to be merged; no honest client sends them",
        h11="cl-repeated-same cl-repeated-case cl-list",
    ),
    Lenient("white space that some readers take for part of the coding", h11="te-tab-after"),
    Lenient("a length beyond 63 bits", h11="cl-overflow cl-overflow-wraps", llhttp="cl-overflow"),
    Lenient("codings that would have to be undone", llhttp="te-gzip-chunked te-other-and-chunked"),
    Lenient(
        "RFC 9112 6.1: Transfer-Encoding in HTTP/1.0 is faulty framing",
        h11="te-http-1.0",
        llhttp="te-http-1.0",
    ),
    Lenient(
        "RFC 9112 5.2: a server may refuse folded lines", h11="te-folded obs-fold obs-fold-tab"
    ),
    Lenient(
        "RFC 9112 2.2 lets a bare LF pass for a line end; another hop may not",
        h11="bare-lf end-lf-lf end-lf-crlf",
    ),
    Lenient("RFC 9110 5.5: control bytes are no field content", h11="del-in-value escape-in-value"),
    Lenient(
        "RFC 9112 2.2: one empty line before a request, ended by CRLF",
        llhttp="two-leading-crlf leading-lf leading-cr",
    ),
    Lenient(
        "the signature covers one of them; which, is for nobody to choose",
        h11="authorization-repeated amz-date-repeated date-repeated sha256-repeated md5-repeated"
        " token-repeated copy-source-repeated decoded-length-repeated expect-repeated",
        llhttp="authorization-repeated amz-date-repeated date-repeated sha256-repeated md5-repeated"
        " token-repeated copy-source-repeated decoded-length-repeated expect-repeated"
        " host-repeated host-repeated-other",
    ),
    Lenient("RFC 9112 3.2: HTTP/1.1 needs one Host", llhttp="host-missing no-headers"),
    Lenient(
        "RFC 9112 3.2: an invalid Host is answered 400; buckets are named in it",
        h11="host-empty host-list host-user host-path host-bad-port host-long-port host-port-only"
        " host-open-bracket host-after-bracket host-differs",
        llhttp="host-empty host-list host-user host-path host-bad-port host-long-port"
        " host-port-only host-open-bracket host-after-bracket host-differs",
    ),
    Lenient(
        "versions that are not spoken here",
        h11="http-1.2 http-2.0 http-0.9-named http-2-preface",
        llhttp="http-0.9 http-2.0 http-0.9-named",
    ),
    Lenient(
        "RFC 9112 3: the parts of a request line stand one space apart",
        llhttp="two-spaces-before-target two-spaces-after-target",
    ),
    Lenient("no method is as long", h11="method-long"),
    Lenient(
        "RFC 9112 3.2: not one of the forms of a target; what a path is would be a guess",
        h11="target-fragment target-relative asterisk-get asterisk-longer authority-form connect"
        " absolute-other-scheme absolute-user absolute-no-host absolute-cut",
        llhttp="target-fragment asterisk-get asterisk-longer connect absolute-other-scheme"
        " absolute-user absolute-no-host absolute-cut",
    ),
)


def taken_by(oracle: str) -> frozenset[str]:
    """Names of the cases an oracle is known to take."""
    return frozenset(name for entry in LENIENT for name in getattr(entry, oracle).split())
