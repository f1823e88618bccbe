"""A relay between a gateway and its endpoint that does to chosen requests what networks do.

It takes one request after the other from a connection, applies the fault that is set when the
request's method matches, and otherwise asks the endpoint on a connection of its own.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

RECEIVE_BYTES = 1 << 16
# Far above every deadline that a gateway is given here.
STUCK_S_MAX = 60.0
PACES_PER_S = 20
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Fault:
    """What happens to a request; by default it passes.

    Attributes:
        methods: of the requests it happens to; empty: all.
        request_bytes: of the body, after which `end` happens (or `answer` is given) while the rest
            is still on its way; -1: the whole body is taken first.
        answer: given instead of asking the endpoint.
        answer_bytes: of the endpoint's answer, its head included, after which `end` happens; -1:
            all.
        end: "" (the connection goes on), "close", "reset" or "hang".
        delay_s: before the endpoint is asked.
        bytes_per_s: of the request and of the answer, at most; 0: as fast as they come.
        request_flipped: of the request's body, the offset of a byte that is changed; -1: none.
        answer_flipped: the same of the answer's body.
    """

    methods: tuple[str, ...] = ()
    request_bytes: int = -1
    answer: bytes = b""
    answer_bytes: int = -1
    end: str = ""
    delay_s: float = 0.0
    bytes_per_s: int = 0
    request_flipped: int = -1
    answer_flipped: int = -1


PASS = Fault()
# Connections are made, requests taken, and nothing is ever heard of them.
BLACK_HOLE = Fault(end="hang", request_bytes=0)


class FaultyRelay:
    """Listens on a port of its own; `fault` may be changed at any time, for requests to come."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listener = self._listen(0)
        self.port = int(self._listener.getsockname()[1])
        self.fault = PASS
        self.hit = 0  # requests that a fault happened to
        self._start(self._accept_all, self._listener)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> FaultyRelay:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopping.set()
        self._close_listener()
        for thread in self._threads:
            thread.join(STUCK_S_MAX)
            assert not thread.is_alive()

    @contextmanager
    def doing(self, fault: Fault) -> Iterator[None]:
        """Have the fault happen for the length of a block."""
        self.fault, self.hit = fault, 0
        try:
            yield
        finally:
            self.fault = PASS

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Refuse connections, and end those there are, for the length of a block."""
        self.refuse()
        try:
            yield
        finally:
            self.accept()

    def refuse(self) -> None:
        """Refuse connections, and end those there are, until `accept` is called."""
        self._stopping.set()
        self._close_listener()
        for thread in self._threads:
            thread.join(STUCK_S_MAX)

    def accept(self) -> None:
        """Listen again, on the same port."""
        self._stopping.clear()
        self._threads.clear()
        self._listener = self._listen(self.port)
        self._start(self._accept_all, self._listener)

    def cut(self) -> None:
        """End the connections there are, as a router does that was restarted."""
        self.refuse()
        self.accept()

    def _listen(self, port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
        return listener

    def _close_listener(self) -> None:
        # Wakes the thread that accepts, which closing alone does not.
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _start(self, function: object, *arguments: object) -> None:
        assert callable(function)
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept_all(self, listener: socket.socket) -> None:
        with listener:
            while not self._stopping.is_set():
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with client:
            client.settimeout(STUCK_S_MAX)
            stream = _Stream(client, self._stopping)
            try:
                while self._relay_one(stream):
                    pass
            except (OSError, EOFError):
                return

    def _relay_one(self, client: _Stream) -> bool:
        """Relay one request; whether another may follow."""
        head = client.read_head()
        method = head.split(b" ", 1)[0].decode()
        fault = self.fault
        if fault != PASS and (not fault.methods or method in fault.methods):
            self.hit += 1
        else:
            fault = PASS
        length = _content_length(head)
        if 0 <= fault.request_bytes < length:
            client.read(fault.request_bytes)
            client.socket.sendall(fault.answer)
            return client.finish(fault.end)
        body = _flipped(client.read(length), fault.request_flipped)
        if fault.answer or (fault.end and fault.answer_bytes < 0):
            client.socket.sendall(fault.answer)
            return client.finish(fault.end)
        self._stopping.wait(fault.delay_s)
        return self._ask(client, head, body, fault)

    def _ask(self, client: _Stream, head: bytes, body: bytes, fault: Fault) -> bool:
        def pace() -> int:
            # Mended, a link is fast for what is already on it, too.
            return self.fault.bytes_per_s if fault.bytes_per_s else 0

        with ExitStack() as stack:
            target = stack.enter_context(socket.create_connection(("127.0.0.1", self._target_port)))
            target.settimeout(STUCK_S_MAX)
            answer = _Stream(target, self._stopping)
            # Not signed; with it the answer ends where the connection does.
            answer.send(head[:-2] + b"Connection: close\r\n\r\n" + body, pace)
            left = fault.answer_bytes if fault.answer_bytes >= 0 else 1 << 62
            answer_head = answer.read_head().replace(b"Connection: close\r\n", b"", 1)
            client.socket.sendall(answer_head[:left])
            left -= len(answer_head)
            sent = 0
            while left > 0 and (piece := answer.receive()):
                client.send(_flipped(piece, fault.answer_flipped - sent)[:left], pace)
                sent += len(piece)
                left -= len(piece)
        if fault.answer_bytes >= 0:
            return client.finish(fault.end)
        return True


class _Stream:
    """A socket whose waits end when the relay stops."""

    def __init__(self, connected: socket.socket, stopping: threading.Event) -> None:
        self.socket = connected
        self._stopping = stopping
        self._ahead = b""

    def receive(self) -> bytes:
        """What comes next; b"": the end."""
        if self._ahead:
            piece, self._ahead = self._ahead, b""
            return piece
        while not select.select([self.socket], [], [], 0.05)[0]:
            if self._stopping.is_set():
                raise EOFError
        return self.socket.recv(RECEIVE_BYTES)

    def send(self, data: bytes, pace: Callable[[], int]) -> None:
        """Send all, at most so many bytes a second; 0: any. EOFError where the relay stops."""
        while data:
            bytes_per_s = pace()
            step = bytes_per_s // PACES_PER_S or len(data)
            self.socket.sendall(data[:step])
            data = data[step:]
            if bytes_per_s and self._stopping.wait(1 / PACES_PER_S):
                raise EOFError

    def read_head(self) -> bytes:
        """A head with its last empty line; EOFError."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.receive()
            if not piece:
                raise EOFError
            data += piece
        head, end, self._ahead = data.partition(b"\r\n\r\n")
        return head + end

    def read(self, count: int) -> bytes:
        """Exactly so many bytes; EOFError."""
        data = bytearray()
        while len(data) < count:
            piece = self.receive()
            if not piece:
                raise EOFError
            data += piece
        self._ahead = bytes(data[count:]) + self._ahead
        return bytes(data[:count])

    def finish(self, end: str) -> bool:
        """End the connection in that way; whether it goes on."""
        if end == "hang":
            while not self._stopping.is_set() and not _is_gone(self.socket):
                self._stopping.wait(0.05)
        elif end == "reset":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        elif end == "close":
            self.socket.shutdown(socket.SHUT_WR)
            self._drain()
        return not end

    def _drain(self) -> None:
        """Take what is still on its way, or the kernel makes a reset of the close."""
        try:
            while self.receive():
                pass
        except (OSError, EOFError):
            return


def _flipped(data: bytes, offset: int) -> bytes:
    """The bytes with the one at the offset changed; as they are where that lies outside."""
    if not 0 <= offset < len(data):
        return data
    return b"%s%c%s" % (data[:offset], data[offset] ^ 0xFF, data[offset + 1 :])


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _is_gone(connected: socket.socket) -> bool:
    """Whether the peer has closed; bytes that it sent are left alone."""
    poll = select.poll()
    poll.register(connected, select.POLLRDHUP)
    return bool(poll.poll(0))
