"""Messages over HTTP, each within a deadline and with a bounded answer."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import trio

from s3proxy._fast.http1 import build_request_head
from s3proxy.delivery.target import DeliveryError, Refused, Unavailable
from s3proxy.http.client import Client, Origin
from s3proxy.http.errors import BodyTooLarge, TransportError

Headers = Sequence[tuple[str, str]]

_PORTS = {"http": 80, "https": 443}
_ANSWER_BYTES_MAX = 16 * 1024
_HINT_CHARACTERS_MAX = 300
# Client errors that are about who asks, where and when, not about the message.
_PASSING = frozenset({401, 403, 404, 405, 407, 408, 421, 425, 426, 429})
# Codes of AWS that come with a status of 400 and are no different.
_PASSING_CODES = (b"NonExistentQueue", b"Throttl", b"QueueDeletedRecently")


class Sender:
    """Posts to one URL; it follows no redirect.

    Args:
        timeout_s: for one message, from the connection to the answer's end.

    Attributes:
        host: as the Host header says.
        path: of the URL, without its query.
    """

    def __init__(self, url: str, client: Client, timeout_s: float) -> None:
        parts = urlsplit(url)
        self.url = url
        self.host = parts.netloc
        self.path = (parts.path or "/").encode()
        self._target = self.path + (f"?{parts.query}".encode() if parts.query else b"")
        self._origin = Origin(
            parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme]
        )
        self._client = client
        self._timeout_s = timeout_s

    async def post(self, headers: Headers, body: bytes, raw: bytes = b"") -> None:
        """Send a body; return when the answer is 2xx.

        Args:
            headers: without Content-Length.
            raw: further header lines, ready to be sent.
        Raises:
            DeliveryError: it is not, or there is none in time.
        """
        lines = [*headers, ("Content-Length", str(len(body)))]
        head = build_request_head("POST", self._target, lines, raw)
        try:
            with trio.fail_after(self._timeout_s):
                status, answer = await self._ask(head, body)
        except trio.TooSlowError:
            raise Unavailable(f"no answer within {self._timeout_s:g} s") from None
        except (TransportError, OSError) as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from error
        if not 200 <= status < 300:
            raise _failure(status, answer)

    async def _ask(self, head: bytes, body: bytes) -> tuple[int, bytes]:
        # May be sent again on a connection that turned out closed: delivery is at least once.
        exchange = await self._client.exchange(self._origin, "POST", head, body, replayable=True)
        try:
            return exchange.head.status, await exchange.read_all(_ANSWER_BYTES_MAX)
        except BodyTooLarge:
            return exchange.head.status, b""


def _failure(status: int, answer: bytes) -> DeliveryError:
    text = " ".join(answer.decode(errors="replace").split())
    printable = "".join(c if c.isprintable() else "?" for c in text[:_HINT_CHARACTERS_MAX])
    hint = f"answered {status}: {printable}"
    about_the_message = 400 <= status < 500 and status not in _PASSING
    if about_the_message and not any(code in answer for code in _PASSING_CODES):
        return Refused(hint)
    return Unavailable(hint)
