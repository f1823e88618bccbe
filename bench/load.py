"""Drives a server with wrk and reads the server's CPU time around the run.

wrk waits for the body that the answer to a HEAD announces, so those go through bench.heads.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.processes import Process, find
from bench.signing import Request

SCRIPT = """
local bodies = {}
local function body(path)
  if path == "" then return nil end
  if not bodies[path] then
    local f = assert(io.open(path, "rb"))
    bodies[path] = f:read("*a")
    f:close()
  end
  return bodies[path]
end
local requests, turn = {}, 0
function init(args)
  for line in io.lines("@LIST@") do
    local method, path, file, headers = line:match("^(%S+) (%S+) (%S*)\\t(.*)$")
    local h = {}
    for name, value in headers:gmatch("([^\\1]-)\\2([^\\1]*)\\1") do h[name] = value end
    requests[#requests + 1] = wrk.format(method, path, h, body(file))
  end
end
function request() turn = turn % #requests + 1; return requests[turn] end
"""


@dataclass
class Measured:
    """One run against one server."""

    requests: int
    seconds: float
    cpu_s: float
    errors: int
    growth_bytes: int

    @property
    def cpu_us_per_request(self) -> float:
        """Microseconds of the server's CPU for each request."""
        return self.cpu_s / max(self.requests, 1) * 1e6

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def drive(
    server: Process, requests: Sequence[Request], *, connections: int, seconds: float
) -> Measured:
    """Replay `requests` in turn over `connections` keep-alive connections for `seconds`."""
    with tempfile.TemporaryDirectory() as folder:
        if requests[0].method == "HEAD":
            command = _heads_command(Path(folder), server.port, requests[0])
        else:
            script = _write_script(Path(folder), requests)
            command = [find("wrk") or "wrk", "-t1", "--timeout", "60s", "-s", str(script)]
        command += [f"-c{connections}", f"-d{seconds:g}s", f"http://127.0.0.1:{server.port}"]
        before_cpu_s, before_bytes = server.cpu_s(), server.rss_bytes()
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        cpu_s, grown = server.cpu_s() - before_cpu_s, server.rss_bytes() - before_bytes
    requests_done, seconds_used = _totals(output)
    return Measured(requests_done, seconds_used, cpu_s, _errors(output), grown)


def _totals(output: str) -> tuple[int, float]:
    done = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m)", output)
    if done is None or done[1] == "0":
        raise RuntimeError(f"nothing was answered:\n{output}")
    unit = {"ms": 0.001, "s": 1.0, "m": 60.0}[done[3]]
    return int(done[1]), float(done[2]) * unit


def _errors(output: str) -> int:
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    broken = re.search(
        r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output
    )
    errors = int(refused[1]) if refused else 0
    return errors + (sum(map(int, broken.groups())) if broken else 0)


def _heads_command(folder: Path, port: int, request: Request) -> list[str]:
    lines = [f"HEAD {request.path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    head = folder / "head"
    head.write_text("\r\n".join([*lines, "", ""]), newline="")
    return [sys.executable, str(Path(__file__).parent / "heads.py"), f"--head={head}"]


def _write_script(folder: Path, requests: Sequence[Request]) -> Path:
    lines = []
    for request in requests:
        headers = "".join(f"{name}\2{value}\1" for name, value in request.headers.items())
        lines.append(f"{request.method} {request.path} {request.body or ''}\t{headers}\n")
    (folder / "requests").write_text("".join(lines))
    script = folder / "replay.lua"
    script.write_text(SCRIPT.replace("@LIST@", str(folder / "requests")))
    return script
