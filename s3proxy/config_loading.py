"""Reading, overriding and checking the configuration.

Every refusal names file, key, found and allowed.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import asdict, fields, replace

from s3proxy.config import (
    SECRETS,
    TWINS,
    BackendConfig,
    BucketConfig,
    Config,
    LocalBackendConfig,
    S3BackendConfig,
)

ENV_PREFIX = "S3PROXY_"
# Variables that are not configuration: the root key pair, and the switches of the build.
ENV_OTHER = frozenset(
    f"{ENV_PREFIX}{name}"
    for name in ("ROOT_ACCESS_KEY", "ROOT_SECRET_KEY", "CONFIG", "DEBUG", "SANITIZE", "ANNOTATE")
)
BACKEND_TYPES: dict[str, type[BackendConfig]] = {
    "local": LocalBackendConfig,
    "s3": S3BackendConfig,
}
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
TABLES = ("backend", "bucket")  # arrays of tables


class ConfigError(Exception):
    """One wrong thing in the configuration, ready to show to a person."""

    def __init__(self, origin: str, key: str, found: str, allowed: str) -> None:
        self.origin = origin
        self.key = key
        self.found = found
        self.allowed = allowed
        super().__init__(f"{origin}: {key}: found {found}; allowed: {allowed}")


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
    _check(config, origins, origin)
    backends = tuple(_resolve_secrets(backend, environ, origin) for backend in config.backend)
    return replace(config, backend=backends)


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
            if isinstance(entry, dict) and _variable_name(entry.get("name")) == path[1]:
                return entry
        allowed = f"the name of a [[{path[0]}]] in the file"
    raise ConfigError("environment", variable, "no such section", allowed)


def _variable_name(name: object) -> str:
    return re.sub(r"[^a-z0-9]", "_", str(name).lower())


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
            where = f"{name}.{_variable_name(entry['name'])}"
        yield _convert(_table_type(name, entry, where, origin), entry, where, origins, origin)


def _table_type(name: str, entry: dict[str, Any], where: str, origin: str) -> type:
    if name == "bucket":
        return BucketConfig
    kind = entry.pop("type", None)
    if kind not in BACKEND_TYPES:
        found = "nothing" if kind is None else _found(kind)
        raise ConfigError(
            origin, f"{where}.type", found, " or ".join(f'"{t}"' for t in BACKEND_TYPES)
        )
    return BACKEND_TYPES[kind]


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
            shown = "a secret" if name in SECRETS else _found(item)
            raise ConfigError(source, key, shown, _allowed(str(error))) from error
    for name, known_field in known.items():
        if known_field.required and name not in converted:
            raise ConfigError(origin, f"{where}.{name}", "nothing", "a value: it is required")
    return struct(**converted)


def _allowed(message: str) -> str:
    """What msgspec expected, in its own words: "Expected `int`, got `str`" gives "int"."""
    wanted = re.match(r"Expected (.*?)(?:, got .*)?$", message)
    return wanted[1].replace("`", "") if wanted else message


def _near(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return (f"did you mean {close[0]}? " if close else "") + "one of " + ", ".join(sorted(known))


def _found(value: object) -> str:
    return f"{value!r} ({type(value).__name__})" if not isinstance(value, dict) else "a table"


def _check(config: Config, origins: Mapping[str, str], origin: str) -> None:
    """Rules across fields, and on values that their types cannot say."""
    for key, address in (
        ("server.listen", config.server.listen),
        ("control.listen", config.control.listen),
    ):
        if address or key == "server.listen":
            _check_address(origins.get(key, origin), key, address)
    if bool(config.server.tls_cert) != bool(config.server.tls_key):
        raise ConfigError(
            origin, "server.tls_cert", "one without the other", "tls_cert and tls_key together"
        )
    names = [backend.name for backend in config.backends()]
    for name in names:
        if not NAME.fullmatch(name):
            raise ConfigError(
                origin, "backend.name", repr(name), "a-z, 0-9 and -, at most 31 characters"
            )
    _check_unique(origin, "backend.name", names)
    _check_unique(origin, "bucket.name", [bucket.name for bucket in config.bucket])
    for bucket in config.bucket:
        if bucket.backend not in names:
            allowed = "one of " + ", ".join(names)
            key = f"bucket.{_variable_name(bucket.name)}.backend"
            raise ConfigError(origins.get(key, origin), key, repr(bucket.backend), allowed)
    for backend in config.backend:
        if isinstance(backend, S3BackendConfig):
            _check_endpoint(origins, origin, backend)


def _check_address(origin: str, key: str, address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ConfigError(origin, key, repr(address), '"host:port", as in "127.0.0.1:9000"')


def _check_endpoint(origins: Mapping[str, str], origin: str, backend: S3BackendConfig) -> None:
    if not re.fullmatch(r"https?://[^/?#@\s]+/?", backend.endpoint):
        key = f"backend.{_variable_name(backend.name)}.endpoint"
        allowed = "http://host[:port] or https://host[:port]"
        raise ConfigError(origins.get(key, origin), key, repr(backend.endpoint), allowed)


def _check_unique(origin: str, key: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(origin, key, f"{name!r} twice", "each name once")


def _resolve_secrets(
    backend: BackendConfig, environ: Mapping[str, str], origin: str
) -> BackendConfig:
    """Fill access_key and secret_key from their `*_file` and `*_env` twins."""
    if not isinstance(backend, S3BackendConfig):
        return backend
    values = {
        name: _secret(backend, name, environ, f"{origin}: backend.{backend.name}") for name in TWINS
    }
    return replace(backend, **values)


def _secret(backend: S3BackendConfig, name: str, environ: Mapping[str, str], where: str) -> str:
    given = asdict(backend)
    sources = [key for key in (name, f"{name}_file", f"{name}_env") if given[key]]
    if len(sources) != 1:
        found = " and ".join(sources) or "nothing"
        raise ConfigError(where, name, found, f"one of {name}, {name}_file, {name}_env")
    if sources[0] == f"{name}_env":
        if given[sources[0]] not in environ:
            raise ConfigError(where, sources[0], "an unset variable", "the name of a set variable")
        return environ[given[sources[0]]]
    if sources[0] == f"{name}_file":
        try:
            return Path(given[sources[0]]).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(where, sources[0], str(error), "a readable file") from error
    return str(given[name])


def show(config: Config) -> dict[str, Any]:
    """The effective configuration as plain data, secrets masked, for people and for JSON."""
    data: dict[str, Any] = msgspec.to_builtins(replace(config, backend=config.backends()))
    for backend in data["backend"]:
        for name in SECRETS & backend.keys():
            backend[name] = "****" if backend[name] else ""
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
