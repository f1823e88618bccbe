"""JSON of a policy: bounded, each name once, numbers as they are written."""

import json
from typing import Final, NoReturn, TypeAlias

from s3proxy.s3.errors import S3Error

Json: TypeAlias = "str | bool | list[Json] | dict[str, Json] | None"

_DETAIL_CHARACTERS_MAX: Final = 256
# A list of values in a condition in a statement in a document is at 7.
_DEPTH_MAX: Final = 16


class Number(str):
    """A number, as the document has it."""

    __slots__ = ()


def malformed(message: str, detail: str = "") -> S3Error:
    """MalformedPolicy.

    Args:
        detail: the text that is meant, cut to 256 characters.
    """
    if not detail:
        return S3Error("MalformedPolicy", message)
    return S3Error("MalformedPolicy", message, Detail=detail[:_DETAIL_CHARACTERS_MAX])


def read_json(document: bytes, size_max: int, body_max: int) -> dict[str, Json]:
    """The object that a document is.

    Args:
        size_max: bytes without the white space between tokens.
        body_max: bytes in all.

    Raises:
        S3Error: MalformedPolicy.
    """
    if document[:1] != b"{":
        raise malformed("Policies must be valid JSON and the first byte must be '{'")
    if len(document) > body_max:
        raise _too_large(size_max)
    try:
        root: Json = json.loads(
            document.decode(),
            object_pairs_hook=_members,
            parse_int=Number,
            parse_float=Number,
            parse_constant=_refuse_constant,
        )
        # Lone surrogates, which are no text, end here as well.
        size = len(json.dumps(root, ensure_ascii=False, separators=(",", ":")).encode())
    except RecursionError:
        raise malformed("This policy contains invalid Json") from None
    except ValueError as error:
        raise malformed("This policy contains invalid Json", str(error)) from None
    if size > size_max:
        raise _too_large(size_max)
    if not isinstance(root, dict) or _depth(root) > _DEPTH_MAX:
        raise malformed("This policy contains invalid Json")
    return root


def _members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name[:100]} stands there twice")
        found[name] = value
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _too_large(size_max: int) -> S3Error:
    return malformed(
        f"Normalized policy document exceeds the maximum allowed size of {size_max} bytes"
    )


def _depth(root: Json) -> int:
    depth = 0
    level: list[Json] = [root]
    while level:
        depth += 1
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
    return depth
