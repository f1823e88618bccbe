"""C interface of the digests: plain structs, copied with `=`, and calls that need no GIL."""

cdef enum:
    MD5_BYTES = 16
    SHA1_BYTES = 20
    SHA256_BYTES = 32
    SHA256_HEX = 64
    # Below this, giving the GIL away and taking it back costs more than others gain.
    GIL_RELEASE_BYTES_MIN = 4096


# The documented layouts of MD5_CTX, SHA_CTX and SHA256_CTX; libcrypto keeps no pointer to them.
cdef struct Md5State:
    unsigned int words[4]
    unsigned int bits_low, bits_high
    unsigned int block[16]
    unsigned int used

cdef struct Sha1State:
    unsigned int words[5]
    unsigned int bits_low, bits_high
    unsigned int block[16]
    unsigned int used

cdef struct Sha256State:
    unsigned int words[8]
    unsigned int bits_low, bits_high
    unsigned int block[16]
    unsigned int used, digest_length

cdef struct HmacState:
    # A key that is ready to sign: SHA-256 after the padded inner, and after the padded outer key.
    Sha256State inner
    Sha256State outer


# None of these can fail once the import has found libcrypto.
cdef void md5_start(Md5State* state) noexcept nogil
cdef void md5_update(Md5State* state, const void* data, size_t length) noexcept nogil
cdef void md5_finish(Md5State* state, unsigned char* digest) noexcept nogil
cdef void sha1_start(Sha1State* state) noexcept nogil
cdef void sha1_update(Sha1State* state, const void* data, size_t length) noexcept nogil
cdef void sha1_finish(Sha1State* state, unsigned char* digest) noexcept nogil
cdef void sha256_start(Sha256State* state) noexcept nogil
cdef void sha256_update(Sha256State* state, const void* data, size_t length) noexcept nogil
cdef void sha256_finish(Sha256State* state, unsigned char* digest) noexcept nogil

cdef void hmac_set_key(HmacState* hmac, const unsigned char* key, size_t length) noexcept nogil
# `running` starts as a copy of `hmac.inner` and has taken the message with sha256_update.
cdef void hmac_finish(
    const HmacState* hmac, Sha256State* running, unsigned char* digest
) noexcept nogil
cdef void hmac_sign(
    const HmacState* hmac, const void* data, size_t length, unsigned char* digest
) noexcept nogil

cdef void write_hex(const unsigned char* digest, Py_ssize_t length, char* text) noexcept nogil
# THE constant-time comparison: its time depends on `length` alone.
cdef bint equal_in_constant_time(const void* a, const void* b, Py_ssize_t length) noexcept nogil
