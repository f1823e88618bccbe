"""What trusted proxies say of the requests they pass on: `X-Forwarded-*`, or `Forwarded`.

Anybody can send these headers, so they are read only where the connection comes from a network that
is configured. Of lists, the address is the last one that is not a trusted proxy's, the protocol is
the last and the host the first: the address and the protocol decide what is allowed, and no client
can add behind its proxy; the host is what the client signed, and the signature decides.

Source: RFC 7239; the X- headers as nginx, HAProxy, Traefik and Apache send them.
"""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from s3proxy.s3.errors import S3Error
from s3proxy.s3.rewritten import rewritten

if TYPE_CHECKING:
    from s3proxy._fast.http1 import RequestHead

_X_FORWARDED = b"x-forwarded-"
_PEERS_REMEMBERED = 4096


class Networks:
    """IP networks; whether an address is in one is remembered."""

    def __init__(self, networks: Iterable[str]) -> None:
        """Args: `networks` like "10.0.0.0/8", "::1". ValueError for what is none."""
        self._networks = tuple(ipaddress.ip_network(network) for network in networks)
        self.has = lru_cache(maxsize=_PEERS_REMEMBERED)(self._has)

    def _has(self, address: str) -> bool:
        found = _parsed(address)
        return found is not None and any(found in network for network in self._networks)


class Forwarded(msgspec.Struct, frozen=True):
    """What the headers say; "" where they say nothing.

    Attributes:
        peer: "ip:port" of the client.
        proto: "http" or "https".
        prefix: that was taken off the path, without a final slash.
    """

    peer: str = ""
    proto: str = ""
    host: str = ""
    prefix: str = ""

    def restored(self, head: "RequestHead") -> "RequestHead":
        """The head for the host that the client asked."""
        return rewritten(head, {"host": self.host}) if self.host else head

    def signed(self, head: "RequestHead") -> "RequestHead":
        """The head that the client signed, for one that `restored` gave."""
        return rewritten(head, {}, prefix=self.prefix) if self.prefix else head


def read_forwarded(head: "RequestHead", networks: Networks) -> Forwarded:
    """Read the headers of a request that a trusted proxy sent.

    `Forwarded` counts only where no X-Forwarded header is there.

    Raises:
        S3Error: InvalidRequest, a prefix that can be none.
    """
    sent = dict(head.prefixed(_X_FORWARDED))
    if not sent:
        return _standard(head.get(b"forwarded") or "", networks)
    prefix = sent.get("x-forwarded-prefix", "").strip().rstrip("/")
    if prefix and (prefix[0] != "/" or not prefix.isascii() or set(prefix) & set(" ?#,")):
        raise S3Error("InvalidRequest", "The X-Forwarded-Prefix header is no path.")
    return Forwarded(
        peer=_client(sent.get("x-forwarded-for", "").split(","), networks),
        proto=_proto(sent.get("x-forwarded-proto", "").rpartition(",")[2]),
        host=sent.get("x-forwarded-host", "").partition(",")[0].strip(),
        prefix=prefix,
    )


def address_of(peer: str) -> str:
    """The IP address of "ip:port", "[ip]:port" or an address alone."""
    if peer[:1] == "[":
        return peer[1:].partition("]")[0]
    return peer.partition(":")[0] if peer.count(":") == 1 else peer


def _standard(text: str, networks: Networks) -> Forwarded:
    hops = [_pairs(hop) for hop in text.split(",")] if text else []
    if not hops:
        return Forwarded()
    peers = [hop["for"] for hop in hops if "for" in hop]
    hosts = [hop["host"] for hop in hops if "host" in hop]
    protos = [hop["proto"] for hop in hops if "proto" in hop]
    return Forwarded(
        peer=_client(peers, networks),
        proto=_proto(protos[-1] if protos else ""),
        host=hosts[0] if hosts else "",
    )


def _pairs(hop: str) -> dict[str, str]:
    pairs = {}
    for pair in hop.split(";"):
        name, _, value = pair.partition("=")
        pairs[name.strip().lower()] = value.strip().strip('"')
    return pairs


def _client(peers: list[str], networks: Networks) -> str:
    """The last address that is no proxy's; behind one that cannot be read, nothing is known."""
    client = ""
    for peer in reversed(peers):
        address = _parsed(address_of(peer.strip()))
        if address is None:
            break
        client = str(address)
        if not networks.has(client):
            break
    if not client:
        return ""
    return f"[{client}]:0" if ":" in client else f"{client}:0"


def _proto(text: str) -> str:
    proto = text.strip().lower()
    return proto if proto in ("http", "https") else ""


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if "%" in text:  # a zone may be any text, which would get into logs
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
