"""TLS contexts: certificate and key of the server, trust of the client."""

import socket
import ssl

from s3proxy.http.errors import TlsConfigError


class TlsContext:
    """The server's side; `reload` takes renewed files without a restart.

    Args:
        certificate_path: PEM file, the chain after the certificate.
        key_path: PEM file of its private key, without a passphrase.
    Raises:
        TlsConfigError: the files cannot be used together.
    """

    def __init__(self, certificate_path: str, key_path: str) -> None:
        self._certificate_path = certificate_path
        self._key_path = key_path
        self._context = self._load()

    def reload(self) -> None:
        """Read the files again, for connections to come; open ones keep what they have.

        Raises:
            TlsConfigError: the files cannot be used; the old ones stay in use.
        """
        self._context = self._load()

    def wrap(self, sock: socket.socket) -> ssl.SSLSocket:
        """Take over an accepted, nonblocking socket; the handshake is still to be done."""
        return self._context.wrap_socket(
            sock, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False
        )

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # Renegotiation lets a client make the server compute, and a read wait for a write.
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        _tell_truncation(context)
        context.set_alpn_protocols(["http/1.1"])
        try:
            # The password callback keeps OpenSSL from asking a terminal.
            context.load_cert_chain(self._certificate_path, self._key_path, password=_no_password)
        except (OSError, ValueError) as error:
            raise TlsConfigError(
                f"certificate {self._certificate_path} with key {self._key_path}: {error}"
            ) from error
        return context


def client_context(ca_path: str | None = None) -> ssl.SSLContext:
    """A context that trusts the system's authorities, or only those in the PEM file `ca_path`.

    Raises:
        TlsConfigError: the file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=ca_path)
    except (OSError, ValueError) as error:
        raise TlsConfigError(f"trusted certificates {ca_path}: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    _tell_truncation(context)
    return context


def _tell_truncation(context: ssl.SSLContext) -> None:
    """Make an end without close_notify an error.

    Python before 3.11.4 (Debian 12 has 3.11.2) sets the opposite with OpenSSL 3, see
    https://github.com/python/cpython/issues/95494; anybody on the path could cut a body short.
    """
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)


def _no_password() -> str:
    raise ValueError("the key is encrypted; keep it without a passphrase")
