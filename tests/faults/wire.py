"""A client of raw sockets: signs in plain Python, sends any bytes in any pieces, reads answers.

It shares no code with the gateway, so that both cannot be wrong in the same way, and does nothing
on its own: what is not sent by the test is not sent.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import re
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote, unquote_to_bytes

from tests.gateways import ACCESS_KEY, REGION, SECRET_KEY, Gateway

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"
# Longer than any deadline that a test configures; what takes this long hangs.
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Answer:
    """One response, read to its end.

    Attributes:
        headers: by lower-case name.
        whole: the body came as its head declared it.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool = True

    @property
    def code(self) -> str:
        """The S3 code of an error document; "" where the body is none."""
        found = re.search(rb"<Error>.*<Code>([A-Za-z0-9]+)</Code>", self.body, re.DOTALL)
        return found[1].decode() if found else ""

    @property
    def keeps_open(self) -> bool:
        """Whether the server says that the connection can be used again."""
        return self.headers.get("connection", "").lower() != "close"


@dataclass(frozen=True)
class SignedHead:
    """A request head with its signature, and what signs the chunks that follow it."""

    data: bytes
    signature: str
    timestamp: str
    scope: str
    key: bytes = field(repr=False)

    def sign_chunk(self, previous: str, chunk: bytes) -> str:
        """Signature of an aws-chunked chunk that follows the one with the signature `previous`."""
        digest = hashlib.sha256(chunk).hexdigest()
        return self._sign("AWS4-HMAC-SHA256-PAYLOAD", previous, f"{EMPTY_SHA256}\n{digest}")

    def sign_trailer(self, previous: str, lines: bytes) -> str:
        """Signature of the trailer; `lines` are its lines, each ended by LF."""
        digest = hashlib.sha256(lines).hexdigest()
        return self._sign("AWS4-HMAC-SHA256-TRAILER", previous, digest)

    def _sign(self, algorithm: str, previous: str, rest: str) -> str:
        text = f"{algorithm}\n{self.timestamp}\n{self.scope}\n{previous}\n{rest}"
        return hmac.new(self.key, text.encode(), "sha256").hexdigest()


def signed_head(
    port: int,
    method: str,
    target: str,
    headers: dict[str, str] | None = None,
    *,
    payload_hash: str = UNSIGNED,
    access_key: str = ACCESS_KEY,
    secret_key: str = SECRET_KEY,
) -> SignedHead:
    """A complete head; `target` goes out as it is, percent-encoding included."""
    timestamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    sent = {
        "Host": f"127.0.0.1:{port}",
        "x-amz-content-sha256": payload_hash,
        "x-amz-date": timestamp,
        **(headers or {}),
    }
    path, _, query = target.partition("?")
    canonical = {name.lower(): " ".join(value.split()) for name, value in sent.items()}
    names = ";".join(sorted(canonical))
    request = "\n".join(
        (
            method,
            quote(unquote_to_bytes(path), safe="/-._~"),
            _canonical_query(query),
            *(f"{name}:{canonical[name]}" for name in sorted(canonical)),
            "",
            names,
            payload_hash,
        )
    )
    scope = f"{timestamp[:8]}/{REGION}/s3/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = _signing_key(secret_key, scope)
    text = f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{digest}"
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    sent["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={access_key}/{scope},"
        f" SignedHeaders={names}, Signature={signature}"
    )
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    data = f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode()
    return SignedHead(data, signature, timestamp, scope, key)


def _canonical_query(query: str) -> str:
    pairs = []
    for piece in query.split("&") if query else ():
        name, _, value = piece.partition("=")
        pairs.append(tuple(quote(unquote_to_bytes(text), safe="-._~") for text in (name, value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _signing_key(secret_key: str, scope: str) -> bytes:
    key = b"AWS4" + secret_key.encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    return key


class Wire:
    """One connection; closed with its block."""

    def __init__(self, port: int, *, timeout_s: float = TIMEOUT_S, receive_bytes: int = 0) -> None:
        """Args: `receive_bytes` makes the kernel's receive buffer that small."""
        self.socket = socket.socket()
        self.socket.settimeout(timeout_s)
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.connect(("127.0.0.1", port))
        self._received = bytearray()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *exception: object) -> None:
        self.socket.close()

    def send(self, *pieces: bytes) -> None:
        """Send each piece whole; a server that stopped reading is no error here."""
        try:
            for piece in pieces:
                self.socket.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            return

    def end(self) -> None:
        """Send nothing more, but go on receiving; the server may have closed already."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def read_answer(self, method: str = "GET") -> Answer:
        """Read one final response.

        Raises:
            EOFError: the connection ended before its head was complete.
            TimeoutError: nothing came for the time-out of the connection.
        """
        while True:
            answer = self._read_one(method)
            if answer.status >= 200:
                return answer

    def at_end(self) -> bool:
        """Whether the server closed the connection without sending anything more."""
        return not self._received and not self._receive()

    def read_to_end(self) -> bytes:
        """All that comes until the server closes."""
        while piece := self._receive():
            self._received += piece
        return bytes(self._received)

    def _read_one(self, method: str) -> Answer:
        status_line, *lines = self._take_through(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (li.partition(":") for li in lines)
        }
        status = int(status_line.split(" ")[1])
        if method == "HEAD" or status < 200 or status in (204, 304):
            return Answer(status, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            return Answer(status, headers, *self._read_chunks())
        return Answer(status, headers, *self._read_bytes(int(headers["content-length"])))

    def _read_bytes(self, count: int) -> tuple[bytes, bool]:
        try:
            while len(self._received) < count:
                self._more()
        except EOFError:
            return bytes(self._received), False
        body = bytes(memoryview(self._received)[:count])
        del self._received[:count]
        return body, True

    def _read_chunks(self) -> tuple[bytes, bool]:
        body = b""
        size = -1
        while size:
            try:
                size = int(self._take_through(b"\r\n"), 16)
            except EOFError:
                return body, False
            piece, whole = self._read_bytes(size + 2)
            body += piece[:size]
            if not whole:
                return body, False
        return body, True

    def _take_through(self, end: bytes) -> bytes:
        """What comes before `end`, which is taken as well."""
        while (at := self._received.find(end)) < 0:
            self._more()
        taken = bytes(self._received[:at])
        del self._received[: at + len(end)]
        return taken

    def _more(self) -> None:
        piece = self._receive()
        if not piece:
            raise EOFError("the server closed the connection")
        self._received += piece

    def _receive(self) -> bytes:
        try:
            return self.socket.recv(1 << 18)
        except ConnectionResetError:
            return b""


def ask(
    gateway: Gateway,
    method: str,
    target: str,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
) -> Answer:
    """One signed request with an unsigned body, on a connection of its own."""
    sent = dict(headers or {})
    if body or method in ("PUT", "POST"):
        sent["Content-Length"] = str(len(body))
    head = signed_head(gateway.port, method, target, sent)
    return exchange(gateway, [head.data, body], method)


def exchange(gateway: Gateway, pieces: Iterable[bytes], method: str = "PUT") -> Answer:
    """Send all, and read one answer."""
    with Wire(gateway.port) as wire:
        wire.send(*pieces)
        return wire.read_answer(method)


def is_absent(gateway: Gateway, target: str) -> bool:
    """Whether GET says that there is no such object."""
    answer = ask(gateway, "GET", target)
    assert answer.status in (200, 404), answer
    assert answer.status == 200 or answer.code == "NoSuchKey", answer
    return answer.status == 404


def wait_until(condition: object, seconds: float = TIMEOUT_S) -> None:
    """Poll a callable until it is true."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{condition} did not come true in {seconds} s"
        time.sleep(0.02)
