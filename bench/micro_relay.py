"""CPU of the relay alone, beside nginx as a proxy: `python -m bench.micro_relay`.

A server of a few lines on the project's client and relay, without authentication or catalog,
stands where nginx stands: origin nginx, wrk as the reader, all on loopback. Prints CPU seconds of
the proxy per GiB, microseconds per request, and their ratio to nginx.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import trio

from bench.peers import nginx_origin, nginx_proxy
from bench.processes import Process, find, free_port
from s3proxy._fast.http1 import (
    HeaderNames,
    build_request_head,
    parse_request,
)
from s3proxy.http.answer import Answer
from s3proxy.http.client import Client, Origin
from s3proxy.http.errors import TransportError
from s3proxy.http.handler import Response
from s3proxy.http.readiness import Readiness
from s3proxy.http.transport import Transport

SIZES = {"1KiB": 1 << 10, "64KiB": 1 << 16, "1MiB": 1 << 20, "64MiB": 1 << 26}
CONNECTIONS = 8
SECONDS = 4
_PASSED_ON = HeaderNames(["content-type", "etag", "last-modified"])
_SCRATCH = memoryview(bytearray(65536))
_UNITS = {"KB": 1 / 1048576, "MB": 1 / 1024, "GB": 1.0}


async def _serve_connection(transport: Transport, client: Client, origin: Origin) -> None:
    try:
        while count := await transport.receive_into(_SCRATCH, timeout_s=60):
            request = parse_request(_SCRATCH, count)
            if request is None:
                return
            head = build_request_head(request.method, request.target, (("Host", "origin"),))
            exchange = await client.exchange(origin, request.method, head, replayable=True)
            raw = exchange.head.select(_PASSED_ON)
            response = Response(exchange.head.status, (), exchange.body, raw=raw)
            answer = Answer(response, request.method, 1, True, "0")
            if not answer.send_at_once(transport):
                await answer.send(transport, 60)
    except TransportError:
        return
    finally:
        transport.close()


async def _serve(port: int, origin_port: int) -> None:
    readiness = Readiness()
    client = Client(readiness)
    origin = Origin("http", "127.0.0.1", origin_port)
    async with trio.open_nursery() as nursery:
        await nursery.start(readiness.run)
        with socket.create_server(("127.0.0.1", port)) as listener:
            listener.setblocking(False)
            while True:
                await trio.lowlevel.wait_readable(listener)
                sock, _ = listener.accept()
                sock.setblocking(False)
                nursery.start_soon(_serve_connection, Transport(readiness, sock), client, origin)


def _relay(folder: Path, origin_port: int) -> Process:
    port = free_port()
    command = [sys.executable, "-m", "bench.micro_relay", str(port), str(origin_port)]
    environ = {"PYTHONPATH": str(Path(__file__).parent.parent)}
    return Process(command, port, folder=folder, name="relay", environ=environ)


def _measure(server: Process, name: str) -> tuple[float, float]:
    """CPU seconds per GiB and microseconds per request."""
    url = f"http://127.0.0.1:{server.port}/{name}"
    command = [
        find("wrk") or "wrk",
        "-t",
        "1",
        "-c",
        str(CONNECTIONS),
        "-d",
        f"{SECONDS}s",
        "--timeout",
        "60s",
        url,
    ]
    before_s = server.cpu_s()
    output = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    used_s = server.cpu_s() - before_s
    found = re.search(r"(\d+) requests in .*?, ([\d.]+)([KMG]B) read", output)
    if found is None or "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(f"{server.name}: {output}")
    gib = float(found[2]) * _UNITS[found[3]]
    return used_s / gib, used_s / int(found[1]) * 1e6


def main() -> None:
    """Measure every size, the relay and nginx in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # nginx's worker may run as another user.
        folder.chmod(0o755)
        for size_name, size in SIZES.items():
            (folder / size_name).write_bytes(b"\0" * size)
        with (
            nginx_origin(folder, folder) as origin,
            nginx_proxy(folder, origin.port, name="proxy") as nginx,
            _relay(folder, origin.port) as relay,
        ):
            print(f"{'size':8}{'relay s/GiB':>13}{'us/req':>10}{'nginx s/GiB':>13}{'us/req':>10}")
            for size_name in SIZES:
                ours, theirs = _measure(relay, size_name), _measure(nginx, size_name)
                row = "".join(
                    f"{value:{width}.2f}"
                    for value, width in zip((*ours, *theirs), (13, 10, 13, 10), strict=True)
                )
                print(f"{size_name:8}{row}  ratio {ours[1] / theirs[1]:.2f}")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        trio.run(_serve, int(sys.argv[1]), int(sys.argv[2]))
    else:
        main()
