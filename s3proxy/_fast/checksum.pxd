"""C interface of the checksums."""

from libc.stdint cimport uint64_t

from s3proxy._fast.libcrypto cimport Md5State, Sha1State, Sha256State

cdef enum:
    CRC_COUNT = 3
    DIGEST_BYTES_MAX = 32
    # Half of a usual first-level cache: the rest is for tables and the stack.
    BLOCK_BYTES = 16384


cdef class Hasher:
    cdef unsigned int chosen            # bit i: ALGORITHMS[i] is computed
    cdef Md5State md5
    cdef Sha1State sha1
    cdef Sha256State sha256
    cdef uint64_t crcs[CRC_COUNT]

    cdef void take(self, const unsigned char* data, Py_ssize_t length) noexcept nogil
    cdef void take_block(self, const unsigned char* data, size_t length) noexcept nogil
    cdef Py_ssize_t finish(self, int algorithm, unsigned char* digest) noexcept nogil
