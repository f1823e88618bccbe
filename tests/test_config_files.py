"""The TLS files of a configuration: refused with file, key, found and allowed, before a start."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from s3proxy.config import Config, ServerConfig, UpstreamConfig
from s3proxy.config_files import check_files
from s3proxy.config_loading import ConfigError
from tests.http.sockets import write_certificate

# Made with OpenSSL: genpkey -algorithm EC -pkeyopt ec_paramgen_curve:SM2; req -x509.
SM2_KEY = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqBHM9VAYItBG0wawIBAQQgLVPuyUKKjXaT5Ljo
WSEzEaGtJpr44APkEcxbuX36hZChRANCAAS1KeVFY/1OV1MmThgpH24vWIeFvph8
neHYBfQPPaLrYffm7hpSrX6kQFVdHyCzgzh4m2CQQQu0xhvY4XSiR3KP
-----END PRIVATE KEY-----
"""
SM2_CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBbTCCAROgAwIBAgIUOREZH5Y5prmF9C8Pw6OZn0GMYjwwCgYIKoEcz1UBg3Uw
DDEKMAgGA1UEAwwBbDAeFw0yNjExMjEwNTQwMzdaFw0yNjEyMjEwNTQwMzdaMAwx
CjAIBgNVBAMMAWwwWTATBgcqhkjOPQIBBggqgRzPVQGCLQNCAAS1KeVFY/1OV1Mm
ThgpH24vWIeFvph8neHYBfQPPaLrYffm7hpSrX6kQFVdHyCzgzh4m2CQQQu0xhvY
4XSiR3KPo1MwUTAdBgNVHQ4EFgQUM4fA1JA87KvfkavG2J+uVkwv4LkwHwYDVR0j
BBgwFoAUM4fA1JA87KvfkavG2J+uVkwv4LkwDwYDVR0TAQH/BAUwAwEB/zAKBggq
gRzPVQGDdQNIADBFAiEA3u+G3xxtJqwOEM+xchAWugBFocH0rw7AKNIR0hJbIMQC
IB8sl5ukkUZOwxBYJZLtUmDAMgKlE16rLCcztGOvUOvf
-----END CERTIFICATE-----
"""


def config(certificate: Path, key: Path, ca_file: str = "") -> Config:
    return Config(
        server=ServerConfig(tls_cert=str(certificate), tls_key=str(key)),
        upstream=UpstreamConfig(ca_file=ca_file),
    )


def refusal(certificate: Path, key: Path, ca_file: str = "") -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        check_files(config(certificate, key, ca_file), "gateway.toml", {})
    assert caught.value.origin == "gateway.toml"
    return caught.value


def test_check_files_that_belong_together_pass(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    check_files(config(certificate, key, str(certificate)), "gateway.toml", {})
    check_files(Config(), "defaults", {})


def test_check_files_absent_names_the_one_that_is(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    absent = tmp_path / "none.pem"
    for error, name in (
        (refusal(absent, key), "server.tls_cert"),
        (refusal(certificate, absent), "server.tls_key"),
        (refusal(certificate, key, str(absent)), "upstream.ca_file"),
    ):
        assert error.key == name
        assert error.found == f"{str(absent)!r}: No such file or directory"
        assert "a readable PEM file" in error.allowed


def test_check_files_that_hold_something_else_are_refused(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    other = tmp_path / "other.pem"
    other.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    assert refusal(key, key).key == "server.tls_cert"
    assert refusal(other, key).key == "server.tls_cert"
    assert refusal(certificate, certificate).key == "server.tls_key"
    assert refusal(certificate, key, str(other)).key == "upstream.ca_file"
    other.write_bytes(b"")
    assert "something else" in refusal(other, key).found


def test_check_files_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    certificate, _ = write_certificate(tmp_path, "one")
    _, key = write_certificate(tmp_path, "two")
    error = refusal(certificate, key)
    assert error.key == "server.tls_key"
    assert error.found == f"{str(key)!r}, the key of another certificate"
    assert str(certificate) in error.allowed


def test_check_files_encrypted_key_is_refused(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    private = load_pem_private_key(key.read_bytes(), password=None)
    encryption = BestAvailableEncryption(b"pass")
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    error = refusal(certificate, key)
    assert (error.key, error.found) == ("server.tls_key", f"{str(key)!r}, an encrypted key")
    assert "without a passphrase" in error.allowed


def test_check_files_path_with_nul_is_refused(tmp_path: Path) -> None:
    _, key = write_certificate(tmp_path)
    assert "null byte" in refusal(Path("a\0b"), key).found


def test_check_files_of_a_kind_nobody_takes_are_refused(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    sm2_key, sm2_certificate = tmp_path / "sm2.key", tmp_path / "sm2.pem"
    sm2_key.write_text(SM2_KEY)
    sm2_certificate.write_text(SM2_CERTIFICATE)
    for error, name in (
        (refusal(certificate, sm2_key), "server.tls_key"),
        (refusal(sm2_certificate, key), "server.tls_cert"),
    ):
        assert error.key == name
        assert "is not supported" in error.found


def test_check_files_what_only_openssl_refuses_is_told(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    weak = rsa.generate_private_key(65537, 1024)
    name = x509.load_pem_x509_certificate(certificate.read_bytes())
    signed = (
        x509.CertificateBuilder()
        .subject_name(name.subject)
        .issuer_name(name.subject)
        .public_key(weak.public_key())
        .serial_number(1)
        .not_valid_before(name.not_valid_before_utc)
        .not_valid_after(name.not_valid_after_utc)
        .sign(weak, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(Encoding.PEM))
    key.write_bytes(weak.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    error = refusal(certificate, key)
    assert error.key == "server.tls_cert"
    assert "too small" in error.found.lower().replace("_", " ")
