"""A webhook's other end: keeps what it is sent, and can be killed and started again."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# What is answered to a body; None: nothing, and the connection closes.
Answering = Callable[[bytes], int | None]


class Received:
    """One post."""

    def __init__(self, headers: dict[str, str], body: bytes) -> None:
        self.headers = headers
        self.body = body

    @property
    def record(self) -> Any:
        (record,) = json.loads(self.body)["Records"]
        return record


class Receiver:
    """An HTTP server in threads, on a port of its own that it keeps over its deaths."""

    def __init__(self, answering: Answering = lambda body: 200) -> None:
        self.answering = answering
        self.posts: list[Received] = []
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/events?from=here"

    def start(self) -> Receiver:
        self._server = _Server(self, self._port)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def kill(self) -> None:
        """Close the port and every connection; who waits for an answer gets none."""
        assert self._server is not None
        assert self._thread is not None
        self._server.shutdown()
        self._server.server_close()
        self._server.drop_clients()
        self._thread.join()
        self._server = None

    def __enter__(self) -> Receiver:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        if self._server is not None:
            self.kill()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, receiver: Receiver, port: int) -> None:
        self.receiver = receiver
        self.dead = False
        self._clients: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._clients.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._clients.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections end as they like."""

    def drop_clients(self) -> None:
        self.dead = True
        for client in list(self._clients):
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.dead:
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        receiver = self.server.receiver
        status = receiver.answering(body)
        if status is None:
            self.close_connection = True
            return
        if 200 <= status < 300:
            receiver.posts.append(Received(headers, body))
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""
