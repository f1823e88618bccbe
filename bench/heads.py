"""Replays one HEAD request over keep-alive connections, and prints what wrk would print."""

from __future__ import annotations

import argparse
import select
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

ANSWER_BYTES_MAX = 64 * 1024
POLL_S = 0.1


def main() -> None:
    """Ask until the time is up; every answer must come whole in one receive, as on loopback."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--head", type=Path)
    parser.add_argument("-c", type=int, dest="connections")
    parser.add_argument("-d", dest="duration")
    parser.add_argument("url")
    arguments = parser.parse_args()
    seconds = float(arguments.duration.removesuffix("s"))
    address = urlsplit(arguments.url)
    sockets = [
        socket.create_connection((address.hostname, address.port))
        for _ in range(arguments.connections)
    ]
    started = time.monotonic()
    answers, refused = replay(arguments.head.read_bytes(), sockets, started + seconds)
    print(f"{answers} requests in {time.monotonic() - started:.2f}s")
    if refused:
        print(f"Non-2xx or 3xx responses: {refused}")


def replay(head: bytes, sockets: list[socket.socket], until: float) -> tuple[int, int]:
    """Answers, and how many of them were no success; one request is under way on each socket."""
    by_descriptor = {each.fileno(): each for each in sockets}
    epoll = select.epoll()
    for descriptor, each in by_descriptor.items():
        epoll.register(descriptor, select.EPOLLIN)
        each.sendall(head)
    answers = refused = 0
    while time.monotonic() < until:
        for descriptor, _ in epoll.poll(POLL_S):
            each = by_descriptor[descriptor]
            answer = each.recv(ANSWER_BYTES_MAX)
            if not answer.endswith(b"\r\n\r\n"):
                raise ConnectionError(f"not the head of an answer: {answer[:200]!r}")
            answers += 1
            refused += not answer.startswith(b"HTTP/1.1 2")
            each.sendall(head)
    return answers, refused


if __name__ == "__main__":
    main()
