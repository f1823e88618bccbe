"""The multipart/form-data body of a browser's upload: fields, then one file.

`FormReader` takes bytes until the head of the file's part is complete; `FileEnd` then finds where
the file ends. Both are fed any split of the body and keep no more than their bounds. What is
ambiguous is refused: a field twice, a boundary with something behind it, encodings of a part.

Source: RFC 7578, RFC 2046 §5.1.1; Amazon S3 API Reference, "POST Object".
"""

import re
from typing import Final

import msgspec

from s3proxy.s3.errors import S3Error, invalid_argument
from s3proxy.s3.uri import percent_decode

# S3: of all that comes before the bytes of the file, and here of what comes behind them.
FIELDS_BYTES_MAX: Final = 20 * 1024
_FRAMING_BYTES_MAX: Final = 256  # a delimiter with padding; beside the bound, so that it is exact
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_PARAMETER: Final = re.compile(r';[ \t]*([A-Za-z*]+)=(?:"((?:[^"\\]|\\"|\\)*)"|([^;" \t]*))[ \t]*')
_FILE: Final = "file"
_END: Final = b"--"
_IGNORED: Final = "x-ignore-"
_MALFORMED: Final = "MalformedPOSTRequest"


class FormHead(msgspec.Struct):
    """A form up to the first byte of its file.

    Attributes:
        fields: by lower-case name, in order.
        filename: of the file; "" where none is given.
        rest: bytes of the body that came behind it.
    """

    fields: dict[str, str]
    filename: str
    rest: bytes


def parse_boundary(content_type: str) -> bytes:
    """The boundary of a multipart/form-data body.

    Raises:
        S3Error: PreconditionFailed (another type), MalformedPOSTRequest (no proper boundary).
    """
    kind, semicolon, _ = content_type.partition(";")
    if kind.strip().lower() != "multipart/form-data":
        condition = "Bucket POST must be of the enclosure-type multipart/form-data"
        raise S3Error("PreconditionFailed", Condition=condition)
    boundary = _parameters(semicolon + content_type[len(kind) + 1 :]).get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise S3Error(_MALFORMED)
    return boundary.encode()


class FormReader:
    """Reads the fields.

    Args:
        boundary: without its dashes.
    """

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"\r\n--" + boundary
        # As if a line had just ended: the first delimiter needs none before it.
        self._data = bytearray(b"\r\n")
        self._searched = 0
        self._in_head = False
        self._name = ""
        self._content = 0
        self._form: FormHead | None = None
        self._fields: dict[str, str] = {}

    def feed(self, data: bytes) -> FormHead | None:
        """Take more of the body; the form once the file begins, else None: feed more.

        Raises:
            S3Error: MalformedPOSTRequest, MaxPostPreDataLengthExceededError, InvalidArgument (no
                file, or a field twice).
        """
        self._data += data
        while self._form is None and (self._take_head() if self._in_head else self._take_line()):
            pass
        if self._form is None:
            self._check_size(len(self._data) - _FRAMING_BYTES_MAX)
        return self._form

    def _take_line(self) -> bool:
        """Take the next delimiter, and so the content before it; False: it has not come whole."""
        data = self._data
        at = data.find(self._delimiter, self._searched)
        if at < 0:
            self._searched = max(self._searched, len(data) - len(self._delimiter))
            return False
        self._searched = at
        stop = at + len(self._delimiter)
        if data[stop : stop + 2] == _END:
            raise invalid_argument("POST requires exactly one file upload per request.", _FILE, "0")
        line = data.find(b"\r\n", stop, stop + _FRAMING_BYTES_MAX)
        if line < 0 and len(data) - stop < _FRAMING_BYTES_MAX:
            return False
        if line < 0 or data[stop:line].strip(b" \t"):
            raise S3Error(_MALFORMED)
        if self._name:
            self._check_size(at)
            self._keep(self._name, bytes(data[self._content : at]))
        self._searched = self._content = line  # a part without headers ends with this line's end
        self._in_head = True
        return True

    def _take_head(self) -> bool:
        """Take the head of a part; False: it has not come whole."""
        data = self._data
        stop = data.find(b"\r\n\r\n", self._searched)
        if stop < 0:
            self._searched = max(self._searched, len(data) - 3)
            return False
        self._name, filename = _parse_part_head(bytes(data[self._content + 2 : stop]))
        self._searched = self._content = stop + 4
        self._in_head = False
        if self._name == _FILE:
            self._check_size(self._content)
            self._form = FormHead(self._fields, filename, bytes(data[self._content :]))
        return True

    def _keep(self, name: str, value: bytes) -> None:
        if name in self._fields and not name.startswith(_IGNORED):
            raise invalid_argument("The form has a field more than once.", name, "")
        try:
            self._fields[name] = value.decode()
        except UnicodeDecodeError:
            raise S3Error(_MALFORMED) from None

    def _check_size(self, count: int) -> None:
        if count > FIELDS_BYTES_MAX:
            raise S3Error("MaxPostPreDataLengthExceededError")


class FileEnd:
    """Finds the end of the file; holds back at most a delimiter's bytes."""

    def __init__(self, boundary: bytes) -> None:
        self._boundary = boundary
        self._delimiter = b"\r\n--" + boundary
        self._held = b""
        self._tail = bytearray()
        self._ended = False

    def feed(self, data: bytes) -> bytes:
        """Take more of the body; the bytes that belong to the file for certain.

        Raises:
            S3Error: MalformedPOSTRequest, more than fields follows.
        """
        if self._ended:
            self._keep(data)
            return b""
        data = self._held + data
        at = data.find(self._delimiter)
        self._ended = at >= 0
        if self._ended:
            self._keep(data[at + len(self._delimiter) :])
        else:
            at = max(len(data) - len(self._delimiter) + 1, 0)
            self._held = data[at:]
        return data[:at]

    def finish(self) -> None:
        """Check that the form came to its end, and had one file.

        Raises:
            S3Error: MalformedPOSTRequest, IncorrectNumberOfFilesInPostRequest.
        """
        if not self._ended:
            raise S3Error(_MALFORMED)
        if self._tail[:2] == _END:
            return
        reader = FormReader(self._boundary)
        try:
            second = reader.feed(b"--" + self._boundary + bytes(self._tail))
        except S3Error as error:
            if error.fields.get("ArgumentName") == _FILE:
                return  # fields and no further file: they are ignored
            raise
        raise S3Error("IncorrectNumberOfFilesInPostRequest" if second else _MALFORMED)

    def _keep(self, data: bytes) -> None:
        if self._tail[:2] == _END:
            return  # the epilogue
        self._tail += data
        if self._tail[:2] != _END and len(self._tail) > FIELDS_BYTES_MAX + _FRAMING_BYTES_MAX:
            raise S3Error(_MALFORMED)


_DISPOSITION: Final = "content-disposition"
_PLAIN_ENCODINGS: Final = frozenset({"7bit", "8bit", "binary"})


def _parse_part_head(text: bytes) -> tuple[str, str]:
    """Name (lower-case) and file name of a part."""
    found: dict[str, str] | None = None
    try:
        lines = text.decode().split("\r\n")
    except UnicodeDecodeError:
        raise S3Error(_MALFORMED) from None
    for line in lines:
        name, colon, value = line.partition(":")
        lower = name.lower()
        if not colon or not name or name != name.strip() or (lower == _DISPOSITION and found):
            raise S3Error(_MALFORMED)
        if lower == _DISPOSITION:
            found = _disposition(value)
        if lower == "content-transfer-encoding" and value.strip().lower() not in _PLAIN_ENCODINGS:
            raise S3Error(_MALFORMED)
    if not found or not found.get("name"):
        raise S3Error(_MALFORMED)
    filename = found.get("filename", "") or _extended(found.get("filename*", ""))
    return found["name"].lower(), filename


def _disposition(value: str) -> dict[str, str]:
    kind, semicolon, _ = value.partition(";")
    if kind.strip().lower() != "form-data":
        raise S3Error(_MALFORMED)
    return _parameters(semicolon + value[len(kind) + 1 :])


def _parameters(text: str) -> dict[str, str]:
    """`; name=value; name="value"`; of backslashes only those before a quote are escapes."""
    parameters: dict[str, str] = {}
    text = text.rstrip(" \t")
    position = 0
    while position < len(text):
        match = _PARAMETER.match(text, position)
        if match is None or match[1].lower() in parameters:
            raise S3Error(_MALFORMED)
        quoted = match[2]
        value = match[3] if quoted is None else quoted.replace('\\"', '"')
        parameters[match[1].lower()] = value
        position = match.end()
    return parameters


def _extended(value: str) -> str:
    """A file name as RFC 5987 spells it; "" for another charset than UTF-8."""
    charset, _, rest = value.partition("'")
    if charset.lower() != "utf-8":
        return ""
    try:
        return percent_decode(rest.partition("'")[2].encode())
    except S3Error:
        raise S3Error(_MALFORMED) from None
