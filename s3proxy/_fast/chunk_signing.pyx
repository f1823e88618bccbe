"""The chain of chunk signatures in a signed aws-chunked body, and the framing that continues one.

Each signature covers the one before it; the first covers the request's own, the seed.

Source: AWS, "Signature Calculations ...: Transferring Payload in Multiple Chunks", "... Including
Trailing Headers".
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memcpy

from s3proxy._fast.libcrypto cimport (
    GIL_RELEASE_BYTES_MIN,
    SHA256_BYTES,
    SHA256_HEX,
    Sha256State,
    hmac_finish,
    sha256_finish,
    sha256_start,
    sha256_update,
    write_hex,
)
from s3proxy._fast.signing_key cimport SigningKey

cdef enum:
    ALGORITHM_LINE_BYTES = 25       # of both

cdef const char* EMPTY_SHA256_LINE = (
    b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
)


cdef class ChunkChain:

    cdef void sign(self, bint trailer, Sha256State* hash, char* signature) noexcept nogil:
        cdef Sha256State running = self.key.hmac.inner
        cdef unsigned char digest[SHA256_BYTES]
        if trailer:
            sha256_update(&running, b"AWS4-HMAC-SHA256-TRAILER\n", ALGORITHM_LINE_BYTES)
        else:
            sha256_update(&running, b"AWS4-HMAC-SHA256-PAYLOAD\n", ALGORITHM_LINE_BYTES)
        sha256_update(&running, self.context_start, self.context_length)
        sha256_update(&running, self.previous, SHA256_HEX)
        sha256_update(&running, b"\n", 1)
        if not trailer:
            sha256_update(&running, EMPTY_SHA256_LINE, SHA256_HEX + 1)
        sha256_finish(hash, digest)
        write_hex(digest, SHA256_BYTES, signature)
        sha256_update(&running, signature, SHA256_HEX)
        hmac_finish(&self.key.hmac, &running, digest)
        write_hex(digest, SHA256_BYTES, signature)

    cdef void advance(self, const char* signature) noexcept nogil:
        memcpy(self.previous, signature, SHA256_HEX)


cdef ChunkChain make_chain(SigningKey key, str seed_signature, str amz_date, str scope):
    cdef ChunkChain chain = ChunkChain.__new__(ChunkChain)
    cdef bytes seed = seed_signature.encode("ascii")
    if key is None or len(seed) != SHA256_HEX:
        raise ValueError("a signed body needs a signing key and a seed signature of 64 digits")
    chain.key = key
    chain.context = f"{amz_date}\n{scope}\n".encode("latin-1")
    chain.context_start = PyBytes_AS_STRING(chain.context)
    chain.context_length = PyBytes_GET_SIZE(chain.context)
    chain.advance(PyBytes_AS_STRING(seed))
    return chain


cdef class ChunkSigner:
    cdef ChunkChain chain

    def __init__(
        self,
        SigningKey signing_key not None,
        *,
        str seed_signature not None,
        str amz_date not None,
        str scope not None,
    ):
        self.chain = make_chain(signing_key, seed_signature, amz_date, scope)

    def chunk_head(self, payload, /):
        cdef Py_buffer view
        cdef Sha256State hash
        sha256_start(&hash)
        PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
        try:
            if view.len == 0:
                raise ValueError("a chunk has a byte at least; `end` writes the last one")
            if view.len >= GIL_RELEASE_BYTES_MIN:
                with nogil:
                    sha256_update(&hash, view.buf, view.len)
            else:
                sha256_update(&hash, view.buf, view.len)
            return self.head(view.len, &hash)
        finally:
            PyBuffer_Release(&view)

    cdef bytes head(self, Py_ssize_t size, Sha256State* hash):
        cdef char signature[SHA256_HEX]
        self.chain.sign(False, hash, signature)
        self.chain.advance(signature)
        return b"%x;chunk-signature=%b\r\n" % (size, signature[:SHA256_HEX])

    def end(self, str trailer_name not None="", str value not None="", /):
        cdef Sha256State hash
        cdef bytes last, line
        cdef char signature[SHA256_HEX]
        if any(byte in "\r\n\0" for byte in trailer_name + value):
            raise ValueError("a trailer cannot hold a line end")
        line = f"{trailer_name.lower()}:{value.strip()}".encode("latin-1")
        sha256_start(&hash)
        last = self.head(0, &hash)
        if not trailer_name:
            return last + b"\r\n"
        sha256_start(&hash)
        sha256_update(&hash, PyBytes_AS_STRING(line), PyBytes_GET_SIZE(line))
        sha256_update(&hash, b"\n", 1)
        self.chain.sign(True, &hash, signature)
        return b"%b%b\r\nx-amz-trailer-signature:%b\r\n\r\n" % (
            last, line, signature[:SHA256_HEX]
        )
