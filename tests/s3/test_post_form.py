import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3.post_form import FIELDS_BYTES_MAX, FileEnd, FormReader, parse_boundary
from tests.s3.forms import BOUNDARY, form, part, upload
from tests.s3.heads import raises_s3

Read = tuple[dict[str, str], str, bytes]


def read(body: bytes, cuts: list[int] | None = None, boundary: str = BOUNDARY) -> Read:
    """Fields, file name and file of a body that comes in the pieces between `cuts`."""
    marks = [0, *sorted({min(cut, len(body)) for cut in cuts or []}), len(body)]
    pieces = [body[start:stop] for start, stop in itertools.pairwise(marks)]
    reader, end = FormReader(boundary.encode()), FileEnd(boundary.encode())
    head = None
    data = b""
    for piece in pieces:
        if head is not None:
            data += end.feed(piece)
        elif (head := reader.feed(piece)) is not None:
            data += end.feed(head.rest)
    assert head is not None
    end.finish()
    return head.fields, head.filename, data


BODY = upload({"key": "a/${filename}", "Content-Type": "text/plain"}, b"\r\n--data\r\n-", name="x")
WANTED = ({"key": "a/${filename}", "content-type": "text/plain"}, "f.txt", b"\r\n--data\r\n-")


def test_form_whole_is_read() -> None:
    assert read(BODY) == WANTED


def test_form_byte_by_byte_is_read() -> None:
    assert read(BODY, list(range(len(BODY)))) == WANTED


def test_form_with_a_preamble_and_an_epilogue_is_read() -> None:
    body = b"preamble\r\n" + upload(WANTED[0], WANTED[2]) + b"epilogue" * 10_000
    assert read(body, [3, 50_000]) == WANTED


@given(
    st.dictionaries(
        st.sampled_from(["key", "acl", "x-amz-meta-a", "policy"]), st.text(max_size=30)
    ),
    st.lists(st.sampled_from([b"\r\n--", b"\r\n", b"-", BOUNDARY.encode()[:-1], b"\0", b"xyz"])),
    st.lists(st.integers(min_value=0, max_value=1500), max_size=12),
)
def test_form_of_any_split_gives_what_was_put_in(
    fields: dict[str, str], data: list[bytes], cuts: list[int]
) -> None:
    content = b"".join(data)
    found = read(upload(fields, content), cuts)
    assert found == (fields, "f.txt", content)


@pytest.mark.parametrize("end", [b"\r\n", b"", b"\r\nepilogue", b" \r\n"])
def test_form_may_end_with_or_without_a_line_end(end: bytes) -> None:
    assert read(form(part("file", b"x"), end=end)) == ({}, "", b"x")


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('name="file"; filename="a \\"b\\" c"', 'a "b" c'),
        ('name="file"; filename="C:\\dir\\a.txt"', "C:\\dir\\a.txt"),
        ('filename="ä.txt"; name=file', "ä.txt"),
        ("name=\"file\"; filename*=UTF-8''%C3%A4%20b.txt", "ä b.txt"),
        ("name=\"file\"; filename*=latin-1''x", ""),
        ('name="FILE"; filename=""', ""),
    ],
)
def test_form_gives_the_name_of_the_file(disposition: str, name: str) -> None:
    head = f"Content-Disposition: form-data; {disposition}\r\nContent-Type: a/b\r\n\r\n"
    assert read(form(head.encode() + b"x"))[1:] == (name, b"x")


def test_form_fields_of_twenty_kibibytes_are_taken_and_more_is_not() -> None:
    frame = len(upload({"key": ""}, b"")) - len(form()) + 2  # the virtual line end at its start
    assert read(upload({"key": "k" * (FIELDS_BYTES_MAX - frame)}, b"x" * 100_000))[2][:1] == b"x"
    with raises_s3("MaxPostPreDataLengthExceededError"):
        read(upload({"key": "k" * (FIELDS_BYTES_MAX - frame + 3)}, b"x"))
    with raises_s3("MaxPostPreDataLengthExceededError"):
        FormReader(BOUNDARY.encode()).feed(b"x" * 100_000)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (form(part("key", "k")), "InvalidArgument"),
        (form(), "InvalidArgument"),
        (form(part("key", "k"), part("KEY", "l"), part("file", b"")), "InvalidArgument"),
        (form(part("file", b"1"), part("file", b"2")), "IncorrectNumberOfFilesInPostRequest"),
        (form(part("file", b"1"))[:-6], "MalformedPOSTRequest"),
        (form(part("file", b"1"), part("a", "b"))[:-6], "MalformedPOSTRequest"),
        (form(part("file", b"1"), part("a", "b" * 40_000)), "MalformedPOSTRequest"),
        (form(b"\r\nheaderless", part("file", b"")), "MalformedPOSTRequest"),
        (form(b"Content-Type: a/b\r\n\r\n", part("file", b"")), "MalformedPOSTRequest"),
        (form(b"Content-Disposition: form-data\r\n\r\n"), "MalformedPOSTRequest"),
        (form(b'Content-Disposition: attachment; name="a"\r\n\r\n'), "MalformedPOSTRequest"),
        (form(b'Content-Disposition: form-data; name="a\r\n\r\n'), "MalformedPOSTRequest"),
        (
            form(b'Content-Disposition: form-data; name="a"; name="b"\r\n\r\n'),
            "MalformedPOSTRequest",
        ),
        (form(part("a", b"\xff"), part("file", b"")), "MalformedPOSTRequest"),
        (form(b"Content-Disposition : form-data; name=a\r\n\r\nx"), "MalformedPOSTRequest"),
        (
            form(part("a", "x", more="Content-Transfer-Encoding: base64\r\n")),
            "MalformedPOSTRequest",
        ),
        (form(part("a", f"x\r\n--{BOUNDARY}y\r\nz")), "MalformedPOSTRequest"),
        (form(part("file", f"x\r\n--{BOUNDARY}y\r\nz")), "MalformedPOSTRequest"),
        (b"--" + BOUNDARY.encode() + b" " * 400 + b"\r\n", "MalformedPOSTRequest"),
    ],
)
def test_form_that_is_hostile_or_cut_is_refused(body: bytes, code: str) -> None:
    with raises_s3(code):
        read(body)
    with raises_s3(code):
        read(body, list(range(len(body))))


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data; charset=utf-8; Boundary="a b:c"', b"a b:c"),
        ("multipart/form-data;boundary=" + "x" * 70, b"x" * 70),
    ],
)
def test_boundary_of_a_content_type_is_found(content_type: str, boundary: bytes) -> None:
    assert parse_boundary(content_type) == boundary


@pytest.mark.parametrize(
    ("content_type", "code"),
    [
        ("", "PreconditionFailed"),
        ("application/x-www-form-urlencoded", "PreconditionFailed"),
        ("multipart/form-data", "MalformedPOSTRequest"),
        ("multipart/form-data; boundary=", "MalformedPOSTRequest"),
        ("multipart/form-data; boundary=" + "x" * 71, "MalformedPOSTRequest"),
        ('multipart/form-data; boundary="x "', "MalformedPOSTRequest"),
        ("multipart/form-data; boundary=a; boundary=b", "MalformedPOSTRequest"),
        ('multipart/form-data; boundary="a\tb"', "MalformedPOSTRequest"),
    ],
)
def test_boundary_of_another_body_or_none_is_refused(content_type: str, code: str) -> None:
    with raises_s3(code):
        parse_boundary(content_type)
