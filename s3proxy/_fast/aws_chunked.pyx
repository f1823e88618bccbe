"""The aws-chunked content coding: decoding in place with every signature checked, and framing.

    body    = *chunk last [trailer] CRLF
    chunk   = size [";chunk-signature=" 64HEX] CRLF size*OCTET CRLF
    last    = "0" [";chunk-signature=" 64HEX] CRLF
    trailer = *( name ":" value CRLF ) [ "x-amz-trailer-signature:" 64HEX CRLF ]

Each state reads either a line or payload:

    HEADER -> PAYLOAD -> PAYLOAD_END -> HEADER ... -> TRAILER or LAST_LINE -> END

A buffer is decoded without the GIL from its first chunk to its last: to take the GIL again between
chunks would mean to queue for it behind the event loop, for 16,000 chunks in a GiB.

In the signed form with a trailer minio-go ends the trailer's lines with LF and puts an empty line
before their signature; Amazon S3 takes that, and so does this decoder.

Source: AWS, "Signature Calculations for the Authorization Header: Transferring Payload in Multiple
Chunks", "... Including Trailing Headers".
"""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.string cimport memchr, memcmp, memcpy, memmove

from s3proxy._fast.checksum cimport BLOCK_BYTES, Hasher
from s3proxy._fast.chunk_signing cimport make_chain
from s3proxy._fast.libcrypto cimport (
    GIL_RELEASE_BYTES_MIN,
    SHA256_HEX,
    equal_in_constant_time,
    sha256_start,
    sha256_update,
)
from s3proxy._fast.octets cimport octets_hex
from s3proxy._fast.signing_key cimport SigningKey

from s3proxy._fast.chunk_signing import ChunkSigner
from s3proxy._fast.errors import ChunkError

__all__ = ("ChunkSigner", "Decoder", "chunk_head", "encoded_length", "end")

cdef enum:
    HEADER, PAYLOAD, PAYLOAD_END, TRAILER, LAST_LINE, END

cdef enum:
    # AWS: only the last chunk may be smaller. It also bounds what framing costs per byte.
    CHUNK_BYTES_MIN = 8192
    SIZE_DIGITS_MAX = 16
    EXTENSION_BYTES = 17

cdef str TRAILER_SIGNATURE = "x-amz-trailer-signature"


cdef object incomplete(str message="The request body terminated unexpectedly"):
    return ChunkError("IncompleteBody", message)


cdef object wrong_length():
    return incomplete(
        "You did not provide the number of bytes specified by the "
        "x-amz-decoded-content-length HTTP header"
    )


cdef object malformed_trailer():
    return ChunkError(
        "MalformedTrailerError",
        "The request contained trailing data that was not well-formed or did not conform to our "
        "published schema.",
    )


cdef object mismatch():
    return ChunkError(
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
    )


cdef class Decoder:

    def __init__(
        self,
        long long decoded_length,
        *,
        SigningKey signing_key,
        str seed_signature not None,
        str amz_date not None,
        str scope not None,
        bint trailer,
        bint signed,
        Hasher hasher=None,
    ):
        if decoded_length < 0:
            raise ValueError("a body cannot have a negative length")
        self.decoded_length = decoded_length
        self.signed = signed
        self.with_trailer = trailer
        self.trailers = {}
        self.last_size = -1
        self.state = HEADER
        self.hasher = hasher
        self.hashed = hasher is not None
        if signed:
            self.chain = make_chain(signing_key, seed_signature, amz_date, scope)

    def feed(self, buffer, Py_ssize_t length, /):
        cdef Py_buffer view
        cdef Py_ssize_t decoded
        if self.failure is not None:
            raise self.failure
        PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
        try:
            if not 0 <= length <= view.len:
                raise ValueError("the length is outside of the buffer")
            if length < GIL_RELEASE_BYTES_MIN:
                return self.decode(<char*>view.buf, length)
            with nogil:
                decoded = self.decode(<char*>view.buf, length)
            return decoded
        except ChunkError as error:
            self.failure = error
            raise
        finally:
            PyBuffer_Release(&view)

    def finish(self):
        if self.failure is not None:
            raise self.failure
        if self.state == LAST_LINE and self.line_length == 0:
            # Some clients leave the last empty line out; all that matters has been checked.
            self.state = END
            self.finished = True
        if self.state != END:
            self.failure = incomplete()
            raise self.failure

    cdef Py_ssize_t decode(self, char* data, Py_ssize_t length) except -1 nogil:
        cdef char* target = data
        cdef Py_ssize_t position = 0
        cdef Py_ssize_t taken
        while position < length:
            if self.state == PAYLOAD:
                taken = self.take_payload(data + position, length - position, target)
                target += taken
            else:
                taken = self.take_line(data + position, length - position)
            position += taken
        return target - data

    cdef Py_ssize_t take_line(self, const char* data, Py_ssize_t length) except -1 nogil:
        cdef const char* end = <const char*>memchr(data, 10, length)
        cdef Py_ssize_t taken = length if end == NULL else end - data + 1
        if self.state == END:
            with gil:
                raise incomplete("The request body goes on after its last chunk")
        if self.line_length + taken > LINE_BYTES_MAX:
            if self.state == TRAILER:
                with gil:
                    raise malformed_trailer()
            with gil:
                raise incomplete("A chunk header is too long")
        memcpy(self.line + self.line_length, data, taken)
        self.line_length += <int>taken
        if end != NULL:
            self.end_line()
            self.line_length = 0
        return taken

    cdef Py_ssize_t take_payload(
        self, char* data, Py_ssize_t length, char* target
    ) except -1 nogil:
        cdef Py_ssize_t taken = length if length < self.left else <Py_ssize_t>self.left
        cdef Py_ssize_t position = 0
        cdef Py_ssize_t piece
        # In blocks, so that the second digest and the move find the bytes in the first-level cache.
        while position < taken:
            piece = min(taken - position, <Py_ssize_t>BLOCK_BYTES)
            if self.signed:
                sha256_update(&self.hash, data + position, piece)
            if self.hashed:
                self.hasher.take(<const unsigned char*>data + position, piece)
            memmove(target + position, data + position, piece)
            position += piece
        self.left -= taken
        if self.left == 0:
            self.end_chunk()
            self.state = PAYLOAD_END
        return taken

    cdef int end_line(self) except -1 nogil:
        cdef Py_ssize_t length = self.line_length - 1
        if self.state == TRAILER:
            return self.end_trailer_line(length)
        if length == 0 or self.line[length - 1] != 13:
            with gil:
                raise incomplete("A chunk header must end with CRLF")
        self.line_length = <int>(length - 1)
        if self.state == HEADER:
            return self.start_chunk()
        if self.line_length != 0:
            with gil:
                raise incomplete("A chunk must end with CRLF")
        if self.state == LAST_LINE:
            self.state = END
            self.finished = True
        else:
            self.state = HEADER
        return 0

    cdef int start_chunk(self) except -1 nogil:
        cdef long long size = 0
        cdef int position = 0
        cdef int digit
        while position < self.line_length:
            digit = octets_hex(<unsigned char>self.line[position])
            if digit < 0:
                break
            if position == SIZE_DIGITS_MAX or size >> 58:
                with gil:
                    raise wrong_length()
            size = size << 4 | digit
            position += 1
        if position == 0:
            with gil:
                raise incomplete("A chunk header must begin with its size in hexadecimal digits")
        if self.signed:
            if self.line_length - position != EXTENSION_BYTES + SHA256_HEX or memcmp(
                self.line + position, b";chunk-signature=", EXTENSION_BYTES
            ) != 0:
                with gil:
                    raise incomplete("A chunk header must end with its signature")
            memcpy(self.claimed, self.line + position + EXTENSION_BYTES, SHA256_HEX)
            sha256_start(&self.hash)
        elif position < self.line_length and self.line[position] != 59:
            with gil:
                raise incomplete("A chunk header must hold its size alone")
        self.check_size(size)
        self.left = size
        if size:
            self.state = PAYLOAD
            return 0
        self.end_chunk()
        sha256_start(&self.hash)
        self.state = TRAILER if self.with_trailer else LAST_LINE
        return 0

    cdef int check_size(self, long long size) except -1 nogil:
        if size == 0:
            if self.announced != self.decoded_length:
                with gil:
                    raise wrong_length()
            return 0
        if size > self.decoded_length - self.announced:
            with gil:
                raise wrong_length()
        if 0 <= self.last_size < CHUNK_BYTES_MIN:
            with gil:
                raise ChunkError(
                    "InvalidChunkSizeError",
                    "Only the last chunk is allowed to have a size less than 8192 bytes",
                )
        self.announced += size
        self.last_size = size
        return 0

    cdef int end_chunk(self) except -1 nogil:
        if self.signed:
            self.check_signature(False, self.claimed)
        return 0

    cdef int check_signature(self, bint trailer, const char* claimed) except -1 nogil:
        cdef char signature[SHA256_HEX]
        self.chain.sign(trailer, &self.hash, signature)
        if not equal_in_constant_time(signature, claimed, SHA256_HEX):
            with gil:
                raise mismatch()
        self.chain.advance(signature)
        return 0

    cdef int end_trailer_line(self, Py_ssize_t length) except -1 with gil:
        self.trailer_bytes += length + 1
        if self.trailer_bytes > TRAILER_BYTES_MAX:
            raise malformed_trailer()
        if length and self.line[length - 1] == 13:
            length -= 1
        if length:
            return self.take_trailer(self.line[:length])
        if not self.signed:
            self.state = END
            self.finished = True
        elif not self.trailers:
            raise malformed_trailer()
        return 0

    cdef int take_trailer(self, bytes line) except -1:
        cdef bytes canonical
        name, colon, value = line.decode("latin-1").partition(":")
        name = name.lower()
        value = value.strip(" \t")
        if not colon or not name or name != name.strip() or name in self.trailers:
            raise malformed_trailer()
        if name == TRAILER_SIGNATURE:
            return self.check_trailer(value.encode("latin-1"))
        canonical = f"{name}:{value}\n".encode("latin-1")
        sha256_update(&self.hash, <const char*>canonical, len(canonical))
        self.trailers[name] = value
        return 0

    cdef int check_trailer(self, bytes signature) except -1:
        if not self.signed:
            raise malformed_trailer()
        if len(signature) != SHA256_HEX:
            raise mismatch()
        self.check_signature(True, <const char*>signature)
        self.state = LAST_LINE
        return 0


def chunk_head(long long size, /):
    if size < 1:
        raise ValueError("a chunk has a byte at least; `end` writes the last one")
    return b"%x\r\n" % size


def end(str trailer_name not None="", str value not None="", /):
    if not trailer_name:
        return b"0\r\n\r\n"
    if any(byte in "\r\n\0" for byte in trailer_name + value):
        raise ValueError("a trailer cannot hold a line end")
    return b"0\r\n" + f"{trailer_name}:{value}".encode("latin-1") + b"\r\n\r\n"


def encoded_length(
    long long size,
    long long chunk_bytes,
    str trailer_name not None="",
    Py_ssize_t value_bytes=0,
    /,
    *,
    bint signed=False,
):
    cdef long long whole, rest, length
    cdef Py_ssize_t extension_bytes = EXTENSION_BYTES + SHA256_HEX if signed else 0
    if size < 0 or chunk_bytes < 1:
        raise ValueError("a body has no negative size, and a chunk has a byte at least")
    whole = size // chunk_bytes
    rest = size - whole * chunk_bytes
    length = whole * (len(b"%x" % chunk_bytes) + extension_bytes + 4 + chunk_bytes)
    if rest:
        length += len(b"%x" % rest) + extension_bytes + 4 + rest
    if trailer_name:
        length += len(trailer_name) + 1 + value_bytes + 2
        if signed:
            length += len(TRAILER_SIGNATURE) + 1 + SHA256_HEX + 2
    return length + extension_bytes + 5
