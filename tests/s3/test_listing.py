import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3.listing import (
    ListedObject,
    ListPage,
    common_prefix,
    make_token,
    parse_list_buckets,
    parse_list_objects,
    parse_list_objects_v2,
    parse_list_parts,
    parse_list_uploads,
    parse_part_number,
    read_token,
)
from tests.s3.heads import raises_s3
from tests.s3.page_model import PageBuilder

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def test_parse_list_objects_without_parameters_has_defaults() -> None:
    parameters = parse_list_objects({})
    assert (parameters.version, parameters.max_keys) == (1, 1000)
    assert (parameters.prefix, parameters.delimiter, parameters.after) == ("", "", "")
    assert not parameters.url_encoded


def test_parse_list_objects_reads_all_parameters() -> None:
    parameters = parse_list_objects(
        {
            "prefix": "a/",
            "delimiter": "/",
            "marker": "a/b",
            "max-keys": "7",
            "encoding-type": "url",
        }
    )
    assert (parameters.prefix, parameters.delimiter) == ("a/", "/")
    assert (parameters.after, parameters.marker) == ("a/b", "a/b")
    assert (parameters.max_keys, parameters.url_encoded) == (7, True)


def test_parse_list_objects_v2_reads_all_parameters() -> None:
    parameters = parse_list_objects_v2(
        {"start-after": "a", "fetch-owner": "true", "max-keys": "0", "prefix": "p"}
    )
    assert (parameters.version, parameters.after, parameters.start_after) == (2, "a", "a")
    assert (parameters.fetch_owner, parameters.max_keys) == (True, 0)


def test_parse_list_objects_v2_token_overrules_start_after() -> None:
    token = make_token("m")
    parameters = parse_list_objects_v2({"start-after": "a", "continuation-token": token})
    assert (parameters.after, parameters.start_after) == ("m", "a")
    assert parameters.continuation_token == token


@pytest.mark.parametrize(("text", "count"), [("", 1000), ("1", 1), ("1000", 1000), ("5000", 1000)])
def test_parse_list_objects_bounds_max_keys(text: str, count: int) -> None:
    assert parse_list_objects({"max-keys": text}).max_keys == count


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"max-keys": "-1"}, "max-keys"),
        ({"max-keys": "x"}, "max-keys"),
        ({"max-keys": "1.5"}, "max-keys"),
        ({"max-keys": "--1"}, "max-keys"),
        ({"max-keys": "-"}, "max-keys"),
        ({"max-keys": "²"}, "max-keys"),
        ({"max-keys": "2147483648"}, "max-keys"),
        ({"max-keys": "9" * 5000}, "max-keys"),
        ({"encoding-type": "base64"}, "encoding-type"),
        ({"continuation-token": "garbage"}, "continuation-token"),
        ({"continuation-token": "ä"}, "continuation-token"),
        ({"continuation-token": "Af8"}, "continuation-token"),
    ],
)
def test_parse_list_objects_v2_of_a_bad_parameter_is_invalid(
    query: dict[str, str], name: str
) -> None:
    with raises_s3("InvalidArgument") as caught:
        parse_list_objects_v2(query)
    assert caught.value.fields == {"ArgumentName": name, "ArgumentValue": query[name]}


@given(TEXT)
def test_token_reverses(key: str) -> None:
    token = make_token(key)
    assert read_token(token) == key
    assert token.replace("-", "").replace("_", "").isalnum()


@given(st.text())
def test_read_token_of_anything_is_a_key_or_invalid(text: str) -> None:
    try:
        read_token(text)
    except Exception as error:
        assert getattr(error, "code", "") == "InvalidArgument"


def test_parse_list_uploads_reads_all_parameters() -> None:
    parameters = parse_list_uploads(
        {"prefix": "p", "key-marker": "k", "upload-id-marker": "u", "max-uploads": "3"}
    )
    assert (parameters.prefix, parameters.max_uploads) == ("p", 3)
    assert (parameters.key_marker, parameters.upload_id_marker) == ("k", "u")


def test_parse_list_uploads_ignores_an_upload_id_marker_alone() -> None:
    assert parse_list_uploads({"upload-id-marker": "u"}).upload_id_marker == ""


def test_parse_list_parts_reads_all_parameters() -> None:
    parameters = parse_list_parts({"uploadId": "u", "part-number-marker": "5", "max-parts": "2"})
    assert parameters.upload_id == "u"
    assert (parameters.part_number_marker, parameters.max_parts) == (5, 2)


def test_parse_list_parts_without_markers_starts_at_zero() -> None:
    parameters = parse_list_parts({"uploadId": "u"})
    assert (parameters.part_number_marker, parameters.max_parts) == (0, 1000)


def test_parse_list_buckets_reads_all_parameters() -> None:
    parameters = parse_list_buckets(
        {
            "prefix": "p",
            "max-buckets": "5",
            "continuation-token": make_token("b"),
            "bucket-region": "eu",
        }
    )
    assert (parameters.prefix, parameters.after, parameters.region) == ("p", "b", "eu")
    assert (parameters.max_buckets, parameters.limited) == (5, True)
    assert not parse_list_buckets({}).limited


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("10000", 10000), ("007", 7)])
def test_parse_part_number_within_bounds(text: str, number: int) -> None:
    assert parse_part_number({"partNumber": text}) == number


@pytest.mark.parametrize("text", ["", "0", "10001", "-1", "x", "1.0", "²", "9" * 5000])
def test_parse_part_number_outside_is_invalid(text: str) -> None:
    with raises_s3("InvalidArgument") as caught:
        parse_part_number({"partNumber": text})
    assert caught.value.fields["ArgumentName"] == "partNumber"
    assert caught.value.message == "Part number must be an integer between 1 and 10000, inclusive"


@pytest.mark.parametrize(
    ("key", "prefix", "delimiter", "group"),
    [
        ("a/b/c", "", "/", "a/"),
        ("a/b/c", "a/", "/", "a/b/"),
        ("a/b", "a/b", "/", ""),
        ("a/b/", "a/b", "/", "a/b/"),
        ("abc", "", "", ""),
        ("a--b--c", "", "--", "a--"),
        ("/a", "", "/", "/"),
    ],
)
def test_common_prefix_ends_with_the_first_delimiter(
    key: str, prefix: str, delimiter: str, group: str
) -> None:
    assert common_prefix(key, prefix, delimiter) == group


def build(
    keys: list[str], *, prefix: str = "", delimiter: str = "", after: str = "", limit: int = 1000
) -> ListPage:
    builder = PageBuilder(prefix=prefix, delimiter=delimiter, after=after, limit=limit)
    for key in sorted(key for key in keys if key.startswith(prefix)):
        builder.offer(ListedObject(key, 1, "etag", 0))
    return builder.page()


def names(page: ListPage) -> list[str]:
    return sorted([entry.key for entry in page.objects] + page.common_prefixes)


def test_page_builder_groups_at_the_delimiter() -> None:
    page = build(["a", "b/1", "b/2", "c", "d/1"], delimiter="/")
    assert [entry.key for entry in page.objects] == ["a", "c"]
    assert page.common_prefixes == ["b/", "d/"]
    assert (page.truncated, page.next_after) == (False, "")


def test_page_builder_with_one_entry_too_many_is_truncated() -> None:
    page = build(["a", "b", "c"], limit=2)
    assert names(page) == ["a", "b"]
    assert (page.truncated, page.next_after) == (True, "b")


def test_page_builder_ending_with_a_prefix_covers_the_rest_of_it() -> None:
    page = build(["a/1", "a/2", "a/3"], delimiter="/", limit=1)
    assert (names(page), page.truncated) == (["a/"], False)


def test_page_builder_of_no_entries_is_not_truncated() -> None:
    page = build(["a"], limit=0)
    assert (names(page), page.truncated, page.next_after) == ([], False, "")


KEYS = st.lists(st.text("ab/", min_size=1, max_size=5), max_size=30, unique=True)


@given(KEYS, st.sampled_from(["", "/", "b"]), st.sampled_from(["", "a", "a/"]), st.integers(1, 4))
def test_page_builder_pages_join_to_the_whole(
    keys: list[str], delimiter: str, prefix: str, limit: int
) -> None:
    whole = build(keys, prefix=prefix, delimiter=delimiter)
    found: list[str] = []
    after, truncated = "", True
    while truncated:
        page = build(keys, prefix=prefix, delimiter=delimiter, after=after, limit=limit)
        found += names(page)
        after, truncated = page.next_after, page.truncated
        assert len(names(page)) == limit or not truncated
    assert found == names(whole)


def test_parse_list_objects_v2_empty_token_is_repeated_and_starts_nowhere_else() -> None:
    parameters = parse_list_objects_v2({"continuation-token": "", "start-after": "a"})
    assert (parameters.after, parameters.continuation_token) == ("a", "")
