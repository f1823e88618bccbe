"""Timestamps of SigV4, without the locale and without objects.

Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
"""


cdef int read_digits(const char* text, int count) noexcept nogil:
    # -1: something else than a digit.
    cdef int i, value = 0
    for i in range(count):
        if not 48 <= text[i] <= 57:
            return -1
        value = 10 * value + text[i] - 48
    return value


cdef void write_digits(int value, int count, char* text) noexcept nogil:
    cdef int i
    for i in range(count - 1, -1, -1):
        text[i] = <char>(48 + value % 10)
        value //= 10


cdef long long days_from_civil(int year, int month, int day) noexcept nogil:
    # Years begin in March, so that the leap day is the last; eras have 400 years; `year` > 0.
    cdef int shifted = year - (month <= 2)
    cdef int era = shifted // 400
    cdef int year_of_era = shifted - era * 400
    cdef int day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    cdef int day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return <long long>era * 146097 + day_of_era - 719468


cdef int days_in(int year, int month) noexcept nogil:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31


cdef long long read_date(const char* text) noexcept nogil:
    cdef int year = read_digits(text, 4)
    cdef int month = read_digits(text + 4, 2)
    cdef int day = read_digits(text + 6, 2)
    if year < 1970 or not 1 <= month <= 12 or not 1 <= day <= days_in(year, month):
        return -1
    return days_from_civil(year, month, day)


cdef bint is_date(const char* text, Py_ssize_t length) noexcept nogil:
    return length == DATE_BYTES and read_date(text) >= 0


cdef long long read_stamp(const char* text, Py_ssize_t length) noexcept nogil:
    cdef long long days
    cdef int hour, minute, second
    if length != STAMP_BYTES or text[8] != 84 or text[15] != 90:
        return -1
    days = read_date(text)
    hour = read_digits(text + 9, 2)
    minute = read_digits(text + 11, 2)
    second = read_digits(text + 13, 2)
    if days < 0 or not 0 <= hour <= 23 or not 0 <= minute <= 59 or not 0 <= second <= 59:
        return -1
    return days * 86400 + hour * 3600 + minute * 60 + second


cdef void write_stamp(long long seconds, char* text) noexcept nogil:
    cdef long long days = seconds // 86400
    cdef int clock = <int>(seconds - days * 86400)
    cdef long long shifted = days + 719468
    cdef int era = <int>(shifted // 146097)
    cdef int day_of_era = <int>(shifted - <long long>era * 146097)
    cdef int year_of_era = (
        day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096
    ) // 365
    cdef int day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    cdef int month = (5 * day_of_year + 2) // 153
    cdef int day = day_of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    write_digits(year_of_era + era * 400 + (month <= 2), 4, text)
    write_digits(month, 2, text + 4)
    write_digits(day, 2, text + 6)
    text[8] = 84
    write_digits(clock // 3600, 2, text + 9)
    write_digits(clock // 60 % 60, 2, text + 11)
    write_digits(clock % 60, 2, text + 13)
    text[15] = 90
