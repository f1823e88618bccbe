import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy._fast.errors import HeadError
from s3proxy._fast.http1 import ChunkedDecoder
from tests._fast.feeding import decode_chunked

GOOD = {
    "empty": (b"0\r\n\r\n", b""),
    "one": (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    "upper-hex": (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    "lower-hex": (b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    "leading-zeros": (b"0000000000000001\r\nx\r\n000\r\n\r\n", b"x"),
    "crlf-payload": (b"4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n"),
    "two": (b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n", b"abcde"),
    "extension": (b"1;a\r\nx\r\n0\r\n\r\n", b"x"),
    "extensions": (b'1;a=b;c="d e;";f\r\nx\r\n0;last\r\n\r\n', b"x"),
    "extension-empty-quoted": (b'1;a=""\r\nx\r\n0\r\n\r\n', b"x"),
    "trailers": (b"1\r\nx\r\n0\r\nx-amz-checksum-crc32: AAAA==\r\nb:\r\n\r\n", b"x"),
}

BAD = {
    "no-size": b"\r\nx\r\n",
    "space-before-size": b" 1\r\nx\r\n",
    "space-after-size": b"1 \r\nx\r\n",
    "tab-after-size": b"1\t\r\nx\r\n",
    "plus": b"+1\r\nx\r\n",
    "minus": b"-1\r\nx\r\n",
    "prefix": b"0x1\r\nx\r\n",
    "underscore": b"1_0\r\nx\r\n",
    "not-hex": b"g\r\nx\r\n",
    "colon": b":\r\n",
    "at": b"@\r\n",
    "grave": b"`\r\n",
    "digits-17": b"00000000000000001\r\nx\r\n",
    "over-63-bits": b"8000000000000000\r\n",
    "all-ones": b"ffffffffffffffff\r\n",
    "bare-lf": b"1\nx\r\n",
    "bare-cr": b"1\rx\r\n",
    "cr-cr": b"1\r\r\nx\r\n",
    "payload-longer": b"1\r\nxy\r\n",
    "payload-ends-lf": b"1\r\nx\n0\r\n\r\n",
    "payload-ends-cr": b"1\r\nx\r0\r\n\r\n",
    "extension-empty": b"1;\r\nx\r\n",
    "extension-unnamed": b"1;=a\r\nx\r\n",
    "extension-no-value": b"1;a=\r\nx\r\n",
    "extension-space": b"1; a\r\nx\r\n",
    "extension-lf": b"1;a\nx\r\n",
    "extension-control": b"1;a\x00\r\nx\r\n",
    "extension-escape": b'1;a="\\""\r\nx\r\n',
    "extension-quoted-cr": b'1;a="\r\n"\r\nx\r\n',
    "extension-quoted-more": b'1;a="b"c\r\nx\r\n',
    "extension-twice-valued": b"1;a=b=c\r\nx\r\n",
    "extension-long": b"1;" + b"a" * 300 + b"\r\nx\r\n",
    "extensions-long": (b"1;" + b"a" * 250 + b"\r\nx\r\n") * 300,
    "trailer-folded": b"0\r\na: b\r\n c\r\n\r\n",
    "trailer-no-colon": b"0\r\na\r\n\r\n",
    "trailer-unnamed": b"0\r\n: a\r\n\r\n",
    "trailer-space-colon": b"0\r\na : b\r\n\r\n",
    "trailer-lf": b"0\r\na: b\n\r\n",
    "trailer-control": b"0\r\na: \x00\r\n\r\n",
    "trailer-long": b"0\r\na: " + b"b" * 9000 + b"\r\n\r\n",
    "trailers-many": b"0\r\n" + b"a: b\r\n" * 2000 + b"\r\n",
    "end-lf": b"0\r\n\n",
    "end-cr": b"0\r\n\rX",
}


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("split_bytes", [1 << 20, 1, 2, 3])
@pytest.mark.parametrize("following", [b"", b"GET / HTTP/1.1\r\n\r\n"])
def test_chunked_decoder_good_body_decoded(name: str, split_bytes: int, following: bytes) -> None:
    body, payload = GOOD[name]

    assert decode_chunked(body + following, split_bytes) == (payload, following, True)


@pytest.mark.parametrize("name", GOOD)
def test_chunked_decoder_cut_body_is_never_finished(name: str) -> None:
    body, _ = GOOD[name]

    assert not any(decode_chunked(body[:end])[2] for end in range(len(body)))


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("split_bytes", [1 << 20, 1])
def test_chunked_decoder_bad_framing_refused(name: str, split_bytes: int) -> None:
    with pytest.raises(HeadError) as caught:
        decode_chunked(BAD[name], split_bytes)
    assert caught.value.status == 400


def test_chunked_decoder_dead_after_a_refusal() -> None:
    decoder = ChunkedDecoder()

    for data in (b"x", b"0\r\n\r\n"):
        with pytest.raises(HeadError):
            decoder.feed(bytearray(data), len(data))
    assert not decoder.finished


def test_chunked_decoder_after_the_end_takes_nothing() -> None:
    decoder = ChunkedDecoder()
    decoder.feed(bytearray(b"0\r\n\r\n"), 5)

    assert decoder.feed(bytearray(b"more"), 4) == (0, 0)
    assert decoder.finished


def test_chunked_decoder_leaves_what_lies_beyond_length() -> None:
    buffer = bytearray(b"3\r\nabcdef")

    assert ChunkedDecoder().feed(memoryview(buffer), 5) == (2, 5)
    assert buffer == b"ab\r\nabcdef"[:2] + b"\nabcdef"


@pytest.mark.parametrize("length", [-1, 6])
def test_chunked_decoder_length_beyond_the_buffer_refused(length: int) -> None:
    with pytest.raises(ValueError):
        ChunkedDecoder().feed(bytearray(5), length)


def test_chunked_decoder_read_only_buffer_refused() -> None:
    with pytest.raises(BufferError):
        ChunkedDecoder().feed(memoryview(b"0\r\n\r\n"), 5)


def test_chunked_decoder_largest_size_is_not_an_overflow() -> None:
    body = bytearray(b"7fffffffffffffff\r\nabc")

    assert ChunkedDecoder().feed(body, len(body)) == (3, len(body))


@given(
    chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    splits=st.lists(st.integers(1, 30), max_size=20),
    following=st.binary(max_size=10),
)
def test_chunked_decoder_any_split_gives_the_payload(chunks, splits, following) -> None:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    decoder, payload, rest = ChunkedDecoder(), b"", bytearray(body + following)
    for split in [*splits, len(rest)]:
        piece, rest = rest[:split], rest[split:]
        decoded, consumed = decoder.feed(piece, len(piece))
        payload += piece[:decoded]
        if decoder.finished:
            rest = piece[consumed:] + rest
            break

    assert decoder.finished
    assert payload == b"".join(chunks)
    assert rest == following


def decode_with_h11(body: bytes) -> tuple[bytes, bool] | None:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(
        b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    )
    payload = b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Data):
                payload += event.data
            elif isinstance(event, h11.EndOfMessage) or event in (h11.NEED_DATA, h11.PAUSED):
                return payload, isinstance(event, h11.EndOfMessage)
    except h11.RemoteProtocolError:
        return None


@given(
    st.lists(
        st.sampled_from(
            [
                b"0",
                b"1",
                b"3",
                b"a",
                b"F",
                b"\r\n",
                b"\r",
                b"\n",
                b";",
                b"=",
                b'"',
                b" ",
                b":",
                b"x",
                b"abc",
            ]
        ),
        max_size=14,
    ).map(b"".join)
)
def test_chunked_decoder_never_takes_what_h11_refuses(body: bytes) -> None:
    try:
        payload, _, finished = decode_chunked(body)
    except HeadError:
        return
    oracle = decode_with_h11(body)
    if finished:
        assert oracle == (payload, True)
    elif oracle is not None:
        assert not oracle[1]


@given(st.binary(max_size=200), st.integers(1, 50))
def test_chunked_decoder_random_bytes_end_in_a_result_or_head_error(body, split_bytes) -> None:
    try:
        payload, rest, _ = decode_chunked(body, split_bytes)
    except HeadError:
        return
    assert len(payload) + len(rest) <= len(body)
