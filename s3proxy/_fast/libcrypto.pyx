"""SHA-256, SHA-1, MD5 and HMAC of OpenSSL's libcrypto, found at import: no headers, no link flag.

The low-level functions work on plain structs, so a keyed HMAC is two of them and is reused by
copying; the EVP interface would cost an allocation and a lookup for each digest.

Source: OpenSSL manual pages SHA256_Init(3), MD5_Init(3); RFC 2104.
"""

from libc.string cimport memset
from posix.dlfcn cimport RTLD_LOCAL, RTLD_NOW, dlopen, dlsym

ctypedef int (*StartCall)(void*) noexcept nogil
ctypedef int (*UpdateCall)(void*, const void*, size_t) noexcept nogil
ctypedef int (*FinishCall)(unsigned char*, void*) noexcept nogil

cdef enum:
    HMAC_BLOCK_BYTES = 64

# Newest first; the plain name is what development packages and musl systems have.
LIBRARY_NAMES = ("libcrypto.so.3", "libcrypto.so.1.1", "libcrypto.so")

cdef StartCall MD5_Init, SHA1_Init, SHA256_Init
cdef UpdateCall MD5_Update, SHA1_Update, SHA256_Update
cdef FinishCall MD5_Final, SHA1_Final, SHA256_Final


cdef void* open_library() except NULL:
    cdef void* library
    for name in LIBRARY_NAMES:
        library = dlopen(name.encode(), RTLD_NOW | RTLD_LOCAL)
        if library != NULL:
            return library
    raise ImportError(
        f"OpenSSL's libcrypto was not found (tried {', '.join(LIBRARY_NAMES)}): "
        "install it (Debian: libssl3, Fedora: openssl-libs, Alpine: libcrypto3)"
    )


cdef void* find(void* library, bytes name) except NULL:
    cdef void* function = dlsym(library, name)
    if function == NULL:
        raise ImportError(
            f"OpenSSL's libcrypto has no {name.decode()}: install a build that keeps the "
            "low-level digests (Debian: libssl3, Fedora: openssl-libs, Alpine: libcrypto3)"
        )
    return function


cdef int load() except -1:
    global MD5_Init, MD5_Update, MD5_Final
    global SHA1_Init, SHA1_Update, SHA1_Final
    global SHA256_Init, SHA256_Update, SHA256_Final
    cdef void* library = open_library()
    MD5_Init = <StartCall>find(library, b"MD5_Init")
    MD5_Update = <UpdateCall>find(library, b"MD5_Update")
    MD5_Final = <FinishCall>find(library, b"MD5_Final")
    SHA1_Init = <StartCall>find(library, b"SHA1_Init")
    SHA1_Update = <UpdateCall>find(library, b"SHA1_Update")
    SHA1_Final = <FinishCall>find(library, b"SHA1_Final")
    SHA256_Init = <StartCall>find(library, b"SHA256_Init")
    SHA256_Update = <UpdateCall>find(library, b"SHA256_Update")
    SHA256_Final = <FinishCall>find(library, b"SHA256_Final")
    return 0


load()


cdef void md5_start(Md5State* state) noexcept nogil:
    MD5_Init(state)


cdef void md5_update(Md5State* state, const void* data, size_t length) noexcept nogil:
    MD5_Update(state, data, length)


cdef void md5_finish(Md5State* state, unsigned char* digest) noexcept nogil:
    MD5_Final(digest, state)


cdef void sha1_start(Sha1State* state) noexcept nogil:
    SHA1_Init(state)


cdef void sha1_update(Sha1State* state, const void* data, size_t length) noexcept nogil:
    SHA1_Update(state, data, length)


cdef void sha1_finish(Sha1State* state, unsigned char* digest) noexcept nogil:
    SHA1_Final(digest, state)


cdef void sha256_start(Sha256State* state) noexcept nogil:
    SHA256_Init(state)


cdef void sha256_update(Sha256State* state, const void* data, size_t length) noexcept nogil:
    SHA256_Update(state, data, length)


cdef void sha256_finish(Sha256State* state, unsigned char* digest) noexcept nogil:
    SHA256_Final(digest, state)


cdef void hmac_set_key(HmacState* hmac, const unsigned char* key, size_t length) noexcept nogil:
    cdef unsigned char block[HMAC_BLOCK_BYTES]
    cdef Py_ssize_t i
    memset(block, 0, HMAC_BLOCK_BYTES)
    if length > HMAC_BLOCK_BYTES:
        SHA256_Init(&hmac.inner)
        SHA256_Update(&hmac.inner, key, length)
        SHA256_Final(block, &hmac.inner)
    else:
        for i in range(<Py_ssize_t>length):
            block[i] = key[i]
    for i in range(HMAC_BLOCK_BYTES):
        block[i] ^= 0x36
    SHA256_Init(&hmac.inner)
    SHA256_Update(&hmac.inner, block, HMAC_BLOCK_BYTES)
    for i in range(HMAC_BLOCK_BYTES):
        block[i] ^= 0x36 ^ 0x5C
    SHA256_Init(&hmac.outer)
    SHA256_Update(&hmac.outer, block, HMAC_BLOCK_BYTES)


cdef void hmac_finish(
    const HmacState* hmac, Sha256State* running, unsigned char* digest
) noexcept nogil:
    cdef Sha256State outer = hmac.outer
    SHA256_Final(digest, running)
    SHA256_Update(&outer, digest, SHA256_BYTES)
    SHA256_Final(digest, &outer)


cdef void hmac_sign(
    const HmacState* hmac, const void* data, size_t length, unsigned char* digest
) noexcept nogil:
    cdef Sha256State running = hmac.inner
    SHA256_Update(&running, data, length)
    hmac_finish(hmac, &running, digest)


cdef void write_hex(const unsigned char* digest, Py_ssize_t length, char* text) noexcept nogil:
    # Arithmetic in place of a table, so that the compiler can do many bytes at once: "a" is 39
    # beyond what follows "9".
    cdef unsigned char high, low
    cdef Py_ssize_t i
    for i in range(length):
        high = digest[i] >> 4
        low = digest[i] & 15
        text[2 * i] = <char>(high + 48 + 39 * (high > 9))
        text[2 * i + 1] = <char>(low + 48 + 39 * (low > 9))


cdef bint equal_in_constant_time(const void* a, const void* b, Py_ssize_t length) noexcept nogil:
    # `volatile` keeps the compiler from leaving the loop early or calling memcmp.
    cdef const volatile unsigned char* left = <const volatile unsigned char*>a
    cdef const volatile unsigned char* right = <const volatile unsigned char*>b
    cdef unsigned char difference = 0
    cdef Py_ssize_t i
    for i in range(length):
        difference |= left[i] ^ right[i]
    return difference == 0
