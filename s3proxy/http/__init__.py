"""Bytes on sockets: readiness, transport, server, client pool, relay."""
