"""C interface of the aws-chunked decoder."""

from s3proxy._fast.checksum cimport Hasher
from s3proxy._fast.chunk_signing cimport ChunkChain
from s3proxy._fast.libcrypto cimport SHA256_HEX, Sha256State

cdef enum:
    # "ffffffffffffffff;chunk-signature=" and 64 digits need 98.
    LINE_BYTES_MAX = 1024
    TRAILER_BYTES_MAX = 16384


cdef class Decoder:
    cdef readonly bint finished
    cdef readonly dict trailers
    cdef int state
    cdef bint signed
    cdef bint with_trailer
    cdef bint hashed                # there is a hasher
    cdef Hasher hasher              # takes all payload; or None
    cdef ChunkChain chain           # of signed forms
    cdef char claimed[SHA256_HEX]   # signature in the present chunk's header
    cdef Sha256State hash           # of the present chunk, or of the canonical trailer
    cdef long long decoded_length
    cdef long long announced        # sum of the chunk sizes so far
    cdef long long left             # bytes of the present chunk still to come
    cdef long long last_size        # size of the chunk before; -1: there was none
    cdef Py_ssize_t trailer_bytes
    cdef int line_length
    cdef char line[LINE_BYTES_MAX]
    cdef object failure

    cdef Py_ssize_t decode(self, char* data, Py_ssize_t length) except -1 nogil
    cdef Py_ssize_t take_line(self, const char* data, Py_ssize_t length) except -1 nogil
    cdef Py_ssize_t take_payload(self, char* data, Py_ssize_t length, char* target) except -1 nogil
    cdef int end_line(self) except -1 nogil
    cdef int start_chunk(self) except -1 nogil
    cdef int check_size(self, long long size) except -1 nogil
    cdef int end_chunk(self) except -1 nogil
    cdef int end_trailer_line(self, Py_ssize_t length) except -1 with gil
    cdef int take_trailer(self, bytes line) except -1
    cdef int check_trailer(self, bytes signature) except -1
    cdef int check_signature(self, bint trailer, const char* claimed) except -1 nogil
