"""Reading, overriding and checking the configuration.

Every refusal names file, key, found and allowed.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Struct
from msgspec.structs import asdict, fields, replace

from s3proxy.config import (
    SECRETS,
    TWINS,
    BucketConfig,
    Config,
    LocalBackendConfig,
    RegionConfig,
    S3BackendConfig,
    SnsTargetConfig,
    SqsTargetConfig,
    StorageClassConfig,
    WebhookTargetConfig,
)
from s3proxy.config_rules import ConfigError, check, variable_name

__all__ = ["ConfigError", "load", "show", "to_toml"]

ENV_PREFIX = "S3PROXY_"
# Variables that are not configuration: the root key pair, and the switches of the build.
ENV_OTHER = frozenset(
    f"{ENV_PREFIX}{name}"
    for name in ("ROOT_ACCESS_KEY", "ROOT_SECRET_KEY", "CONFIG", "DEBUG", "SANITIZE", "ANNOTATE")
)
# Arrays of tables: what an entry is, by its `type`; "" where there is but one kind.
TABLES: dict[str, dict[str, type[Struct]]] = {
    "backend": {"local": LocalBackendConfig, "s3": S3BackendConfig},
    "bucket": {"": BucketConfig},
    "region": {"": RegionConfig},
    "storage_class": {"": StorageClassConfig},
    "event_target": {
        "webhook": WebhookTargetConfig,
        "sqs": SqsTargetConfig,
        "sns": SnsTargetConfig,
    },
}

C = TypeVar("C", bound=Struct)


def load(path: str | None, environ: Mapping[str, str]) -> Config:
    """The effective configuration.

    Args:
        path: a TOML file, or None for defaults and environment only.
        environ: usually os.environ.
    Raises:
        ConfigError: unreadable file, wrong key, type or value, in the file or in the environment.
    """
    origin = path or "defaults"
    raw = _read_toml(path) if path else {}
    origins = _override(raw, environ)
    config = _convert_config(raw, origins, origin)
    check(config, lambda key: origins.get(key, origin))

    def resolved(table: str, entries: Iterable[C]) -> tuple[C, ...]:
        return tuple(
            _resolve_secrets(entry, environ, f"{origin}: {table}.{name_of(entry)}")
            for entry in entries
        )

    return replace(
        config,
        backend=resolved("backend", config.backend),
        event_target=resolved("event_target", config.event_target),
        region=tuple(
            resolved("region", (entry,))[0] if entry.mode == "forward" else entry
            for entry in config.region
        ),
    )


def _read_toml(path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise ConfigError(path, "file", error.strerror or "an error", "a readable file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(path, "file", str(error), "TOML in UTF-8") from error


def _override(raw: dict[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """Put S3PROXY_SECTION__KEY variables into `raw`; return which variable set which key."""
    origins: dict[str, str] = {}
    for variable in sorted(environ):
        if not variable.startswith(ENV_PREFIX) or variable in ENV_OTHER:
            continue
        path = variable.removeprefix(ENV_PREFIX).lower().split("__")
        section = _section(raw, path, variable)
        section[path[-1]] = _EnvText(environ[variable])
        origins[".".join(path)] = variable
    return origins


class _EnvText(str):
    """A value from the environment: text that still has to become its field's type."""

    __slots__ = ()


def _section(raw: dict[str, Any], path: list[str], variable: str) -> dict[str, Any]:
    allowed = "S3PROXY_SECTION__KEY, or S3PROXY_BACKEND__NAME__KEY for a backend of the file"
    if len(path) == 2 and path[0] not in TABLES:
        section = raw.setdefault(path[0], {})
        if isinstance(section, dict):
            return section
    if len(path) == 3 and path[0] in TABLES:
        for entry in raw.get(path[0], []):
            if isinstance(entry, dict) and variable_name(entry.get("name")) == path[1]:
                return entry
        allowed = f"the name of a [[{path[0]}]] in the file"
    raise ConfigError("environment", variable, "no such section", allowed)


def _convert_config(raw: dict[str, Any], origins: Mapping[str, str], origin: str) -> Config:
    sections: dict[str, Any] = {}
    known = {f.name: f for f in fields(Config)}
    for name, value in raw.items():
        if name not in known:
            raise ConfigError(
                origins.get(name, origin), name, "an unknown section", _near(name, known)
            )
        if name in TABLES:
            sections[name] = tuple(_convert_tables(name, value, origins, origin))
        else:
            sections[name] = _convert(known[name].type, value, name, origins, origin)
    return Config(**sections)


def _convert_tables(
    name: str, entries: object, origins: Mapping[str, str], origin: str
) -> Iterator[Any]:
    if not isinstance(entries, list):
        raise ConfigError(origin, name, _found(entries), f"one or more [[{name}]] tables")
    for position, entry in enumerate(entries):
        where = f"{name}[{position}]"
        if not isinstance(entry, dict):
            raise ConfigError(origin, where, _found(entry), "a table")
        if isinstance(entry.get("name"), str):
            where = f"{name}.{variable_name(entry['name'])}"
        yield _convert(_table_type(name, entry, where, origin), entry, where, origins, origin)


def _table_type(name: str, entry: dict[str, Any], where: str, origin: str) -> type:
    types = TABLES[name]
    if "" in types:
        return types[""]
    kind = entry.pop("type", None)
    if not isinstance(kind, str) or kind not in types:
        found = "nothing" if kind is None else _found(kind)
        allowed = " or ".join(f'"{t}"' for t in types)
        raise ConfigError(origin, f"{where}.type", found, allowed)
    return types[kind]


def _convert(
    struct: type, value: object, where: str, origins: Mapping[str, str], origin: str
) -> Any:
    """One section, field by field, so that the message can name the field and what it may hold."""
    if not isinstance(value, dict):
        raise ConfigError(origin, where, _found(value), f"a table [{where}]")
    known = {f.name: f for f in fields(struct)}
    converted: dict[str, Any] = {}
    for name, item in value.items():
        key = f"{where}.{name}"
        source = origins.get(key, origin)
        if name not in known:
            raise ConfigError(source, key, "an unknown key", _near(name, known))
        loose = isinstance(item, _EnvText)
        try:
            item = str(item) if loose else item
            converted[name] = msgspec.convert(item, known[name].type, strict=not loose)
        except msgspec.ValidationError as error:
            allowed = _allowed(str(error), known[name].type)
            raise ConfigError(source, key, _shown(name, item), allowed) from error
        if isinstance(item, str) and not item.isprintable():
            raise ConfigError(source, key, _shown(name, item), "text without control characters")
    for name, known_field in known.items():
        if known_field.required and name not in converted:
            raise ConfigError(origin, f"{where}.{name}", "nothing", "a value: it is required")
    return struct(**converted)


def _shown(name: str, value: object) -> str:
    return "a secret" if name in SECRETS else _found(value)


def _allowed(message: str, kind: Any) -> str:
    """What msgspec expected, in its own words: "Expected `int`, got `str`" gives "int"."""
    if get_origin(kind) is Literal:
        return " or ".join(f'"{choice}"' for choice in get_args(kind))
    wanted = re.match(r"Expected (.*?)(?:, got .*)?$", message)
    return wanted[1].replace("`", "") if wanted else message


def _near(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return (f"did you mean {close[0]}? " if close else "") + "one of " + ", ".join(sorted(known))


def _found(value: object) -> str:
    return f"{value!r} ({type(value).__name__})" if not isinstance(value, dict) else "a table"


def name_of(entry: Struct) -> str:
    """What an entry of an array of tables is called."""
    return str(asdict(entry)["name"])


def _resolve_secrets(entry: C, environ: Mapping[str, str], where: str) -> C:
    """Fill what may come from `*_file` and `*_env` twins."""
    given = asdict(entry)
    values = {name: _secret(given, name, environ, where) for name in sorted(TWINS & given.keys())}
    return replace(entry, **values)


def _secret(given: Mapping[str, Any], name: str, environ: Mapping[str, str], where: str) -> str:
    sources = [key for key in (name, f"{name}_file", f"{name}_env") if given[key]]
    if len(sources) != 1:
        found = " and ".join(sources) or "nothing"
        raise ConfigError(where, name, found, f"one of {name}, {name}_file, {name}_env")
    value = _read_secret(given[sources[0]], sources[0], environ, where)
    if not value or not value.isascii() or not value.isprintable():
        found = "other characters" if value else "nothing in it"
        raise ConfigError(where, sources[0], found, "one line of ASCII")
    return value


def _read_secret(given: str, source: str, environ: Mapping[str, str], where: str) -> str:
    if source.endswith("_env"):
        if given not in environ:
            raise ConfigError(where, source, "an unset variable", "the name of a set variable")
        return environ[given]
    if source.endswith("_file"):
        try:
            return Path(given).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(where, source, str(error), "a readable file") from error
    return given


def show(config: Config) -> dict[str, Any]:
    """The effective configuration as plain data, secrets masked, for people and for JSON."""
    data: dict[str, Any] = msgspec.to_builtins(replace(config, backend=config.backends()))
    for entry in (*data["backend"], *data["event_target"], *data["region"]):
        for name in SECRETS & entry.keys():
            entry[name] = "****" if entry[name] else ""
    return data


def to_toml(data: Mapping[str, Any]) -> str:
    """Render what `show` returned as TOML; only the value types that configuration has."""
    blocks = []
    for section, content in data.items():
        entries = content if isinstance(content, list | tuple) else [content]
        header = f"[[{section}]]" if section in TABLES else f"[{section}]"
        for entry in entries:
            lines = [header, *(f"{key} = {_toml_value(value)}" for key, value in entry.items())]
            blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _toml_value(value: object) -> str:
    # JSON's spelling of strings, numbers and booleans is TOML's too.
    return msgspec.json.encode(value).decode()
