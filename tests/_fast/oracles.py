"""h11 and llhttp (through httptools) reading the same heads; their answers in one form."""

from dataclasses import dataclass

import h11
import httptools


@dataclass(frozen=True)
class Reading:
    """One parser's reading of a head; names in lower case, values as bytes."""

    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    keep_alive: bool | None = None


class _Events:
    def __init__(self) -> None:
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False
        self.keep_alive = False
        self.parser = httptools.HttpRequestParser(self)

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.complete = True
        self.keep_alive = self.parser.should_keep_alive()


def read_with_h11(data: bytes) -> Reading | None:
    """A request as h11 sees it; None: refused or not complete."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return None
    if not isinstance(event, h11.Request):
        return None
    return Reading(event.method, event.target, tuple((n, v) for n, v in event.headers))


def read_with_llhttp(data: bytes) -> Reading | None:
    """A request as llhttp sees it; None: refused or not complete."""
    events = _Events()
    parser = events.parser
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError:
        return None
    if not events.complete:
        return None
    return Reading(parser.get_method(), events.target, tuple(events.headers), events.keep_alive)


READERS = {"h11": read_with_h11, "llhttp": read_with_llhttp}
