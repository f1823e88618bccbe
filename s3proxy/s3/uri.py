"""Percent-encoding of S3 paths and queries (RFC 3986 §2.1): UTF-8 within, strict."""

from typing import Final

from s3proxy.s3.errors import S3Error

QUERY_PARAMETERS_MAX: Final = 128

_OCTETS: Final = {
    f"{high}{low}".encode(): bytes((int(high + low, 16),))
    for high in "0123456789abcdefABCDEF"
    for low in "0123456789abcdefABCDEF"
}


def percent_decode(raw: bytes) -> str:
    """Decode once; `+` stays.

    Raises:
        S3Error: InvalidURI for a `%` without two hexadecimal digits, or bytes that are not UTF-8.
    """
    try:
        if b"%" not in raw:
            return raw.decode()
        first, *rest = raw.split(b"%")
        pieces = [first]
        for piece in rest:
            pieces.append(_OCTETS[piece[:2]])
            pieces.append(piece[2:])
        return b"".join(pieces).decode()
    except (KeyError, UnicodeDecodeError):
        raise S3Error("InvalidURI", URI=raw.decode("latin-1")) from None


def parse_query(raw: bytes) -> dict[str, str]:
    """Decode a query string: the first `=` splits, `+` is a space.

    The first of a repeated name wins; a name without a value has "".

    Raises:
        S3Error: InvalidURI (encoding), InvalidArgument (more than 128 parameters).
    """
    query: dict[str, str] = {}
    if not raw:
        return query
    try:
        pieces = raw.decode().split("&", QUERY_PARAMETERS_MAX)
    except UnicodeDecodeError:
        raise S3Error("InvalidURI", URI=raw.decode("latin-1")) from None
    if len(pieces) > QUERY_PARAMETERS_MAX:
        raise S3Error("InvalidArgument", "Too many query parameters.")
    for piece in pieces:
        name, _, value = piece.partition("=")
        if "%" in piece or "+" in piece:
            name, value = _decode_form(name), _decode_form(value)
        if name not in query and piece:
            query[name] = value
    return query


def _decode_form(text: str) -> str:
    return percent_decode(text.replace("+", " ").encode())
