"""The chunked transfer coding, decoded where it lies (RFC 9112, section 7.1)."""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.string cimport memmove

from s3proxy._fast.octets cimport octets_hex, octets_is_text, octets_token

from s3proxy._fast.errors import HeadError

# Framing is overhead a sender can make us read without end; nothing that sends extensions or
# trailers in earnest comes near these.
cdef int SIZE_DIGITS_MAX = 16
cdef int EXTENSION_BYTES_MAX = 256                  # on one chunk
cdef int EXTENSIONS_BYTES_MAX = 65536               # on all of them
cdef int TRAILER_BYTES_MAX = 8192
cdef long long CHUNK_BYTES_MAX = 0x7FFFFFFFFFFFFFFF

cdef enum State:
    SIZE                        # chunk-size: 1*HEXDIG
    EXTENSION_NAME              # after ";"
    EXTENSION_VALUE             # after "="
    EXTENSION_QUOTED            # inside a quoted-string
    EXTENSION_END               # after it
    SIZE_LF
    DATA
    DATA_CR
    DATA_LF
    TRAILER                     # at the start of a line of the trailer section
    TRAILER_NAME
    TRAILER_VALUE
    TRAILER_LF
    LAST_LF
    FINISHED
    FAILED


cdef bint is_token(unsigned char byte) noexcept nogil:
    cdef char text = <char>byte
    return octets_token(&text, 1) == 1


cdef bint is_text(unsigned char byte) noexcept nogil:
    cdef char text = <char>byte
    return octets_is_text(&text, 1)


cdef class ChunkedDecoder:
    """One byte of framing at a time; payload in runs."""

    cdef State state
    cdef long long remaining        # payload bytes of the chunk to come; or its size so far
    cdef int digits                 # of the chunk-size
    cdef int part_bytes             # of the extension name or value being read
    cdef int extension_bytes        # on this chunk
    cdef int extensions_bytes       # on all chunks
    cdef int trailer_bytes

    @property
    def finished(self):
        return self.state == FINISHED

    def feed(self, buffer, Py_ssize_t length, /):
        cdef Py_buffer view
        PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
        try:
            if not 0 <= length <= view.len:
                raise ValueError("length is not within the buffer")
            return self.decode(<char*>view.buf, length)
        finally:
            PyBuffer_Release(&view)

    cdef tuple decode(self, char* data, Py_ssize_t length):
        cdef Py_ssize_t read = 0, written = 0, run
        while read < length and self.state != FINISHED:
            if self.state != DATA:
                self.state = self.step(<unsigned char>data[read])
                if self.state == FAILED:
                    raise HeadError(400, "malformed or too much chunked framing")
                read += 1
                continue
            run = length - read
            if run > self.remaining:
                run = <Py_ssize_t>self.remaining
            if written != read:
                memmove(data + written, data + read, <size_t>run)
            written += run
            read += run
            self.remaining -= run
            if self.remaining == 0:
                self.state = DATA_CR
        return written, read

    cdef State step(self, unsigned char byte) noexcept nogil:
        """The state after one byte of framing."""
        if self.state == SIZE:
            return self.step_size(byte)
        elif self.state <= EXTENSION_END:
            return self.step_extension(byte)
        elif self.state == SIZE_LF:
            return self.end_size(byte)
        elif self.state == DATA_CR:
            return DATA_LF if byte == c"\r" else FAILED
        elif self.state == DATA_LF:
            return SIZE if byte == c"\n" else FAILED
        elif self.state <= LAST_LF:
            return self.step_trailer(byte)
        return FAILED

    cdef State step_size(self, unsigned char byte) noexcept nogil:
        cdef int digit = octets_hex(byte)
        if digit >= 0:
            if self.digits == SIZE_DIGITS_MAX or self.remaining > CHUNK_BYTES_MAX >> 4:
                return FAILED
            self.digits += 1
            self.remaining = self.remaining * 16 + digit
            return SIZE
        if self.digits == 0:
            return FAILED
        if byte == c"\r":
            return SIZE_LF
        if byte == c";":
            self.part_bytes = 0
            return EXTENSION_NAME
        return FAILED

    cdef State end_size(self, unsigned char byte) noexcept nogil:
        if byte != c"\n":
            return FAILED
        self.digits = 0
        self.extension_bytes = 0
        return DATA if self.remaining else TRAILER

    cdef State step_extension(self, unsigned char byte) noexcept nogil:
        """`;name`, `;name=token` or `;name="text"`, without spaces or escapes."""
        self.extension_bytes += 1
        self.extensions_bytes += 1
        if self.extension_bytes > EXTENSION_BYTES_MAX:
            return FAILED
        if self.extensions_bytes > EXTENSIONS_BYTES_MAX:
            return FAILED
        if self.state == EXTENSION_QUOTED:
            if byte == c'"':
                return EXTENSION_END
            return EXTENSION_QUOTED if is_text(byte) and byte != c"\\" else FAILED
        if self.state != EXTENSION_END:
            if is_token(byte):
                self.part_bytes += 1
                return self.state
            if self.part_bytes == 0:
                if self.state == EXTENSION_VALUE and byte == c'"':
                    return EXTENSION_QUOTED
                return FAILED
            if self.state == EXTENSION_NAME and byte == c"=":
                self.part_bytes = 0
                return EXTENSION_VALUE
        if byte == c"\r":
            return SIZE_LF
        self.part_bytes = 0
        return EXTENSION_NAME if byte == c";" else FAILED

    cdef State step_trailer(self, unsigned char byte) noexcept nogil:
        self.trailer_bytes += 1
        if self.trailer_bytes > TRAILER_BYTES_MAX:
            return FAILED
        if self.state == TRAILER:
            if byte == c"\r":
                return LAST_LF
            return TRAILER_NAME if is_token(byte) else FAILED
        if self.state == TRAILER_NAME:
            if byte == c":":
                return TRAILER_VALUE
            return TRAILER_NAME if is_token(byte) else FAILED
        if self.state == TRAILER_VALUE:
            if byte == c"\r":
                return TRAILER_LF
            return TRAILER_VALUE if is_text(byte) else FAILED
        if byte != c"\n":
            return FAILED
        return FINISHED if self.state == LAST_LF else TRAILER
