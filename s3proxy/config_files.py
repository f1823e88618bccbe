"""The files that a configuration names: whether they can be used as it says.

Apart from loading, because who makes a key need not be able to read the gateway's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificatePublicKeyTypes,
    PrivateKeyTypes,
)
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import Certificate, load_pem_x509_certificates
from msgspec import Struct

from s3proxy.config import Config
from s3proxy.config_loading import ENV_PREFIX, ConfigError
from s3proxy.http.errors import TlsConfigError
from s3proxy.http.tls import TlsContext, client_context


class _Named(Struct):
    """A file, the key that names it, and where the key stands."""

    path: str
    key: str
    origin: str

    def refusal(self, found: str, allowed: str) -> ConfigError:
        return ConfigError(self.origin, self.key, found, allowed)


def check_files(config: Config, origin: str, environ: Mapping[str, str]) -> None:
    """Read the TLS files as a start would.

    Args:
        origin, environ: as `load` had them.
    Raises:
        ConfigError: one is unreadable or not what it should be, or the two do not belong together.
    """

    def named(key: str, path: str) -> _Named:
        variable = ENV_PREFIX + key.replace(".", "__").upper()
        return _Named(path, key, variable if variable in environ else origin)

    server, ca_path = config.server, config.upstream.ca_file
    if server.tls_cert:
        _check_pair(
            named("server.tls_cert", server.tls_cert), named("server.tls_key", server.tls_key)
        )
    if ca_path:
        ca_file = named("upstream.ca_file", ca_path)
        _certificates(ca_file)
        _check_usable(lambda: client_context(ca_path), ca_file)


def _check_pair(certificate: _Named, key: _Named) -> None:
    public = _public_key(certificate)
    if _private_key(key).public_key() != public:
        found = f"{key.path!r}, the key of another certificate"
        raise key.refusal(found, f"the key of the first certificate in {certificate.path}")
    _check_usable(lambda: TlsContext(certificate.path, key.path), certificate)


def _certificates(file: _Named) -> list[Certificate]:
    allowed = "a readable PEM file of certificates"
    try:
        return load_pem_x509_certificates(_content(file, allowed))
    except ValueError as error:
        raise file.refusal(f"{file.path!r}, something else", allowed) from error


def _public_key(file: _Named) -> CertificatePublicKeyTypes:
    first = _certificates(file)[0]
    try:
        return first.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        allowed = "a certificate of a key that TLS knows"
        raise file.refusal(f"{file.path!r}: {error}", allowed) from error


def _private_key(file: _Named) -> PrivateKeyTypes:
    allowed = "a readable PEM file of a private key without a passphrase"
    try:
        return load_pem_private_key(_content(file, allowed), password=None)
    except TypeError as error:
        raise file.refusal(f"{file.path!r}, an encrypted key", allowed) from error
    except UnsupportedAlgorithm as error:
        raise file.refusal(f"{file.path!r}: {error}", allowed) from error
    except ValueError as error:
        raise file.refusal(f"{file.path!r}, something else", allowed) from error


def _content(file: _Named, allowed: str) -> bytes:
    try:
        return Path(file.path).read_bytes()
    except (OSError, ValueError) as error:
        # ValueError: a path with NUL.
        reason = error.strerror if isinstance(error, OSError) else error
        raise file.refusal(f"{file.path!r}: {reason}", allowed) from error


def _check_usable(use: Callable[[], object], file: _Named) -> None:
    """What OpenSSL alone can tell, such as a key too short for its security level."""
    try:
        use()
    except TlsConfigError as error:
        raise file.refusal(str(error), "files that OpenSSL takes") from error
