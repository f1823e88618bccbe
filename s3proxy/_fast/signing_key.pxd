"""C interface of the derived signing keys."""

from s3proxy._fast.canonical cimport Text
from s3proxy._fast.libcrypto cimport HmacState
from s3proxy._fast.span cimport Span


cdef class SigningKey:
    cdef HmacState hmac         # wiped when the object goes


cdef SigningKey derive(str secret_key, str date, str region, str service)
# Writes the SHA256_HEX digits of the signature of a canonical request; `stamp` has STAMP_BYTES.
cdef void sign_canonical(
    const HmacState* hmac, const Text* canonical, const char* stamp, Span scope, char* signature
) noexcept nogil
