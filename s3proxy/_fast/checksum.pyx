"""The digests of S3: MD5, SHA-1, SHA-256 by libcrypto; CRC32, CRC32C, CRC64NVME by folding.

One `Hasher` computes several digests in one walk over the bytes, block by block, so that the second
digest finds the block in the first-level cache.

Source: AWS, "Checking object integrity"; RFC 3720 (CRC32C); NVMe base specification (CRC64).
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint64_t

from s3proxy._fast.libcrypto cimport (
    GIL_RELEASE_BYTES_MIN,
    MD5_BYTES,
    SHA1_BYTES,
    SHA256_BYTES,
    Md5State,
    Sha1State,
    Sha256State,
    md5_finish,
    md5_start,
    md5_update,
    sha1_finish,
    sha1_start,
    sha1_update,
    sha256_finish,
    sha256_start,
    sha256_update,
)

cdef extern from "crc.h" nogil:
    ctypedef struct crc_model:
        int width
        uint64_t ones
    int crc_level
    void crc_detect()
    void crc_prepare(crc_model* model, int width, uint64_t polynomial)
    uint64_t crc_update(
        const crc_model* model, int level, uint64_t crc, const void* data, size_t length
    )
    uint64_t crc_join(const crc_model* model, uint64_t first, uint64_t second, uint64_t length)

ALGORITHMS = ("md5", "sha1", "sha256", "crc32", "crc32c", "crc64nvme")

cdef enum:
    MD5, SHA1, SHA256, CRC_FIRST

cdef crc_model crc_models[CRC_COUNT]

crc_detect()
crc_prepare(&crc_models[0], 32, 0xEDB88320ULL)
crc_prepare(&crc_models[1], 32, 0x82F63B78ULL)
crc_prepare(&crc_models[2], 64, 0x9A6C9329AC4BC9B5ULL)


cdef int find_algorithm(object name) except -1:
    cdef int i = 0
    for known in ALGORITHMS:
        if name == known:
            return i
        i += 1
    raise ValueError(f"unknown checksum algorithm {name!r}; known: {', '.join(ALGORITHMS)}")


cdef int find_crc(object name) except -1:
    cdef int algorithm = find_algorithm(name)
    if algorithm < CRC_FIRST:
        raise ValueError(f"{name} is not a CRC")
    return algorithm - CRC_FIRST


cdef void write_big_endian(uint64_t value, int length, unsigned char* target) noexcept nogil:
    cdef int i
    for i in range(length):
        target[i] = <unsigned char>(value >> (8 * (length - 1 - i)))


cdef class Hasher:

    def __init__(self, algorithms):
        cdef int i
        self.chosen = 0
        for name in algorithms:
            self.chosen |= 1 << find_algorithm(name)
        md5_start(&self.md5)
        sha1_start(&self.sha1)
        sha256_start(&self.sha256)
        for i in range(CRC_COUNT):
            self.crcs[i] = crc_models[i].ones

    def update(self, buffer, /):
        cdef Py_buffer view
        PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE)
        try:
            if view.len >= GIL_RELEASE_BYTES_MIN:
                with nogil:
                    self.take(<const unsigned char*>view.buf, view.len)
            else:
                self.take(<const unsigned char*>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    def digest(self, algorithm):
        cdef unsigned char result[DIGEST_BYTES_MAX]
        cdef int index = find_algorithm(algorithm)
        if not self.chosen >> index & 1:
            raise ValueError(f"{algorithm} was not asked for when the hasher was made")
        cdef Py_ssize_t length = self.finish(index, result)
        return (<char*>result)[:length]

    def copy(self):
        cdef Hasher other = Hasher.__new__(Hasher)
        cdef int i
        other.chosen = self.chosen
        other.md5 = self.md5
        other.sha1 = self.sha1
        other.sha256 = self.sha256
        for i in range(CRC_COUNT):
            other.crcs[i] = self.crcs[i]
        return other

    cdef void take(self, const unsigned char* data, Py_ssize_t length) noexcept nogil:
        cdef Py_ssize_t piece
        if self.chosen & (self.chosen - 1) == 0:
            self.take_block(data, length)
            return
        while length > 0:
            piece = length if length < BLOCK_BYTES else BLOCK_BYTES
            self.take_block(data, piece)
            data += piece
            length -= piece

    cdef void take_block(self, const unsigned char* data, size_t length) noexcept nogil:
        cdef int i
        if self.chosen & 1 << MD5:
            md5_update(&self.md5, data, length)
        if self.chosen & 1 << SHA1:
            sha1_update(&self.sha1, data, length)
        if self.chosen & 1 << SHA256:
            sha256_update(&self.sha256, data, length)
        for i in range(CRC_COUNT):
            if self.chosen >> (CRC_FIRST + i) & 1:
                self.crcs[i] = crc_update(&crc_models[i], crc_level, self.crcs[i], data, length)

    cdef Py_ssize_t finish(self, int algorithm, unsigned char* digest) noexcept nogil:
        # Works on copies, so that more bytes may follow.
        cdef Md5State md5
        cdef Sha1State sha1
        cdef Sha256State sha256
        cdef crc_model* model
        if algorithm == MD5:
            md5 = self.md5
            md5_finish(&md5, digest)
            return MD5_BYTES
        if algorithm == SHA1:
            sha1 = self.sha1
            sha1_finish(&sha1, digest)
            return SHA1_BYTES
        if algorithm == SHA256:
            sha256 = self.sha256
            sha256_finish(&sha256, digest)
            return SHA256_BYTES
        model = &crc_models[algorithm - CRC_FIRST]
        write_big_endian(
            self.crcs[algorithm - CRC_FIRST] ^ model.ones, model.width // 8, digest
        )
        return model.width // 8


def digest(algorithm, buffer, /):
    cdef Hasher hasher = Hasher((algorithm,))
    hasher.update(buffer)
    return hasher.digest(algorithm)


def crc_combine(algorithm, first, second, second_length):
    cdef int index = find_crc(algorithm)
    cdef crc_model* model = &crc_models[index]
    cdef unsigned char result[8]
    cdef int width = model.width // 8
    if len(first) != width or len(second) != width:
        raise ValueError(f"a {algorithm} has {width} bytes")
    if second_length < 0:
        raise ValueError("a message cannot have a negative length")
    write_big_endian(
        crc_join(
            model,
            int.from_bytes(first, "big"),
            int.from_bytes(second, "big"),
            second_length,
        ),
        width,
        result,
    )
    return (<char*>result)[:width]


def crc_with_level(algorithm, buffer, level, /):
    cdef int index = find_crc(algorithm)
    cdef crc_model* model = &crc_models[index]
    cdef Py_buffer view
    cdef uint64_t crc
    cdef unsigned char result[8]
    cdef int chosen = min(level, crc_level)
    PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE)
    crc = crc_update(model, chosen, model.ones, view.buf, view.len) ^ model.ones
    PyBuffer_Release(&view)
    write_big_endian(crc, model.width // 8, result)
    return (<char*>result)[:model.width // 8]
