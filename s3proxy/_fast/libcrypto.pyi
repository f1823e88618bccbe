"""SHA-256, SHA-1, MD5 and HMAC of OpenSSL's libcrypto for the compiled modules (see the `.pxd`)."""

LIBRARY_NAMES: tuple[str, ...]
