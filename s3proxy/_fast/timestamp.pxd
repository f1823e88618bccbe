"""C interface of the timestamps of SigV4: YYYYMMDDTHHMMSSZ, always UTC."""

cdef enum:
    STAMP_BYTES = 16
    DATE_BYTES = 8


# Seconds since 1970; -1: `text` is not such a timestamp, or one before 1970.
cdef long long read_stamp(const char* text, Py_ssize_t length) noexcept nogil
# Whether `text` is YYYYMMDD and a day of the calendar.
cdef bint is_date(const char* text, Py_ssize_t length) noexcept nogil
# Writes STAMP_BYTES; `seconds` is 0 up to the year 9999.
cdef void write_stamp(long long seconds, char* text) noexcept nogil
