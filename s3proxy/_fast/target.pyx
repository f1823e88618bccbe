"""The path of an S3 request in path style: bucket and key, as nearly every request names them."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.string cimport memchr

from s3proxy._fast.octets cimport octets_hex

cdef enum:
    BUCKET_BYTES_MIN = 3
    BUCKET_BYTES_MAX = 255
    KEY_BYTES_MAX = 1024

cdef unsigned char bucket_byte[256]


cdef int prepare_tables() except -1:
    cdef int i
    for i in range(256):
        bucket_byte[i] = 0
    for byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-":
        bucket_byte[<unsigned char>byte] = 1
    return 0


prepare_tables()


cdef Py_ssize_t decode(const unsigned char* text, Py_ssize_t length, char* target) noexcept nogil:
    # `target` has room for KEY_BYTES_MAX. Returns the bytes written; -1: too many, or a bad escape.
    cdef Py_ssize_t i = 0, written = 0
    while i < length:
        if written == KEY_BYTES_MAX:
            return -1
        if text[i] != 37:
            target[written] = <char>text[i]
            i += 1
        elif i + 2 < length and octets_hex(text[i + 1]) >= 0 and octets_hex(text[i + 2]) >= 0:
            target[written] = <char>(octets_hex(text[i + 1]) << 4 | octets_hex(text[i + 2]))
            i += 3
        else:
            return -1
        written += 1
    return written


def split_path(bytes path not None, /):
    cdef const char* text = PyBytes_AS_STRING(path)
    cdef Py_ssize_t length = PyBytes_GET_SIZE(path)
    cdef Py_ssize_t stop = 1, key_length
    cdef char key[KEY_BYTES_MAX]
    cdef const char* source
    if length == 0 or text[0] != 47:
        return None
    while stop < length and bucket_byte[<unsigned char>text[stop]]:
        stop += 1
    if not BUCKET_BYTES_MIN < stop <= BUCKET_BYTES_MAX + 1:
        return None
    if stop + 1 >= length or text[stop] != 47:
        return None
    source = text + stop + 1
    key_length = length - stop - 1
    if memchr(source, 37, key_length) != NULL:
        key_length = decode(<const unsigned char*>source, key_length, key)
        source = key
    if not 0 < key_length <= KEY_BYTES_MAX:
        return None
    try:
        return text[1:stop].decode("ascii"), PyUnicode_DecodeUTF8(source, key_length, NULL)
    except UnicodeDecodeError:
        return None
