"""CPU per request of the HTTP server alone, beside nginx with one worker: 1 KiB answers.

    python -m bench.micro_http [--seconds 5] [--connections 32] [--profile FILE]

A handler that always gives the same bytes; wrk asks over keep-alive connections. CPU is what the
server process itself used, user and system, so another load on the machine changes it little. The
last line is the memory of idle connections.
"""

import argparse
import contextlib
import cProfile
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import trio

from s3proxy._fast.errors import HeadError
from s3proxy.http.handler import Request, Response
from s3proxy.http.limits import ServerLimits
from s3proxy.http.readiness import Readiness
from s3proxy.http.server import Server, open_listener

ANSWER = b"x" * 1024
IDLE_CONNECTIONS = 5_000
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

NGINX_CONF = """
daemon off; worker_processes 1; pid {root}/nginx.pid; error_log {root}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 100000000; client_body_temp_path {root}/body;
  proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u;
  scgi_temp_path {root}/s;
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 "{answer}"; }} }}
}}
"""


class FixedAnswer:
    """Answers everything with the same bytes."""

    async def handle(self, request: Request) -> Response:
        """See `Handler.handle`."""
        return Response(200, (("Content-Type", "text/plain"),), ANSWER)

    def sent(self, request: Request, response: Response, sent_bytes: int, error: str) -> None:
        """Nothing to do."""

    def refuse(self, reason: HeadError, request_id: str, peer: str) -> Response:
        """See `Handler.refuse`."""
        return Response(reason.status)


async def serve_until_terminated() -> None:
    """Serve on a free port, which is printed, until SIGTERM."""
    listener = open_listener("127.0.0.1", 0, backlog=4096)
    readiness = Readiness()
    limits = ServerLimits(connections_max=20_000, idle_timeout_s=600)
    server = Server(FixedAnswer(), readiness, limits)
    async with trio.open_nursery() as nursery:
        await nursery.start(readiness.run)
        await nursery.start(server.serve, [listener])
        print(listener.getsockname()[1], flush=True)
        with trio.open_signal_receiver(signal.SIGTERM) as signals:
            async for _ in signals:
                break
        nursery.cancel_scope.cancel()


def cpu_s(process_id: int) -> float:
    """User and system time that a process has used."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def resident_bytes(process_id: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{process_id}/statm").read_text().split()[1]) * PAGE_BYTES


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """Terminate a process at the end of the block."""
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=10)


@contextlib.contextmanager
def own_server(profile: str) -> Iterator[tuple[int, int]]:
    """A server of this project in a process: its id and port."""
    command = [sys.executable, "-m", "bench.micro_http", "--serve", "--profile", profile]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) as process:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())


@contextlib.contextmanager
def nginx() -> Iterator[tuple[int, int]]:
    """An nginx that returns the same bytes: its worker's process id, and its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as root:
        conf = Path(root, "nginx.conf")
        conf.write_text(NGINX_CONF.format(root=root, port=port, answer=ANSWER.decode()))
        command = ["nginx", "-c", str(conf), "-e", f"{root}/error.log", "-p", root]
        with ended(subprocess.Popen(command, text=True)) as process:
            wait_for_port(port)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
            yield int(children.split()[0]), port


def wait_for_port(port: int) -> None:
    """Wait until something listens on a port of loopback."""
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    raise RuntimeError(f"nothing listens on port {port}")


def measure(name: str, process_id: int, port: int, connections: int, seconds: int) -> float:
    """Load a server with wrk; print its line, give the CPU microseconds of one request."""
    before = cpu_s(process_id)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", f"http://127.0.0.1:{port}/"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    used = cpu_s(process_id) - before
    match = re.search(r"(\d+) requests in", output)
    assert match is not None, output
    requests = int(match[1])
    microseconds = used / requests * 1e6
    print(f"{name:10} {microseconds:6.1f} us/request {requests / seconds:9.0f} requests/s")
    return microseconds


def measure_idle(process_id: int, port: int) -> None:
    """Print the resident memory that idle keep-alive connections cost, each after one request."""
    before = resident_bytes(process_id)
    with contextlib.ExitStack() as stack:
        for _ in range(IDLE_CONNECTIONS):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            sock.sendall(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")
            received = 0
            while received < len(ANSWER):
                received += len(sock.recv(65536))
        each = (resident_bytes(process_id) - before) / IDLE_CONNECTIONS
    print(f"{IDLE_CONNECTIONS} idle connections: {each / 1024:.1f} KiB resident each")


def main() -> None:
    """Run the comparison, or (with --serve) one server."""
    parser = argparse.ArgumentParser(prog="bench.micro_http")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--profile", default="", help="write the server's profile to this file")
    parser.add_argument("--serve", action="store_true")
    arguments = parser.parse_args()
    if arguments.serve:
        if arguments.profile:
            cProfile.runctx("trio.run(serve_until_terminated)", globals(), {}, arguments.profile)
        else:
            trio.run(serve_until_terminated)
        return
    load = arguments.connections, arguments.seconds
    with own_server(arguments.profile) as (process_id, port):
        own = measure("s3proxy", process_id, port, *load)
    if shutil.which("nginx"):
        with nginx() as (process_id, port):
            print(f"ratio      {own / measure('nginx', process_id, port, *load):6.2f}")
    with own_server("") as (process_id, port):
        measure_idle(process_id, port)


if __name__ == "__main__":
    main()
