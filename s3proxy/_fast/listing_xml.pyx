"""Rows of a ListBucketResult: objects to XML in one pass, without a Python string for each element.

Texts are escaped byte by byte in UTF-8: what XML 1.0 forbids leaves as a numeric reference, C1
controls are the bytes C2 80 to C2 9F, U+FFFE and U+FFFF are EF BF BE and EF BF BF.

Source: AWS, "ListObjectsV2", response syntax; days to dates as in Howard Hinnant,
"chrono-Compatible Low-Level Date Algorithms", civil_from_days.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.string cimport memcpy

cdef enum:
    ROW_BYTES_MAX = 512      # of all tags of a row, its time and its size
    REFERENCE_FACTOR = 6     # '"' becomes &quot;, no byte becomes more
    NS_PER_MS = 1_000_000
    MS_PER_DAY = 86_400_000

cdef const char* HEX = b"0123456789abcdef"
cdef const char* HEX_UPPER = b"0123456789ABCDEF"


cdef class _Rows:
    cdef char* data
    cdef Py_ssize_t length
    cdef Py_ssize_t capacity

    def __dealloc__(self):
        PyMem_Free(self.data)

    cdef int reserve(self, Py_ssize_t size) except -1:
        cdef Py_ssize_t wanted = self.length + size
        cdef void* grown
        if wanted <= self.capacity:
            return 0
        wanted += wanted // 2
        grown = PyMem_Realloc(self.data, wanted)
        if grown == NULL:
            raise MemoryError
        self.data = <char*>grown
        self.capacity = wanted
        return 0

    # The rest writes into what was reserved.

    cdef void raw(self, const char* text, Py_ssize_t size) noexcept:
        memcpy(self.data + self.length, text, size)
        self.length += size

    cdef void byte(self, unsigned char value) noexcept:
        self.data[self.length] = <char>value
        self.length += 1

    cdef void digits(self, int value, int count) noexcept:
        cdef int position
        for position in range(count - 1, -1, -1):
            self.data[self.length + position] = <char>(48 + value % 10)
            value //= 10
        self.length += count

    cdef void code(self, unsigned char value) noexcept:
        # A reference to U+0000 to U+009F.
        self.raw(b"&#x", 3)
        if value > 15:
            self.byte(HEX[value >> 4])
        self.byte(HEX[value & 15])
        self.byte(59)

    cdef void special(self, unsigned char value) noexcept:
        # An ASCII byte that cannot stand for itself.
        if value == 38:
            self.raw(b"&amp;", 5)
        elif value == 60:
            self.raw(b"&lt;", 4)
        elif value == 62:
            self.raw(b"&gt;", 4)
        elif value == 34:
            self.raw(b"&quot;", 6)
        elif value == 13:
            self.raw(b"&#13;", 5)
        elif value == 9 or value == 10:
            self.byte(value)
        else:
            self.code(value)

    cdef void escaped(self, const unsigned char* text, Py_ssize_t size) noexcept:
        cdef Py_ssize_t position = 0
        cdef unsigned char value
        while position < size:
            value = text[position]
            position += 1
            if value < 32 or value == 127 or value in (34, 38, 60, 62):
                self.special(value)
            elif value == 0xC2 and position < size and text[position] < 0xA0:
                self.code(text[position])
                position += 1
            elif (
                value == 0xEF and position + 1 < size
                and text[position] == 0xBF and text[position + 1] >= 0xBE
            ):
                self.raw(b"&#xfffe;" if text[position + 1] == 0xBE else b"&#xffff;", 8)
                position += 2
            else:
                self.byte(value)

    cdef void url_encoded(self, const unsigned char* text, Py_ssize_t size) noexcept:
        cdef Py_ssize_t position
        cdef unsigned char value
        for position in range(size):
            value = text[position]
            if (
                97 <= value <= 122 or 47 <= value <= 57 or 65 <= value <= 90
                or value == 45 or value == 46 or value == 95 or value == 126
            ):
                self.byte(value)
            else:
                self.byte(37)
                self.byte(HEX_UPPER[value >> 4])
                self.byte(HEX_UPPER[value & 15])

    cdef void time(self, long long ns) noexcept:
        # 1994-11-06T08:49:37.000Z, milliseconds truncated downwards.
        cdef long long ms = floor_divide(ns, NS_PER_MS)
        cdef long long days = floor_divide(ms, MS_PER_DAY)
        cdef int left = <int>(ms - days * MS_PER_DAY)
        # Days are counted from 0000-03-01; 64 bits of ns keep the year within 1677 and 2262.
        cdef int shifted = <int>days + 719468
        cdef int era = shifted // 146097
        cdef int day_of_era = shifted - era * 146097
        cdef int year_of_era = (
            day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096
        ) // 365
        cdef int day_of_year = day_of_era - (
            365 * year_of_era + year_of_era // 4 - year_of_era // 100
        )
        cdef int month = (5 * day_of_year + 2) // 153
        cdef int day = day_of_year - (153 * month + 2) // 5 + 1
        month = month + 3 if month < 10 else month - 9
        self.digits(year_of_era + era * 400 + (1 if month <= 2 else 0), 4)
        self.byte(45)
        self.digits(month, 2)
        self.byte(45)
        self.digits(day, 2)
        self.byte(84)
        self.digits(left // 3_600_000, 2)
        self.byte(58)
        self.digits(left // 60_000 % 60, 2)
        self.byte(58)
        self.digits(left // 1000 % 60, 2)
        self.byte(46)
        self.digits(left % 1000, 3)
        self.byte(90)

    cdef int text(self, str text, bint url=False) except -1:
        cdef Py_ssize_t size
        cdef const char* data = PyUnicode_AsUTF8AndSize(text, &size)
        self.reserve(size * REFERENCE_FACTOR + ROW_BYTES_MAX)
        if url:
            self.url_encoded(<const unsigned char*>data, size)
        else:
            self.escaped(<const unsigned char*>data, size)
        return 0

    cdef int row(self, entry, bytes owner, bint url) except -1:
        cdef long long modified_ns = entry.modified_ns
        cdef str algorithm = entry.checksum_algorithm
        self.reserve(ROW_BYTES_MAX)
        self.raw(b"<Contents><Key>", 15)
        self.text(entry.key, url)
        self.raw(b"</Key><LastModified>", 20)
        self.time(modified_ns)
        self.raw(b"</LastModified><ETag>&quot;", 27)
        self.text(entry.etag)
        self.raw(b"&quot;</ETag>", 13)
        if algorithm:
            self.checksum(algorithm.upper(), entry.checksum_type)
        self.raw(b"<Size>", 6)
        self.text(str(entry.size))
        self.raw(b"</Size>", 7)
        self.reserve(PyBytes_GET_SIZE(owner) + ROW_BYTES_MAX)
        self.raw(PyBytes_AS_STRING(owner), PyBytes_GET_SIZE(owner))
        self.raw(b"<StorageClass>", 14)
        self.text(entry.storage_class)
        self.raw(b"</StorageClass></Contents>", 26)
        return 0

    cdef int checksum(self, str algorithm, str kind) except -1:
        self.raw(b"<ChecksumAlgorithm>", 19)
        self.text(algorithm)
        self.raw(b"</ChecksumAlgorithm>", 20)
        if kind:
            self.raw(b"<ChecksumType>", 14)
            self.text(kind)
            self.raw(b"</ChecksumType>", 15)
        return 0


cdef long long floor_divide(long long value, long long by) noexcept:
    # Round downwards, which C's division does not for what is negative.
    cdef long long quotient = value // by
    return quotient - 1 if value % by < 0 else quotient


def contents(objects, bytes owner not None, bint url_encoded, /):
    cdef _Rows rows = _Rows()
    for entry in objects:
        rows.row(entry, owner, url_encoded)
    return PyBytes_FromStringAndSize(rows.data, rows.length)
