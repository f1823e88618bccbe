"""C interface of the chain of chunk signatures."""

from s3proxy._fast.libcrypto cimport SHA256_HEX, Sha256State
from s3proxy._fast.signing_key cimport SigningKey


cdef class ChunkChain:
    cdef SigningKey key
    cdef bytes context              # amz_date, scope and the line ends after them
    cdef const char* context_start  # of these bytes, for who has no GIL
    cdef Py_ssize_t context_length
    cdef char previous[SHA256_HEX]  # signature of the chunk before, or the seed

    # Finishes `hash`, of the payload or of the canonical trailer, and writes SHA256_HEX digits.
    cdef void sign(self, bint trailer, Sha256State* hash, char* signature) noexcept nogil
    cdef void advance(self, const char* signature) noexcept nogil


cdef ChunkChain make_chain(SigningKey key, str seed_signature, str amz_date, str scope)
