"""A discarding HTTP origin: `python -m bench.sink PORT`.

Request bodies are dropped in the kernel, not copied.
"""

from __future__ import annotations

import socket
import sys
import threading

DISCARD_BYTES = 1 << 20
NOWHERE = bytearray(DISCARD_BYTES)
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: "d41d8cd98f00b204e9800998ecf8427e"\r\n\r\n'


def main() -> None:
    """Serve until killed."""
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def serve(connection: socket.socket) -> None:
    """Answer the requests of one connection."""
    rest = b""
    while True:
        while b"\r\n\r\n" not in rest:
            data = connection.recv(65536)
            if not data:
                return
            rest += data
        head, rest = rest.split(b"\r\n\r\n", 1)
        rest = discard(connection, content_length(head), rest)
        connection.sendall(ANSWER)


def content_length(head: bytes) -> int:
    """The declared length of the body; 0 when there is none."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def discard(connection: socket.socket, length: int, rest: bytes) -> bytes:
    """Take `length` bytes from `rest` and the socket; returns what of `rest` lies behind them."""
    if len(rest) >= length:
        return rest[length:]
    left = length - len(rest)
    while left:
        # MSG_TRUNC on TCP drops the bytes in the kernel; the buffer stays untouched.
        taken = connection.recv_into(NOWHERE, min(left, DISCARD_BYTES), socket.MSG_TRUNC)
        if not taken:
            return b""
        left -= taken
    return b""


if __name__ == "__main__":
    main()
