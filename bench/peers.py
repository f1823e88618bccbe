"""The peers that s3proxy is measured beside, and the origins behind it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bench.processes import Process, find, free_port

NGINX = """
{user}worker_processes 1; daemon off; pid {folder}/{name}.pid; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on;
  keepalive_requests 100000000; keepalive_timeout 300s;
  client_body_temp_path {folder}/{name}-body; proxy_temp_path {folder}/{name}-proxy;
  fastcgi_temp_path {folder}/{name}-f; uwsgi_temp_path {folder}/{name}-u;
  scgi_temp_path {folder}/{name}-s;
  open_file_cache max=10000 inactive=300s; client_max_body_size 0; client_body_buffer_size 1m;
  {upstream}
  server {{ listen 127.0.0.1:{port} backlog=1024; {server} }}
}}
"""

HAPROXY = """
global
  maxconn 4096
  nbthread 1
defaults
  mode http
  option splice-auto
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend front
  bind 127.0.0.1:{port}
  default_backend origin
backend origin
  server origin 127.0.0.1:{origin}
"""


def nginx_origin(folder: Path, root: Path) -> Process:
    """nginx serving the files below `root`."""
    return _nginx(folder, "origin", server=f"root {root};")


def nginx_proxy(
    folder: Path, origin_port: int, *, name: str, request_buffering: bool = True
) -> Process:
    """nginx tuned as a proxy: large buffers, keep-alive to the origin, no disk."""
    upstream = f"""upstream origin {{
        server 127.0.0.1:{origin_port}; keepalive 256; keepalive_requests 100000000;
    }}"""
    buffering = "on" if request_buffering else "off"
    server = f"""location / {{
        proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
        proxy_buffers 16 256k; proxy_buffer_size 64k; proxy_busy_buffers_size 512k;
        proxy_max_temp_file_size 0; proxy_request_buffering {buffering};
    }}"""
    return _nginx(folder, name, upstream=upstream, server=server)


def _nginx(folder: Path, name: str, *, server: str, upstream: str = "") -> Process:
    port = free_port()
    program = find("nginx") or "nginx"
    config = folder / f"{name}.conf"
    # Started by root, its workers become another user, who may not read the folder.
    user = "user root; " if os.geteuid() == 0 else ""
    config.write_text(
        NGINX.format(
            folder=folder, name=name, port=port, server=server, upstream=upstream, user=user
        )
    )
    command = [program, "-p", str(folder), "-c", str(config), "-e", "stderr"]
    return Process(command, port, folder=folder, name=name)


def haproxy(folder: Path, origin_port: int, *, name: str) -> Process:
    """HAProxy with splicing allowed."""
    port = free_port()
    config = folder / f"{name}.cfg"
    config.write_text(HAPROXY.format(port=port, origin=origin_port))
    command = [find("haproxy") or "haproxy", "-f", str(config)]
    return Process(command, port, folder=folder, name=name)


def sink(folder: Path) -> Process:
    """Accepts any PUT, throws the body away unread, answers 200 with an ETag."""
    port = free_port()
    command = [sys.executable, "-m", "bench.sink", str(port)]
    environ = {"PYTHONPATH": str(Path(__file__).parent.parent)}
    return Process(command, port, folder=folder, name="sink", environ=environ)
