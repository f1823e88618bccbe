"""Whether an answer is one that the API's OpenAPI document tells of."""

from __future__ import annotations

import re
from typing import Any

import httpx

TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


class Described:
    """An OpenAPI document.

    Attributes:
        seen: method and path of each route that has been asked, and the statuses it answered.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.paths: dict[str, Any] = document["paths"]
        self._schemas: dict[str, Any] = document["components"]["schemas"]
        self.seen: dict[tuple[str, str], set[int]] = {}

    def check(self, method: str, path: str, answer: httpx.Response) -> None:
        """Raise AssertionError for an answer of a route that its description does not have."""
        template = self._template(path)
        operation = self.paths.get(template, {}).get(method.lower())
        if operation is None:
            return
        self.seen.setdefault((method, template), set()).add(answer.status_code)
        described = operation["responses"].get(str(answer.status_code))
        assert described is not None, (method, template, answer.status_code)
        if not described.get("content"):
            assert answer.content == b"", (method, template)
            return
        ((media_type, content),) = described["content"].items()
        assert answer.headers["content-type"].partition(";")[0] == media_type, (method, template)
        wrong = list(self._wrong(content["schema"], answer.json(), f"{method} {template}"))
        assert not wrong, wrong

    def _template(self, path: str) -> str:
        """The path with `{names}`; one without comes before one with them."""
        plain = path.partition("?")[0].rstrip("/")
        for template in sorted(self.paths, key=lambda known: known.count("{")):
            if re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", template), plain):
                return template
        return ""

    def _wrong(self, schema: dict[str, Any], value: Any, where: str) -> list[str]:
        """What of a value is not as its schema has it; properties nobody told of are wrong, too."""
        if "$ref" in schema:
            schema = self._schemas[schema["$ref"].rpartition("/")[2]]
        if "oneOf" in schema:
            tried = [self._wrong(one, value, where) for one in schema["oneOf"]]
            return min(tried, key=len)
        if "enum" in schema and value not in schema["enum"]:
            return [f"{where}: {value!r} of {schema['enum']}"]
        named = schema.get("type")
        types = [named] if isinstance(named, str) else named or []
        if types and not any(_is(one, value) for one in types):
            return [f"{where}: {value!r} is no {named}"]
        if isinstance(value, list):
            items = schema.get("items", {})
            return [wrong for one in value for wrong in self._wrong(items, one, f"{where}[]")]
        return self._wrong_members(schema, value, where) if isinstance(value, dict) else []

    def _wrong_members(
        self, schema: dict[str, Any], value: dict[str, Any], where: str
    ) -> list[str]:
        known: dict[str, Any] = schema.get("properties", {})
        found = [f"{where}: no {name}" for name in schema.get("required", ()) if name not in value]
        others = schema.get("additionalProperties", {} if not known else None)
        for name, member in value.items():
            inner = known.get(name, others)
            if inner is None:
                found.append(f"{where}: {name} is not described")
            else:
                found += self._wrong(inner, member, f"{where}.{name}")
        return found


def _is(named: str, value: Any) -> bool:
    if isinstance(value, bool):
        return named == "boolean"
    return isinstance(value, TYPES[named])
