"""Policy: which backends may hold an object."""

from s3proxy.placement.choose import choose_backend, container_name

__all__ = ["choose_backend", "container_name"]
