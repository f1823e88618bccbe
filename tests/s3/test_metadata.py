import pytest

from s3proxy.s3.metadata import (
    parse_directive,
    parse_metadata,
    response_headers,
    response_overrides,
)
from tests.s3.heads import head_of, make_head, raises_s3


def test_parse_metadata_of_a_bare_put_is_octets() -> None:
    metadata = parse_metadata(make_head("PUT"))
    assert metadata.system == {"content-type": "binary/octet-stream"}
    assert metadata.user == {}
    assert metadata.storage_class == "STANDARD"


def test_parse_metadata_keeps_system_and_user_headers() -> None:
    metadata = parse_metadata(
        make_head(
            "PUT",
            content_type="text/plain",
            cache_control="no-cache",
            content_disposition='attachment; filename="a"',
            content_encoding="gzip",
            content_language="de",
            expires="Thu, 01 Dec 1994 16:00:00 GMT",
            x_amz_meta_Color="Red",
            x_amz_meta_empty="",
            x_amz_storage_class="STANDARD",
        )
    )
    assert metadata.system == {
        "cache-control": "no-cache",
        "content-disposition": 'attachment; filename="a"',
        "content-encoding": "gzip",
        "content-language": "de",
        "content-type": "text/plain",
        "expires": "Thu, 01 Dec 1994 16:00:00 GMT",
    }
    assert metadata.user == {"color": "Red", "empty": ""}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("aws-chunked", None),
        ("AWS-Chunked", None),
        ("aws-chunked,gzip", "gzip"),
        ("gzip, aws-chunked", "gzip"),
        ("gzip, br", "gzip, br"),
        ("deflate, gzip,aws-chunked", "deflate, gzip"),
        ("aws-chunked, deflate, gzip", "deflate, gzip"),
        ("aws-chunked, ", None),
        ("gzip", "gzip"),
    ],
)
def test_parse_metadata_drops_the_transfer_framing(sent: str, kept: str | None) -> None:
    metadata = parse_metadata(make_head("PUT", content_encoding=sent))
    assert metadata.system.get("content-encoding") == kept


def test_parse_metadata_keeps_the_bytes_of_utf8_values() -> None:
    value = "größe".encode().decode("latin-1")
    metadata = parse_metadata(head_of("PUT", "/b/k", [("Host", "h"), ("x-amz-meta-a", value)]))
    assert metadata.user == {"a": value}


def test_parse_metadata_of_2_kib_is_taken() -> None:
    head = make_head("PUT", x_amz_meta_a="v" * 2047)
    assert len(parse_metadata(head).user["a"]) == 2047


def test_parse_metadata_over_2_kib_is_too_large() -> None:
    with raises_s3("MetadataTooLarge") as caught:
        parse_metadata(make_head("PUT", x_amz_meta_a="v" * 1024, x_amz_meta_b="v" * 1023))
    assert caught.value.fields == {"Size": "2049", "MaxSizeAllowed": "2048"}


@pytest.mark.parametrize("storage_class", ["GLACIER", "STANDARD_IA", "standard", "x"])
def test_parse_metadata_of_another_storage_class_is_refused(storage_class: str) -> None:
    with raises_s3("InvalidStorageClass") as caught:
        parse_metadata(make_head("PUT", x_amz_storage_class=storage_class))
    assert caught.value.fields == {"StorageClassRequested": storage_class}


@pytest.mark.parametrize(
    ("headers", "directive"),
    [
        ({}, "COPY"),
        ({"x_amz_metadata_directive": "COPY"}, "COPY"),
        ({"x_amz_metadata_directive": "REPLACE"}, "REPLACE"),
    ],
)
def test_parse_directive_defaults_to_copy(headers: dict[str, str], directive: str) -> None:
    assert parse_directive(make_head("PUT", **headers)) == directive


def test_parse_directive_of_another_value_is_invalid() -> None:
    with raises_s3("InvalidArgument"):
        parse_directive(make_head("PUT", x_amz_metadata_directive="MERGE"))


def test_response_headers_spell_the_names() -> None:
    headers = response_headers(
        {"content-type": "text/plain", "cache-control": "no-cache"}, {"color": "Red"}
    )
    assert headers == [
        ("Content-Type", "text/plain"),
        ("Cache-Control", "no-cache"),
        ("x-amz-meta-color", "Red"),
    ]


def test_response_headers_without_a_type_are_octets() -> None:
    assert response_headers({}, {}) == [("Content-Type", "binary/octet-stream")]


def test_response_headers_let_overrides_win() -> None:
    headers = response_headers(
        {"content-type": "text/plain"}, {}, {"content-type": "text/html", "expires": "0"}
    )
    assert headers == [("Content-Type", "text/html"), ("Expires", "0")]


def test_response_overrides_reads_the_parameters() -> None:
    query = {
        "response-content-type": "text/html",
        "response-content-disposition": "attachment; filename*=ä",
        "response-cache-control": "",
        "response-unknown": "x",
        "prefix": "x",
    }
    assert response_overrides(query) == {
        "content-type": "text/html",
        "content-disposition": "attachment; filename*=Ã¤",
    }


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\x00", "\x7f"])
def test_response_overrides_with_control_characters_are_refused(value: str) -> None:
    with raises_s3("InvalidArgument") as caught:
        response_overrides({"response-content-type": value})
    assert caught.value.fields["ArgumentName"] == "response-content-type"
