"""The header that load balancers put before a connection: the PROXY protocol, versions 1 and 2.

Extensions (TLVs) are passed over.
Source: HAProxy, "The PROXY protocol, versions 1 & 2", 2020-03-05.
"""

import ipaddress
import re
from typing import Final

import msgspec

HEADER_BYTES_MAX: Final = 4096
_V1_BYTES_MAX: Final = 107
_V1: Final = b"PROXY "
_V2: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_V2_FIXED_BYTES: Final = 16
_PORT: Final = re.compile(r"0|[1-9][0-9]{0,4}")


class ProxyHeaderError(Exception):
    """What came is no header of the PROXY protocol."""


class ProxyHeader(msgspec.Struct, frozen=True):
    """A header.

    Attributes:
        length: its bytes.
        peer: "ip:port" or "[ip]:port" of the client; "" where the proxy speaks for itself, or the
            connection it carries is of another kind.
    """

    length: int
    peer: str


def parse_proxy_header(data: bytes) -> ProxyHeader | None:
    """Parse the header at the start of `data`; None: it is not complete.

    Raises:
        ProxyHeaderError: it cannot become one.
    """
    if data[:1] == b"P":
        return _version_1(data)
    if data[: len(_V2)] != _V2[: len(data)]:
        raise ProxyHeaderError("no header of the PROXY protocol")
    return _version_2(data)


def _version_1(data: bytes) -> ProxyHeader | None:
    if data[: len(_V1)] != _V1[: len(data)]:
        raise ProxyHeaderError("no header of the PROXY protocol")
    stop = data.find(b"\r\n", 0, _V1_BYTES_MAX)
    if stop < 0:
        if len(data) >= _V1_BYTES_MAX:
            raise ProxyHeaderError("the line is too long")
        return None
    words = data[len(_V1) : stop].decode("latin-1").split(" ")
    if words[0] == "UNKNOWN":
        return ProxyHeader(stop + 2, "")
    if len(words) != 5 or words[0] not in ("TCP4", "TCP6"):
        raise ProxyHeaderError("not a line of version 1")
    ports = [int(word) for word in words[3:] if _PORT.fullmatch(word)]
    if len(ports) != 2 or max(ports) > 65535:
        raise ProxyHeaderError("not a port")
    version = int(words[0][3])
    if "%" in words[1]:  # a zone may be any text, which would get into logs
        raise ProxyHeaderError("an address with a zone")
    try:
        source, target = (ipaddress.ip_address(word) for word in words[1:3])
    except ValueError as error:
        raise ProxyHeaderError("not an address") from error
    if source.version != version or target.version != version:
        raise ProxyHeaderError("an address of another family")
    return ProxyHeader(stop + 2, _peer(str(source), ports[0]))


def _version_2(data: bytes) -> ProxyHeader | None:
    if len(data) < _V2_FIXED_BYTES:
        return None
    command, family = data[12], data[13]
    length = _V2_FIXED_BYTES + int.from_bytes(data[14:16], "big")
    if command not in (0x20, 0x21):
        raise ProxyHeaderError("another version or command")
    if length > HEADER_BYTES_MAX:
        raise ProxyHeaderError("the header is too long")
    if len(data) < length:
        return None
    size = {0x11: 4, 0x21: 16}.get(family, 0)
    if command == 0x20 or not size:
        return ProxyHeader(length, "")
    if length < _V2_FIXED_BYTES + 2 * size + 4:
        raise ProxyHeaderError("the header is too short for its addresses")
    source = ipaddress.ip_address(data[16 : 16 + size])
    port = int.from_bytes(data[16 + 2 * size : 18 + 2 * size], "big")
    return ProxyHeader(length, _peer(str(source), port))


def _peer(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
