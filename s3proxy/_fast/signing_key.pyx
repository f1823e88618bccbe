"""Derived signing keys, kept as ready HMAC states, and their bounded cache.

Deriving a key takes four HMACs and the secret itself; it is good for one day, region and service,
so nearly every request finds it here and needs no secret.

Source: AWS, "Create a signed AWS API request", step 3.
"""

from collections import OrderedDict

from libc.string cimport memset

from s3proxy._fast.canonical cimport Span, Text
from s3proxy._fast.libcrypto cimport (
    SHA256_BYTES,
    SHA256_HEX,
    HmacState,
    Sha256State,
    hmac_finish,
    hmac_set_key,
    hmac_sign,
    sha256_finish,
    sha256_start,
    sha256_update,
    write_hex,
)
from s3proxy._fast.timestamp cimport STAMP_BYTES

cdef const char* ALGORITHM_LINE = b"AWS4-HMAC-SHA256\n"
cdef enum:
    ALGORITHM_LINE_BYTES = 17


cdef void sign_canonical(
    const HmacState* hmac, const Text* canonical, const char* stamp, Span scope, char* signature
) noexcept nogil:
    # The string to sign goes straight into the HMAC: algorithm, timestamp, scope, hash.
    cdef Sha256State running
    cdef unsigned char digest[SHA256_BYTES]
    cdef char text[SHA256_HEX]
    sha256_start(&running)
    sha256_update(&running, canonical.data, canonical.length)
    sha256_finish(&running, digest)
    write_hex(digest, SHA256_BYTES, text)
    running = hmac.inner
    sha256_update(&running, ALGORITHM_LINE, ALGORITHM_LINE_BYTES)
    sha256_update(&running, stamp, STAMP_BYTES)
    sha256_update(&running, b"\n", 1)
    sha256_update(&running, scope.data, scope.length)
    sha256_update(&running, b"\n", 1)
    sha256_update(&running, text, SHA256_HEX)
    hmac_finish(hmac, &running, digest)
    write_hex(digest, SHA256_BYTES, signature)


cdef class SigningKey:

    def __init__(self):
        raise TypeError("made by SigningKeys.derive and derive_signing_key")

    def sign(self, bytes string_to_sign not None, /):
        cdef unsigned char digest[SHA256_BYTES]
        cdef char text[SHA256_HEX]
        hmac_sign(&self.hmac, <const char*>string_to_sign, len(string_to_sign), digest)
        write_hex(digest, SHA256_BYTES, text)
        return text[:SHA256_HEX].decode("ascii")

    def __dealloc__(self):
        memset(&self.hmac, 0, sizeof(HmacState))


cdef SigningKey derive(str secret_key, str date, str region, str service):
    cdef SigningKey key = SigningKey.__new__(SigningKey)
    cdef unsigned char digest[SHA256_BYTES]
    cdef bytes secret = b"AWS4" + secret_key.encode()
    hmac_set_key(&key.hmac, <const unsigned char*><const char*>secret, len(secret))
    for part in (date, region, service, "aws4_request"):
        step = part.encode()
        hmac_sign(&key.hmac, <const char*><bytes>step, len(step), digest)
        hmac_set_key(&key.hmac, digest, SHA256_BYTES)
    return key


def derive_signing_key(str secret_key not None, str date not None, str region not None,
                       str service not None="s3"):
    return derive(secret_key, date, region, service)


cdef class SigningKeys:
    cdef object keys
    cdef readonly Py_ssize_t capacity

    def __init__(self, Py_ssize_t capacity=4096):
        if capacity < 1:
            raise ValueError("the cache must hold one key at least")
        self.capacity = capacity
        self.keys = OrderedDict()

    def get(self, access_key, generation, date, region, service="s3"):
        name = (access_key, generation, date, region, service)
        key = self.keys.get(name)
        if key is not None:
            self.keys.move_to_end(name)
        return key

    def derive(self, access_key, generation, date, region, secret_key, service="s3"):
        name = (access_key, generation, date, region, service)
        key = derive(secret_key, date, region, service)
        self.keys[name] = key
        self.keys.move_to_end(name)
        if len(self.keys) > self.capacity:
            self.keys.popitem(last=False)
        return key

    def __len__(self):
        return len(self.keys)
