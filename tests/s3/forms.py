"""Forms as browsers send them."""

BOUNDARY = "----WebKitFormBoundary7MA4YWxk"


def part(name: str, value: bytes | str, *, filename: str | None = None, more: str = "") -> bytes:
    named = f'name="{name}"' + ("" if filename is None else f'; filename="{filename}"')
    data = value.encode() if isinstance(value, str) else value
    return f"Content-Disposition: form-data; {named}\r\n{more}\r\n".encode() + data


def form(*parts: bytes, boundary: str = BOUNDARY, end: bytes = b"\r\n") -> bytes:
    delimiter = f"--{boundary}".encode()
    lines = b"".join(delimiter + b"\r\n" + content + b"\r\n" for content in parts)
    return lines + delimiter + b"--" + end


def upload(fields: dict[str, str], data: bytes, *, filename: str = "f.txt", **more: str) -> bytes:
    """A form of fields, the file, and `more` fields behind it."""
    before = [part(name, value) for name, value in fields.items()]
    behind = [part(name, value) for name, value in more.items()]
    return form(*before, part("file", data, filename=filename), *behind)
