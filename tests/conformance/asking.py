"""Requests for conformance tests: signed in plain Python, each detail of the signature open."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from dataclasses import dataclass
from html import unescape
from urllib.parse import quote, unquote_to_bytes

from tests.faults.wire import UNSIGNED, Answer, Wire
from tests.gateways import ACCESS_KEY, REGION, SECRET_KEY, Gateway

DOMAIN = "s3.example.test"
ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Signing:
    """What a request is signed with; a test changes what it is about.

    Attributes:
        skew_s: how far the client's clock is ahead.
        date: of the credential scope; "" for that of the clock.
        zone: where given, the time goes in a Date header of that zone and not in x-amz-date.
    """

    skew_s: int = 0
    date: str = ""
    region: str = REGION
    service: str = "s3"
    terminal: str = "aws4_request"
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    payload_hash: str = UNSIGNED
    zone: str = ""

    def timestamp(self) -> str:
        return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + self.skew_s))

    def dated(self, timestamp: str) -> dict[str, str]:
        """The header that carries the time."""
        if not self.zone:
            return {"x-amz-date": timestamp}
        moment = time.strptime(timestamp, "%Y%m%dT%H%M%SZ")
        return {"Date": time.strftime("%a, %d %b %Y %H:%M:%S ", moment) + self.zone}

    def scope(self, timestamp: str) -> str:
        return "/".join((self.date or timestamp[:8], self.region, self.service, self.terminal))

    def sign(self, timestamp: str, canonical_request: str) -> str:
        """Signature of a canonical request."""
        scope = self.scope(timestamp)
        digest = hashlib.sha256(canonical_request.encode()).hexdigest()
        key = b"AWS4" + self.secret_key.encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), "sha256").digest()
        text = f"{ALGORITHM}\n{timestamp}\n{scope}\n{digest}"
        return hmac.new(key, text.encode(), "sha256").hexdigest()


USUAL = Signing()


def canonical_request(
    method: str, target: str, headers: dict[str, str], payload_hash: str
) -> tuple[str, str]:
    """The canonical request over all the headers, and the list of their names."""
    path, _, query = target.partition("?")
    values = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    names = ";".join(sorted(values))
    lines = [f"{name}:{values[name]}" for name in sorted(values)]
    parts = (method, _encoded(path, "/-._~"), _canonical_query(query), *lines, "", names)
    return "\n".join((*parts, payload_hash)), names


def head(method: str, target: str, headers: dict[str, str], version: str = "1.1") -> bytes:
    """Bytes of a request head."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {target} HTTP/{version}\r\n{lines}\r\n".encode()


def field(answer: Answer, name: str) -> str:
    """Text of the first element of that name; "" when there is none."""
    return next(iter(fields(answer, name)), "")


def fields(answer: Answer, name: str) -> list[str]:
    """Texts of all elements of that name."""
    found = re.findall(f"<{name}>(.*?)</{name}>".encode(), answer.body, re.DOTALL)
    return [unescape(text.decode()) for text in found]


def error(answer: Answer) -> tuple[int, str]:
    """Status and S3 code."""
    return answer.status, answer.code


class Asker:
    """Sends requests about one bucket, each on a connection of its own."""

    def __init__(self, gateway: Gateway, bucket: str) -> None:
        self.gateway = gateway
        self.bucket = bucket
        self.host = f"127.0.0.1:{gateway.port}"

    def path(self, key: str) -> str:
        """Target of a key (encoded already, may have a query) or, with "", of the bucket."""
        return f"/{self.bucket}/{key}" if key and key[0] != "?" else f"/{self.bucket}{key}"

    def get(self, key: str = "", **headers: str) -> Answer:
        return self.ask("GET", self.path(key), named(headers))

    def head(self, key: str = "", **headers: str) -> Answer:
        return self.ask("HEAD", self.path(key), named(headers))

    def put(self, key: str, body: bytes = b"", **headers: str) -> Answer:
        return self.ask("PUT", self.path(key), named(headers), body)

    def post(self, key: str, body: bytes = b"", **headers: str) -> Answer:
        return self.ask("POST", self.path(key), named(headers), body)

    def delete(self, key: str = "", **headers: str) -> Answer:
        return self.ask("DELETE", self.path(key), named(headers))

    def ask(
        self,
        method: str,
        target: str,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        signing: Signing = USUAL,
    ) -> Answer:
        """A request signed in its headers; bodies get their Content-Length."""
        sent = dict(headers or {})
        framed = {name.lower() for name in sent} & {"content-length", "transfer-encoding"}
        if (body or method in ("PUT", "POST")) and not framed:
            sent["Content-Length"] = str(len(body))
        signed = self.signed(method, target, sent, signing)
        return self.send(method, head(method, target, signed), body)

    def signed(
        self, method: str, target: str, headers: dict[str, str], signing: Signing = USUAL
    ) -> dict[str, str]:
        """The headers with those of the signature over all of them."""
        timestamp = signing.timestamp()
        sent = {
            "Host": self.host,
            "x-amz-content-sha256": signing.payload_hash,
            **signing.dated(timestamp),
            **headers,
        }
        request, names = canonical_request(method, target, sent, signing.payload_hash)
        sent["Authorization"] = (
            f"{ALGORITHM} Credential={signing.access_key}/{signing.scope(timestamp)},"
            f" SignedHeaders={names}, Signature={signing.sign(timestamp, request)}"
        )
        return sent

    def presign(
        self,
        method: str,
        key: str,
        *,
        query: str = "",
        headers: dict[str, str] | None = None,
        expires: str = "300",
        signing: Signing = USUAL,
    ) -> str:
        """A presigned target; the headers given are signed beside Host."""
        timestamp = signing.timestamp()
        signed = {"host": self.host, **(headers or {})}
        credential = quote(f"{signing.access_key}/{signing.scope(timestamp)}", safe="")
        names = quote(";".join(sorted(signed)), safe="")
        target = (
            f"{self.path(key)}?{query + '&' if query else ''}X-Amz-Algorithm={ALGORITHM}"
            f"&X-Amz-Credential={credential}&X-Amz-Date={timestamp}"
            f"&X-Amz-Expires={expires}&X-Amz-SignedHeaders={names}"
        )
        request, _ = canonical_request(method, target, signed, UNSIGNED)
        return f"{target}&X-Amz-Signature={signing.sign(timestamp, request)}"

    def open(
        self,
        method: str,
        target: str,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        version: str = "1.1",
    ) -> Answer:
        """A request as it is, without a signature that the target has not got."""
        sent = {"Host": self.host, **(headers or {})}
        if body:
            sent["Content-Length"] = str(len(body))
        return self.send(method, head(method, target, sent, version), body)

    def send(self, method: str, *pieces: bytes) -> Answer:
        """Send bytes, read one answer."""
        with Wire(self.gateway.port) as wire:
            wire.send(*pieces)
            return wire.read_answer(method)


def named(headers: dict[str, str]) -> dict[str, str]:
    """Keyword arguments as headers: `if_match` is If-Match."""
    return {name.replace("_", "-"): value for name, value in headers.items()}


def _canonical_query(query: str) -> str:
    pieces = [piece.partition("=") for piece in query.split("&")] if query else []
    pairs = sorted((_encoded(name), _encoded(value)) for name, _, value in pieces)
    return "&".join(f"{name}={value}" for name, value in pairs)


def _encoded(text: str, safe: str = "-._~") -> str:
    return quote(unquote_to_bytes(text), safe=safe)
