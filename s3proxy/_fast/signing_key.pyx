"""Derived signing keys, kept as ready HMAC states, and their bounded cache.

Deriving a key takes four HMACs and the secret itself; it is good for one day, region and service,
so nearly every request finds it here and needs no secret.

Source: AWS, "Create a signed AWS API request", step 3.
"""

from cpython.dict cimport PyDict_GetItem
from libc.string cimport memcpy, memset

from s3proxy._fast.authorization cimport Authorization
from s3proxy._fast.canonical cimport Text
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
from s3proxy._fast.span cimport Span
from s3proxy._fast.timestamp cimport STAMP_BYTES

cdef enum:
    ALGORITHM_LINE_BYTES = 17


cdef void sign_canonical(
    const HmacState* hmac, const Text* canonical, const char* stamp, Span scope, char* signature
) noexcept nogil:
    # The string to sign goes into the HMAC in three parts: algorithm and timestamp, scope, hash.
    cdef Sha256State running
    cdef unsigned char digest[SHA256_BYTES]
    cdef char first[ALGORITHM_LINE_BYTES + STAMP_BYTES + 1]
    cdef char last[1 + SHA256_HEX]
    sha256_start(&running)
    sha256_update(&running, canonical.data, canonical.length)
    sha256_finish(&running, digest)
    memcpy(first, b"AWS4-HMAC-SHA256\n", ALGORITHM_LINE_BYTES)
    memcpy(first + ALGORITHM_LINE_BYTES, stamp, STAMP_BYTES)
    first[ALGORITHM_LINE_BYTES + STAMP_BYTES] = 10
    last[0] = 10
    write_hex(digest, SHA256_BYTES, last + 1)
    running = hmac.inner
    sha256_update(&running, first, ALGORITHM_LINE_BYTES + STAMP_BYTES + 1)
    sha256_update(&running, scope.data, scope.length)
    sha256_update(&running, last, 1 + SHA256_HEX)
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
    # Two generations: what is used moves to the young one, and when that is full it becomes the old
    # one, whose keys are forgotten. A hit is one lookup and reorders nothing.
    cdef dict young
    cdef dict old
    cdef readonly Py_ssize_t capacity

    def __init__(self, Py_ssize_t capacity=4096):
        if capacity < 2:
            raise ValueError("the cache must hold two keys at least")
        self.capacity = capacity
        self.young = {}
        self.old = {}

    cdef int keep(self, tuple name, SigningKey key) except -1:
        self.young[name] = key
        if len(self.young) >= self.capacity // 2:
            self.old = self.young
            self.young = {}
        return 0

    def get(self, access_key, generation, date, region, service="s3"):
        cdef tuple name = (access_key, generation, date, region, service)
        cdef void* found = <void*>PyDict_GetItem(self.young, name)
        cdef object key
        if found != NULL:
            return <object>found
        key = self.old.get(name)
        if key is not None:
            self.keep(name, key)
        return key

    def find(self, Authorization claim not None, generation, /):
        return self.get(claim.access_key, generation, claim.date, claim.region, claim.service)

    def derive(
        self, access_key, generation, date, region, secret_key, service="s3"
    ):
        cdef SigningKey key = derive(secret_key, date, region, service)
        self.keep((access_key, generation, date, region, service), key)
        return key

    def __len__(self):
        return len(self.young.keys() | self.old.keys())
