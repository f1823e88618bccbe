"""Backends from their options."""

from __future__ import annotations

from collections.abc import Iterable

from s3proxy.backends.disk import Disk
from s3proxy.backends.local import LocalBackend
from s3proxy.backends.options import BackendOptions, LocalOptions
from s3proxy.backends.s3 import S3Backend
from s3proxy.backends.store import Backend
from s3proxy.http.client import Client


def open_backends(options: Iterable[BackendOptions], client: Client) -> dict[str, Backend]:
    """Open each backend; by name, in order.

    Raises:
        BackendError: a local root cannot be made or read.
        ValueError: an endpoint that is no URL, or a name that is used twice.
    Nothing is asked of a remote endpoint yet. The client stays the caller's.
    """
    disk = Disk()  # one bound on threads and buffers for all local backends
    backends: dict[str, Backend] = {}
    for option in options:
        if option.name in backends:
            raise ValueError(f"two backends are named {option.name!r}")
        backends[option.name] = (
            LocalBackend(option, disk)
            if isinstance(option, LocalOptions)
            else S3Backend(option, client)
        )
    return backends
